"""Photos in the app: sessions, the page in Chromium, the endpoint. Photos themselves: test_photos.py."""

import base64
import gc
import io
import weakref

import cv2
import numpy as np
import pytest
from app_server import SLOW, said, wait_until
from browser import ARGUMENTS, CHROMIUM, OUTPUT
from PIL import Image

from draggan import photos
from draggan.app.studio import Studio
from draggan.app.texts import EN, ZH, Mistake, say, say_error
from draggan.generators import load_generator
from draggan.inversion import PRESETS, Preset

SHORT = Preset(3, 2)  # enough to try everything around it; how good an inversion is: test_photo_editing.py


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setitem(PRESETS, "fast", SHORT)


@pytest.fixture(scope="module")
def photo_path(tmp_path_factory):
    """Two drawn faces, one turned, the other smaller, in a grainy picture of 1000 x 700."""
    generator = load_generator()
    canvas = np.full((700, 1000, 3), (150, 130, 110), np.uint8)
    for seed, angle, side, centre in ((6, 8, 500, (330, 350)), (0, 0, 240, (820, 250))):
        turn = cv2.getRotationMatrix2D((512, 512), angle, side / 1024)
        turn[:, 2] += np.array(centre) - 512
        picture = generator.picture(generator.seed_styles(seed))
        cv2.warpAffine(picture, turn, (1000, 700), canvas, cv2.INTER_AREA, cv2.BORDER_TRANSPARENT)
    grain = np.random.RandomState(0).normal(0, 4, canvas.shape)
    path = tmp_path_factory.mktemp("photos") / "the_two.png"
    Image.fromarray(np.clip(canvas + grain, 0, 255).astype(np.uint8)).save(path)
    return path


def pixels_of(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def bad_photo(kind: str) -> bytes:
    data = io.BytesIO()
    picture = Image.fromarray(np.random.RandomState(0).randint(0, 255, (200, 200, 3)).astype(np.uint8))
    if kind == "heic":
        return b"\0\0\0\x18ftypheic" + bytes(200)
    if kind == "damaged":
        picture.save(data, "JPEG")
        return data.getvalue()[:2000]
    if kind == "too_small":
        picture.resize((10, 10)).save(data, "PNG")
    elif kind == "no_face":
        picture.save(data, "PNG")
    elif kind == "too_large":
        Image.new("1", (15_000, 14_000)).save(data, "PNG")  # 210 megapixels in 30 KB
    else:
        return b"this is no picture"
    return data.getvalue()


BAD = ("heic", "damaged", "too_small", "no_face", "too_large", "no_picture")


# --- sessions -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def studio():
    studio = Studio()
    yield studio
    studio.close()


def finish(session) -> list:
    return list(session.watch(every=0.02))


@pytest.fixture(scope="module")
def found(studio, photo_path):
    """A session with the photo's largest face brought in; and all its views on the way."""
    session = studio.session("photo")
    session.generate(5)
    session.photo.open(photo_path)
    session.photo.bring_in(SHORT)
    return session, finish(session)


@pytest.fixture
def session(found):
    """The same, from the photo's unedited face."""
    session = found[0]
    session.go_to(next(i for i, shot in enumerate(session.history.shots) if shot.title == "photo"))
    return session


def test_a_face_of_a_photo_is_brought_in(found, photo_path):
    session, views = found
    assert len(views[0].photo.faces) == 2
    steps = [view.progress[1] for view in views if view.progress]
    assert steps[-1]["steps"] == SHORT.steps + SHORT.tuning_steps
    assert [step["step"] for step in steps] == sorted(step["step"] for step in steps)
    assert len({view.image for view in views}) >= 3  # the face before, previews, the photo's face
    assert views[-1].note == ("photo_ready", {})
    editor = session.subject.editor
    assert np.array_equal(session.history.now.path.read_bytes()[:4], b"\x89PNG")
    assert np.array_equal(session.picture, editor.face.aligned)  # not what the generator makes of it
    with Image.open(session.history.now.path) as image:
        assert image.text["Comment"] == "The face of a photo, cut out; not edited"
    whole = views[-1].photo
    assert np.abs(pixels_of(whole.after).astype(int) - pixels_of(photo_path)).mean() < 4  # as JPEG
    assert np.array_equal(pixels_of(whole.before), pixels_of(whole.after))


def test_an_edit_goes_back_into_the_whole_photo(session, photo_path):
    session.choose_edit("smile", 1.0, at_once=True)
    view = finish(session)[-1]
    assert view.note[0] in ("done", "done_at_once", "not_done")
    assert view.note[1]["share"] > 0.2
    editor = session.subject.editor
    path = session.photo.write()
    assert path.name == "the_two_edited.png"
    photo, edited = pixels_of(photo_path), pixels_of(path)
    changed = (photo != edited).any(axis=2)
    rows, columns = np.nonzero(changed)
    mouth = editor.face.face.points[48:68]
    assert changed[tuple(mouth.mean(axis=0).round().astype(int)[::-1])]
    low, high = editor.face.face.points.min(axis=0), editor.face.face.points.max(axis=0)
    assert (low - 120 < (columns.min(), rows.min())).all()  # the other face and the rest stay bit for bit
    assert (high + 120 > (columns.max(), rows.max())).all()
    with Image.open(path) as image:
        assert image.text["Comment"].startswith("AI-edited")
        assert image.text["Edit"] == "smile"
    with Image.open(view.result) as image:
        assert image.text["Comment"].startswith("AI-edited")
    with Image.open(view.photo.after) as image:
        assert image.getexif()[0x010E].startswith("AI-edited")
    shown = pixels_of(view.photo.after).astype(int)
    assert np.abs(shown - edited).mean() < np.abs(shown - photo).mean()
    session.undo()
    assert np.array_equal(pixels_of(session.photo.write()), photo)
    session.redo()
    assert np.array_equal(pixels_of(session.photo.write()), edited)


def test_points_by_hand_change_the_photo_where_they_are(session):
    size = session.generator.resolution
    x, y = session.landmarks()[27]  # between the eyes; above it the hair, outside the face's own region
    top = (x, max(30.0, y - 0.36 * size))
    session.set("max_steps", 3)
    session.click(*top)
    session.click(top[0], top[1] + 40)
    before = session.picture.copy()
    assert session.editor.region[round(top[1]), round(top[0])] == 0
    session.start()
    assert finish(session)[-1].note[0] in ("done", "points_not_done")
    session.set("max_steps", None)
    assert session.editor.region[round(top[1]), round(top[0])] > 0.5
    near = (slice(round(top[1]) - 20, round(top[1]) + 60), slice(round(top[0]) - 30, round(top[0]) + 30))
    assert np.abs(session.picture[near].astype(int) - before[near]).mean() > 0.2


def test_stop_keeps_the_best_so_far(studio, photo_path):
    session = studio.session("stopped early")
    session.generate(5)
    session.photo.open(photo_path)
    session.photo.choose(1)
    session.photo.bring_in(Preset(60, 20))
    for view in session.watch(every=0.02):
        if view.step >= 2:
            session.stop()
    assert view.note[0] == "photo_early"
    assert view.note[1]["steps"] == 80
    assert view.step < 60
    assert session.subject.editor.inverted.weights == {}
    assert session.subject.editor.face.face is session.photo.faces[1]
    studio.drop("stopped early")


def test_a_generator_of_a_photo_goes_with_the_next_photo_and_with_the_session(studio, photo_path):
    session = studio.session("memory")
    session.generate(5)
    for index in (0, 1):
        session.photo.open(photo_path)
        session.photo.choose(index)
        session.photo.bring_in(Preset(1, 1))
        finish(session)
        assert session.generator is not studio.generator(studio.model)  # tuned, its own
        if index == 0:
            first = weakref.ref(session.generator), weakref.ref(session.subject.editor)
    gc.collect()
    assert [ref() for ref in first] == [None, None]
    assert [shot.title for shot in session.history.shots] == ["seed", "photo"]
    second = weakref.ref(session.generator), weakref.ref(session.subject.editor), weakref.ref(session)
    studio.drop("memory")
    del session
    gc.collect()
    assert [ref() for ref in second] == [None, None, None]


@pytest.mark.parametrize("kind", BAD)
def test_what_is_wrong_with_a_photo_is_said(studio, tmp_path, kind):
    session = studio.session("bad")
    session.generate(5)
    path = tmp_path / "mine.jpg"
    path.write_bytes(bad_photo(kind))
    with pytest.raises(Mistake) as raised:
        session.photo.open(path, "mine.jpg")
    assert raised.value.key == f"photo_{kind}"
    english, chinese = say_error(raised.value), say_error(raised.value, "zh-CN")
    assert "mine.jpg" in english
    assert "mine.jpg" in chinese
    assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)
    with pytest.raises(Mistake, match="no_photo"):
        session.photo.bring_in()
    studio.drop("bad")


def test_all_that_is_said_of_photos_is_said_in_chinese(tmp_path):
    assert {f"photo_{kind}" for kind in photos.SAID} <= EN.keys() & ZH.keys()
    notices = (("photo_cmyk", {"name": "a.jpg"}), ("photo_bits", {"name": "a.jpg"}))
    assert say("photo_open", "zh-CN", notices=notices).startswith("a.jpg 是 CMYK 照片")
    assert say("photo_open", notices=()).startswith("Press")


def test_a_file_that_was_sent_goes_with_its_photo(studio, photo_path, tmp_path):
    session = studio.session("sent")
    session.generate(5)
    mine, sent = (tmp_path / name for name in ("mine.png", "sent.png"))
    for path in (mine, sent):
        path.write_bytes(photo_path.read_bytes())
    session.photo.open(mine)
    for _ in range(2):  # what is sent twice comes under one name
        session.photo.open(sent, "sent.png", sent=True)
        assert sent.exists()
    session.photo.open(mine)
    assert not sent.exists()
    studio.drop("sent")
    assert mine.exists()


# --- the page -----------------------------------------------------------------------------------------------


def put_in(page, data, name: str = "photo.png") -> None:
    page.locator("#photo input[type=file]").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": data}
    )


def test_photo_smile_and_the_whole_photo_before_and_after(visit, app, photo_path):
    page = visit(height=1020)
    page.get_by_role("tab", name="My photo").click()
    page.click("#bring-in")
    said(page, "Put a photo in first")
    put_in(page, photo_path.read_bytes(), "the two.png")
    said(page, "Face 1 of 2 is chosen")
    page.locator("#faces button img").nth(1).wait_for(timeout=SLOW)
    page.wait_for_timeout(300)
    page.screenshot(path=OUTPUT / "photo-faces.png")
    page.locator("#faces button img").nth(1).click()
    said(page, "Face 2 of 2 is chosen")
    page.locator("#faces button img").nth(0).click()
    said(page, "Face 1 of 2 is chosen")
    page.click("#bring-in")
    said(page, "step [1-9] of 5", "#progress")
    page.screenshot(path=OUTPUT / "photo-search.png")
    said(page, "The face of your photo")
    page.screenshot(path=OUTPUT / "photo-found.png")
    page.check("#at-once input")
    page.click("#edit-smile")
    said(page, "Done|Ended")
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
    page = visit("zh-CN", 390, 844)
    page.get_by_role("tab", name="我的照片").click()
    for kind, words in (
        ("heic", "HEIC 照片"),
        ("damaged", "已损坏"),
        ("no_face", "未找到人脸"),
        ("too_large", "兆像素"),
    ):
        put_in(page, bad_photo(kind), f"{kind}.png")
        said(page, words)
        page.locator("#photo button").first.click()  # takes it away again
    put_in(page, photo_path.read_bytes())
    said(page, "已选第 1 张脸，共 2 张")
    page.wait_for_timeout(300)
    page.screenshot(path=OUTPUT / "phone-photo.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    folder = app.studio.folder / "served"
    assert list(folder.rglob("photo.png"))
    page.context.close()
    wait_until(lambda: not list(folder.rglob("photo.png")))  # what was sent goes with its session


def test_photos_by_camera_and_paste(browser, app, photo_path, tmp_path):
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
        page.wait_for_selector("#picture img")
        page.get_by_role("tab", name="My photo").click()
        page.get_by_label("Capture from camera").click()
        page.get_by_text("Click to Access Webcam").click()
        page.get_by_label("capture photo").click()
        said(page, "Press Use this face|is chosen")
        page.screenshot(path=OUTPUT / "photo-camera.png")
        assert app.only_session().photo.photo.pixels.shape == (448, 640, 3)
        put = "async u => navigator.clipboard.write([new ClipboardItem({'image/png': (await fetch(u)).blob()})])"
        page.evaluate(put, f"data:image/png;base64,{base64.b64encode(photo_path.read_bytes()).decode()}")
        page.locator("#photo button").first.click()  # takes the camera's away
        said(page, "Choose an edit")
        assert app.only_session().photo.photo is None
        page.get_by_label("Paste from clipboard").click()
        said(page, "Face 1 of 2 is chosen")
        assert app.only_session().photo.photo.pixels.shape == (700, 1000, 3)
    wait_until(lambda: app.studio.live == 0)


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
    with pytest.raises(Exception, match="not in the list of choices"):
        client.predict(handle_file(str(photo_path)), "smile", 1.0, "slow", 0, api_name="/photo")
    with pytest.raises(Exception, match="strength"):
        client.predict(None, "smile", 9.0, "fast", 0, api_name="/photo")
    again, _ = client.predict(None, "close-eyes", 0.5, "fast", 0, api_name="/photo")
    assert (pixels_of(again) != edited).any()
    client.close()
    other = Client(app.url, verbose=False)
    with pytest.raises(Exception, match="not of a photo"):
        other.predict(None, "smile", 1.0, "fast", 0, api_name="/photo")
    other.close()
