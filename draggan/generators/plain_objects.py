"""What the objects in a pickle become when it is read as plain data: numbers, lists, dicts and a few plain classes.

plain_pickle.py reads the file; plain_builders.py makes the objects. Long runs of bytes and text stay in
the file (`Stored`) until somebody asks for the numbers in them, so that a file can be looked through without
reading it.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

MAX_COUNT = 1 << 40  # numbers in a tensor, before its storage is asked; and the largest whole number as a key
MAX_DIMENSIONS = 8
SPARSE = 16  # a tensor may look at one of so many numbers of what is read for it


class Refused(ValueError):
    """The file is not the plain data it should be; the message says what was met, in one line."""


def shown(name: Any, most: int = 80) -> str:
    """A name out of a file for a message: short, on one line, without letters that a terminal obeys."""
    return ascii(str(name)[:most])[1:-1]


def one_line(text: Any) -> str:
    """A text, or the name of a file, on one line; letters of any script stay, what cannot be shown is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


# --- what the objects in a file become --------------------------------------------------------------------


@dataclass(frozen=True)
class Global:
    """A class or function that the file names. Only a name."""

    name: str


@dataclass(frozen=True)
class Stored:
    """Bytes that stay in the file. ``text``: they are text of which each letter is one byte (protocol 2)."""

    stream: IO[bytes] = field(repr=False)
    offset: int
    length: int
    text: bool = False

    def read(self, start: int = 0, count: int | None = None) -> bytes:
        """``count`` bytes from ``start``, or all from there; fewer at the end."""
        if self.text:
            self.stream.seek(self.offset)
            data = as_bytes(self.stream.read(self.length).decode("utf-8", "surrogatepass"))
            return data[start : None if count is None else start + count]
        left = max(self.length - start, 0)
        self.stream.seek(self.offset + start)
        return self.stream.read(left if count is None else min(count, left))

    def __len__(self) -> int:
        return self._letters if self.text else self.length

    @cached_property  # a file may ask thousands of times for the same text
    def _letters(self) -> int:
        self.stream.seek(self.offset)
        numbers, left = 0, self.length
        while left and (block := self.stream.read(min(left, 1 << 20))):
            left -= len(block)
            letters = np.frombuffer(block, np.uint8)
            numbers += int(np.count_nonzero(letters & 0xC0 != 0x80))  # the others go on with a letter
        return numbers

    def start(self, count: int) -> bytes:
        """The first bytes, at least so many where there are; no more is decoded than is needed."""
        if not self.text:
            return self.read(0, count)
        self.stream.seek(self.offset)
        return as_bytes(self.stream.read(min(2 * count, self.length)).decode("utf-8", "ignore"))


@dataclass
class Storage:
    """Numbers that a tensor looks at: in ``source`` from byte ``start`` on; before, only their ``key``."""

    dtype: torch.dtype
    count: int
    key: str
    source: bytes | Stored | None = field(default=None, repr=False)
    start: int = 0

    @property
    def size(self) -> int:
        """Bytes that the file claims."""
        return self.count * self.dtype.itemsize

    def read(self, first: int, count: int) -> Tensor:
        """So many numbers from the first one on. Refused where the file has fewer."""
        width = self.dtype.itemsize
        start, size = self.start + first * width, count * width
        if isinstance(self.source, Stored):
            data = self.source.read(start, size)
        else:
            data = (self.source or b"")[start : start + size]
        if len(data) != size:
            raise Refused(f"cut short: {size:,} bytes of numbers are wanted, {len(data):,} are there")
        return (
            torch.frombuffer(bytearray(data), dtype=self.dtype) if data else torch.empty(0, dtype=self.dtype)
        )


@dataclass
class TensorClaim:
    """Shape and place of a tensor; within its storage, whatever the file says."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self):
        numbers = (self.offset, *self.shape, *self.stride)
        if len(numbers) > 2 * MAX_DIMENSIONS or len(self.shape) != len(self.stride):
            raise Refused(f"a tensor of {len(self.shape)} dimensions and {len(self.stride)} strides")
        if not all(type(n) is int and 0 <= n <= MAX_COUNT for n in numbers):
            raise Refused("a tensor with impossible sizes")
        if self.count > self.storage.count or (self.count and self.offset + self._span > self.storage.count):
            raise Refused(
                f"a tensor of the shape {self.shape} in a storage of {self.storage.count:,} numbers"
            )

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def _span(self) -> int:
        """How many numbers lie from its first to its last one."""
        return 1 + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))

    def tensor(self) -> Tensor:
        """The numbers. Refused where far more would have to be read than there are."""
        if not self.count:
            return torch.empty(self.shape, dtype=self.storage.dtype)
        coded = isinstance(self.storage.source, Stored) and self.storage.source.text
        if (self.storage.count if coded else self._span) > SPARSE * self.count + 4096:
            raise Refused(f"a tensor of the shape {self.shape} that is strewn over {self._span:,} numbers")
        return self.storage.read(self.offset, self._span).as_strided(self.shape, self.stride)


@dataclass
class ArrayClaim:
    """A NumPy array, whose numbers may still lie in the file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    data: bytes | bytearray | Stored = field(repr=False)
    columns_first: bool = False

    def array(self) -> np.ndarray:
        data = self.data.read() if isinstance(self.data, Stored) else self.data
        array = np.frombuffer(data, self.dtype).reshape(self.shape, order="F" if self.columns_first else "C")
        return array.astype(self.dtype.newbyteorder("="))


@dataclass
class Persistent:
    """A module with its attributes: one saved by NVIDIA's `torch_utils.persistence`, or a whole one by torch.save."""

    class_name: str
    state: dict[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """Attribute, parameter, buffer or part of that name."""
        for part in (self.state, *(self.state.get(k) for k in ("_parameters", "_buffers", "_modules"))):
            if isinstance(part, dict) and name in part:
                return part[name]
        return default

    @property
    def parts(self) -> dict[str, "Persistent"]:
        """The modules in it by name."""
        parts = self.state.get("_modules")
        parts = parts.items() if isinstance(parts, dict) else ()
        return {name: part for name, part in parts if isinstance(name, str) and isinstance(part, Persistent)}


@dataclass
class Instance:
    """An object that is told what it is before it is told what it holds: TensorFlow's `Network`, an array, a type."""

    kind: str
    state: Any = None


def as_bytes(value: Any) -> bytes:
    """The bytes of a text of which each letter is one; bytes as they are."""
    try:
        return value.encode("latin-1") if type(value) is str else bytes(memoryview(value))
    except (TypeError, UnicodeEncodeError):
        raise Refused(f"{type(value).__name__} where bytes belong") from None
