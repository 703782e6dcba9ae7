"""Sliders in the app: sessions, and the page in Chromium. What sliders draw: test_instant.py."""

import contextlib

import numpy as np
import pytest
from app_server import SLOW, note_says, wait_until
from browser import OUTPUT
from PIL import Image

from draggan import instant
from draggan.app.page_state import page_state
from draggan.app.sessions import Sessions
from draggan.app.texts import TranslatedError
from draggan.editor import EditTask
from draggan.generators import ContinuedGenerator
from draggan.identity import FROM_START, same_person


@pytest.fixture(scope="module")
def sessions():
    sessions = Sessions()
    yield sessions
    sessions.close()


@pytest.fixture
def session(sessions, request):
    session = sessions.get(request.node.name)
    session.generate(5)
    yield session
    sessions.drop(request.node.name)


def finish(session) -> list:
    return list(session.watch(every=0.02))


def slide(session, **strengths) -> list:
    for name, strength in strengths.items():
        session.move_slider(name, strength)
    session.release_slider()
    return finish(session)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def pixels_of(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def test_the_face_follows_and_several_add_up(session):
    start = session.face.picture.copy()
    views = slide(session, smile=0.8)
    assert len({view.image for view in views}) >= 3  # as it was, a small picture, the whole one
    assert views[-1].message == ("slid", {})
    assert views[-1].strengths == {"smile": 0.8}
    assert views[-1].before == session.history.entries[0].path
    smiling = session.face.picture.copy()
    mouth, eyes = (
        session.face.points[part].mean(axis=0).astype(int) for part in (slice(48, 60), slice(36, 48))
    )
    near = lambda point: (slice(point[1] - 60, point[1] + 60), slice(point[0] - 120, point[0] + 120))  # noqa: E731
    assert difference(start[near(mouth)], smiling[near(mouth)]) > 5
    assert difference(start[near(eyes)], smiling[near(eyes)]) < 2
    assert difference(start[:100], smiling[:100]) < 0.5  # what is outside the region stays
    view = slide(session, slim=0.5)[-1]
    assert view.strengths == {"smile": 0.8, "slim": 0.5}
    assert session.history.now.title == "slim 0.5, smile 0.8"
    assert difference(smiling, session.face.picture) > 0.5
    view = slide(session, smile=0, slim=0)[-1]
    assert view.strengths == {}
    assert np.array_equal(session.face.picture, start)


def test_undo_puts_the_sliders_back(session):
    slide(session, smile=0.5)
    one = session.face.picture.copy()
    slide(session, smile=1.0)
    session.undo()
    assert session.view().strengths == {"smile": 0.5}
    assert np.array_equal(session.face.picture, one)
    slide(session, **{"close-eyes": 0.5})
    assert session.view().strengths == {"smile": 0.5, "close-eyes": 0.5}
    session.go_to(0)
    assert session.view().strengths == {}
    session.generate(6)
    assert session.view().strengths == {}
    slide(session, smile=0.5)
    assert session.sliders.start is session.history.entries[-2]


def test_sliders_stand_as_for_what_is_shown_also_after_something_else(session):
    slide(session, smile=0.5)
    start = session.history.entries[0]
    session.choose_edit("slim", 0.5, at_once=True)
    assert finish(session)[-1].strengths == {}
    session.undo()
    assert session.view().strengths == {"smile": 0.5}
    assert slide(session, smile=0.8)[-1].strengths == {"smile": 0.8}  # and they go on counting from there
    assert session.sliders.start is start


def test_sliders_that_go_too_far_together_stop_at_the_last_whole_face(session):
    """Of seed 1 a smile of 1.65 tears the mouth of a face that is slim by 1.5; each alone is whole."""
    session.generate(1)
    start = session.face
    view = slide(session, slim=1.5, smile=1.65)[-1]
    assert view.message.key == "slid_short"
    assert same_person(start, session.face, FROM_START)
    part = view.strengths["slim"] / 1.5
    assert 0 < part < 1
    assert view.strengths["smile"] == pytest.approx(
        1.65 * part, abs=0.01
    )  # what the sliders say is what is shown
    assert page_state(view, "en")["slide_smile"]["value"] == view.strengths["smile"]
    assert not session.sliders.behind
    assert slide(session, slim=0)[-1].message.key == "slid"


def test_fast_moves_are_one_result(session):
    session.move_slider("smile", 0.1)
    for strength in np.linspace(0.15, 0.9, 16):
        session.move_slider("smile", float(strength))
    session.release_slider()
    finish(session)
    assert [entry.title for entry in session.history.entries] == ["seed", "smile 0.9"]


def test_a_slider_that_nobody_lets_go_is_still_after_a_while(session):
    session.move_slider("smile", 0.4)  # as by a key
    finish(session)
    assert session.history.now.title == "smile 0.4"


def test_start_drags_from_what_the_sliders_made(session):
    slide(session, smile=0.7)
    instant, start = session.face.picture.copy(), session.history.entries[0]
    session.start()
    task = session.task
    assert isinstance(task, EditTask)
    assert task.edits == {"smile": 0.7}
    assert len(session.marks.targets) == len(task.plan.targets)
    assert session.marks.region is not None
    first = task.start
    end = finish(session)[-1]
    assert np.array_equal(first.picture, pixels_of(start.path))
    assert end.message.key in ("done", "done_at_once")
    assert end.before == start.path
    assert end.strengths == {}  # what was reached is where sliders begin anew
    assert session.history.now.title == "smile 0.7"
    assert difference(instant, pixels_of(start.path)) > 0.5


def test_what_is_in_the_history_can_be_drawn_again(session):
    slide(session, smile=0.6)
    session.choose_edit("slim", 0.5, at_once=True)
    finish(session)
    slide(session, smile=0.3)
    session.set("max_steps", 3)
    shown = session.face.picture.copy()
    session.click(512, 60)
    session.click(512, 90)
    session.start()
    start = session.task.start
    assert isinstance(start.generator, ContinuedGenerator)
    assert difference(start.picture, shown) < 0.01  # no jump at the start
    finish(session)
    assert difference(session.face.picture[:150], shown[:150]) > 0.2  # and it may change what no region held
    assert len(session.history.entries) == 5
    for entry in session.history.entries:
        entry.face.forget()
        assert difference(entry.face.picture, pixels_of(entry.path)) < 0.01, entry.title


def test_mistakes(session, monkeypatch):
    for name, strength, words in (
        ("small-nose", 1.0, "Nothing was learned of"),
        ("smile", 3.0, "must be from"),
        ("close-eyes", -1.0, "must be from"),
        ("smile", float("nan"), "must be from"),
    ):
        with pytest.raises(TranslatedError, match=words):
            session.move_slider(name, strength)
    assert not session.running
    monkeypatch.setattr(session.models.detector, "detect", lambda image: [])
    session.face.forget()
    session.move_slider("smile", 0.5)
    assert finish(session)[-1].message.key == "no_face"
    assert session.view().strengths == {}


def test_stop_leaves_picture_and_sliders_as_they_were(session, monkeypatch):
    monkeypatch.setattr(instant, "STILL", 60.0)
    before = session.face.picture.copy()
    session.move_slider("smile", 0.5)
    with pytest.raises(TranslatedError, match="running already"):
        session.start()
    session.stop()
    assert finish(session)[-1].message.key == "stopped_sliding"
    assert session.view().strengths == {}
    assert np.array_equal(session.face.picture, before)


# --- the page -----------------------------------------------------------------------------------------------


def test_sliders_by_mouse_keyboard_number_and_double_click(visit, app):
    page = visit(height=1020)
    page.get_by_role("tab", name="Sliders").click()
    slider = page.locator("#slide-smile input[type=range]")
    slider.wait_for(timeout=SLOW)
    assert not page.is_visible("#slide-small-nose")
    assert "Small nose" in page.inner_text("#about-sliders")
    session = app.only_session()

    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    for share in (0.55, 0.6, 0.65, 0.7):
        page.mouse.move(box["x"] + share * box["width"], middle)
        page.wait_for_timeout(60)
    page.mouse.up()
    note_says(page, "lets the drag do the rest")
    wait_until(lambda: session.view().strengths.get("smile", 0) > 0.5)
    note_says(page, "lets the drag do the rest")
    page.wait_for_selector("#compare img", timeout=SLOW)
    page.wait_for_timeout(500)
    page.screenshot(path=OUTPUT / "sliders.png")

    other = page.locator("#slide-close-eyes input[type=range]")
    other.focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    wait_until(lambda: abs(session.view().strengths.get("close-eyes", 0) - 0.3) < 1e-6)
    number = page.locator("#slide-slim input[type=number]")
    number.fill("0.5")
    number.press("Tab")
    wait_until(lambda: session.view().strengths.get("slim") == 0.5)
    note_says(page, "lets the drag do the rest")
    # While the slimmer face is still on its way to the page, it may bring the slider back to where it was; then a user
    # presses again, and so does this.
    for _ in range(10):
        other.dblclick()
        with contextlib.suppress(AssertionError):
            wait_until(lambda: "close-eyes" not in session.view().strengths, seconds=20)
            break
    assert "close-eyes" not in session.view().strengths
    note_says(page, "lets the drag do the rest")
    page.wait_for_function("e => e.value === '0'", arg=other.element_handle(), timeout=SLOW)

    page.click("#undo")
    note_says(page, "Back at")
    wait_until(lambda: other.input_value() == "0.3")
    page.click("#redo")
    note_says(page, "Back at")
    wait_until(lambda: other.input_value() == "0")
    page.click("#start")
    note_says(page, "Done")
    assert session.history.now.title == "slim 0.5, smile 0.9"
    wait_until(lambda: slider.input_value() == "0")


def test_sliders_are_off_where_nothing_was_learned(visit, app):
    page = visit("zh-CN", 390, 844)
    page.click("#model input")
    page.get_by_role("option", name="tiny-lions").click()
    note_says(page, "不生成人脸")
    page.get_by_role("tab", name="滑块").click()
    page.wait_for_selector("#slide-smile", state="hidden", timeout=SLOW)
    assert "不是人脸模型" in page.inner_text("#about-sliders")
    page.click("#model input")
    page.get_by_role("option", name="mobile-ffhq").click()
    page.wait_for_selector("#slide-smile", timeout=SLOW)
    page.screenshot(path=OUTPUT / "phone-sliders.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
