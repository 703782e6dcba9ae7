"""predict.py on a trained checkpoint: any size, deterministic, names, bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from label_sets import bands, write
from PIL import Image
from segmentation_data import command, error_of, log_rows, picture_pair

from common.commandline import UserError
from predict import distinct, inputs, paint
from training.checkpoint import load_generator


@pytest.fixture
def checkpoint(trained) -> Path:
    return trained / "checkpoints" / "last.pt"


def as_folders(pairs, root):
    """A|B files once more, as A/ and B/."""
    for file in (pairs / "val").iterdir():
        both = np.asarray(Image.open(file))
        for side, half in zip("AB", np.split(both, 2, axis=1), strict=True):
            (root / "val" / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(half).save(root / "val" / side / f"{file.stem}.png")
    return root / "val"


@pytest.mark.parametrize("layout", ["files", "folders"])
def test_pairs_score_what_the_training_measured(checkpoint, pairs, tmp_path, layout):
    source = pairs / "val" if layout == "files" else as_folders(pairs, tmp_path / "set")
    done = command(
        *("--checkpoint", checkpoint, "--input", source, "--pairs", "--score"),
        *("--output", tmp_path / "out", "--device", "cpu"),
        script="predict.py",
    )
    assert done.returncode == 0, done.stderr
    found, logged = json.loads(done.stdout), log_rows(checkpoint.parents[1])[-1]
    for key in ("l1", "pixel_acc", "class_acc", "miou"):
        assert found[key] == pytest.approx(float(logged[f"val_{key}"]), abs=1e-4)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"val_{k}.png" for k in range(3)]


def test_scores_against_labels_of_another_kind_are_refused(checkpoint, tmp_path):
    root = write(tmp_path / "set", lambda k: bands(k, [0, 1, 7]).astype(np.uint8))
    done = command(
        *("--checkpoint", checkpoint, "--input", root / "val", "--pairs", "--score"),
        *("--output", tmp_path / "out", "--device", "cpu"),
        script="predict.py",
    )
    assert "the labels hold ids (0, 1, 7), and the run's classes are the colours sky" in error_of(done)
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_photos_of_any_size_come_out_at_their_size_and_the_same_every_time(checkpoint, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, size in (("a.jpg", (33, 70)), ("b.png", (32, 32)), ("c.webp", (101, 40))):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)).save(
            photos / name
        )
    for out in ("one", "two"):
        done = command(
            *("--checkpoint", checkpoint, "--input", photos, "--output", tmp_path / out, "--device", "cpu"),
            script="predict.py",
        )
        assert done.returncode == 0, done.stderr
    for name, size in (("a", (33, 70)), ("b", (32, 32)), ("c", (101, 40))):
        first = tmp_path / "one" / f"{name}.png"
        assert Image.open(first).size == size
        assert first.read_bytes() == (tmp_path / "two" / f"{name}.png").read_bytes()
    alone = command(
        *("--checkpoint", checkpoint, "--input", photos / "b.png", "--output", tmp_path / "alone"),
        *("--device", "cpu"),
        script="predict.py",
    )
    assert alone.returncode == 0, alone.stderr
    assert (tmp_path / "alone" / "b.png").read_bytes() == (tmp_path / "one" / "b.png").read_bytes()


def test_it_is_the_average_that_paints_in_eval_mode(checkpoint):
    generator, found = load_generator(checkpoint, torch.device("cpu"))
    saved = torch.load(checkpoint, weights_only=True)
    assert not generator.training
    assert found["palette"].name == "camvid"
    assert all(torch.equal(value, saved["ema"][name]) for name, value in generator.state_dict().items())
    assert any(not torch.equal(v, saved["networks"]["generator"][k]) for k, v in saved["ema"].items())


def test_image_size_scales_and_scales_back(checkpoint):
    generator, _ = load_generator(checkpoint, torch.device("cpu"))
    photo = picture_pair(9, side=96)[0]
    assert paint(generator, photo, (32, 32)).shape == (96, 96, 3)


def test_bad_input(checkpoint, tmp_path):
    assert "--checkpoint is needed" in error_of(command(script="predict.py"))
    with pytest.raises(UserError, match=r"there is no checkpoint"):
        load_generator(tmp_path / "none.pt", torch.device("cpu"))
    (tmp_path / "half.pt").write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"half.pt is no checkpoint of train_l1.py"):
        load_generator(tmp_path / "half.pt", torch.device("cpu"))
    with pytest.raises(UserError, match=r"neither a picture nor a folder"):
        inputs(tmp_path / "nothing", tmp_path)
    for name in ("x.png", "x.jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    with pytest.raises(UserError, match=r"would both write"):
        inputs(tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match=r"would overwrite .*x.png, which it reads"):
        inputs(tmp_path / "x.png", tmp_path)


def test_pairs_are_not_looked_for_above_or_below_a_split(pairs, tmp_path):
    folder = as_folders(pairs, tmp_path / "set")
    with pytest.raises(UserError, match=r"holds the splits val; give one of them, as .*set/val"):
        inputs(folder.parent, tmp_path / "out", "AtoB")
    with pytest.raises(UserError, match=r"val/A is one side of pairs in A/ and B/; give .*val"):
        inputs(folder / "A", tmp_path / "out", "AtoB")
    with pytest.raises(UserError, match=r"holds no pictures"):
        inputs(tmp_path / "nothing", tmp_path / "out", "AtoB")


@pytest.mark.parametrize(
    ("sides", "given", "instead"),
    [
        (("A/test", "B/test"), "A/test", "test"),
        (("A/test", "B/test"), "B/test", "test"),
        (("A/test", "B/test"), "A/test/0.png", "test"),
        (("A/test", "B/test"), "A", "test"),
        (("A/test/more", "B/test"), "A/test/more", "test"),
        (("val/A", "val/B"), "val/B", "val"),
        (("val/A/more", "val/B/more"), "val/A/more", "val"),
        (("leftImg8bit/val/bonn", "gtFine/val/bonn"), "leftImg8bit/val", "val"),
        (("leftImg8bit/val/bonn", "gtFine/val/bonn"), "leftImg8bit/val/bonn", "val"),
        (("leftImg8bit/val/bonn", "gtFine/val/bonn"), "gtFine/val", "val"),
        (("leftImg8bit/val/bonn", "gtCoarse/val/bonn"), "gtCoarse", "val"),
    ],
)
def test_one_side_of_pairs_is_not_cut_in_half(tmp_path, sides, given, instead):
    for side in sides:
        (tmp_path / side).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / side / "0.png")
    with pytest.raises(
        UserError, match=rf"is one side of pairs in .*; give {tmp_path / instead}, which stands"
    ):
        inputs(tmp_path / given, tmp_path / "out", "AtoB")
    assert inputs(tmp_path / given, tmp_path / "out")  # as photos


def test_the_folder_of_a_split_need_not_be_there(tmp_path):
    for side in ("A/test", "B/test"):
        (tmp_path / side).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / side / "0.png")
    ((pair, png),) = inputs(tmp_path / "test", tmp_path / "out", "AtoB")
    assert (pair.a, pair.b) == (tmp_path / "A/test/0.png", tmp_path / "B/test/0.png")
    assert png == tmp_path / "out/0.png"


def test_files_in_halves_may_lie_in_a_folder_called_a(tmp_path):
    (tmp_path / "A/val").mkdir(parents=True)
    Image.new("RGB", (8, 4)).save(tmp_path / "A/val/0.png")
    assert len(inputs(tmp_path / "A/val/0.png", tmp_path / "out", "AtoB")) == 1


def test_two_photos_do_not_write_one_file(checkpoint, tmp_path):
    for name in ("x.png", "x_ids.png"):
        Image.new("RGB", (32, 32)).save(tmp_path / name)
    jobs = inputs(tmp_path, tmp_path / "out")
    distinct(jobs, ["", "_overlay"])
    with pytest.raises(UserError, match=r"x.png and .*x_ids.png would both write x_ids.png"):
        distinct(jobs, ["", "_ids"])
    done = command(
        *("--checkpoint", checkpoint, "--input", tmp_path, "--output", tmp_path / "out", "--ids"),
        script="predict.py",
    )
    assert "would both write x_ids.png" in error_of(done)
    assert not (tmp_path / "out").exists()
