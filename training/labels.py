"""What the labels of a run are: their palette, and the flat colours that the generator chooses between.

``training/survey.py`` has looked at the files. ``choose_palette`` decides on the classes, ``read_labels`` on the
colours, once, at the start. What they return never changes, and a checkpoint holds what is needed to make it again.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from common.commandline import UserError
from training.palette_files import read_palette
from training.palettes import (
    IGNORED,
    PALETTES,
    VOID_DISTANCE,
    Palette,
    cityscapes_colours,
    cityscapes_ids,
    id_colour,
    nearest_colour,
    palette_by_name,
    recognise,
)
from training.survey import Survey

Colours = tuple[tuple[float, float, float], ...]
STRANGE = 0.001  # of the pixels may have colours or ids that a palette which was asked for does not know


@dataclass(frozen=True)
class Labels:
    """How the labels of one run are read. The two tables have an entry for each of ``colour_cells``."""

    palette: Palette | None  # the classes of the scores; None: L1 is the only score
    colours: Colours  # what the generator chooses between, on [0, 255]; () with an RGB head
    codes: "Codes | None" = None  # finds the colour of a pixel; None with an RGB head
    weights: Tensor | None = None  # (K,), how much a pixel of each colour counts in the L1 loss
    nearest: Tensor | None = None  # (K,), which of ``colours`` each is, -1 for void

    def look_up(self, label: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """What the losses need to know of every pixel; two times None with an RGB head.

        Args:
            label: (N, 3, H, W) uint8, on the run's device.

        Returns:
            the weight (N, 1, H, W) of each pixel in the L1 loss, and which of ``colours`` it has (N, H, W), -1
            where it is void or has none of them.
        """
        if self.codes is None:
            return None, None
        index, none = self.codes(label)
        return self.weights[index].unsqueeze(1), self.nearest[index].masked_fill(none, -1)


def choose_palette(found: Survey, wish: str, cityscapes: bool = False) -> Palette | None:
    """The classes of the labels.

    Args:
        found: what the label files hold.
        wish: "auto", "none", the name of a known palette, or a file of a palette.
        cityscapes: whether they lie in Cityscapes' own folders; then ids and colours are Cityscapes'.

    Raises:
        UserError: for an unknown name, a file that is no palette, or a palette that is not that of the labels.
    """
    if wish == "none":
        return None
    if wish != "auto":
        return _asked_for(found, wish)
    if found.kind == "picture":
        return None
    if found.kind == "ids":
        palette = cityscapes_ids() if cityscapes else found.palette()
    else:
        palette = (cityscapes_colours(found.all, found.exact) if cityscapes else None) or (
            recognise(found.all, found.exact) or found.palette()
        )
    if len(palette.classes) < 2:
        raise UserError(
            f"the labels hold one class only ({_listed(found)}), so there is nothing to tell apart; add labels with "
            "another class, or use --labels picture"
        )
    return palette


def _asked_for(found: Survey, wish: str) -> Palette:
    """A palette that the user names, if the labels are painted in it."""
    own = "/" in wish or (wish not in PALETTES and Path(wish).suffix) or Path(wish).is_file()
    palette = read_palette(Path(wish)) if own else palette_by_name(wish)
    if found.kind == "picture":
        raise UserError(
            f"--palette {wish}: the labels are pictures and have no classes ({found.why}); see --labels"
        )
    if found.kind == "ids":
        if not palette.ids:
            raise UserError(
                f"--palette {wish} holds colours, and the labels are ids ({_listed(found)}); give a file with lines "
                "`name id`, or use --labels colours"
            )
        strange = {key: pixels for key, pixels in found.all.items() if key not in palette.ids}
        palette = palette if not strange else _with_ignored(palette, strange)
        strange = {key: pixels for key, pixels in strange.items() if key not in found.ignored}
    elif palette.ids:
        grey = found.exact and all(len(set(colour)) == 1 for colour in found.all)
        numbers = ", or use --labels ids" if grey else " (only of palette PNG --labels ids reads the numbers)"
        raise UserError(
            f"--palette {wish} holds ids, and the labels are colours ({_listed(found)}); give a file with lines "
            f"`name r g b`{numbers}"
        )
    else:
        palette = palette.exact() if found.exact else palette
        strange = palette.missing(found.all)
    if sum(strange.values()) > STRANGE * max(found.all.total(), 1):
        add = "add them to the palette (or `ignore` them)"
        if not own:
            add = (
                "write the labels' own colours to a file (`python pix2pix_dataset.py DATASET --write-palette FILE`), "
                "give them names there (or `ignore`), and use --palette FILE"
            )
        raise UserError(
            f"--palette {wish} does not fit the labels, which have {_listed(found, strange)}; {add}, or use --palette "
            "auto"
        )
    return palette


def _with_ignored(palette: Palette, numbers: Iterable[int]) -> Palette:
    """The palette of ids with some more numbers that are ignored."""
    void = id_colour(IGNORED)
    more = {number: void for number in numbers}
    return dataclasses.replace(palette, ids={**palette.ids, **more}, void=palette.void or (void,))


def _listed(found: Survey, keys: Iterable | None = None) -> str:
    """Colours or ids of the labels in words, the most frequent first, with their shares."""
    every, total = found.all, max(found.all.total(), 1)
    shown = sorted(every if keys is None else keys, key=lambda key: -every[key])
    words = [
        f"{key if isinstance(key, int) else ' '.join(map(str, key))} ({every[key] / total:.2%})"
        for key in shown[:6]
    ]
    more = f" and {len(shown) - 6} more" if len(shown) > 6 else ""
    return (
        f"{'the id' if found.kind == 'ids' else 'the colour'}{'s'[: len(shown) > 1]} {', '.join(words)}{more}"
    )


def read_labels(
    sample: Tensor,
    found: Survey,
    palette: Palette | None,
    head: str,
    balance: float,
    device: torch.device,
    colours: Sequence | None = None,
) -> Labels:
    """Decide on the colours that the generator chooses between, and make the tables.

    Args:
        sample: (N, 3, H, W) uint8, training labels without augmentation.
        found: what the label files hold.
        palette: their classes.
        head: "colours", "rgb", or "auto" for colours where the labels are label maps.
        balance: see ``colour_weights``.
        device: where the tables are used.
        colours: those of a checkpoint, on [0, 255]; None finds them.

    Raises:
        UserError: for ``head`` "colours" where the labels are pictures.
    """
    flat = palette or (None if found.kind == "picture" or colours is not None else found.palette())
    if colours is None:
        colours = [] if head == "rgb" or flat is None else flat.painted.tolist()
        if not colours and head == "colours":
            raise UserError(
                f"--head colours: the labels are pictures ({found.why}); use --head rgb, or see --labels"
            )
    chosen: Colours = tuple((r, g, b) for r, g, b in colours)
    if not chosen:
        return Labels(palette, ())
    table = torch.tensor(chosen, dtype=torch.float32)
    known = torch.cat([table, flat.ignored]) if flat else table  # what is ignored has places, too
    codes = Codes(known, flat.tolerance if flat else VOID_DISTANCE)
    void = len(flat.void) if flat else 0
    scored = len(known) - void
    weights = colour_weights(sample, known, balance, void, len(known) - len(table))
    nearest = torch.arange(len(known)).masked_fill(torch.arange(len(known)) >= scored, -1)
    return Labels(palette, chosen, codes.to(device), weights.to(device), nearest.to(device))


class Codes:
    """Which of some colours a pixel has, quickly: one look-up a pixel instead of the distance to each colour."""

    def __init__(self, colours: Tensor, tolerance: float):
        """
        Args:
            colours: (K, 3) on [0, 255].
            tolerance: a pixel farther from every colour has none; below 1 the colours are exact.
        """
        self.exact = tolerance < 1
        if self.exact:
            codes = (colours.long() * torch.tensor([65536, 256, 1])).sum(dim=1)
            self.codes, self.order = codes.sort()
            self.none = None
        else:
            self.order, distance = nearest_of_cells(colours)
            self.none = distance > tolerance
            self.codes = None

    def to(self, device: torch.device) -> "Codes":
        for name in ("codes", "order", "none"):
            if getattr(self, name) is not None:
                setattr(self, name, getattr(self, name).to(device))
        return self

    def __call__(self, label: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (N, 3, H, W) -> the index (N, H, W) of the colour, or of the nearest, and where it has none (bool)."""
        if not self.exact:
            cells = colour_cells(label)
            return self.order[cells], self.none[cells]
        red, green, blue = label.long().unbind(1)
        codes = ((red << 16) | (green << 8) | blue).contiguous()
        place = torch.searchsorted(self.codes, codes).clamp_(max=len(self.codes) - 1)
        return self.order[place], self.codes[place] != codes


def colour_cells(pictures: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) -> (N, H, W) int64, the cell of each pixel in a table over RGB with 5 bits a channel.

    One look-up a pixel instead of the distance to each of K colours.
    """
    r, g, b = (pictures >> 3).long().unbind(1)
    return (r << 10) | (g << 5) | b


def nearest_of_cells(colours: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest of colours (K, 3) on [0, 255] to the middle of each cell, and the distance: two (32768,)."""
    steps = torch.arange(32) * 8 + 4
    cells = torch.cartesian_prod(steps, steps, steps).T.reshape(1, 3, 32, 1024)
    index, distance = nearest_colour(cells, colours)
    return index.flatten(), distance.flatten()


def colour_weights(
    labels: Tensor, colours: Tensor, balance: float, void: int = 0, ignored: int = 0
) -> Tensor:
    """How much a pixel of each colour counts in the L1 loss: frequency ** -balance, 1 on average.

    Args:
        labels: (N, 3, H, W) uint8, a sample of the training labels.
        colours: (K, 3) on [0, 255]; a pixel belongs to the nearest.
        void: this many of the last colours are no class. Each counts as little as the most frequent class,
            however rare it is: void painted in place of a class would cost that class.
        ignored: this many of the last colours count nothing.

    Returns:
        (K,)
    """
    index, _ = nearest_colour(labels, colours)
    frequency = torch.bincount(index.flatten(), minlength=len(colours)).double() / index.numel()
    weight = frequency.clamp(min=1e-3) ** -balance
    if void:
        weight[-void:] = weight[:-void].min()
    if ignored:
        weight[-ignored:] = 0
    weight /= (weight * frequency).sum().clamp(min=1e-9)
    return weight.float()
