"""The tensors of a file that is not trusted: shapes at once, numbers when asked for, within its size."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from .plain_objects import Refused
from .plain_pickle import LEGACY_START, ZIP_MAGIC
from .stylegan2_layers import Config

FACES = re.compile(r"ffhq|celeb|metface|(?<![a-z])(human)?faces?(?![a-z])", re.IGNORECASE)
PREFIX = 1 << 20  # bytes of a pickle that are looked at to recognise it
State = dict[str, Tensor]


class Weights:
    """The tensors of a file: shapes at once, numbers when asked for, and never more than the file holds."""

    def __init__(self, shapes: Callable[[str], tuple | None], numbers: Callable[[str], Tensor], size: int):
        self.shapes, self.numbers, self.left = shapes, numbers, size

    def __contains__(self, name: str) -> bool:
        return self.shapes(name) is not None

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        """Shape of a tensor, of so many dimensions."""
        shape = self.shapes(name)
        if shape is None:
            raise Refused(f"{name} is missing")
        if len(shape) != dimensions:
            raise Refused(f"{name} has the shape {shape}")
        return shape

    def read(self, name: str, *shape: int) -> Tensor:
        """A copy of the tensor in float32; Refused unless it is there and has this shape."""
        if (met := self.shape(name, len(shape))) != shape:
            raise Refused(f"{name} has the shape {met} instead of {shape}")
        self.left -= math.prod(shape)  # at most as many numbers as the file has bytes
        if self.left < 0:
            raise Refused("the same numbers serve as many tensors")
        return self.numbers(name).float().clone(memory_format=torch.contiguous_format)


def sizes(weights: Weights, name: str, dimensions: int = 1) -> list[int]:
    """First dimension of the tensors that ``name`` gives for 4, 8, 16, ... until one is missing."""
    sizes = []
    while (key := name.format(r=4 << len(sizes), i=len(sizes))) in weights:
        sizes.append(weights.shape(key, dimensions)[0])
    return sizes


def make_config(**values) -> Config:
    try:
        return Config(**values)
    except ValueError as error:
        raise Refused(f"not a StyleGAN2 of a known kind: {error}") from None


def prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}.{key}": tensor for key, tensor in state.items()}


def file_kind(path: Path) -> tuple[str, bytes]:
    """What sort of file it is, by its first bytes, and its beginning."""
    with open(path, "rb") as stream:
        start = stream.read(PREFIX)
    if start.startswith(ZIP_MAGIC) or start.startswith(LEGACY_START):
        return "checkpoint", start
    if start.startswith(b"\x80"):
        return "pickle", start
    return "safetensors" if start[8:9] == b"{" else "unknown", start
