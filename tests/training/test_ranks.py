"""The processes of a run end together: none waits for one that has failed."""

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch
from segmentation_data import SMALL, errors_of_two, start_two

from training.ranks import end_ranks, wait_for_ranks

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


def python(code: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_rank_that_ignores_the_end_of_another_is_killed():
    deaf, failed = python(DEAF), python("import sys; sys.exit(2)")
    assert deaf.stdout.readline() == "up\n"
    assert wait_for_ranks([deaf, failed]) == 2
    end_ranks([deaf, failed], patience=0.2)
    assert deaf.wait(600) == -signal.SIGKILL


def test_ranks_that_end_well_are_waited_for():
    ranks = [python("import time; time.sleep(0.3)"), python("")]
    assert wait_for_ranks(ranks) == 0
    assert [rank.returncode for rank in ranks] == [0, 0]


def test_what_only_the_main_rank_finds_ends_all_in_one_line(trained, pairs):
    process = start_two("--dataset", pairs, "--output", trained, *SMALL)
    error = errors_of_two(process)
    assert process.returncode != 0
    assert [line for line in error.splitlines() if line.startswith("error: ")] == [
        f"error: {trained} holds a run already; choose another --output, or --resume it"
    ]


def lines_of(error: str) -> list[str]:
    """Without progress bars."""
    bars = ("epoch ", "reading ")
    return [
        line for line in error.replace("\r", "\n").splitlines() if line.strip() and not line.startswith(bars)
    ]


def start_training(run, pairs, *more) -> subprocess.Popen:
    """Two ranks that train until they are ended: the process that started them."""
    process = start_two(
        "--dataset", pairs, "--output", run, *SMALL, "--epochs", 100000, *more, launcher="quiet"
    )
    end = time.monotonic() + 600
    while not (run / "training_log.txt").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)
    return process


@pytest.mark.parametrize(
    ("number", "whom", "said"),
    [
        (signal.SIGINT, "all", "stopped by Ctrl-C; go on with --output"),
        (signal.SIGHUP, "starter", "stopped by SIGHUP; go on with --output"),
        (signal.SIGTERM, "rank 1", "stopped by SIGTERM; go on with --output"),
        (signal.SIGKILL, "rank 1", "error: a process of this run was killed (SIGKILL)"),
    ],
)
def test_a_signal_ends_all_ranks_in_one_line(pairs, tmp_path, number, whom, said):
    process = start_training(tmp_path / "run", pairs, "--workers", 1)
    starter = psutil.Process(process.pid)
    ranks = starter.children()
    second = next(rank for rank in ranks if rank.environ().get("RANK") == "1")
    everybody = starter.children(recursive=True)
    for each in {"all": [starter, *everybody], "starter": [starter], "rank 1": [second]}[whom]:
        each.send_signal(number)
    (line,) = lines_of(errors_of_two(process))
    assert line.startswith(said)
    assert process.returncode == (2 if number == signal.SIGKILL else 128 + number)
    assert psutil.wait_procs(everybody, timeout=600)[1] == []
    torch.load(tmp_path / "run/checkpoints/last.pt", weights_only=True)


def test_ranks_end_when_they_are_done(pairs, tmp_path):
    """A process group's end and that of its networks may wait for each other: both are left standing."""
    for epochs in (1, 2, 3):
        process = start_two(
            *("--dataset", pairs, "--output", tmp_path / "new", *SMALL, "--epochs", epochs),
            *(["--resume"] if epochs > 1 else []),
            launcher="quiet",
        )
        assert lines_of(errors_of_two(process)) == []
        assert process.returncode == 0
        assert json.loads((tmp_path / "new/status.json").read_text())["status"] == "finished"
