"""A tensor without numbers: what a conversion does to shapes, tried before anything is read.

PyTorch's own way (the device "meta") takes two seconds to import; this knows the operations that the readers need.
"""

import math

import numpy as np


class Blank:
    """Only a shape. Operations raise ValueError, TypeError or IndexError where the tensors' would not fit."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape = tuple(shape)

    def __len__(self) -> int:
        return self.shape[0]

    def _same(self, *_) -> "Blank":
        return Blank(self.shape)

    contiguous = float = square = rsqrt = flip = _same

    def _with(self, other) -> "Blank":
        return Blank(np.broadcast_shapes(self.shape, getattr(other, "shape", ())))

    __mul__ = __add__ = __sub__ = __truediv__ = _with

    def __matmul__(self, other: "Blank") -> "Blank":
        (n, inner), (met, m) = self.shape, other.shape
        if inner != met:
            raise ValueError(f"{self.shape} times {other.shape}")
        return Blank((n, m))

    def permute(self, *order: int) -> "Blank":
        return Blank(tuple(self.shape[i] for i in order))

    def transpose(self, i: int, j: int) -> "Blank":
        order = list(range(len(self.shape)))
        order[i], order[j] = order[j], order[i]
        return self.permute(*order)

    @property
    def T(self) -> "Blank":
        return Blank(self.shape[::-1])

    def __getitem__(self, index) -> "Blank":
        return Blank(np.broadcast_to(np.int8(0), self.shape)[index].shape)

    def reshape(self, *shape: int) -> "Blank":
        known = math.prod(n for n in shape if n != -1)
        return Blank(tuple(math.prod(self.shape) // known if n == -1 else n for n in shape))

    def mean(self, dim: int, keepdim: bool = False) -> "Blank":
        return Blank(self.shape[:dim] + (1,) * keepdim + self.shape[dim + 1 :])
