"""The alignment's geometry, the region of a face, and pasting back."""

import cv2
import numpy as np
import pytest
from pictures import landmarks, noise

from draggan.alignment import (
    Alignment,
    box_in_photo,
    cut,
    face_region,
    ffhq_alignment,
    hull,
    paste,
    to_photo,
)
from draggan.motion import Change


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


def change_of(size: int, **parts: np.ndarray) -> Change:
    """A change of size x size pixels that does nothing but what is named."""
    nothing = {
        "flow": (size, size, 2),
        "share": (size, size),
        "new": (size, size, 3),
        "shade": (size, size, 3),
    }
    return Change(**{name: np.zeros(shape, np.float32) for name, shape in nothing.items()} | parts)


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_pasting_changes_the_region_alone(scale):
    points = landmarks(0.25, 1.2, (400, 320))
    alignment = ffhq_alignment(points, round(400 * 1.2 / scale))
    size = alignment.size
    region = face_region(alignment.to_aligned(points), size)
    photo = noise(700, 800)
    pasted = paste(photo, change_of(size), points, alignment)
    assert (pasted == photo).all()
    assert pasted is not photo

    quiet = (photo // 2 + 50).astype(np.uint8)
    shade = np.repeat(20 * region[..., None], 3, axis=2)
    pasted = paste(quiet, change_of(size, shade=shade), points, alignment)
    box = box_in_photo(alignment, photo.shape)
    share = np.zeros(photo.shape[:2], np.float32)
    share[box] = to_photo(region, alignment, box)
    assert (pasted[share == 0] == quiet[share == 0]).all()
    core = cv2.erode((share == 1).astype(np.uint8), np.ones((5, 5))) > 0
    assert core.sum() > 10_000
    assert (pasted[core].astype(int) - quiet[core] == 20).all()


@pytest.mark.parametrize("scale", [0.4, 2.5])
def test_what_moves_in_the_cut_out_moves_in_the_photo(scale):
    """A turned face: ten pixels of the photo to the right are some others of the cut-out."""
    points = landmarks(-0.3, 1.2, (380, 330))
    alignment = ffhq_alignment(points, round(400 * 1.2 / scale))
    photo = cv2.GaussianBlur(noise(700, 800), (0, 0), 3)
    there = (alignment.inverse[:, :2] @ (10, 0)).astype(np.float32)  # comes from 10 pixels to the right
    region = face_region(alignment.to_aligned(points), alignment.size)
    flow = (region > 0)[..., None] * there
    pasted = paste(photo, change_of(alignment.size, flow=flow), points, alignment)
    x, y = points[30].round().astype(int)
    inner, moved = (
        np.s_[y - 30 : y + 30, x - 30 : x + 30],
        np.s_[y - 30 : y + 30, x - 20 : x + 40],
    )
    assert np.abs(pasted[inner].astype(int) - photo[moved]).max() <= 2
    assert np.abs(photo[inner].astype(int) - photo[moved]).max() > 10


@pytest.mark.parametrize("scale", [0.2, 0.7, 3.0])
def test_new_matter_covers_the_photo(scale):
    """A lid over an eye: nothing of the photo's sharp pattern stays where a change covers it."""
    points = landmarks(0.2, 1.3, (400, 300))
    alignment = ffhq_alignment(points, round(400 * 1.3 / scale))
    size = alignment.size
    photo = np.random.default_rng(0).integers(40, 160, (700, 800, 3), np.uint8)
    region = face_region(alignment.to_aligned(points), size)
    new = np.full((size, size, 3), 100, np.float32)
    box = box_in_photo(alignment, photo.shape)
    share = np.zeros(photo.shape[:2], np.float32)
    share[box] = to_photo(region, alignment, box)
    core = cv2.erode((share == 1).astype(np.uint8), np.ones((5, 5))) > 0
    pasted = paste(photo, change_of(size, share=region, new=new), points, alignment)
    # It has the photo's grain, which is this pattern of a cheek in another place, and not what lay there.
    there, here = photo[core].astype(float).mean(axis=1), pasted[core].astype(float).mean(axis=1)
    assert abs(np.corrcoef(there, here)[0, 1]) < 0.1
    assert abs(here.mean() - 100) < 2
    assert (paste(photo, change_of(size, new=new), points, alignment) == photo).all()


def test_a_face_outside_the_photo_changes_nothing():
    photo = noise(100, 100)
    alignment = ffhq_alignment(landmarks(shift=(3000, 3000)), 64)
    change = change_of(64, shade=np.full((64, 64, 3), 50, np.float32))
    assert (paste(photo, change, landmarks(shift=(3000, 3000)), alignment) == photo).all()
