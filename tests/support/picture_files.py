"""What data sets with a bad picture are made of: a case, and files that say of themselves what is not so."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from segmentation_data import make_pairs, picture_pair

# What may come of a case: its pictures are used, or the one line has this in it; None: either.
RIGHT, EITHER = "", None


@dataclass
class Case:
    """A change of a data set that is in order: photo and label in one file, or with ``apart`` in A/ and B/."""

    name: str
    place: Callable[[Path], object]  # is given the folder train/
    says: str | None = EITHER
    apart: bool = False


def data_set(root: Path, case: Case) -> Path:
    """A data set of four pairs, with the case in its training split."""
    make_pairs(root, train=3, val=1)
    if case.apart:
        for split in ("train", "val"):
            for pair in sorted((root / split).glob("*.png")):
                for side, left in (("A", 0), ("B", 32)):
                    (root / split / side).mkdir(exist_ok=True)
                    Image.open(pair).crop((left, 0, left + 32, 32)).save(root / split / side / pair.name)
                pair.unlink()
    case.place(root / "train")
    return root


def pair(seed: int = 7, side: int = 32) -> Image.Image:
    return Image.fromarray(np.hstack(picture_pair(seed, side)))


def encoded(picture: Image.Image, kind: str, **more: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format=kind, **more)
    return stream.getvalue()


def png(
    width: int, height: int, rows: bytes | None = None, depth: int = 8, colour: int = 2, extra: bytes = b""
) -> bytes:
    """A PNG file that says these things of itself; of zeros where no rows are given."""
    chunk = lambda name, data: (  # noqa: E731
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    )
    pack = zlib.compressobj(9)
    line = 1 + (width * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] * depth + 7) // 8
    packed = pack.compress(rows) if rows is not None else b"".join(zeros(pack, line * height))
    data = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    )
    return data + extra + chunk(b"IDAT", packed + pack.flush()) + chunk(b"IEND", b"")


def zeros(pack, count: int) -> Iterator[bytes]:
    count = min(count, 2**31)
    for start in range(0, count, 2**24):
        yield pack.compress(bytes(min(2**24, count - start)))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
