"""Every way in which a server can misbehave, with and without a known sha256: never taken for whole, never recorded."""

import json
import threading
import time

import pytest
from download_site import sha256
from lying_rests import ROWS
from lying_server import DATA, OTHER, Liar

from common import fetching, receiving
from common.fetching import File
from common.models import Model


@pytest.fixture
def liar(isolated, monkeypatch):
    monkeypatch.setattr(fetching, "TIMEOUT", 0.7)
    monkeypatch.setattr(receiving, "ANSWER", 1.0)
    monkeypatch.setattr(receiving, "WINDOW", 0.3)
    monkeypatch.setattr(receiving, "MOST", 10_000_000)
    monkeypatch.setattr(fetching, "MOST", 10_000_000)
    server = Liar()
    yield server
    server.close()


@pytest.mark.parametrize("sum_", ["known", "unknown"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_server(download, liar, tmp_path, row, sum_):
    liar.answer = row.answer
    checksum = sha256(DATA) if sum_ == "known" else None
    file = File(f"net.{row.ending}", len(DATA) if checksum else 0, checksum, urls=(f"{liar.address}/net",))
    began = time.monotonic()
    code, _, err = download([Model("net", "a test", "MIT", (file,), default=True)])
    assert time.monotonic() - began < 20
    target, records = tmp_path / "c" / file.name, tmp_path / "c/checksums.json"
    wanted = row.known if checksum else row.unknown
    if wanted == "refused":
        assert code == 2
        assert err.startswith("error: net: ")
        assert len(err.splitlines()) == 1
        assert not target.exists()
        assert not records.exists()
        return
    assert code == 0, err
    assert target.read_bytes() == (DATA if wanted == "whole" else OTHER)
    assert records.exists() == (not checksum)
    if not checksum:
        assert json.loads(records.read_text()) == {file.name: sha256(target.read_bytes())}
    assert not list((tmp_path / "c").glob("*.part*"))


def test_no_thread_is_left(download, liar, tmp_path):
    before = threading.active_count()
    liar.answer = lambda request: request.give(DATA)
    file = File("net.bin", urls=(f"{liar.address}/net",))
    assert download([Model("net", "a test", "MIT", (file,), default=True)])[0] == 0
    end = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.05)
    assert threading.active_count() <= before
