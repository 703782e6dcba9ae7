"""Photos in and out: every odd and broken file, the alignment's geometry, and pasting back."""

import functools
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from draggan import photos
from draggan.alignment import (
    Alignment,
    box_in_photo,
    cut,
    face_region,
    ffhq_alignment,
    fine_structure,
    hull,
    paste,
    to_photo,
    without_ghosts,
)
from draggan.generators import load_generator
from draggan.landmarks import DlibDetector
from draggan.photo_editor import PhotoFace
from draggan.photos import PhotoError, find_faces, open_photo


@pytest.fixture(scope="module")
def portrait():
    """A drawn face, (1024, 1024, 3), as a stand-in for a photo."""
    generator = load_generator()
    return generator.picture(generator.seed_styles(0))


@pytest.fixture(scope="module")
def detector():
    return DlibDetector()


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth random picture (height, width, 3) uint8."""
    small = np.random.RandomState(seed).randint(0, 256, (height // 16 + 2, width // 16 + 2, 3))
    return cv2.resize(small.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


def landmarks(turn: float = 0.0, scale: float = 1.0, shift=(0.0, 0.0)) -> np.ndarray:
    """A schematic face: eyes 100 apart at height 0, mouth 40 wide 110 below them, jaw around."""
    points = np.zeros((68, 2))
    angle = np.linspace(0, np.pi, 17)
    points[:17] = np.stack((-100 * np.cos(angle), 40 + 120 * np.sin(angle)), axis=1)
    points[17:27] = np.stack((np.linspace(-80, 80, 10), np.full(10, -30.0)), axis=1)
    points[27:36] = np.stack((np.zeros(9), np.linspace(10, 60, 9)), axis=1)
    ring = np.linspace(np.pi, 3 * np.pi, 6, endpoint=False)
    for first, x in ((36, -50), (42, 50)):
        points[first : first + 6] = np.stack((x + 15 * np.cos(ring), 6 * np.sin(ring)), axis=1)
    points[48:68] = np.stack((np.linspace(-20, 20, 20), np.full(20, 110.0)), axis=1)
    points[48], points[54] = (-20, 110), (20, 110)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return scale * points @ rotation + np.array(shift)


# --- geometry ---------------------------------------------------------------------------------------------


def test_ffhq_square_of_an_upright_face():
    alignment = ffhq_alignment(landmarks(shift=(300, 200)), 512)
    half = max(2.0 * 100, 1.8 * 110)  # FFHQ's rule
    centre = np.array([300, 200 + 0.1 * 110])
    expected = centre + half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    assert np.allclose(alignment.corners, expected)
    assert alignment.scale == pytest.approx(2 * half / 512)


@pytest.mark.parametrize(
    ("turn", "scale", "shift"), [(0.4, 1, (0, 0)), (-0.9, 3.3, (1000, 50)), (3, 0.2, (9, 9))]
)
def test_the_square_goes_with_the_face(turn, scale, shift):
    upright, moved = landmarks(), landmarks(turn, scale, shift)
    one, other = ffhq_alignment(upright, 256), ffhq_alignment(moved, 256)
    assert np.allclose(one.to_aligned(upright), other.to_aligned(moved))  # the aligned face is the same
    assert np.allclose(other.to_photo(other.to_aligned(moved)), moved)
    assert other.scale == pytest.approx(scale * one.scale)


def test_no_face_is_no_alignment():
    with pytest.raises(ValueError, match="not a face"):
        ffhq_alignment(np.zeros((68, 2)), 256)


def test_a_cut_along_the_pixels_is_the_photo_itself():
    photo = noise(300, 200)
    alignment = Alignment(np.array([[1.0, 0, 30], [0, 1, 50]]), 128)
    assert (cut(photo, alignment) == photo[50:178, 30:158]).all()


def test_a_turned_and_shrunken_cut_shows_the_right_place():
    y, x = np.mgrid[:800, :900]
    photo = np.stack((x / 4, y / 4, (x + y) / 8), axis=-1).round().astype(np.uint8)
    alignment = ffhq_alignment(landmarks(0.3, 1.5, (450, 380)), 128)
    assert alignment.scale > 4
    there = alignment.to_photo(np.stack(np.meshgrid(np.arange(128), np.arange(128)), axis=-1))
    expected = np.stack((there[..., 0] / 4, there[..., 1] / 4, there.sum(-1) / 8), axis=-1)
    assert np.abs(cut(photo, alignment) - expected).max() < 1.5


def test_beyond_the_border_lies_a_fading_reflection():
    photo = noise(200, 200)
    alignment = Alignment(np.array([[1.0, 0, -60], [0, 1, 20]]), 128)
    picture = cut(photo, alignment)
    assert (picture[:, 62:] == photo[20:148, 2:68]).all()
    mirrored = photo[20:148, 1:21][:, ::-1].astype(int)  # what lies just outside
    near = np.abs(picture[:, 40:60] - mirrored).mean()
    assert near < 0.5 * np.abs(np.roll(mirrored, 64, axis=0) - mirrored).mean()
    assert picture[:, :20].std() < 0.7 * photo[20:148, 41:61].std()
    with pytest.raises(ValueError, match="larger than the photo"):
        cut(photo, Alignment(np.array([[20.0, 0, 0], [0, 20, 0]]), 128))


def test_the_region_is_the_face_and_ends():
    points = landmarks(0.2, 2, (512, 450))
    region = face_region(points, 1024)
    assert (region[hull(points, 1024)] == 1).all()
    assert region.dtype == np.float32
    assert (region == 0).mean() > 0.3
    assert region.max() == 1
    steps = max(np.abs(np.diff(region, axis=axis)).max() for axis in (0, 1))
    assert steps < 0.06  # no edge to be seen
    low = face_region(landmarks(0, 2, (512, 900)), 1024)  # a face that leaves the picture
    assert (low[-1] == 0).all()
    also = np.zeros((1024, 1024), bool)
    also[:200, :200] = True
    assert (face_region(points, 1024, also)[40:180, 40:180] > 0.5).any()


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_pasting_changes_the_region_alone(scale):
    photo = noise(700, 800)
    alignment = ffhq_alignment(landmarks(0.25, 1.3, (400, 300)), round(400 * 1.3 / scale))
    assert alignment.scale == pytest.approx(scale, rel=0.01)
    points = alignment.to_aligned(landmarks(0.25, 1.3, (400, 300)))
    region = face_region(points, alignment.size)
    nothing = np.zeros((alignment.size, alignment.size, 3), np.float32)
    assert (paste(photo, nothing, region, alignment) == photo).all()
    assert paste(photo, nothing, region, alignment) is not photo

    quiet = (photo // 2 + 50).astype(np.uint8)
    pasted = paste(quiet, nothing + 20, region, alignment)
    box = box_in_photo(alignment, photo.shape)
    share = np.zeros(photo.shape[:2], np.float32)
    share[box] = to_photo(region, alignment, box)
    assert (pasted[share == 0] == quiet[share == 0]).all()
    core = cv2.erode((share == 1).astype(np.uint8), np.ones((5, 5))) > 0
    assert core.sum() > 10_000
    assert (pasted[core].astype(int) - quiet[core] == 20).all()


@pytest.mark.parametrize("scale", [0.4, 2.5])
def test_a_change_comes_back_to_its_place(scale):
    """A spot of the photo, seen in the aligned picture as a change and pasted back, is the spot."""
    points = landmarks(-0.3, 1.2, (380, 330))
    alignment = ffhq_alignment(points, round(400 * 1.2 / scale))
    photo = np.full((700, 800, 3), 100, np.uint8)
    changed = photo.copy()
    place = points[30].round().astype(int)
    cv2.circle(changed, tuple(int(v) for v in place), 12, (180, 140, 60), -1)
    changed = cv2.GaussianBlur(changed, (0, 0), 4)
    change = cut(changed, alignment).astype(np.float32) - cut(photo, alignment)
    region = face_region(alignment.to_aligned(points), alignment.size)
    assert np.abs(paste(photo, change, region, alignment).astype(int) - changed).max() <= 6


def test_a_change_takes_along_what_it_would_leave_behind():
    """A line that the reconstruction lacks goes where the picture changes, and stays where it does not."""
    rest = np.zeros((200, 200, 3), np.float32)
    rest[:, 98:102] = -60
    fine = fine_structure(rest, 100.0)
    change = np.zeros_like(rest)
    assert (without_ghosts(change, fine, 100.0) == 0).all()
    change[:80] = 50
    settled = without_ghosts(change, fine, 100.0)
    assert (settled[150:] == 0).all()
    assert np.abs(settled[20:60, 98:102] - 50 - 60).max() < 25  # the line is lifted by nearly its own depth
    assert np.abs(settled[20:60, :50] - 50).max() < 1


@pytest.mark.parametrize("scale", [0.2, 0.7, 3.0])
def test_what_resampling_loses_goes_with_the_change(scale):
    """A lid over an eye: nothing of the photo's sharp pattern stays where a change covers it."""
    points = landmarks(0.2, 1.3, (400, 300))
    alignment = ffhq_alignment(points, round(400 * 1.3 / scale))
    photo = np.random.default_rng(0).integers(40, 160, (700, 800, 3), np.uint8)
    region = np.ones((alignment.size, alignment.size), np.float32)
    change = 100.0 - cut(photo, alignment).astype(np.float32)  # one grey over everything
    box = box_in_photo(alignment, photo.shape)
    core = np.zeros(photo.shape[:2], bool)
    core[box] = cv2.erode((to_photo(region, alignment, box) == 1).astype(np.uint8), np.ones((9, 9))) > 0
    assert core.sum() > 50_000
    assert np.abs(paste(photo, change, region, alignment).astype(int)[core] - 100).max() > 20
    pasted = paste(photo, change, region, alignment, gone=region)
    assert np.abs(pasted.astype(int)[core] - 100).max() <= 1
    assert (paste(photo, 0 * change, region, alignment, gone=0 * region) == photo).all()


def test_a_face_outside_the_photo_changes_nothing():
    photo = noise(100, 100)
    alignment = ffhq_alignment(landmarks(shift=(3000, 3000)), 64)
    change = np.full((64, 64, 3), 50, np.float32)
    assert (paste(photo, change, np.ones((64, 64), np.float32), alignment) == photo).all()


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
        aligned = PhotoFace(photo, face, 256).aligned
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
    with pytest.raises(PhotoError, match=r"too small .\d+ pixels from eye to eye, at least 500"):
        find_faces(with_faces(tmp_path, 600, 600, (portrait, 500, 50, 50)), detector)


def test_a_face_at_the_border(tmp_path, portrait, detector):
    cropped = with_faces(tmp_path, 500, 500, (portrait[300:, 200:824], 500, 0, 0))
    face = PhotoFace(cropped, find_faces(cropped, detector)[0], 512)
    assert face.alignment.corners.min() < -20  # the square leaves the photo
    assert face.aligned.shape == (512, 512, 3)
    change = np.full((512, 512, 3), 9, np.float32)
    pasted = paste(cropped.pixels, change, face_region(face.points, 512), face.alignment)
    assert (pasted != cropped.pixels).any()


def test_thirty_megapixels(tmp_path, portrait, detector):
    photo = with_faces(tmp_path, 5000, 6000, (portrait, 1024, 2000, 1500))
    (found,) = find_faces(photo, detector)
    face = PhotoFace(photo, found, 1024)
    assert face.alignment.scale == pytest.approx(1, abs=0.15)
    pasted = paste(
        photo.pixels, np.ones((1024, 1024, 3), np.float32), face_region(face.points, 1024), face.alignment
    )
    assert pasted.shape == (5000, 6000, 3)
    assert 50_000 < (pasted != photo.pixels).any(axis=2).sum() < 1_000_000
