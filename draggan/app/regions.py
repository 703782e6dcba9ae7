"""The region that may change, between an array and the PNG that the page paints on.

A page has it as a data URL: white where the picture may change, black elsewhere.
"""

import base64
import binascii
import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from draggan.app.texts import TranslatedError

PREFIX = "data:image/png;base64,"
MAX_LETTERS = 2_000_000  # of a URL; the page's own have some ten thousand
MAX_SIDE = 2048


def to_url(region: np.ndarray | None) -> str | None:
    """A region (H, W), above 0.5 where the picture may change; None: everywhere."""
    if region is None:
        return None
    stream = io.BytesIO()
    Image.fromarray(np.where(np.asarray(region) > 0.5, 255, 0).astype(np.uint8)).save(stream, "PNG")
    return PREFIX + base64.b64encode(stream.getvalue()).decode()


def from_url(url: str | None) -> np.ndarray | None:
    """(H, W) float32, 1 where the picture may change; None for None. TranslatedError for anything else."""
    if url is None:
        return None
    if not isinstance(url, str) or not url.startswith(PREFIX) or len(url) > MAX_LETTERS:
        raise TranslatedError("bad_region")
    try:
        stream = io.BytesIO(base64.b64decode(url[len(PREFIX) :], validate=True))
        with Image.open(stream, formats=["PNG"]) as image:
            if max(image.size) > MAX_SIDE:
                raise TranslatedError("bad_region")
            return (np.array(image.convert("L")) > 127).astype(np.float32)
    except (binascii.Error, UnidentifiedImageError, OSError, ValueError, SyntaxError):
        raise TranslatedError("bad_region") from None
