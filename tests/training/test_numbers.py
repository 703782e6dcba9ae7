"""Labels that hold whole numbers of 16 and 32 bits, or are transparent: read rightly, or said in one line."""

import numpy as np
import pytest
import torch
from label_sets import bands, found, photo, write
from PIL import Image, ImageDraw
from segmentation_data import SIDE, SMALL, command, error_of, log_rows

from common.commandline import UserError
from pix2pix_dataset import PairDataset
from training.labels import choose_palette
from training.pairs import find_pairs
from training.palettes import truth_classes
from training.pictures import UNKNOWN
from training.survey import kind_of_input


def deep(numbers: list[int], kind=np.uint16):
    return lambda k: bands(k, numbers).astype(kind)


def read_as(root, palette, kind) -> set[str | None]:
    """The names of the classes that a training sees in the labels; None: void."""
    pairs = find_pairs(root, "train")
    data = PairDataset(
        root, "train", pairs=pairs, readers=(kind_of_input(pairs, "a").reader, kind.reader(palette))
    )
    seen = set()
    for k in range(len(data)):
        classes, _ = truth_classes(data[k]["label"][None], palette)
        seen |= set(classes.unique().tolist())
    return {None if k < 0 else list(palette.classes)[k] for k in seen}


@pytest.mark.parametrize(
    "numbers",
    [
        [0, 1, 2, 300],
        [0, 7, 100, 200, 300],
        [0, 7, 26001, 24002],
        [0, 200],
        [0, 1],
        [0, 300],
        [3, 256, 257, 512],
    ],
)
def test_numbers_of_16_bits_are_ids_however_sparse(tmp_path, numbers):
    root = write(tmp_path, deep(numbers))
    kind = found(root)
    palette = choose_palette(kind, "auto")
    assert kind.kind == "ids"
    assert set(palette.classes) == read_as(root, palette, kind) == {str(number) for number in numbers}


def test_a_mask_of_0_and_255_in_16_bits_has_two_classes(tmp_path):
    root = write(tmp_path, deep([0, 255]))
    kind = found(root)
    palette = choose_palette(kind, "auto")
    assert read_as(root, palette, kind) == set(palette.classes) == {"0", "255"}


def test_what_is_ignored_in_16_and_32_bits(tmp_path):
    root = write(tmp_path, deep([-1, 0, 4, 255, 900, 65535], np.int32), "tif")
    kind = found(root)
    palette = choose_palette(kind, "auto")
    assert kind.ignored == (-1, 255, 65535)
    assert read_as(root, palette, kind) == {None, "0", "4", "900"}


def test_below_zero_and_one_class_is_said(tmp_path):
    root = write(tmp_path, deep([-1, 3], np.int32), "tif")
    with pytest.raises(UserError, match=r"one class only \(the id"):
        choose_palette(found(root), "auto")


@pytest.mark.parametrize("numbers", [[0, 65535], [0, 32768, 65535], [0, 16448, 32896, 49344, 65535]])
def test_levels_of_grey_in_16_bits_are_colours(tmp_path, numbers):
    root = write(tmp_path, deep(numbers))
    kind = found(root)
    assert kind.kind == "colours"
    assert read_as(root, choose_palette(kind, "auto"), kind) == set(choose_palette(kind, "auto").classes)
    assert set(kind.all) == {(number >> 8,) * 3 for number in numbers}


def test_sparse_numbers_are_no_colours(tmp_path):
    root = write(tmp_path, deep([0, 1, 2, 300]))
    with pytest.raises(UserError, match=r"--labels colours: the labels are numbers of .* use --labels ids"):
        found(root, wish="colours")


@pytest.mark.parametrize("wish", ["auto", "ids"])
def test_more_than_256_numbers_are_said_without_a_circle(tmp_path, wish):
    side = 40

    def objects(k: int) -> np.ndarray:
        cells = np.arange(100).reshape(10, 10).repeat(4, axis=0).repeat(4, axis=1)
        return (cells + 1000 * (k % 3)).astype(np.uint16)[:side, :side]

    root = write(tmp_path, objects)
    with pytest.raises(
        UserError, match=r"300 numbers or more \(0 to 2099\), and at most 256 .* --labels picture"
    ):
        found(root, wish=wish)


def test_a_picture_of_16_bits_is_a_picture(tmp_path):
    slope = np.add.outer(np.arange(SIDE), np.arange(SIDE)) * 300
    root = write(tmp_path, lambda k: (slope + k * 41).astype(np.uint16))
    assert found(root).kind == "picture"


def test_an_id_that_the_palette_does_not_know_is_void_in_scores(tmp_path):
    root = write(tmp_path, deep([0, 1, 2, 300]))
    palette = choose_palette(found(root), "auto")
    Image.fromarray(np.full((SIDE, SIDE), 77, np.uint16)).save(root / "train/B/0.png")
    reader = found(root).reader(palette)
    assert set(map(tuple, np.asarray(reader(root / "train/B/0.png")).reshape(-1, 3).tolist())) == {UNKNOWN}
    assert None in read_as(root, palette, found(root))


def test_16_bit_ids_as_input_keep_apart(tmp_path):
    root = write(tmp_path, deep([0, 7, 26001, 26002]))
    given = kind_of_input(find_pairs(root, "train"), "b")
    colours = {tuple(c) for c in np.asarray(given.reader(root / "train/B/0.png")).reshape(-1, 3).tolist()}
    assert given.kind == "ids"
    assert len(colours) == 4


def test_an_ignored_number_below_zero_in_a_palette_file(tmp_path):
    root = write(tmp_path / "set", deep([-1, 0, 5], np.int32), "tif")
    file = tmp_path / "mine.txt"
    done = command(root, "--write-palette", file, script="pix2pix_dataset.py")
    assert done.returncode == 0, done.stderr
    assert "ignore           -1" in file.read_text()
    done = command("--dataset", root, "--palette", file, "--output", tmp_path / "run", *SMALL, "--epochs", 1)
    assert done.returncode == 0, done.stderr
    assert {"val_iou_0", "val_iou_5"} <= log_rows(tmp_path / "run")[0].keys()
    file.write_text("a 0\nb 5\nc -1\n")
    done = command("--dataset", root, "--palette", file, "--output", tmp_path / "run2", *SMALL)
    assert "below 0 it can be ignored only" in error_of(done)


def clear(k: int) -> np.ndarray:
    colours = np.array([(200, 30, 30, 255), (30, 90, 200, 0)], np.uint8)
    return colours[bands(k, [0, 1])]


def test_labels_that_are_all_partly_transparent_are_named(tmp_path):
    root = write(tmp_path / "set", clear)
    for wish in ("auto", "colours", "ids"):
        with pytest.raises(
            UserError, match=r"none of the 6 labels .* can be used: .*0.png is partly transparent"
        ):
            found(root, wish=wish)
    done = command("--dataset", root, "--output", tmp_path / "run", *SMALL, "--skip-broken")
    assert "none of the 6 labels of the training split can be used" in error_of(done)
    assert "0.png is partly transparent" in error_of(done)
    assert not (tmp_path / "run").exists()


def test_palette_files_keep_the_colours_that_they_call_transparent(tmp_path):
    root = write(tmp_path / "set", lambda k: bands(k, [0, 1, 2]).astype(np.uint8))
    for file in root.glob("*/B/*.png"):
        picture = Image.open(file)
        picture.putpalette([0, 0, 0, 200, 30, 30, 30, 90, 200])
        picture.save(file, transparency=0)
    kind = found(root)
    assert "transparency" in Image.open(root / "train/B/0.png").info
    assert set(kind.all) == {(0, 0, 0), (200, 30, 30), (30, 90, 200)}
    assert read_as(root, choose_palette(kind, "auto"), kind) == set(choose_palette(kind, "auto").classes)


def blocks(k: int, count: int) -> np.ndarray:
    """(64, 64) of numbers below ``count`` in blocks of 8 x 8."""
    return np.kron(np.random.default_rng(k).integers(0, count, (8, 8)), np.ones((8, 8), int))


def test_300_numbers_are_not_cut_down_to_their_upper_bits(tmp_path):
    root = write(tmp_path, lambda k: blocks(k, 300).astype(np.uint16), train=12)
    with pytest.raises(UserError, match=r"the labels hold \d+ numbers or more .* at most 256"):
        found(root)


def test_ids_above_65535_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"the labels hold ids up to 70000"):
        found(write(tmp_path, deep([0, 1, 70000], np.int32), "tif"))


@pytest.mark.parametrize("wish", ["auto", "ids"])
def test_ids_in_jpeg_are_refused_without_a_circle(tmp_path, wish):
    root = write(tmp_path, lambda k: blocks(k, 4).astype(np.uint8), "jpg", quality=95)
    with pytest.raises(UserError, match=r"B/0.jpg and its like hold ids in JPEG .* save them as PNG"):
        found(root, wish=wish)


def test_masks_of_two_kinds_are_named(tmp_path):
    root = write(tmp_path / "mixed", lambda k: (blocks(k, 2) * (255 if k >= 6 else 1)).astype(np.uint8))
    with pytest.raises(
        UserError, match=r"train/B/0.png is a mask of 0 and 1, and .*val/B/6.png one of 0 and 255"
    ):
        found(root)
    root = write(tmp_path / "voc", lambda k: np.where(blocks(k, 5) == 4, 255, blocks(k, 2)).astype(np.uint8))
    assert found(root).ignored == (255,)


COLOURS = np.array([(0, 0, 0), (200, 30, 30), (30, 90, 200), (10, 10, 10)], np.uint8)


def test_ids_among_colours_are_named(tmp_path):
    root = write(
        tmp_path / "mixed", lambda k: COLOURS[blocks(k, 3)] if k % 2 else blocks(k, 3).astype(np.uint8)
    )
    with pytest.raises(UserError, match=r"train/B/0.png holds ids, and .*train/B/1.png colours"):
        found(root)
    # a file that happens to hold greys alone, and is saved as grey, is one of the others
    root = write(
        tmp_path / "grey", lambda k: COLOURS[blocks(k, 4)] if k % 2 else blocks(k, 2).astype(np.uint8) * 10
    )
    assert len(choose_palette(found(root), "auto").classes) == 4


def test_numbers_that_change_from_pixel_to_pixel_are_no_classes(tmp_path):
    ramp = np.arange(64 * 64).reshape(64, 64) // 8
    root = write(tmp_path, lambda k: ((ramp + 100 * k) % 150).astype(np.uint16))
    kind = found(root)
    assert (kind.kind, "upper 8" in kind.why) == ("picture", True)
    assert len(choose_palette(found(root, wish="ids"), "auto").classes) == 150
    with pytest.raises(UserError, match=r"no colours; use --labels ids"):
        found(root, wish="colours")


def test_what_is_ignored_needs_no_line_in_a_palette_file(tmp_path):
    root = write(tmp_path / "set", lambda k: np.where(blocks(k, 5) == 4, 255, blocks(k, 2)).astype(np.uint8))
    (tmp_path / "mine.txt").write_text("ground 0\ntree 1\n")
    palette = choose_palette(found(root), str(tmp_path / "mine.txt"))
    assert list(palette.classes) == ["ground", "tree"]
    assert palette.ids[255] in palette.void


def smoothed(k: int) -> np.ndarray:
    """A mask of thin lines, made smaller with smoothing: (64, 64)."""
    drawn = Image.new("L", (256, 256))
    for line in np.random.default_rng(k).integers(0, 256, (4, 4)):
        ImageDraw.Draw(drawn).line(line.tolist(), 255, 16)
    return np.asarray(drawn.resize((64, 64), Image.Resampling.BILINEAR))


def test_a_smoothed_mask_is_cut_at_the_half(tmp_path):
    root = write(tmp_path, smoothed)
    kind = found(root)
    palette = choose_palette(kind, "auto")
    assert kind.is_a_smoothed_mask
    assert len(palette.classes) == 2
    dark = min(palette.classes.values()) == next(iter(palette.classes.values()))
    for k in range(6):
        label = np.asarray(kind.reader(palette)(root / f"train/B/{k}.png"))
        classes, outside = truth_classes(torch.from_numpy(label.copy()).permute(2, 0, 1)[None], palette)
        wanted = (smoothed(k) > 127).astype(int)
        assert not outside.any()
        assert ((classes[0].numpy() == int(dark)) == (wanted == 1)).mean() > 0.93


def test_a_photo_among_label_maps_is_named(tmp_path):
    root = write(tmp_path, lambda k: photo(k, 64) if k == 3 else COLOURS[blocks(k, 3)], train=12)
    assert found(root).notes(None)[0].startswith(f"{root}/train/B/3.png: ")
