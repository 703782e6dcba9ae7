"""Files from the web, whole or not at all: resumed, checked, recorded, renamed in one step.

download_models.py and download_dataset.py share it. A download goes into ``NAME.part``; a note beside it says
which file it is the beginning of. It goes on where it stopped, and is renamed when its size and checksum are
right. Where nobody publishes a checksum, that of the first download is kept in ``checksums.json``.
"""

import contextlib
import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from common.receiving import (
    CHUNK,
    MOST,
    DownloadError,
    Expected,
    Unreachable,
    disk_problem,
    forget,
    receive_once,
    size_of,
    writing,
)
from common.whole import unopenable

try:
    import fcntl
except ImportError:  # Windows: no lock between two downloads at once
    fcntl = None

TIMEOUT = 30  # seconds without a byte
TRIES = 3  # connections to one address without any progress
LEAST_OF_ABOUT = 250_000  # bytes for each MB that a file is about: a quarter
STEP = 1 << 16  # bytes that are progress
PAUSE = 1.0  # seconds before the second of them, twice that before the third


@dataclass(frozen=True)
class File:
    """A file, and where it comes from: a path inside the model's package, or addresses that are tried in order."""

    name: str
    size: int = 0  # bytes; 0 if nobody knows exactly
    sha256: str | None = None  # None: that of the first download is recorded, and later ones must have it
    member: str = ""
    urls: tuple[str, ...] = ()
    recorded: bool = False  # the sha256 is that of the first download
    about: int = 0  # megabytes, for the list, where the size is not known


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def read_records(folder: Path) -> dict[str, str]:
    """Checksums of first downloads, by file name."""
    path = folder / "checksums.json"
    try:
        if path.exists() and not path.is_file():
            raise ValueError("no file")
        records = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        records = None
    if not isinstance(records, dict) or not all(
        isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) for value in records.values()
    ):
        raise DownloadError(f"{path} is not a JSON object of file names and sha256; mend or delete it")
    return records


def record(folder: Path, name: str, sha256: str | None) -> None:
    """Keep the checksum of a first download, or drop it (None). Call it with the folder locked."""
    records = read_records(folder)
    if records.get(name) == sha256:
        return
    records.pop(name, None)
    records |= {name: sha256} if sha256 else {}
    part = folder / "checksums.json.part"
    with writing(part) as stream:
        stream.write(json.dumps(records, indent=2, sort_keys=True).encode() + b"\n")
    put(part, folder / "checksums.json")


def problem(path: Path, file: File) -> str | None:
    """What is wrong with a file that is there, by its size and checksum; None if nothing is."""
    size = path.stat().st_size
    if file.size and size != file.size:
        return f"{size} bytes instead of {file.size}"
    if not size:
        return "it is empty"
    if file.sha256 and (actual := sha256_of(path)) != file.sha256:
        wrong = f"wrong checksum: sha256 {actual[:12]}… instead of {file.sha256[:12]}…"
        return wrong + " in checksums.json, that of the first download" * file.recorded
    if not file.sha256 and size < file.about * LEAST_OF_ABOUT:
        return f"{size} bytes, where about {file.about} MB are expected"
    return None


def with_record(file: File, folder: Path) -> File:
    """The file with the checksum that it must have: the published one or that of the first download."""
    if file.sha256:
        return file
    known = read_records(folder).get(file.name)
    return replace(file, sha256=known, recorded=known is not None)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process at a time downloads into a folder. The lock of a killed process is released."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = open(folder / ".download.lock", "w")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise DownloadError(disk_problem(folder, error)) from None
    with stream:
        if fcntl:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"another download into {folder} is running: waiting for it", flush=True)
                fcntl.flock(stream, fcntl.LOCK_EX)
            except OSError:  # a file system without locks
                pass
        yield


def fetch_by_address(file: File, target: Path) -> None:
    """The file from the first of its addresses that gives it; goes on with what an earlier run left.

    What comes is opened to its end before it is taken, where its kind can be opened (``common/whole.py``).
    """
    part = target.with_name(target.name + ".part")
    reasons = []
    for url in file.urls:
        try:
            resumed = size_of(part) > 0
            receive(url, file, part)
            wrong = problem(part, file)
            if wrong and resumed:  # the beginning may have been of another file
                forget(part)
                receive(url, file, part)
                wrong = problem(part, file)
            if not (wrong := wrong or unopenable(part, target.name)):
                put(part, target)
                return
            forget(part)
            reasons.append(f"{url}: {wrong}, deleted")
        except Unreachable as error:
            reasons.append(f"{url}: {in_short(error)}")
    held_to = f", sha256 {file.sha256}" if file.sha256 else ""
    accept = (
        "; if it has been published anew, the same command with --forget drops what checksums.json says and takes it"
        if file.recorded and "wrong checksum" in " ".join(reasons)
        else ""
    )
    raise DownloadError(
        f"{file.name} cannot be fetched ({'; '.join(reasons)}){accept}; check the network and the proxy and run the "
        f"same command again, or put the file by hand at {target} ({file.size or 'unknown'} bytes{held_to})"
    )


def in_short(error: BaseException) -> str:
    """What a server said, for a message: one line that is not long, without letters that a terminal obeys."""
    words = " ".join(str(error).split())
    return "".join(letter if letter.isprintable() else "?" for letter in words)[:300]


def put(part: Path, target: Path) -> None:
    """Give a whole file its name."""
    try:
        os.replace(part, target)
    except OSError as error:
        raise DownloadError(disk_problem(target, error)) from None
    forget(part)


def receive(url: str, file: File, part: Path) -> None:
    """Fill ``part`` from the address; reconnect as long as more bytes come. Raises Unreachable otherwise."""
    from tqdm import tqdm

    most = file.size or int(file.about * 4e6) or MOST
    expected = Expected(file.name, file.size, bool(file.sha256), most)
    best, failures = -STEP, 0
    with tqdm(desc=file.name, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        while True:
            try:
                reason = receive_once(url, part, bar, TIMEOUT, expected)
                if not reason:
                    return
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code} {error.reason}"
                error.close()
                if error.code < 500:
                    raise Unreachable(reason) from None
            except urllib.error.URLError as error:
                reason = str(getattr(error.reason, "strerror", None) or error.reason)
            except (
                http.client.HTTPException,
                OSError,
                ValueError,
            ) as error:  # ValueError: an address that is none
                reason = str(error) or type(error).__name__
            here = size_of(part)
            progress = here - best >= min(STEP, max(file.size // 100, 1) if file.size else STEP)
            best, failures = max(best, here), 1 if progress else failures + 1
            if failures >= TRIES:
                raise Unreachable(f"{reason} after {here} bytes" if here else reason)
            time.sleep(PAUSE * failures)
