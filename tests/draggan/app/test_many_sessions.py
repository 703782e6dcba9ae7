"""Several sessions: their tasks wait for one another; they are bounded, age, and leave no memory and no files."""

import gc
import time
from pathlib import Path

import pytest
from app_sessions import finish

from draggan.app import sessions as live
from draggan.app.sessions import Sessions
from draggan.app.texts import TranslatedError


def test_drags_wait_for_their_turn_and_a_drop_ends_them(sessions):
    people = [sessions.get(f"person {i}") for i in range(3)]
    for person in people:
        person.generate(5)
        person.choose_edit("smile")
        person.start()
    assert [person.view().place for person in people][1:] == [1, 2]
    assert people[2].view().place == 2
    folder = people[0].files.path
    sessions.drop("person 0")  # in mid-drag
    people[1].stop()
    people[2].stop()
    for person in people[1:]:
        finish(person)
    deadline = time.monotonic() + 600
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not folder.exists()
    for i in (1, 2):
        sessions.drop(f"person {i}")


def test_a_photo_that_is_being_opened_when_its_session_ends_is_a_sentence(sessions, monkeypatch, tmp_path):
    session, sent = sessions.get("somebody"), tmp_path / "anna.png"
    session.generate(5)
    sent.write_bytes(session.history.now.path.read_bytes())
    detect = sessions.models.detector.detect

    def leaves(image):
        sessions.drop("somebody")
        return detect(image)

    monkeypatch.setattr(sessions.models.detector, "detect", leaves)
    with pytest.raises(TranslatedError, match="This session has ended"):
        session.change_photo("open", sent, "anna.png", True)
    assert not sent.exists()


def test_sessions_are_bounded_and_age(sessions, monkeypatch):
    monkeypatch.setattr(live, "LIVE_SESSIONS", sessions.live + 1)
    old = sessions.get("old")
    with pytest.raises(TranslatedError, match="Too many people"):
        sessions.get("one too many")
    old.used -= 2 * live.IDLE_SECONDS
    sessions.get("now there is room")
    assert not old.files.path.exists()
    sessions.drop("now there is room")


def test_idle_sessions_end_though_nobody_asks(monkeypatch):
    monkeypatch.setattr(live, "CHECK_EVERY", 0.05)
    monkeypatch.setattr(live, "IDLE_SECONDS", 0.2)
    sessions = Sessions()
    folder = sessions.get("somebody").files.path
    deadline = time.monotonic() + 600
    while (sessions.live or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not sessions.live
    assert not folder.exists()
    sessions.close()


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_memory_of_200_sessions_goes(sessions):
    def visit(i: int) -> None:
        session = sessions.get(f"visitor {i}")
        session.generate(5)
        session.choose_edit("smile")
        sessions.drop(f"visitor {i}")

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
    assert not list(sessions.folder.glob("*/*.png"))
