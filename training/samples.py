"""Looking at some or all files of one side of a data set, in bounded memory."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from common.commandline import UserError
from training.pairs import Pair
from training.pictures import Stored, read_side

MIDDLE = 1448  # pixels of a side: so much is looked at of a larger picture, and counted at once


def look(pairs: Sequence[Pair], side: str, indices: bool = False) -> Iterator[Stored]:
    """What the files of one side hold, one after the other; broken ones are left out."""
    for pair in pairs:
        with contextlib.suppress(UserError):
            yield read_side(pair, side, indices)


def sample_of(pairs: Sequence[Pair], side: str, most: int, indices: bool = False) -> list[Stored]:
    """What some files hold, evenly over ``pairs``; of large ones the middle, or they would fill the memory."""
    found = []
    for stored in look(evenly(pairs, most), side, indices):
        height, width = stored.values.shape[:2]
        if height * width > MIDDLE**2:
            rows, columns = min(height, MIDDLE), min(width, MIDDLE)
            top, left = (height - rows) // 2, (width - columns) // 2
            middle = stored.values[top : top + rows, left : left + columns].copy()
            stored = dataclasses.replace(stored, values=middle)
        found.append(stored)
    return found


def evenly(pairs: Sequence[Pair], most: int) -> list[Pair]:
    return [pairs[k] for k in sorted({int(k) for k in np.linspace(0, len(pairs) - 1, min(most, len(pairs)))})]


def rgb(stored: Stored) -> np.ndarray:
    """(H, W, 3) uint8; of 16-bit numbers the upper 8 bits."""
    values = stored.values
    if values.ndim == 3:
        return values
    values = (values >> 8).clip(0, 255) if values.dtype != np.uint8 else values
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)
