"""Palettes: their colours, the class of a pixel, and recognising them in labels."""

from collections import Counter

import pytest
import torch

from common.commandline import UserError
from training.palettes import (
    CAMVID,
    PALETTES,
    id_colour,
    id_palette,
    nearest_colour,
    own_palette,
    palette_by_name,
    palette_of,
    palette_state,
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


def counted(label: torch.Tensor) -> dict:
    return dict(Counter(tuple(pixel) for image in label for pixel in image.flatten(1).T.tolist()))


def test_palette_is_recognised_by_its_colours():
    generator = torch.Generator().manual_seed(2)
    for palette in PALETTES.values():
        classes = torch.randint(0, len(palette.classes), (2, 16, 16), generator=generator)
        assert recognise(counted(paint(classes, palette)), exact=True).name == palette.name
    assert recognise(counted(torch.randint(0, 256, (2, 3, 16, 16), generator=generator)), exact=True) is None


def test_much_black_is_no_void_of_a_known_palette():
    """A green mask on black: black is void in CamVid, and green is none of its colours."""
    assert recognise({(0, 0, 0): 95, (0, 255, 0): 5}, exact=True) is None
    some = {colour: 10 for colour in list(CAMVID.classes.values())[:4]}
    assert recognise(some | {(0, 0, 0): 10}, exact=True).name == "camvid"
    assert recognise(some | {(0, 0, 0): 90}, exact=True) is None  # that is a class of these labels
    assert recognise(some | {(1, 2, 3): 1}, exact=True) is None  # however rare


def test_a_checkpoint_holds_a_whole_palette():
    for palette in (CAMVID, id_palette([0, 7, 300], [255]), own_palette([(1, 2, 3), (4, 5, 6)], [(0, 0, 0)])):
        assert palette_of(palette_state(palette)) == palette
    assert palette_of("camvid") is CAMVID  # of earlier ones
    assert palette_of(palette_state(None)) is None


def test_256_numbers_have_256_colours():
    assert len({id_colour(number) for number in range(256)}) == 256


def test_unknown_palette_is_a_users_error():
    with pytest.raises(UserError, match=r"--palette pascal is unknown; choose from .*cityscapes"):
        palette_by_name("pascal")
