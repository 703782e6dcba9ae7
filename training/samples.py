"""Looking at some or all files of one side of a data set, in bounded memory, and what a sample of them shows."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from common.commandline import UserError
from training.flatness import codes_of, even_neighbours
from training.pairs import Pair
from training.palettes import IGNORED
from training.pictures import Stored, read_side

MOST = 256  # classes
FEW = 64  # so few numbers or colours are labels whatever they look like
SMALL = 63  # ids up to here are small numbers
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


def exact(sample: Sequence[Stored]) -> bool:
    """Whether a sample has at most 256 colours or numbers, and no JPEG."""
    if any(stored.lossy for stored in sample):
        return False
    numbers = numbers_of(sample)
    found: set[int] = set(numbers or ())
    for stored in sample if numbers is None else ():
        found |= set(np.unique(codes_of(rgb(stored))).tolist())
    return len(found) <= MOST


def numbers_of(sample: Sequence[Stored]) -> set[int] | None:
    """The numbers in a sample of one-channel or grey files; None if a file holds colours."""
    found: set[int] = set()
    for stored in sample:
        if stored.numbers is None:
            return None
        found |= set(np.unique(stored.numbers).tolist())
    return found


def unsmoothed(sample: Sequence[Stored]) -> bool:
    """Whether there are few numbers, or neighbours are mostly equal in both directions."""
    arrays = [codes_of(stored.values) if stored.values.ndim == 3 else stored.values for stored in sample]
    if len(set().union(*(np.unique(array).tolist() for array in arrays))) <= FEW:
        return True
    across, pairs_across, down, pairs_down = np.sum([even_neighbours(array) for array in arrays], axis=0)
    return min(across / max(pairs_across, 1), down / max(pairs_down, 1)) >= 0.5


def are_ids(numbers: set[int], deep: bool) -> bool:
    """Whether numbers are ids and not levels of grey. One number beside 0 or 255 makes a mask and no ids.

    Args:
        deep: they are from files of 16 or 32 bits, of which a picture shows the upper 8.
    """
    if deep:
        seen = {number >> 8 for number in numbers}
        steps = all(number % 257 == 0 for number in numbers) or all(
            number % 256 == 0 or number == 65535 for number in numbers
        )
        return not (steps and 32768 <= max(numbers) <= 65535 and len(seen) == len(numbers))
    others = numbers - {IGNORED}
    if len(others) < 2:
        return False
    return max(others) <= SMALL or 2 * len(others) >= max(others)


def deep(sample: Sequence[Stored]) -> bool:
    return any(stored.deep for stored in sample)
