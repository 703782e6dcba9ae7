"""A photo for the app, files that are none, and inversions that are short."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from draggan.inversion import PRESETS, Preset

SHORT = Preset(3, 2)  # enough to try everything around it; how good an inversion is: test_inversion.py
BAD = ("heic", "damaged", "too_small", "no_face", "too_large", "no_picture")


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """What the page calls fast is a search of few steps."""
    monkeypatch.setitem(PRESETS, "fast", SHORT)


@pytest.fixture(scope="session")
def photo_path(generator, tmp_path_factory):
    """Two drawn faces, one turned, the other smaller, in a grainy picture of 1000 x 700."""
    canvas = np.full((700, 1000, 3), (150, 130, 110), np.uint8)
    for seed, angle, side, centre in ((6, 8, 500, (330, 350)), (0, 0, 240, (820, 250))):
        turn = cv2.getRotationMatrix2D((512, 512), angle, side / 1024)
        turn[:, 2] += np.array(centre) - 512
        picture = generator.picture(generator.seed_styles(seed))
        cv2.warpAffine(picture, turn, (1000, 700), canvas, cv2.INTER_AREA, cv2.BORDER_TRANSPARENT)
    grain = np.random.RandomState(0).normal(0, 4, canvas.shape)
    path = tmp_path_factory.mktemp("photos") / "the_two.png"
    Image.fromarray(np.clip(canvas + grain, 0, 255).astype(np.uint8)).save(path)
    return path


def pixels_of(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def bad_photo(kind: str) -> bytes:
    data = io.BytesIO()
    picture = Image.fromarray(np.random.RandomState(0).randint(0, 255, (200, 200, 3)).astype(np.uint8))
    if kind == "heic":
        return b"\0\0\0\x18ftypheic" + bytes(200)
    if kind == "damaged":
        picture.save(data, "JPEG")
        return data.getvalue()[:2000]
    if kind == "too_small":
        picture.resize((10, 10)).save(data, "PNG")
    elif kind == "no_face":
        picture.save(data, "PNG")
    elif kind == "too_large":
        Image.new("1", (15_000, 14_000)).save(data, "PNG")  # 210 megapixels in 30 KB
    else:
        return b"this is no picture"
    return data.getvalue()
