"""Every way in which a server can misbehave, with and without a known sha256: never taken for whole, never recorded."""

import threading
import time

import pytest
from download_site import by_address
from download_trials import try_server
from lying_rests import ROWS
from lying_server import Liar


@pytest.mark.parametrize("checked", [True, False], ids=["sum known", "sum unknown"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_server(isolated, tmp_path, row, checked):
    assert try_server(row, checked, tmp_path / "c") == ""


def test_no_thread_is_left(download):
    before = set(threading.enumerate())
    server = Liar(lambda request: request.give(b"x"))
    assert download(by_address(f"{server.address}/net", data=None))[0] == 0
    server.close()

    def left() -> list[str]:
        """Threads that came since; tqdm keeps one of its own, TMonitor, for all bars."""
        new = set(threading.enumerate()) - before
        return [thread.name for thread in new if type(thread).__name__ != "TMonitor"]

    end = time.monotonic() + 600
    while left() and time.monotonic() < end:
        time.sleep(0.05)
    assert left() == []
