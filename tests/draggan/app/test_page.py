"""The real page in headless Chromium. Pictures: test-output/. What scripts call: test_app_endpoints.py."""

import numpy as np
import pytest
from app_server import FETCHED, SLOW, note_says, wait_until
from browser import OUTPUT
from PIL import Image

from draggan.app import session as session_module
from draggan.app.jobs import points_task
from draggan.editor import EditTask


def click_picture(page, x: float, y: float) -> None:
    """At a share of the picture's width and height."""
    page.evaluate("document.querySelector('#picture').scrollIntoView({block: 'center'})")
    box = page.locator("#picture img").bounding_box()
    side = min(box["width"], box["height"])
    left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    page.mouse.click(left + x * side, top + y * side)


def fill(page, element: str, value) -> None:
    field = page.locator(f"{element} input[type=number]")
    field.fill(str(value))
    field.press("Tab")


def choose_model(page, name: str) -> None:
    page.click("#model input")
    page.get_by_role("option", name=name).click()


def test_smile_from_click_to_result(visit, app):
    page = visit(height=1020)  # done.png is what pics/app.jpg was copied from
    page.click("#edit-smile")
    note_says(page, "Press Start")
    page.screenshot(path=OUTPUT / "edit.png")
    assert not page.is_visible("#compare")
    page.click("#start")
    note_says(page, "step [0-9]", "#progress")
    page.screenshot(path=OUTPUT / "drag.png")
    note_says(page, "Done")
    page.wait_for_selector("#compare img", timeout=SLOW)
    page.wait_for_timeout(500)
    page.screenshot(path=OUTPUT / "done.png")
    with page.expect_download() as download:
        page.click("#download")
    with Image.open(download.value.path()) as image:
        assert image.format == "PNG"
        assert image.text["Comment"].startswith("AI-made")
        assert np.array_equal(np.array(image), app.only_session().face.picture)
    with page.expect_download() as download:
        page.click("#download-animation")
    with Image.open(download.value.path()) as animation:
        assert animation.format == "WEBP"
        assert animation.n_frames >= 2
        assert animation.getexif()[0x010E].startswith("AI-made")
    page.get_by_role("tab", name="Animation").click()
    page.wait_for_selector("#animation img", timeout=SLOW)
    page.click("#undo")
    note_says(page, "Back at")
    page.click("#undo")
    note_says(page, "Nothing to undo")
    page.click("#redo")
    note_says(page, "Back at")
    page.click("#redo")
    note_says(page, "Nothing to redo")
    page.locator("#history button img").nth(1).click()
    note_says(page, "Back at")


def test_points_by_hand_stop_go_on_and_clear(visit, app):
    page = visit()
    page.click("#start")
    note_says(page, "Nothing is marked")
    click_picture(page, 0.40, 0.60)
    note_says(page, "where this point")
    click_picture(page, 0.70, 0.60)
    note_says(page, "press Start")
    page.click("#move-last-point")
    note_says(page, "where the last point belongs")
    click_picture(page, 0.60, 0.60)
    note_says(page, "press Start")
    marks = app.only_session().marks
    assert np.allclose((marks.handles, marks.targets), [[[409, 614]], [[614, 614]]], atol=4)
    page.screenshot(path=OUTPUT / "points.png")
    page.click("#start")
    note_says(page, "step [2-9]", "#progress")
    page.click("#stop")
    note_says(page, "Stopped after")
    step = app.only_session().screen.step
    page.screenshot(path=OUTPUT / "stopped.png")
    page.click("#start")
    note_says(page, "Dragging|Ended|Done")
    wait_until(lambda: app.only_session().screen.step > step)
    page.click("#stop")
    note_says(page, "Stopped after")
    page.click("#clear-points")
    note_says(page, "Click a point")


def test_presses_that_come_fast_all_count(visit, app):
    """Each comes before the one before has been answered, or while the picture with its answer is loading."""
    page, session = visit(), app.only_session()
    for x, y in ((0.40, 0.60), (0.50, 0.60), (0.40, 0.70)):
        click_picture(page, x, y)
    wait_until(lambda: len(session.marks.handles) == 2)
    assert np.allclose(session.marks.handles, [[409, 614], [409, 716]], atol=4)
    assert np.allclose(session.marks.targets, [[512, 614]], atol=4)
    for _ in range(3):
        page.click("#undo-point")
    wait_until(lambda: not session.marks.handles)


def test_an_edit_goes_on_after_stop(visit, app):
    page = visit()
    fill(page, "#strength", 1.5)  # a long way: Stop is to come in the middle of it
    page.check("#at-once input")
    page.click("#edit-open-mouth")  # of which nothing is learned: the drag does it all
    note_says(page, "step [3-9]", "#progress")
    page.click("#stop")
    note_says(page, "Stopped after")
    session = app.only_session()
    task, step = session.task, session.screen.step
    assert isinstance(task, EditTask)
    assert task.edits == {"open-mouth": 1.5}
    page.click("#start")
    note_says(page, "Done after|Ended after")
    assert session.screen.step > step
    assert session.history.now.title == "open-mouth"
    assert task.reason == "the landmarks have arrived"


def test_start_at_once_starts_nothing_older_where_the_edit_fails(visit, app):
    page = visit()
    click_picture(page, 0.40, 0.60)
    note_says(page, "where this point")
    click_picture(page, 0.50, 0.60)
    note_says(page, "press Start")
    page.check("#at-once input")
    fill(page, "#strength", -1)
    page.click("#edit-close-eyes")
    note_says(page, "strength of Close eyes must be from 0 to 2")
    assert not app.only_session().running
    assert len(app.only_session().marks.targets) == 1


def test_points_by_keyboard(visit, app):
    page = visit()
    page.click("#by-hand button")
    page.focus("#x input")
    for keys in ("400", "Tab", "600", "Enter"):
        page.keyboard.press(keys) if keys.isalpha() else page.keyboard.type(keys)
    note_says(page, "where this point")
    page.keyboard.press("Control+A")
    page.keyboard.type("580")
    page.keyboard.press("Enter")
    note_says(page, "press Start")
    marks = app.only_session().marks
    assert (marks.handles, marks.targets) == ([[400, 600]], [[400, 580]])
    page.keyboard.press("Control+A")
    page.keyboard.type("5000")
    page.keyboard.press("Enter")
    note_says(page, "outside the picture: x and y go from 0 to 1023")


def test_settings_and_the_painted_region_reach_the_drag(visit, app, monkeypatch):
    made = []  # a drag of three steps may be over before anybody looks
    keep = lambda *given: made.append(points_task(*given)) or made[-1]  # noqa: E731
    monkeypatch.setattr(session_module, "points_task", keep)
    page = visit()
    page.click("#by-hand button")
    page.click("#paint")
    canvas = page.locator("#brush canvas").first
    canvas.wait_for(timeout=SLOW)
    page.wait_for_timeout(1500)  # the editor fits the picture into its canvas
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"], steps=10)
    page.mouse.up()
    page.wait_for_timeout(300)
    page.screenshot(path=OUTPUT / "brush.png", full_page=True)
    page.click("#use-region")
    note_says(page, "Only the bright region")
    page.click("#advanced button")
    number = page.locator("#max_steps input[type=number]")
    number.wait_for()
    default = number.input_value()
    fill(page, "#max_steps", 3)
    fill(page, "#lr", 0.003)
    page.uncheck("#w_plus input")
    session = app.only_session()
    wait_until(lambda: len(session.settings) == 3)
    page.screenshot(path=OUTPUT / "advanced.png", full_page=True)
    click_picture(page, 0.40, 0.60)
    note_says(page, "where this point")
    click_picture(page, 0.50, 0.60)
    note_says(page, "press Start")
    page.click("#start")
    note_says(page, "Ended after 3 steps .* the step limit")
    (task,) = made
    assert (task.settings.max_steps, task.settings.lr, task.settings.w_plus) == (3, 0.003, False)
    height, width = task.mask.shape
    free = np.argwhere(task.mask > 0) / (height, width)
    assert 0.01 < len(free) / (height * width) < 0.5
    assert np.allclose(free.mean(axis=0), (0.6, 0.5), atol=0.1)
    assert task._drag._fixed is not None
    page.click("#defaults")
    wait_until(lambda: not session.settings)
    assert number.input_value() == default


def test_random_face_and_landmarks(visit, app):
    page = visit()
    seed = page.input_value("#seed input")
    page.click("#random")
    page.wait_for_function("s => document.querySelector('#seed input').value != s", arg=seed, timeout=SLOW)
    session = app.only_session()
    assert page.input_value("#seed input") == str(session.face.subject.seed)
    fill(page, "#seed", 3)
    page.focus("#seed input")
    page.keyboard.press("Enter")
    wait_until(lambda: session.face.subject.seed == 3)
    before = session.view().version
    page.check("#landmarks input")
    wait_until(lambda: session.view().version > before)
    with Image.open(session.view().image) as image:
        x, y = session.face.points.round().astype(int)[30]  # tip of the nose: a green dot
        red, green, blue = np.array(image)[y, x].astype(int)
    assert green > red + 40
    assert green > blue + 40
    page.wait_for_timeout(300)
    page.screenshot(path=OUTPUT / "landmarks.png")


def test_a_model_that_makes_no_faces(visit, app):
    page = visit()
    choose_model(page, "tiny-lions")
    note_says(page, "does not make faces.*Points by hand work")
    assert page.is_disabled("#edit-smile")
    page.screenshot(path=OUTPUT / "lions.png")
    click_picture(page, 0.40, 0.50)
    note_says(page, "where this point")
    click_picture(page, 0.55, 0.50)
    note_says(page, "press Start")
    start = app.only_session().face.styles.clone()
    page.click("#start")
    note_says(page, "Done after|Ended after")
    session = app.only_session()
    assert session.face.generator.resolution == 64
    assert not session.face.styles.equal(start)
    assert page.is_visible("#why-not")
    choose_model(page, "mobile-ffhq")
    note_says(page, "Choose an edit")
    assert page.is_enabled("#edit-smile")
    assert not page.is_visible("#why-not")


def test_a_model_is_fetched_with_progress(visit, app):
    page = visit()
    assert not page.is_visible("#fetch")
    choose_model(page, f"{FETCHED} ↓")
    note_says(page, f"{FETCHED} is not here yet")
    assert app.only_session().face.generator.name == "mobile-ffhq"
    page.screenshot(path=OUTPUT / "not-here.png")
    page.click("#fetch")
    note_says(page, r"Fetching.* 0\.[1-4] of about 0\.5 MB")
    page.screenshot(path=OUTPUT / "fetching.png")
    note_says(page, "does not make faces")
    assert app.only_session().face.generator.name == FETCHED
    assert not page.is_visible("#fetch")
    page.click("#model input")
    assert page.get_by_role("option", name=FETCHED).inner_text().strip().endswith(FETCHED)  # no size any more


@pytest.mark.parametrize("width", [390])
def test_chinese_at_a_phones_width_by_keyboard(visit, app, width):
    page = visit("zh-CN", width, 844)
    assert page.inner_text("#start") == "开始"
    assert page.inner_text("#edit-smile") == "微笑"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.focus("#edit-open-mouth")
    page.keyboard.press("Enter")
    note_says(page, "请按开始")
    page.screenshot(path=OUTPUT / "phone.png", full_page=True)
    page.focus("#start")
    page.keyboard.press("Space")
    note_says(page, "第 [1-9]", "#progress")
    page.focus("#stop")
    page.keyboard.press("Enter")
    note_says(page, "步后停止")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=OUTPUT / "phone-stopped.png", full_page=True)


def test_a_closed_page_frees_its_session(visit, app):
    page = visit()
    folder = app.only_session().files.path
    assert folder.is_dir()
    page.context.close()
    wait_until(lambda: app.sessions.live == 0)
    wait_until(lambda: not folder.exists())
