"""Archives from elsewhere: looked through before anything is written, and unpacked into one folder.

What is in an archive is not trusted: paths that lead out, links, devices, folders without end, files that would fill
the disk, encryption and methods that nobody knows. Each is a sentence.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

DEEPEST = 32  # folders
LONGEST = 1024  # bytes of a path
MOST_MEMBERS = 300_000
AT_ONCE = 1 << 24  # bytes that may be read at once: the name of a member is no longer
SPARE = 64 << 20  # bytes of the disk that unpacking leaves free
PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


class ArchiveError(Exception):
    """What is wrong with an archive, in a few words."""


class Climbing(ArchiveError):
    """It would write outside its folder."""


class _Bounded(io.RawIOBase):
    """A stream of which nobody reads much at once: a header may say that a name has gigabytes."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= AT_ONCE:
            raise ArchiveError(f"a header of {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """What a damaged or hostile archive brings about, as ArchiveError. It fails in many ways."""
    try:
        yield
    except ArchiveError:
        raise
    except tarfile.FilterError as error:
        raise Climbing(str(error)) from error
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ArchiveError(" ".join(reason.split())[:200]) from error


@contextlib.contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar archive, packed or not."""
    with contextlib.ExitStack() as closed:
        stream = closed.enter_context(open(path, "rb"))
        start = stream.read(6)
        stream.seek(0)
        unpack = next((each for magic, each in PACKED.items() if start.startswith(magic)), None)
        if unpack:
            stream = closed.enter_context(unpack(stream))
        yield closed.enter_context(tarfile.open(fileobj=_Bounded(stream), mode="r:"))


def check_names(names: Iterator[str] | list[str]) -> None:
    """Raises Climbing for a path that leads out on any system, ArchiveError for one that is too deep or long."""
    for number, name in enumerate(names):
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0] or "\0" in name:
            raise Climbing(f"the path {name[:200]!r}")
        if len(path.parts) > DEEPEST or len(name.encode(errors="replace")) > LONGEST:
            raise ArchiveError(f"a path of {len(path.parts)} folders, {name[:40]!r}…")
        if number >= MOST_MEMBERS:
            raise ArchiveError(f"more than {MOST_MEMBERS} files")


def check_size(size: int, into: Path) -> None:
    """Raises ArchiveError where the disk is too small for what is in an archive."""
    free = shutil.disk_usage(into).free - SPARE
    if size > free:
        raise ArchiveError(
            f"{size / 1e6:.0f} MB unpacked, and the disk has {max(free, 0) / 1e6:.0f} MB to spare"
        )


def unpack(archive: Path, into: Path) -> None:
    """A tar or zip archive into a folder. Symbolic links are left out: the folder is moved later, and they are not.

    Raises:
        Climbing: if something of it would lie outside.
        ArchiveError: if it cannot be unpacked.
    """
    with reading():
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as pack:
                check_names(pack.namelist())
                check_size(sum(info.file_size for info in pack.infolist()), into)
                for info in pack.infolist():
                    if not stat.S_ISLNK(info.external_attr >> 16):
                        pack.extract(info, into)
            return
        with open_tar(archive) as pack:
            members = _members(pack)
            check_names([member.name for member in members])
            check_size(sum(member.size for member in members), into)
            kept = []
            for member in members:
                found = tarfile.data_filter(member, str(into))  # refuses links that lead out, and devices
                if found is not None and (found.isfile() or found.isdir() or found.islnk()):
                    kept.append(found)
            pack.extractall(into, kept, filter="data")


def _members(pack: tarfile.TarFile) -> list[tarfile.TarInfo]:
    found = []
    for member in pack:
        if len(found) >= MOST_MEMBERS:
            raise ArchiveError(f"more than {MOST_MEMBERS} files")
        found.append(member)
    return found


def _check_edges(path: Path) -> None:
    """Raises ArchiveError for a zip archive with something before or behind it."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        start = stream.read(2)
        stream.seek(max(size - 22 - 0xFFFF, 0))  # the record at the end is 22 bytes and a comment
        end = stream.read()
    place = end.rfind(b"PK\5\6")
    if (
        start != b"PK"
        or place < 0
        or place + 22 + int.from_bytes(end[place + 20 : place + 22], "little") != len(end)
    ):
        raise ArchiveError("something else is before or behind it")


def test(path: Path) -> None:
    """Read an archive to its end: every member, every checksum. ArchiveError if it is not whole."""
    with reading():
        if zipfile.is_zipfile(path):
            _check_edges(path)
            with zipfile.ZipFile(path) as pack:
                if broken := pack.testzip():
                    raise ArchiveError(f"{broken[:100]} in it is damaged")
            return
        with open_tar(path) as pack:
            for member in _members(pack):
                if member.isfile() and not member.issparse():
                    source = pack.extractfile(member)
                    while source.read(1 << 20):
                        pass
            while pack.fileobj.read(1 << 20):  # a packed stream ends with its checksum
                pass
        with open(path, "rb") as stream:  # one that is not packed ends with zeros
            if not stream.read(6).startswith(tuple(PACKED)):
                stream.seek(-512, io.SEEK_END)
                if stream.read().strip(b"\0"):
                    raise ArchiveError("it has no end")
