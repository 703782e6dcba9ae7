"""The real page in headless Chromium. Pictures: test-output/. What scripts call: test_endpoints.py."""

import numpy as np
import pytest
from app_server import FETCHED, SLOW, note_says, wait_until
from browser import OUTPUT
from canvas import click_picture, draw, fill
from PIL import Image

from draggan.editor import EditTask

SHOWN_NOW = "() => document.querySelector('#picture .shown').src"


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
    assert download.value.suggested_filename == "animation.mp4"  # its other kinds: test_page_results.py
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


def test_an_edit_goes_on_after_stop(visit, app):
    page = visit()
    page.click("#edit-small-nose")  # of which nothing is learned: the drag does it all
    note_says(page, "step [3-9]", "#progress")
    page.click("#stop")
    note_says(page, "Stopped after")
    session = app.only_session()
    task, step = session.task, session.screen.step
    assert isinstance(task, EditTask)
    assert task.edits == {"small-nose": 1.0}
    page.click("#start")
    note_says(page, "Done: Small nose|ended after")
    assert session.screen.step > step
    assert session.history.now.title == "small-nose"
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


def test_random_face_and_landmarks(visit, app):
    page = visit()
    seed = page.input_value("#seed input")
    page.click("#random")
    page.wait_for_function("s => document.querySelector('#seed input').value != s", arg=seed, timeout=SLOW)
    session = app.only_session()
    assert page.input_value("#seed input") == str(session.face.subject.seed)
    for seed, key in ((4123456789, "Tab"), (3, "Enter")):
        old = page.evaluate(SHOWN_NOW)
        page.fill("#seed input", str(seed))
        page.keyboard.press(key)
        # The session first: the picture of the face before may still be on its way to the page.
        wait_until(lambda seed=seed: session.face.subject.seed == seed)
        page.wait_for_function(f"src => ({SHOWN_NOW})() !== src", arg=old, timeout=SLOW)
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
    page.focus("#edit-small-nose")
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
    assert folder.is_dir()  # the page may come back
    app.sessions.clean(0)
    wait_until(lambda: not folder.exists())


def test_a_page_that_is_loaded_again_finds_its_work(visit, app, long_drags):
    page, session = visit(leaves=True), app.only_session()
    page.fill("#seed input", "7")
    page.keyboard.press("Enter")
    wait_until(lambda: session.face.subject.seed == 7)
    draw(page, (0.35, 0.75), (0.35, 0.6))
    note_says(page, "Press Start")
    session.set("max_steps", 25)  # longer than the page takes to load
    page.click("#start")
    note_says(page, "step [2-9]", "#progress")
    page.on("dialog", lambda dialog: dialog.accept())  # results that were not downloaded
    page.reload()
    page.wait_for_selector("#picture .shown[src]", timeout=SLOW)
    note_says(page, "Dragging|Ended|Done")
    assert app.only_session() is session
    page.wait_for_selector(".target", state="attached", timeout=SLOW)
    assert page.input_value("#seed input") == "7"
    note_says(page, "Ended|Done")
    page.wait_for_function("document.querySelectorAll('#history .thumbnail-item').length == 3", timeout=SLOW)
    draw(page, (0.6, 0.4), (0.6, 0.5))  # the picture goes on counting
    wait_until(lambda: len(session.marks.targets) >= 1 and abs(session.marks.targets[-1][0] - 614) < 5)
