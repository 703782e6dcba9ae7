"""Palettes: which colours stand for which classes, and the class of every pixel by its nearest colour.

A new palette is one more ``Palette`` here, entered in ``PALETTES``: ``--palette`` then knows its name, and "auto"
recognises labels that are painted in it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from common.commandline import UserError

# Distance in RGB beyond which a ground-truth pixel is void. The closest two colours that must be kept apart
# are 37 apart (fence and pole of Cityscapes); JPEG at quality 75 moves flat colours by less than 10.
VOID_DISTANCE = 32.0


@dataclass(frozen=True)
class Palette:
    """The colours of a labelled data set: ``classes`` are scored, ``void`` colours are not."""

    name: str
    classes: dict[str, tuple[int, int, int]]
    void: tuple[tuple[int, int, int], ...] = ()

    @property
    def colours(self) -> Tensor:
        """(K + V, 3) float colours on [0, 255]: the K classes in order, then the V void colours."""
        return torch.tensor([*self.classes.values(), *self.void], dtype=torch.float32)


CAMVID = Palette(
    "camvid",
    {
        "sky": (128, 128, 128),
        "building": (128, 0, 0),
        "pole": (192, 192, 128),
        "road": (128, 64, 128),
        "pavement": (60, 40, 222),
        "tree": (128, 128, 0),
        "sign": (192, 128, 128),
        "fence": (64, 64, 128),
        "car": (64, 0, 128),
        "pedestrian": (64, 64, 0),
        "bicyclist": (0, 128, 192),
    },
    void=((0, 0, 0),),
)
CITYSCAPES = Palette(
    "cityscapes",
    {
        "road": (128, 64, 128),
        "sidewalk": (244, 35, 232),
        "building": (70, 70, 70),
        "wall": (102, 102, 156),
        "fence": (190, 153, 153),
        "pole": (153, 153, 153),
        "traffic light": (250, 170, 30),
        "traffic sign": (220, 220, 0),
        "vegetation": (107, 142, 35),
        "terrain": (152, 251, 152),
        "sky": (70, 130, 180),
        "person": (220, 20, 60),
        "rider": (255, 0, 0),
        "car": (0, 0, 142),
        "truck": (0, 0, 70),
        "bus": (0, 60, 100),
        "train": (0, 80, 100),
        "motorcycle": (0, 0, 230),
        "bicycle": (119, 11, 32),
    },
    # unlabelled, dynamic, ground, parking, rail track, guard rail, bridge, tunnel, caravan, trailer
    void=(
        (0, 0, 0),
        (111, 74, 0),
        (81, 0, 81),
        (250, 170, 160),
        (230, 150, 140),
        (180, 165, 180),
        (150, 100, 100),
        (150, 120, 90),
        (0, 0, 90),
        (0, 0, 110),
    ),
)
FACADES = Palette(
    "facades",
    {
        "background": (0, 0, 170),
        "facade": (0, 0, 255),
        "window": (0, 85, 255),
        "door": (0, 170, 255),
        "cornice": (0, 255, 255),
        "sill": (85, 255, 170),
        "balcony": (170, 255, 85),
        "blind": (255, 255, 0),
        "deco": (255, 170, 0),
        "molding": (255, 85, 0),
        "pillar": (255, 0, 0),
        "shop": (170, 0, 0),
    },
)
FACES = Palette(
    "faces",
    {
        "background": (0, 0, 0),
        "skin": (224, 172, 138),
        "brows": (96, 56, 24),
        "eyes": (64, 128, 224),
        "nose": (240, 208, 64),
        "lips": (208, 48, 80),
        "mouth": (255, 255, 255),
    },
)
PALETTES = {palette.name: palette for palette in (CAMVID, CITYSCAPES, FACADES, FACES)}


def nearest_colour(images: Tensor, colours: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest of K colours for every pixel.

    Args:
        images: (N, 3, H, W), any dtype, on [0, 255].
        colours: (K, 3) on [0, 255].

    Returns:
        index (N, H, W) int64 and the Euclidean distance to it (N, H, W) float32.
    """
    pixels, colours = images.float(), colours.to(images.device)
    # |p - c|^2 = |p|^2 - 2 p.c + |c|^2 : one matrix product, exact in float32 for whole numbers up to 255
    products = torch.einsum("nchw,kc->nkhw", pixels, colours)
    partial, index = (colours.square().sum(dim=1).view(1, -1, 1, 1) - 2 * products).min(dim=1)
    return index, (partial + pixels.square().sum(dim=1)).clamp(min=0).sqrt()


def truth_classes(labels: Tensor, palette: Palette) -> tuple[Tensor, Tensor]:
    """Classes of ground-truth pictures (N, 3, H, W) on [0, 255].

    Returns:
        classes (N, H, W) int64, -1 where void, and a bool mask (N, H, W) of colours outside the palette.
    """
    index, distance = nearest_colour(labels, palette.colours)
    outside = distance > VOID_DISTANCE
    return index.masked_fill(outside | (index >= len(palette.classes)), -1), outside


def predicted_classes(images: Tensor, palette: Palette) -> Tensor:
    """Classes (N, H, W) int64 of predicted pictures (N, 3, H, W) on [0, 255]; never void."""
    return nearest_colour(images, palette.colours[: len(palette.classes)])[0]


def recognise(labels: Tensor, least: float = 0.9) -> Palette | None:
    """The palette that explains at least the fraction ``least`` of the pixels of ``labels``, or None.

    Args:
        labels: (N, 3, H, W) on [0, 255], a sample of the training labels.
    """
    share = {
        name: (nearest_colour(labels, palette.colours)[1] <= VOID_DISTANCE).float().mean().item()
        for name, palette in PALETTES.items()
    }
    name = max(share, key=lambda key: share[key])
    return PALETTES[name] if share[name] >= least else None


def palette_by_name(name: str, labels: Tensor) -> Palette | None:
    """The palette called ``name``; "auto" looks at a sample of labels, "none" gives None.

    Raises:
        UserError: for an unknown name.
    """
    if name == "auto":
        return recognise(labels)
    if name == "none":
        return None
    if name not in PALETTES:
        raise UserError(f"--palette {name} is unknown; choose from auto, none, {', '.join(PALETTES)}")
    return PALETTES[name]
