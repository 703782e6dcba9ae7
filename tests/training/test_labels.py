"""Palette and colours of a run's labels: found, weighted, looked up."""

import pytest
import torch
from segmentation_data import COLOURS

from common.commandline import UserError
from training.labels import colour_weights, label_colours, read_labels


def test_rare_colours_weigh_more_and_the_mean_weight_is_one():
    labels = torch.zeros(1, 3, 10, 10, dtype=torch.uint8)
    labels[:, :, 0] = 255  # a tenth of the pixels
    table = colour_weights(labels, torch.tensor([[0.0, 0, 0], [255, 255, 255]]), 0.5)
    black, white = table[0].item(), table[-1].item()
    assert white / black == pytest.approx((0.9 / 0.1) ** 0.5, rel=1e-5)
    assert 0.9 * black + 0.1 * white == pytest.approx(1, rel=1e-5)


def test_void_weighs_as_little_as_the_most_frequent_class():
    labels = torch.zeros(1, 3, 10, 10, dtype=torch.uint8)
    labels[0, 0, :3], labels[0, 1, 9] = 255, 255  # 60 black, 30 red, 10 green
    colours = torch.tensor([[0.0, 0, 0], [255, 0, 0], [0, 255, 0]])
    table = colour_weights(labels, colours, 0.5, void=1)
    black, red, green = table[0], table[31 << 10], table[31 << 5]
    assert red > black
    assert green == black


def test_void_is_no_colour_for_the_discriminator():
    black, building, white = (
        (0, 0, 0),
        tuple(COLOURS[1]),
        (255, 255, 255),
    )  # void, a class, far from every colour
    label = torch.tensor([[black, building], [white, white]], dtype=torch.uint8).permute(2, 0, 1)[None]
    labels = read_labels(label, "camvid", "auto", 0.5, torch.device("cpu"))
    weight, colour = labels.look_up(label)
    assert colour.tolist() == [[[-1, 1], [-1, -1]]]
    assert weight.shape == (1, 1, 2, 2)


def test_colours_of_no_known_palette_are_found_weighted_and_looked_up():
    label = torch.zeros(1, 3, 10, 10, dtype=torch.uint8)
    label[0, 0, :3] = 200  # 30 dark red on 70 black
    labels = read_labels(label, "none", "auto", 0.5, torch.device("cpu"))
    assert labels.palette is None
    assert labels.colours == ((0, 0, 0), (200, 0, 0))
    weight, colour = labels.look_up(label)
    assert (colour[0, :3] == 1).all()
    assert (colour[0, 3:] == 0).all()
    assert weight.mean().item() == pytest.approx(1, rel=1e-5)
    assert weight[0, 0, 0, 0] > weight[0, 0, 9, 0]


def test_an_rgb_head_has_no_colours():
    label = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    labels = read_labels(label, "none", "rgb", 0.5, torch.device("cpu"))
    assert labels.colours == ()
    assert labels.look_up(label) == (None, None)


def test_the_colours_head_wants_flat_colours():
    noise = torch.randint(0, 256, (1, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    with pytest.raises(
        UserError, match=r"--head colours: these labels are not painted in a few flat colours"
    ):
        read_labels(noise, "none", "colours", 0.5, torch.device("cpu"))


def test_label_colours_finds_flat_colours_through_jpeg_noise():
    rng = torch.Generator().manual_seed(0)
    colours = torch.tensor([[20, 20, 20], [200, 30, 30], [30, 90, 200]])
    labels = colours[torch.randint(0, 3, (4, 32, 32), generator=rng)].permute(0, 3, 1, 2)
    noisy = (labels + torch.randint(-3, 4, labels.shape, generator=rng)).clamp(0, 255).to(torch.uint8)
    found = torch.tensor(label_colours(noisy)).float()
    assert len(found) == 3
    assert torch.cdist(colours.float(), found).min(dim=1).values.max() < 6
    assert label_colours(torch.randint(0, 256, (4, 3, 32, 32), generator=rng).to(torch.uint8)) == []
