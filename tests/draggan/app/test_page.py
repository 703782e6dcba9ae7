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
    page.mouse.click(*place(page, x, y))


def place(page, x: float, y: float) -> tuple[float, float]:
    """A share of the picture's width and height in pixels of the window."""
    page.evaluate("document.querySelector('#picture').scrollIntoView({block: 'center'})")
    box = page.locator("#picture .stage").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def draw(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press on the picture, move, and let go; shares of its width and height."""
    page.mouse.move(*place(page, *start))
    page.mouse.down()
    page.mouse.move(*place(page, *end), steps=8)
    page.mouse.up()


def fill(page, element: str, value) -> None:
    field = page.locator(f"{element} input[type=number]")
    field.fill(str(value))
    field.press("Tab")


def choose_model(page, name: str) -> None:
    page.click("#model input")
    page.get_by_role("option", name=name).click()


def test_smile_from_click_to_result(visit, app):
    page = visit(height=1020)  # done.png is what pics/app.jpg was copied from
    page.check("#points-first input")
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
    wait_until(lambda: page.is_disabled("#undo"))
    page.click("#redo")
    note_says(page, "Back at")
    wait_until(lambda: page.is_disabled("#redo"))
    page.locator("#history button img").nth(1).click()
    note_says(page, "Back at")


def test_points_by_hand_stop_go_on_and_clear(visit, app):
    page = visit()
    page.click("#start")
    note_says(page, "Nothing is marked")
    click_picture(page, 0.40, 0.60)
    note_says(page, "where this point")
    click_picture(page, 0.70, 0.60)
    note_says(page, "Press Start")
    page.click("#move-last-point")
    note_says(page, "where the last point belongs")
    click_picture(page, 0.60, 0.60)
    note_says(page, "Press Start")
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
    note_says(page, "Press on a point")


def test_presses_that_come_fast_all_count(visit, app):
    """Each comes before the one before has been answered, or while the picture with its answer is loading."""
    page, session = visit(), app.only_session()
    clicks = [(0.30 + 0.05 * k, 0.40 + 0.02 * (k % 5)) for k in range(9)]
    for x, y in clicks:
        page.mouse.click(*place(page, x, y))
    wait_until(lambda: len(session.marks.handles) == 5)
    expected = 1024 * np.array(clicks) - 0.5
    assert np.allclose(session.marks.handles, expected[::2], atol=4)
    assert np.allclose(session.marks.targets, expected[1::2], atol=4)
    for _ in range(9):
        page.click("#undo-point")
    wait_until(lambda: not session.marks.handles)


def test_points_are_dragged_moved_and_removed_on_the_picture(visit, app):
    page, session = visit(), app.only_session()
    draw(page, (0.4, 0.6), (0.5, 0.5))  # a handle and its target in one go
    draw(page, (0.7, 0.6), (0.7, 0.7))
    wait_until(lambda: len(session.marks.targets) == 2)
    assert np.allclose(session.marks.handles, [[409, 614], [716, 614]], atol=4)
    assert np.allclose(session.marks.targets, [[512, 512], [716, 716]], atol=4)
    draw(page, (0.5, 0.5), (0.45, 0.55))  # the target
    wait_until(lambda: np.allclose(session.marks.targets[0], [461, 563], atol=4))
    page.mouse.click(*place(page, 0.7, 0.6), button="right")
    wait_until(lambda: len(session.marks.handles) == 1)
    page.screenshot(path=OUTPUT / "arrows.png")
    page.click("[data-tool=zoom-in]")
    page.click("[data-tool=zoom-in]")
    page.mouse.dblclick(*place(page, 0.52, 0.5))  # both clicks count: a handle, and its target on the same spot
    wait_until(lambda: len(session.marks.targets) == 2)
    assert np.allclose(session.marks.handles[1], [532, 512], atol=3)
    page.click("#clear-points")
    wait_until(lambda: not session.marks.handles)


def test_points_are_added_while_others_are_dragged(visit, app):
    page, session = visit(), app.only_session()
    draw(page, (0.35, 0.75), (0.35, 0.55))
    note_says(page, "Press Start")
    page.click("#start")
    note_says(page, "step [2-9]", "#progress")
    styles = session.face.styles.clone()
    draw(page, (0.65, 0.75), (0.65, 0.6))
    wait_until(lambda: not session.running or len(session.task.handles) == 2)
    assert session.running
    step = session.screen.step
    wait_until(lambda: session.screen.step > step)
    assert len(session.marks.handles) == 2
    page.click("#stop")
    note_says(page, "Stopped after")
    assert session.face.styles.shape == styles.shape
    assert not session.face.styles.equal(styles)


def test_an_edit_goes_on_after_stop(visit, app):
    page = visit()
    fill(page, "#strength", 1.5)  # a long way: Stop is to come in the middle of it
    page.click("#edit-open-mouth")  # of which nothing is learned: the drag does it all
    note_says(page, "step [3-9]", "#progress")
    page.click("#stop")
    note_says(page, "Stopped after")
    session = app.only_session()
    task, step = session.task, session.screen.step
    assert isinstance(task, EditTask)
    assert task.edits == {"open-mouth": 1.5}
    page.click("#start")
    note_says(page, "Done: Open mouth|ended after")
    assert session.screen.step > step
    assert session.history.now.title == "open-mouth"
    assert task.reason == "the landmarks have arrived"


def test_an_edit_starts_nothing_older_where_the_edit_fails(visit, app):
    page = visit()
    click_picture(page, 0.40, 0.60)
    note_says(page, "where this point")
    click_picture(page, 0.50, 0.60)
    note_says(page, "Press Start")
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
    note_says(page, "Press Start")
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
    page.click("[data-tool=paint]")
    draw(page, (0.4, 0.6), (0.6, 0.6))
    note_says(page, "Only the bright region")
    page.screenshot(path=OUTPUT / "brush.png")
    page.click("[data-tool=points]")
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
    note_says(page, "Press Start")
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
    page.fill("#seed input", "4123456789")
    page.keyboard.press("Tab")
    wait_until(lambda: session.face.subject.seed == 4123456789)
    page.fill("#seed input", "3")
    page.keyboard.press("Enter")
    wait_until(lambda: session.face.subject.seed == 3)
    page.fill("#seed input", "-1")
    page.keyboard.press("Enter")
    note_says(page, "The seed must be a whole number")
    page.check("#landmarks input")
    page.wait_for_selector(".landmark", state="attached", timeout=SLOW)
    places = "dots => dots.map(dot => [+dot.getAttribute('cx'), +dot.getAttribute('cy')])"
    assert np.allclose(page.locator(".landmark").evaluate_all(places), session.face.points, atol=0.1)
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
    note_says(page, "Press Start")
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
    page.check("#points-first input")
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
