"""Tiny pairs in the CamVid palette, running the real commands on them, and one trained run for all tests."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import warm
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SIDE = 32
LIGHT = ("compare_runs.py", "download_dataset.py")  # scripts that load at once
# Few steps of a small network on tiny pictures; every test that trains starts from these.
SMALL = ["--image-size", "32", "--batch-size", "2", "--encoder", "scratch", "--width", "64", "--workers", "0"]
SMALL += ["--device", "cpu", "--pictures", "2", "--val-every", "1"]
# So that the small network learns the three bands of the pairs.
LEARN = [
    "--epochs",
    "60",
    "--val-every",
    "20",
    "--ema",
    "0.9",
    "--lr",
    "0.003",
    "--crop",
    "1",
    "--jitter",
    "0",
]
COLOURS = np.array([(128, 128, 128), (128, 0, 0), (128, 64, 128)], np.uint8)  # sky, building, road


def picture_pair(seed: int, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """Photo and label (side, side, 3): three bands at random heights in both, other colours."""
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.integers(4, side - 4, 2))
    rows = np.digitize(np.arange(side), cuts)
    label = np.repeat(COLOURS[rows][:, None], side, axis=1)
    photo = np.clip(label[..., ::-1].astype(int) + rng.integers(-20, 20, label.shape), 0, 255)
    return photo.astype(np.uint8), label


def make_pairs(root: Path, train: int = 6, val: int = 3, side: int = SIDE) -> Path:
    """A data set of A|B PNG files under ``root``."""
    for split, count, first in (("train", train, 0), ("val", val, 1000)):
        (root / split).mkdir(parents=True)
        for k in range(count):
            Image.fromarray(np.hstack(picture_pair(first + k, side))).save(root / split / f"{split}_{k}.png")
    return root


def command(*arguments: str | Path, script: str = "train_l1.py", **options) -> subprocess.CompletedProcess:
    """Run a script of the repository as a user would; returns its exit code and output."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    words = [sys.executable, ROOT / script, *map(str, arguments)]
    how = {"timeout": 600, "cwd": ROOT, "env": environment, **options}
    if script in LIGHT:
        return subprocess.run(words, capture_output=True, text=True, **how)
    return warm.run(words, **how)


def start_two(
    *arguments: str | Path, script: str = "train_l1.py", launcher: str = "accelerate"
) -> subprocess.Popen:
    """Start a script in two processes without GPUs; its standard error is a pipe that the ranks hold, too.

    Args:
        launcher: "accelerate", which ends with a traceback of its own, or "quiet": what is returned is the script that
            starts the ranks, as it stands where `accelerate launch --cpu --num_processes 2` has started it.
    """
    accelerate = [Path(sys.executable).with_name("accelerate"), "launch", "--cpu", "--num_processes", "2"]
    words = [ROOT / script, *map(str, arguments)]
    environment = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONFAULTHANDLER": "1"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    if launcher == "quiet":
        environment |= {"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1"}
        return warm.Process([sys.executable, *words], cwd=ROOT, env=os.environ | environment, **pipes)
    # a shell that starts the tests in the background has Ctrl-C ignored, and children inherit that
    before = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    return subprocess.Popen(
        [*accelerate, *words], cwd=ROOT, env=os.environ | environment, preexec_fn=before, **pipes
    )


def errors_of_two(process: subprocess.Popen, patience: float = 600) -> str:
    """Wait for what ``start_two`` started, and return what it wrote; where each of them waited, if it hangs."""
    try:
        return process.communicate(timeout=patience)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        pytest.fail(f"still running after {patience} s\n{process.communicate(timeout=30)[1]}")


def error_of(done: subprocess.CompletedProcess) -> str:
    """The one line of a user error; exit code 2, and no traceback."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return lines[0]


def log_rows(folder: Path) -> list[dict[str, str]]:
    """training_log.txt as dicts, without what depends on the clock."""
    rows = []
    for line in (folder / "training_log.txt").read_text().splitlines():
        row = dict(part.split("=") for part in line.split())
        rows.append({k: v for k, v in row.items() if k not in ("seconds", "images_per_s")})
    return rows


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that all test processes have in common; the first that asks for it makes it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            half = factory.mktemp("half") / name
            make(half)
            half.rename(folder)
    return folder


@pytest.fixture(scope="session")
def pairs(tmp_path_factory) -> Path:
    """A data set of 6 training and 3 validation pairs. Copy it to change it."""
    return made_once(tmp_path_factory, "pairs", make_pairs)


@pytest.fixture(scope="session")
def trained(pairs, tmp_path_factory) -> Path:
    """A run of train_l1.py that has learned the three bands. Copy it to change it."""

    def train(folder: Path) -> None:
        done = command("--dataset", pairs, "--output", folder, *SMALL, *LEARN)
        assert done.returncode == 0, done.stderr

    folder = tmp_path_factory.mktemp("runs") / "l1"
    # of its own, since two processes may ask at once whether another one trains in it
    shutil.copytree(made_once(tmp_path_factory, "trained", train), folder)
    return folder


def options(pairs: Path, output: Path, *more: str, kind: type | None = None):
    """The options of a small run, to make a ``Training`` with; ``kind`` is the script's class of options."""
    from common.commandline import parse
    from train_l1 import Options

    return parse(kind or Options, None, ["--dataset", str(pairs), "--output", str(output), *SMALL, *more])
