"""What the labels of a run are: their palette, and the flat colours that the generator chooses between.

``read_labels`` decides it once, at the start, from a sample of the training labels. What it returns never
changes, and a checkpoint holds what is needed to make it again. The functions below it find flat colours, weight
them, and look them up quickly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from common.commandline import UserError
from training.palettes import VOID_DISTANCE, Palette, nearest_colour, palette_by_name

Colours = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Labels:
    """How the labels of one run are read. The two tables have an entry for each of ``colour_cells``."""

    palette: Palette | None  # the classes of the scores; None: L1 is the only score
    colours: Colours  # what the generator chooses between, on [0, 255]; () with an RGB head
    weights: Tensor | None = None  # (32768,), how much a pixel counts in the L1 loss; None with an RGB head
    nearest: Tensor | None = (
        None  # (32768,), which of ``colours``, -1 for void or none; None with an RGB head
    )

    def look_up(self, label: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """What the losses need to know of every pixel; two times None with an RGB head.

        Args:
            label: (N, 3, H, W) uint8, on the run's device.

        Returns:
            the weight (N, 1, H, W) of each pixel in the L1 loss, and which of ``colours`` it has (N, H, W), -1
            where it is void or has none of them.
        """
        if self.nearest is None or self.weights is None:
            return None, None
        cells = colour_cells(label)
        return self.weights[cells].unsqueeze(1), self.nearest[cells]


def read_labels(
    sample: Tensor,
    palette: str,
    head: str,
    balance: float,
    device: torch.device,
    colours: Sequence | None = None,
) -> Labels:
    """Decide on palette and colours, and make the tables.

    Args:
        sample: (N, 3, H, W) uint8, training labels without augmentation.
        palette: a palette's name, "auto" or "none".
        head: "colours", "rgb", or "auto" for colours where the labels are flat colours.
        balance: see ``colour_weights``.
        device: where the tables are used.
        colours: those of a checkpoint, on [0, 255]; None finds them.

    Raises:
        UserError: for an unknown palette, or ``head`` "colours" where the labels are not flat colours.
    """
    known = palette_by_name(palette, sample)
    if colours is None:
        colours = [] if head == "rgb" else known.colours.tolist() if known else label_colours(sample)
        if not colours and head == "colours":
            raise UserError(
                "--head colours: these labels are not painted in a few flat colours; use --head rgb"
            )
    chosen: Colours = tuple((r, g, b) for r, g, b in colours)
    if not chosen:
        return Labels(known, ())
    table, void = torch.tensor(chosen, dtype=torch.float32), len(known.void) if known else 0
    nearest, distance = nearest_of_cells(table)
    none = (distance > VOID_DISTANCE) | (nearest >= len(chosen) - void)
    return Labels(
        known,
        chosen,
        colour_weights(sample, table, balance, void).to(device),
        nearest.masked_fill(none, -1).to(device),
    )


def label_colours(labels: Tensor, most: int = 40, least: float = 0.0005) -> list[tuple[int, int, int]]:
    """The flat colours that a sample of labels is painted in, most frequent first; [] if it is not.

    Colours are counted in cells of 8 x 8 x 8 values; a colour nearer than 24 to a more frequent one is that
    one blurred by JPEG. Pictures count as painted in flat colours when at most ``most`` colours, each on at
    least the fraction ``least`` of the pixels, explain 85 % of them.

    Args:
        labels: (N, 3, H, W) uint8.
    """
    pixels = labels.permute(0, 2, 3, 1).reshape(-1, 3)
    cells, counts = torch.unique(pixels.div(8, rounding_mode="floor"), dim=0, return_counts=True)
    colours: list[Sequence[float]] = []
    covered = 0
    for k in counts.argsort(descending=True).tolist():
        if counts[k] < least * len(pixels):
            break
        centre = cells[k].float() * 8 + 3.5
        if colours and torch.cdist(centre[None], torch.tensor(colours)).min() < 24:
            covered += int(counts[k])
            continue
        inside = (pixels.div(8, rounding_mode="floor") == cells[k]).all(dim=1)
        colours.append(pixels[inside].float().median(dim=0).values.tolist())
        covered += int(counts[k])
    if not 2 <= len(colours) <= most or covered < 0.85 * len(pixels):
        return []
    return [(int(r), int(g), int(b)) for r, g, b in colours]


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


def colour_weights(labels: Tensor, colours: Tensor, balance: float, void: int = 0) -> Tensor:
    """How much a pixel of each colour counts in the L1 loss: frequency ** -balance, 1 on average.

    Args:
        labels: (N, 3, H, W) uint8, a sample of the training labels.
        colours: (K, 3) on [0, 255]; a pixel belongs to the nearest.
        void: this many of the last colours are no class. Each counts as little as the most frequent class,
            however rare it is: void painted in place of a class would cost that class.

    Returns:
        (32768,), for each of ``colour_cells``.
    """
    index, _ = nearest_colour(labels, colours)
    frequency = torch.bincount(index.flatten(), minlength=len(colours)).double() / index.numel()
    weight = frequency.clamp(min=1e-3) ** -balance
    if void:
        weight[-void:] = weight[:-void].min()
    weight /= (weight * frequency).sum()
    return weight[nearest_of_cells(colours)[0]].float()
