"""Whether a file can be opened to its end: what is asked of a download before its checksum is believed for ever.

By the ending of its name: archives and PyTorch files are read through with their own checksums, pickles by their
instructions, which are not carried out. Of any other kind only that it is no page of the web.
"""

import json
import pickletools
import zipfile
from pathlib import Path

from common import archives

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".whl")
PICKLES = (".pkl", ".pickle")
TORCH = (".pt", ".pth", ".pth.tar", ".ckpt")
PAGES = (b"<!doctype html", b"<html", b"<?xml")


def unopenable(path: Path, name: str) -> str | None:
    """Why a file of this name is not whole, in a few words; None if nothing speaks against it."""
    name = name.lower()
    with open(path, "rb") as stream:
        start = stream.read(512)
    if not start:
        return "it is empty"
    if start.lstrip().lower().startswith(PAGES) and not name.endswith((".html", ".xml")):
        return "a web page instead of the file"
    if name.endswith(TORCH) or (name.endswith(PICKLES) and start.startswith(b"PK")):
        return not_torch(path)
    if name.endswith(PICKLES):
        return not_pickles(path)
    if name.endswith(".safetensors"):
        return not_safetensors(path)
    if name.endswith(ARCHIVES) or start.startswith(b"PK\x03\x04"):
        try:
            archives.test(path)
        except archives.ArchiveError as error:
            return f"it cannot be unpacked ({error})"
    return None


def not_safetensors(path: Path) -> str | None:
    """None if a safetensors file is whole: its header is readable and its data ends where the file ends."""
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        size = path.stat().st_size
        try:
            header = json.loads(stream.read(length)) if length < min(size, 100 << 20) else None
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            whole = size == 8 + length + max(ends, default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return "not a safetensors file"
    return None if whole else "cut short"


def not_torch(path: Path) -> str | None:
    """None if torch.save wrote it and nothing is missing: a zip archive, or the pickles and numbers of before 2020."""
    if zipfile.is_zipfile(path):
        try:
            archives.test(path)
        except archives.ArchiveError as error:
            return f"it cannot be opened ({error})"
        return None
    # magic number, protocol, machine, the object, its keys; then the numbers
    return not_pickles(path, count=5, more=True)


def not_pickles(path: Path, count: int = 1, more: bool = False) -> str | None:
    """None if a file is so many pickles, to its last byte; nothing of them is carried out.

    Args:
        more: other bytes must follow.
    """
    size = path.stat().st_size
    try:
        with open(path, "rb") as stream:
            for _ in range(count):
                if stream.tell() >= size:
                    return "cut short"
                for _ in pickletools.genops(stream):
                    pass
            rest = size - stream.tell()
    except Exception as error:  # a file that is none fails in many ways
        return f"no pickle, or cut short ({' '.join(str(error).split())[:100] or type(error).__name__})"
    if more:
        return None if rest else "cut short"
    return f"{rest} bytes behind its end" if rest else None
