"""What the objects in a pickle become when it is read as plain data: numbers, lists, dicts and a few plain classes.

plain_pickle.py reads the file; it calls nothing but what is in `BUILDERS` and `STORAGES` here.
"""

import io
import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

MAX_COUNT = 1 << 40  # numbers in a tensor, before its storage is asked
MAX_DIMENSIONS = 8
KEY_TYPES = (str, int, float, bool, bytes, type(None))


class Refused(ValueError):
    """The file is not the plain data it should be; the message says what was met."""


# --- what the objects in a file become --------------------------------------------------------------------


@dataclass(frozen=True)
class Global:
    """A class or function that the file names. Only a name."""

    name: str


@dataclass
class Storage:
    """Numbers that a tensor looks at: in ``data`` (as torch.save writes a storage) or elsewhere, by key."""

    dtype: torch.dtype
    count: int
    key: str
    data: bytes | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Bytes that the file claims."""
        return self.count * self.dtype.itemsize


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
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        if self.count > self.storage.count or (self.count and last >= self.storage.count):
            raise Refused(
                f"a tensor of the shape {self.shape} in a storage of {self.storage.count:,} numbers"
            )

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    def tensor(self) -> Tensor:
        """The tensor, from a storage that holds its data; PyTorch's own restricted reader reads it."""
        if self.storage.data is None:
            raise Refused("a tensor whose numbers are not in the file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the class of the storage, which is the file's choice
            try:
                numbers = torch.load(io.BytesIO(self.storage.data), map_location="cpu", weights_only=True)
                flat = torch.tensor([], dtype=self.storage.dtype).set_(numbers.untyped())
            except Exception as error:
                raise Refused(f"a storage that cannot be read ({type(error).__name__})") from None
        return flat.as_strided(self.shape, self.stride, self.offset)


@dataclass
class Persistent:
    """An object saved by NVIDIA's `torch_utils.persistence`: the name of its class, and its attributes."""

    class_name: str
    state: dict[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """Attribute, parameter, buffer or part of that name."""
        for part in (self.state, *(self.state.get(k) for k in ("_parameters", "_buffers", "_modules"))):
            if isinstance(part, dict) and name in part:
                return part[name]
        return default


@dataclass
class Instance:
    """An object of TensorFlow's `Network`, or a NumPy array, with what it saved of itself."""

    kind: str
    state: Any = None


def _tensor(storage, offset, shape, stride, *_) -> TensorClaim:
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(stride, tuple):
        raise Refused("a tensor in an unknown layout")
    return TensorClaim(storage, offset, shape, stride)


def _persistent(meta: dict) -> Persistent:
    name, state = meta.get("class_name"), meta.get("state")
    if meta.get("type") != "class" or not isinstance(name, str) or not isinstance(state, dict):
        raise Refused("a persistent object in an unknown layout")
    return Persistent(name, state)


def _dtype(code: str, *_) -> np.dtype:
    if not isinstance(code, str) or code.lstrip("<|=") not in NUMPY_TYPES:
        raise Refused(f"numbers of the type {str(code)[:20]!r}")
    return np.dtype(code).newbyteorder("<")


def _scalar(dtype: np.dtype, data: bytes) -> int | float | bool:
    if len(data) != dtype.itemsize:
        raise Refused(f"a number of {len(data)} bytes where {dtype} has {dtype.itemsize}")
    return np.frombuffer(data, dtype)[0].item()


def checked_key(value: Any) -> Any:
    if type(value) not in KEY_TYPES:
        raise Refused(f"{type(value).__name__} as a key")
    return value


def as_dict(pairs=()) -> dict:
    return {checked_key(key): value for key, value in pairs}


def _set(items=()) -> set:
    return {checked_key(item) for item in items}


def as_array(_version, shape, dtype, fortran, data) -> np.ndarray:
    """NumPy array from what it saves of itself."""
    if not isinstance(dtype, np.dtype) or not isinstance(data, bytes) or len(shape) > MAX_DIMENSIONS:
        raise Refused("an array in an unknown layout")
    if not all(type(n) is int and 0 <= n <= MAX_COUNT for n in shape):
        raise Refused("an array with impossible sizes")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise Refused(f"an array that claims the shape {shape} in {len(data):,} bytes")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


NUMPY_TYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
BUILDERS = {
    # NVIDIA's PyTorch pickles
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch.storage._load_from_bytes": None,  # set by plain_pickle.py, whose machine reads what is inside
    "collections.OrderedDict": as_dict,
    "builtins.set": _set,  # the older protocols have no sets of their own
    "__builtin__.set": _set,
    "dnnlib.util.EasyDict": as_dict,
    "dnnlib.EasyDict": as_dict,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    # the older ones of TensorFlow
    "dnnlib.tflib.network.Network": lambda: Instance("network"),
    "numpy.core.multiarray._reconstruct": lambda *_: Instance("array"),
    # options beside the weights in a training checkpoint
    "argparse.Namespace": as_dict,
}
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
}
NAMES = frozenset((*BUILDERS, *STORAGES, "numpy.ndarray"))
