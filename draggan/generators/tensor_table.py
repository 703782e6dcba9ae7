"""The tensors of a file that is not trusted: shapes at once, numbers when asked for, within its size."""

import json
import math
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from .blank import Blank
from .plain_objects import ArrayClaim, Instance, Refused, TensorClaim, one_line, shown
from .plain_pickle import is_checkpoint
from .stylegan2_layers import Config

FACES = re.compile(r"ffhq|celeb|metface|(?<![a-z])(human)?faces?(?![a-z])", re.IGNORECASE)
PREFIX = 1 << 20  # bytes of a file that are looked at to tell what it is
MAX_NUMBERS = 1 << 27  # in a generator: the published ones have some thirty million
LARGEST_NUMBER, MOST_DEPTH = 1e30, 32  # in the JSON texts of our files
MAX_HEADER = 4 << 20  # bytes of the list of tensors in a safetensors file
State = dict[str, Tensor]
Claim = TensorClaim | ArrayClaim


class Weights:
    """The tensors of a file: shapes at once, numbers when asked for, and never more than the file holds.

    check: the numbers stay in the file, and `read` gives tensors without any (blank.py).
    """

    def __init__(self, find: Callable[[str], object], size: int, check: bool = False):
        self.find, self.left, self.check = find, min(size, MAX_NUMBERS), check

    def claim(self, name: str) -> Claim | None:
        found = self.find(name)
        found = found.state if isinstance(found, Instance) else found
        return found if isinstance(found, Claim) else None

    def __contains__(self, name: str) -> bool:
        return self.claim(name) is not None

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        """Shape of a tensor, of so many dimensions."""
        claim = self.claim(name)
        if claim is None:
            raise Refused(f"{name} is missing")
        if len(claim.shape) != dimensions:
            raise Refused(f"{name} has the shape {claim.shape}")
        return claim.shape

    def read(self, name: str, *shape: int) -> Tensor:
        """A copy of the tensor in float32; Refused unless it is there and has this shape."""
        if (met := self.shape(name, len(shape))) != shape:
            raise Refused(f"{name} has the shape {met} instead of {shape}")
        self.left -= math.prod(shape)  # at most as many numbers as the file has bytes
        if self.left < 0:
            raise Refused("the same numbers serve as many tensors, or it has too many")
        if self.check:
            return Blank(shape)
        return numbers(self.claim(name)).float().contiguous()

    def zeros(self, *shape: int) -> Tensor:
        return Blank(shape) if self.check else torch.zeros(shape)


def as_rgb(weight: Tensor, bias: Tensor) -> State:
    """A to-RGB layer (C, n, 1, 1) and (C,) with three colours: of grey three equal ones, transparency left out."""
    if len(weight) not in (1, 2, 3, 4):
        raise Refused(f"its pictures have {len(weight)} channels; grey, RGB and RGBA can be shown")
    rows = [0, 0, 0] if len(weight) < 3 else [0, 1, 2]
    return {"weight": weight[rows], "bias": bias[rows]}


def numbers(claim: Claim) -> Tensor:
    """The numbers of a claim. Refused where they are no plain ones, or not there."""
    if isinstance(claim, TensorClaim):
        return claim.tensor()
    if claim.dtype.kind not in "fiub":
        raise Refused(f"an array of {claim.dtype} where numbers belong")
    array = claim.array()
    return torch.from_numpy(array.astype("f4") if array.dtype.kind == "f" else array.astype("i8"))


def sizes(weights: Weights, name: str, dimensions: int = 1) -> list[int]:
    """First dimension of the tensors that ``name`` gives for 4, 8, 16, ... until one is missing."""
    sizes = []
    while (key := name.format(r=4 << len(sizes), i=len(sizes))) in weights:
        sizes.append(weights.shape(key, dimensions)[0])
    return sizes


def make_config(**values) -> Config:
    try:
        return Config(**values)
    except (ValueError, TypeError) as error:
        raise Refused(f"not a StyleGAN2 of a known kind: {shown(error, 200)}") from None


def prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}.{key}": tensor for key, tensor in state.items()}


def joined_class(first: State, z_dim: int, embed: Tensor, bias: Tensor) -> State:
    """The first layer of a conditional mapping network as one of z alone, and what each class adds to its bias.

    A class's embedding, normalised, joins every z; with no class chosen, as DragGAN uses such models, that of a label
    of zeros does. first: weight (m, z_dim + e) and bias (m,). embed: (classes, e); bias: (e,).
    """

    def normalised(rows: Tensor) -> Tensor:
        return rows * (rows.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()

    joined = first["weight"][:, z_dim:]
    none = normalised(bias[None]) @ joined.T  # (1, m)
    return {
        "mapping.0.weight": first["weight"][:, :z_dim].contiguous(),
        "mapping.0.bias": first["bias"] + none[0],
        "class_bias": normalised(embed + bias) @ joined.T - none,  # (classes, m)
    }


def file_kind(path: Path) -> tuple[str, bytes]:
    """What sort of file it is, by its first bytes, and its beginning. Refused for an empty one.

    A link may lead to a file of the system's that has no size and no end, or that waits to be written to.
    """
    if not path.stat().st_size:
        raise Refused("it is empty")
    with open(path, "rb") as stream:
        start = stream.read(PREFIX)
    if is_checkpoint(start):
        return "checkpoint", start
    if start.startswith(b"\x80"):
        return "pickle", start
    return "safetensors" if start[8:9] == b"{" else "unknown", start


def check_header(path: Path) -> None:
    """Refused for a safetensors file whose list of tensors is longer than any model's, or than the file."""
    with open(path, "rb") as stream:
        start, size = stream.read(8), path.stat().st_size
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
    if length > size - 8:
        raise Refused("cut short")
    if length > MAX_HEADER:
        raise Refused(f"a list of tensors of {length:,} bytes, more than any model has")


def read_tensors(path: Path, wanted: State, check: bool = False) -> State:
    """The tensors of a safetensors file as float32: those that are wanted, of their shapes, and no others.

    check: the numbers stay in the file, and what comes back has none. Refused, SafetensorError or OSError otherwise.
    """
    check_header(path)
    if sum(tensor.numel() for tensor in wanted.values()) > MAX_NUMBERS:
        raise Refused("it has too many numbers")
    with safe_open(path, "pt") as file:
        if wrong := wanted.keys() ^ set(file.keys()):
            raise Refused(f"{shown(min(wrong))} is missing or not known")
        for key, tensor in wanted.items():
            if (met := file.get_slice(key).get_shape()) != [*tensor.shape]:
                raise Refused(f"{key} has the shape {tuple(met)} instead of {tuple(tensor.shape)}")
        if check:
            return wanted
        return {key: file.get_tensor(key).to(torch.float32, copy=True) for key in wanted}


def check_numbers(state: State) -> None:
    """Refused for infinities and what is no number."""
    for key, tensor in state.items():
        if tensor.numel() and not all(map(math.isfinite, torch.aminmax(tensor))):  # NaN is in both of them
            raise Refused(f"{key} has values that are not numbers")


def reason(error: BaseException) -> str:
    """Why a file cannot be read, in one line."""
    if isinstance(error, MemoryError):
        return "more memory is needed than there is"
    text = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
    return (
        one_line(text)[:300] if isinstance(error, Refused | OSError) else f"not readable: {shown(text, 120)}"
    )


def read_json(text: str) -> Any:
    """What a JSON text out of a file holds. Refused for broken, deep or endless ones, and for NaN and infinities."""

    def no_number(name: str) -> None:
        raise Refused(f"{name} where a number belongs")

    def a_number(digits: str) -> float:
        whole = not set(digits) & set(".eE")
        number = float(digits) if not whole else int(digits) if len(digits) < 40 else math.inf
        if not abs(number) < LARGEST_NUMBER:
            raise Refused("a number that is too large")
        return number

    try:
        value = json.loads(text, parse_constant=no_number, parse_float=a_number, parse_int=a_number)
        _check_depth(value)
        return value
    except Refused:
        raise
    except RecursionError:
        raise Refused("nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise Refused(f"not readable as JSON ({shown(error)})") from None


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    if level:
        raise Refused("nested too deeply")
