"""The line of the drags that wait."""

import threading

import pytest

from draggan.app.turns import BusyError, Turns


def test_the_line_is_bounded():
    turns, gate = Turns(waiting=1), threading.Event()
    turns.submit(gate.wait)
    turns.submit(lambda: None)
    with pytest.raises(BusyError):
        turns.submit(lambda: None)
    gate.set()
    turns.close()
    assert not turns._thread.is_alive()
