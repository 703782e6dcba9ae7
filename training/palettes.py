"""Palettes: which colours stand for which classes, and the class of every pixel by its nearest colour.

A new palette is one more ``Palette`` here, entered in ``PALETTES``: ``--palette`` then knows its name, and "auto"
recognises labels that are painted in it. A user's own palette is a file; see training/palette_files.py.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from common.commandline import UserError

Colour = tuple[int, int, int]
# Distance in RGB beyond which a ground-truth pixel is void. The closest two colours that must be kept apart
# are 37 apart (fence and pole of Cityscapes); JPEG at quality 75 moves flat colours by less than 10.
VOID_DISTANCE = 32.0
SEVERAL = 3  # so many classes of a known palette must occur for labels to be recognised as painted in it
MOST_VOID = (
    1 / 3
)  # of the pixels; more than that is a class of the labels and not what the palette calls void
IGNORED = 255  # the number that id maps use for pixels without a class


@dataclass(frozen=True)
class Palette:
    """The colours of a labelled data set: ``classes`` are scored, ``void`` colours are not."""

    name: str
    classes: Mapping[str, Colour]
    void: tuple[Colour, ...] = ()
    ids: Mapping[int, Colour] = field(
        default_factory=dict
    )  # of id maps: the colour that a number is painted in
    tolerance: float = VOID_DISTANCE  # a pixel farther from every colour is void; 0.5 where labels are exact
    ignores: bool = False  # void is in no loss and never painted; else it is painted and counts little

    @property
    def painted(self) -> Tensor:
        """(K, 3) float colours on [0, 255] that a generator may paint."""
        return self.colours[: len(self.classes)] if self.ignores else self.colours

    @property
    def ignored(self) -> Tensor:
        """(V, 3) float colours on [0, 255] that are in no loss."""
        return self.colours[len(self.painted) :]

    @property
    def colours(self) -> Tensor:
        """(K + V, 3) float colours on [0, 255]: the K classes in order, then the V void colours."""
        return torch.tensor([*self.classes.values(), *self.void], dtype=torch.float32)

    def exact(self) -> "Palette":
        """The same palette for labels that have its colours exactly: a colour beside one is not that one."""
        return dataclasses.replace(self, tolerance=0.5)

    def missing(self, colours: Mapping[Colour, int]) -> dict[Colour, int]:
        """Those of ``colours`` (colour: its pixels) that are not in the palette."""
        if not colours:
            return {}
        image = torch.tensor(list(colours)).T.reshape(1, 3, 1, -1)
        distance = nearest_colour(image, self.colours)[1].flatten()
        reach = min(self.tolerance, 16.0)  # JPEG moves a colour, but not as far as to another class
        return {colour: n for (colour, n), far in zip(colours.items(), distance, strict=True) if far > reach}


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
    if len(colours) > 40 and len(images) > 1:  # the products of one picture at a time, for the sake of memory
        found = [nearest_colour(image[None], colours) for image in images]
        return torch.cat([index for index, _ in found]), torch.cat([distance for _, distance in found])
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
    outside = distance > palette.tolerance
    return index.masked_fill(outside | (index >= len(palette.classes)), -1), outside


def predicted_classes(images: Tensor, palette: Palette) -> Tensor:
    """Classes (N, H, W) int64 of predicted pictures (N, 3, H, W) on [0, 255]; never void."""
    return nearest_colour(images, palette.colours[: len(palette.classes)])[0]


def class_shares(pixels: Mapping[Colour, int], palette: Palette) -> dict[str, float]:
    """The fraction of the pixels that each class has, the most frequent first.

    Args:
        pixels: colour -> its pixels, in truth.
    """
    image = torch.tensor(list(pixels)).T.reshape(1, 3, 1, -1)
    index = truth_classes(image, palette)[0].flatten()
    counts = torch.tensor(list(pixels.values()), dtype=torch.float64)
    sums = torch.zeros(len(palette.classes) + 1, dtype=torch.float64).index_add_(0, index + 1, counts)[1:]
    shares = dict(zip(palette.classes, (sums / counts.sum()).tolist(), strict=True))
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def ignored_share(shares: Mapping[str, float]) -> float:
    """What ``class_shares`` leave of the whole; rounding makes no less than nothing of it."""
    rest = 1 - sum(shares.values())
    return rest if rest > 1e-12 else 0.0


def recognise(colours: Mapping[Colour, int], exact: bool) -> Palette | None:
    """The known palette that labels are painted in, or None.

    Every colour of the labels is in it, at least ``SEVERAL`` of its classes occur, and at most ``MOST_VOID`` of the
    pixels have what it calls void.

    Args:
        colours: what the labels are painted in: colour -> pixels.
        exact: see ``Palette.exact``.
    """
    for palette in PALETTES.values():
        palette = palette.exact() if exact else palette
        if palette.missing(colours):
            continue
        image = torch.tensor(list(colours)).T.reshape(1, 3, 1, -1)
        index = nearest_colour(image, palette.colours)[0].flatten()
        counts = torch.zeros(len(palette.colours)).index_add_(
            0, index, torch.tensor(list(colours.values())).float()
        )
        classes = len(palette.classes)
        if (counts[:classes] > 0).sum() >= SEVERAL and counts[classes:].sum() <= MOST_VOID * counts.sum():
            return palette
    return None


def cityscapes_colours(colours: Mapping[Colour, int], exact: bool) -> Palette | None:
    """Cityscapes' palette if every colour of the labels is in it, however few classes occur, and one does; else None.

    For labels in Cityscapes' own folders. Args as for ``recognise``.
    """
    palette = CITYSCAPES.exact() if exact else CITYSCAPES
    if palette.missing(colours) or not sum(class_shares(colours, palette).values()):
        return None
    return palette


def own_palette(colours: Sequence[Colour], void: Sequence[Colour] = ()) -> Palette:
    """The labels' own colours as classes, each called by its colour: "200-40-40"."""
    names = {"-".join(map(str, colour)): colour for colour in colours if colour not in void}
    return Palette("own", names, tuple(void), ignores=True)


def id_colour(number: int) -> Colour:
    """The colour of a number from 0 to 2**24 - 1 in PASCAL VOC's colour map: 0 black, 1 dark red, ... 255 pale.

    Its bits are dealt out to red, green and blue in turn, the high ones first. The first 256 differ by 32 or more.
    """
    red, green, blue = (
        sum((number >> (3 * k + channel) & 1) << (7 - k) for k in range(8)) for channel in range(3)
    )
    return red, green, blue


def id_palette(numbers: Sequence[int], ignored: Sequence[int] = ()) -> Palette:
    """The numbers of id maps as classes, each called by its number and painted in its ``id_colour``.

    Numbers beyond 254 leave no colour of their own to each; then they are painted in their order.
    """
    classes = sorted(set(numbers) - set(ignored))
    own = all(0 <= number < IGNORED for number in classes)
    shown = {number: id_colour(number if own else place) for place, number in enumerate(classes)}
    void = id_colour(IGNORED)
    return Palette(
        "own",
        {str(number): colour for number, colour in shown.items()},
        (void,) if ignored else (),
        shown | dict.fromkeys(ignored, void),
        0.5,
        ignores=True,
    )


def cityscapes_ids() -> Palette:
    """Cityscapes' palette for its labelIds: 7 is the road, 8 the sidewalk, ...; what is not scored is black."""
    numbers = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
    scored = dict(zip(numbers, CITYSCAPES.classes.values(), strict=True))
    void = dict.fromkeys({*range(34), IGNORED} - scored.keys(), (0, 0, 0))
    ids = dict(sorted((scored | void).items()))
    return dataclasses.replace(CITYSCAPES, void=((0, 0, 0),), ids=ids, tolerance=0.5, ignores=True)


def palette_by_name(name: str) -> Palette:
    """The known palette called ``name``.

    Raises:
        UserError: for an unknown name.
    """
    if name not in PALETTES:
        raise UserError(
            f"--palette {name} is unknown; choose from auto, none, {', '.join(PALETTES)}, or give a file"
        )
    return PALETTES[name]


def palette_state(palette: Palette | None) -> str | dict:
    """A palette as a checkpoint holds it: plain values."""
    if palette is None:
        return "none"
    return {
        "name": palette.name,
        "classes": {name: list(colour) for name, colour in palette.classes.items()},
        "void": [list(colour) for colour in palette.void],
        "ids": {number: list(colour) for number, colour in palette.ids.items()},
        "tolerance": palette.tolerance,
        "ignores": palette.ignores,
    }


def palette_of(state: str | dict) -> Palette | None:
    """The palette of a checkpoint; earlier ones hold a name.

    Raises:
        UserError: for a name that is not known.
    """
    if isinstance(state, str):
        return None if state == "none" else palette_by_name(state)
    red_green_blue = lambda colour: (int(colour[0]), int(colour[1]), int(colour[2]))  # noqa: E731
    return Palette(
        str(state["name"]),
        {str(name): red_green_blue(colour) for name, colour in state["classes"].items()},
        tuple(map(red_green_blue, state["void"])),
        {int(number): red_green_blue(colour) for number, colour in state["ids"].items()},
        float(state["tolerance"]),
        bool(state["ignores"]),
    )
