"""Training scripts as a user starts them, watched while they run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import warm
from segmentation_data import ROOT


def start(
    script: str, *arguments: object, before: Callable[[], object] | None = None, **environment: str
) -> subprocess.Popen:
    """A script that is at work; its standard error is a pipe.

    Args:
        before: called in the new process, whose libraries then load as a user's.
    """
    # a shell that starts the tests in the background has Ctrl-C ignored, and children inherit that
    own = {"preexec_fn": lambda: (signal.signal(signal.SIGINT, signal.SIG_DFL), before())} if before else {}
    return warm.Process(
        [sys.executable, ROOT / script, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **own,
    )


def wait_for(condition: Callable[[], object], process: subprocess.Popen, seconds: float = 600) -> None:
    """Wait until the condition holds; fails if the process ends before, or it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, "it never came"
        time.sleep(0.0005)


def epochs_logged(folder: Path) -> int:
    log = folder / "training_log.txt"
    return len(log.read_text().splitlines()) if log.exists() else 0
