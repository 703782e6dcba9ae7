"""Photos in and out: every odd and broken file, and the faces in them."""

import functools
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from pictures import noise
from PIL import Image, ImageCms

from draggan import photos
from draggan.alignment import (
    face_region,
    paste,
)
from draggan.motion import Change
from draggan.photo_editor import CutOut
from draggan.photos import PhotoError, find_faces, open_photo


@pytest.fixture(scope="module")
def portrait(generator):
    """A drawn face, (1024, 1024, 3), as a stand-in for a photo."""
    return generator.picture(generator.seed_styles(0))


# --- files ------------------------------------------------------------------------------------------------


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    data = bytearray(encoded(Image.new("L", (64, 64)), "PNG"))
    data[16:24] = struct.pack(">II", width, height)
    header = bytes(data[12:29])
    data[29:33] = struct.pack(">I", zlib.crc32(header))
    return bytes(data)


BAD = {
    "no picture": (b"a letter to my aunt " * 20, "is not a picture that can be read"),
    "empty": (b"", "is not a picture that can be read"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a picture that can be read"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "is not a picture that can be read"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), "HEIC photo, which cannot be read here"),
    "tiny": (encoded(Image.new("RGB", (10, 10)), "PNG"), "has 10 x 10 pixels, too few for a face"),
    "narrow": (encoded(Image.new("RGB", (900, 20)), "PNG"), "has 900 x 20 pixels"),
    "large": (png_of_size(12_000, 9_000), "more than 100 megapixels (12000 x 9000)"),
    "bomb": (png_of_size(60_000, 60_000), "more than 100 megapixels"),
    "cut-off jpeg": (
        encoded(Image.fromarray(noise(300, 300)), "JPEG")[:9000],
        "is damaged or was cut off",
    ),
    "cut-off png": (encoded(Image.fromarray(noise(300, 300)), "PNG")[:9000], "is damaged or was cut off"),
    "broken png": (png_of_size(3000, 3000), "is damaged or was cut off"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_is_said_in_a_sentence(kind, tmp_path):
    data, says = BAD[kind]
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(PhotoError) as error:
        open_photo(path)
    assert says in str(error.value)
    assert str(error.value).startswith("photo.jpg ")
    assert "\n" not in str(error.value)


def test_a_path_that_is_no_file(tmp_path):
    with pytest.raises(PhotoError, match="nowhere.jpg cannot be read .No such file"):
        open_photo(tmp_path / "nowhere.jpg")
    with pytest.raises(PhotoError, match="cannot be read"):
        open_photo(tmp_path)


def test_a_file_too_large_to_be_a_photo(tmp_path):
    with (tmp_path / "film.jpg").open("wb") as file:
        file.truncate(photos.MAX_BYTES + 1)
    with pytest.raises(PhotoError, match="film.jpg has more than 400 MB"):
        open_photo(tmp_path / "film.jpg")


def test_a_photo_on_its_side_is_turned_up(tmp_path):
    upright = noise(200, 120)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned; "rotate by 90 degrees clockwise to show"
    lying = Image.fromarray(np.rot90(upright))
    lying.save(tmp_path / "a.png", exif=exif)
    photo = open_photo(tmp_path / "a.png")
    assert (photo.pixels == upright).all()
    photo.write(tmp_path / "b.png", photo.pixels)
    with Image.open(tmp_path / "b.png") as again:
        assert again.getexif().get(0x0112, 1) == 1  # not turned twice
        assert (np.array(again) == upright).all()
        assert again.text["Comment"].startswith("AI-edited")


def test_grey_stays_grey(tmp_path):
    grey = noise(100, 100)[..., 0]
    for name, image in (
        ("l.png", Image.fromarray(grey)),
        ("rgb.png", Image.fromarray(np.repeat(grey[..., None], 3, axis=2))),
        ("1.png", Image.fromarray(grey > 128)),
    ):
        image.save(tmp_path / name)
        photo = open_photo(tmp_path / name)
        assert photo.grey
        assert photo.pixels.shape == (100, 100, 3)
        photo.write(tmp_path / "out.png", photo.pixels)
        with Image.open(tmp_path / "out.png") as out:
            assert out.mode == "L"
            assert (np.array(out) == photo.pixels[..., 0]).all()


def test_cmyk_deep_and_animated_are_taken_with_a_notice(tmp_path):
    picture = Image.fromarray(noise(100, 140))
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    photo = open_photo(tmp_path / "cmyk.jpg")
    assert "CMYK" in photo.notices[0]
    assert np.abs(photo.pixels.astype(int) - np.array(picture)).mean() < 8

    deep = (noise(100, 140)[..., 0].astype(np.uint16) << 8) + 7
    Image.fromarray(deep).save(tmp_path / "deep.png")
    photo = open_photo(tmp_path / "deep.png")
    assert "more than 8 bits" in photo.notices[0]
    assert np.abs(photo.pixels[..., 0].astype(int) - (deep >> 8)).max() <= 1

    frames = [Image.fromarray(noise(100, 140, seed)).quantize(64) for seed in (1, 2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    photo = open_photo(tmp_path / "a.gif")
    assert "the first is taken" in photo.notices[0]
    assert (photo.pixels == np.array(frames[0].convert("RGB"))).all()
    assert open_photo(tmp_path / "cmyk.jpg", "upload").notices[0].startswith("upload ")


def test_transparency_is_kept(tmp_path):
    colours = noise(100, 100)
    alpha = np.full((100, 100), 255, np.uint8)
    alpha[:30] = 0
    alpha[30:40] = 128
    Image.fromarray(np.dstack((colours, alpha))).save(tmp_path / "a.png")
    photo = open_photo(tmp_path / "a.png")
    assert (photo.pixels[:30] == 255).all()  # white to the generator
    assert (photo.pixels[40:] == colours[40:]).all()
    edited = photo.pixels.copy()
    edited[50:60, 50:60] = (200, 10, 10)
    photo.write(tmp_path / "b.png", edited)
    with Image.open(tmp_path / "b.png") as out:
        out = np.array(out)
    assert (out[..., 3] == alpha).all()
    expected = colours.copy()
    expected[50:60, 50:60] = (200, 10, 10)
    assert (out[..., :3] == expected).all()  # what is hidden is kept, too


@functools.cache  # it holds the time of its making
def swapped_profile() -> bytes:
    """A colour profile in which red and green have changed places, so that conversions can be checked by hand."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {
        bytes(data[i : i + 4]): i for i in range(132, 132 + 12 * struct.unpack(">I", data[128:132])[0], 12)
    }
    red, green = (tags[name] + 4 for name in (b"rXYZ", b"gXYZ"))
    data[red : red + 4], data[green : green + 4] = data[green : green + 4], data[red : red + 4]
    return (
        bytes(data).replace(b"sRGB", b"tEST").replace("sRGB".encode("utf-16-be"), "tEST".encode("utf-16-be"))
    )


def test_colours_follow_the_profile_there_and_back(tmp_path):
    colours = noise(120, 90) // 2 + 60
    Image.fromarray(colours).save(tmp_path / "a.png", icc_profile=swapped_profile())
    photo = open_photo(tmp_path / "a.png")
    assert np.abs(photo.pixels.astype(int) - colours[..., [1, 0, 2]]).max() <= 2
    edited = photo.pixels.copy()
    edited[20:40, 20:40, 0] += 30  # redder, which is the file's green
    photo.write(tmp_path / "b.png", edited)
    with Image.open(tmp_path / "b.png") as out:
        assert out.info["icc_profile"] == swapped_profile()
        out = np.array(out)
    changed = np.zeros((120, 90), bool)
    changed[20:40, 20:40] = True
    assert (out[~changed] == colours[~changed]).all()
    expected = colours[20:40, 20:40] + np.array([0, 30, 0])
    assert np.abs(out[20:40, 20:40] - expected).max() <= 2
    photo.write(tmp_path / "c.png", photo.pixels)
    with Image.open(tmp_path / "c.png") as out:
        assert (np.array(out) == colours).all()  # no edit, no change


def test_a_broken_profile_is_said(tmp_path):
    Image.fromarray(noise(100, 100)).save(tmp_path / "a.png", icc_profile=b"rubbish" * 30)
    photo = open_photo(tmp_path / "a.png")
    assert "broken colour profile" in photo.notices[0]
    photo.write(tmp_path / "b.png", photo.pixels)


def test_jpeg_can_be_written(tmp_path):
    Image.fromarray(noise(100, 100)).save(tmp_path / "a.png")
    photo = open_photo(tmp_path / "a.png")
    photo.write(tmp_path / "b.jpg", photo.pixels)
    with Image.open(tmp_path / "b.jpg") as out:
        assert out.format == "JPEG"
        assert out.getexif()[0x010E].startswith("AI-edited")
        assert np.abs(np.array(out).astype(int) - photo.pixels).mean() < 3


# --- faces ------------------------------------------------------------------------------------------------


def with_faces(tmp_path, height, width, *faces):
    """A written photo: each face is (picture, side, left, top) on a plain background."""
    canvas = np.full((height, width, 3), 120, np.uint8)
    for picture, side, left, top in faces:
        canvas[top : top + side, left : left + side] = cv2.resize(
            picture, (side, side), interpolation=cv2.INTER_AREA
        )
    Image.fromarray(canvas).save(tmp_path / "photo.png", compress_level=1)
    return open_photo(tmp_path / "photo.png")


def test_all_faces_are_found_largest_first(tmp_path, portrait, detector):
    photo = with_faces(tmp_path, 900, 1500, (portrait, 250, 1150, 100), (portrait, 800, 60, 50))
    large, small = find_faces(photo, detector)
    assert large.points[:, 0].max() < 900 < small.points[:, 0].min()
    assert large.area > small.area
    # Where the drawing's own landmarks say that they are.
    own = detector.detect(portrait)[0].points
    expected = (own + 0.5) * (800 / 1024) - 0.5 + (60, 50)
    assert np.linalg.norm(large.points - expected, axis=1).mean() < 12
    # Aligned, both are the same picture, as the drawing is aligned already.
    for face in (large, small):
        aligned = CutOut(photo, face, 256).aligned
        assert np.abs(aligned.astype(int) - cv2.resize(portrait, (256, 256))).mean() < 30


def test_a_face_in_a_known_box(portrait, detector):
    (face,) = detector.detect(portrait)
    (again,) = detector.detect_in(portrait, face.box)
    assert np.linalg.norm(again.points - face.points, axis=1).mean() < 8
    assert again.box == face.box
    # Steadier than from one box: a box a little off gives nearly the same points.
    left, top, right, bottom = face.box
    (moved,) = detector.detect_in(portrait, (left + 15, top - 10, right + 15, bottom - 10))
    assert np.linalg.norm(moved.points - again.points, axis=1).mean() < 6


def test_no_face_and_too_small_a_face(tmp_path, portrait, detector, monkeypatch):
    with pytest.raises(PhotoError, match="no face found in photo.png .by dlib."):
        find_faces(with_faces(tmp_path, 200, 300), detector)
    monkeypatch.setattr(photos, "MIN_EYES", 500)
    with pytest.raises(
        PhotoError, match=r"too small: \d+ pixels between the outer eye corners, at least 500"
    ):
        find_faces(with_faces(tmp_path, 600, 600, (portrait, 500, 50, 50)), detector)


def shaded(amount: np.ndarray) -> Change:
    """Lighter by an amount (size, size), and nothing else."""
    still = np.zeros_like(amount)
    return Change(np.dstack((still, still)), still, np.dstack(3 * [still]), np.dstack(3 * [amount]))


def test_a_face_at_the_border(tmp_path, portrait, detector):
    cropped = with_faces(tmp_path, 500, 500, (portrait[300:, 200:824], 500, 0, 0))
    face = CutOut(cropped, find_faces(cropped, detector)[0], 512)
    assert face.alignment.corners.min() < -20  # the square leaves the photo
    assert face.aligned.shape == (512, 512, 3)
    change = shaded(9 * face_region(face.points, 512))
    pasted = paste(cropped.pixels, change, face.face.points, face.alignment)
    assert (pasted != cropped.pixels).any()


def test_thirty_megapixels(tmp_path, portrait, detector):
    photo = with_faces(tmp_path, 5000, 6000, (portrait, 1024, 2000, 1500))
    (found,) = find_faces(photo, detector)
    face = CutOut(photo, found, 1024)
    assert face.alignment.scale == pytest.approx(1, abs=0.15)
    change = shaded(face_region(face.points, 1024))
    pasted = paste(photo.pixels, change, face.face.points, face.alignment)
    assert pasted.shape == (5000, 6000, 3)
    assert 50_000 < (pasted != photo.pixels).any(axis=2).sum() < 1_000_000
