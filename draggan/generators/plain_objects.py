"""What the objects in a pickle become when it is read as plain data: numbers, lists, dicts and a few plain classes.

plain_pickle.py reads the file; it calls nothing but what is in `BUILDERS` here. Long runs of bytes and text stay in
the file (`Stored`) until somebody asks for the numbers in them, so that a file can be looked through without
reading it.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

MAX_COUNT = 1 << 40  # numbers in a tensor, before its storage is asked; and the largest whole number as a key
MAX_DIMENSIONS = 8
KEY_TYPES = (str, int, float, bool, bytes, type(None))
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
        return len(self.read()) if self.text else self.length


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


# --- what makes them --------------------------------------------------------------------------------------


def _tensor(storage, offset, shape, stride, *_) -> TensorClaim:
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(stride, tuple):
        raise Refused("a tensor in an unknown layout")
    return TensorClaim(storage, offset, shape, stride)


def _persistent(meta: dict) -> Persistent:
    name, state = meta.get("class_name"), meta.get("state")
    if meta.get("type") != "class" or not isinstance(name, str) or not isinstance(state, dict):
        raise Refused("a persistent object in an unknown layout")
    return Persistent(name, state)


def _dtype(code: str, *_) -> Instance:
    if not isinstance(code, str) or not NUMPY_TYPES.fullmatch(code):
        raise Refused(f"numbers of the type {shown(code, 20)}")
    return Instance("dtype", np.dtype(code))


def as_dtype(value: Any) -> np.dtype:
    if not isinstance(value, Instance) or value.kind != "dtype":
        raise Refused("numbers without a type")
    return value.state


def _scalar(dtype: Instance, data: bytes | str) -> int | float | bool | str | bytes | complex:
    numbers, data = as_dtype(dtype), as_bytes(data)
    if len(data) != numbers.itemsize:
        raise Refused(f"a number of {len(data)} bytes where {numbers} has {numbers.itemsize}")
    return np.frombuffer(data, numbers)[0].item() if data else numbers.type().item()


def as_bytes(value: Any) -> bytes:
    """The bytes of a text of which each letter is one; bytes as they are."""
    try:
        return value.encode("latin-1") if type(value) is str else bytes(memoryview(value))
    except (TypeError, UnicodeEncodeError):
        raise Refused(f"{type(value).__name__} where bytes belong") from None


def _encoded(text: str | Stored, encoding: str = "latin1") -> bytes | Stored:
    """`_codecs.encode`: how the older protocols save bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"text in the encoding {shown(encoding, 20)}")
    if isinstance(text, Stored):
        if not text.text:
            raise Refused("bytes where text belongs")
        return text
    return as_bytes(text) if type(text) is str else as_bytes(None)


def _nothing(*arguments) -> bytes:
    if arguments:
        raise Refused("bytes in an unknown layout")
    return b""


def checked_key(value: Any) -> Any:
    if type(value) not in KEY_TYPES:
        raise Refused(f"{type(value).__name__} as a key")
    if type(value) is int and abs(value) > MAX_COUNT:  # chosen ones would make a dict slow
        raise Refused(f"a whole number beyond {MAX_COUNT:,} as a key")
    return value


def as_dict(pairs=()) -> dict:
    return {checked_key(key): value for key, value in (pairs.items() if type(pairs) is dict else pairs)}


def _set(items=()) -> set:
    return {checked_key(item) for item in items}


def as_array(_version, shape, dtype, fortran, data) -> ArrayClaim:
    """NumPy array from what it saves of itself."""
    numbers = as_dtype(dtype)
    if type(shape) is not tuple or len(shape) > MAX_DIMENSIONS:
        raise Refused("an array in an unknown layout")
    if not all(type(n) is int and 0 <= n <= MAX_COUNT for n in shape):
        raise Refused("an array with impossible sizes")
    data = data if isinstance(data, Stored | bytearray) else as_bytes(data)
    if math.prod(shape) * numbers.itemsize != len(data):
        raise Refused(f"an array that claims the shape {shape} in {len(data):,} bytes")
    return ArrayClaim(numbers, shape, data, bool(fortran))


def _from_buffer(data, dtype, shape, order, *_) -> Instance:
    return Instance("array", as_array(1, shape, dtype, order == "F", data))


def _size(shape=()) -> tuple:
    return tuple(shape)


def _kept_out(*_) -> None:
    """What no weights depend on: a path, a device, a random generator."""


NUMPY_TYPES = re.compile(r"[<>|=]?(f[248]|i[1248]|u[1248]|b1|c8|c16|[USV]\d{1,4})")
BUILDERS: dict[str, Callable] = {
    # NVIDIA's PyTorch pickles
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch.Size": _size,
    "torch.device": _kept_out,
    "collections.OrderedDict": as_dict,
    "collections.defaultdict": lambda *_: {},
    "builtins.set": _set,  # the older protocols have no sets of their own
    "__builtin__.set": _set,
    "builtins.frozenset": _set,
    "__builtin__.frozenset": _set,
    "builtins.bytes": _nothing,  # nor empty bytes
    "__builtin__.bytes": _nothing,
    "builtins.bytearray": lambda data=b"", *_: data if isinstance(data, Stored) else as_bytes(data),
    "__builtin__.bytearray": lambda data=b"", *_: data if isinstance(data, Stored) else as_bytes(data),
    "_codecs.encode": _encoded,
    "dnnlib.util.EasyDict": as_dict,
    "dnnlib.EasyDict": as_dict,
    # NumPy's numbers beside the weights
    "numpy.dtype": _dtype,
    # the older ones of TensorFlow
    "dnnlib.tflib.network.Network": lambda: Instance("network"),
    # options beside the weights in a training checkpoint
    "argparse.Namespace": lambda *_: {},
    "types.SimpleNamespace": lambda *_: {},
    **{f"pathlib.{kind}": _kept_out for kind in ("PosixPath", "WindowsPath", "Path", "PurePosixPath")},
    **{f"pathlib._local.{kind}": _kept_out for kind in ("PosixPath", "WindowsPath", "Path")},
}
for _core in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
    BUILDERS[f"{_core}.multiarray.scalar"] = _scalar
    BUILDERS[f"{_core}.multiarray._reconstruct"] = lambda *_: Instance("array")
    BUILDERS[f"{_core}.numeric._frombuffer"] = _from_buffer
STORAGES = {
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.DoubleStorage": torch.float64,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
    "torch.UntypedStorage": torch.uint8,
    "torch.storage.UntypedStorage": torch.uint8,
}
# Names that stand for themselves beside the weights, and are never called.
PLAIN_NAMES = re.compile(
    r"numpy\.ndarray|torch\.(float|int|uint|bfloat)\d*|torch\.(half|double|long|bool)"
    r"|(builtins|__builtin__)\.(list|dict|tuple|int|float|str|bool)"
)
LOAD_FROM_BYTES = (
    "torch.storage._load_from_bytes"  # a storage as a file of its own; plain_checkpoint.py reads it
)
NAMES = frozenset((*BUILDERS, *STORAGES, LOAD_FROM_BYTES))
