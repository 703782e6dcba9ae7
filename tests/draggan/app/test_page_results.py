"""Choosing a face, and what is done with results, on the real page in headless Chromium. Pictures: test-output/."""

import threading
import zipfile

import av
from app_server import SLOW, STILL, note_says, wait_until
from browser import OUTPUT
from canvas import click_picture, fill
from PIL import Image

from draggan.app.handlers import Handlers


def test_a_page_of_faces_and_favourites(visit, app):
    page, session = visit(leaves=True), app.only_session()
    page.click("#favourites")
    note_says(page, "no favourites yet")
    page.click("#favourite")
    note_says(page, "Kept as a favourite")
    page.click("#more-faces")
    page.wait_for_function("document.querySelectorAll('#choices img').length == 12", timeout=SLOW)
    page.screenshot(path=OUTPUT / "twelve.png")
    page.locator("#choices button img").nth(3).click()
    wait_until(lambda: session.choices.faces[3] == ("mobile-ffhq", session.face.subject.seed))
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.wait_for_selector("#picture .shown[src]", timeout=SLOW)
    page.click("#favourites")
    page.wait_for_function("document.querySelectorAll('#choices img').length == 1", timeout=SLOW)
    page.locator("#choices button img").first.click()
    wait_until(lambda: app.only_session().face.subject.seed == 5)
    page.click("#favourite")
    note_says(page, "No longer a favourite")


def test_results_are_compared_deleted_and_downloaded_together(visit, app):
    page, session = visit(), app.only_session()
    page.click("#edit-smile")
    note_says(page, "Done: Smile")
    page.click("#pin")
    note_says(page, "Choose another result")
    page.click("#edit-slim")
    note_says(page, "Done: Slim|Slim face ended")
    smile, slim = session.history.entries[1:]
    assert [page.locator("#history .caption-label").nth(k).inner_text() for k in (0, 1)] == [
        "5 · unedited",
        "5 · Smile",
    ]
    page.locator("#history button img").first.click()
    note_says(page, "Back at")
    assert session.view().before == smile.path  # the pinned one, not what the first face began with
    old = page.get_attribute("#picture .shown", "src")
    page.locator("#history button img").nth(2).click()
    page.wait_for_function(
        "src => document.querySelector('#picture .shown').src !== src", arg=old, timeout=SLOW
    )
    assert session.history.now is slim
    page.wait_for_function("[...document.images].every(one => one.complete)", timeout=SLOW)
    page.click("#delete")
    wait_until(lambda: len(session.history.entries) == 2)
    page.click("#edit-close-eyes")
    note_says(page, "Done: Close eyes|Close eyes ended")
    assert not slim.path.exists()
    for kind in ("mp4", "gif", "webp"):
        page.click("#kind input")
        page.get_by_role("option", name=kind).click()
        with page.expect_download() as download:
            page.click("#download-animation")
        path = download.value.path()
        if kind == "mp4":
            with av.open(str(path)) as film:
                assert film.metadata["comment"].startswith("AI-made")
                assert film.streams.video[0].codec.name == "h264"
                assert sum(1 for _ in film.decode(video=0)) > 25
        else:
            with Image.open(path) as image:
                assert image.format == kind.upper()
                assert image.n_frames >= 2
    with page.expect_download() as download:
        page.click("#download-all")
    with zipfile.ZipFile(download.value.path()) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
    results = ("01_seed5_seed", "02_seed5_smile", "03_seed5_close-eyes")
    assert names == [f"{each}{ending}" for each in results for ending in (".png", "_latent.npz")] + [
        "animation.mp4"
    ]


def test_work_is_saved_and_opened_again(visit, app, tmp_path):
    page, session = visit(), app.only_session()
    page.click("#edit-smile")
    note_says(page, "Done: Smile")
    smile = session.face.picture
    click_picture(page, 0.4, 0.6)
    click_picture(page, 0.44, 0.6)
    wait_until(lambda: len(session.marks.targets) == 1)
    marks = session.marks.handles, session.marks.targets
    page.click("#advanced button")
    page.wait_for_function(STILL, polling=150, timeout=SLOW)  # the sliders are being laid out
    fill(page, "#max_steps", 7)
    wait_until(lambda: session.settings.get("max_steps") == 7)
    with page.expect_download() as download:
        page.click("#save-project")
    assert download.value.suggested_filename == "work.draggan"
    download.value.save_as(tmp_path / "mine.draggan")

    page.click("#random")
    wait_until(lambda: session.face.subject.seed != 5)
    page.click("#defaults")
    wait_until(lambda: not session.settings)
    page.locator("#project input[type=file]").set_input_files(tmp_path / "mine.draggan")
    note_says(page, "Opened, with its results")
    assert (session.face.picture == smile).all()
    assert len(session.history.entries) == 5
    assert (session.marks.handles, session.marks.targets) == marks
    assert session.settings == {"max_steps": 7}
    assert page.input_value("#max_steps input[type=number]") == "7"
    page.screenshot(path=OUTPUT / "project.png", full_page=True)
    page.click("#start")
    note_says(page, "Ended after|Done after")

    (tmp_path / "other.draggan").write_bytes(b"something else")
    page.locator("#project input[type=file]").set_input_files(tmp_path / "other.draggan")
    note_says(page, "other.draggan is no project")


def test_an_answer_that_comes_late_does_not_stay_on_the_page(visit, app, monkeypatch):
    page, session = visit(), app.only_session()
    shown, may_go, held = Handlers.shown, threading.Event(), threading.Event()

    def slowly(self, view, request, **how):
        """The answer of the seed 77 is on its way for longer than that of what is pressed next."""
        answer = shown(self, view, request, **how)
        if view.seed == 77 and view.version == session.version:
            held.set()
            assert may_go.wait(SLOW / 1000)
        return answer

    page.fill("#seed input", "6")
    page.press("#seed input", "Enter")
    page.wait_for_selector("#undo:not([disabled])", timeout=SLOW)
    monkeypatch.setattr(Handlers, "shown", slowly)
    page.fill("#seed input", "77")
    page.press("#seed input", "Enter")
    assert held.wait(SLOW / 1000)
    page.click("#undo")
    page.wait_for_selector("#redo:not([disabled])", timeout=SLOW)
    monkeypatch.setattr(Handlers, "shown", shown)
    may_go.set()
    page.wait_for_selector("#redo[disabled]", timeout=SLOW)  # the late answer is there
    page.wait_for_selector("#redo:not([disabled])", timeout=SLOW)  # and has been seen to be old
    page.wait_for_function("document.querySelector('#seed input').value === '6'", timeout=SLOW)
    assert session.face.subject.seed == 6


def test_a_page_that_is_loaded_again_shows_what_is_so_and_where_one_is(visit, app):
    page, session = visit("en-US", 390, 844, leaves=True, touch=True), app.only_session()
    page.emulate_media(reduced_motion="reduce")
    page.locator("#edit-smile").scroll_into_view_if_needed()
    page.click("#edit-smile")
    page.wait_for_function(
        "document.querySelector('#picture .viewport').getBoundingClientRect().bottom > 200"
    )
    note_says(page, "Done|ended")
    page.check("#landmarks input")
    page.wait_for_selector(".landmark", state="attached", timeout=SLOW)
    session.compare_with_this()
    for _ in range(12):
        session.show(session.face, "seed")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.wait_for_selector(".landmark", state="attached", timeout=SLOW)
    page.wait_for_function("document.querySelector('#landmarks input').checked", timeout=SLOW)
    assert page.inner_text("#pin") == "Compare as before"
    names = page.locator("#halves span")
    names.nth(1).wait_for(state="attached", timeout=SLOW)
    assert [name.strip() for name in names.all_inner_texts()] == ["5 · Smile", "5 · unedited"]
    page.wait_for_function(  # the newest is below the others, and in sight in the history
        """() => {
            const box = document.querySelector('#history .grid-wrap').getBoundingClientRect()
            const shown = document.querySelector('#history .selected')?.getBoundingClientRect()
            return shown && shown.top >= box.top && shown.bottom <= box.bottom + 1
        }""",
        timeout=SLOW,
    )
    assert page.evaluate("document.querySelector('#history .grid-wrap').scrollTop") > 0
    page.screenshot(path=OUTPUT / "phone-again.png", full_page=True)
