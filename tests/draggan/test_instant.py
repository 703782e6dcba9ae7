"""Plans of several edits, sliders, and edits that begin with a direction and drag from there."""

import itertools

import cv2
import numpy as np
import pytest
import torch

from draggan.editor import CLOSED_ALREADY, EditTask
from draggan.edits import EDITS, measures, plan_edit, plan_edits, reached, share
from draggan.face import Subject
from draggan.generators import (
    Direction,
    Directions,
    RegionGenerator,
)
from draggan.instant import Sliders
from draggan.judge import closed_eyes
from draggan.measures import SIDES

ALL = {"smile": 1.0, "slim": 0.5, "close-eyes": 0.7}


@pytest.fixture(scope="module")
def sliders(faces):
    return Sliders(faces[0])


# --- plans ----------------------------------------------------------------------------------------------------


def test_a_plan_of_several_edits_is_their_sum_in_any_order(faces):
    points = faces[0].points
    plan = plan_edits(ALL, points)
    again = plan_edits(dict(reversed(ALL.items())), points)
    np.testing.assert_array_equal(plan.targets, again.targets)
    at = dict(zip(plan.indices, plan.targets, strict=True))
    smile = plan_edit("smile", points, 1.0)
    for index, target in zip(smile.indices, smile.targets, strict=True):
        if index not in plan_edit("slim", points, 0.5).indices:
            np.testing.assert_allclose(at[index], target)
    assert len(plan.region) == 4
    soft, hard = plan.mask(1024, 128, soft=True), plan.mask(1024, 128)
    assert (soft <= hard).all()
    assert 0.3 < soft.sum() / hard.sum() < 0.95
    wanted = points.astype(float)
    wanted[list(smile.indices)] = smile.targets
    assert share("smile", smile, points, points) == 0
    assert share("smile", smile, points, wanted) == pytest.approx(1)


# --- sliders --------------------------------------------------------------------------------------------------


def test_the_shipped_directions_show_the_edits_without_a_drag(directions, faces):
    shown = {name: 0 for name in EDITS if name in directions}
    on_the_way = {
        "open-mouth",
        "raise-brows",
        "open-eyes",
    }  # they show with the length that an edit fits to a face
    assert set(shown) == {"slim", "smile", "close-eyes", *on_the_way}
    for face in faces:
        sliders = Sliders(face)
        for name in shown:
            edited = sliders.face({name: 1.0})
            if name in on_the_way:
                shown[name] += share(name, plan_edit(name, face.points), face.points, edited.points) > 0.4
            else:
                shown[name] += bool(reached(name, face.measures, edited.measures))
            fixed = plan_edit(name, face.points).mask(1024, 1024) == 0
            change = np.abs(edited.picture.astype(int) - face.picture)[fixed]
            assert change.mean() / 255 < 0.005  # the region is kept
            assert np.quantile(change, 0.99) <= 8
    assert shown == dict.fromkeys(shown, len(faces))


def test_sliders_combine_in_any_order(faces, sliders):
    a = sliders.face(ALL)
    b = Sliders(faces[0]).face(dict(reversed(ALL.items())))
    np.testing.assert_array_equal(a.picture, b.picture)
    np.testing.assert_array_equal(sliders.face({}).picture, faces[0].picture)
    np.testing.assert_array_equal(sliders.face({"smile": 0.0}).picture, faces[0].picture)


def test_three_edits_at_once_show_all_of_them(faces):
    """By the directions alone, or with the drag's help."""
    all_three = dict.fromkeys(ALL, 1.0)
    for face in faces:
        task = EditTask(face, all_three)
        for _ in task:
            pass
        found = task.result
        assert found.ok
        for name in all_three:
            assert reached(name, face.measures, found.face.measures), name


@pytest.mark.parametrize("moved", ["smile", "close-eyes"])
def test_a_moving_slider_makes_no_jump(sliders, moved):
    others = {"slim": 1.0} if moved == "close-eyes" else {}
    frames = [sliders.face({moved: s, **others}).preview(256).astype(int) for s in np.linspace(0, 1, 17)]
    jumps = [np.abs(b - a).mean() for a, b in itertools.pairwise(frames)]
    assert max(jumps) <= 3 * np.median(jumps)
    assert sum(jumps) > 0.2  # it moves


def test_a_slim_face_is_the_same_face_moved_and_stays_so_under_a_smile(faces, sliders):
    slim = sliders.face({"slim": 1.0})
    assert slim.region.by_motion
    assert not (slim.picture == slim.drawn()).all()
    smiling = Sliders(slim).face({"smile": 1.0})
    assert reached("smile", slim.measures, smiling.measures)
    fixed = plan_edit("smile", slim.points).mask(1024, 1024) == 0
    change = np.abs(smiling.picture.astype(int) - slim.picture)[fixed]
    assert change.mean() / 255 < 0.005
    assert np.quantile(change, 0.99) <= 8
    away = np.abs(smiling.drawn().astype(int) - slim.picture)[fixed]
    assert change.mean() < 0.2 * away.mean()  # the picture under it is the moved one, and not the one drawn
    small = slim.preview(256).astype(float)
    large = cv2.resize(slim.picture, (256, 256), interpolation=cv2.INTER_AREA)
    assert np.abs(small - large).mean() < 3
    both = sliders.face({"slim": 1.0, "smile": 0.5})  # a smile is more than motion, and is laid over it
    assert (both.region.by_motion, both.region.under.region.by_motion) == (False, True)


def test_each_eye_is_judged_by_itself(faces):
    """Landmarks know faces as symmetric: a closed eye beside an open one is read as half open, and the other way."""
    (start,) = faces[1:]
    winking = Sliders(start).face({"wink-right": 1.0})

    def opening(face, eye):
        return measures(face.points_by(eye))[f"eye_opening_{SIDES[eye]}"]

    assert opening(winking, 0) == pytest.approx(opening(start, 0), abs=0.03)  # plain landmarks: 0.08 less
    assert opening(winking, 1) < 0.5 * opening(start, 1)
    assert closed_eyes(winking) == [1]
    second = EditTask(winking, "wink-left")
    assert [progress.step for progress in second] == [0]  # no drag
    assert second.ok
    assert opening(second.face, 0) < 0.5 * opening(start, 0)
    again = EditTask(winking, "wink-right", instant=True)
    for _ in again:
        pass
    assert again.reason == CLOSED_ALREADY
    other = EditTask(winking, "close-eyes", instant=True)  # of which one is closed
    for _ in other:
        pass
    assert other.ok
    assert closed_eyes(other.face) == [0, 1]


def test_two_winks_together_close_each_eye_once(faces):
    both = Sliders(faces[1]).face({"wink-left": 1.0, "wink-right": 1.0})
    closed = Sliders(faces[1]).face({"close-eyes": 1.0})
    eyes = plan_edit("close-eyes", faces[1].points).mask(512, 512) > 0
    assert np.abs(both.preview(512).astype(int) - closed.preview(512))[eyes].mean() < 6


def test_an_edit_on_an_edited_face_keeps_the_first(sliders):
    smiling = sliders.face({"smile": 1.0})
    np.testing.assert_array_equal(Sliders(smiling).face({}).picture, smiling.picture)
    blind = Sliders(smiling).face({"close-eyes": 1.0})
    mouth = smiling.points[48:68].astype(int)
    (x0, y0), (x1, y1) = mouth.min(axis=0), mouth.max(axis=0)
    assert np.abs(blind.picture[y0:y1, x0:x1].astype(int) - smiling.picture[y0:y1, x0:x1]).mean() < 1.5


# --- direction, then drag -------------------------------------------------------------------------------------


def test_a_task_begins_with_the_direction_and_drags_from_there(faces):
    task = EditTask(faces[1], {"smile": 1.0, "slim": 1.0}, goal=0.8)
    steps = []
    for progress in task:
        steps.append(progress.step)
        if progress.step == 2:
            break
    assert steps == [0, 1, 2]
    assert task.judge.share(task.judge.look(task.result.face)) > 0.3
    assert isinstance(task.result.face.generator, RegionGenerator)
    alone = EditTask(faces[1], "smile", instant=True)
    assert [progress.step for progress in alone] == [0]
    assert alone.result.ok
    assert alone.result.steps == 0


@pytest.mark.parametrize("name", ["smile", "close-eyes"])
def test_a_drag_goes_on_from_the_direction_only_where_that_is_good_for_the_edit(faces, name):
    task = EditTask(faces[0], name, goal=0.95)
    steps = iter(task)
    instant, first = next(steps), next(steps)
    assert (instant.step, first.step) == (0, 1)
    assert instant.share < 0.95
    assert isinstance(task.face.generator, RegionGenerator) == EDITS[name].drag_on
    handles = faces[0].points if name == "close-eyes" else instant.face.points
    away = np.linalg.norm(first.handles - handles[list(task.plan.indices)], axis=1)
    assert np.median(away) < 6  # one step from there


def test_what_is_nearly_there_is_done_where_its_measures_show_it(faces, monkeypatch):
    start = faces[0].points
    task = EditTask(faces[0], "slim")
    narrow = np.array(start, float)  # the jaw on the way to the plan's targets
    narrow[list(task.plan.indices)] += 0.42 * (task.plan.targets - task.plan.handles)
    goal = EDITS["slim"].goal
    seen = {None: narrow}
    assert goal - 0.12 < task.judge.share(seen) < goal
    assert reached("slim", measures(start), measures(narrow))
    assert task.judge.done(seen)
    assert not EditTask(faces[0], "slim", strength=1.5).judge.done(seen)  # which wants more than the measures
    assert not EditTask(faces[0], "slim", goal=goal).judge.done(seen)
    monkeypatch.setattr("draggan.judge.reached", lambda *_: False)
    assert not task.judge.done(seen)


@pytest.mark.parametrize("kind", ["none", "for another edit", "without effect"])
def test_without_a_direction_that_helps_the_drag_does_it_all(generator, detector, directions, kind):
    still = Direction(torch.zeros(13, 512))
    learned = {
        "none": None,
        "for another edit": Directions({"slim": directions.edits["slim"]}, generator.mean_w),
        "without effect": Directions({"smile": still}, generator.mean_w),
    }[kind]
    task = EditTask(Subject(generator, detector, learned, 0).face(), "smile")
    first = next(iter(task))
    assert first.step == 1
    assert task.face.generator is generator
