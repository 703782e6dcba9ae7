"""One connection of a download: what a server must say before its bytes are believed.

The beginning of a file lies in ``NAME.part``. A note beside it says of which version it is: address, ETag or
Last-Modified, and the file's size. A rest is only joined to a beginning of the same version. Where the file's sha256 is
known, it decides in the end; where it is not, nothing is taken for whole that the server did not call whole.
"""

import contextlib
import errno
import http.client
import json
import os
import re
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CHUNK = 1 << 20
LINE = 256  # bytes of the line before a chunk
ANSWER = 60.0  # seconds for the head of an answer, however slowly its lines come
LEAST, WINDOW = 1024, 60.0  # bytes a second, on average over so many seconds
MOST = 64 << 30  # bytes of a file of which nobody knows the size
SPARE = 64 << 20  # bytes of the disk that a download leaves free


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


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it comes."""

    name: str
    size: int = 0  # bytes; 0 if nobody knows
    checked: bool = False  # its sha256 is known, and decides in the end
    most: int = MOST  # bytes; more is another file, or no end


# --- the note beside a beginning --------------------------------------------------------------------------


@dataclass(frozen=True)
class Note:
    """Of which version of which address a beginning is."""

    url: str = ""
    version: str = ""  # a strong ETag, or Last-Modified; "": the server gave none
    total: int = 0  # bytes of the whole file; 0: the server did not say


def note_of(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def read_note(part: Path) -> Note:
    """The note; an empty one where there is none, or none that can be believed."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        values = json.loads(note_of(part).read_text(encoding="utf-8"))
        note = Note(values["url"], values["version"], values.get("total", 0))
        if isinstance(note.url, str) and note.version.isascii() and isinstance(note.total, int):
            return note
    return Note()


def write_note(part: Path, note: Note) -> None:
    with writing(note_of(part)) as stream:
        stream.write(json.dumps(note.__dict__).encode())


def forget(part: Path) -> None:
    """Delete an unfinished download and the note beside it."""
    part.unlink(missing_ok=True)
    note_of(part).unlink(missing_ok=True)


def size_of(part: Path) -> int:
    """Bytes of a beginning; what is no file is none, and is removed."""
    if part.is_file() and not part.is_symlink():
        return part.stat().st_size
    if os.path.lexists(part) and not part.is_dir():
        part.unlink()
    return 0


# --- the connection ---------------------------------------------------------------------------------------


class _Answer(http.client.HTTPResponse):
    """An answer whose lines between chunks come to an end: no byte of the file comes while one is waited for."""

    def _read_next_chunk_size(self) -> int:
        line, end = bytearray(), time.monotonic() + ANSWER
        while (byte := self.fp.read(1)) and byte != b"\n":
            line += byte
            if len(line) > LINE or time.monotonic() > end:
                raise http.client.LineTooLong("chunk size")
        return int(line.partition(b";")[0], 16)

    def _read_and_discard_trailer(self) -> None:
        """What follows the last chunk is not the file's, and may have no end. The connection is not used again."""


class _Deadline:
    """A connection whose answer does not begin in time is cut, from a thread of its own."""

    response_class = _Answer

    def connect(self) -> None:
        super().connect()
        sock = self.sock
        self._clock = threading.Timer(ANSWER, self._cut, [sock])
        self._clock.daemon = True
        self._clock.start()

    @staticmethod
    def _cut(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    def getresponse(self) -> http.client.HTTPResponse:
        try:
            return super().getresponse()
        finally:
            self._clock.cancel()


_Http = type("_Http", (_Deadline, http.client.HTTPConnection), {})
_Https = type("_Https", (_Deadline, http.client.HTTPSConnection), {})


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, request):
        return self.do_open(_Http, request)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, request):
        return self.do_open(_Https, request, context=self._context)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects stay with HTTP, and with HTTPS where it was asked for."""

    def redirect_request(self, request, fp, code, msg, headers, newurl):
        scheme = newurl.partition(":")[0].lower()
        if scheme not in ("http", "https") or (request.type == "https" and scheme == "http"):
            raise Unreachable(f"it leads to {newurl[:80]}")
        fp.close()  # what comes with it would be read to its end, and may have none
        return super().redirect_request(request, fp, code, msg, headers, newurl)


def open_address(url: str, headers: dict[str, str], timeout: float) -> http.client.HTTPResponse:
    """The answer to a GET, through the proxies of the environment. Raises what urllib raises, and Unreachable."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _HttpHandler(),
        _HttpsHandler(),
        _Redirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    response = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    if response is None:
        raise Unreachable("no address of the web")
    return response


def receive_once(url: str, part: Path, bar, timeout: float, expected: Expected) -> str:
    """One connection; goes on at the end of ``part`` where that is safe.

    Returns:
        "" if the server has given all of the file, else why not; the next connection may give the rest.

    Raises:
        Unreachable: if this address does not give the file.
    """
    note, offset = read_note(part), size_of(part)
    same = note.url == url and note.version
    if not (same or expected.checked):  # the rest might be of another file
        offset = 0
    headers = {"User-Agent": "download_models.py", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if same:  # the server sends the whole file if it is another one by now
            headers["If-Range"] = note.version
    try:
        response = open_address(url, headers, timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not offset:
            raise
        with error:
            total = re.fullmatch(r"bytes \*/(\d{1,18})", error.headers.get("Content-Range", ""))
        known = expected.size or note.total or (offset if expected.checked else 0)
        if total and int(total[1]) == offset == known:
            return ""  # nothing was missing
        forget(part)
        return "the file ends before the beginning that is here"
    with response:
        if response.status not in (200, 206):
            raise Unreachable(f"HTTP {response.status} {response.reason}, and no file")
        refuse_other_kinds(response, expected.name)
        here = version_of(response)
        if response.status == 206:
            total = rest_of(response, offset) if offset else None
            fits = total is not None
            if not expected.checked:  # it must be of the same version, and say where the file ends
                fits = fits and total and here == note.version and note.total in (0, total)
            if not fits:
                forget(part)
                return "a part of another file, or one that was not asked for"
        else:
            offset, total = 0, response.length
            if total is None and not (response.chunked or expected.size or expected.checked):
                raise Unreachable("the server does not say where the file ends")
            if total == 0:
                raise Unreachable("an empty answer")
        refuse_other_sizes(part, expected, total or 0, offset)
        if not offset:
            part.unlink(missing_ok=True)  # an old beginning must never have a new note
            write_note(part, Note(url, here, total or 0))
        bar.total, bar.n = total, offset
        bar.refresh()
        with writing(part, "ab" if offset else "wb") as stream:
            ended, offset = copy(response, stream, offset, total or expected.most, bar)
    whole = ended and offset and offset == (total or offset)
    return "" if whole else "the connection was cut" if offset else "an empty answer"


def refuse_other_kinds(response: http.client.HTTPResponse, name: str) -> None:
    """Raise Unreachable for what is no file: a page, several parts, or bytes that were packed for the way."""
    kind = response.headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml"):
        raise Unreachable("a web page instead of the file")
    if kind.startswith("multipart/"):
        raise Unreachable(f"{kind} instead of the file")
    packed = response.headers.get("Content-Encoding", "identity").strip().lower()
    # servers call an archive that is packed by itself so, too
    by_itself = packed in ("gzip", "x-gzip") and name.endswith((".gz", ".tgz"))
    if packed not in ("", "identity") and not by_itself:
        raise Unreachable(f"the file packed by {packed[:20]}, which was not asked for")


def refuse_other_sizes(part: Path, expected: Expected, total: int, offset: int) -> None:
    """Raise Unreachable for another size than the file's, and DownloadError for one that the disk cannot hold.

    Args:
        total: bytes of the file as the server says; 0 if it does not.
    """
    if expected.size and total and total != expected.size:
        raise Unreachable(f"{total} bytes instead of {expected.size}")
    if total > expected.most:
        raise Unreachable(
            f"it says that the file has {total} bytes, and at most {expected.most} are expected"
        )
    spare = max(shutil.disk_usage(part.parent).free - SPARE, 0)
    if total - offset > spare:
        raise DownloadError(
            f"{expected.name} wants {(total - offset) / 1e6:.0f} MB, and the disk of {part.parent} has only "
            f"{spare / 1e6:.0f} MB to spare; make room and run the same command again"
        )


def version_of(response: http.client.HTTPResponse) -> str:
    """What tells this version of a file from another: a strong ETag, or Last-Modified, or ""."""
    version = response.headers.get("ETag", "")
    if not version or version.startswith("W/"):
        version = response.headers.get("Last-Modified", "")
    return version if version.isascii() and version.isprintable() else ""


def rest_of(response: http.client.HTTPResponse, offset: int) -> int | None:
    """Bytes of the whole file by a 206's Content-Range; 0 if it does not say; None if it is not the rest from there."""
    span = re.fullmatch(
        r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", response.headers.get("Content-Range", "")
    )
    if not span:
        return None
    first, last = int(span[1]), int(span[2])
    total = 0 if span[3] == "*" else int(span[3])
    if first != offset or last < first or (total and last + 1 != total):
        return None
    if response.length is not None and response.length != last + 1 - first:
        return None
    return total


def copy(
    response: http.client.HTTPResponse, stream: IO[bytes], offset: int, most: int, bar
) -> tuple[bool, int]:
    """Append what comes: (whether it ended as it should, bytes of the file by now).

    Raises:
        Unreachable: if it comes too slowly to be waited for, or goes on beyond ``most`` bytes or what the disk holds.
    """
    began, counted = time.monotonic(), offset
    room = offset + shutil.disk_usage(os.path.dirname(stream.name)).free - SPARE
    while block := read(response):
        offset += len(block)
        if offset > min(most, room):
            raise Unreachable(f"more than {min(most, room)} bytes")
        stream.write(block)
        bar.update(len(block))
        now = time.monotonic()
        if now - began > WINDOW:
            if offset - counted < LEAST * WINDOW:
                raise Unreachable(
                    f"{(offset - counted) / (now - began):.0f} bytes a second, too slow to wait for"
                )
            began, counted = now, offset
    return block is not None, offset


def read(response: http.client.HTTPResponse) -> bytes | None:
    """The next bytes, none at the end, None where the connection breaks."""
    try:
        return response.read1(CHUNK)
    except (http.client.HTTPException, OSError, ValueError):  # ValueError: a chunk's length that is no number
        return None
