"""A run folder and a checkpoint of commit 9fcae3d still open: predict.py paints the same, --resume goes on the same.

tests/fixtures/old_run/README.md says how they were made.
"""

import json
import lzma
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from segmentation_data import ROOT, command, log_rows

import compare_runs

OLD = ROOT / "tests/fixtures/old_run"


@pytest.fixture
def old_run(tmp_path) -> Path:
    """The run folder as the old code left it after its first epoch."""
    folder = tmp_path / "old"
    shutil.copytree(OLD / "run", folder)
    (folder / "checkpoints").mkdir()
    packed = folder / "last.pt.xz"
    for name in ("last.pt", "best.pt"):  # the first epoch is the best so far: both are the same
        (folder / "checkpoints" / name).write_bytes(lzma.decompress(packed.read_bytes()))
    packed.unlink()
    return folder


def test_predict_paints_what_the_old_code_painted(old_run, tmp_path):
    done = command(
        *("--checkpoint", old_run / "checkpoints/best.pt", "--input", OLD / "pairs/val", "--pairs"),
        *("--output", tmp_path / "painted", "--device", "cpu"),
        script="predict.py",
    )
    assert done.returncode == 0, done.stderr
    for name in ("val_0.png", "val_1.png"):
        ours, theirs = (
            np.asarray(Image.open(folder / name)) for folder in (tmp_path / "painted", OLD / "expected")
        )
        # on another processor the last bit of a sum may choose the other of two equally likely colours
        assert (ours == theirs).all(axis=2).mean() > 0.99


def test_resume_goes_on_as_the_old_code_did(old_run):
    options = json.loads((old_run / "config.json").read_text())["options"]
    changed = {
        f"--{name.replace('_', '-')}": options[name]
        for name in ("dataset", "image_size", "batch_size", "val_every", "workers", "pictures", "width")
    }
    changed |= {"--receptive-field": 16, "--d-width": 4, "--gan-start": 0, "--gan-ramp": 0.2, "--ema": 0.5}
    changed |= {"--weight-decay": 0, "--warmup": 0, "--device": "cpu", "--epochs": 4, "--output": old_run}
    done = command("--resume", *(part for pair in changed.items() for part in pair), script="train_cgan.py")
    assert done.returncode == 0, done.stderr
    assert "going on after epoch 1" in done.stdout
    ours, theirs = log_rows(old_run), log_rows(OLD / "expected")
    assert ours[0] == theirs[0]
    assert float(ours[1].pop("changed_epochs")) == 4  # the old code did not write this down
    assert [list(row) for row in ours] == [list(row) for row in theirs]
    for our, their in zip(ours, theirs, strict=True):
        for name in (
            "train_l1",
            "train_gan",
            "train_d",
            "train_d_real",
            "train_d_fake",
            "val_l1",
            "val_miou",
        ):
            assert float(our[name]) == pytest.approx(float(their[name]), abs=2e-3), name


def test_an_old_run_is_compared(old_run):
    run = compare_runs.collect([old_run])["training"]["runs"][0]
    assert (run["script"], run["status"], run["epochs"]) == ("train_cgan", "finished", 1)
    assert run["miou"] == pytest.approx(0.067562)
