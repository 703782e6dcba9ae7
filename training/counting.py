"""Counting the numbers or colours of label files that are not smoothed, in every file of both splits."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common.commandline import UserError
from training.flatness import APART, between_neighbours, codes_of, solid_pixels
from training.pairs import Pair
from training.palettes import IGNORED, Colour
from training.pictures import Stored
from training.samples import MIDDLE, MOST, SMALL, evenly, look, rgb

SAMPLE = 64  # files
MOST_KINDS = 1000  # that are remembered
CROWD = 8  # so many colours that lie between their neighbours' are borders that were smoothed


@dataclass
class Counts:
    """What the label files of both splits hold, by number or by code of a colour."""

    # of training and validation
    pixels: tuple[Counter, Counter] = field(default_factory=lambda: (Counter(), Counter()))
    ignored: set[Colour] = field(default_factory=set)  # the colours of index 255
    deep: bool = False  # a file has 16 or 32 bits
    # One file for each set of numbers or codes that a file holds: (whether it has one channel, the set) -> its path
    kinds: dict[tuple[bool, frozenset], Path] = field(default_factory=dict)

    def note(self, path: Path, stored: Stored, held: frozenset) -> None:
        self.deep |= stored.deep
        self.ignored |= {stored.ignored} if stored.ignored else set()
        if len(self.kinds) < MOST_KINDS:
            self.kinds.setdefault((stored.values.ndim == 2, held), path)

    def refuse_mixtures(self, grey: bool) -> None:
        """UserError for files that do not say the same in the same way; grey: as for ``count``."""
        if grey:
            if set(self.all) == {0, 1, IGNORED} and not any({1, IGNORED} <= held for _, held in self.kinds):
                one, other = (self._file(lambda _, held, key=key: key in held) for key in (1, IGNORED))
                raise UserError(
                    f"{one} is a mask of 0 and 1, and {other} one of 0 and 255; write the same two numbers in all"
                )
            return
        numbers = {code & 255 for plain, held in self.kinds if plain for code in held} - {0, IGNORED}
        colours = {code for plain, held in self.kinds if not plain for code in held}
        if colours and numbers and max(numbers) <= SMALL and not colours & {0x010101 * n for n in numbers}:
            ids = self._file(lambda plain, held: plain and bool({code & 255 for code in held} & numbers))
            coloured = self._file(lambda plain, _: not plain)
            raise UserError(
                f"{ids} holds ids, and {coloured} colours; save all labels in one of the two ways"
            )

    def _file(self, fits: Callable[[bool, frozenset], bool]) -> Path:
        return next(path for kind, path in self.kinds.items() if fits(*kind))

    @property
    def all(self) -> Counter:
        return self.pixels[0] + self.pixels[1]


def count(
    train: Sequence[Pair], val: Sequence[Pair], side: str, indices: bool, grey: bool, quiet: bool
) -> Counts | None:
    """Count every file, or up to the one where there are more than 256; None for lossy files, and for colours where
    ``grey`` expects numbers.

    Raises:
        UserError: for files of which some hold ids and others colours, or masks of 0 and 1 and of 0 and 255.
    """
    found = Counts()
    with tqdm(total=len(train) + len(val), desc="reading labels", disable=quiet, leave=False) as bar:
        for pixels, pairs in zip(found.pixels, (train, val), strict=True):
            for pair in pairs:
                bar.update()
                for stored in look([pair], side, indices):
                    whole = stored.numbers if grey else stored.values
                    if whole is None or stored.lossy:
                        return None
                    held: set[int] = set()
                    for start in range(0, len(whole), max(MIDDLE**2 // whole.shape[1], 1)):
                        rows = whole[start : start + max(MIDDLE**2 // whole.shape[1], 1)]
                        numbers = rows if grey else codes_of(rgb(dataclasses.replace(stored, values=rows)))
                        some = counted(numbers)
                        pixels.update(some)
                        held |= some.keys()
                        if len(pixels) > MOST:
                            return found
                    found.note(pair.b or pair.a, stored, frozenset(held))
    found.refuse_mixtures(grey)
    return found


def borders_among(every: Counter, pairs: Sequence[Pair], side: str, indices: bool, grey: bool) -> set[int]:
    """Those that are borders and no classes: a crowd that never fills an area and lies between its neighbours."""
    if len(every) < CROWD + 2:
        return set()
    for files in (evenly(pairs, SAMPLE), pairs):  # all of them only if the sample shows a crowd
        solid, between, seen = Counter(), Counter(), Counter()
        for stored in look(files, side, indices):
            numbers = stored.numbers if grey else codes_of(rgb(stored))
            if numbers is None:
                continue
            channels = numbers[..., None] if grey else rgb(stored)
            solid.update(counted(numbers[solid_pixels(numbers)]))
            between.update(counted(numbers[between_neighbours(channels)]))
            seen.update(counted(numbers))
        crowd = {key for key in seen.keys() - solid.keys() if between[key] >= 0.5 * seen[key]}
        large = len(crowd) >= max(CROWD, 2 * (len(every) - len(crowd)))
        if not large or sum(every[key] for key in crowd) > 0.4 * every.total() or len(every) - len(crowd) < 2:
            return set()
    return crowd | (_ringing(seen, solid, crowd) if grey else set())


def _ringing(seen: Counter, solid: Counter, crowd: set[int]) -> set[int]:
    """Levels beside a crowd that hardly fill an area: those beside a level that does, and those as rare as the crowd.

    Sharp filters overshoot at borders, and enlarging makes steps in them; so not each such level lies between its
    neighbours.
    """
    filled = [key for key in seen if solid[key] >= 0.2 * seen[key]]
    most = 3 * max(seen[key] for key in crowd)
    rest = seen.keys() - crowd - set(filled)
    if len(filled) < 2:
        return set()
    return {key for key in rest if seen[key] <= most or min(abs(key - other) for other in filled) < APART}


def counted(numbers: np.ndarray) -> dict[int, int]:
    """How often each number occurs. Runs of one number are counted at once: labels are made of them."""
    flat = numbers.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=flat[:1] - 1)) if flat.size else np.zeros(0, int)
    lengths = np.diff(starts, append=flat.size)
    values, index = np.unique(flat[starts], return_inverse=True)
    return dict(
        zip(values.tolist(), np.bincount(index, lengths, len(values)).astype(int).tolist(), strict=True)
    )
