"""A small part of `make torture`, and that each part of it sees what it looks for."""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from killed_trials import Ended, wrong_end
from PIL import Image
from same_runs import differences
from torch.utils.tensorboard import SummaryWriter

ROOT = Path(__file__).resolve().parents[2]


def run(script: str, *arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, str(root / "tests/robustness" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def test_a_run_goes_on_after_kills_and_a_signal():
    """Before last.pt's replace, going on in the middle of best.pt, then after last.pt; and in imports, also SIGTERM."""
    at = "before:8+half:7+after:8,import:500+import:1500:15"
    done = run("killed_runs.py", "--fork", "--script", "train_cgan.py", "--at", at)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "2 kills, 0 breaks"


@pytest.mark.parametrize(
    ("code", "error", "moment", "right"),
    [
        (-9, "", "before:3", True),
        (143, "\repoch 1: 33% 2.1it/s\nstopped by SIGTERM; go on\n", "import:5:15", True),
        (129, "stopped by SIGHUP\n", "clock:0.5:1", True),
        (0, "", "before:3", False),
        (None, "", "clock:0.5", False),
        (-15, "", "import:5:15", False),
        (143, "", "import:5:15", False),
        (130, "stopped by Ctrl-C\n", "import:5:15", False),
        (130, "stopped by Ctrl-C\nException ignored in: x\n", "import:5:2", False),
        (1, "Traceback (most recent call last):\nKeyboardInterrupt\n", "clock:5:2", False),
    ],
)
def test_which_ends_are_right(code, error, moment, right):
    assert (wrong_end(Ended(code, error), moment, finished=False) == []) == right


@pytest.fixture
def two(tmp_path) -> tuple[Path, Path]:
    """Two run folders that are the same but for the clock."""
    for name, clock in (("one", 1.5), ("two", 2.5)):
        folder = tmp_path / name
        (folder / "checkpoints").mkdir(parents=True)
        weights = {"ema": {"w": torch.tensor([0.0, 1.0])}, "log": [{"l1": float("nan"), "seconds": clock}]}
        torch.save(weights | {"elapsed": clock}, folder / "checkpoints/last.pt")
        Image.new("RGB", (4, 4)).save(folder / "a.png")
        (folder / "training_log.txt").write_text(f"epoch=1 l1=0.5 seconds={clock}\n")
        (folder / "status.json").write_text('{"status": "finished"}')
        write_points(folder, {"l1": 0.5, "seconds": clock})
    return tmp_path / "one", tmp_path / "two"


def write_points(folder: Path, values: dict[str, float]) -> None:
    for old in folder.glob("events*"):
        old.unlink()
    with SummaryWriter(str(folder)) as writer:
        for name, value in values.items():
            writer.add_scalar(name, value, 1)


def test_what_is_not_the_same_in_two_runs_is_named(two):
    one, other = two
    assert differences(one, other) == []
    saved = torch.load(one / "checkpoints/last.pt", weights_only=True)
    saved["ema"]["w"][0] = -0.0  # equal, and not the same bit
    torch.save(saved, one / "checkpoints/last.pt")
    assert differences(one, other) == ["checkpoints/last.pt: /ema/w"]
    Image.new("RGB", (4, 4), (1, 0, 0)).save(one / "a.png")
    (one / "training_log.txt").write_text("epoch=1 l1=0.6 seconds=1.5\n")
    (one / "status.json").write_text('{"status": "running"}')
    write_points(one, {"l1": 0.6})
    names = [
        "status is running",
        "a.png",
        "checkpoints/last.pt: /ema/w",
        "training_log.txt",
        "TensorBoard: /l1/0/1",
    ]
    assert differences(one, other) == names
    (one / ".last.pt.1.tmp").touch()
    assert differences(one, other) == ["left behind: .last.pt.1.tmp", *names[:1], "files: ['.last.pt.1.tmp']"]


@pytest.fixture
def broken(tmp_path):
    """A copy of the project in which text of a file is replaced."""

    def replace(file: str, before: str, after: str) -> Path:
        copy = tmp_path / "project"
        for folder in ("common", "training", "tests/robustness", "tests/support"):
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for script in ROOT.glob("*.py"):
            shutil.copy(script, copy)
        text = (copy / file).read_text()
        assert text.count(before) == 1
        (copy / file).write_text(text.replace(before, after))
        return copy

    return replace


OPENED = "    name = name.lower()\n"  # where common/whole.py begins to look whether a file is whole


def test_a_project_that_believes_every_download_breaks(broken):
    copy = broken("common/whole.py", OPENED, "    return None\n")
    done = run("torture.py", "--only", "downloads", "--scale", "0.17", root=copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "cannot be unpacked" in done.stdout
    row = re.search(r"^downloads .* 34 downloads +(\d+) +\d+$", done.stdout, re.M)
    assert (
        int(row[1])
        == len(re.findall(r"^  .*(sum known|sum unknown|by hand|fetched): ", done.stdout, re.M))
        > 0
    )


def test_a_part_that_hangs_is_ended_with_all_that_it_started(broken):
    sleeps = "    import os, time\n    os.fork() or os.setpgrp()\n    time.sleep(1000)\n"
    copy = broken("common/whole.py", OPENED, sleeps)
    done = run("torture.py", "--only", "downloads", "--limit", "3", root=copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^downloads .* - +1 +\d+$", done.stdout, re.M), done.stdout
    assert done.stdout.endswith("downloads: not done after 3 s\n")
    assert [each for each in psutil.process_iter(["cmdline"]) if str(copy) in str(each.info["cmdline"])] == []


def test_ending_it_ends_the_part_at_work(broken):
    copy = broken("common/whole.py", OPENED, "    import time\n    time.sleep(1000)\n")
    command = [sys.executable, str(copy / "tests/robustness/torture.py"), "--only", "downloads"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("downloads: ")
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, error) == (143, "")
    assert [each for each in psutil.process_iter(["cmdline"]) if str(copy) in str(each.info["cmdline"])] == []


def test_the_command():
    done = run("torture.py", "--list", "--scale", "0.02")
    assert [line.split(None, 1) for line in done.stdout.splitlines()] == [
        ["kills", "python tests/robustness/killed_runs.py --fork --kills 1"],
        ["signals", "python tests/robustness/killed_runs.py --fork --signals 1"],
        ["downloads", "python tests/robustness/bad_input.py --downloads 4"],
        ["pictures", "python tests/robustness/bad_input.py --pictures 8"],
        ["fuzz", "python tests/robustness/fuzz.py --seed 1 --count 60"],
        ["crowd", "python tests/robustness/crowd.py --clients 20 --minutes 0.2"],
    ]
    for wrong in (["--only", "x"], ["--scale", "2"]):
        done = run("torture.py", *wrong)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert done.stderr.startswith(f"error: {' '.join(wrong)}: ")
