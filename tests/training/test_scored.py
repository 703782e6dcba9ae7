"""Labels that predictions are scored against: whether they are those of the run."""

from dataclasses import replace

import numpy as np
import pytest
from label_sets import bands, painted, write
from PIL import Image

from common.commandline import UserError
from training.pairs import find_pairs
from training.palettes import CAMVID, FACES, id_palette, own_palette
from training.scored import check_labels
from training.survey import BLACK_TO_WHITE

RED_AND_BLUE = [(0, 0, 0), (200, 30, 30), (30, 90, 200)]
RUN_OF_IDS = id_palette([0, 1, 2, 3, 9], [255])
RUN_OF_COLOURS = own_palette(RED_AND_BLUE).exact()
SMOOTHED_MASK = replace(own_palette([(0, 0, 0), (255, 255, 255)]), tolerance=BLACK_TO_WHITE)


def checked(root, palette):
    return check_labels(find_pairs(root, "val"), "b", palette)


def ids(numbers):
    return lambda k: bands(k, numbers).astype(np.uint8)


def colours(table):
    return lambda k: painted(bands(k, range(len(table))), table)


def test_labels_of_the_run_need_no_word(tmp_path):
    assert checked(write(tmp_path / "ids", ids([0, 1, 2, 3, 9, 255])), RUN_OF_IDS) == []
    assert checked(write(tmp_path / "colours", colours(RED_AND_BLUE)), RUN_OF_COLOURS) == []
    camvid = [(0, 0, 0), *list(CAMVID.classes.values())[:3]]
    assert checked(write(tmp_path / "camvid", colours(camvid)), CAMVID) == []  # its void is known


@pytest.mark.parametrize(
    ("label", "palette", "unknown", "words"),
    [
        (ids([0, 1, 7, 8, 11]), RUN_OF_IDS, lambda v: np.isin(v, [7, 8, 11]), "ids"),
        (
            colours([*RED_AND_BLUE, (9, 200, 9)]),
            RUN_OF_COLOURS,
            lambda v: (v == (9, 200, 9)).all(-1),
            "colours",
        ),
    ],
)
def test_what_the_run_does_not_know_is_said_with_its_share(tmp_path, label, palette, unknown, words):
    root = write(tmp_path, label)
    share = np.mean([unknown(np.asarray(Image.open(pair.b))) for pair in find_pairs(root, "val")])
    (line,) = checked(root, palette)
    assert line.startswith(f"{share:.2%} of the label pixels have {words} that the run does not know: ")
    assert line.endswith("; they are void in the scores")
    named = ("7 (", "8 (", "11 (") if words == "ids" else ("9 200 9 (",)
    assert all(name in line for name in named)


@pytest.mark.parametrize(
    ("label", "palette", "said"),
    [
        (
            ids([100, 101, 102]),
            RUN_OF_IDS,
            r"not those of this run: 100.00% of their pixels have ids .*no class",
        ),
        (ids([0, 254]), id_palette([0, 1]), r"they have only 0, and the run's classes are the ids 0, 1"),
        (
            colours([(0, 0, 0), (9, 200, 9), (200, 200, 9)]),
            RUN_OF_COLOURS,
            r"the run's classes they have only 0-0-0",
        ),
        (
            ids([0, 1, 7]),
            RUN_OF_COLOURS,
            r"hold ids \(0, 1, 7\), and the run's classes are the colours 0 0 0, 200 30 30",
        ),
        (
            lambda k: bands(k, [0, 1, 7]).astype(np.uint16),
            RUN_OF_COLOURS,
            r"the labels hold ids \(0, 1, 7\)",
        ),
        (ids([0, 1, 2, 3]), FACES, r"the labels hold ids \(0, 1, 2, 3\)"),  # all near its black, in JPEG
        (ids([0, 1, 2, 3]), CAMVID, r"the labels hold ids \(0, 1, 2, 3\)"),  # black is void
        (ids([0, 1]), SMOOTHED_MASK, r"the labels hold ids \(0, 1\)"),
        (colours(RED_AND_BLUE), RUN_OF_IDS, r"hold colours, and the run's classes are the ids 0, 1, 2, 3, 9"),
    ],
)
def test_labels_of_something_else_are_refused(tmp_path, label, palette, said):
    with pytest.raises(UserError, match=said):
        checked(write(tmp_path, label), palette)


def test_levels_of_grey_are_no_ids_where_the_run_has_them(tmp_path):
    run = own_palette([(k, k, k) for k in range(4)]).exact()
    assert checked(write(tmp_path / "same", ids([0, 1, 2, 3])), run) == []
    assert "4 (" in checked(write(tmp_path / "more", ids([0, 1, 2, 3, 4])), run)[0]


def test_jpeg_of_the_run_is_scored_and_its_borders_are_not_listed(tmp_path):
    table = list(CAMVID.classes.values())[:4]
    label = lambda k: painted(bands(k, range(4), side=128), table)  # noqa: E731
    (line,) = checked(write(tmp_path, label, ending="jpg", quality=75), CAMVID)
    assert "that the run does not know (JPEG makes some at borders); they are void" in line


def test_a_strange_colour_in_jpeg_is_named(tmp_path):
    label = colours([*list(CAMVID.classes.values())[:3], (250, 250, 10)])
    (line,) = checked(write(tmp_path, label, ending="jpg", quality=95, subsampling=0), CAMVID)
    assert " know: 25" in line
    assert line.endswith("(JPEG makes some at borders); they are void in the scores")


def test_why_there_is_no_miou(tmp_path):
    (line,) = checked(write(tmp_path, lambda k: np.full((32, 32), 255, np.uint8)), RUN_OF_IDS)
    assert line.startswith("no accuracies and no mIoU")


def test_labels_that_cannot_be_read(tmp_path):
    root = write(tmp_path, ids([0, 1]))
    for pair in find_pairs(root, "val"):
        pair.b.write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"none of the 3 labels can be read: .*cannot be read as a picture"):
        checked(root, RUN_OF_IDS)
