"""A run of the real command: what it learns, what it leaves in its folder, the clock, several processes."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from segmentation_data import LEARN, SMALL, command, error_of, errors_of_two, log_rows, start_two


def test_training_learns(trained):
    rows = log_rows(trained)
    assert [int(row["epoch"]) for row in rows] == list(range(1, 61))
    assert float(rows[-1]["val_l1"]) < 0.02  # painting all pixels in one colour gives more than 0.1
    assert float(rows[-1]["val_miou"]) > 0.9


def test_run_folder_is_complete(trained):
    for name in ("config.json", "training_log.txt", "checkpoints/last.pt", "checkpoints/best.pt"):
        assert (trained / name).is_file(), name
    assert list(trained.glob("events.out.tfevents.*"))
    assert not list(trained.rglob("*.tmp"))
    validated = [20, 40, 60]
    names = [f"epoch_{epoch:04d}.png" for epoch in validated]
    assert sorted(p.name for p in (trained / "val_results").glob("epoch_*")) == names
    assert sorted(p.name for p in (trained / "train_results").glob("epoch_*")) == names
    # per-sample predictions are named like their source
    assert {p.name for p in (trained / "val_results").glob("val_*.png")} == {"val_0.png", "val_2.png"}
    config = json.loads((trained / "config.json").read_text())
    assert config["options"]["image_size"] == 32
    assert config["found"]["palette"] == "camvid"


def test_grid_shows_input_prediction_truth(trained, pairs):
    grid = np.asarray(Image.open(trained / "val_results" / "epoch_0060.png"))
    source = np.asarray(Image.open(pairs / "val" / "val_0.png"))
    tiles = [grid[4 : 4 + 32, 4 + k * 36 : 36 + k * 36] for k in range(3)]
    assert (tiles[0] == source[:, :32]).all()
    assert (tiles[2] == source[:, 32:]).all()
    assert (tiles[1] == np.asarray(Image.open(trained / "val_results" / "val_0.png"))).all()


def test_checkpoint_is_the_full_state_and_plain(trained):
    saved = torch.load(trained / "checkpoints" / "last.pt", weights_only=True)
    assert {"networks", "ema", "optimisers", "rng", "epoch", "best", "step", "options", "log"} <= saved.keys()
    assert saved["epoch"] == 60
    best = torch.load(trained / "checkpoints" / "best.pt", weights_only=True)
    mious = {int(row["epoch"]): float(row["val_miou"]) for row in log_rows(trained) if "val_miou" in row}
    assert mious[best["epoch"]] == max(mious.values())


def test_a_run_is_never_overwritten(trained, pairs):
    before = (trained / "training_log.txt").read_bytes()
    done = command("--dataset", pairs, "--output", trained, *SMALL)
    assert "holds a run already" in error_of(done)
    assert (trained / "training_log.txt").read_bytes() == before


def test_a_finished_run_says_so(trained, pairs):
    done = command("--dataset", pairs, "--output", trained, *SMALL, *LEARN, "--resume")
    assert done.returncode == 0
    assert "is finished: 60 epochs" in done.stdout


def test_max_minutes_ends_the_run_and_counts_over_a_resume(pairs, tmp_path):
    arguments = ["--dataset", pairs, "--output", tmp_path / "run", *SMALL, "--epochs", 100000]
    done = command(*arguments, "--max-minutes", 0.1, "--val-every", 100000)
    assert done.returncode == 0, done.stderr
    rows = log_rows(tmp_path / "run")
    assert 1 <= len(rows) < 100000
    assert "val_miou" in rows[-1]  # the last epoch is always validated
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)
    assert saved["elapsed"] < 60
    assert saved["optimisers"]["generator"]["param_groups"][1]["lr"] < 0.2 * 1e-3  # planned to the end
    again = command(*arguments, "--max-minutes", 0.1, "--val-every", 100000, "--resume")
    assert "is finished" in again.stdout


def test_two_processes_share_the_work_and_write_one_log(pairs, tmp_path):
    """Learning rate 0 leaves the first weights, so both ways must measure the same on 3 validation pairs,
    which two ranks cannot share evenly; then a run that learns."""
    still = ["--dataset", pairs, *SMALL, "--epochs", 1, "--lr", 0, "--d-lr", 0]
    alone = command(*still, "--output", tmp_path / "alone", script="train_cgan.py")
    assert alone.returncode == 0, alone.stderr
    learning = ["--dataset", pairs, *SMALL, "--epochs", 2]
    for name, arguments, launcher in (("two", still, "quiet"), ("learns", learning, "accelerate")):
        process = start_two(
            *arguments, "--output", tmp_path / name, script="train_cgan.py", launcher=launcher
        )
        errors = errors_of_two(process)
        assert process.returncode == 0, errors
        config = json.loads((tmp_path / name / "config.json").read_text())
        assert config["found"]["processes"] == 2
    one, two = log_rows(tmp_path / "alone")[0], log_rows(tmp_path / "two")[0]
    for key in ("val_l1", "val_pixel_acc", "val_miou"):
        assert float(one[key]) == pytest.approx(float(two[key]), abs=2e-6)
    rows = log_rows(tmp_path / "learns")
    assert len(rows) == 2
    saved = torch.load(tmp_path / "learns" / "checkpoints" / "last.pt", weights_only=True)
    assert saved["step"] == 2  # 6 pairs, batch 2, 2 ranks: one step of 4 pairs an epoch
    assert rows[0]["val_l1"] != rows[1]["val_l1"]


def test_help_lists_defaults():
    done = command("--help", script="train_cgan.py")
    assert done.returncode == 0
    for text in (
        "--lambda-gan",
        "(default: 1.0)",
        "--max-minutes",
        "auto,fp32,bf16,fp16",
        "--device",
        "--seed",
    ):
        assert text in done.stdout
