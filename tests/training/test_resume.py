"""Stopped at any moment, a run goes on exactly as if it had not stopped; what does not fit is refused."""

import shutil
import signal

import pytest
import torch
from running import epochs_logged, start, wait_for
from segmentation_data import LEARN, SMALL, command, log_rows, options

from common.commandline import UserError
from train_cgan import Options as CganOptions
from training.loop import Training


def test_resumed_equals_uninterrupted_after_kill_9_in_mid_write_and_ctrl_c(pairs, tmp_path):
    arguments = ["--dataset", pairs, *SMALL, "--epochs", 24, "--receptive-field", 16]
    whole = command(*arguments, "--output", tmp_path / "whole", script="train_cgan.py")
    assert whole.returncode == 0, whole.stderr
    broken = tmp_path / "broken"
    checkpoints = broken / "checkpoints"

    process = start("train_cgan.py", *arguments, "--output", broken)
    wait_for(lambda: epochs_logged(broken) >= 2, process)
    wait_for(lambda: any(checkpoints.glob(".last.pt.*.tmp")), process)  # it is being written now
    process.kill()
    process.wait()
    assert epochs_logged(broken) < 24
    torch.load(checkpoints / "last.pt", weights_only=True)

    process = start("train_cgan.py", *arguments, "--output", broken, "--resume")
    before = epochs_logged(broken)
    wait_for(lambda: epochs_logged(broken) > before, process)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=600)[1]
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert epochs_logged(broken) < 24

    resumed = command(*arguments, "--output", broken, "--resume", script="train_cgan.py")
    assert resumed.returncode == 0, resumed.stderr
    assert log_rows(broken) == log_rows(tmp_path / "whole")
    assert not list(broken.rglob("*.tmp"))


def test_resume_names_the_settings_that_differ(trained, pairs):
    different = options(pairs, trained, *LEARN, "--clip", "0.5", "--balance", "0.7", "--resume")
    with pytest.raises(UserError, match=r"balance was 0.5 and is 0.7; clip was 1.0 and is 0.5"):
        Training(different, "train_l1")
    with pytest.raises(UserError, match=r"script was train_l1 and is train_cgan"):
        Training(options(pairs, trained, *LEARN, "--resume", kind=CganOptions), "train_cgan")


def test_a_checkpoint_says_how_open_options_were_decided(pairs, tmp_path):
    """Whether it is of a run that was resumed or not."""
    found = options(pairs, tmp_path / "run", kind=CganOptions)
    assert found.d_every is None
    settings = Training(found, "train_cgan").beginning.settings
    assert (settings["d_every"], settings["lambda_features"], settings["gan_start"]) == (4, 0.0, 0.6)


def test_resume_without_a_run_or_with_a_damaged_checkpoint(trained, pairs, tmp_path):
    with pytest.raises(UserError, match=r"holds no run to resume"):
        Training(options(pairs, tmp_path / "none", "--resume"), "train_l1")
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    last = copy / "checkpoints" / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"last.pt is no checkpoint of this program; try a copy of .*best.pt"):
        Training(options(pairs, copy, *LEARN, "--resume"), "train_l1")
