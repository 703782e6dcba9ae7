"""What a user can get wrong, and what a machine can: each ends in one line, with nothing half-written."""

import math
import resource
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from segmentation_data import SMALL, command, error_of, options

from common.commandline import UserError
from losses import l1_loss
from training.loop import Training


def test_missing_set_says_the_download_command():
    assert "bash download_dataset.sh edges2shoes" in error_of(command("--dataset", "edges2shoes"))


def test_unknown_flags_and_values_are_one_line():
    assert "--help` lists the options" in error_of(command("--epoch", 3))
    assert "--epochs must be at least 1" in error_of(command("--epochs", 0))


def test_empty_validation_split_leaves_no_run_behind(pairs, tmp_path):
    shutil.copytree(pairs / "train", tmp_path / "set" / "train")
    (tmp_path / "set" / "val").mkdir()
    with pytest.raises(UserError, match=r"val holds no pictures"):
        Training(options(tmp_path / "set", tmp_path / "run"), "train_l1")
    assert not (tmp_path / "run").exists()


def test_broken_picture_found_by_a_worker_is_one_line(pairs, tmp_path):
    """Without a cache a file cut off within its data shows up in the worker's process, in mid-epoch."""
    shutil.copytree(pairs, tmp_path / "set")
    file = tmp_path / "set" / "train" / "train_3.png"
    file.write_bytes(file.read_bytes()[:-400])
    arguments = ["--dataset", tmp_path / "set", *SMALL, "--epochs", 1, "--cache-mb", 0, "--workers", 1]
    # with a palette by name the sample of labels at the start is not what finds it
    done = command(*arguments, "--output", tmp_path / "run", "--palette", "camvid")
    assert error_of(done).startswith(f"error: {file} cannot be read")
    done = command(*arguments, "--output", tmp_path / "skips", "--skip-broken")
    assert done.returncode == 0, done.stderr


def test_a_palette_that_is_not_that_of_the_labels_is_refused(pairs, tmp_path):
    shutil.copytree(pairs, tmp_path / "set")
    for path in (tmp_path / "set" / "train").iterdir():
        picture = np.array(Image.open(path))
        picture[:4, 32:] = (255, 255, 255)  # 4 of 32 rows of the label, in 6 of 9 files
        Image.fromarray(picture).save(path)
    with pytest.raises(UserError, match=r"--palette camvid does not fit .* the colour 255 255 255 \(8.33%\)"):
        Training(options(tmp_path / "set", tmp_path / "run", "--palette", "camvid"), "train_l1")
    assert not (tmp_path / "run").exists()


def test_fp16_on_a_cpu_is_refused(pairs, tmp_path):
    with pytest.raises(UserError, match=r"--precision fp16 needs a GPU"):
        Training(options(pairs, tmp_path / "run", "--precision", "fp16"), "train_l1")


def test_nan_loss_stops_with_the_last_good_checkpoint(pairs, tmp_path):
    run = Training(options(pairs, tmp_path / "run", "--epochs", "5"), "train_l1")
    generator = run.networks["generator"]

    def step(batch):
        loss = l1_loss(generator(batch.photo), batch.label, batch.weight) * (
            math.nan if run.progress.epoch >= 2 else 1.0
        )
        run.networks.update("generator", loss)
        return {"l1": loss}

    with pytest.raises(
        UserError, match=r"l1 became nan in epoch 3, step 1; the last good checkpoint is .*last.pt"
    ):
        run.fit(step)
    saved = torch.load(run.folder.last, weights_only=True)
    assert saved["epoch"] == 2
    assert all(value.isfinite().all() for value in saved["ema"].values())


def test_a_huge_learning_rate_ends_in_one_line(pairs, tmp_path):
    done = command("--dataset", pairs, "--output", tmp_path / "run", *SMALL, "--epochs", 2, "--lr", 1e30)
    assert "start a new run with a lower --lr" in error_of(done)


def test_full_disk_stops_in_one_line_and_can_be_resumed(pairs, tmp_path):
    """The limit on a file's size makes the operating system refuse the write, as a full disk does."""
    arguments = ["--dataset", pairs, "--output", tmp_path / "run", *SMALL, "--epochs", 1]
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))}
    message = error_of(command(*arguments, **limit))
    assert "best.pt could not be written" in message  # the first file of a first epoch
    assert "free some space" in message
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    done = command(*arguments, "--resume")
    assert done.returncode == 0, done.stderr
