"""Pictures of any shape and size: how they are scaled and cropped, in training, in validation and by predict.py."""

import json

import numpy as np
import pytest
from PIL import Image
from segmentation_data import SMALL, command, error_of, log_rows, picture_pair

from common.commandline import UserError
from pix2pix_dataset import Augment, PairDataset
from training.sizes import Scaling, parse_size, scaling_of, square


@pytest.mark.parametrize(
    ("text", "size"), [("256", (256, 256)), (64, (64, 64)), ("360x480", (360, 480)), ("96X34", (96, 34))]
)
def test_a_size_is_a_side_or_height_and_width(text, size):
    assert parse_size(text, "--image-size") == size


@pytest.mark.parametrize("text", ["", "0", "30", "33", "256x", "x480", "-64", "64x33", "64.0", "1x1", "six"])
def test_other_sizes_are_errors(text):
    with pytest.raises(UserError, match="--image-size"):
        parse_size(text, "--image-size")


@pytest.mark.parametrize(
    ("resize", "picture", "expected"),
    [
        ("squash", (720, 960), (64, 128)),
        ("short", (720, 960), (96, 128)),  # just covers 64 x 128
        ("short", (960, 720), (171, 128)),
        ("fit", (720, 960), (64, 85)),
        ("fit", (20, 30), (64, 96)),
        ("none", (720, 960), (720, 960)),
        ("none", (32, 1000), (64, 2000)),  # smaller than a crop: enlarged
    ],
)
def test_what_a_picture_is_scaled_to(resize, picture, expected):
    assert Scaling(resize, (64, 128), (64, 128)).of(*picture) == expected


def test_a_crop_that_cannot_be_is_an_error():
    for options, text in (
        ({"image_size": 64, "resize": "squash", "crop_size": "32"}, "--resize squash shows whole pictures"),
        ({"image_size": 64, "resize": "short", "crop_size": "64x96"}, "larger than --image-size"),
    ):
        with pytest.raises(UserError, match=text):
            scaling_of(options)
    assert scaling_of({"image_size": 64, "resize": "none", "crop_size": "96"}).crop == (96, 96)
    assert scaling_of({"image_size": 64}) == square(64)  # a run of before


def make_wide_pairs(root, sizes) -> None:
    """Pairs in folders, of several sizes (height, width); the three bands of ``picture_pair``."""
    for split in ("train", "val"):
        for k, (height, width) in enumerate(sizes):
            for side, picture in zip("AB", picture_pair(k, max(height, width)), strict=True):
                path = root / split / side / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                # bands of the same shares at any height
                Image.fromarray(picture).resize((width, height), Image.Resampling.NEAREST).save(path)


SIZES = [(48, 80), (60, 40), (96, 96), (40, 120), (44, 45), (64, 64)]


@pytest.mark.parametrize("resize", ["short", "fit", "none"])
def test_crops_keep_shape_and_colours(tmp_path, resize):
    make_wide_pairs(tmp_path, SIZES)
    scaling = Scaling(resize, (40, 64), (40, 64) if resize == "fit" else (32, 48))
    data = PairDataset(
        tmp_path, "train", scaling=scaling, augment=Augment(scaling, 0.5, 0.3), flat=(False, True)
    )
    for epoch in range(3):
        for k in range(len(data)):
            item = data[epoch, k]
            assert item["photo"].shape == item["label"].shape == (3, *scaling.crop)
            known = {tuple(c) for c in np.unique(np.asarray(data.cache[k][1]).reshape(-1, 3), axis=0)}
            assert {tuple(c) for c in item["label"].flatten(1).T.tolist()} <= known
    plain = PairDataset(tmp_path, "val", scaling=scaling)
    assert [tuple(plain[k]["photo"].shape[1:]) for k in range(6)] == [scaling.of(*size) for size in SIZES]


def test_a_crop_at_the_own_scale_is_a_part_of_the_picture(tmp_path):
    make_wide_pairs(tmp_path, [(96, 96)])
    scaling = Scaling("none", (256, 256), (32, 32))
    data = PairDataset(tmp_path, "train", scaling=scaling, augment=Augment(scaling, 0.5, 0))
    whole = np.asarray(data.cache[0][0])
    windows = np.lib.stride_tricks.sliding_window_view(whole, (32, 32), axis=(0, 1))  # (65, 65, 3, 32, 32)
    for epoch in range(6):
        crop = data[epoch, 0]["photo"].numpy()
        assert any((windows == each).all(axis=(2, 3, 4)).any() for each in (crop, crop[..., ::-1]))


@pytest.mark.parametrize("resize", ["squash", "short", "fit", "none"])
def test_training_and_predicting_at_other_sizes(tmp_path, resize):
    """40 is no multiple of the encoder's stride, and the pictures have six sizes."""
    make_wide_pairs(tmp_path / "data", SIZES)
    run, photos = tmp_path / "run", tmp_path / "data/val/A"
    more = ("--crop-size", "40x48") if resize in ("short", "none") else ()
    size = ("--image-size", "40x64", "--resize", resize, *more)
    done = command(
        *("--dataset", tmp_path / "data", "--output", run, *SMALL, *size, "--epochs", 2),
        script="train_cgan.py",
    )
    assert done.returncode == 0, done.stderr
    assert len(log_rows(run)) == 2
    assert "val_miou" in log_rows(run)[-1]
    config = json.loads((run / "config.json").read_text())
    assert config["options"]["image_size"] == "40x64"
    scaling = scaling_of(config["options"])
    shown = Image.open(run / "val_results/0.png")
    assert shown.size == scaling.of(*SIZES[0])[::-1]
    done = command(
        *("--checkpoint", run / "checkpoints/last.pt", "--input", photos, "--output", tmp_path / "found"),
        script="predict.py",
    )
    assert done.returncode == 0, done.stderr
    for k, (height, width) in enumerate(SIZES):
        with Image.open(tmp_path / f"found/{k}.png") as picture:
            assert picture.size == (width, height)
    # what predict.py paints is what validation showed, scaled back
    first = Image.open(tmp_path / "found/0.png").convert("RGB")
    back = shown.convert("RGB").resize(first.size, Image.Resampling.NEAREST)
    same = (np.asarray(first) == np.asarray(back)).all(axis=2).mean()
    assert same > 0.97


def test_users_errors(pairs, tmp_path):
    for arguments, text in (
        (("--image-size", "100x"), "--image-size 100x is no size"),
        (("--image-size", "33"), "even numbers"),
        (("--image-size", "64", "--crop-size", "32"), "--crop-size is for --resize short or none"),
        (("--resize", "crop"), "--resize"),
    ):
        done = command("--dataset", pairs, "--output", tmp_path / "run", *arguments)
        assert text in error_of(done)
        assert not (tmp_path / "run").exists()
