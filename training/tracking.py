"""Where the numbers and pictures of a run go beside its own files: TensorBoard, and if asked wandb or mlflow.

The run folder is the truth. An epoch's point is written after its checkpoint, so a kill in between would lose it;
``Tracking`` writes the checkpoint's last epoch again at the start, and TensorBoard forgets what it had from there on.
"""

import contextlib
import importlib.util
import json
import threading
from collections.abc import Iterator

import numpy as np
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from common.commandline import UserError, write_atomically
from training.run_folder import RunFolder

TRACKERS = ("none", "wandb", "mlflow")
PROJECT = "play-with-gans"  # wandb's project, mlflow's experiment


def check_tracker(name: str) -> None:
    """Raise UserError for a tracker whose package is missing."""
    if name != "none" and importlib.util.find_spec(name) is None:
        raise UserError(f"--tracker {name}: the package is not installed; run `python -m pip install {name}`")


class Tracking:
    """The writers of one run, in its main process. Use as a context: it closes them."""

    def __init__(
        self, folder: RunFolder, tracker: str, options: dict, log: list[dict[str, float]], lr: float
    ):
        """
        Args:
            tracker: one of ``TRACKERS``.
            options: those of the run, for the tracker's own page.
            log: rows of the epochs so far; the last is written again.
            lr: the learning rate of that epoch.

        Raises:
            UserError: if a file cannot be written, or the tracker cannot be reached.
        """
        self.folder, self.tracker = folder, None
        self.before, threading.excepthook = threading.excepthook, self._of_a_thread
        with self._one_line():
            self.writer = SummaryWriter(str(folder.path), purge_step=int(log[-1]["epoch"]) if log else None)
        if tracker != "none":
            self.tracker = start_tracker(folder, tracker, options)
        if log:
            self.epoch(log[-1], lr)

    def epoch(self, row: dict[str, float], lr: float) -> None:
        """Write the numbers of an epoch, and its pictures if it was validated.

        Raises:
            UserError: if the file cannot be written; the epoch's checkpoint is safe then.
        """
        number = int(row["epoch"])
        values = {name.replace("_", "/", 1): value for name, value in row.items() if name != "epoch"} | {
            "lr": lr
        }
        with self._one_line():
            for name, value in values.items():
                self.writer.add_scalar(name, value, number)
            for split, picture in self._pictures(number).items():
                self.writer.add_image(split, picture, number, dataformats="HWC")
            self.writer.flush()
        if self.tracker is not None:
            self.tracker.log(values, step=number)
            for split, picture in self._pictures(number).items():
                self.tracker.log_images({split: [picture]}, step=number)

    def _pictures(self, epoch: int) -> dict[str, np.ndarray]:
        """{"val": (H, W, 3) uint8, "train": …} of the epoch's validation; {} where there was none."""
        found = {}
        for split in ("val", "train"):
            with contextlib.suppress(OSError):
                path = self.folder.path / f"{split}_results" / f"epoch_{epoch:04d}.png"
                found[split] = np.asarray(Image.open(path).convert("RGB"))
        return found

    @contextlib.contextmanager
    def _one_line(self) -> Iterator[None]:
        """TensorBoard writes in a thread, whose error comes with the next call."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"TensorBoard's file in {self.folder.path} could not be written ({error.strerror or error}); free some "
                "space and go on with --resume"
            ) from error

    def _of_a_thread(self, failed: threading.ExceptHookArgs) -> None:
        """Leave it to ``_one_line`` to say that TensorBoard's thread could not write."""
        if not issubclass(failed.exc_type, OSError):
            self.before(failed)

    def __enter__(self) -> "Tracking":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # a full disk has been reported
            self.writer.close()
        threading.excepthook = self.before
        if self.tracker is not None:
            self.tracker.finish()


def start_tracker(folder: RunFolder, name: str, options: dict) -> GeneralTracker:
    """accelerate's tracker, started. A resumed run goes on under the number that tracker.json remembers.

    Raises:
        UserError: if it cannot be started: no login, no connection.
    """
    remembered = folder.path / "tracker.json"
    try:
        number = json.loads(remembered.read_text(encoding="utf-8")).get(name)
    except (OSError, ValueError):
        number = None
    if name == "wandb":
        more = {"name": folder.path.name, "dir": str(folder.path), "id": number, "resume": "allow"}
    else:
        more = {"run_name": folder.path.name, "run_id": number}
    try:
        tracker = LOGGER_TYPE_TO_CLASS[name](PROJECT, **more)
        tracker.start()
        if number is None:  # mlflow refuses a parameter that changes
            tracker.store_init_configuration(options)
    except Exception as error:  # each package has kinds of its own
        advice = "log in, or set WANDB_MODE=offline" if name == "wandb" else "look at MLFLOW_TRACKING_URI"
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise UserError(f"--tracker {name} could not be started ({reason}); {advice}") from error
    found = tracker.tracker.id if name == "wandb" else tracker.tracker.info.run_id
    write_atomically(remembered, lambda path: path.write_text(json.dumps({name: found}) + "\n"))
    return tracker
