"""Photos in a session of the app. Photos themselves: tests/draggan/test_photos.py."""

import gc
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from app_photos import BAD, SHORT, bad_photo, pixels_of
from PIL import Image

from draggan import photos
from draggan.app.handlers import Handlers
from draggan.app.page_state import SHOWN, loaded_again
from draggan.app.photo_events import PhotoEvents
from draggan.app.sessions import Sessions
from draggan.app.settings import DEFAULTS
from draggan.app.texts import EN, ZH, Message, TranslatedError, error_message
from draggan.inversion import Preset


@pytest.fixture(scope="module")
def sessions():
    sessions = Sessions()
    yield sessions
    sessions.close()


def finish(session) -> list:
    return list(session.watch(every=0.02))


@pytest.fixture(scope="module")
def found(sessions, photo_path):
    """A session with the photo's largest face brought in; and all its views on the way."""
    session = sessions.get("photo")
    session.generate(5)
    session.change_photo("open", photo_path)
    session.bring_in(SHORT)
    return session, finish(session)


@pytest.fixture
def session(found):
    """The same, from the photo's unedited face."""
    session = found[0]
    session.go_to(next(i for i, entry in enumerate(session.history.entries) if entry.title == "photo"))
    return session


def test_a_face_of_a_photo_is_brought_in(found, photo_path):
    session, views = found
    assert len(views[0].photo.faces) == 2
    steps = [view.progress.values for view in views if view.progress]
    assert steps[-1]["steps"] == SHORT.steps + SHORT.tuning_steps
    assert [step["step"] for step in steps] == sorted(step["step"] for step in steps)
    assert len({view.image for view in views}) >= 3  # the face before, previews, the photo's face
    assert views[-1].message == ("photo_ready", {})
    subject = session.face.subject
    assert np.array_equal(session.history.now.path.read_bytes()[:4], b"\x89PNG")
    assert np.array_equal(session.face.picture, subject.cut_out.aligned)  # not what the generator makes of it
    with Image.open(session.history.now.path) as image:
        assert image.text["Comment"] == "The face of a photo, cut out; not edited"
    whole = views[-1].photo
    assert np.abs(pixels_of(whole.after).astype(int) - pixels_of(photo_path)).mean() < 4  # as JPEG
    assert np.array_equal(pixels_of(whole.before), pixels_of(whole.after))


def test_an_edit_goes_back_into_the_whole_photo(session, photo_path):
    session.choose_edit("smile", 1.0, at_once=True)
    view = finish(session)[-1]
    assert view.message.key in ("done", "done_at_once", "not_done")
    assert view.message.values["share"] > 0.2
    subject = session.face.subject
    path = session.stage.save_photo()
    assert path.name == "the_two_edited.png"
    photo, edited = pixels_of(photo_path), pixels_of(path)
    changed = (photo != edited).any(axis=2)
    rows, columns = np.nonzero(changed)
    mouth = subject.cut_out.face.points[48:68]
    assert changed[tuple(mouth.mean(axis=0).round().astype(int)[::-1])]
    low, high = subject.cut_out.face.points.min(axis=0), subject.cut_out.face.points.max(axis=0)
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
    assert np.array_equal(pixels_of(session.stage.save_photo()), photo)
    session.redo()
    assert np.array_equal(pixels_of(session.stage.save_photo()), edited)


def test_points_by_hand_change_the_photo_where_they_are(session):
    size = session.face.generator.resolution
    x, y = session.face.points[27]  # between the eyes; above it the hair, outside the face's own region
    top = (x, max(30.0, y - 0.36 * size))
    session.set("max_steps", 3)
    session.click(*top)
    session.click(top[0], top[1] + 40)
    before = session.face.picture.copy()
    assert session.face.subject.region(session.face)[round(top[1]), round(top[0])] == 0
    session.start()
    assert finish(session)[-1].message.key in ("done", "points_not_done")
    session.set("max_steps", None)
    assert session.face.subject.region(session.face)[round(top[1]), round(top[0])] > 0.5
    near = (slice(round(top[1]) - 20, round(top[1]) + 60), slice(round(top[0]) - 30, round(top[0]) + 30))
    assert np.abs(session.face.picture[near].astype(int) - before[near]).mean() > 0.2


def test_stop_keeps_the_best_so_far(sessions, photo_path):
    session = sessions.get("stopped early")
    session.generate(5)
    session.change_photo("open", photo_path)
    session.change_photo("choose", 1)
    session.bring_in(Preset(60, 20))
    for view in session.watch(every=0.02):
        if view.step >= 2:
            session.stop()
    assert view.message.key == "photo_early"
    assert view.message.values["steps"] == 80
    assert view.step < 60
    assert session.face.subject.inverted.weights == {}
    assert session.face.subject.cut_out.face is session.photo.faces[1]
    sessions.drop("stopped early")


def test_a_generator_of_a_photo_goes_with_the_next_photo_and_with_the_session(sessions, photo_path, tmp_path):
    session = sessions.get("memory")
    session.generate(5)
    other = tmp_path / "other.png"
    Image.fromarray(pixels_of(photo_path)[:, ::-1]).save(other)
    for index, path in enumerate((photo_path, other)):
        session.change_photo("open", path)
        session.change_photo("choose", index)
        session.bring_in(Preset(1, 1))
        finish(session)
        assert session.face.generator is not sessions.models.generator(
            sessions.models.default
        )  # tuned, its own
        if index == 0:
            first = weakref.ref(session.face.generator), weakref.ref(session.face.subject)
    gc.collect()
    assert [ref() for ref in first] == [None, None]
    assert [entry.title for entry in session.history.entries] == ["seed", "photo"]
    second = weakref.ref(session.face.generator), weakref.ref(session.face.subject), weakref.ref(session)
    sessions.drop("memory")
    del session
    gc.collect()
    assert [ref() for ref in second] == [None, None, None]


def test_the_next_face_of_a_photo_keeps_the_changes_of_the_one_before(sessions, photo_path):
    session = sessions.get("both")
    session.generate(5)
    session.change_photo("open", photo_path)
    photo = pixels_of(photo_path)
    session.bring_in(Preset(2, 1))
    finish(session)
    session.set("max_steps", 4)  # changes are enough, whether they show the edits or not
    session.choose_edit("smile", 1.0, at_once=True)
    finish(session)
    first = pixels_of(session.stage.save_photo())
    smiling = (first != photo).any(axis=2)
    assert smiling.any()

    session.change_photo("choose", 1)
    session.bring_in(Preset(2, 1))
    view = finish(session)[-1]
    assert np.array_equal(pixels_of(session.stage.save_photo()), first)
    assert np.abs(pixels_of(view.photo.before).astype(int) - photo).mean() < 4  # as it came; a JPEG
    session.choose_edit("slim", 1.0, at_once=True)
    finish(session)
    both = pixels_of(session.stage.save_photo())
    changed = (both != first).any(axis=2)
    assert changed.any()
    assert np.array_equal(both[~changed], first[~changed])
    box = session.face.subject.cut_out.face.points
    assert np.abs(np.argwhere(changed)[:, 1].mean() - box[:, 0].mean()) < 100

    # The results of both faces are in the history; from one of them the next face is brought in as it is there.
    titles = [entry.title for entry in session.history.entries]
    assert titles == ["seed", "photo", "smile", "photo", "slim"]
    session.go_to(1)
    assert np.array_equal(pixels_of(session.stage.save_photo()), photo)
    session.bring_in(Preset(1, 0))
    finish(session)
    assert np.array_equal(pixels_of(session.stage.save_photo()), photo)
    assert session.face.subject.cut_out.photo is session.photo.photo
    sessions.drop("both")


@pytest.mark.parametrize("kind", BAD)
def test_what_is_wrong_with_a_photo_is_said(sessions, tmp_path, kind):
    session = sessions.get("bad")
    session.generate(5)
    path = tmp_path / "mine.jpg"
    path.write_bytes(bad_photo(kind))
    with pytest.raises(TranslatedError) as raised:
        session.change_photo("open", path, "mine.jpg")
    assert raised.value.key == f"photo_{kind}"
    english, chinese = error_message(raised.value).text(), error_message(raised.value).text("zh-CN")
    assert "mine.jpg" in english
    assert "mine.jpg" in chinese
    assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)
    with pytest.raises(TranslatedError, match="Put a photo in"):
        session.bring_in()
    sessions.drop("bad")


def test_all_that_is_said_of_photos_is_said_in_chinese(tmp_path):
    assert {f"photo_{kind}" for kind in photos.MESSAGES} <= EN.keys() & ZH.keys()
    notices = tuple(Message(kind, {"name": "a.jpg"}) for kind in ("photo_cmyk", "photo_bits"))
    assert Message("photo_open", {"notices": notices}).text("zh-CN").startswith("a.jpg 是 CMYK 照片")
    assert Message("photo_open", {"notices": ()}).text().startswith("Press")


def test_a_file_that_was_sent_goes_with_its_photo(sessions, photo_path, tmp_path):
    session = sessions.get("sent")
    session.generate(5)
    mine, sent = (tmp_path / name for name in ("mine.png", "sent.png"))
    for path in (mine, sent):
        path.write_bytes(photo_path.read_bytes())
    session.change_photo("open", mine)
    for _ in range(2):  # what is sent twice comes under one name
        session.change_photo("open", sent, "sent.png", True)
        assert sent.exists()
    session.change_photo("open", mine)
    assert not sent.exists()
    sessions.drop("sent")
    assert mine.exists()


def test_an_edit_of_another_face_than_the_photos_asks_once(session, photo_path, tmp_path):
    photo, other = session.photo, tmp_path / "other.png"
    Image.fromarray(pixels_of(photo_path)[:, ::-1]).save(other)
    session.change_photo("close")
    photo.ask_whether_meant(session.face)  # no photo is open
    for _ in range(2):  # and again for the next photo
        session.change_photo("open", other)
        with pytest.raises(TranslatedError, match="not used yet"):
            photo.ask_whether_meant(session.face)
        photo.ask_whether_meant(session.face)
    session.change_photo("open", other)
    photo.task(session.model, "fast")  # it was used: another face is shown on purpose now
    photo.ask_whether_meant(session.face)


def test_the_same_face_again_is_shown_at_once_and_nothing_is_lost(sessions, photo_path):
    session = sessions.get("again")
    session.generate(5)
    session.change_photo("open", photo_path)
    session.bring_in(SHORT)
    finish(session)
    session.set("max_steps", 2)
    session.choose_edit("small-nose", at_once=True)
    finish(session)
    session.change_photo("open", photo_path)  # put in once more, as after a reload: it is the same one
    results = session.history.entries
    session.photo.ask_whether_to_replace(session.stage.photos)
    session.bring_in(SHORT)
    assert not session.running
    assert session.history.entries == results
    assert session.history.now is results[1]
    assert session.view().message.key == "photo_ready"
    session.bring_in(Preset(2, 1))  # another search is another result
    assert finish(session)[-1].message.key == "photo_ready"
    assert session.history.entries[:3] == results
    sessions.drop("again")


def test_results_of_another_photo_do_not_go_unasked(session, photo_path, tmp_path):
    other = tmp_path / "other.png"
    Image.fromarray(pixels_of(photo_path)[:, ::-1]).save(other)
    session.change_photo("open", other)
    with pytest.raises(TranslatedError, match="results of the_two.png leave"):
        session.photo.ask_whether_to_replace(session.stage.photos)
    session.photo.ask_whether_to_replace(session.stage.photos)  # once


def test_a_photo_that_is_put_in_while_a_task_runs_is_the_one_that_is_used(sessions, photo_path, tmp_path):
    session = sessions.get("meanwhile")
    session.generate(5)
    session.choose_edit("small-nose", at_once=True)
    session.change_photo("open", photo_path)
    assert session.running
    assert session.photo.photo.name == photo_path.name
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(TranslatedError):
        session.change_photo("open", tmp_path / "bad.png")
    assert session.photo.photo is None
    session.stop()
    finish(session)
    sessions.drop("meanwhile")


def test_what_the_box_holds_is_what_is_used(sessions, photo_path, monkeypatch):
    """Also where the session does not know it: it may have ended, and the box is the browser's."""
    visitor = SimpleNamespace(session_hash="box", headers={})
    events = PhotoEvents(Handlers(sessions, 5))
    sessions.served.mkdir(exist_ok=True)
    path = sessions.served / "mine.png"
    path.write_bytes(photo_path.read_bytes())
    sent = {"path": str(path), "orig_name": "mine.png"}
    *_, last = events.bring_in(visitor, sent, "fast")
    session = sessions.get("box")
    assert session.view().message.key == "photo_ready"
    assert session.photo.photo.name == "mine.png"
    events.choose_preset(visitor, "best")
    session.set("max_steps", 7)
    # the page was loaded again: the box holds it, its tab is open, and what was chosen is chosen
    shown = loaded_again(session.view(), 5, session.settings)
    assert (shown["preset"], shown["max_steps"]) == ({"value": "best"}, {"value": 7})
    assert shown["tolerance"] == {"value": DEFAULTS["tolerance"]}
    refused = events.choose_preset(visitor, ["best"])
    assert "must be one of" in refused[SHOWN.index("note")]
    assert Path(shown["photo"]["value"]).is_file()
    assert shown["source_tabs"] == {"selected": "photo"}
    assert session.photo.holds(path)
    assert session.photo.holds(Path("/copies") / Path(shown["photo"]["value"]).name)
    results = session.history.entries
    *_, last = events.bring_in(visitor, sent, "fast")
    assert session.history.entries == results
    (last,) = events.bring_in(visitor, {"path": "/etc/passwd"}, "fast")
    assert last[SHOWN.index("photo")] is None  # refused: it leaves the box
    assert session.photo.photo is None
    (last,) = events.bring_in(visitor, None, "fast")
    assert "Put a photo in first" in last[SHOWN.index("note")]
    sessions.drop("box")

    def full(name):
        raise TranslatedError("full")

    monkeypatch.setattr(sessions, "get", full)
    (last,) = events.bring_in(visitor, sent, "fast")
    assert "Too many people" in last[SHOWN.index("note")]
