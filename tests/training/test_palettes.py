"""Palettes: their colours, the class of a pixel, and recognising them in labels."""

import pytest
import torch

from common.commandline import UserError
from training.palettes import (
    CAMVID,
    PALETTES,
    nearest_colour,
    palette_by_name,
    predicted_classes,
    recognise,
    truth_classes,
)


def paint(classes: torch.Tensor, palette=CAMVID) -> torch.Tensor:
    """(N, H, W) class numbers -> (N, 3, H, W) uint8."""
    return palette.colours.to(torch.uint8)[classes].permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("name", "classes"), [("cityscapes", 19), ("camvid", 11), ("facades", 12), ("faces", 7)]
)
def test_palettes_have_the_published_sizes_and_distinct_colours(name, classes):
    palette = PALETTES[name]
    assert len(palette.classes) == classes
    assert len({tuple(c) for c in palette.colours.tolist()}) == classes + len(palette.void)


def test_nearest_colour_is_exact():
    colours = torch.tensor([[0.0, 0, 0], [255, 255, 255], [10, 20, 30]])
    pixels = torch.tensor([[[[3]], [[4]], [[0]]], [[[10]], [[20]], [[33]]], [[[255]], [[250]], [[255]]]])
    index, distance = nearest_colour(pixels, colours)
    assert index.flatten().tolist() == [0, 2, 1]
    assert distance.flatten().tolist() == [5, 3, 5]


def test_void_truth_is_not_scored_and_void_is_never_predicted():
    black = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    assert (truth_classes(black, CAMVID)[0] == -1).all()
    assert (predicted_classes(black, CAMVID) >= 0).all()


def test_palette_is_recognised_by_its_colours():
    generator = torch.Generator().manual_seed(2)
    for palette in PALETTES.values():
        classes = torch.randint(0, len(palette.classes), (2, 16, 16), generator=generator)
        assert recognise(paint(classes, palette)) is palette
    assert recognise(torch.randint(0, 256, (2, 3, 16, 16), generator=generator)) is None


def test_unknown_palette_is_a_users_mistake():
    with pytest.raises(UserError, match=r"--palette pascal is unknown; choose from .*cityscapes"):
        palette_by_name("pascal", torch.zeros(1, 3, 2, 2))
