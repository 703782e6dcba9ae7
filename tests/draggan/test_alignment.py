"""The alignment's geometry, the region of a face, and pasting back."""

import cv2
import numpy as np
import pytest
from pictures import noise

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
