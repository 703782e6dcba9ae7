"""Several sessions: their drags take turns, they are bounded, age, and leave no memory and no files."""

import gc
import time
from pathlib import Path

import pytest
from app_sessions import finish

from draggan.app import studio as studios
from draggan.app.studio import Studio
from draggan.app.texts import Mistake


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
