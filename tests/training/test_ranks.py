"""The processes of a run end together: none waits for one that has failed."""

import os
import signal
import subprocess
import sys
import time

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
    assert deaf.wait(60) == -signal.SIGKILL


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


def test_sigterm_ends_the_ranks(pairs, tmp_path):
    run = tmp_path / "run"
    process = start_two("--dataset", pairs, "--output", run, *SMALL, "--epochs", 100000)
    end = time.monotonic() + 240
    while not (run / "training_log.txt").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    errors_of_two(process, 120)
    assert process.returncode != 0
