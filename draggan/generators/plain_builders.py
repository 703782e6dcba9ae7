"""The functions that a pickle may call when it is read as plain data, by the names that files have for them.

Each turns plain arguments into plain data (plain_objects.py), and refuses any others.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .plain_objects import (
    MAX_COUNT,
    MAX_DIMENSIONS,
    ArrayClaim,
    Instance,
    Persistent,
    Refused,
    Storage,
    Stored,
    TensorClaim,
    as_bytes,
    shown,
)

KEY_TYPES = (str, int, float, bool, bytes, type(None))


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
