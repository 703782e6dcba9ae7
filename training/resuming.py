"""A new run, or going on with one: which folder, from which checkpoint, and what may have changed since.

A resumed run may differ in the options of ``FREE`` without a word. Those of ``NOTED`` change what is learnt, and
the user may well mean that: the run goes on, and config.json and the log say from which epoch on. Everything else
would make it another experiment.
"""

import dataclasses
import datetime
from dataclasses import dataclass, field
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from common.commandline import UserError
from training.data import Data
from training.options import BATCH_SIZE, TrainOptions
from training.pairs import fingerprint
from training.ranks import on_main
from training.run_folder import RunFolder

FREE = {
    *("output", "resume", "init", "max_minutes", "workers", "val_every", "device", "precision"),
    *("skip_broken", "cache_mb", "pictures", "compile", "patience", "tracker"),
}
# What runs did that were trained before there were these options.
BEFORE = {"zoom": 1.0, "freeze": 0, "jaccard": 0.0}
NOTED = {"epochs", "lr", "encoder_lr", "d_lr", "batch_size", "processes", "dataset"}


@dataclass
class Beginning:
    """How a run begins."""

    folder: RunFolder
    settings: dict  # all that is not free, kept in the checkpoint
    saved: dict | None  # the checkpoint to go on from
    changes: dict[str, tuple] = field(default_factory=dict)  # name -> (before, now), of ``NOTED``

    @property
    def epoch(self) -> int:
        """The epoch that it goes on after; 0 for a new run."""
        return self.saved["epoch"] if self.saved else 0

    def all_changes(self) -> list[dict]:
        """Those of the run's whole life, for config.json, each with the first epoch that it holds for."""
        kept = self.folder.config().get("changes") if self.saved else None
        kept = kept if isinstance(kept, list) else []
        now = {name: list(pair) for name, pair in self.changes.items()}
        return [*kept, {"from_epoch": self.epoch + 1} | now] if now else kept

    def marks(self, epoch: int) -> dict[str, float]:
        """For the log's first row after the changes: ``changed_<name>``, the new value of each that is a number.

        Args:
            epoch: whole epochs before that of the row.
        """
        if epoch != self.epoch:
            return {}
        numbers = {name: now for name, (_, now) in self.changes.items() if not isinstance(now, str)}
        return {f"changed_{name}": float(value) for name, value in numbers.items()}

    def settle(self, options: TrainOptions) -> None:
        """Keep what was decided on for the options that were left open: a resumed run keeps the same."""
        open_ = [name for name, value in self.settings.items() if value is None]
        self.settings |= {name: getattr(options, name) for name in open_}

    def check_data(self, data: Data) -> None:
        """Raise UserError if ``--dataset`` names another place and other data lie there."""
        found = self.folder.config().get("found", {})
        if "dataset" not in self.changes:
            return
        for name, split in (("train", data.train), ("val", data.val)):
            if found.get(f"{name}_fingerprint") not in (None, fingerprint(split.pairs)):
                raise UserError(
                    f"{data.root} holds other {name} pictures than {self.changes['dataset'][0]}, with which "
                    f"{self.folder.path} was trained; start a new run with --init {self.folder.last}"
                )


def begin(options: TrainOptions, script: str, data_name: str, accelerator: Accelerator) -> Beginning:
    """The folder of a new run, or with ``--resume`` of one to go on with.

    Raises:
        UserError: if a run would be overwritten, there is none, another process is at work in it, its checkpoint is
            damaged, or settings differ that make it another experiment.
    """
    if options.output is None:
        now = [f"{datetime.datetime.now():%Y%m%d_%H%M%S}"]  # rank 0's clock names the folder for all
        options.output = f"output/{script}_{data_name}_{broadcast_object_list(now)[0]}"
    if not options.output:
        raise UserError("--output is empty; give a folder, or leave it out")
    folder = RunFolder(Path(options.output))
    every = {"script": script, "processes": accelerator.num_processes} | dataclasses.asdict(options)
    settings = {name: value for name, value in every.items() if name not in FREE}
    on_main(accelerator, folder.take_up if options.resume else folder.start)
    saved = folder.load() if options.resume else None
    if saved is None:
        options.fill_in({"batch_size": BATCH_SIZE})  # the data need it; what else is open waits for them
        return Beginning(folder, settings, None)
    defaults = {each.name: each.default for each in dataclasses.fields(options)}
    decided = {name: value for name, value in saved["settings"].items() if value is not None}
    before = defaults | BEFORE | saved["options"] | decided
    for name, now in settings.items():
        if now is None and before.get(name) is not None:  # left open: as it was
            settings[name] = before[name]
            setattr(options, name, before[name])
    differ = {name: (before.get(name), now) for name, now in settings.items() if before.get(name) != now}
    wrong = [
        f"{name.replace('_', '-')} was {old} and is {now}"
        for name, (old, now) in differ.items()
        if name not in NOTED
    ]
    if wrong:
        raise UserError(
            f"{folder.path} was trained with other settings ({'; '.join(wrong)}); use the same, or start a new run "
            f"with --init {folder.last}"
        )
    return Beginning(folder, settings, saved, differ)
