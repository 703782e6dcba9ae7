"""Palette and colours of a run's labels: chosen, weighted, looked up."""

from collections import Counter

import pytest
import torch
from segmentation_data import COLOURS

from common.commandline import UserError
from training.labels import choose_palette, colour_weights, read_labels
from training.palettes import CAMVID, CITYSCAPES
from training.survey import Survey

CPU = torch.device("cpu")
PICTURE = Survey("picture", "for a test")


def survey_of(label: torch.Tensor, exact: bool = True) -> Survey:
    """As if a data set held one label (1, 3, H, W) uint8."""
    counts = Counter(tuple(pixel) for pixel in label[0].flatten(1).T.tolist())
    return Survey("colours", "for a test", exact, dict(counts), dict(counts))


def test_rare_colours_weigh_more_and_the_mean_weight_is_one():
    labels = torch.zeros(1, 3, 10, 10, dtype=torch.uint8)
    labels[:, :, 0] = 255  # a tenth of the pixels
    table = colour_weights(labels, torch.tensor([[0.0, 0, 0], [255, 255, 255]]), 0.5)
    black, white = table.tolist()
    assert white / black == pytest.approx((0.9 / 0.1) ** 0.5, rel=1e-5)
    assert 0.9 * black + 0.1 * white == pytest.approx(1, rel=1e-5)


def test_void_weighs_as_little_as_the_most_frequent_class():
    labels = torch.zeros(1, 3, 10, 10, dtype=torch.uint8)
    labels[0, 0, :3], labels[0, 1, 9] = 255, 255  # 60 black, 30 red, 10 green
    colours = torch.tensor([[0.0, 0, 0], [255, 0, 0], [0, 255, 0]])
    table = colour_weights(labels, colours, 0.5, void=1)
    green, red, black = table[2], table[1], table[0]
    assert red > black
    assert green == black


def test_void_is_no_colour_for_the_discriminator():
    black, building, white = (
        (0, 0, 0),
        tuple(COLOURS[1]),
        (255, 255, 255),
    )  # void, a class, far from every colour
    label = torch.tensor([[black, building], [white, white]], dtype=torch.uint8).permute(2, 0, 1)[None]
    labels = read_labels(label, survey_of(label, exact=False), CAMVID, "auto", 0.5, CPU)
    weight, colour = labels.look_up(label)
    assert colour.tolist() == [[[-1, 1], [-1, -1]]]
    assert weight.shape == (1, 1, 2, 2)


def test_colours_of_no_known_palette_are_found_weighted_and_looked_up():
    label = torch.zeros(1, 3, 10, 10, dtype=torch.uint8)
    label[0, 0, :3] = 200  # 30 dark red on 70 black
    labels = read_labels(label, survey_of(label), None, "auto", 0.5, CPU)
    assert labels.palette is None
    assert labels.colours == ((0, 0, 0), (200, 0, 0))
    weight, colour = labels.look_up(label)
    assert (colour[0, :3] == 1).all()
    assert (colour[0, 3:] == 0).all()
    assert weight.mean().item() == pytest.approx(1, rel=1e-5)
    assert weight[0, 0, 0, 0] > weight[0, 0, 9, 0]


def test_an_rgb_head_has_no_colours():
    label = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    labels = read_labels(label, survey_of(label), None, "rgb", 0.5, CPU)
    assert labels.colours == ()
    assert labels.look_up(label) == (None, None)


def test_the_colours_head_wants_label_maps():
    noise = torch.randint(0, 256, (1, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    with pytest.raises(UserError, match=r"--head colours: the labels are pictures"):
        read_labels(noise, PICTURE, None, "colours", 0.5, CPU)
    with pytest.raises(UserError, match=r"--palette camvid: the labels are pictures and have no classes"):
        choose_palette(PICTURE, "camvid")


def test_colours_close_to_each_other_stay_apart():
    label = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    label[0, 2, :2] = 1  # 0 0 0 and 0 0 1
    found = survey_of(label)
    palette = choose_palette(found, "auto")
    labels = read_labels(label, found, palette, "auto", 0.5, CPU)
    _, colour = labels.look_up(label)
    assert [labels.colours[k] for k in (colour[0, 0, 0], colour[0, 3, 0])] == [(0, 0, 1), (0, 0, 0)]


def test_what_is_ignored_is_in_no_loss_and_never_painted():
    label = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    label[0, 0, :2], label[0, 1, 3] = 200, 90
    found = survey_of(label)
    found.ignored = ((0, 90, 0),)
    palette = choose_palette(found, "auto")
    labels = read_labels(label, found, palette, "auto", 0.5, CPU)
    weight, colour = labels.look_up(label)
    assert sorted(labels.colours) == [(0, 0, 0), (200, 0, 0)]
    assert (colour[0, 3] == -1).all()
    assert (weight[0, 0, 3] == 0).all()
    assert (weight[0, 0, :3] > 0).all()


def colours_of(*colours) -> Survey:
    return Survey("colours", "for a test", True, dict.fromkeys(colours, 50), dict.fromkeys(colours, 50))


def test_a_file_of_ids_for_labels_of_colours_leads_to_no_circle(tmp_path):
    file = tmp_path / "ids.txt"
    file.write_text("road 7\nsky 8\n")
    with pytest.raises(UserError, match=r"lines `name r g b` \(only of palette PNG --labels ids reads"):
        choose_palette(colours_of((0, 0, 0), (200, 0, 0)), str(file))
    with pytest.raises(UserError, match=r"lines `name r g b`, or use --labels ids"):
        choose_palette(colours_of((0, 0, 0), (255, 255, 255)), str(file))


def test_nothing_can_be_added_to_a_palette_of_the_project(tmp_path):
    labels = colours_of((128, 128, 128), (128, 0, 0), (0, 0, 192))
    with pytest.raises(
        UserError, match=r"the colour 0 0 192 \(33.33%\); write .* --write-palette FILE`\)"
    ) as error:
        choose_palette(labels, "camvid")
    assert "add" not in str(error.value)
    file = tmp_path / "mine.txt"
    file.write_text("sky 128 128 128\nbuilding 128 0 0\n")
    with pytest.raises(UserError, match=r"0 0 192 \(33.33%\); add them to the palette"):
        choose_palette(labels, str(file))


def test_few_classes_in_cityscapes_own_folders_have_their_names():
    road, car = CITYSCAPES.classes["road"], CITYSCAPES.classes["car"]
    for colours in ((road, (0, 0, 0)), (road, car, (0, 0, 0)), (road, (81, 0, 81))):
        palette = choose_palette(colours_of(*colours), "auto", cityscapes=True)
        assert palette.classes == CITYSCAPES.classes
        assert (0, 0, 0) in palette.void
    assert choose_palette(colours_of(road, (0, 0, 0)), "auto").name == "own"
    assert choose_palette(colours_of(road, (1, 2, 3)), "auto", cityscapes=True).name == "own"
    assert choose_palette(colours_of((0, 0, 0), (81, 0, 81)), "auto", cityscapes=True).name == "own"
