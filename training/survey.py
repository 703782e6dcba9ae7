"""What kind of labels a data set has: flat colours, ids or pictures. The rule, and the look at the files.

==========================================  ==================================================================
what the label files hold                   what they are
==========================================  ==================================================================
one channel or grey, at most 256 numbers,   ids, if the numbers are small (at most 63, or at least half of those
no smoothing                                up to the largest one occur); 255 is then ignored. Else flat colours:
                                            0 and 255, or levels as 0, 128 and 255, are a class each
16 or 32 bits, at most 256 numbers          ids, whatever the numbers are: 0, 1, 2, 300, or 7, 26001, 26002; 255, 65535
                                            and what is below 0 are ignored. Flat colours only if all are levels of
                                            grey in 16 bits, as 0, 32768 and 65535
colours, at most 256, no smoothing          flat colours, each a class, however rare. A palette file counts by its
                                            colours; its index 255 is ignored
JPEG, or smoothed at the borders            flat colours, if the areas without texture have few colours (see
                                            training/flatness.py); colours at the borders are no classes
anything else                               pictures
==========================================  ==================================================================

Numbers and colours that are not smoothed are counted in every label file of both splits, so five pixels in the
whole set are found. "No smoothing": at most 64 numbers, or neighbours are mostly equal, which they are not in a
photo of 256 grey levels.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from common.commandline import UserError
from training.flatness import (
    APART,
    TIGHT,
    between_neighbours,
    codes_of,
    colours_of,
    flatness,
    nearest,
    solid_pixels,
)
from training.pairs import Pair
from training.palettes import IGNORED, Colour, Palette, id_colour, id_palette, own_palette
from training.pictures import PICTURE, UNKNOWN, Reader, read_side
from training.samples import (
    MIDDLE,
    MOST,
    are_ids,
    deep,
    evenly,
    exact,
    look,
    numbers_of,
    rgb,
    sample_of,
    unsmoothed,
)

FIRST_LOOK, SAMPLE = 8, 64  # files
CROWD = 8  # so many colours that lie between their neighbours' are borders that were smoothed
WISHES = ("auto", "colours", "ids", "picture")


@dataclass
class Survey:
    """What the label files hold. Keys are colours, or numbers of ids."""

    kind: str  # colours, ids or picture
    why: str  # in a few words, for the user
    exact: bool = False  # no JPEG, no smoothing: counted in every file
    train: dict = field(default_factory=dict)  # -> pixels
    val: dict = field(default_factory=dict)
    ignored: tuple = ()  # those that are no class
    borders: float = 0.0  # share of the pixels that have colours of borders; they are no class

    @property
    def all(self) -> Counter:
        """Both splits together."""
        return Counter(self.train) + Counter(self.val)

    def palette(self) -> Palette:
        """The labels' own classes: their colours, or their numbers painted."""
        keys = [key for key, _ in self.all.most_common()]
        if self.kind == "ids":
            return id_palette([key for key in keys if key not in self.ignored], self.ignored)
        palette = own_palette(keys, self.ignored)
        return palette.exact() if self.exact else palette

    def notes(self, palette: Palette | None) -> list[str]:
        """What a user should know of the classes, a line each."""
        lines = []
        if self.borders > 0.0005:
            lines.append(
                f"{self.borders:.2%} of the label pixels have colours of borders (JPEG or smoothing) and no class"
            )
        names = {key: name for key, name in self.names().items() if palette and name in palette.classes}
        only = [name for key, name in names.items() if not self.train.get(key)]
        if only:
            lines.append(
                f"only in validation, so not learned: {', '.join(only[:8])}{', …' * (len(only) > 8)}"
            )
        return lines

    def reader(self, palette: Palette | None) -> Reader:
        """How the label files become pictures in the palette's colours."""
        return Reader(tuple(palette.ids.items()) if palette and self.kind == "ids" else ())

    def painted(self, palette: Palette) -> Counter:
        """The pixels of each colour that the label files have as ``reader`` reads them."""
        found: Counter = Counter()
        for key, pixels in self.all.items():
            found[palette.ids.get(key, UNKNOWN) if self.kind == "ids" else key] += pixels
        return found

    def names(self) -> dict:
        """What ``palette`` calls each class: number or colour -> name."""
        if self.kind == "ids":
            return {key: str(key) for key in self.all if key not in self.ignored}
        return {colour: name for name, colour in self.palette().classes.items()}


def survey(
    train: Sequence[Pair], val: Sequence[Pair], side: str, wish: str = "auto", quiet: bool = True
) -> Survey:
    """Find out what kind of labels these are. Broken files are left out; who reads the pairs names them.

    Args:
        side: "a" or "b", where the labels are.
        wish: "colours", "ids" or "picture" instead of the rule; "auto".

    Raises:
        UserError: if labels cannot be what was wished for; it says what was found.
    """
    if wish == "picture":
        return Survey("picture", "as --labels says")
    indices = wish == "ids"
    first = sample_of(train, side, FIRST_LOOK, indices) or sample_of(train, side, SAMPLE, indices)
    if not first:
        raise _none_readable(train, side)
    if exact(first) and (wish != "auto" or unsmoothed(first)):
        for grey in (True, False) if numbers_of(first) is not None else (False,):
            counts = None if wish == "ids" and not grey else _count(train, val, side, indices, grey, quiet)
            if counts is not None:
                smoothed = _smoothed(counts.all, [*train, *val], side, indices, grey)
                return _exact_survey(counts, smoothed, grey, wish)
    _at_most_256(train, val, side, wish)
    if indices:
        raise UserError(
            f"--labels ids: {train[0].b or train[0].a} or another label holds colours or is JPEG; use --labels auto"
        )
    return _look_closer(train, val, side, wish)


class Input(NamedTuple):
    kind: str  # colours, ids or picture
    reader: Reader


def kind_of_input(pairs: Sequence[Pair], side: str) -> Input:
    """The rule for the side that is the input, from a few files.

    An input of flat colours is scaled without smoothing and keeps its colours. Ids are painted: each number from 0
    to 255 in its ``id_colour``, so that no number needs to be known beforehand.
    """
    first = sample_of(pairs, side, FIRST_LOOK)
    if first and exact(first) and unsmoothed(first):
        numbers = numbers_of(first)
        if numbers is not None and are_ids(numbers, deep(first)):
            more = _count(pairs, [], side, False, True, True) if deep(first) else None
            known = sorted({*range(256), *(more.all if more else ())})
            return Input("ids", Reader(tuple((number, id_colour(number)) for number in known if number >= 0)))
        return Input("colours", PICTURE)
    sample = sample_of(pairs, side, FIRST_LOOK * 2)
    flat = sample and flatness([rgb(stored) for stored in sample]).flat
    return Input("colours" if flat else "picture", PICTURE)


def _none_readable(pairs: Sequence[Pair], side: str) -> UserError:
    """Why nothing can be said of labels of which none can be read: what is wrong with the first."""
    try:
        read_side(pairs[0], side)
    except UserError as error:
        return UserError(f"none of the {len(pairs)} labels of the training split can be used: {error}")
    return UserError(f"none of the {len(pairs)} labels of the training split could be read; try again")


def _at_most_256(train: Sequence[Pair], val: Sequence[Pair], side: str, wish: str) -> None:
    """UserError for files of ids of which there are too many for classes; a picture of 16 bits is none."""
    sample = sample_of([*train, *val], side, SAMPLE, wish == "ids")
    numbers = numbers_of(sample)
    if numbers is not None and deep(sample) and len(numbers) > MOST and (wish == "ids" or unsmoothed(sample)):
        raise UserError(
            f"the labels hold {len(numbers)} numbers or more ({min(numbers)} to {max(numbers)}), and at most {MOST} "
            "can be classes; write the class of each pixel in place of the number of each object, or use --labels "
            "picture"
        )


@dataclass
class _Counts:
    """What the label files of both splits hold, by number or by code of a colour."""

    pixels: tuple[Counter, Counter] = field(
        default_factory=lambda: (Counter(), Counter())
    )  # training, validation
    ignored: set[Colour] = field(default_factory=set)  # the colours of index 255
    deep: bool = False  # a file has 16 or 32 bits

    @property
    def all(self) -> Counter:
        return self.pixels[0] + self.pixels[1]


def _count(
    train: Sequence[Pair], val: Sequence[Pair], side: str, indices: bool, grey: bool, quiet: bool
) -> _Counts | None:
    """Count every file; None where there are more than 256, or colours where ``grey`` expects numbers."""
    found = _Counts()
    with tqdm(total=len(train) + len(val), desc="reading labels", disable=quiet, leave=False) as bar:
        for pixels, pairs in zip(found.pixels, (train, val), strict=True):
            for pair in pairs:
                bar.update()
                for stored in look([pair], side, indices):
                    whole = stored.numbers if grey else stored.values
                    found.deep |= stored.deep
                    if whole is None or stored.lossy:
                        return None
                    for start in range(0, len(whole), max(MIDDLE**2 // whole.shape[1], 1)):
                        rows = whole[start : start + max(MIDDLE**2 // whole.shape[1], 1)]
                        numbers = rows if grey else codes_of(rgb(dataclasses.replace(stored, values=rows)))
                        pixels.update(_counted(numbers))
                        if len(pixels) > MOST:
                            return None
                    found.ignored |= {stored.ignored} if stored.ignored else set()
    return found if len(found.all) <= MOST else None


def _smoothed(every: Counter, pairs: Sequence[Pair], side: str, indices: bool, grey: bool) -> set[int]:
    """Those that are borders and no classes: a crowd that never fills an area and lies between its neighbours."""
    if len(every) < CROWD + 2:
        return set()
    solid: set[int] = set()
    between: Counter = Counter()
    seen: Counter = Counter()
    for files in (evenly(pairs, SAMPLE), pairs):  # all of them only if the sample shows a crowd
        for stored in look(files, side, indices):
            numbers = stored.numbers if grey else codes_of(rgb(stored))
            if numbers is None:
                continue
            solid |= set(np.unique(numbers[solid_pixels(numbers)]).tolist())
            channels = numbers[..., None] if grey else rgb(stored)
            between.update(_counted(numbers[between_neighbours(channels)]))
            seen.update(_counted(numbers))
        crowd = {key for key in seen.keys() - solid if between[key] >= 0.5 * seen[key]}
        large = len(crowd) >= max(CROWD, 2 * (len(every) - len(crowd)))
        if not large or sum(every[key] for key in crowd) > 0.4 * every.total() or len(every) - len(crowd) < 2:
            return set()
        between, seen = Counter(), Counter()
    return crowd


def _counted(numbers: np.ndarray) -> dict[int, int]:
    """How often each number occurs. Runs of one number are counted at once: labels are made of them."""
    flat = numbers.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=flat[:1] - 1)) if flat.size else np.zeros(0, int)
    lengths = np.diff(starts, append=flat.size)
    values, index = np.unique(flat[starts], return_inverse=True)
    return dict(
        zip(values.tolist(), np.bincount(index, lengths, len(values)).astype(int).tolist(), strict=True)
    )


def _exact_survey(found: _Counts, smoothed: set[int], grey: bool, wish: str) -> Survey:
    """The survey of labels that were counted in every file.

    Args:
        smoothed: numbers or codes that are no classes.
    """
    train, val = ({k: n for k, n in pixels.items() if k not in smoothed} for pixels in found.pixels)
    total = found.all.total()
    borders = 1 - (sum(train.values()) + sum(val.values())) / max(total, 1)
    numbers = set(train) | set(val)
    ids = grey and are_ids(numbers, found.deep)
    if grey and (wish == "ids" or (wish == "auto" and ids)):
        negative = {number for number in numbers if number < 0}
        ignored = numbers & {IGNORED, 65535} | negative
        if len(numbers - ignored) < 2:
            ignored = negative
        return Survey("ids", "whole numbers in every file", True, train, val, tuple(sorted(ignored)), borders)
    if ids and found.deep:
        raise UserError(
            f"--labels {wish}: the labels are numbers of more than 8 bits ({min(numbers)} to {max(numbers)}) and no "
            "colours; use --labels ids"
        )
    painted = [{_colour(key, grey): n for key, n in split.items()} for split in (train, val)]
    return Survey(
        "colours", "the same few in every file", True, *painted, tuple(sorted(found.ignored)), borders
    )


def _colour(key: int, grey: bool) -> Colour:
    if grey:
        key = key if key < 256 else key >> 8
        return key, key, key
    red, green, blue = colours_of(np.array(key)).tolist()
    return red, green, blue


def _look_closer(train: Sequence[Pair], val: Sequence[Pair], side: str, wish: str) -> Survey:
    """JPEG, smoothed borders, or pictures."""
    samples = [
        [rgb(stored) for stored in sample_of(pairs, side, most)]
        for pairs, most in ((train, SAMPLE), (val, SAMPLE // 2))
    ]
    found = flatness(samples[0] + samples[1])
    if not found.flat and wish == "auto":
        share, colours = f"{found.tight:.0%}", len(found.colours)
        why = f"{share} of the areas without texture have one of {colours} colours; in label maps {TIGHT:.0%} have"
        return Survey("picture", why)
    if len(found.colours) < 2:
        raise UserError(
            f"--labels {wish}: {train[0].b or train[0].a} and its like are not painted in a few flat colours; use "
            "--labels auto or picture"
        )
    counts = []
    for sample in samples:
        every: Counter = Counter()
        for picture in sample:
            every.update(_counted(codes_of(picture)))
        codes, pixels = (np.array(list(each), int) for each in (every.keys(), every.values()))
        index, distance = nearest(colours_of(codes), found.colours)
        inside = np.bincount(index, pixels * (distance <= APART), len(found.colours)).astype(int)
        counts.append(dict(zip(found.colours, inside.tolist(), strict=True)))
        counts[-1][None] = int(pixels.sum() - inside.sum())
    outside = sum(split.pop(None) for split in counts)
    total = outside + sum(sum(split.values()) for split in counts)
    why = f"areas without texture have one of {len(found.colours)} colours; the rest are borders"
    return Survey("colours", why, False, *counts, (), outside / max(total, 1))
