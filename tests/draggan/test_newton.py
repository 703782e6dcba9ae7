"""The Gauss-Newton drag on a feature field whose motion is known, and on the real generator."""

import numpy as np
import pytest
import torch
from pattern import PIXELS, SPREAD, Pattern, shift

from draggan.generators import DEFAULT_PSI, load_generator
from draggan.newton import NewtonDrag, NewtonSettings, Tracker, motion, population


def exactly(handles):
    return lambda styles, expected: torch.tensor(handles).float() + shift(styles)


def drag(handles, targets, observe=None, **settings):
    generator, start = Pattern(), torch.zeros(1, 2, 4)
    return NewtonDrag(
        generator, start, np.array(handles), np.array(targets), observe, NewtonSettings(**settings)
    )


def test_the_population_is_that_of_the_map():
    basis = population(Pattern(), 3)
    assert basis.shape == (3, 4)
    np.testing.assert_allclose(basis.norm(dim=1), DEFAULT_PSI * SPREAD[:3], rtol=0.05)
    np.testing.assert_allclose(basis.abs().argmax(dim=1), [0, 1, 2])


@pytest.mark.parametrize("count", [1, 20])
def test_motion_is_the_known_one(count):
    generator, points = Pattern(), torch.rand(count, 2) * 16 + 56
    change = torch.zeros(4, requires_grad=True)
    styles = torch.cat((change.expand(1, 1, 4), torch.zeros(1, 1, 4)), dim=1)
    found = motion(generator, styles, change, points).view(count, 2, 4)
    known = torch.tensor([[PIXELS, 0, 0, 0], [0, PIXELS, 0, 0]]).expand(count, 2, 4)
    np.testing.assert_allclose(found, known, atol=0.15 * PIXELS)


def test_a_few_steps_reach_the_target_and_change_nothing_else():
    d = drag([[60.0, 64.0]], [[76.0, 58.0]], exactly([[60.0, 64.0]]), longest=64.0)
    steps = list(d.run())
    assert d.stopped == "on target"
    assert len(steps) <= 3
    np.testing.assert_allclose(shift(d.best_styles), [16, -6], atol=0.3)
    assert d.best_styles[0, 0, 2:].abs().max() < 0.01
    assert torch.equal(d.best_styles[:, 1], torch.zeros(1, 4))  # a row that is not free
    assert steps[-1].distances.mean() == pytest.approx(steps[-1].loss)


def test_no_step_is_longer_than_allowed():
    seen = []

    def observe(styles, expected):
        seen.append(shift(styles))
        return torch.tensor([[60.0, 64.0]]) + seen[-1]

    list(drag([[60.0, 64.0]], [[100.0, 64.0]], observe, longest=20.0).run())  # 5 pixels of this picture
    ways = torch.stack([torch.zeros(2), *seen]).diff(dim=0).norm(dim=1)
    assert 4 < ways.max() < 6.5


def test_what_is_seen_corrects_what_was_expected():
    """The observer sees twice the motion that the features show; one step of Broyden's knows."""
    d = drag(
        [[60.0, 64.0]], [[72.0, 64.0]], lambda styles, _: torch.tensor([[60.0, 64.0]]) + 2 * shift(styles)
    )
    steps = list(d.run())
    assert d.stopped == "on target"
    assert len(steps) <= 6
    np.testing.assert_allclose(shift(d.best_styles), [6, 0], atol=0.3)


def test_a_step_that_makes_it_worse_is_not_taken():
    d = drag([[60.0, 64.0]], [[72.0, 64.0]], lambda styles, _: torch.tensor([[40.0, 64.0]]))
    steps = list(d.run())
    assert d.stopped == "no progress"
    assert len(steps) < NewtonSettings.max_steps
    assert torch.equal(d.best_styles, torch.zeros(1, 2, 4))
    assert steps[-1].distances.mean() == pytest.approx(12)


def test_points_that_are_not_found_end_it_where_it_was():
    d = drag([[60.0, 64.0]], [[72.0, 64.0]], lambda styles, _: None)
    list(d.run())
    assert d.stopped == "no progress"
    assert torch.equal(d.best_styles, torch.zeros(1, 2, 4))
    d = drag([[60.0, 64.0]], [[72.0, 64.0]], lambda styles, _: None, max_steps=2)
    assert len(list(d.run())) == 2
    assert d.stopped == "step limit"


def test_the_tracker_finds_what_has_moved_and_stays_inside():
    generator, points = Pattern(wave=6.0), torch.tensor([[60.0, 64.0], [68.0, 60.0]])
    tracker = Tracker(generator, torch.zeros(1, 2, 4), points)
    moved = torch.zeros(1, 2, 4)
    moved[0, 0, :2] = torch.tensor([0.3, -0.2])
    there = points + shift(moved)
    np.testing.assert_allclose(tracker(moved, there), there, atol=0.3)
    wrong = torch.tensor([[1.0, -1.0], [-1.5, 0.5], [0.5, 1.5], [-1.0, -1.0]])  # what is expected weighs, too
    left = torch.stack([tracker(moved, there + off) - there for off in wrong]).norm(dim=-1)
    assert (left < wrong.norm(dim=-1)[:, None]).all()
    assert left.mean() < 0.6 * wrong.norm(dim=-1).mean()
    assert (tracker(moved, torch.tensor([[126.0, 2.0], [1.0, 127.0]])) - 63.5).abs().max() <= 63.5


def test_the_tracker_is_the_observer_where_none_is_given():
    d = drag([[60.0, 64.0], [66.0, 70.0]], [[72.0, 58.0], [78.0, 64.0]])
    list(d.run())
    assert d.stopped == "on target"
    np.testing.assert_allclose(shift(d.best_styles), [12, -6], atol=1.0)


def test_a_real_face_moves_in_a_few_steps():
    generator = load_generator()
    handles, targets = np.array([[512.0, 700.0]]), np.array([[512.0, 740.0]])
    d = NewtonDrag(generator, generator.seed_styles(0), handles, targets)
    steps = list(d.run())
    assert steps[2].distances.mean() < 0.4 * 40
    assert steps[-1].distances.mean() < 0.2 * 40
