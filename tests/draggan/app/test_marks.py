"""Points by hand and the region."""

import numpy as np
import pytest

from draggan.app.marks import Marks
from draggan.app.texts import TranslatedError


def test_marks():
    marks = Marks()
    with pytest.raises(TranslatedError, match="no point to move"):
        marks.move_last()
    marks.place(10, 20, 64)
    with pytest.raises(TranslatedError, match="nowhere to go yet"):
        marks.pairs()
    marks.move_last()
    marks.place(11, 21, 64)
    marks.place(30, 40, 64)
    marks.place(5, 5, 64)
    assert [p.tolist() for p in marks.pairs()] == [[[11, 21]], [[30, 40]]]
    for x, y in ((64, 0), (-1, 0), (0, 63.5), (float("nan"), 0)):
        with pytest.raises(TranslatedError, match="outside"):
            marks.place(x, y, 64)
    marks.undo()
    marks.undo()
    assert (marks.handles, marks.targets) == ([[11, 21]], [])
    with pytest.raises(TranslatedError, match="Nothing is painted"):
        marks.set_region(np.zeros((8, 8)))


def test_a_far_target_is_warned_of():
    marks = Marks()
    marks.pair([100, 100], [260, 100], 1024)
    assert marks.message.key == "press_start_points"
    marks.pair([100, 100], [100, 300], 1024)
    assert marks.message.key == "far_target"
    marks.move("target", 1, 100, 200, 1024)
    assert marks.message.key == "press_start_points"
    marks = Marks()
    marks.pair([10, 10], [30, 10], 64)  # in a small picture sooner
    assert marks.message.key == "far_target"
