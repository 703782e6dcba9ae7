"""A user's own data: what labels are, in which layouts they lie, and what the real command makes of them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from label_sets import RNG, bands, found, painted, photo, write
from PIL import Image, ImageDraw
from segmentation_data import SIDE, SMALL, command, error_of, log_rows

from common.commandline import UserError
from training.labels import choose_palette
from training.pairs import Pair, find_pairs, is_cityscapes
from training.palettes import PALETTES
from training.survey import kind_of_input


def classes(root: Path, wish: str = "auto") -> list:
    palette = choose_palette(found(root), wish)
    return sorted(palette.classes.values())


# ---------------------------------------------------------------- what labels are


def test_binary_masks_of_any_kind(tmp_path):
    mask = lambda k: (bands(k, [0, 1]) * 255).astype(np.uint8)  # noqa: E731
    sparse = lambda k: painted((RNG(k).random((SIDE, SIDE)) < 0.05).astype(int), [(0, 0, 0), (0, 255, 0)])  # noqa: E731
    assert classes(write(tmp_path / "255", mask)) == [(0, 0, 0), (255, 255, 255)]
    assert (
        found(write(tmp_path / "one", lambda k: mask(k) // 255)).kind == "ids"
    )  # 0 and 1 are hard to tell apart
    assert classes(tmp_path / "one") == [(0, 0, 0), (128, 0, 0)]
    assert classes(write(tmp_path / "bit", lambda k: mask(k) > 0)) == [(0, 0, 0), (255, 255, 255)]
    assert classes(write(tmp_path / "green", sparse)) == [(0, 0, 0), (0, 255, 0)]
    assert classes(write(tmp_path / "gif", sparse, "gif")) == [(0, 0, 0), (0, 255, 0)]
    assert classes(write(tmp_path / "bmp", sparse, "BMP")) == [(0, 0, 0), (0, 255, 0)]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_ids(tmp_path, kind):
    numbers = [0, 1, 2, 3, 7, 255]
    survey_ = found(write(tmp_path, lambda k: bands(k, numbers).astype(kind)))
    assert survey_.kind == "ids"
    palette = choose_palette(survey_, "auto")
    assert list(palette.classes) == ["0", "1", "2", "3", "7"]
    assert len(palette.void) == 1  # 255
    assert len(set(palette.ids.values())) == 6


def test_rare_close_and_many_colours_are_all_classes(tmp_path):
    colours = [(200, 200, 200), (200, 200, 220), (10, 90, 200)]

    def label(k):
        made = painted(bands(k, [0, 1]), colours)
        if k == 2:
            made[5, 3:8] = colours[2]  # five pixels in the whole set
        return made

    assert classes(write(tmp_path / "few", label)) == sorted(colours)
    many = [(r, g, b) for r in range(0, 256, 51) for g in range(0, 256, 51) for b in range(0, 256, 64)][:144]
    whole = lambda k: painted(np.arange(144).reshape(12, 12).repeat(4, 0).repeat(4, 1), many)  # noqa: E731
    assert classes(write(tmp_path / "many", whole)) == sorted(many)


def test_a_colour_that_only_val_has_is_a_class_and_said(tmp_path):
    colours = [(9, 9, 9), (200, 0, 0), (0, 0, 200)]
    survey_ = found(write(tmp_path, lambda k: painted(bands(k, [0, 1] if k < 6 else [0, 2]), colours)))
    palette = choose_palette(survey_, "auto")
    assert sorted(palette.classes.values()) == sorted(colours)
    assert survey_.notes(palette) == ["only in validation, so not learned: 0-0-200"]


def test_jpeg_label_maps_are_no_pictures_and_their_borders_no_classes(tmp_path):
    colours = [(20, 20, 20), (200, 30, 30), (30, 90, 200)]
    for quality in (75, 90):
        root = write(
            tmp_path / str(quality),
            lambda k: painted(bands(k, [0, 1, 2], 96), colours),
            "jpg",
            quality=quality,
        )
        survey_ = found(root)
        assert survey_.kind == "colours"
        made = np.array(sorted(choose_palette(survey_, "auto").classes.values()))
        assert made.shape == (3, 3)
        assert np.abs(made - sorted(colours)).max() <= 8


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_photos_are_no_label_maps(tmp_path, ending):
    root = write(tmp_path, lambda k: photo(100 + k, 96), ending)
    assert found(root).kind == "picture"
    assert choose_palette(found(root), "auto") is None
    assert kind_of_input(find_pairs(root, "train"), "a").kind == "picture"


def test_grey_photos_are_no_ids(tmp_path):
    root = write(tmp_path, lambda k: photo(k, 96)[..., 0])
    assert found(root).kind == "picture"


def test_one_class_is_said(tmp_path):
    with pytest.raises(UserError, match=r"one class only \(the colour 7 7 7 \(100.00%\)\)"):
        classes(write(tmp_path, lambda k: np.full((SIDE, SIDE, 3), 7, np.uint8)))


# ---------------------------------------------------------------- where they lie


def test_cityscapes_own_folders(tmp_path):
    for split in ("train", "val"):
        for city in ("aachen", "bonn"):
            photos, truth = (tmp_path / name / split / city for name in ("leftImg8bit", "gtFine"))
            photos.mkdir(parents=True)
            truth.mkdir(parents=True)
            for k in range(2):
                stem = f"{city}_{k:06d}"
                Image.fromarray(photo(k)).save(photos / f"{stem}_leftImg8bit.png")
                ids = bands(k, [7, 11, 21, 4]).astype(np.uint8)
                Image.fromarray(ids).save(truth / f"{stem}_gtFine_labelIds.png")
                Image.fromarray(np.repeat(ids[..., None] * 5, 3, 2)).save(truth / f"{stem}_gtFine_color.png")
                Image.fromarray(ids).save(truth / f"{stem}_gtFine_instanceIds.png")
    pairs = find_pairs(tmp_path, "train")
    assert [pair.name for pair in pairs] == [f"{c}/{c}_00000{k}" for c in ("aachen", "bonn") for k in (0, 1)]
    assert all(pair.b.name.endswith("_labelIds.png") for pair in pairs)
    assert all(pair.b.name.endswith("_color.png") for pair in find_pairs(tmp_path, "train", "colours"))
    palette = choose_palette(found(tmp_path), "auto", cityscapes=True)
    assert len(palette.classes) == 19
    assert palette.ids[7] == palette.classes["road"]
    assert palette.ids[4] in palette.void
    assert is_cityscapes(pairs)
    assert is_cityscapes(find_pairs(tmp_path, "train", "colours"))
    for place in (pairs[0].b, pairs[1].a):
        place.unlink()
        place.symlink_to("nowhere.png")
    with pytest.raises(
        UserError, match=r"1_leftImg8bit.png is a link .*, .*0_gtFine_labelIds.png is a link"
    ) as error:
        find_pairs(tmp_path, "train")
    assert str(error.value).endswith("remove them and their partners on the other side")


def test_depth_files_called_color_are_no_cityscapes():
    assert not is_cityscapes([Pair("0_color", Path("train/A/0_color.png"), Path("train/B/0_color.png"))])


def test_folders_in_a_split_links_and_what_is_no_file(tmp_path):
    root = write(tmp_path, lambda k: bands(k, [0, 1, 2]).astype(np.uint8))
    for side in "AB":
        deep = root / "train" / side / "more"
        deep.mkdir()
        os.link(root / "train" / side / "0.png", deep / "0.png")
        (deep / "up").symlink_to(root / "train" / side)  # a loop
    assert [pair.name for pair in find_pairs(root, "train")] == ["0", "1", "2", "3", "4", "5", "more/0"]
    os.mkfifo(root / "train" / "A" / "pipe.png")
    with pytest.raises(UserError, match=r"pipe.png is a named pipe and no picture; remove it"):
        find_pairs(root, "train")
    (root / "train" / "A" / "pipe.png").unlink()
    Image.new("RGB", (4, 4)).save(root / "train" / "A" / "0.jpg")
    with pytest.raises(UserError, match=r"0.jpg and .*0.png have the same name before the ending"):
        find_pairs(root, "train")


# ---------------------------------------------------------------- the real command


def test_ids_are_trained_scored_and_predicted(tmp_path):
    root = write(tmp_path / "ids", lambda k: bands(k, [0, 3, 9, 255]).astype(np.uint16))
    done = command("--dataset", root, "--output", tmp_path / "run", *SMALL, "--epochs", 1)
    assert done.returncode == 0, done.stderr
    assert "labels: ids (whole numbers in every file); input: picture" in done.stdout
    row = log_rows(tmp_path / "run")[0]
    assert {"val_miou", "val_iou_0", "val_iou_3", "val_iou_9"} <= row.keys()
    assert (tmp_path / "run/checkpoints/best.pt").is_file()
    again = command("--dataset", root, "--output", tmp_path / "run", *SMALL, "--epochs", 2, "--resume")
    assert again.returncode == 0, again.stderr
    painted_ = command(
        *("--checkpoint", tmp_path / "run/checkpoints/best.pt", "--input", root / "val/A"),
        *("--output", tmp_path / "out", "--ids", "--overlay", "--device", "cpu"),
        script="predict.py",
    )
    assert painted_.returncode == 0, painted_.stderr
    numbers = np.asarray(Image.open(tmp_path / "out/6_ids.png"))
    assert set(np.unique(numbers)) <= {0, 3, 9}
    assert Image.open(tmp_path / "out/6_overlay.png").size == (SIDE, SIDE)


def test_a_palette_file_is_written_edited_and_used(tmp_path):
    colours = [(0, 0, 0), (200, 30, 30), (30, 90, 200)]
    root = write(tmp_path / "set", lambda k: painted(bands(k, [0, 1, 2]), colours))
    file = tmp_path / "mine.txt"
    done = command(root, "--write-palette", file, script="pix2pix_dataset.py")
    assert done.returncode == 0, done.stderr
    text = file.read_text()
    assert "200-30-30" in text
    file.write_text(text.replace("200-30-30", "red roof ").replace("0-0-0", "ignore"))
    done = command("--dataset", root, "--palette", file, "--output", tmp_path / "run", *SMALL, "--epochs", 1)
    assert done.returncode == 0, done.stderr
    row = log_rows(tmp_path / "run")[0]
    assert {"val_iou_red_roof", "val_iou_30-90-200"} <= row.keys()
    assert "val_iou_0-0-0" not in row
    file.write_text("road 128 64 128\nsky 1 2 3\n")
    done = command("--dataset", root, "--palette", file, "--output", tmp_path / "no", *SMALL)
    assert "does not fit the labels, which have the colours" in error_of(done)
    assert not (tmp_path / "no").exists()
    done = command("--dataset", root, "--palette", "camvid", "--output", tmp_path / "no", *SMALL)
    assert "--palette camvid does not fit" in error_of(done)
    file.write_text("road 128 64 300\n")
    done = command("--dataset", root, "--palette", file, "--output", tmp_path / "no", *SMALL)
    assert "mine.txt, line 1" in error_of(done)


@pytest.mark.parametrize("kind", ["colours", "ids"])
def test_photos_as_target(tmp_path, kind):
    """Labels in, photos out: an RGB head; predict.py takes the label files as they are."""
    labels = {
        "colours": lambda k: painted(bands(k, [0, 1]), [(0, 0, 0), (250, 250, 0)]),
        "ids": lambda k: bands(k, [1, 2, 7]).astype(np.uint8),
    }
    root = write(tmp_path / "set", labels[kind])
    done = command(
        *("--dataset", root, "--direction", "BtoA", "--output", tmp_path / "run", *SMALL, "--epochs", 1),
        script="train_cgan.py",
    )
    assert done.returncode == 0, done.stderr
    assert "labels: picture" in done.stdout
    assert f"input: {kind}" in done.stdout
    made = json.loads((tmp_path / "run/config.json").read_text())["options"]
    assert (made["gan_start"], made["lambda_features"]) == (0.05, 10)
    row = log_rows(tmp_path / "run")[0]
    assert float(row["train_features"]) > 0
    assert "val_miou" not in row
    assert 0 < float(row["val_psnr"]) < 60
    assert -1 < float(row["val_ssim"]) < 1
    done = command(
        *("--checkpoint", tmp_path / "run/checkpoints/best.pt", "--input", root / "val/B"),
        *("--output", tmp_path / "painted"),
        script="predict.py",
    )
    assert done.returncode == 0, done.stderr
    shown = {path.stem: path for path in (tmp_path / "run/val_results").glob("[0-9]*.png")}
    assert shown
    for name, path in shown.items():  # the same input, read and scaled the same way, gives the same picture
        mine, theirs = (
            np.asarray(Image.open(p)).astype(int) for p in (tmp_path / f"painted/{name}.png", path)
        )
        assert np.abs(mine - theirs).max() <= 2


def test_validation_without_any_class_is_no_nan(tmp_path):
    root = write(tmp_path / "set", lambda k: bands(k, [1, 2, 5] if k < 6 else [255, 255]).astype(np.uint8))
    done = command("--dataset", root, "--output", tmp_path / "run", *SMALL, "--epochs", 1)
    assert done.returncode == 0, done.stderr
    row = log_rows(tmp_path / "run")[0]
    assert "nan" not in (tmp_path / "run/training_log.txt").read_text()
    assert "val_l1" in row
    assert (tmp_path / "run/checkpoints/best.pt").is_file()


def rectangles(k: int, side: int, colours: np.ndarray, poles: int = 0) -> np.ndarray:
    """(side, side, 3) of rectangles of random colours, and of poles 2 or 3 pixels wide of the third colour."""
    rng, made = RNG(k), np.zeros((side, side), int)
    for _ in range(12):
        height, width = rng.integers(side // 8, side // 2, 2)
        top, left = rng.integers(0, side - 8, 2)
        made[top : top + height, left : left + width] = rng.integers(0, len(colours))
    for _ in range(poles):
        left = rng.integers(0, side - 4)
        made[side // 4 : 3 * side // 4, left : left + rng.integers(2, 4)] = 2
    return colours[made]


@pytest.mark.parametrize(("side", "quality"), [(64, 50), (64, 90), (96, 90), (128, 90), (256, 75)])
def test_jpeg_invents_no_classes(tmp_path, side, quality):
    """Half the resolution for colour gives borders the brightness of one side with the colour of the other."""
    colours = RNG(5).integers(0, 256, (4, 3)).astype(np.uint8)
    root = write(tmp_path, lambda k: rectangles(k, side, colours), "jpg", train=12, quality=quality)
    assert len(classes(root)) == 4
    near = [np.abs(colours.astype(int) - colour).sum(axis=1).min() for colour in classes(root)]
    assert max(near) <= 12


@pytest.mark.parametrize("quality", [75, 90, 95])
@pytest.mark.parametrize("name", ["camvid", "facades"])
def test_a_known_palette_is_recognised_in_jpeg(tmp_path, name, quality):
    colours = np.array(list(PALETTES[name].classes.values()), np.uint8)
    root = write(tmp_path, lambda k: rectangles(k, 256, colours, poles=4), "jpg", train=12, quality=quality)
    assert choose_palette(found(root), "auto").name == name


@pytest.mark.parametrize("quality", [90, 95])
def test_strips_in_jpeg_are_no_classes_before_each_ground(tmp_path, quality):
    """A strip of three pixels keeps its brightness and takes colour from the wall behind; hues are cut off at RGB."""
    colours = np.array(list(PALETTES["facades"].classes.values()), np.uint8)

    def front(k: int) -> np.ndarray:
        rng, made = RNG(k), np.zeros((256, 256), int)
        made[20:240, 10:246] = 1
        for top in range(30, 215, 40):
            kind = rng.integers(0, 12)
            for left in range(20, 225, 30):
                made[top : top + rng.integers(8, 22), left : left + rng.integers(6, 18)] = kind
            made[top - 4 : top - 1, 10:246] = rng.integers(0, 12)
        return colours[made]

    survey_ = found(write(tmp_path, front, "jpg", train=12, quality=quality))
    assert len(survey_.all) == 12
    assert choose_palette(survey_, "auto").name == "facades"


def discs(k: int, levels: list[int], side: int = 512) -> Image.Image:
    """Discs of random levels, sharp; the smaller levels are the ground."""
    rng = RNG(k)
    made = Image.new("L", (side, side), levels[0])
    draw = ImageDraw.Draw(made)
    for number in range(2 * len(levels)):
        x, y = rng.integers(50, side - 50, 2)
        reach = rng.integers(40, 120)
        draw.ellipse(
            [x - reach, y - reach, x + reach, y + reach], fill=levels[1 + number % (len(levels) - 1)]
        )
    return made


@pytest.mark.parametrize("levels", [[0, 255], [0, 128, 255], [255, 0]], ids=str)
@pytest.mark.parametrize(("small", "large"), [(128, None), (300, None), (53, 160), (80, 160)])
@pytest.mark.parametrize("how", ["BILINEAR", "BICUBIC", "LANCZOS"])
def test_smoothing_a_mask_invents_no_classes(tmp_path, levels, small, large, how):
    """Sharp filters overshoot at borders, enlarging makes steps in them; none of these greys is a class, or an id."""

    def smoothed(k: int) -> np.ndarray:
        made = discs(k, levels).resize((small, small), Image.Resampling[how])
        return np.asarray(made.resize((large, large), Image.Resampling[how]) if large else made)

    survey_ = found(write(tmp_path, smoothed, train=8, val=4))
    assert survey_.kind == "colours"
    assert sorted(survey_.all) == [(level,) * 3 for level in sorted(levels)]
    assert survey_.borders > 0
    assert "the rest are borders" in survey_.why


def test_greys_that_may_be_ids_are_named(tmp_path):
    made = write(tmp_path, lambda k: bands(k, [0, 50, 100, 150, 200]).astype(np.uint8))
    notes = found(made).notes(choose_palette(found(made), "auto"))
    assert "all of these colours are greys; if they are numbers of classes, use --labels ids" in notes
