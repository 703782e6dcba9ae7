"""A machine that fails a training: one line each, nothing half-written, and the run goes on when it is mended."""

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from forked import forked
from running import epochs_logged, start, wait_for
from segmentation_data import SMALL, log_rows, options

import train_l1
from common.commandline import UserError, of_the_machine, write_atomically
from train_cgan import Options as CganOptions
from training.palette_files import read_palette
from training.run_folder import FILES, FOLDERS, RunFolder, check_place

SHORT = [*SMALL, "--epochs", 2]


@pytest.fixture
def disk(tmp_path):
    """A disk of any size: calls give its folder, and change its size or what else `mount` can."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*wishes: str, again: bool = True) -> Path:
        words = ",".join([*(["remount"] if again else []), *wishes])
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", words, "tmpfs", place], capture_output=True, text=True
        )
        if done.returncode and not again:
            pytest.skip(f"this user cannot mount a disk: {done.stderr}")
        assert done.returncode == 0, done.stderr
        return place

    yield mount
    subprocess.run(["umount", place], capture_output=True)


@pytest.fixture(scope="module")
def whole(pairs, tmp_path_factory) -> Path:
    """A run that nothing disturbed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    done = forked(train_l1.main, "--dataset", pairs, "--output", run, *SHORT)
    assert done.code == 0, done.err
    return run


def assert_same(run: Path, whole: Path) -> None:
    assert log_rows(run) == log_rows(whole)
    ours, theirs = (torch.load(each / "checkpoints/last.pt", weights_only=True) for each in (run, whole))
    for part in ("ema", "rng"):
        one, other = ({k: v for k, v in each[part].items() if torch.is_tensor(v)} for each in (ours, theirs))
        assert one.keys() == other.keys()
        assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert json.loads((run / "status.json").read_text())["status"] == "finished"
    assert not list(run.rglob("*.tmp"))


# What then finds the disk full: config.json, TensorBoard, best.pt, last.pt, best.pt of the second epoch.
@pytest.mark.parametrize("kib", [4, 12, 20_000, 40_000, 70_000])
def test_a_full_disk(pairs, disk, whole, kib):
    run = disk(f"size={kib}k", again=False) / "run"
    arguments = ["--dataset", pairs, "--output", run, *SHORT]
    done = forked(train_l1.main, *arguments)
    assert "free some space" in done.error, done.err
    if kib == 70_000:
        assert torch.load(run / "checkpoints/last.pt", weights_only=True)["epoch"] == 1
    disk("size=300m")
    done = forked(train_l1.main, *arguments, "--resume")
    assert done.code == 0, done.err
    assert_same(run, whole)


def bound_by_permissions() -> None:
    """For a new process: root is asked for permissions like anybody."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def test_a_folder_that_becomes_read_only(pairs, tmp_path):
    run = tmp_path / "run"
    arguments = ["--dataset", pairs, "--output", run, *SMALL, "--epochs", 100000]
    process = start("train_l1.py", *arguments, before=bound_by_permissions)
    wait_for(lambda: epochs_logged(run) >= 1, process)
    for folder in (run, *(run / name for name in FOLDERS)):
        folder.chmod(0o555)
    _, error = process.communicate(timeout=600)
    assert process.returncode == 2, error
    assert "Traceback" not in error
    assert "Permission denied); choose another place; go on with" in error.splitlines()[-1]
    torch.load(run / "checkpoints/last.pt", weights_only=True)


def test_pictures_that_vanish_while_it_trains(pairs, tmp_path):
    shutil.copytree(pairs, tmp_path / "set")
    run = tmp_path / "run"
    arguments = ["--dataset", tmp_path / "set", *SMALL, "--cache-mb", 0, "--epochs", 100000, "--workers", 1]
    process = start("train_l1.py", *arguments, "--output", run)
    wait_for(lambda: epochs_logged(run) >= 1, process)
    shutil.rmtree(tmp_path / "set/train")
    _, error = process.communicate(timeout=600)
    assert process.returncode == 2, error
    assert "Traceback" not in error
    assert "cannot be read as a picture (No such file or directory)" in error.splitlines()[-1]


@pytest.mark.parametrize(
    "name", ["file", "file/x", "pipe", "dangling", "loop", "x" * 300, "y/" * 3000, "a\nb", b"\xff\xfe"]
)
def test_what_cannot_be_a_run_folder(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    os.symlink("nowhere/x", tmp_path / "dangling")
    os.symlink("loop", tmp_path / "loop")
    with pytest.raises(UserError, match=r"--output .*; choose a") as found:
        check_place(tmp_path / os.fsdecode(name))
    assert len(str(found.value).splitlines()) == 1
    str(found.value).encode()


@pytest.mark.parametrize("other", ["a pipe", "another kind", "a device"])
def test_a_run_folder_in_which_a_name_is_taken(tmp_path, other):
    for name in (*FILES, *FOLDERS):
        taken = tmp_path / name.replace("/", "_") / name
        taken.parent.mkdir(parents=True)
        if other == "a pipe":
            os.mkfifo(taken)
        elif other == "a device":
            taken.symlink_to("/dev/null")
        elif name in FILES:
            taken.mkdir()
        else:
            taken.write_text("mine")
        for take in (RunFolder(tmp_path / name.replace("/", "_")).start, RunFolder(taken.parent).take_up):
            with pytest.raises(UserError):
                take()


def test_names_as_long_as_a_file_system_allows(tmp_path):
    path = tmp_path / ("n" * 251 + ".png")
    write_atomically(path, lambda temporary: temporary.write_text("whole"))
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


WRONG = [
    *(
        "lr=nan lr=inf lr=-1 max-minutes=nan max-minutes=-1 seed=-1 seed=4294967296 ema=2 jitter=-1 clip=nan"
    ).split(),
    *(
        "workers=-2 workers=99999999 cache-mb=-1 pictures=-1 width=6400000 balance=nan warmup=5 epochs=0"
    ).split(),
    *(
        "lambda-gan=nan lambda-l1=-1 d-every=-1 gan-start=nan d-lr=inf d-width=0 weight-decay=nan crop=nan"
    ).split(),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_numbers_that_nobody_can_train_with(pairs, tmp_path, wrong):
    name, _, value = wrong.partition("=")
    found = options(pairs, tmp_path / "run", f"--{name}", value, kind=CganOptions)
    with pytest.raises(UserError, match=f"^--{name} "):
        found.check()


def test_the_defaults_are_in_their_ranges(pairs, tmp_path):
    options(pairs, tmp_path / "run", kind=CganOptions).check()


@pytest.mark.parametrize("place", ["/dev/zero", "folder", "large"])
def test_a_palette_that_is_no_text(tmp_path, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(b"\n" * 2**21)
    with pytest.raises(UserError, match="cannot be read"):
        read_palette(tmp_path / place)


def test_output_that_nobody_takes(pairs, tmp_path):
    """A closed stream is as /dev/null, also for the files of the run: none of them takes its number."""

    def closed() -> None:
        os.close(1)
        os.close(2)

    process = subprocess.run(
        [sys.executable, train_l1.__file__, "--dataset", pairs, "--output", tmp_path / "run"]
        + [str(each) for each in SHORT],
        preexec_fn=closed,
        timeout=600,
    )
    assert process.returncode == 0
    assert (tmp_path / "run/.lock").read_text().startswith("{")
    assert epochs_logged(tmp_path / "run") == 2


def test_a_full_output_and_a_full_memory_are_one_line(pairs, tmp_path):
    def full() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)

    done = forked(train_l1.main, "--dataset", pairs, "--output", tmp_path / "run", *SHORT, before=full)
    assert "No space left on device; free some space" in done.error, done.err
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    large = ["--dataset", pairs, *SHORT, "--batch-size", 64, "--image-size", 512]
    done = forked(
        train_l1.main,
        *large,
        *("--output", tmp_path / "large"),
        before=lambda: resource.setrlimit(resource.RLIMIT_AS, (used + 2**30,) * 2),
    )
    assert "memory" in done.error, done.err


def test_what_is_the_machines_and_what_is_ours():
    assert (
        of_the_machine(OSError(28, "No space left", "x"))
        == "x: No space left; free some space, and run it again"
    )
    assert "memory" in of_the_machine(MemoryError())
    assert of_the_machine(FileNotFoundError(2, "No such file", "x")) is None
    assert of_the_machine(ValueError("wrong")) is None
