"""Photos that Pillow alone does not open."""

import builtins
import io

import cv2
import numpy as np
import pytest
from pictures import noise
from PIL import Image

from draggan import photo_formats, photos
from draggan.photo_formats import in_eight_bits
from draggan.photos import SUFFIXES, PhotoError, open_photo


@pytest.mark.parametrize("top", [1, 255, 65535])
@pytest.mark.parametrize("colours", [False, True])
def test_floats_of_any_range(tmp_path, top, colours):
    wanted = noise(90, 120)
    wanted[:, 100:] = 255  # white, as photos have it; the range is told by it
    values = (wanted / 255 * top).astype(np.float32)
    if colours:
        assert cv2.imwrite(str(tmp_path / "a.tif"), values[..., ::-1])
    else:
        values, wanted = values[..., 0], np.repeat(wanted[..., :1], 3, axis=2)
        Image.fromarray(values).save(tmp_path / "a.tif")
    photo = open_photo(tmp_path / "a.tif")
    assert np.abs(photo.pixels.astype(int) - wanted).max() <= 1
    assert photo.grey is not colours
    (notice,) = photo.notices
    assert notice.kind == "bits"


def test_a_few_bright_lights_do_not_make_it_dark():
    values = np.full((100, 100), 0.5, np.float32)
    values[0, :20] = 40.0
    pixels, holes = in_eight_bits(values)
    assert (pixels[1:] == 128).all()
    assert (pixels[0, :20] == 255).all()
    assert not holes


def test_what_is_no_number_is_black_and_said(tmp_path):
    values = np.linspace(0, 1, 80 * 90, dtype=np.float32).reshape(80, 90)
    values[0, :3] = np.nan, np.inf, -np.inf
    Image.fromarray(values).save(tmp_path / "a.tif")
    photo = open_photo(tmp_path / "a.tif")
    assert photo.pixels[0, :3, 0].tolist() == [0, 255, 0]
    assert photo.pixels[-1, -1, 0] == 255
    assert [notice.kind for notice in photo.notices] == ["bits", "holes"]
    pixels, holes = in_eight_bits(np.full((4, 4), np.nan))
    assert (pixels == 0).all()
    assert holes


def test_floats_lie_as_their_tag_says():
    values = np.arange(12, dtype=np.float32).reshape(3, 4)[..., None]
    for orientation, wanted in (
        (1, values),
        (3, values[::-1, ::-1]),
        (6, np.rot90(values, -1)),
        (8, np.rot90(values)),
    ):
        assert np.array_equal(photo_formats._upright(values, orientation), wanted)


def test_a_float_tiff_that_is_too_large_or_cut_off(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    assert cv2.imwrite(str(path), np.random.RandomState(0).rand(100, 120, 3).astype(np.float32))
    with monkeypatch.context() as patch:
        patch.setattr(photos, "MAX_PIXELS", 10_000)
        with pytest.raises(PhotoError, match=r"megapixels \(120 x 100\)"):
            open_photo(path)
    data = path.read_bytes()
    for length in (10, 200, len(data) // 2):
        path.write_bytes(data[:length])
        with pytest.raises(PhotoError, match=r"not a picture|damaged"):
            open_photo(path)


# --- HEIC -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heic():
    """A smooth picture, (120, 180, 3), and the bytes of its HEIC on its side, with the tag that turns it up."""
    pillow_heif = pytest.importorskip("pillow_heif")
    smooth = cv2.resize(noise(6, 9), (180, 120), interpolation=cv2.INTER_CUBIC)
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(smooth)))
    pillow_heif.from_pillow(lying).save(stream, quality=95, exif=exif.tobytes())
    return smooth, stream.getvalue()


def test_heic_is_read(tmp_path, heic):
    smooth, data = heic
    (tmp_path / "a.heic").write_bytes(data)
    photo = open_photo(tmp_path / "a.heic")
    assert photo.pixels.shape == smooth.shape
    assert np.abs(photo.pixels.astype(int) - smooth).mean() < 3
    assert not photo.notices
    assert ".heic" in SUFFIXES


def test_broken_heic_is_said_in_a_sentence(tmp_path, heic):
    _, data = heic
    path = tmp_path / "a.heic"
    for length in (20, 300, len(data) - 200):
        path.write_bytes(data[:length])
        with pytest.raises(PhotoError, match=r"a.heic is (a HEIC photo, which cannot be read here|damaged)"):
            open_photo(path)


def test_heic_without_its_library(tmp_path, heic, monkeypatch):
    imported = builtins.__import__

    def missing(name, *others, **more):
        if name.startswith("pillow_heif"):
            raise ImportError(name)
        return imported(name, *others, **more)

    (tmp_path / "a.heic").write_bytes(heic[1])
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(PhotoError, match="save or export it as JPEG"):
        open_photo(tmp_path / "a.heic")
