"""The drag by templates and places along the way, on a feature field whose motion is known."""

import numpy as np
import pytest
import torch
from pattern import Pattern, shift

from draggan.freedrag import FreeDrag, FreeDragSettings


def drag(handles, targets, generator=None, **settings):
    settings = FreeDragSettings(**{"lr": 0.02, "free_rows": 1, "longest": 12.0, "patch": 24.0, **settings})
    start = torch.zeros(1, 2, 4)
    return FreeDrag(generator or Pattern(), start, np.array(handles), np.array(targets), settings)


def test_it_reaches_the_target_and_says_so():
    d = drag([[60.0, 64.0], [68.0, 70.0]], [[72.0, 58.0], [80.0, 64.0]])
    steps = list(d.run())
    assert d.stopped == "on target"
    left = np.linalg.norm(shift(d.best_styles) - torch.tensor([12.0, -6.0]))
    assert left < 0.2 * 180**0.5  # renewed templates drift, so it is not all of the way
    assert torch.equal(d.best_styles[:, 1], torch.zeros(1, 4))  # a row that is not free
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))


def test_places_stay_on_the_straight_way_and_move_no_farther_than_allowed():
    d = drag([[60.0, 64.0]], [[76.0, 56.0]])
    places = np.array([step.points[0] for step in d.run()])
    along = np.array([2.0, -1.0]) / 5**0.5
    off = (places - [60, 64]) @ np.array([1.0, 2.0]) / 5**0.5
    assert np.abs(off).max() < 1e-3
    assert np.diff(places @ along).max() <= 12 / 4 + 1e-3  # 12 at 512 are 3 pixels of 128


def test_a_place_that_the_pattern_does_not_follow_to_goes_no_farther():
    stiff = Pattern()
    inner = stiff.features
    stiff.features = lambda styles, resolution=None: inner(styles * 0.01)  # it hardly moves
    d = drag([[60.0, 64.0]], [[90.0, 64.0]], stiff, max_steps=60)
    steps = list(d.run())
    assert d.stopped == "step limit"
    assert max(step.points[0, 0] for step in steps) < 72


def test_nan_ends_it():
    broken = Pattern()
    d = drag([[60.0, 64.0]], [[90.0, 64.0]], broken)
    d.step()
    inner = broken.features
    broken.features = lambda styles, resolution=None: inner(styles) * float("nan")
    list(d.run())
    assert d.stopped == "numbers ran away"
    assert torch.isfinite(d.best_styles).all()


@pytest.mark.parametrize("limit", [1, 7])
def test_the_step_limit(limit):
    d = drag([[60.0, 64.0]], [[100.0, 64.0]], max_steps=limit)
    assert len(list(d.run())) == limit
    assert d.stopped == "step limit"
