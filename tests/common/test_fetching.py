"""Files by address, through download_models.py: resumed, checked, recorded, killed, twice at once."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from download_site import DATA, OTHER, by_address, files, one_error_line, sha256
from lying_server import Liar
from segmentation_data import ROOT

from common.models import Model


def test_fetches_and_leaves_nothing_else(download, site, tmp_path):
    models = by_address(f"{site.address}/net")
    assert download(models)[0] == 0
    assert files(tmp_path / "c") == ["net.bin"]
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    code, out, _ = download(models, "net")
    assert code == 0
    assert "here" in out
    assert len(site.asked) == 1  # the second run asked for nothing
    assert download(models, "--force")[0] == 0
    assert len(site.asked) == 2


def test_a_file_that_is_here_but_wrong_is_fetched_again(download, site, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c/net.bin").write_bytes(OTHER)
    code, out, _ = download(by_address(f"{site.address}/net"))
    assert code == 0
    assert "wrong checksum" in out
    assert (tmp_path / "c/net.bin").read_bytes() == DATA


def test_goes_on_where_the_connection_broke(download, site, tmp_path):
    site.cut = [300_000, 500_000]
    assert download(by_address(f"{site.address}/net"))[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert [asked[1:] for asked in site.asked] == [
        (None, 200),
        ("bytes=300000-", 206),
        ("bytes=800000-", 206),
    ]


def test_starts_anew_where_the_server_ignores_ranges(download, site, tmp_path):
    site.cut, site.ranges = [300_000], False
    assert download(by_address(f"{site.address}/net"))[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert site.asked[1][2] == 200


def test_takes_no_other_range_than_it_asked_for(download, site, tmp_path):
    site.cut, site.lies = [300_000], True
    assert download(by_address(f"{site.address}/net", data=None))[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert [asked[1:] for asked in site.asked] == [(None, 200), ("bytes=300000-", 206), (None, 200)]


@pytest.mark.parametrize("data", [DATA, None], ids=["checksum known", "checksum unknown"])
def test_next_run_goes_on(download, site, tmp_path, data):
    models = by_address(f"{site.address}/net", data=data)
    site.cut = [400_000, 0, 0, 0, 0]
    code, _, err = download(models)
    assert code == 2
    assert "after 400000 bytes" in one_error_line(err)
    assert files(tmp_path / "c") == ["net.bin.part", "net.bin.part.json"]
    site.cut.clear()
    site.asked.clear()
    assert download(models)[0] == 0
    assert site.asked == [("/net", "bytes=400000-", 206)]
    assert (tmp_path / "c/net.bin").read_bytes() == DATA


def test_never_joins_two_versions(download, site, tmp_path):
    """The published file changes between two runs, and its checksum is not known: only If-Range shows it."""
    models = by_address(f"{site.address}/net", data=None)
    site.cut = [400_000, 0, 0, 0, 0]
    assert download(models)[0] == 2
    site.cut.clear()
    site.data, site.etag = OTHER, '"2"'
    assert download(models)[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == OTHER


def test_no_version_and_no_checksum_means_a_clean_start(download, site, tmp_path):
    models = by_address(f"{site.address}/net", data=None)
    site.cut, site.etag = [400_000, 0, 0, 0, 0], ""
    assert download(models)[0] == 2
    site.cut.clear()
    site.data = OTHER
    assert download(models)[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == OTHER


@pytest.mark.parametrize("left", [OTHER[:1000], DATA, OTHER, DATA + b"more"])
def test_whatever_an_earlier_run_left(download, site, tmp_path, left):
    (tmp_path / "c").mkdir()
    (tmp_path / "c/net.bin.part").write_bytes(left)
    assert download(by_address(f"{site.address}/net"))[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert files(tmp_path / "c") == ["net.bin"]
    if left == DATA:  # only the last step was missing
        assert [asked[2] for asked in site.asked] == [416]


def test_wrong_bytes_are_deleted_and_named(download, site, tmp_path):
    site.data = OTHER
    code, _, err = download(by_address(f"{site.address}/net"))
    assert code == 2
    assert "wrong checksum" in one_error_line(err)
    assert "deleted" in err
    assert sha256(DATA) in err  # for who puts the file by hand
    assert str(tmp_path / "c/net.bin") in err
    assert files(tmp_path / "c") == []


@pytest.mark.parametrize("trouble", ["404", "503", "web page", "longer", "wrong", "nobody there"])
def test_mirrors_are_tried_in_turn(download, site, tmp_path, trouble):
    bad = "http://127.0.0.1:9/bad" if trouble == "nobody there" else f"{site.address}/bad"
    octets = "application/octet-stream"
    site.status = {"404": {"/bad": 404}, "503": {"/bad": 503}}.get(trouble, {})
    site.instead = {
        "web page": {"/bad": (b"<html>quota exceeded</html>", "text/html; charset=utf-8")},
        "longer": {"/bad": (DATA * 2, octets)},
        "wrong": {"/bad": (OTHER, octets)},
    }.get(trouble, {})
    assert download(by_address(bad, f"{site.address}/good"))[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert site.asked[-1][0] == "/good"
    assert files(tmp_path / "c") == ["net.bin"]


def test_no_mirror_gives_it(download, site, tmp_path):
    site.status = {"/a": 404}
    site.instead = {"/b": (b"<html></html>", "text/html")}
    code, _, err = download(by_address(f"{site.address}/a", f"{site.address}/b"))
    assert code == 2
    assert "HTTP 404" in one_error_line(err)
    assert "a web page" in err
    assert files(tmp_path / "c") == []


def test_length_unknown(download, site, tmp_path):
    """Without a length, a checksum and a size a broken connection looks like the end."""
    site.length = False
    assert download(by_address(f"{site.address}/net", data=None))[0] == 2
    assert files(tmp_path / "c") == []
    assert download(by_address(f"{site.address}/net"))[0] == 0


def test_broken_off_in_chunks(download, site, tmp_path):
    site.chunked, site.cut = True, [300_000]
    assert download(by_address(f"{site.address}/net", data=None))[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert [asked[1] for asked in site.asked] == [None, "bytes=300000-"]


def test_first_checksum_is_recorded_and_holds(download, site, tmp_path):
    models = by_address(f"{site.address}/net", data=None)
    assert download(models)[0] == 0
    records = tmp_path / "c/checksums.json"
    assert json.loads(records.read_text()) == {"net.bin": sha256(DATA)}
    site.data = OTHER
    code, _, err = download(models, "--force")
    assert code == 2
    assert "checksums.json" in one_error_line(err)
    assert (tmp_path / "c/net.bin").read_bytes() == DATA  # the right one stays
    (tmp_path / "c/net.bin").write_bytes(OTHER)
    assert download(models)[0] == 2  # found wrong, and the server has nothing better
    for wrong in ("{", "[]", '{"net.bin": 5}', '{"net.bin": "abc"}', "[" * 100_000):
        records.write_text(wrong)
        assert "mend or delete" in one_error_line(download(models)[2])


def test_what_was_recorded_is_corrected_as_the_message_says(download, site, tmp_path):
    models = by_address(f"{site.address}/net", data=None)
    site.data = b"junk"
    assert download(models)[0] == 0
    site.data = DATA
    code, _, err = download(models, "--force")
    assert code == 2
    assert "the same command with --forget" in one_error_line(err)
    assert download(models, "--forget")[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert json.loads((tmp_path / "c/checksums.json").read_text()) == {"net.bin": sha256(DATA)}
    assert download(models)[0] == 0


def test_a_published_checksum_cannot_be_forgotten(download, site, tmp_path):
    site.data = OTHER
    code, _, err = download(by_address(f"{site.address}/net"), "--forget")
    assert code == 2
    assert "--forget" not in one_error_line(err)


def test_much_less_than_expected_is_not_recorded(download, site, tmp_path):
    model = by_address(f"{site.address}/net", data=None)[0]
    model = replace(model, files=(replace(model.files[0], about=300),))
    code, _, err = download([model])
    assert code == 2
    assert "where about 300 MB are expected" in one_error_line(err)
    assert files(tmp_path / "c") == []


@pytest.mark.parametrize("left", ["folder", "pipe", "link", "list", "number", "deep", "foreign"])
def test_odd_things_in_the_place_of_a_beginning(download, site, tmp_path, left):
    folder = tmp_path / "c"
    folder.mkdir()
    part, note = folder / "net.bin.part", folder / "net.bin.part.json"
    (tmp_path / "mine").write_text("mine")
    part.write_bytes(DATA[:1000])
    if left == "folder":
        part.unlink()
        part.mkdir()
    elif left == "pipe":
        part.unlink()
        os.mkfifo(part)
    elif left == "link":
        part.unlink()
        part.symlink_to(tmp_path / "mine")
    else:
        texts = {
            "list": "[]",
            "number": "5",
            "deep": "[" * 100_000,
            "foreign": '{"url": 1, "version": "\u4e00"}',
        }
        note.write_text(texts[left])
    code, _, err = download(by_address(f"{site.address}/net"))
    if left == "folder":
        assert code == 2
        one_error_line(err)
    else:
        assert code == 0, err
        assert (folder / "net.bin").read_bytes() == DATA
    assert (tmp_path / "mine").read_text() == "mine"


def test_full_disk(download, site, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = download(by_address(f"{site.address}/net"))
    assert code == 2
    assert "the disk is full" in one_error_line(err)
    assert not (tmp_path / "c/net.bin").exists()


def test_folder_that_cannot_be(download, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = download(by_address("http://127.0.0.1:9/x"), "--dir", str(tmp_path / "file/c"))
    assert code == 2
    assert str(tmp_path / "file/c") in one_error_line(err)


def start(models: list[Model], folder: Path) -> subprocess.Popen:
    """The command in a process of its own, with these models."""
    code = (
        "import sys, download_models as d; from download_models import *;"
        f"d.MODELS = {models!r}; sys.exit(d.main(['--dir', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background jobs, and tests run as one, ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 600
    while not (path.exists() and path.stat().st_size):
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.01)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle(download, site, tmp_path, sent):
    models = by_address(f"{site.address}/net")
    site.pause = 0.1  # 1.6 s in all
    process = start(models, tmp_path / "c")
    wait_for(tmp_path / "c/net.bin.part")
    process.send_signal(sent)
    _, err = process.communicate(timeout=600)
    assert not (tmp_path / "c/net.bin").exists()
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert len(err.splitlines()) == 1
    site.pause = 0.0
    assert download(models)[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA


def test_two_at_once(site, tmp_path):
    models = by_address(f"{site.address}/net")
    site.pause = 0.05
    processes = [start(models, tmp_path / "c") for _ in range(2)]
    assert [(p.communicate(timeout=600)[1], p.returncode) for p in processes] == [("", 0)] * 2
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert len(site.asked) == 1  # one waited, and found it there
    assert files(tmp_path / "c") == ["net.bin"]


@pytest.mark.parametrize("said", ["404 \x1b[2J\x07 \x9b1m", "404 " + "x" * 60_000])
def test_what_a_server_says_is_shown_short_and_without_control_letters(download, said):
    server = Liar(lambda request: request.head(said))
    _, _, err = download(by_address(f"{server.address}/net"))
    server.close()
    assert "HTTP 404" in one_error_line(err)
    assert err[:-1].isprintable()
    assert len(err) < 1000
