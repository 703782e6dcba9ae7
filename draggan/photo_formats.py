"""Photos that Pillow alone does not open: HEIC of phones, and TIFFs of 32-bit floats.

image = open_heif(data)                # None where it is none that can be read here
image = open_float_tiff(data, limit)   # (height, width) over the limit: ValueError
picture, holes = in_eight_bits(values) # numbers of any range as uint8
"""

import io

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

HEIF = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")  # major brands
TIFF = (b"II*\0", b"MM\0*")
WIDTH, HEIGHT, BITS, ORIENTATION, FORMAT = 256, 257, 258, 274, 339  # TIFF tags
FLOATS = 3  # of the tag FORMAT
# Numbers are 0 to 1, 0 to 255 or 0 to 65535: which, is told by nearly the largest of them. A few lights may be
# brighter than white, and are white then.
NEARLY_ALL, RANGES = 99.5, ((1.5, 1.0), (256.0, 255.0), (np.inf, 65535.0))


def is_heif(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in HEIF


def open_heif(data: bytes) -> Image.Image | None:
    """The picture in a HEIC or HEIF file, not decoded yet; None where it cannot be read.

    It is turned upright already. The library is loaded here only: it is large, and few photos need it.
    """
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
        return Image.open(io.BytesIO(data), formats=["HEIF"])
    except Image.DecompressionBombError:
        raise
    except Exception:  # no such library on this machine, or whatever broken bytes set off in it
        return None


def open_float_tiff(data: bytes, most_pixels: int) -> np.ndarray | None:
    """The numbers of a TIFF of floats in colours, (H, W, 3 or 4), upright; None where it is no such file.

    Pillow reads grey ones only. OverflowError(width, height) for more pixels than most_pixels.
    """
    if data[:4] not in TIFF:
        return None
    try:
        stream = io.BytesIO(data)
        tags = TiffImagePlugin.ImageFileDirectory_v2(stream.read(8))
        stream.seek(tags.next)
        tags.load(stream)
        size = int(tags[WIDTH]), int(tags[HEIGHT])
        kinds, bits, orientation = tags.get(FORMAT), tags.get(BITS), int(tags.get(ORIENTATION, 1))
    except Exception:  # Pillow's reader raises many kinds
        return None
    if not (isinstance(kinds, tuple) and set(kinds) == {FLOATS} and set(bits) <= {32, 64}):
        return None
    if size[0] * size[1] > most_pixels:
        raise OverflowError(*size)
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if values is None or values.ndim != 3 or values.shape[2] not in (3, 4):
        return None
    return _upright(values[..., [2, 1, 0, 3][: values.shape[2]]], orientation)


def _upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """As EXIF and TIFF say: 2-8 are turned or mirrored."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    rows, columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return values[:: -1 if rows else 1, :: -1 if columns else 1]


def in_eight_bits(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """Numbers of any range as uint8 of the same shape, and whether some were none.

    What is no number is black, infinity white. See RANGES for which numbers are white.
    """
    values = np.asarray(values)
    holes = not np.isfinite(values).all()
    if values.dtype.kind == "f":
        finite = values[np.isfinite(values)] if holes else values
        high = np.percentile(finite, NEARLY_ALL) if finite.size else 0.0
        top = next(white for most, white in RANGES if high <= most)
    else:
        top = 255.0 if values.max(initial=0) <= 255 else 65535.0
    values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=top, neginf=0.0)
    return np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8), bool(holes)
