"""Small files that would hang, fill the memory or end a reader that believes them; none of them is code."""

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import torch

from draggan.generators.plain_pickle import LEGACY_START

ONES = b"]" + b"(" + b"N" * 50_000 + b"e"  # a list of fifty thousand


def legacy(content: bytes, keys: bytes) -> bytes:
    """A checkpoint before zip: what it holds and the names of its storages, each as the inside of a pickle."""
    return LEGACY_START + b".\x80\x02M\xe9\x03.\x80\x02}.\x80\x02" + content + b".\x80\x02" + keys + b"."


def zipped(data: bytes, members: int = 0) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for number in range(members):
            archive.writestr(f"archive/data/{number}", b"")
    return stream.getvalue()


def bad_name() -> bytes:
    """A member whose name says that it is UTF-8, and is not."""
    return (
        zipped(b"N.")
        .replace(b"archive/data.pkl", b"archive/\xff\xffta.pkl")
        .replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x00\x08")
    )


def header(length: int, text: bytes = b"{") -> bytes:
    return struct.pack("<Q", length) + text


def calls(name: bytes, argument: bytes, times: int) -> bytes:
    """The same function many times, with what was made once: each call copies it."""
    start = b"\x80\x04]q\x00" + b"c" + name + b"q\x01" + argument + b"q\x02"
    return start + b"h\x01h\x02\x85R" * times + b"N."


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


PAIRS = b"]" + b"(" + b"".join(b"M" + struct.pack("<H", n) + b"N\x86" for n in range(20_000)) + b"e"
FILES = {
    # the four that were met
    "bad name.pt": bad_name(),
    "dict as key.pt": legacy(b"}", b"]}a"),
    "hash bomb.pt": legacy(b"}", b"](K\x01tq\x00" + b"h\x00\x86q\x00" * 60 + b"a"),
    "chosen keys.pt": legacy(
        b"}(" + b"".join(b"\x8a\x0b" + (n * (2**61 - 1)).to_bytes(11, "little") + b"N" for n in range(40_000)) + b"u",
        b"]",
    ),
    # what copies, in a loop
    "dicts.pkl": calls(b"collections\nOrderedDict\n", PAIRS, 100_000),
    "sets.pkl": calls(b"builtins\nset\n", ONES.replace(b"N", b"K\x01"), 100_000),
    "codes.pkl": calls(b"_codecs\nencode\n", text(b"\xc3\xbf" * 30_000), 100_000),
    "shapes.pkl": calls(b"torch\nSize\n", ONES, 100_000),
    "emoji.pkl": b"\x80\x04]q\x00" + text("😀".encode() + b"a" * (60 << 20)) + b"a.",
    # what is endless, deep or long
    "keys.pkl": b"\x80\x04}" + b"".join(b"J" + struct.pack("<i", n << 16) + b"Ns" for n in range(30_000)) + b".",
    "number.pkl": b"\x80\x04\x8b" + struct.pack("<i", 50 << 20) + bytes(1 << 20) + b".",
    "deep.pkl": b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "long list.safetensors": header(60 << 20, b"{" + b" " * (61 << 20)),
    "endless list.safetensors": header(1 << 62),
    "deep list.safetensors": header(300_000, b"{" + b'"a":{' * 50_000 + b" " * 100_000),
    "deep config.safetensors": header(
        len(inner := json.dumps({"__metadata__": {"format": "stylegan2-2", "config": "[" * 200_000}}).encode()), inner
    ),
    # what is short
    "nothing.pkl": b"",
    "one byte.pt": b"\x80",
    "start of a zip.pt": b"PK\x03\x04",
    "start of an old one.pt": LEGACY_START,
    "random.pkl": os.urandom(5_000),
    "self.pkl": b"\x80\x04}q\x00" + text(b"G_ema") + b"h\x00s.",  # a dict that holds itself
}  # fmt: skip


def cyclic_module() -> bytes:
    """A module that is its own part."""
    state = b"}(" + text(b"_parameters") + b"}" + text(b"_buffers") + b"}" + text(b"_modules")
    return (
        b"\x80\x02cmodel\nGenerator\n)\x81q\x00"
        + state
        + b"}("
        + text(b"a")
        + b"h\x00"
        + text(b"b")
        + b"h\x00uub."
    )


def write_all(folder: Path) -> list[Path]:
    """All of them, and what is no file, or has a name that is no text."""
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    (folder / "module in itself.pt").write_bytes(zipped(cyclic_module()))
    (folder / "many members.pt").write_bytes(zipped(b"\x80\x02N.", 36_000))
    with open(folder / "ten gigabytes.pt", "wb") as stream:  # of holes
        stream.write(LEGACY_START)
        stream.truncate(10 << 30)
    with open(folder / "ten gigabytes.pkl", "wb") as stream:
        stream.write(b"\x80\x04]\x8e" + struct.pack("<Q", (10 << 30) - 100))
        stream.truncate(10 << 30)
    os.mkfifo(folder / "pipe.pkl")
    (folder / "loop.pkl").symlink_to("loop.pkl")
    (folder / "nowhere.pkl").symlink_to("/nowhere at all.pkl")
    (folder / "a folder.pkl").mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.pkl")).write_bytes(b"\x80\x04N")
    (folder / "two\nlines.pkl").write_bytes(b"\x80\x04N")
    (folder / "options.pkl").write_bytes(pickle.dumps({"a": 1}))  # whole, and no model
    torch.save({"features.0.weight": torch.zeros(3)}, folder / "other.pth")
    return sorted(folder.iterdir())
