"""The app without a browser: sessions, their drags, the line, history, memory and files."""

import gc
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from draggan.app import studio as studios
from draggan.app.drawing import overlay
from draggan.app.studio import Studio
from draggan.app.texts import EN, ZH, Mistake, say, say_error
from draggan.app.turns import BusyError, Turns


@pytest.fixture(scope="module")
def studio():
    studio = Studio()
    yield studio
    studio.close()
    assert not studio.folder.exists()


@pytest.fixture
def session(studio, request):
    session = studio.session(request.node.name)
    session.generate(5)
    yield session
    studio.drop(request.node.name)


def finish(session, stop_at: int | None = None) -> list:
    views = []
    for view in session.watch():
        views.append(view)
        if stop_at and view.step >= stop_at:
            session.stop()
    return views


def test_a_smile_is_marked_dragged_undone_and_redone(session):
    session.choose_edit("smile", 1.0)
    marked = session.view()
    assert marked.note[0] == "press_start"
    assert marked.image.suffix == ".jpg"
    assert not marked.running
    before = session.picture.copy()
    session.start()
    views = finish(session)
    end = views[-1]
    assert end.note[0] == "done"
    assert 1 <= end.step <= 80
    assert len([view for view in views if view.running]) > 3  # it could be watched
    assert end.before.is_file()
    assert end.result.is_file()
    assert Image.open(end.result).text["Comment"].startswith("AI-made")
    with Image.open(end.animation) as animation:
        assert animation.n_frames >= 3
    after = session.picture.copy()
    assert np.abs(before.astype(int) - after).max() > 30
    session.undo()
    assert np.array_equal(session.picture, before)
    session.redo()
    assert np.array_equal(session.picture, after)
    with pytest.raises(Mistake, match="nothing_to_redo"):
        session.redo()
    session.go_to(0)
    assert np.array_equal(session.picture, before)
    session.undo()
    assert np.array_equal(session.picture, after)


def test_stop_keeps_the_state_and_start_goes_on(session):
    session.click(400, 600)
    session.click(460, 600)
    start = session.styles.clone()
    session.start()
    stopped = finish(session, stop_at=3)[-1]
    assert stopped.note[0] == "stopped"
    half = session.styles.clone()
    assert not half.equal(start)
    session.start()
    again = finish(session, stop_at=stopped.step + 2)[-1]
    assert again.step > stopped.step
    assert not session.styles.equal(half)
    assert len(session.history.shots) == 3


def test_points_by_hand_and_mistakes(session):
    with pytest.raises(Mistake, match="nothing_marked"):
        session.start()
    session.click(10, 10)
    assert session.view().note[0] == "click_target"
    with pytest.raises(Mistake, match="outside"):
        session.click(5000, 10)
    session.click(30, 30)
    session.undo_point()
    assert (len(session.marks.handles), len(session.marks.targets)) == (1, 0)
    session.clear_points()
    assert not session.marks.handles
    with pytest.raises(Mistake, match="empty_region"):
        session.set_region(np.zeros((64, 64)))
    session.set_region(np.ones((64, 64)))
    assert session.marks.region.shape == (64, 64)
    with pytest.raises(Mistake, match="bad_seed"):
        session.generate(-1)
    session.click(400, 600)
    session.click(460, 600)
    session.start()
    with pytest.raises(Mistake, match="running"):
        session.choose_edit("smile")
    session.stop()
    finish(session)


def test_no_face_is_said_in_plain_words(session, monkeypatch):
    monkeypatch.setattr(session.studio.detector, "detect", lambda image: [])
    with pytest.raises(Mistake) as raised:
        session.choose_edit("smile")
    assert "No face was found" in say_error(raised.value)
    assert "未找到人脸" in say_error(raised.value, "zh-CN")


def test_a_failing_drag_is_said_and_the_next_one_runs(session, monkeypatch):
    session.choose_edit("smile")
    monkeypatch.setattr(session._pull, "step", lambda: 1 / 0)
    session.start()
    assert finish(session)[-1].note[0] == "failed"
    session.choose_edit("smile")
    session.start()
    assert finish(session, stop_at=1)[-1].note[0] == "stopped"


def test_drags_wait_for_their_turn_and_a_drop_ends_them(studio):
    people = [studio.session(f"person {i}") for i in range(3)]
    for person in people:
        person.generate(5)
        person.choose_edit("smile")
        person.start()
    assert [studio.turns.place(person._job) for person in people][1:] == [1, 2]
    assert people[2].view().place == 2
    folder = people[0].folder
    studio.drop("person 0")  # in mid-drag
    people[1].stop()
    people[2].stop()
    for person in people[1:]:
        finish(person)
    deadline = time.monotonic() + 20
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not folder.exists()
    for i in (1, 2):
        studio.drop(f"person {i}")


def test_the_line_is_bounded():
    turns, gate = Turns(waiting=1), threading.Event()
    turns.submit(gate.wait)
    turns.submit(lambda: None)
    with pytest.raises(BusyError):
        turns.submit(lambda: None)
    gate.set()


def test_sessions_are_bounded_and_age(studio, monkeypatch):
    monkeypatch.setattr(studios, "LIVE_SESSIONS", studio.live + 1)
    old = studio.session("old")
    with pytest.raises(Mistake, match="full"):
        studio.session("one too many")
    old.used -= 2 * studios.IDLE_SECONDS
    studio.session("now there is room")
    assert not old.folder.exists()
    studio.drop("now there is room")


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_memory_of_200_sessions_goes(studio):
    def visit(i: int) -> None:
        session = studio.session(f"visitor {i}")
        session.generate(5)
        session.choose_edit("smile")
        studio.drop(f"visitor {i}")

    for i in range(5):
        visit(i)
    gc.collect()
    before = resident()
    for i in range(200):
        visit(i)
    gc.collect()
    grown = (resident() - before) / 2**20
    print(f"200 sessions: {grown:.1f} MiB more")
    assert grown < 100
    assert not list(studio.folder.glob("*/*.png"))


def test_texts_are_complete_and_alike():
    assert EN.keys() == ZH.keys()
    for key in EN:
        assert EN[key].count("{") == ZH[key].count("{"), key
    assert say("start", "zh-CN") == "开始"


def test_overlay_leaves_the_picture_alone():
    picture = np.full((64, 64, 3), 200, np.uint8)
    mask = np.zeros((16, 16))
    mask[4:12, 4:12] = 1
    drawn = overlay(picture, [[20, 20], [40, 40]], [[30, 20]], mask)
    assert (picture == 200).all()
    assert drawn[2, 2].max() < 130  # outside the region: darker
    assert not (drawn[20, 20] == 200).all()
