"""A session without a browser: edits, points by hand, settings, stop, undo and redo."""

from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from app_sessions import finish

from draggan.app.handlers import Handlers
from draggan.app.page_state import SHOWN, page_state
from draggan.app.settings import DEFAULTS, RANGES, SETTINGS
from draggan.app.texts import TranslatedError, error_message


def test_an_edit_is_marked_dragged_undone_and_redone(session):
    session.choose_edit("small-nose", 1.0)  # of which nothing is learned: the drag does it all
    marked = session.view()
    assert marked.message.key == "press_start"
    assert marked.image.suffix == ".jpg"
    assert not marked.running
    before = session.face.picture.copy()
    session.start()
    views = finish(session)
    end = views[-1]
    assert end.message.key == "done"
    assert 1 <= end.step <= 80
    assert len([view for view in views if view.running]) > 3  # it could be watched
    assert end.before.is_file()
    assert end.result.is_file()
    after = session.face.picture.copy()
    assert np.abs(before.astype(int) - after).max() > 30
    session.undo()
    assert np.array_equal(session.face.picture, before)
    session.redo()
    assert np.array_equal(session.face.picture, after)
    with pytest.raises(TranslatedError, match="Nothing to redo"):
        session.redo()
    session.go_to(0)
    assert np.array_equal(session.face.picture, before)
    session.undo()
    assert np.array_equal(session.face.picture, after)


def test_stop_keeps_the_state_and_start_goes_on(session):
    session.click(400, 600)
    session.click(460, 600)
    start = session.face.styles.clone()
    session.start()
    stopped = finish(session, stop_at=3)[-1]
    assert stopped.message.key == "stopped"
    half = session.face.styles.clone()
    assert not half.equal(start)
    session.start()
    again = finish(session, stop_at=stopped.step + 2)[-1]
    assert again.step > stopped.step
    assert not session.face.styles.equal(half)
    assert len(session.history.entries) == 3


def test_an_edit_goes_on_after_stop_to_the_same_end(session):
    session.choose_edit("small-nose", 1.0)
    task = session.task
    session.start()
    stopped = finish(session, stop_at=3)[-1]
    assert stopped.message.key == "stopped"
    assert session.marks.region is not None
    session.start()
    end = finish(session)[-1]
    assert task.reason
    assert end.step > stopped.step
    assert end.message.key == "done"
    assert end.before == session.history.entries[0].path  # of the whole edit


def test_an_edit_that_fails_leaves_the_marks_and_starts_nothing(session):
    session.click(400, 600)
    session.click(460, 600)
    for name, strength in (("close-eyes", -1.0), ("none", 1.0), ("smile", 3.0)):
        with pytest.raises(TranslatedError, match="must be from|no edit"):
            session.choose_edit(name, strength, at_once=True)
        assert not session.running
        assert session.marks.handles == [[400, 600]]


def test_points_that_have_not_arrived_can_go_on(session):
    session.set("max_steps", 2)
    session.click(400, 600)
    session.click(500, 600)
    session.start()
    end = finish(session)[-1]
    assert end.message.key == "points_not_done"
    assert end.step == 2
    assert session.marks.targets == [[500, 600]]
    session.start()
    assert finish(session)[-1].message.key == "points_not_done"


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_page_reach_the_drag(sessions, session, request, name):
    value = not DEFAULTS[name] if name == "w_plus" else RANGES[name][0] + 3 * RANGES[name][2]
    assert value != DEFAULTS[name]
    visitor = SimpleNamespace(session_hash=request.node.name)
    assert sessions.get(visitor.session_hash) is session
    handler = Handlers(sessions, 5).set(name)
    handler(visitor, value)
    session.click(400, 600)
    session.click(460, 600)
    session.start()
    task = session.task
    finish(session, stop_at=1)
    assert getattr(task.settings, name) == value
    session.choose_edit("smile")
    assert getattr(session.task.settings, name) == value
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
    with pytest.raises(TranslatedError, match="Nothing is marked"):
        session.start()
    session.click(10, 10)
    assert session.view().message.key == "click_target"
    with pytest.raises(TranslatedError, match="outside"):
        session.click(5000, 10)
    session.click(30, 30)
    session.mark("undo")
    assert (len(session.marks.handles), len(session.marks.targets)) == (1, 0)
    session.mark("clear_points")
    assert not session.marks.handles
    with pytest.raises(TranslatedError, match="Nothing is painted"):
        session.mark("set_region", np.zeros((64, 64)))
    session.mark("set_region", np.ones((64, 64)))
    assert session.marks.region.shape == (64, 64)
    with pytest.raises(TranslatedError, match="The seed must"):
        session.generate(-1)
    session.click(400, 600)
    session.click(460, 600)
    session.start()
    with pytest.raises(TranslatedError, match="running already"):
        session.choose_edit("smile")
    session.stop()
    finish(session)


def test_no_face_is_said_in_plain_words(session, monkeypatch):
    monkeypatch.setattr(session.models.detector, "detect", lambda image: [])
    with pytest.raises(TranslatedError) as raised:
        session.choose_edit("smile")
    assert "No face was found" in error_message(raised.value).text()
    assert "未找到人脸" in error_message(raised.value).text("zh-CN")


def test_a_failing_drag_is_said_and_the_next_one_runs(session, monkeypatch):
    session.choose_edit("smile")
    session.task._steps = (1 / zero for zero in (0,))
    session.start()
    assert finish(session)[-1].message.key == "failed"
    session.choose_edit("small-nose")
    session.start()
    assert finish(session, stop_at=1)[-1].message.key == "stopped"


def test_a_seed_that_is_being_typed_stays(session, sessions, request):
    """What the page knows is not said again: it would stand in place of half a number."""
    visitor = SimpleNamespace(session_hash=request.node.name, headers={})
    handlers = Handlers(sessions, 5)

    def seed(values):
        return values[SHOWN.index("seed")].get("value")

    assert seed(handlers.act("generate", 6)(visitor)) == "6"
    assert seed(handlers.act("show_landmarks", True)(visitor)) is None
    assert seed(handlers.act("undo")(visitor)) == "5"
    assert seed(handlers.act("generate", 7)(visitor)) == "7"
    assert seed(next(handlers.open(visitor, ""))) == "7"  # the page was loaded again


def test_a_new_page_is_not_reminded_of_anything(sessions, request):
    """Who is quick has put a photo in, or opened another tab, before the first answer comes."""
    visitor = SimpleNamespace(session_hash=request.node.name, headers={})
    handlers = Handlers(sessions, 5)
    parts = [SHOWN.index(name) for name in ("source_tabs", "edit_tabs", "photo", "preset")]
    *_, first = handlers.open(visitor, "")
    assert [first[part] for part in parts] == [gr.skip()] * 4
    again = next(handlers.open(visitor, ""))
    assert gr.skip() not in [again[part] for part in parts]
    sessions.drop(request.node.name)


def test_halves_of_a_comparison_have_the_names_of_the_history(session):
    session.choose_edit("small-nose", 0.5)
    session.set("max_steps", 2)
    session.start()
    view = finish(session)[-1]
    assert [one.text().strip() for one in view.compared] == ["5 · unedited", "5 · Small nose 0.5"]
    assert [title.text() for _, title in view.gallery] == [one.text() for one in view.compared]
    assert "<span>5 · 未编辑</span>" in page_state(view, "zh-CN")["halves"]
    session.undo()
    assert page_state(session.view(), "en")["halves"] == ""  # nothing is compared


def test_landmarks_are_shown_where_the_box_says_so(session, sessions, request, monkeypatch):
    visitor, box = SimpleNamespace(session_hash=request.node.name, headers={}), SHOWN.index("landmarks")
    handlers = Handlers(sessions, 5)
    assert handlers.show_landmarks(visitor, True)[box] is True
    assert next(handlers.open(visitor, ""))[box] is True  # the page was loaded again
    assert handlers.show_landmarks(visitor, False)[box] is False
    monkeypatch.setattr(session.models.detector, "detect", lambda image: [])
    session.face.forget()
    assert handlers.show_landmarks(visitor, True)[box] is False  # refused


def test_what_is_said_at_the_end_is_one_number(session):
    """The distance of what is shown, and not that of the last step beside it."""
    session.set("max_steps", 12)
    session.click(400, 600)
    session.click(520, 600)
    session.start()
    task = session.task
    view = finish(session)[-1]
    assert view.progress is None
    assert view.message.values["distance"] == view.distance == task.distance
    assert f"{task.distance:.1f} px are left" in view.message.text()


def test_closed_eyes_are_not_closed_again(session, monkeypatch):
    session.choose_edit("close-eyes", at_once=True)
    assert finish(session)[-1].message.key == "done_at_once"
    results = session.history.entries
    for name in ("wink-left", "close-eyes"):
        session.choose_edit(name, at_once=True)
        view = finish(session)[-1]
        assert view.message.key == "closed_already"
        assert view.step == 0  # of the drag, which would look for what there is already
        assert not view.handles
        assert session.task is None
        assert session.history.entries == results
