"""output/<run>/ on disk: never overwritten, whole after a kill at any moment, ready for --resume.

config.json          the options, what was found at the start (palette, colours, versions), and what a --resume changed
status.json          running, finished, stopped or failed (and why); its process id, to see whether it still runs
training_log.txt     one line an epoch, key=value
checkpoints/         last.pt and best.pt, each the full state
train_results/, val_results/   epoch_NNNN.png: input | prediction | truth, always of the same pictures;
                     in val_results also the newest prediction of each, named like its source
events.out.tfevents.*  TensorBoard
.lock                held by the process that writes the folder (run_lock.py)
"""

import contextlib
import json
import os
import re
import shutil
import socket
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import torch
import torch.nn.functional as F
from torch import Tensor

from common import signals, torchvision_ops  # noqa: F401  (torchvision_ops before torchvision)
from common.commandline import UserError, write_atomically
from training import run_lock

from torchvision.utils import make_grid  # isort: skip
from torchvision.transforms.functional import to_pil_image  # isort: skip


# What only a run has. A folder without them may hold anything else.
MARKS = ("config.json", "training_log.txt", "checkpoints/last.pt", "checkpoints/best.pt")
FILES = (*MARKS, "status.json", "tracker.json", run_lock.NAME)
# What a kill leaves of ``write_atomically``.
UNFINISHED = re.compile(r"\..+\.\d+\.tmp")
FOLDERS = ("checkpoints", "train_results", "val_results")


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path):
        self.path = path
        self.last, self.best = (path / "checkpoints" / name for name in ("last.pt", "best.pt"))
        self.held: IO[str] | None = None  # the lock, in the process that writes

    def start(self) -> None:
        """Make sure that a run can be written here and nothing would be overwritten; writes nothing.

        Raises:
            UserError: if the folder holds a run, or cannot be made or written.
        """
        check_place(self.path)
        if any((self.path / name).exists() for name in MARKS):
            raise UserError(f"{self.path} holds a run already; choose another --output, or --resume it")

    def begin(self) -> None:
        """Take the folder for a new run: lock it, look again, and clear away what a killed start left.

        Raises:
            UserError: as ``start``, or if another process is at work in the folder.
        """
        self.held = self.held or run_lock.lock(self.path)
        self.start()
        self.tidy()

    def take_up(self) -> None:
        """Take the folder to go on with its run: lock it and clear away what a kill left.

        Raises:
            UserError: if there is no run, or another process is at work in the folder.
        """
        check_place(self.path)
        if not any((self.path / name).exists() for name in (*MARKS, run_lock.NAME)):
            raise UserError(f"{self.path} holds no run to resume; leave --resume out to start it")
        self.held = run_lock.lock(self.path)
        self.tidy()

    def tidy(self) -> None:
        """Remove the unfinished files that a kill left."""
        for left in (file for part in (".", *FOLDERS) for file in (self.path / part).glob(".*.tmp")):
            if UNFINISHED.fullmatch(left.name):
                left.unlink(missing_ok=True)

    def load(self) -> dict | None:
        """The last checkpoint, or None for a run that was stopped before its first.

        Raises:
            UserError: if it is damaged.
        """
        if not self.last.exists():
            return None
        try:
            saved = torch.load(self.last, map_location="cpu", weights_only=True)
            _ = saved["settings"], saved["options"], saved["epoch"], saved["log"]
        except Exception as error:  # a truncated or foreign file fails in many ways
            raise UserError(
                f"{self.last} is no checkpoint of this program; try a copy of {self.best}"
            ) from error
        return saved

    def config(self) -> dict:
        """What config.json holds; {} where there is none that can be read."""
        try:
            values = json.loads((self.path / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def save(self, state: dict, better: bool, rows: list[dict]) -> None:
        """Write a checkpoint and the log.

        The order is best, last, log. A run that is killed in between repeats the epoch and writes the same again.
        """
        if better:
            write_atomically(self.best, lambda path: torch.save(state, path))
            write_atomically(self.last, lambda path: shutil.copyfile(self.best, path))
        else:
            write_atomically(self.last, lambda path: torch.save(state, path))
        self.write_log(rows)

    def write_log(self, rows: list[dict[str, float]]) -> None:
        """All lines of training_log.txt; after a resume that cuts it back to the checkpoint."""
        text = "".join(format_row(row) + "\n" for row in rows)
        write_atomically(self.path / "training_log.txt", lambda path: path.write_text(text))

    def write_config(self, config: dict) -> None:
        text = json.dumps(config, indent=2, default=str) + "\n"
        write_atomically(self.path / "config.json", lambda path: path.write_text(text))

    @contextlib.contextmanager
    def status(self) -> Iterator[None]:
        """Keep status.json right while the body runs and after it; ``kill -9`` leaves "running" and a dead process."""
        self._write_status("running")
        try:
            with signals.last_step(lambda name: self._write_status("stopped", name)):
                yield
            self._write_status("finished")
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            with contextlib.suppress(UserError):  # the disk is full: the first error is the one to show
                self._write_status("stopped" if stopped else "failed", "Ctrl-C" if stopped else str(error))
            raise
        finally:
            if self.held:
                self.held.close()
                self.held = None

    def _write_status(self, status: str, reason: str = "") -> None:
        values = {"status": status, "reason": reason, "host": socket.gethostname(), "pid": os.getpid()}
        write_atomically(self.path / "status.json", lambda path: path.write_text(json.dumps(values) + "\n"))

    def save_grid(self, folder: str, epoch: int, rows: list[tuple[Tensor, Tensor, Tensor]]) -> None:
        """One row a sample: input | prediction | truth, each (3, H, W) uint8; smaller samples stand on white."""
        if rows:
            tiles = [tile for row in rows for tile in row]
            height, width = (max(tile.shape[side] for tile in tiles) for side in (1, 2))
            tiles = [F.pad(t, (0, width - t.shape[2], 0, height - t.shape[1]), value=255) for t in tiles]
            grid = make_grid(tiles, nrow=3, padding=4, pad_value=255)
            save_png(self.path / folder / f"epoch_{epoch:04d}.png", grid)


def check_place(path: Path) -> None:
    """Raise UserError where no run folder can be.

    That is a file, a name that is empty, too long or no UTF-8, a folder without permission or on a read-only disk, or
    one where the name of something that a run writes belongs to something else. A run would find that after hours.
    """
    place, shown = path, str(path).encode(errors="replace").decode()
    if any(
        unicodedata.category(letter) in ("Cc", "Cs") for letter in str(path)
    ):  # Cs: bytes that are no UTF-8
        raise UserError(f"--output {shown!r}: the name holds what is no UTF-8 or no letter; choose another")
    try:
        while not place.exists() and place != place.parent:
            if place.is_symlink():
                raise UserError(f"--output {path}: {place} is a link that leads nowhere; choose another")
            place = place.parent
    except OSError as error:  # the name is too long
        raise UserError(f"--output {shown[:60]}…: {error.strerror}; choose a shorter one") from None
    if not place.is_dir():
        raise UserError(f"--output {path}: {place} is no folder; choose another")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"--output {path}: {place} cannot be written; choose another")
    for name in FOLDERS:
        if os.path.lexists(path / name) and not (path / name).is_dir():
            raise UserError(f"{path / name} is no folder, and a run wants one there; remove it")
    for name in FILES:
        if os.path.lexists(path / name) and not (path / name).is_file():
            raise UserError(f"{path / name} is no file, and a run wants one there; remove it")


def format_row(row: dict[str, float]) -> str:
    """One line of training_log.txt."""
    kinds = {"epoch": "d", "images_per_s": ".1f", "seconds": ".1f"}
    return " ".join(f"{name}={value:{kinds.get(name, '.6f')}}" for name, value in row.items())


def save_png(path: Path, picture: Tensor) -> None:
    """(3, H, W) uint8 as PNG, whole or not at all."""
    write_atomically(path, lambda temporary: to_pil_image(picture).save(temporary, format="PNG"))
