"""The app without a browser: sessions, their drags, the line, history, memory and files."""

import gc
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import download_models
from draggan import generators
from draggan.app import files
from draggan.app import studio as studios
from draggan.app.drawing import overlay
from draggan.app.fetches import Fetches, _here
from draggan.app.handlers import DEFAULTS, RANGES, Handlers
from draggan.app.history import History, Shot, Subject
from draggan.app.marks import Marks
from draggan.app.previews import Previews
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


def test_an_edit_is_marked_dragged_undone_and_redone(session):
    session.choose_edit("open-mouth", 1.0)  # of which nothing is learned: the drag does it all
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


def test_an_edit_goes_on_after_stop_to_the_same_end(session):
    session.choose_edit("open-mouth", 0.6)
    pull = session._pull
    session.start()
    stopped = finish(session, stop_at=3)[-1]
    assert stopped.note[0] == "stopped"
    assert session.marks.region is not None
    session.start()
    end = finish(session)[-1]
    assert pull.over
    assert end.step > stopped.step
    assert end.note[0] == "done"
    assert end.before == session.history.shots[0].path  # of the whole edit


def test_an_edit_that_fails_leaves_the_marks_and_starts_nothing(session):
    session.click(400, 600)
    session.click(460, 600)
    for name, strength in (("close-eyes", -1.0), ("none", 1.0), ("smile", 3.0)):
        with pytest.raises(Mistake, match="bad_strength|unknown_edit"):
            session.choose_edit(name, strength, at_once=True)
        assert not session.running
        assert session.marks.handles == [[400, 600]]


def test_points_that_have_not_arrived_can_go_on(session):
    session.set("max_steps", 2)
    session.click(400, 600)
    session.click(500, 600)
    session.start()
    end = finish(session)[-1]
    assert end.note[0] == "points_not_done"
    assert end.step == 2
    assert session.marks.targets == [[500, 600]]
    session.start()
    assert finish(session)[-1].note[0] == "points_not_done"


@pytest.mark.parametrize("name", ["w_plus", *RANGES])
def test_settings_of_the_page_reach_the_drag(studio, session, request, name):
    value = not DEFAULTS[name] if name == "w_plus" else RANGES[name][0] + 3 * RANGES[name][2]
    assert value != DEFAULTS[name]
    visitor = SimpleNamespace(session_hash=request.node.name)
    assert studio.session(visitor.session_hash) is session
    handler = Handlers(studio, 5).set(name)
    handler(visitor, value)
    session.click(400, 600)
    session.click(460, 600)
    session.start()
    pull = session._pull
    finish(session, stop_at=1)
    assert getattr(pull._drag.settings, name) == value
    session.choose_edit("smile")
    assert getattr(session._pull.run.settings, name) == value
    handler(visitor, DEFAULTS[name])
    assert name not in session.settings


def test_the_strength_reaches_the_plan(session):
    ways = []
    for strength in (0.5, 1.0, -1.0):
        session.choose_edit("smile", strength)
        ways.append(np.subtract(session.marks.targets, session.marks.handles))
    assert np.allclose(ways[1], 2 * ways[0])
    assert np.allclose(ways[2], -ways[1])
    assert np.abs(ways[1]).max() > 5


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
    session.choose_edit("open-mouth")
    session.start()
    assert finish(session, stop_at=1)[-1].note[0] == "stopped"


def test_drags_wait_for_their_turn_and_a_drop_ends_them(studio):
    people = [studio.session(f"person {i}") for i in range(3)]
    for person in people:
        person.generate(5)
        person.choose_edit("smile")
        person.start()
    assert [person.view().place for person in people][1:] == [1, 2]
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
    turns.close()
    assert not turns._thread.is_alive()


def test_sessions_are_bounded_and_age(studio, monkeypatch):
    monkeypatch.setattr(studios, "LIVE_SESSIONS", studio.live + 1)
    old = studio.session("old")
    with pytest.raises(Mistake, match="full"):
        studio.session("one too many")
    old.used -= 2 * studios.IDLE_SECONDS
    studio.session("now there is room")
    assert not old.folder.exists()
    studio.drop("now there is room")


def test_idle_sessions_end_though_nobody_asks(monkeypatch):
    monkeypatch.setattr(studios, "LOOK_AFTER_SECONDS", 0.05)
    monkeypatch.setattr(studios, "IDLE_SECONDS", 0.2)
    studio = Studio()
    folder = studio.session("somebody").folder
    deadline = time.monotonic() + 20
    while (studio.live or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not studio.live
    assert not folder.exists()
    studio.close()


def shot(folder: Path, number: int) -> Shot:
    paths = [folder / f"{number}.{kind}" for kind in ("png", "jpg")]
    for path in paths:
        path.touch()
    return Shot(Subject("m", number, 0.7), "seed", *paths, look=None)


def test_undo_and_redo_meet_no_deleted_file(tmp_path):
    history = History(most=5)
    for number in range(12):
        history.add(shot(tmp_path, number))
        if number == 3:
            history.compare(history.now)
        if number % 4 == 3:
            history.go_to(0)
        assert all(one.path.exists() and one.thumbnail.exists() for one in history._all())
    assert history.before.path.exists()
    for _ in range(4):
        history.walk(-1)
        assert history.now.path.exists()
    with pytest.raises(Mistake, match="nothing_to_undo"):
        history.walk(-1)
    with pytest.raises(Mistake, match="no_such_result"):
        history.go_to(5)
    kept = {one.path for one in history._all()} | {one.thumbnail for one in history._all()}
    assert set(tmp_path.iterdir()) == kept  # and no file is left behind


def test_a_long_history_in_a_session(session):
    for _ in range(45):
        session.show(session.subject, session.styles, session.picture, "seed")
    for _ in range(39):
        session.undo()
    with pytest.raises(Mistake, match="nothing_to_undo"):
        session.undo()
    assert len(list(session.folder.glob("*.png"))) == 40


def test_marks():
    marks = Marks()
    with pytest.raises(Mistake, match="nothing_to_move"):
        marks.move_last()
    marks.place(10, 20, 64)
    with pytest.raises(Mistake, match="nothing_marked"):
        marks.pairs()
    marks.move_last()
    marks.place(11, 21, 64)
    marks.place(30, 40, 64)
    marks.place(5, 5, 64)
    assert [p.tolist() for p in marks.pairs()] == [[[11, 21]], [[30, 40]]]
    for x, y in ((64, 0), (-1, 0), (0, 63.5), (float("nan"), 0)):
        with pytest.raises(Mistake, match="outside"):
            marks.place(x, y, 64)
    marks.undo()
    marks.undo()
    assert (marks.handles, marks.targets) == ([[11, 21]], [])
    with pytest.raises(Mistake, match="empty_region"):
        marks.set_region(np.zeros((8, 8)))


def test_previews_take_a_small_share_of_the_time(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("draggan.app.previews.time", SimpleNamespace(perf_counter=lambda: clock.now))
    for cost in (0.05, 0.5):  # a fast and a slow machine
        previews, drawn = Previews(share=0.12), []
        for number in range(40):
            if previews.due(0.1):
                drawn.append(number)
                with previews.drawing():
                    clock.now += cost
        assert previews.spent <= 0.12 * previews.dragged + cost
        assert drawn[0] == 1  # the first one at once
        assert len(drawn) == (9 if cost == 0.05 else 1)


def test_all_files_say_that_they_are_ai_made(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    with Image.open(files.write_png(tmp_path / "a.png", picture, {"edit": "smile"})) as image:
        assert image.text["Comment"].startswith("AI-made")
        assert '"smile"' in image.text["Edit"]
    with Image.open(files.write_jpeg(tmp_path / "a.jpg", picture, 32)) as image:
        assert image.getexif()[0x010E].startswith("AI-made")
        assert image.size == (32, 32)
    frames = [files.frame(picture // part) for part in (1, 2, 3)]
    with Image.open(files.write_animation(tmp_path / "a.webp", frames)) as image:
        assert image.getexif()[0x010E].startswith("AI-made")
        assert image.n_frames == 3


def test_fetching_counts_its_own_file_and_says_why_it_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(generators, "CHECKPOINTS", tmp_path)
    model = download_models.Model("lions", "", "", (download_models.File("lions.pkl", 1000, urls=("x",)),))
    monkeypatch.setattr(download_models, "MODELS", [model])
    (tmp_path / "lions.pkl.part").write_bytes(b"x" * 300)
    (tmp_path / "horses.pkl.part").write_bytes(b"x" * 5000)
    assert _here(model) == 300
    failing = "import sys; print('error: no way there', file=sys.stderr); sys.exit(2)"
    with pytest.raises(Mistake) as raised:
        list(Fetches((sys.executable, "-c", failing)).fetch("lions"))
    assert say_error(raised.value) == "That did not work: no way there"
    assert list(Fetches().fetch("unknown")) == []


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
    assert "没有进展" in say("not_done", "zh-CN", step=3, share=0.5, reason="no progress")
    for reason in (
        "the landmarks have arrived",
        "on target",
        "no progress",
        "step limit",
        "the face was lost",
    ):
        assert reason in ZH


def test_overlay_leaves_the_picture_alone():
    picture = np.full((64, 64, 3), 200, np.uint8)
    mask = np.zeros((16, 16))
    mask[4:12, 4:12] = 1
    drawn = overlay(picture, [[20, 20], [40, 40]], [[30, 20]], mask)
    assert drawn.shape == (1024, 1024, 3)
    drawn = drawn[8::16, 8::16]
    assert (picture == 200).all()
    assert (drawn[2, 2] == 120).all()  # outside the region: darker
    assert not (drawn[20, 20] == 200).all()
