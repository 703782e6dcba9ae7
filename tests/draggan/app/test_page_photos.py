"""Photos in the page and through the endpoint. Photos themselves: tests/draggan/test_photos.py."""

import base64
import contextlib
import io

import pytest
from app_photos import bad_photo, pixels_of
from app_server import SLOW, note_says, wait_until
from browser import ARGUMENTS, CHROMIUM, OUTPUT
from PIL import Image


def put_in(page, data, name: str = "photo.png") -> None:
    page.locator("#photo input[type=file]").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": data}
    )


def test_photo_smile_and_the_whole_photo_before_and_after(visit, app, photo_path):
    page = visit(height=1020)
    page.get_by_role("tab", name="My photo").click()
    page.click("#bring-in")
    note_says(page, "Put a photo in first")
    put_in(page, photo_path.read_bytes(), "the two.png")
    note_says(page, "Face 1 of 2 is chosen")
    page.locator("#faces button img").nth(1).wait_for(timeout=SLOW)
    page.wait_for_timeout(300)
    page.screenshot(path=OUTPUT / "photo-faces.png")
    page.locator("#faces button img").nth(1).click()
    note_says(page, "Face 2 of 2 is chosen")
    page.locator("#faces button img").nth(0).click()
    note_says(page, "Face 1 of 2 is chosen")
    page.click("#edit-slim")  # the photo is meant, and another face is shown
    note_says(page, "the two.png is not used yet")
    assert not app.only_session().running
    page.click("#bring-in")
    note_says(page, "step [1-9] of 5", "#progress")
    page.screenshot(path=OUTPUT / "photo-search.png")
    note_says(page, "The face of your photo")
    page.screenshot(path=OUTPUT / "photo-found.png")
    app.only_session().set("max_steps", 6)  # the edit need not show in full
    page.click("#edit-smile")
    note_says(page, "Done|Ended")
    page.get_by_role("tab", name="Whole photo").click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('#whole img')].filter(i => i.naturalWidth == 1000).length >= 2",
        timeout=SLOW,
    )
    page.wait_for_timeout(500)
    page.screenshot(path=OUTPUT / "photo-smile.png", full_page=True)
    with page.expect_download() as download:
        page.click("#download-photo")
    assert download.value.suggested_filename == "the_two_edited.png"
    photo, edited = pixels_of(photo_path), pixels_of(download.value.path())
    changed = (photo != edited).any(axis=2)
    assert 0.005 < changed.mean() < 0.3
    assert not changed[:, 700:].any()  # the other face
    page.get_by_role("tab", name="Generated face").click()
    page.click("#random")
    page.wait_for_selector("#whole-tab", state="hidden", timeout=SLOW)
    assert not page.is_visible("#download-photo")


def test_bad_photos_on_a_chinese_phone(visit, app, photo_path):
    page = visit("zh-CN", 390, 844, refused=True)
    page.locator('#strength input[aria-label="强度"]').first.wait_for(
        timeout=SLOW
    )  # Gradio: number input for 强度
    page.get_by_role("tab", name="我的照片").click()
    text = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    page.locator("#photo input[type=file]").set_input_files(text)  # refused by Gradio, told in our words
    toast = page.locator(".toast-message-text")
    toast.filter(has_text="notes.txt 不是图像").wait_for(timeout=SLOW)
    page.locator(".toast-close").first.click()
    for kind, words in (
        ("heic", "HEIC 照片"),
        ("damaged", "已损坏"),
        ("no_face", "未找到人脸"),
        ("too_large", "兆像素"),
    ):
        put_in(page, bad_photo(kind), f"{kind}.png")
        note_says(page, words)
        page.locator("#photo img").wait_for(state="detached", timeout=SLOW)  # what is not used is not shown
    put_in(page, photo_path.read_bytes())
    note_says(page, "已选第 1 张脸，共 2 张")
    page.wait_for_timeout(300)
    page.screenshot(path=OUTPUT / "phone-photo.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    folder = app.sessions.folder / "served"
    assert list(folder.rglob("photo.png"))
    page.context.close()
    wait_until(lambda: app.sessions.live == 0)
    app.sessions.clean(0)
    wait_until(lambda: not list(folder.rglob("photo.png")))  # what was sent goes with its session


def test_photos_by_camera_and_paste(browser, app, photo_path, tmp_path):
    from playwright.sync_api import TimeoutError

    film, data = tmp_path / "film.mjpeg", io.BytesIO()  # what Chromium takes for a camera's pictures
    Image.fromarray(pixels_of(photo_path)).resize((640, 448)).save(data, "JPEG", quality=95)
    film.write_bytes(data.getvalue() * 3)
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    arguments = [*ARGUMENTS, *camera, f"--use-file-for-fake-video-capture={film}"]
    with browser.browser_type.launch(executable_path=CHROMIUM, args=arguments) as other:
        context = other.new_context(permissions=["camera", "clipboard-read", "clipboard-write"])
        context.set_default_timeout(SLOW)
        page = context.new_page()
        page.goto(app.url)
        page.wait_for_selector("#picture .shown[src]")
        page.get_by_role("tab", name="My photo").click()
        page.get_by_label("Capture from camera").click()
        for _ in range(
            20
        ):  # on a busy machine Chromium gives a camera up that does not start; then one asks again
            with contextlib.suppress(TimeoutError):
                page.get_by_text("Click to Access Webcam").click(timeout=5_000)
            with contextlib.suppress(TimeoutError):
                page.get_by_label("capture photo").wait_for(timeout=20_000)
                break
        page.get_by_label("capture photo").click()
        note_says(page, "Press Use this face|is chosen")
        page.screenshot(path=OUTPUT / "photo-camera.png")
        assert app.only_session().photo.photo.pixels.shape == (448, 640, 3)
        put = "async u => navigator.clipboard.write([new ClipboardItem({'image/png': (await fetch(u)).blob()})])"
        page.evaluate(put, f"data:image/png;base64,{base64.b64encode(photo_path.read_bytes()).decode()}")
        page.locator("#photo button").first.click()  # takes the camera's away
        note_says(page, "Choose an edit")
        assert app.only_session().photo.photo is None
        page.get_by_label("Paste from clipboard").click()
        note_says(page, "Face 1 of 2 is chosen")
        assert app.only_session().photo.photo.pixels.shape == (700, 1000, 3)
    wait_until(lambda: app.sessions.live == 0)


# --- the endpoint -------------------------------------------------------------------------------------------


def test_scripts_edit_photos(app, photo_path):
    from gradio_client import Client, handle_file

    client = Client(app.url, verbose=False)
    path, report = client.predict(handle_file(str(photo_path)), "smile", 1.0, "fast", 0, api_name="/photo")
    photo, edited = pixels_of(photo_path), pixels_of(path)
    assert report["share"] > 0.2
    assert report["seed"] is None
    assert edited.shape == photo.shape
    changed = (photo != edited).any(axis=2)
    assert 0.005 < changed.mean() < 0.3
    with pytest.raises(Exception, match="2 faces"):
        client.predict(handle_file(str(photo_path)), "smile", 1.0, "fast", 5, api_name="/photo")
    with pytest.raises(Exception, match="preset must be one of"):
        client.predict(handle_file(str(photo_path)), "smile", 1.0, "slow", 0, api_name="/photo")
    with pytest.raises(Exception, match="strength"):
        client.predict(None, "smile", 9.0, "fast", 0, api_name="/photo")
    app.only_session().set("max_steps", 3)  # any change will do
    again, _ = client.predict(None, "close-eyes", 0.5, "fast", 0, api_name="/photo")
    assert (pixels_of(again) != edited).any()
    client.close()
    other = Client(app.url, verbose=False)
    with pytest.raises(Exception, match="not of a photo"):
        other.predict(None, "smile", 1.0, "fast", 0, api_name="/photo")
    other.close()
