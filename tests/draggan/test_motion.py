"""Motion first, then matter: what is told from two pictures of a generator, and what it does to a photo."""

import cv2
import numpy as np
import pytest
from pictures import landmarks, noise

from draggan.motion import (
    Change,
    explain,
    grain,
    laid_over,
    least_area,
    motion,
    mouth_and_eyes,
    moved,
    warp,
)

SIZE, UNIT = 512, 200.0
POINTS = landmarks(0.0, 1.2, (256, 200))
ALL = np.ones((SIZE, SIZE), np.float32)


def texture(seed: int = 0) -> np.ndarray:
    """Something to see at several scales, (SIZE, SIZE, 3) float32."""
    picture = sum(
        cv2.GaussianBlur(noise(SIZE, SIZE, seed=seed + k).astype(np.float32), (0, 0), 2.0**k) * 2**k
        for k in (1, 2, 3, 4)
    )
    return 60 + 120 * (picture - picture.min()) / np.ptp(picture)


def shifted(picture: np.ndarray, amount: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture with its middle moved that far to the right, and the way back there, (SIZE, SIZE, 2)."""
    y, x = np.indices((SIZE, SIZE), np.float32)
    bump = np.exp(-((x - 256) ** 2 + (y - 256) ** 2) / (2 * 60.0**2))
    flow = np.stack((-amount * bump, np.zeros_like(bump)), axis=-1)
    return warp(picture, flow), flow


@pytest.mark.parametrize("amount", [4.0, 12.0])
def test_a_motion_is_found(amount):
    before = texture()
    after, flow = shifted(before, amount)
    found = motion(before, after, ALL, UNIT)
    assert np.abs(found - flow)[200:312, 200:312].max() < 0.35 * amount
    assert np.abs(warp(before, found) - after).mean() < 0.3 * np.abs(before - after).mean()


def test_it_has_no_folds_and_stays_in_its_region():
    """Two pictures that have nothing in common: whatever is found, it can be undone."""
    region = np.zeros((SIZE, SIZE), np.float32)
    region[128:384, 128:384] = 1
    region = cv2.blur(region, (61, 61))
    found = motion(texture(0), texture(50), region, UNIT)
    assert (found[region == 0] == 0).all()
    assert np.abs(found).max() > 1
    assert least_area(found) > 0


def test_the_photo_s_own_pixels_move():
    """The generator knows nothing of the photo's freckles, and they go along."""
    before = texture()
    after, flow = shifted(before, 10.0)
    freckles = np.clip(
        before + 25 * np.sign(np.random.default_rng(1).standard_normal((SIZE, SIZE, 1))), 0, 255
    )
    photo = freckles.astype(np.uint8)
    edited = explain(before, after, photo, POINTS, ALL).apply(photo, POINTS).astype(float)
    wanted, there = warp(photo, flow).astype(float), np.s_[180:332, 180:332]
    assert np.abs(edited - wanted)[there].mean() < 0.6 * np.abs(photo - wanted)[there].mean()
    # As sharp as before: of fine structure, a warp by an exact motion keeps about as much.
    fine = [p[there] - cv2.GaussianBlur(p, (0, 0), 2)[there] for p in (edited, wanted)]
    assert np.std(fine[0]) > 0.85 * np.std(fine[1])


def test_without_a_change_nothing_moves():
    before, photo = texture(), noise(SIZE, SIZE)
    change = explain(before, before.copy(), photo, POINTS, ALL)
    assert (change.apply(photo, POINTS) == photo).all()


def test_new_matter_comes_into_mouth_and_eyes_alone():
    """White stripes on lids and mouth, as teeth: they are taken there, and on the forehead they are not."""
    before = np.full((SIZE, SIZE, 3), 110, np.float32)
    after = before.copy()
    eye, mouth = POINTS[36:42].mean(axis=0), POINTS[48:60].mean(axis=0)
    forehead = POINTS[19:25].mean(axis=0) - (0, 30)
    places = [tuple(place.round().astype(int)) for place in (eye, mouth, forehead)]
    for place in places:
        cv2.circle(after, tuple(int(v) for v in place), 6, (230, 230, 230), -1)
    photo = np.full((SIZE, SIZE, 3), 100, np.uint8)
    edited = explain(before, after, photo, POINTS, ALL).apply(photo, POINTS)
    taken = [int(edited[y, x, 0]) for x, y in places]
    assert taken[0] > 180
    assert taken[1] > 180
    assert taken[2] < 160
    zones = mouth_and_eyes(POINTS, SIZE)
    assert [zones[y, x] for x, y in places] == [1, 1, 0]


def test_grain_is_what_new_matter_lacks():
    rough = np.clip(128 + 12 * np.random.default_rng(0).standard_normal((SIZE, SIZE, 1)), 0, 255)
    rough = np.repeat(rough, 3, axis=2).astype(np.uint8)
    smooth = np.full((SIZE, SIZE, 3), 120, np.float32)
    made = grain(rough, smooth, POINTS)
    assert 0.7 < made.std() / 12 < 1.1
    assert np.abs(grain(rough, rough.astype(np.float32), POINTS)).max() < 0.1 * made.std()
    beside = POINTS + 5000  # no skin in the picture: no grain
    assert (grain(rough, smooth, beside) == 0).all()


def test_a_change_of_another_kind_of_picture():
    """The same words for a picture that is no square: the photo's own pixels."""
    photo = noise(60, 90)
    nothing = Change(*(np.zeros((60, 90, *more), np.float32) for more in ((2,), (), (3,), (3,))))
    assert (nothing.apply(photo, POINTS) == photo).all()


@pytest.mark.parametrize("size", [SIZE, 1024])
def test_a_picture_moves_as_the_generator_s_pictures_say(size):
    """It may show what they do not: an earring, say. Where they are equal, it stays bit for bit."""
    before, other = (np.rint(texture(seed)).astype(np.uint8) for seed in (0, 7))
    after = np.rint(shifted(before, 8.0)[0]).astype(np.uint8)
    wanted = shifted(other, 8.0)[0]
    scale = lambda picture: cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC)  # noqa: E731
    found = moved(scale(before), scale(after), scale(other), (POINTS + 0.5) * size / SIZE - 0.5)
    middle = slice(200 * size // SIZE, 312 * size // SIZE)
    error = lambda picture: np.abs(picture.astype(float) - scale(wanted))[middle, middle].mean()  # noqa: E731
    assert error(found) < 0.35 * error(scale(other))
    edge = slice(0, 40 * size // SIZE)
    assert (found[edge] == scale(other)[edge]).all()


def test_an_edit_over_a_moved_picture_changes_its_own_part_alone():
    before, picture = (np.rint(texture(seed)).astype(np.uint8) for seed in (0, 7))
    after = before.copy()
    after[220:260, 200:300] = 30
    found = laid_over(before, after, picture)
    assert np.abs(found[230:250, 210:290].astype(int) - 30).max() <= 1
    outside = np.ones((SIZE, SIZE), bool)
    outside[195:285, 175:325] = False
    assert (found[outside] == picture[outside]).all()
    assert (laid_over(before, before, picture) == picture).all()
