"""Photos in a session of the app. Photos themselves: tests/draggan/test_photos.py."""

import gc
import weakref

import numpy as np
import pytest
from app_photos import BAD, SHORT, bad_photo, pixels_of
from PIL import Image

from draggan import photos
from draggan.app.studio import Studio
from draggan.app.texts import EN, ZH, Mistake, say, say_error
from draggan.inversion import Preset


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
