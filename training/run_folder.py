"""output/<run>/ on disk: never overwritten, whole after a kill at any moment, ready for --resume.

config.json          the options, and what was found at the start (palette, colours, versions)
status.json          running, finished, stopped or failed (and why); its process id, to see whether it still runs
training_log.txt     one line an epoch, key=value
checkpoints/         last.pt and best.pt, each the full state
train_results/, val_results/   epoch_NNNN.png: input | prediction | truth, always of the same pictures;
                     in val_results also the newest prediction of each, named like its source
events.out.tfevents.*  TensorBoard
"""

import contextlib
import datetime
import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor

from common import torchvision_ops  # noqa: F401  (before torchvision)
from common.commandline import UserError, write_atomically
from training.options import TrainOptions

from torchvision.utils import make_grid  # isort: skip
from torchvision.transforms.functional import to_pil_image  # isort: skip


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path):
        self.path = path
        self.last, self.best = (path / "checkpoints" / name for name in ("last.pt", "best.pt"))

    def start(self) -> None:
        """Make sure that nothing would be overwritten.

        Raises:
            UserError: if the folder holds anything.
        """
        if self.path.exists() and any(self.path.iterdir()):
            raise UserError(f"{self.path} holds a run already; choose another --output, or --resume it")

    def resume(self, settings: dict, tidy: bool) -> dict | None:
        """The last checkpoint, or None for a run that was stopped before its first.

        Args:
            settings: what must be as it was.
            tidy: remove the unfinished files that a kill left; in one process only.

        Raises:
            UserError: if there is no run, its checkpoint is damaged, or settings differ; it says which.
        """
        if not (self.path / "config.json").exists():
            raise UserError(f"{self.path} holds no run to resume; leave --resume out to start it")
        if tidy:
            for left in self.path.rglob(".*.tmp"):
                left.unlink()
        if not self.last.exists():
            return None
        try:
            saved = torch.load(self.last, map_location="cpu", weights_only=True)
            before = saved["settings"]
        except Exception as error:  # a truncated or foreign file fails in many ways
            raise UserError(
                f"{self.last} is no checkpoint of this program; try a copy of {self.best}"
            ) from error
        differ = [
            f"{name.replace('_', '-')} was {before.get(name)} and is {value}"
            for name, value in settings.items()
            if before.get(name) != value
        ]
        if differ:
            raise UserError(
                f"{self.path} was trained with other settings ({'; '.join(differ)}); use the same"
            )
        return saved

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
            yield
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            with contextlib.suppress(UserError):  # the disk is full: the first error is the one to show
                self._write_status("stopped" if stopped else "failed", "Ctrl-C" if stopped else str(error))
            raise
        self._write_status("finished")

    def _write_status(self, status: str, reason: str = "") -> None:
        values = {"status": status, "reason": reason, "host": socket.gethostname(), "pid": os.getpid()}
        write_atomically(self.path / "status.json", lambda path: path.write_text(json.dumps(values) + "\n"))

    def save_grid(self, folder: str, epoch: int, rows: list[tuple[Tensor, Tensor, Tensor]]) -> None:
        """One row a sample: input | prediction | truth, each (3, H, W) uint8."""
        if rows:
            grid = make_grid([tile for row in rows for tile in row], nrow=3, padding=4, pad_value=255)
            save_png(self.path / folder / f"epoch_{epoch:04d}.png", grid)


def open_run(
    options: TrainOptions, script: str, data_name: str, accelerator: Accelerator
) -> tuple[RunFolder, dict, dict | None]:
    """The folder of a new run, or with ``--resume`` of one to go on with.

    Returns:
        the folder; the settings that must be the same on a resume; the checkpoint to go on from, or None.

    Raises:
        UserError: as ``RunFolder.start`` and ``RunFolder.resume``.
    """
    if options.output is None:
        now = [f"{datetime.datetime.now():%Y%m%d_%H%M%S}"]  # rank 0's clock names the folder for all
        options.output = f"output/{script}_{data_name}_{broadcast_object_list(now)[0]}"
    folder = RunFolder(Path(options.output))
    settings = {"script": script, "processes": accelerator.num_processes} | options.fixed()
    saved = folder.resume(settings, tidy=accelerator.is_main_process) if options.resume else folder.start()
    accelerator.wait_for_everyone()  # no rank writes before all have looked
    return folder, settings, saved


def format_row(row: dict[str, float]) -> str:
    """One line of training_log.txt."""
    kinds = {"epoch": "d", "images_per_s": ".1f", "seconds": ".1f"}
    return " ".join(f"{name}={value:{kinds.get(name, '.6f')}}" for name, value in row.items())


def save_png(path: Path, picture: Tensor) -> None:
    """(3, H, W) uint8 as PNG, whole or not at all."""
    write_atomically(path, lambda temporary: to_pil_image(picture).save(temporary, format="PNG"))
