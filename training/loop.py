"""The training loop: learning rate, batch, step, average; then validate and save.

A script builds a ``Training``, adds networks of its own (a discriminator), and gives ``fit`` the function for
one step. Everything else that a run needs is made once at the start:

data.py        the pairs of both splits          labels.py       palette and colours of the labels
networks.py    networks, optimisers, average     validation.py   the scores and the pictures
checkpoint.py  the state that is saved           run_folder.py   what a run leaves on disk
resuming.py    a new run, or going on with one   tracking.py     TensorBoard and other trackers
"""

import contextlib
import dataclasses
import math
import random
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor
from tqdm import tqdm

from common import signals
from FCN_network2 import GeneratorParams
from losses import jaccard_loss, l1_loss, laplace_mixture_loss, mean_distance
from pix2pix_dataset import to_bytes, to_unit
from training import checkpoint, report, resuming
from training.checkpoint import Progress
from training.data import Batch, load_data
from training.labels import read_labels
from training.means import Means, check_finite, since_best
from training.networks import Networks, rate
from training.options import TrainOptions
from training.pairs import resolve
from training.ranks import make_accelerator, on_main, resources, together
from training.run_folder import format_row
from training.tracking import Tracking, check_tracker
from training.validation import Validation

Step = Callable[[Batch], dict[str, Tensor]]


class Training:
    """One run. Made the same in every process; only the main one writes."""

    def __init__(self, options: TrainOptions, script: str):
        """
        Args:
            script: the script's name without ending, as it is logged.

        Raises:
            UserError: for options, data or a run folder that do not do.
        """
        with together(self):
            self._prepare(options, script)

    def _prepare(self, options: TrainOptions, script: str) -> None:
        options.check()
        check_tracker(options.tracker)
        self.options = options
        self.accelerator = make_accelerator(options.device, options.precision)
        root = resolve(options.dataset)
        self.main = self.accelerator.is_main_process
        torch.manual_seed(options.seed)
        random.seed(options.seed)
        np.random.seed(options.seed)
        self.beginning = resuming.begin(options, script, root.name, self.accelerator)
        self.folder, saved = self.beginning.folder, self.beginning.saved
        # both are put into the networks by fit, when the script has added its own
        self.saved = saved
        self.init = checkpoint.load_init(Path(options.init)) if options.init and saved is None else None

        self.data = load_data(root, options, self.accelerator, saved)
        self.beginning.check_data(self.data)
        options.settle(self.data.survey.kind == "picture")
        self.beginning.settle(options)
        self.labels = read_labels(
            *(self.data.label_sample, self.data.survey, self.data.palette),
            options.head,
            options.balance,
            self.accelerator.device,
            saved["generator"]["colours"] if saved else None,
        )
        params = GeneratorParams(self.labels.colours, options.width, options.zoom)
        self.networks = Networks(self.accelerator, options, params, new=saved is None and self.init is None)
        self.validate = Validation(
            self.accelerator, self.folder, self.data, self.labels.palette, options.pictures
        )
        self.progress = Progress()
        on_main(self.accelerator, lambda: self._announce(script))

    def _announce(self, script: str) -> None:
        """Take the folder, say what was found, and write config.json."""
        found = report.describe(
            script, self.data, self.labels, self.networks, self.accelerator, self.options.pictures
        )
        if self.saved is None and not self.options.resume:
            self.folder.begin()
        report.show(found, self.data, str(self.folder.path))
        config = {"options": dataclasses.asdict(self.options), "found": found}
        self.folder.write_config(config | {"changes": self.beginning.all_changes()})

    # ---------------------------------------------------------------- the loop

    def fit(self, step: Step, newest_is_best: bool = False) -> None:
        """Train until the epochs or the time are over.

        Args:
            step: updates the networks and returns its losses by name, each a scalar without gradient.
            newest_is_best: best.pt is of the last validation, whatever its scores.

        Raises:
            UserError: if a loss is not finite, the GPU's memory is full, or a file cannot be written or read.
        """
        self.newest_is_best = newest_is_best
        signals.advice = f"; go on with --output {self.folder.path} --resume"
        with self.folder.status() if self.main else contextlib.nullcontext(), together(self):
            if self.saved is not None:
                self._resume(self.saved)
            elif self.init is not None:
                self._take_over(self.init)
            tracking: list[Tracking] = []
            with contextlib.ExitStack() as closed:
                on_main(self.accelerator, lambda: tracking.append(closed.enter_context(self._tracking())))
                try:
                    if not self._finished():
                        self._train(step, tracking[0] if self.main else None)
                except RuntimeError as error:
                    raise resources(error, self.accelerator.device) from None
            self.accelerator.wait_for_everyone()  # no rank leaves while another needs it

    def _train(self, step: Step, tracking: Tracking | None) -> None:
        options, data, networks, progress = self.options, self.data, self.networks, self.progress
        began = time.monotonic() - progress.elapsed
        while not self._over():
            data.train_loader.sampler.epoch = progress.epoch
            networks.train()
            means, epoch_began = Means(), time.monotonic()
            progress.step_of_epoch = 0
            with self._bar() as bar:
                for pairs in bar:
                    progress.elapsed = time.monotonic() - began
                    progress.fraction = self._fraction_done()
                    if progress.fraction >= 1:
                        break
                    # learning rate
                    networks.set_rates(rate(progress.fraction, options.schedule, options.warmup))
                    # batch
                    batch = self.to_batch(pairs)
                    # step
                    losses = step(batch)
                    # average
                    networks.average(progress.step)

                    progress.step += 1
                    progress.step_of_epoch += 1
                    means.add(losses)
                    self._show(bar, means, time.monotonic() - epoch_began)
            seconds = time.monotonic() - epoch_began
            if progress.step_of_epoch == 0:  # the time ran out between two epochs
                self._validate_last(tracking)
                break
            row = {f"train_{name}": value for name, value in self._over_ranks(means).items()}
            row |= self.beginning.marks(progress.epoch)
            progress.epoch += 1

            # validate
            scores: dict[str, float] = {}
            last = progress.epoch >= options.epochs or progress.fraction >= 1
            if last or progress.epoch % options.val_every == 0:
                scores = self.validate(progress.epoch, self.predict)
                row |= {f"val_{name}": value for name, value in scores.items()}

            # save
            row["images_per_s"] = progress.step_of_epoch * self._pictures_a_step() / seconds
            row["seconds"] = time.monotonic() - epoch_began
            progress.elapsed = time.monotonic() - began
            self._save(row, scores, tracking)

    # ---------------------------------------------------------------- what a step needs

    def to_batch(self, pairs: dict[str, Tensor]) -> Batch:
        """What the loader gives, on the run's device, with the weight and the colour of every pixel."""
        device = self.accelerator.device
        photo, label = (pairs[name].to(device, non_blocking=True) for name in ("photo", "label"))
        weight, colour = self.labels.look_up(label)
        counted = None
        if weight is not None and self.labels.palette and self.labels.palette.ignores:
            counted = (weight > 0).float()
            counted = counted / counted.mean().clamp(min=1e-9)
        return Batch(to_unit(photo), to_unit(label), weight, colour, counted)

    def reconstruction(self, fake: Tensor, choice: Tensor | None, batch: Batch) -> Tensor:
        """The L1 loss: on the picture, or as a likelihood where the generator chooses between colours.

        Args:
            fake: (N, 3, H, W) on [-1, 1].
            choice: the generator's log-probabilities (N, H/2, W/2, 4, K), or None with an RGB head.
        """
        if choice is None:
            return l1_loss(fake, batch.label, batch.weight)
        colours = self.networks.ema.colours
        loss = laplace_mixture_loss(choice, colours, batch.label, batch.weight)
        if self.options.jaccard:
            loss = loss + self.options.jaccard * mean_distance(colours) * jaccard_loss(choice, batch.colour)
        return loss

    @torch.no_grad()
    def predict(self, photo: Tensor) -> Tensor:
        """The averaged generator's pictures, (N, 3, H, W) uint8, for photos uint8 on any device."""
        with self.networks.autocast():
            return to_bytes(self.networks.ema(to_unit(photo.to(self.accelerator.device))))

    # ---------------------------------------------------------------- parts of the loop

    def _resume(self, saved: dict) -> None:
        """Restore a checkpoint, and cut the log back to it."""
        self.progress = checkpoint.restore(saved, self.networks)
        if self.main:
            self.folder.write_log(self.progress.log)
            print(f"going on after epoch {self.progress.epoch}")
            for name, (before, now) in self.beginning.changes.items():
                flag = name.replace("_", "-")
                print(f"from epoch {self.progress.epoch + 1} on: --{flag} {now}, not {before}")

    def _take_over(self, init: dict) -> None:
        """Start from the weights of another run, and say which do not fit."""
        taken, left = checkpoint.take_over(init, self.networks, self.labels.palette)
        if self.main:
            rest = f"; not taken: {', '.join(left[:8])}{' …' if len(left) > 8 else ''}" if left else ""
            print(f"{taken} tensors taken from {self.options.init}{rest}")

    def _tracking(self) -> Tracking:
        options = dataclasses.asdict(self.options)
        return Tracking(self.folder, self.options.tracker, options, self.progress.log, self._rate())

    def _rate(self) -> float:
        """The decoder's learning rate at the last step."""
        return self.networks.optimisers["generator"].param_groups[-1]["lr"]

    def _over(self) -> bool:
        """Whether the epochs are done, the time is, or nothing gets better any more."""
        progress, options = self.progress, self.options
        stale = since_best(progress.log)
        if options.patience and stale >= options.patience:
            if self.main:
                print(f"stopped early: the last {stale} validations were no better (--patience)")
            return True
        return progress.epoch >= options.epochs or progress.fraction >= 1

    def _finished(self) -> bool:
        """Whether the run was over already; then it says so."""
        epoch, elapsed, limit = self.progress.epoch, self.progress.elapsed, self.options.max_minutes * 60
        over = self._over() or (limit and elapsed >= limit)
        if over and self.main:
            print(f"{self.folder.path} is finished: {epoch} epochs, {elapsed / 60:.1f} minutes")
        return bool(over)

    def _fraction_done(self) -> float:
        """Fraction of the training that is done, the same on every rank."""
        epochs = self.progress.epoch + self.progress.step_of_epoch / len(self.data.train_loader)
        fraction = epochs / self.options.epochs
        if self.options.max_minutes:
            fraction = max(fraction, self.progress.elapsed / (self.options.max_minutes * 60))
            if self.accelerator.num_processes > 1:
                fraction = broadcast_object_list([fraction])[0]
        return fraction

    def _pictures_a_step(self) -> int:
        """On all ranks together."""
        return self.options.batch_size * self.accelerator.num_processes

    def _bar(self) -> tqdm:
        return tqdm(
            self.data.train_loader,
            desc=f"epoch {self.progress.epoch + 1}",
            disable=not self.main,
            leave=False,
            file=sys.stderr,
        )

    def _show(self, bar: tqdm, means: Means, seconds: float) -> None:
        """The mean losses of the epoch so far. Reading a value waits for a GPU, so only now and then there."""
        steps = self.progress.step_of_epoch
        if steps % 10 and self.accelerator.device.type != "cpu":
            return
        values = means.values()
        check_finite(values, self.progress, self.folder)
        speed = steps * self._pictures_a_step() / seconds
        bar.set_postfix({**{k: f"{v:.4f}" for k, v in values.items()}, "images/s": f"{speed:.1f}"})

    def _over_ranks(self, means: Means) -> dict[str, float]:
        """The mean losses of the epoch over all ranks."""
        values = means.values()
        check_finite(values, self.progress, self.folder)
        every = gather_object([values])
        return {name: sum(one[name] for one in every) / len(every) for name in values}

    # ---------------------------------------------------------------- after an epoch

    def _save(self, row: dict[str, float], scores: dict[str, float], tracking: Tracking | None) -> None:
        """Write the checkpoints first, then the log: wherever a kill falls, ``--resume`` can repair the log.

        Args:
            row: what the log says of this epoch.
            scores: of the validation; empty where there was none.
            tracking: on the main rank.
        """
        progress = self.progress
        progress.log.append({"epoch": progress.epoch} | row)
        better = False
        if scores:
            value = scores.get("miou", -scores["l1"])
            better = value > progress.best or self.newest_is_best
            progress.best = value if better else progress.best
        on_main(self.accelerator, lambda: self._write(better, tracking))

    def _write(self, better: bool, tracking: Tracking) -> None:
        """Checkpoints, log and trackers; the main rank does it."""
        progress = self.progress
        if not all(p.isfinite().all() for p in self.networks.ema.parameters()):
            progress.epoch -= 1  # it is not saved
            check_finite({"weights": math.nan}, progress, self.folder)
        settings = self.beginning.settings
        state = checkpoint.collect(
            settings, self.options, self.data.input, self.labels, self.networks, progress
        )
        self.folder.save(state, better, progress.log)
        line = format_row(progress.log[-1])
        print(line if len(line) < 200 else line[: line.find(" val_iou_")])
        tracking.epoch(progress.log[-1], self._rate())

    def _validate_last(self, tracking: Tracking | None) -> None:
        """Validate the last whole epoch if that was left out, and save it again."""
        log = self.progress.log
        if log and "val_l1" not in log[-1]:
            scores = self.validate(self.progress.epoch, self.predict)
            row = log.pop() | {f"val_{name}": value for name, value in scores.items()}
            self._save(row, scores, tracking)


def quiet_libraries() -> None:
    """Turn off warnings that say nothing to a user of these scripts."""
    warnings.filterwarnings("ignore", message=".*lr_scheduler.*")
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
