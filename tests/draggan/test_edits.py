"""The edits as geometry: symmetric for mirrored faces, the same for scaled and turned ones."""

import numpy as np
import pytest

from draggan.edits import EDITS, EditError, find_edit, measures, plan_edit, reached
from draggan.frame import MIRROR, Ellipse, frame, region_mask


def a_face(seed: int = 0) -> np.ndarray:
    """68 plausible points of an upright face in a 1024 picture, a little irregular."""
    t = np.linspace(np.pi, 0, 17)
    jaw = np.stack((512 + 250 * np.cos(t), 450 + 330 * np.sin(t)), 1)
    brow = np.stack((np.linspace(-60, 60, 5), [0, -14, -18, -14, -4]), 1)
    nose = [(512, 440), (512, 480), (512, 520), (512, 560)] + [(470 + 21 * i, 590) for i in range(5)]
    eye = np.array([(-45, 0), (-15, -18), (15, -18), (45, 0), (15, 14), (-15, 14)])
    a = np.linspace(np.pi, -np.pi, 12, endpoint=False)
    outer = np.stack((512 + 95 * np.cos(a), 680 - 30 * np.sin(a)), 1)
    b = np.linspace(np.pi, -np.pi, 8, endpoint=False)
    inner = np.stack((512 + 80 * np.cos(b), 680 - 8 * np.sin(b)), 1)
    parts = [jaw, brow + (400, 380), (brow * (-1, 1))[::-1] + (624, 380), nose, eye + (400, 440)]
    parts += [eye + (624, 440), outer, inner]
    points = np.concatenate([np.asarray(p, np.float64) for p in parts])
    assert points.shape == (68, 2)
    return points + np.random.RandomState(seed).randn(68, 2) * 3


def turned(points: np.ndarray, degrees: float, scale: float, shift=(0.0, 0.0)) -> np.ndarray:
    a = np.deg2rad(degrees)
    rotation = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return scale * points @ rotation.T + shift


def by_index(plan) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    return {i: (h, t) for i, h, t in zip(plan.indices, plan.handles, plan.targets, strict=True)}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_a_mirrored_face_gets_the_mirrored_edit(name, strength):
    points = a_face()
    mirrored = np.stack((1023 - points[:, 0], points[:, 1]), 1)[MIRROR]
    names = name, {"wink-left": "wink-right", "wink-right": "wink-left"}.get(name, name)
    plans = [plan_edit(n, p, strength) for n, p in zip(names, (points, mirrored), strict=True)]
    plan, other = map(by_index, plans)
    for i, (handle, target) in plan.items():
        handle2, target2 = other[int(MIRROR[i])]
        np.testing.assert_allclose(handle2, [1023 - handle[0], handle[1]], atol=1e-6)
        np.testing.assert_allclose(target2, [1023 - target[0], target[1]], atol=1e-6)
    masks = [plan.mask(1024, 256) for plan in plans]
    assert (masks[0] != masks[1][:, ::-1]).mean() < 0.002


@pytest.mark.parametrize("name", EDITS)
def test_a_turned_and_scaled_face_gets_the_turned_and_scaled_edit(name):
    points = a_face(1)
    transform = (25.0, 0.37, (130.0, 55.0))
    plan, other = plan_edit(name, points), plan_edit(name, turned(points, *transform))
    np.testing.assert_allclose(other.targets, turned(plan.targets, *transform), atol=1e-6)
    for a, b in zip(plan.region, other.region, strict=True):
        np.testing.assert_allclose(b.centre, turned(a.centre, *transform), atol=1e-6)
        np.testing.assert_allclose(b.half_axes, 0.37 * np.array(a.half_axes), atol=1e-6)


@pytest.mark.parametrize("name", EDITS)
def test_strength_zero_does_nothing_and_offsets_grow_with_it(name):
    points = a_face()
    zero, half, one = (plan_edit(name, points, s) for s in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(zero.targets, zero.handles)
    np.testing.assert_allclose(half.targets - half.handles, 0.5 * (one.targets - one.handles), atol=1e-9)
    if EDITS[name].signed:
        back = plan_edit(name, points, -1.0)
        np.testing.assert_allclose(back.targets - back.handles, one.handles - one.targets, atol=1e-9)


@pytest.mark.parametrize("name", EDITS)
def test_all_points_lie_in_the_region_that_may_change(name):
    plan = plan_edit(name, a_face())
    mask = plan.mask(1024, 1024)
    assert 0.005 < mask.mean() < 0.5
    for x, y in np.concatenate((plan.handles, plan.targets)):
        assert mask[round(y), round(x)] == 1, (x, y)


def after(name: str, points: np.ndarray, strength: float = 1.0) -> np.ndarray:
    plan = plan_edit(name, points, strength)
    moved = points.copy()
    moved[list(plan.indices)] = plan.targets
    return moved


def test_what_the_edits_reach_is_what_their_measures_say():
    points = a_face()
    before = measures(points)
    for name in ("slim", "smile", "close-eyes"):
        assert reached(name, before, measures(after(name, points)))
        assert not reached(name, before, before)
    assert reached("big-eyes", before, before) is None
    smile = measures(after("smile", points))
    assert smile["lip_gap"] == pytest.approx(before["lip_gap"], abs=1e-9)
    assert np.linalg.norm(after("slim", points)[8] - points[8]) == 0  # the chin stays
    assert measures(after("open-mouth", points))["lip_gap"] > before["lip_gap"] + 0.1
    assert measures(after("open-eyes", points))["eye_opening"] > 1.1 * before["eye_opening"]
    closed = after("close-eyes", points, 2.0)
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        np.testing.assert_allclose(closed[upper], closed[lower], atol=1e-9)  # they meet, and never cross


def test_measures_do_not_depend_on_size_and_tilt():
    points = a_face(2)
    for name, value in measures(points).items():
        assert measures(turned(points, -31.0, 2.5))[name] == pytest.approx(value, abs=1e-9)


def test_ellipses_are_drawn_where_they_are():
    ellipse = Ellipse(np.array([40.0, 60.0]), (20.0, 10.0), np.array([1.0, 0.0]))
    mask = region_mask((ellipse,), 100, 100)
    assert mask.sum() == pytest.approx(np.pi * 20 * 10, rel=0.02)
    y, x = np.nonzero(mask)
    assert (x.mean(), y.mean()) == (pytest.approx(40), pytest.approx(60))
    assert region_mask((ellipse,), 100, 50).sum() == pytest.approx(np.pi * 10 * 5, rel=0.05)


def test_mistakes_are_named():
    with pytest.raises(EditError, match="unknown edit 'wink'; known: slim, smile, close-eyes"):
        find_edit("wink")
    with pytest.raises(EditError, match="strength of smile must be in -2 to 2, got 2.5"):
        find_edit("smile", 2.5)
    with pytest.raises(EditError, match="strength of close-eyes must be in 0 to 2, got -1"):
        find_edit("close-eyes", -1.0)
    with pytest.raises(EditError, match="nan"):
        find_edit("smile", float("nan"))
    with pytest.raises(ValueError, match="the eyes fall together"):
        frame(np.zeros((68, 2)))
    with pytest.raises(ValueError, match=r"\(68, 2\)"):
        plan_edit("smile", np.zeros((5, 2)))
