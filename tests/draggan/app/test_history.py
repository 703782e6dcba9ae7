"""The history of results and its files."""

from pathlib import Path
from zipfile import ZipFile

import pytest

from draggan.app.history import Entry, History
from draggan.app.jobs import title_of
from draggan.app.texts import TranslatedError


def entry(folder: Path, number: int) -> Entry:
    paths = [folder / f"{number}.{kind}" for kind in ("png", "jpg")]
    for path in paths:
        path.touch()
    return Entry(None, "seed", *paths)


def test_undo_and_redo_meet_no_deleted_file(tmp_path):
    history = History(most=5)
    for number in range(12):
        history.add(entry(tmp_path, number))
        if number == 3:
            history.compare(history.now)
        if number % 4 == 3:
            history.go_to(0)
        assert all(one.path.exists() and one.thumbnail.exists() for one in history._all())
    assert history.before.path.exists()
    for _ in range(4):
        history.walk(-1)
        assert history.now.path.exists()
    with pytest.raises(TranslatedError, match="Nothing to undo"):
        history.walk(-1)
    with pytest.raises(TranslatedError, match="no longer there"):
        history.go_to(5)
    kept = {one.path for one in history._all()} | {one.thumbnail for one in history._all()}
    assert set(tmp_path.iterdir()) == kept  # and no file is left behind


def test_what_is_compared_with_is_let_go_wherever_one_is(tmp_path):
    """As the button says, once something is compared with."""
    history = History()
    for number in range(2):
        history.add(entry(tmp_path, number))
    history.pin()
    history.go_to(0)
    history.pin()
    assert history.pinned is None


def test_another_face_is_not_compared_with_the_one_before(session):
    session.compare_with_this()
    session.show(session.face, "points")
    assert session.history.pinned  # of the same person
    session.generate(6)
    session.show(session.face, "points")
    assert session.history.pinned is None
    assert not session.view().pinned


def test_a_face_to_which_nothing_was_done_has_no_number(session):
    session.show(session.face, "seed")
    assert [words.text().strip() for _, words in session.view().gallery] == ["5 · unedited"] * 2


def test_results_of_which_the_same_is_said_are_told_apart(session):
    before = session.face.styles
    for push in (0.0, 0.1, 0.2):  # three results of one name, and one of another strength
        session.show(session.face.with_styles(before + push), title_of({"smile": 1.0}))
    session.show(session.face, title_of({"smile": 0.5}))
    session.compare_with_this()
    session.go_to(2)
    view = session.view()

    def names(language):
        return [" ".join(words.text(language).split()) for _, words in view.gallery]

    assert names("en") == ["5 · unedited", "5 · Smile", "5 · Smile (2)", "5 · Smile (3)", "5 · Smile 0.5"]
    assert len(set(names("zh"))) == 5
    assert [one.text().strip() for one in view.compared] == ["5 · Smile 0.5", "5 · Smile (2)"]
    pictures = [name for name in ZipFile(session.stage.save_all()).namelist() if name.endswith(".png")]
    assert pictures[1:4] == ["02_seed5_smile.png", "03_seed5_smile_2.png", "04_seed5_smile_3.png"]
    session.delete_result()
    assert [words.text().split()[-1] for _, words in session.view().gallery[1:3]] == [
        "Smile",
        "(3)",
    ]  # as before


def test_a_long_history_in_a_session(session):
    for _ in range(45):
        session.show(session.face, "seed")
    for _ in range(39):
        session.undo()
    with pytest.raises(TranslatedError, match="Nothing to undo"):
        session.undo()
    assert len(list(session.files.path.glob("*.png"))) == 40
