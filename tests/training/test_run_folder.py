"""Who may write a run folder, where it may be, and what a kill at any moment leaves."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from running import start, wait_for
from segmentation_data import LEARN, ROOT, SMALL, command, error_of, log_rows, options
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from common.commandline import UserError
from training.loop import Training
from training.run_folder import RunFolder

# Holds the lock of a folder until it is killed.
HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from training.run_lock import lock
held = lock(Path(sys.argv[2]))
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that is at work in tmp_path/run."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, ROOT, tmp_path / "run"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_run_and_a_resume_beside_a_live_one_are_refused(other, pairs, tmp_path):
    arguments = ["--dataset", pairs, "--output", tmp_path / "run", *SMALL, "--epochs", 1]
    who = f"process {other.pid} on {socket.gethostname()}"
    assert f"{who} is writing {tmp_path / 'run'}" in error_of(command(*arguments))
    assert who in error_of(command(*arguments, "--resume"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_the_lock_of_a_killed_process_or_another_machine_is_free(other, tmp_path):
    other.kill()
    other.wait()
    (tmp_path / "run/.lock").write_text(json.dumps({"host": "elsewhere", "pid": os.getpid()}))
    folder = RunFolder(tmp_path / "run")
    folder.begin()
    mine = {"host": socket.gethostname(), "pid": os.getpid()}
    assert json.loads((tmp_path / "run/.lock").read_text()) == mine
    folder.held.close()


def test_a_file_system_without_locks_is_no_hindrance(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    RunFolder(tmp_path / "run").begin()
    assert "without locks" in capsys.readouterr().out


def test_a_folder_of_other_files_is_taken(pairs, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("notes.txt", ".mine.tmp"):
        (run / name).write_text("mine")
    Training(options(pairs, run), "train_l1")
    assert (run / "config.json").is_file()
    assert (run / "notes.txt").read_text() == (run / ".mine.tmp").read_text() == "mine"


@pytest.mark.parametrize("left", [[".lock"], [".lock", ".config.json.12.tmp"], [".lock", "config.json"]])
def test_what_a_kill_leaves_at_the_start_resumes(pairs, tmp_path, left):
    run = tmp_path / "run"
    run.mkdir()
    for name in left:
        (run / name).write_text("{")
    if "config.json" not in left:  # nothing of the run is there yet: it may also be started again
        RunFolder(run).start()
    done = command("--dataset", pairs, "--output", run, *SMALL, "--epochs", 1, "--resume")
    assert done.returncode == 0, done.stderr
    assert len(log_rows(run)) == 1
    assert not list(run.rglob("*.tmp"))


def test_an_output_that_is_no_folder_is_one_line(pairs, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "/dev/null is no folder" in error_of(command("--dataset", pairs, "--output", "/dev/null", *SMALL))
    for name in ("file", "file/below", "x" * 300):
        with pytest.raises(UserError, match=r"--output .*; choose a"):
            RunFolder(tmp_path / name).start()
    assert (tmp_path / "file").read_text() == "mine"


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(UserError, match=r"cannot be written; choose another"):
        RunFolder(tmp_path / "run").start()


def test_the_tensorboard_point_that_a_kill_lost_is_written_again(trained, pairs, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    before = points(run)
    assert len(before) == 60
    for file in run.glob("events.*"):  # the last points are lost
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert 0 < len(points(run)) < 60
    done = command("--dataset", pairs, "--output", run, *SMALL, *LEARN, "--resume")
    assert "is finished" in done.stdout, done.stderr
    assert points(run)[60] == pytest.approx(before[60])
    assert {"val", "train"} <= set(events(run).Tags()["images"])


def events(run) -> EventAccumulator:
    return EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0}).Reload()


def points(run) -> dict[int, float]:
    return {event.step: event.value for event in events(run).Scalars("train/l1")}


def test_a_full_disk_at_tensorboards_start_is_one_line(pairs, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.tracking.SummaryWriter", refuse)
    run = Training(options(pairs, tmp_path / "run"), "train_l1")
    with pytest.raises(
        UserError, match=r"TensorBoard's file .* \(No space left on device\); free some space"
    ):
        run.fit(lambda batch: {})
    assert json.loads((tmp_path / "run/status.json").read_text())["status"] == "failed"


def test_a_worker_that_is_killed_is_one_line(pairs, tmp_path):
    run = tmp_path / "run"
    arguments = ["--dataset", pairs, "--output", run, *SMALL, "--epochs", 100000, "--workers", 1]
    process = start("train_l1.py", *arguments)
    wait_for(lambda: (run / "training_log.txt").exists(), process)
    os.kill(psutil.Process(process.pid).children()[-1].pid, signal.SIGKILL)
    _, error = process.communicate(timeout=600)
    assert process.returncode == 2, error
    assert "Traceback" not in error, error
    assert "a process that prepares pictures was killed" in error
