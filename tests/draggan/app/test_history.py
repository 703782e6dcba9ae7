"""The history of results and its files."""

from pathlib import Path

import pytest

from draggan.app.history import History, Shot, Subject
from draggan.app.texts import Mistake


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
