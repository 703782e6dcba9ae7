"""Whether labels are those of a run: looked at before predictions are scored against them.

A label that has other classes than the run is void in the scores, and scores over what is left look like any others.
So ``check_labels`` says how much is left out, and refuses where hardly anything is scored.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from common.commandline import UserError
from training.counting import counted
from training.flatness import codes_of, colours_of
from training.pairs import Pair
from training.palettes import Colour, Palette, truth_classes
from training.pictures import UNKNOWN, Stored, read_side
from training.samples import are_ids, rgb

RARE = 0.001  # of the pixels: colours that JPEG invents may fall on a class by chance
LEAST = 0.01  # of the pixels must have a class of the run's
REMEMBERED = 1000  # unknown colours; a photo has a million
LISTED = 6


@dataclass
class Held:
    """What the labels hold, as a run with a palette reads them. Keys are colours, or numbers of ids."""

    files: int = 0
    pixels: int = 0
    void: int = 0  # pixels of what the run does not score by its palette
    known: Counter = field(default_factory=Counter)  # place of a class -> pixels
    strange: Counter = field(default_factory=Counter)  # what the run does not know -> pixels
    unknown: int = 0  # pixels of it, also of what is not remembered
    numbers: set[int] | None = field(default_factory=set)  # of one-channel files; None: a file holds colours
    deep: bool = False  # a file has 16 or 32 bits
    lossy: bool = False
    coloured: list[str] = field(default_factory=list)  # files of colours where the run reads ids

    def add(self, stored: Stored, palette: Palette) -> None:
        """One label: what of it is a class, void or unknown."""
        self.files += 1
        self.lossy |= stored.lossy
        self.deep |= stored.deep
        if palette.ids:
            every = counted(stored.numbers)
            colours = [palette.ids.get(number, UNKNOWN) for number in every]
        else:
            found = counted(codes_of(rgb(stored)))
            colours = [(r, g, b) for r, g, b in colours_of(np.array(list(found))).tolist()]
            every = dict(zip(colours, found.values(), strict=True))
            plain = stored.values.ndim == 2 and self.numbers is not None
            self.numbers = self.numbers | set(np.unique(stored.values).tolist()) if plain else None
        image = torch.tensor(colours).T.reshape(1, 3, 1, -1)
        classes, outside = (each.flatten().tolist() for each in truth_classes(image, palette))
        self.pixels += sum(every.values())
        for (key, pixels), place, out in zip(every.items(), classes, outside, strict=True):
            if place >= 0:
                self.known[place] += pixels
            elif out:
                self.strange[key] += pixels
                self.unknown += pixels
            else:
                self.void += pixels
        if len(self.strange) > REMEMBERED:
            self.strange = Counter(dict(self.strange.most_common(REMEMBERED)))


def check_labels(pairs: Sequence[Pair], side: str, palette: Palette) -> list[str]:
    """Look at every label that is to be scored against.

    Args:
        side: "a" or "b", where the labels are.
        palette: that of the run.

    Returns:
        what the user should know, a line each. Files that cannot be read are left out; who scores names them.

    Raises:
        UserError: if the labels are of another kind than the run's, or hardly one of their classes is the run's.
    """
    held, wrong = Held(), ""
    for pair in pairs:
        try:
            stored = read_side(pair, side, bool(palette.ids))
        except UserError as error:
            wrong = wrong or str(error)
            continue
        if palette.ids and stored.numbers is None:
            held.coloured.append(str(pair.b or pair.a))
        else:
            held.add(stored, palette)
    mine = f"the run's classes are {_classes(palette)}"
    if not held.files:
        if held.coloured:
            raise UserError(
                f"--score: {held.coloured[0]} and its like hold colours, and {mine}; score against labels of ids"
            )
        raise UserError(f"--score: none of the {len(pairs)} labels can be read: {wrong}")
    if not palette.ids and held.numbers and are_ids(held.numbers, held.deep) and _are_other_greys(held):
        raise UserError(
            f"--score: the labels hold ids ({_some(map(str, sorted(held.numbers)))}), and {mine}; score against "
            "labels in these colours"
        )
    return _verdict(held, palette, mine)


def _verdict(held: Held, palette: Palette, mine: str) -> list[str]:
    """What is to be said of labels of the right kind; UserError if hardly one of their classes is the run's."""
    share = held.unknown / held.pixels
    what = "ids" if palette.ids else "colours"
    worth = LEAST * held.pixels if held.lossy else 0
    frequent = [(key, pixels) for key, pixels in held.strange.most_common() if pixels > worth]
    listed = [f"{_words(key)} ({pixels / held.pixels:.2%})" for key, pixels in frequent]
    strange = f"have {what} that the run does not know"
    strange += f": {_some(listed)}" if listed else ""
    strange += " (JPEG makes some at borders)" if held.lossy else ""
    least = RARE * held.pixels if held.lossy else 0
    known = [place for place, pixels in held.known.items() if pixels > least]
    if share > RARE and (len(known) < 2 or held.known.total() < LEAST * held.pixels):
        names = list(palette.classes)
        some = f"only {names[known[0]]}" if len(known) == 1 else "hardly anything" if known else "no class"
        raise UserError(
            f"--score: the labels are not those of this run: {share:.2%} of their pixels {strange}; of the run's "
            f"classes they have {some}, and {mine}. Score against labels with the run's classes, or leave out --score"
        )
    lines = (
        [f"{share:.2%} of the label pixels {strange}; they are void in the scores"] if held.unknown else []
    )
    if not held.known:
        lines.append(
            "no accuracies and no mIoU: every pixel of the labels is what the run ignores or calls void"
        )
    return lines


def _are_other_greys(held: Held) -> bool:
    """Whether numbers are not a run's levels of grey: all fall on one of its colours, as on black, or on none.

    Of 16-bit ones the upper 8 bits would be looked at.
    """
    return held.deep or len(held.known) + (held.void > 0) <= 1


def _classes(palette: Palette) -> str:
    """The run's classes in words: names, and numbers or colours."""
    numbers = {colour: number for number, colour in palette.ids.items()}
    words = []
    for name, colour in palette.classes.items():
        value = _words(numbers[colour] if palette.ids else colour)
        words.append(value if name in (value, value.replace(" ", "-")) else f"{name} ({value})")
    return f"{'the ids' if palette.ids else 'the colours'} {_some(words)}"


def _words(key: int | Colour) -> str:
    return str(key) if isinstance(key, int) else " ".join(map(str, key))


def _some(words: Iterable[str]) -> str:
    every = list(words)
    return ", ".join(every[:LISTED]) + (f" and {len(every) - LISTED} more" if len(every) > LISTED else "")
