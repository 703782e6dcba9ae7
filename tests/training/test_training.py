"""The real training commands on tiny pairs: run folder, exact resume, ranks, and every bad input."""

import itertools
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from segmentation_data import COLOURS, ROOT, SMALL, command, error_of, log_rows, make_pairs

from common.commandline import UserError, parse, write_atomically
from losses import l1_loss
from train_cgan import Options as CganOptions
from train_cgan import as_channels, patch_weight, risen
from train_l1 import Options as L1Options
from training.label_colours import colour_weights
from training.loop import Training, rate
from training.options import TrainOptions


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    return make_pairs(tmp_path_factory.mktemp("pairs"))


LEARN = ["--epochs", 60, "--val-every", 20, "--ema", 0.9, "--lr", 0.003, "--crop", 1, "--jitter", 0]


@pytest.fixture(scope="module")
def trained(pairs, tmp_path_factory) -> Path:
    """A run of train_l1.py that has learned the three bands."""
    folder = tmp_path_factory.mktemp("runs") / "l1"
    done = command("--dataset", pairs, "--output", folder, *SMALL, *LEARN)
    assert done.returncode == 0, done.stderr
    return folder


def options(pairs: Path, output: Path, *more: str, kind=L1Options):
    return parse(kind, None, ["--dataset", str(pairs), "--output", str(output), *SMALL, *more])


# --- a run ------------------------------------------------------------------------------------------------


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


# --- resume -----------------------------------------------------------------------------------------------


def start(*arguments) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [sys.executable, ROOT / "train_cgan.py", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that starts the tests in the background has Ctrl-C ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, "it never came"
        time.sleep(0.0005)


def epochs_logged(folder: Path) -> int:
    log = folder / "training_log.txt"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_resumed_equals_uninterrupted_after_kill_9_in_mid_write_and_ctrl_c(pairs, tmp_path):
    arguments = ["--dataset", pairs, *SMALL, "--epochs", 24, "--receptive-field", 16]
    whole = command(*arguments, "--output", tmp_path / "whole", script="train_cgan.py")
    assert whole.returncode == 0, whole.stderr
    broken = tmp_path / "broken"
    checkpoints = broken / "checkpoints"

    process = start(*arguments, "--output", broken)
    wait_for(lambda: epochs_logged(broken) >= 2, process)
    wait_for(lambda: any(checkpoints.glob(".last.pt.*.tmp")), process)  # it is being written now
    process.kill()
    process.wait()
    assert epochs_logged(broken) < 24
    torch.load(checkpoints / "last.pt", weights_only=True)

    process = start(*arguments, "--output", broken, "--resume")
    before = epochs_logged(broken)
    wait_for(lambda: epochs_logged(broken) > before, process)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert epochs_logged(broken) < 24

    resumed = command(*arguments, "--output", broken, "--resume", script="train_cgan.py")
    assert resumed.returncode == 0, resumed.stderr
    assert log_rows(broken) == log_rows(tmp_path / "whole")
    assert not list(broken.rglob("*.tmp"))


def test_resume_names_the_settings_that_differ(trained, pairs):
    different = options(pairs, trained, *map(str, LEARN), "--clip", "0.5", "--balance", "0.7", "--resume")
    with pytest.raises(UserError, match=r"balance was 0.5 and is 0.7; clip was 1.0 and is 0.5"):
        Training(different, "train_l1")
    with pytest.raises(UserError, match=r"script was train_l1 and is train_cgan"):
        Training(options(pairs, trained, *map(str, LEARN), "--resume", kind=CganOptions), "train_cgan")


def test_resume_without_a_run_or_with_a_damaged_checkpoint(trained, pairs, tmp_path):
    with pytest.raises(UserError, match=r"holds no run to resume"):
        Training(options(pairs, tmp_path / "none", "--resume"), "train_l1")
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    last = copy / "checkpoints" / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"last.pt is no checkpoint of this program; try a copy of .*best.pt"):
        Training(options(pairs, copy, *map(str, LEARN), "--resume"), "train_l1")


# --- several processes ------------------------------------------------------------------------------------


def test_two_processes_share_the_work_and_write_one_log(pairs, tmp_path):
    """Learning rate 0 leaves the first weights, so both ways must measure the same on 3 validation pairs,
    which two ranks cannot share evenly; then a run that learns."""
    still = ["--dataset", pairs, *SMALL, "--epochs", 1, "--lr", 0, "--d-lr", 0]
    alone = command(*still, "--output", tmp_path / "alone", script="train_cgan.py")
    assert alone.returncode == 0, alone.stderr
    for name, arguments in (("two", still), ("learns", ["--dataset", pairs, *SMALL, "--epochs", 2])):
        done = subprocess.run(
            [
                *(Path(sys.executable).with_name("accelerate"), "launch", "--num_processes", "2", "--cpu"),
                "train_cgan.py",
                *map(str, [*arguments, "--output", tmp_path / name]),
            ],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
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


# --- the clock --------------------------------------------------------------------------------------------


def test_max_minutes_ends_the_run_and_counts_over_a_resume(pairs, tmp_path):
    arguments = ["--dataset", pairs, "--output", tmp_path / "run", *SMALL, "--epochs", 100000]
    done = command(*arguments, "--max-minutes", 0.05, "--val-every", 100000)
    assert done.returncode == 0, done.stderr
    rows = log_rows(tmp_path / "run")
    assert 1 <= len(rows) < 100000
    assert "val_miou" in rows[-1]  # the last epoch is always validated
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)
    assert saved["elapsed"] < 60
    assert saved["optimisers"]["generator"]["param_groups"][1]["lr"] < 0.2 * 1e-3  # planned to the end
    again = command(*arguments, "--max-minutes", 0.05, "--val-every", 100000, "--resume")
    assert "is finished" in again.stdout


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_rate_rises_then_falls_to_zero(schedule):
    values = [rate(k / 1000, schedule, 0.1) for k in range(1001)]
    assert values[100] == pytest.approx(1)
    assert all(a <= b for a, b in itertools.pairwise(values[:101]))
    assert all(a >= b for a, b in itertools.pairwise(values[100:]))
    assert values[-1] == pytest.approx(0, abs=1e-9)
    assert values[550] == pytest.approx(0.5, abs=1e-6)


# --- bad input --------------------------------------------------------------------------------------------


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
    # the sample of labels taken at the start must not be what finds it
    done = command(*arguments, "--output", tmp_path / "run", "--palette", "camvid")
    assert "train_3.png cannot be read" in error_of(done)
    done = command(*arguments, "--output", tmp_path / "skips", "--skip-broken")
    assert done.returncode == 0, done.stderr


def test_colours_outside_the_palette_are_counted_and_reported(pairs, tmp_path, capsys):
    shutil.copytree(pairs, tmp_path / "set")
    for path in (tmp_path / "set" / "train").iterdir():
        picture = np.array(Image.open(path))
        picture[:4, 32:] = (255, 255, 255)  # 4 of 32 rows of the label
        Image.fromarray(picture).save(path)
    run = Training(options(tmp_path / "set", tmp_path / "run", "--palette", "camvid"), "train_l1")
    assert (
        "12.50% of the pixels of 6 sampled training labels have colours outside it" in capsys.readouterr().out
    )
    config = json.loads((run.folder.path / "config.json").read_text())
    assert config["found"]["outside_palette"] == pytest.approx(0.125)


def test_nan_loss_stops_with_the_last_good_checkpoint(pairs, tmp_path):
    run = Training(options(pairs, tmp_path / "run", "--epochs", "5"), "train_l1")
    generator = run.modules["generator"]

    def step(batch):
        loss = l1_loss(generator(batch.photo), batch.label, batch.weight) * (
            math.nan if run.epoch >= 2 else 1.0
        )
        run.update("generator", loss)
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


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"No space left on device.*free some space"):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# --- parts ------------------------------------------------------------------------------------------------


def test_the_gan_term_rises_after_its_start():
    assert [risen(t, 0.5, 0.2) for t in (0.0, 0.5, 0.6, 0.7, 1.0)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert [risen(t, 0.0, 0.0) for t in (0.0, 0.1)] == [0.0, 1.0]


def test_before_the_gan_term_the_discriminator_learns_at_some_steps(pairs, tmp_path):
    def steps_of(start: float) -> tuple[int, int]:
        """(steps, the discriminator's steps) of one epoch whose GAN term starts so late."""
        run = tmp_path / f"start-{start}"
        more = ["--epochs", 1, "--batch-size", 1, "--gan-start", start, "--gan-ramp", 0, "--d-every", 3]
        done = command("--dataset", pairs, *SMALL, *more, "--output", run, script="train_cgan.py")
        assert done.returncode == 0, done.stderr
        assert math.isfinite(float(log_rows(run)[0]["train_d"]))
        saved = torch.load(run / "checkpoints/last.pt", weights_only=True)
        return saved["step"], int(saved["optimisers"]["discriminator"]["state"][0]["step"])

    all_steps, learned = steps_of(1.0)
    assert learned == math.ceil(all_steps / 3) < all_steps
    all_steps, learned = steps_of(0.0)
    assert learned == all_steps


def test_lambda_gan_0_trains_as_l1_alone(pairs, tmp_path):
    more = ["--epochs", "2", "--clip", "0"]
    l1 = command("--dataset", pairs, *SMALL, *more, "--output", tmp_path / "l1")
    off = command(
        *("--dataset", pairs, *SMALL, *more, "--output", tmp_path / "off", "--lambda-gan", 0),
        script="train_cgan.py",
    )
    assert (l1.returncode, off.returncode) == (0, 0), l1.stderr + off.stderr
    for one, other in zip(log_rows(tmp_path / "l1"), log_rows(tmp_path / "off"), strict=True):
        assert float(one["val_l1"]) == pytest.approx(float(other["val_l1"]), abs=1e-5)


def test_rare_colours_weigh_more_and_the_mean_weight_is_one():
    labels = torch.zeros(1, 3, 10, 10, dtype=torch.uint8)
    labels[:, :, 0] = 255  # a tenth of the pixels
    table = colour_weights(labels, torch.tensor([[0.0, 0, 0], [255, 255, 255]]), 0.5)
    black, white = table[0].item(), table[-1].item()
    assert white / black == pytest.approx((0.9 / 0.1) ** 0.5, rel=1e-5)
    assert 0.9 * black + 0.1 * white == pytest.approx(1, rel=1e-5)


def test_void_weighs_as_little_as_the_most_frequent_class():
    labels = torch.zeros(1, 3, 10, 10, dtype=torch.uint8)
    labels[0, 0, :3], labels[0, 1, 9] = 255, 255  # 60 black, 30 red, 10 green
    colours = torch.tensor([[0.0, 0, 0], [255, 0, 0], [0, 255, 0]])
    table = colour_weights(labels, colours, 0.5, void=1)
    black, red, green = table[0], table[31 << 10], table[31 << 5]
    assert red > black
    assert green == black


def test_average_follows_the_weights(pairs, tmp_path):
    run = Training(options(pairs, tmp_path / "run", "--ema", "0.5"), "train_l1")
    start_value = next(run.ema.parameters()).clone()
    run.step_count = 10**6
    with torch.no_grad():
        next(run.bare("generator").parameters()).add_(1.0)
    run._average()
    assert torch.allclose(next(run.ema.parameters()), start_value + 0.5, atol=1e-6)


def test_fp16_on_a_cpu_is_refused(pairs, tmp_path):
    with pytest.raises(UserError, match=r"--precision fp16 needs a GPU"):
        Training(options(pairs, tmp_path / "run", "--precision", "fp16"), "train_l1")


def test_help_lists_defaults():
    done = command("--help", script="train_cgan.py")
    assert done.returncode == 0
    for text in ("--lambda-gan", "(default: 50.0)", "--max-minutes", "auto,fp32,bf16,fp16"):
        assert text in done.stdout
    assert TrainOptions.__dataclass_fields__.keys() >= {"device", "seed"}


def test_the_real_picture_shows_the_fake_where_it_has_no_colour():
    """Void and JPEG borders must not tell real from fake."""
    fake = torch.tensor([[0.25, 0.75], [1.0, 0.0]]).T.reshape(1, 2, 1, 2)
    real = as_channels(torch.tensor([[[-1, 1]]]), fake)
    assert real[0, :, 0, 0].tolist() == [0.25, 0.75]
    assert real[0, :, 0, 1].tolist() == [0.0, 1.0]


def test_void_is_no_colour_for_the_discriminator(tmp_path):
    make_pairs(tmp_path / "set")
    run = Training(options(tmp_path / "set", tmp_path / "run", "--palette", "camvid"), "train_cgan")
    label = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)  # black: camvid's void
    label[0, :, 0, 1] = torch.tensor(COLOURS[1])  # building
    label[0, :, 1] = 255  # white: far from every colour
    batch = run._batch({"photo": label, "label": label})
    assert batch.colour.tolist() == [[[-1, 1], [-1, -1]]]


def test_a_patch_counts_as_its_rarest_pixel():
    weight = torch.ones(1, 1, 8, 8)
    weight[0, 0, 1, 6] = 5.0
    cells = patch_weight(weight, torch.zeros(1, 1, 2, 2))
    assert cells.mean().item() == pytest.approx(1.0)
    assert (cells[0, 0, 0, 1] / cells[0, 0, 1, 1]).item() == pytest.approx(5.0)
    assert patch_weight(None, torch.zeros(1, 1, 2, 2)) == 1.0
