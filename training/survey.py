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

from common.commandline import UserError
from training.counting import Counts, borders_among, count, counted
from training.flatness import (
    APART,
    TIGHT,
    codes_of,
    colours_of,
    flatness,
    nearest,
)
from training.pairs import Pair
from training.palettes import IGNORED, Colour, Palette, id_colour, id_palette, own_palette
from training.pictures import PHOTO, PICTURE, UNKNOWN, Reader, read_side
from training.samples import (
    MOST,
    SMALL,
    are_ids,
    deep,
    evenly,
    exact,
    numbers_of,
    rgb,
    sample_of,
    unsmoothed,
)

FIRST_LOOK, SAMPLE = 8, 64  # files
UPPER = "of 16 bits the upper 8 are used"
BLACK_TO_WHITE = 442.0  # distance in RGB: no grey is farther from another
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
    odd: tuple[str, ...] = ()  # files that seem to be something else, and why

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
        if self.is_a_smoothed_mask:
            return dataclasses.replace(palette, tolerance=BLACK_TO_WHITE)
        return palette.exact() if self.exact else palette

    @property
    def is_a_smoothed_mask(self) -> bool:
        """Two greys and a smoothed border between them: each pixel is the nearer one, as by a threshold."""
        greys = self.kind == "colours" and all(len(set(key)) == 1 for key in self.all)
        return greys and self.borders > 0 and len(self.all) == 2 and not self.ignored

    def notes(self, palette: Palette | None) -> list[str]:
        """What a user should know of the classes, a line each."""
        lines = list(self.odd)
        if self.is_a_smoothed_mask:
            lines.append(
                f"{self.borders:.2%} of the label pixels are between the two greys and count as the nearer one"
            )
        elif self.borders > 0.0005:
            lines.append(
                f"{self.borders:.2%} of the label pixels have colours of borders (JPEG or smoothing) and no class"
            )
        if (
            self.kind == "colours"
            and self.exact
            and len(self.all) > 3
            and all(len(set(c)) == 1 for c in self.all)
        ):
            lines.append("all of these colours are greys; if they are numbers of classes, use --labels ids")
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
    numbers, flat = numbers_of(first), unsmoothed(first)
    if any(stored.lossy for stored in first):
        if indices or (numbers is not None and max(numbers) <= SMALL):
            raise UserError(
                f"{train[0].b or train[0].a} and its like hold ids in JPEG or another lossy format, which changes "
                "them; save them as PNG, or use --labels picture if they are pictures"
            )
    elif wish == "auto" and numbers is not None and deep(first) and not flat and are_ids(numbers, True):
        return Survey(
            "picture", f"numbers of 16 bits that change from pixel to pixel, as depth does; {UPPER}"
        )
    elif exact(first) and (wish != "auto" or flat):
        forms = (True, False) if numbers is not None else (False,)
        for grey in (True,) if indices or deep(first) else forms:
            counts = count(train, val, side, indices, grey, quiet)
            if counts is not None and len(counts.all) <= MOST:
                smoothed = borders_among(counts.all, [*train, *val], side, indices, grey)
                return _exact_survey(counts, smoothed, grey, wish)
    if numbers is not None and deep(first) and (indices or flat):
        _refuse_more_than_256(train, val, side, indices)
    if indices:
        raise UserError(
            f"--labels ids: {train[0].b or train[0].a} or another label holds colours; use --labels auto"
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
            more = count(pairs, [], side, False, True, True) if deep(first) else None
            known = sorted({*range(256), *(more.all if more else ())})
            return Input("ids", Reader(tuple((number, id_colour(number)) for number in known if number >= 0)))
        return Input("colours", PICTURE)
    sample = sample_of(pairs, side, FIRST_LOOK * 2)
    flat = sample and flatness([rgb(stored) for stored in sample]).flat
    return Input("colours", PICTURE) if flat else Input("picture", PHOTO)


def _none_readable(pairs: Sequence[Pair], side: str) -> UserError:
    """Why nothing can be said of labels of which none can be read: what is wrong with the first."""
    try:
        read_side(pairs[0], side)
    except UserError as error:
        return UserError(f"none of the {len(pairs)} labels of the training split can be used: {error}")
    return UserError(f"none of the {len(pairs)} labels of the training split could be read; try again")


def _refuse_more_than_256(train: Sequence[Pair], val: Sequence[Pair], side: str, indices: bool) -> None:
    """UserError for files of ids of which there are too many for classes."""
    counts = count(train, val, side, indices, True, True)
    if counts is not None and len(counts.all) > MOST:
        numbers = counts.all
        raise UserError(
            f"the labels hold {len(numbers)} numbers or more ({min(numbers)} to {max(numbers)}), and at most {MOST} "
            "can be classes; write the class of each pixel in place of the number of each object, or use --labels "
            "picture"
        )


def _exact_survey(found: Counts, smoothed: set[int], grey: bool, wish: str) -> Survey:
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
        if max(numbers) > 65535:
            raise UserError(
                f"the labels hold ids up to {max(numbers)}; classes have numbers up to 65535, write smaller ones"
            )
        negative = {number for number in numbers if number < 0}
        ignored = numbers & {IGNORED, 65535} | negative
        if len(numbers - ignored) < 2:
            ignored = negative
        why = "whole numbers with smoothed borders" if borders else "whole numbers in every file"
        return Survey("ids", why, True, train, val, tuple(sorted(ignored)), borders)
    if ids and found.deep:
        raise UserError(
            f"--labels {wish}: the labels are numbers of more than 8 bits ({min(numbers)} to {max(numbers)}) and no "
            "colours; use --labels ids"
        )
    painted = [{_colour(key, grey): n for key, n in split.items()} for split in (train, val)]
    why = "the same few fill the areas; the rest are borders" if borders else "the same few in every file"
    return Survey("colours", why, True, *painted, tuple(sorted(found.ignored)), borders)


def _colour(key: int, grey: bool) -> Colour:
    if grey:
        key = key if key < 256 else key >> 8
        return key, key, key
    red, green, blue = colours_of(np.array(key)).tolist()
    return red, green, blue


def _look_closer(train: Sequence[Pair], val: Sequence[Pair], side: str, wish: str) -> Survey:
    """JPEG, smoothed borders, or pictures."""
    halves = [sample_of(pairs, side, most) for pairs, most in ((train, SAMPLE), (val, SAMPLE // 2))]
    samples = [[rgb(stored) for stored in half] for half in halves]
    found = flatness(samples[0] + samples[1])
    if not found.flat and wish == "auto":
        share, colours = f"{found.tight:.0%}", len(found.colours)
        why = f"{share} of the areas without texture have one of {colours} colours; in label maps {TIGHT:.0%} have"
        if colours > MOST:
            why = f"more than {MOST} colours"
        elif not colours:
            why = "no flat areas, as in photos"
        return Survey("picture", f"{why}; {UPPER}" if deep(halves[0]) else why)
    if wish == "colours" and len(found.colours) > MOST:
        raise UserError(f"--labels colours: the labels have more than {MOST} colours; use --labels picture")
    if not found.colours:
        raise UserError(
            f"--labels colours: {train[0].b or train[0].a} and its like have no flat areas, as photos have none; use "
            "--labels picture"
        )
    if len(found.colours) < 2:
        raise UserError(
            f"{train[0].b or train[0].a} and its like have one flat colour and no other, so there is nothing to tell "
            "apart; add labels with another, or use --labels picture"
        )
    counts, outliers = [], []
    for pairs, sample in zip((train, val), samples, strict=True):
        outliers += _outliers(evenly(pairs, SAMPLE if pairs is train else SAMPLE // 2), sample, found.colours)
        every: Counter = Counter()
        for picture in sample:
            every.update(counted(codes_of(picture)))
        codes, pixels = (np.array(list(each), int) for each in (every.keys(), every.values()))
        index, distance = nearest(colours_of(codes), found.colours)
        inside = np.bincount(index, pixels * (distance <= APART), len(found.colours)).astype(int)
        counts.append(dict(zip(found.colours, inside.tolist(), strict=True)))
        counts[-1][None] = int(pixels.sum() - inside.sum())
    outside = sum(split.pop(None) for split in counts)
    total = outside + sum(sum(split.values()) for split in counts)
    why = f"areas without texture have one of {len(found.colours)} colours; the rest are borders"
    return Survey("colours", why, False, *counts, (), outside / max(total, 1), tuple(outliers))


def _outliers(pairs: Sequence[Pair], pictures: Sequence[np.ndarray], colours: Sequence[Colour]) -> list[str]:
    """Files most of which have none of the colours, where the others have them nearly everywhere."""
    shares = []
    for picture in pictures:
        codes, pixels = np.unique(codes_of(picture), return_counts=True)
        shares.append(float(pixels[nearest(colours_of(codes), colours)[1] > APART].sum() / pixels.sum()))
    if len(pairs) != len(pictures) or np.median(shares) > 0.2:  # broken ones were left out
        return []
    return [
        f"{pair.b or pair.a}: {share:.0%} of it has none of the other labels' colours; is it a label map?"
        for pair, share in zip(pairs, shares, strict=True)
        if share > 0.5
    ]
