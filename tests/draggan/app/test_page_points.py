"""Points and the painted region on the real page, in headless Chromium. Pictures: test-output/."""

import numpy as np
from app_server import note_says, wait_until
from browser import OUTPUT
from canvas import click_picture, draw, fill, place

from draggan.app import session as session_module
from draggan.app.jobs import points_task


def test_points_by_hand_stop_go_on_and_clear(visit, app, long_drags):
    page = visit()
    page.click("#start")
    note_says(page, "Nothing is marked")
    click_picture(page, 0.40, 0.60)
    note_says(page, "where this point")
    click_picture(page, 0.70, 0.60)
    note_says(page, "far away")
    page.click("#move-last-point")
    note_says(page, "where the last point belongs")
    click_picture(page, 0.55, 0.60)
    note_says(page, "Press Start")
    marks = app.only_session().marks
    assert np.allclose((marks.handles, marks.targets), [[[409, 614]], [[563, 614]]], atol=4)
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
    page.mouse.dblclick(
        *place(page, 0.52, 0.5)
    )  # both clicks count: a handle, and its target on the same spot
    wait_until(lambda: len(session.marks.targets) == 2)
    assert np.allclose(session.marks.handles[1], [532, 512], atol=3)
    page.click("#clear-points")
    wait_until(lambda: not session.marks.handles)


def test_points_are_added_while_others_are_dragged(visit, app, long_drags):
    page, session = visit(), app.only_session()
    draw(page, (0.35, 0.75), (0.35, 0.6))
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
