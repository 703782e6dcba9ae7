"""A session without a browser: edits, points by hand, settings, stop, undo and redo."""

from types import SimpleNamespace

import numpy as np
import pytest
from app_sessions import finish

from draggan.app.handlers import DEFAULTS, RANGES, Handlers
from draggan.app.texts import Mistake, say_error


def test_an_edit_is_marked_dragged_undone_and_redone(session):
    session.choose_edit("open-mouth", 1.0)  # of which nothing is learned: the drag does it all
    marked = session.view()
    assert marked.note[0] == "press_start"
    assert marked.image.suffix == ".jpg"
    assert not marked.running
    before = session.picture.copy()
    session.start()
    views = finish(session)
    end = views[-1]
    assert end.note[0] == "done"
    assert 1 <= end.step <= 80
    assert len([view for view in views if view.running]) > 3  # it could be watched
    assert end.before.is_file()
    assert end.result.is_file()
    after = session.picture.copy()
    assert np.abs(before.astype(int) - after).max() > 30
    session.undo()
    assert np.array_equal(session.picture, before)
    session.redo()
    assert np.array_equal(session.picture, after)
    with pytest.raises(Mistake, match="nothing_to_redo"):
        session.redo()
    session.go_to(0)
    assert np.array_equal(session.picture, before)
    session.undo()
    assert np.array_equal(session.picture, after)


def test_stop_keeps_the_state_and_start_goes_on(session):
    session.click(400, 600)
    session.click(460, 600)
    start = session.styles.clone()
    session.start()
    stopped = finish(session, stop_at=3)[-1]
    assert stopped.note[0] == "stopped"
    half = session.styles.clone()
    assert not half.equal(start)
    session.start()
    again = finish(session, stop_at=stopped.step + 2)[-1]
    assert again.step > stopped.step
    assert not session.styles.equal(half)
    assert len(session.history.shots) == 3


def test_an_edit_goes_on_after_stop_to_the_same_end(session):
    session.choose_edit("open-mouth", 0.6)
    pull = session._pull
    session.start()
    stopped = finish(session, stop_at=3)[-1]
    assert stopped.note[0] == "stopped"
    assert session.marks.region is not None
    session.start()
    end = finish(session)[-1]
    assert pull.over
    assert end.step > stopped.step
    assert end.note[0] == "done"
    assert end.before == session.history.shots[0].path  # of the whole edit


def test_an_edit_that_fails_leaves_the_marks_and_starts_nothing(session):
    session.click(400, 600)
    session.click(460, 600)
    for name, strength in (("close-eyes", -1.0), ("none", 1.0), ("smile", 3.0)):
        with pytest.raises(Mistake, match="bad_strength|unknown_edit"):
            session.choose_edit(name, strength, at_once=True)
        assert not session.running
        assert session.marks.handles == [[400, 600]]


def test_points_that_have_not_arrived_can_go_on(session):
    session.set("max_steps", 2)
    session.click(400, 600)
    session.click(500, 600)
    session.start()
    end = finish(session)[-1]
    assert end.note[0] == "points_not_done"
    assert end.step == 2
    assert session.marks.targets == [[500, 600]]
    session.start()
    assert finish(session)[-1].note[0] == "points_not_done"


@pytest.mark.parametrize("name", ["w_plus", *RANGES])
def test_settings_of_the_page_reach_the_drag(studio, session, request, name):
    value = not DEFAULTS[name] if name == "w_plus" else RANGES[name][0] + 3 * RANGES[name][2]
    assert value != DEFAULTS[name]
    visitor = SimpleNamespace(session_hash=request.node.name)
    assert studio.session(visitor.session_hash) is session
    handler = Handlers(studio, 5).set(name)
    handler(visitor, value)
    session.click(400, 600)
    session.click(460, 600)
    session.start()
    pull = session._pull
    finish(session, stop_at=1)
    assert getattr(pull._drag.settings, name) == value
    session.choose_edit("smile")
    assert getattr(session._pull.run.settings, name) == value
    handler(visitor, DEFAULTS[name])
    assert name not in session.settings


def test_the_strength_reaches_the_plan(session):
    ways = []
    for strength in (0.5, 1.0, -1.0):
        session.choose_edit("smile", strength)
        ways.append(np.subtract(session.marks.targets, session.marks.handles))
    assert np.allclose(ways[1], 2 * ways[0])
    assert np.allclose(ways[2], -ways[1])
    assert np.abs(ways[1]).max() > 5


def test_points_by_hand_and_mistakes(session):
    with pytest.raises(Mistake, match="nothing_marked"):
        session.start()
    session.click(10, 10)
    assert session.view().note[0] == "click_target"
    with pytest.raises(Mistake, match="outside"):
        session.click(5000, 10)
    session.click(30, 30)
    session.undo_point()
    assert (len(session.marks.handles), len(session.marks.targets)) == (1, 0)
    session.clear_points()
    assert not session.marks.handles
    with pytest.raises(Mistake, match="empty_region"):
        session.set_region(np.zeros((64, 64)))
    session.set_region(np.ones((64, 64)))
    assert session.marks.region.shape == (64, 64)
    with pytest.raises(Mistake, match="bad_seed"):
        session.generate(-1)
    session.click(400, 600)
    session.click(460, 600)
    session.start()
    with pytest.raises(Mistake, match="running"):
        session.choose_edit("smile")
    session.stop()
    finish(session)


def test_no_face_is_said_in_plain_words(session, monkeypatch):
    monkeypatch.setattr(session.studio.detector, "detect", lambda image: [])
    with pytest.raises(Mistake) as raised:
        session.choose_edit("smile")
    assert "No face was found" in say_error(raised.value)
    assert "未找到人脸" in say_error(raised.value, "zh-CN")


def test_a_failing_drag_is_said_and_the_next_one_runs(session, monkeypatch):
    session.choose_edit("smile")
    monkeypatch.setattr(session._pull, "step", lambda: 1 / 0)
    session.start()
    assert finish(session)[-1].note[0] == "failed"
    session.choose_edit("open-mouth")
    session.start()
    assert finish(session, stop_at=1)[-1].note[0] == "stopped"
