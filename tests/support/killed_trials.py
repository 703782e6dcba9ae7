"""One trial of a training that is ended at some moment: how it ends, how it goes on, and what comes of it.

A moment is one of doomed.py, or

    clock:S, clock:S:NUMBER     SIGKILL, or that signal, from outside, S seconds after the script began to listen

and ``+`` joins those of one run: the later ones end it while it goes on.
"""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from doomed import arm
from forked import forked
from same_runs import differences, status
from segmentation_data import ROOT, SMALL, make_pairs

from common.commandline import UserError

SIGNALS = {
    signal.SIGINT: ("Ctrl-C", 130),
    signal.SIGTERM: ("SIGTERM", 143),
    signal.SIGHUP: ("SIGHUP", 129),
}
HANG = 300  # seconds for one process
DOOMED = ROOT / "tests/support/doomed.py"


@dataclass
class Whole:
    """A run that nobody disturbed."""

    folder: Path
    files: list[str]  # that it renamed into place, in their order
    imports: int
    seconds: float


@dataclass
class Ended:
    """How a process ended."""

    code: int | None  # negative: by that signal; None: not in time
    error: str

    def __str__(self) -> str:
        return f"{'hangs' if self.code is None else f'code {self.code}'}, {said(self.error)[-3:]}"


class Trials:
    """Trials of one script, in a scratch folder."""

    def __init__(self, script: str, scratch: Path, fork: bool = False, measure: bool = True):
        """
        Args:
            fork: import once for all processes that no import, signal or clock ends.
            measure: the imports and seconds of the whole run are asked for.

        Raises:
            UserError: if the script fails by itself.
        """
        self.script, self.scratch, self.fork = script, scratch, fork and not measure
        self.journal = scratch / "journal"
        self.pairs = make_pairs(scratch / "pairs")
        self.whole = self._whole(scratch / "whole")
        self.fork = fork

    def _whole(self, folder: Path) -> Whole:
        began = time.monotonic()
        done = self.run(folder)
        if done.code != 0:
            raise UserError(f"{self.script} fails by itself: {done}")
        lines = [line.split(" ", 1) for line in self.journal.read_text().splitlines()]
        files = [value for kind, value in lines if kind == "file"]
        imports = sum(int(value) for kind, value in lines if kind == "imports")
        return Whole(folder, files, imports, time.monotonic() - began)

    def trial(self, moments: str, folder: Path) -> list[str]:
        """End a run at its moments and go on with it: what broke, in words."""
        broke = []
        for number, moment in enumerate(moments.split("+")):
            moment, done = (moment, self.go_on(folder, moment)) if number else self.stop(folder, moment)
            broke += wrong_end(done, moment, status(folder) == "finished")
        done = self.go_on(folder)
        return broke + (differences(folder, self.whole.folder) if done.code == 0 else [f"stuck: {done}"])

    def stop(self, folder: Path, moment: str) -> tuple[str, Ended]:
        """Begin a run and end it at a moment; at half that time where it was at its end before."""
        done = self.run(folder, moment)
        while moment.startswith("clock") and done.code == 0:
            shutil.rmtree(folder)
            _, seconds, *number = moment.split(":")
            moment = ":".join(["clock", f"{float(seconds) / 2:.2f}", *number])
            done = self.run(folder, moment)
        return moment, done

    def go_on(self, folder: Path, moment: str = "never") -> Ended:
        """As its user would: with --resume, and anew where that says that nothing was begun."""
        done = self.run(folder, moment, "--resume")
        nothing = done.code == 2 and "holds no run to resume" in done.error
        return self.run(folder, moment) if nothing else done

    def run(self, folder: Path, moment: str = "never", *more: str) -> Ended:
        """Train until the moment, or to the end."""
        self.journal.unlink(missing_ok=True)
        arguments = ["--dataset", self.pairs, "--output", folder, *SMALL, "--epochs", 3, *more]
        arguments += ["--d-width", 8] if self.script == "train_cgan.py" else []
        kind, *numbers = moment.split(":")
        if self.fork and kind not in ("import", "clock"):
            main = importlib.import_module(self.script.removesuffix(".py")).main
            done = forked(main, *arguments, before=lambda: arm(str(self.journal), moment), seconds=HANG)
            return Ended(done.code, done.err)
        inside = moment if kind != "clock" else "never"
        process = subprocess.Popen(
            list(map(str, [sys.executable, DOOMED, self.journal, inside, ROOT / self.script, *arguments])),
            cwd=self.scratch,
            env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=by_default,
        )
        try:
            if kind == "clock":
                send(process, *map(float, numbers))
            error = process.communicate(timeout=HANG)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            return Ended(None, process.communicate()[1])
        return Ended(process.returncode, error)


def by_default() -> None:
    """In a new process: a shell that starts things in the background has some signals ignored."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def send(process: subprocess.Popen, after: float, number: float = signal.SIGKILL) -> None:
    """Send a signal some seconds after the process began to listen; nothing where it has ended."""
    while process.poll() is None and not listens(process.pid):
        time.sleep(0.001)
    time.sleep(after)
    process.send_signal(int(number))


def listens(pid: int) -> bool:
    """Whether a process has handlers for all three signals: its script has begun."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        caught = int(next(line for line in lines if line.startswith("SigCgt")).split()[1], 16)
    except (OSError, StopIteration):  # it has ended
        return False
    return all(caught >> (number - 1) & 1 for number in SIGNALS)


def said(error: str) -> list[str]:
    """The lines that a process wrote to stderr, without its progress bars."""
    lines = [line.rpartition("\r")[2].strip() for line in error.splitlines()]
    return [line for line in lines if line and "it/s" not in line]


def wrong_end(done: Ended, moment: str, finished: bool) -> list[str]:
    """What is not right about how a run ended, in words. One that goes on may be at its end before the moment."""
    number = int(float((moment.split(":") + ["", ""])[2] or signal.SIGKILL))
    if finished and done.code == 0:
        return []
    if number == signal.SIGKILL:
        return [] if done.code == -signal.SIGKILL else [f"not killed: {done}"]
    name, code = SIGNALS[signal.Signals(number)]
    lines = said(done.error)
    right = done.code == code and len(lines) == 1 and lines[0].startswith(f"stopped by {name}")
    return [] if right else [f"not as {name} should end it: {done}"]
