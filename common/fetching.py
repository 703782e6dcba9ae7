"""Files from the web, whole or not at all: resumed, checked, recorded, renamed in one step.

download_models.py and download_dataset.py share it. A download goes into ``NAME.part``; a note beside it says
which file it is the beginning of. It goes on where it stopped, and is renamed when its size and checksum are
right. Where nobody publishes a checksum, that of the first download is kept in ``checksums.json``.
"""

import contextlib
import errno
import hashlib
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: no lock between two downloads at once
    fcntl = None

CHUNK = 1 << 20
TIMEOUT = 30  # seconds without a byte
TRIES = 3  # connections to one address without any progress
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


class DownloadError(Exception):
    """What failed, where, and what to do: one line for the user."""


class Unreachable(Exception):
    """This address does not give the file; the next one may."""


@contextlib.contextmanager
def writing(path: Path, mode: str = "wb") -> Iterator[IO[bytes]]:
    """The open file, on the disk when the block ends. Raises DownloadError if it cannot be written."""
    try:
        with open(path, mode) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise DownloadError(disk_problem(path, error)) from None


def disk_problem(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{path}: the disk is full; make room and run the same command again"
    return f"{path}: {error.strerror or error}; check the folder and its permissions, or take one with --dir"


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
        records = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        records = None
    if not isinstance(records, dict):
        raise DownloadError(f"{path} is not a JSON object of file names and sha256; mend or delete it")
    return records


def record(folder: Path, name: str, sha256: str) -> None:
    """Keep the checksum of a first download. Call it with the folder locked."""
    part = folder / "checksums.json.part"
    with writing(part) as stream:
        text = json.dumps(read_records(folder) | {name: sha256}, indent=2, sort_keys=True)
        stream.write(text.encode() + b"\n")
    os.replace(part, folder / "checksums.json")


def problem(path: Path, file: File) -> str | None:
    """What is wrong with a file that is there, by its size and checksum; None if nothing is."""
    size = path.stat().st_size
    if file.size and size != file.size:
        return f"{size} bytes instead of {file.size}"
    if file.sha256 and (actual := sha256_of(path)) != file.sha256:
        wrong = f"wrong checksum: sha256 {actual[:12]}… instead of {file.sha256[:12]}…"
        return wrong + " in checksums.json, that of the first download" * file.recorded
    return None


def with_record(file: File, folder: Path) -> File:
    """The file with the checksum that it must have: the published one or that of the first download."""
    if file.sha256:
        return file
    return replace(file, sha256=read_records(folder).get(file.name), recorded=True)


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
    """The file from the first of its addresses that gives it; goes on with what an earlier run left."""
    part = target.with_name(target.name + ".part")
    reasons = []
    for url in file.urls:
        try:
            resumed = part.exists()
            receive(url, file, part)
            wrong = problem(part, file)
            if wrong and resumed:  # the beginning may have been of another file
                part.unlink()
                receive(url, file, part)
                wrong = problem(part, file)
            if not wrong:
                os.replace(part, target)
                forget(part)
                return
            forget(part)
            reasons.append(f"{url}: {wrong}, deleted")
        except Unreachable as error:
            reasons.append(f"{url}: {error}")
    held_to = f", sha256 {file.sha256}" if file.sha256 else ""
    raise DownloadError(
        f"{file.name} cannot be fetched ({'; '.join(reasons)}); check the network and the proxy and run the "
        f"same command again, or put the file by hand at {target} ({file.size or 'unknown'} bytes{held_to})"
    )


def forget(part: Path) -> None:
    """Delete an unfinished download and the note beside it."""
    part.unlink(missing_ok=True)
    note_of(part).unlink(missing_ok=True)


def note_of(part: Path) -> Path:
    """Says which version of which address the unfinished download is the beginning of."""
    return part.with_name(part.name + ".json")


def receive(url: str, file: File, part: Path) -> None:
    """Fill ``part`` from the address; reconnect as long as more bytes come. Raises Unreachable otherwise."""
    from tqdm import tqdm

    best, failures = -1, 0
    with tqdm(desc=file.name, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        while True:
            try:
                if receive_once(url, file, part, bar):
                    return
                reason = "the connection was cut"
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code} {error.reason}"
                if error.code < 500:
                    raise Unreachable(reason) from None
            except urllib.error.URLError as error:
                reason = str(getattr(error.reason, "strerror", None) or error.reason)
            except (http.client.HTTPException, OSError) as error:
                reason = str(error) or type(error).__name__
            here = part.stat().st_size if part.exists() else 0
            best, failures = max(best, here), failures + 1 if here <= best else 1
            if failures >= TRIES:
                raise Unreachable(f"{reason} after {here} bytes" if here else reason)
            time.sleep(PAUSE * failures)


def receive_once(url: str, file: File, part: Path, bar) -> bool:
    """One connection; goes on at the end of ``part`` where that is safe. True if the file is complete."""
    note = {}
    with contextlib.suppress(OSError, ValueError):
        note = dict(json.loads(note_of(part).read_text(encoding="utf-8")))
    offset = part.stat().st_size if part.exists() else 0
    same = note.get("url") == url and note.get("version")
    if not (same or file.sha256):  # the rest might be of another file
        offset = 0
    headers = {"User-Agent": "download_models.py"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if same:  # the server sends the whole file if it is another one by now
            headers["If-Range"] = note["version"]

    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not offset:
            raise
        if error.headers.get("Content-Range", "").endswith(f"/{offset}"):
            return True  # nothing was missing
        forget(part)
        return False
    with response:
        total = response.length  # what is left to come; None if the server does not say
        if total is None and not (response.chunked or file.size or file.sha256):
            raise Unreachable("the server does not say where the file ends")
        if response.status == 206:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                forget(part)
                return False
            total = None if total is None else total + offset
        else:
            offset = 0
        if response.headers.get_content_type() == "text/html":
            raise Unreachable("a web page instead of the file")
        if file.size and total is not None and total != file.size:
            raise Unreachable(f"{total} bytes instead of {file.size}")

        version = response.headers.get("ETag", "")
        if not version or version.startswith("W/"):
            version = response.headers.get("Last-Modified", "")
        if not offset:
            part.unlink(missing_ok=True)  # an old beginning must never have a new note
            with writing(note_of(part)) as stream:
                stream.write(json.dumps({"url": url, "version": version}).encode())
        bar.total, bar.n = total, offset
        bar.refresh()
        with writing(part, "ab" if offset else "wb") as stream:
            while block := read(response):
                stream.write(block)
                bar.update(len(block))
                offset += len(block)
    return block is not None and total in (None, offset)


def read(response: http.client.HTTPResponse) -> bytes | None:
    """The next bytes, none at the end, None where the connection breaks."""
    try:
        return response.read1(CHUNK)
    except (http.client.HTTPException, OSError):
        return None
