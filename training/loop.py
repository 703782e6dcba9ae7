"""What both training scripts share: run folder, data, loop, validation, checkpoints, resume, devices.

A script builds a ``Training``, adds what is its own (a discriminator), and hands ``fit`` the function that
takes one step. What a run leaves behind is described in run_folder.py.
"""

import contextlib
import copy
import dataclasses
import datetime
import math
import os
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from common.commandline import UserError
from FCN_network2 import ENCODER_WEIGHTS, Generator, GeneratorParams
from losses import l1_loss, laplace_mixture_loss
from pix2pix_dataset import Augment, EpochSampler, PairDataset, fingerprint, resolve, to_bytes, to_unit
from training.label_colours import colour_cells, colour_weights, label_colours, nearest_of_cells
from training.metrics import VOID_DISTANCE, palette_by_name, truth_classes
from training.options import FREE_ON_RESUME, TrainOptions
from training.ranks import make_accelerator
from training.run_folder import RunFolder, format_row
from training.validation import Validation, evenly


def rate(progress: float, schedule: str, warmup: float) -> float:
    """Factor on the learning rates after the fraction ``progress`` of the training: up, then down to 0."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    rest = min((progress - warmup) / max(1 - warmup, 1e-9), 1.0)
    return 1 - rest if schedule == "linear" else (1 + math.cos(math.pi * rest)) / 2


class Batch(NamedTuple):
    """What a training step gets, on the run's device."""

    photo: Tensor  # (N, 3, H, W) on [-1, 1]
    label: Tensor  # (N, 3, H, W) on [-1, 1]
    weight: Tensor | None  # (N, 1, H, W), how much a pixel counts in the L1 loss; None: all alike
    colour: (
        Tensor | None
    )  # (N, H, W), which of the generator's colours, -1: void or none; None with an RGB head


class Training:
    """Everything one run holds. Made the same on every rank; only rank 0 writes."""

    def __init__(self, options: TrainOptions, script: str):
        options.check()
        self.options, self.script = options, script
        root = resolve(options.dataset)
        self.accelerator = make_accelerator(options.device, options.precision)
        self.device, self.main = self.accelerator.device, self.accelerator.is_main_process
        torch.manual_seed(options.seed)
        random.seed(options.seed)
        np.random.seed(options.seed)

        if options.resume and options.output is None:
            raise UserError("--resume needs --output, the folder of the run to go on with")
        if options.output is None:
            stamp = [f"{datetime.datetime.now():%Y%m%d_%H%M%S}"]  # rank 0's clock names the folder for all
            options.output = f"output/{script}_{root.name}_{broadcast_object_list(stamp)[0]}"
        self.folder = RunFolder(Path(options.output))
        settings = {"script": script, "processes": self.accelerator.num_processes} | {
            name: value for name, value in dataclasses.asdict(options).items() if name not in FREE_ON_RESUME
        }
        self.settings = settings
        self.batch = options.batch_size * self.accelerator.num_processes  # pictures a step on all ranks
        saved = self.folder.resume(settings, tidy=self.main) if options.resume else self.folder.start()
        self.accelerator.wait_for_everyone()  # no rank writes before all have looked

        self._load_data(root)
        palette = saved["palette"] if saved else options.palette
        sample = self._label_sample()
        self.palette = palette_by_name(palette, sample)
        colours = saved["generator"]["colours"] if saved else self._choose_colours(sample)
        self.validate = Validation(
            self.accelerator, self.folder, self.val_loader, self.train_set, self.palette, options.pictures
        )
        self.params = GeneratorParams(tuple(tuple(c) for c in colours), options.width)
        # tables over colour_cells: weight in the L1 loss, and which of the generator's colours
        self.weights = self.nearest = None
        if colours:
            wanted, void = torch.tensor(colours), len(self.palette.void) if self.palette else 0
            self.weights = colour_weights(sample, wanted, options.balance, void).to(self.device)
            nearest, distance = nearest_of_cells(wanted)
            none = (distance > VOID_DISTANCE) | (nearest >= len(colours) - void)
            self.nearest = nearest.masked_fill(none, -1).to(self.device)
        fresh = options.encoder == "imagenet" and saved is None
        network = Generator(self.params, ENCODER_WEIGHTS if fresh else None)
        network = network.to(self.device, memory_format=torch.channels_last)
        self.ema = copy.deepcopy(network).eval().requires_grad_(False)
        groups = [
            {"params": network.encoder_parameters(), "lr": options.lr * options.encoder_lr},
            {"params": network.decoder_parameters(), "lr": options.lr},
        ]
        optimiser = torch.optim.AdamW(groups, weight_decay=options.weight_decay)
        self.modules: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.rates: dict[str, list[float]] = {}
        self.epoch = self.step_count = 0
        self.steps = 0  # of this epoch
        self.elapsed, self.progress = 0.0, 0.0  # seconds so far, fraction of the training that is done
        self.best_value, self.rows = -math.inf, []
        self.add("generator", network, optimiser)
        self._saved = saved
        self._report(root, sample)

    # ---------------------------------------------------------------- setting up

    def add(self, name: str, module: nn.Module, optimiser: torch.optim.Optimizer) -> nn.Module:
        """Put a network and its optimiser under the run's care: device, ranks, schedule, checkpoint."""
        self.rates[name] = [group["lr"] for group in optimiser.param_groups]
        module = module.to(self.device, memory_format=torch.channels_last)
        compiled = self.options.compile == "on" or (
            self.options.compile == "auto" and self.device.type == "cuda"
        )
        if compiled and name == "generator":
            torch._dynamo.config.suppress_errors = True  # a graph that does not compile runs as it is
            module = torch.compile(module)
        self.modules[name], self.optimisers[name] = self.accelerator.prepare(module, optimiser)
        return self.modules[name]

    def bare(self, name: str) -> nn.Module:
        """The network itself, without the wrappers of ranks and compiler."""
        module = self.accelerator.unwrap_model(self.modules[name])
        return getattr(module, "_orig_mod", module)

    def _load_data(self, root: Path) -> None:
        options, ranks, rank = self.options, self.accelerator.num_processes, self.accelerator.process_index
        common = {
            "size": options.image_size,
            "direction": options.direction,
            "skip_broken": options.skip_broken,
            "cache_mb": options.cache_mb,
            "quiet": not self.main,
        }
        augment = Augment(options.image_size, options.crop, options.jitter)
        self.train_set = PairDataset(root, "train", augment=augment, seed=options.seed, **common)
        # some pix2pix sets have no val
        split = "test" if any((root / s).is_dir() for s in ("test", "A/test")) else "val"
        split = "val" if any((root / s).is_dir() for s in ("val", "A/val")) else split
        self.val_set = PairDataset(root, split, **common)
        workers = options.workers if options.workers >= 0 else min(8, (os.cpu_count() or 2) // 2)
        loader = {
            "batch_size": options.batch_size,
            "num_workers": workers,
            "pin_memory": self.device.type == "cuda",
        }
        self.sampler = EpochSampler(
            len(self.train_set), options.batch_size, shuffle=True, seed=options.seed, rank=rank, ranks=ranks
        )
        self.train_loader = DataLoader(
            self.train_set, sampler=self.sampler, persistent_workers=workers > 0, **loader
        )
        share = EpochSampler(len(self.val_set), options.batch_size, shuffle=False, rank=rank, ranks=ranks)
        self.val_loader = DataLoader(self.val_set, sampler=share, **(loader | {"num_workers": 0}))

    def _label_sample(self, most: int = 64) -> Tensor:
        """Up to ``most`` training labels without augmentation, evenly over the split: (N, 3, S, S) uint8."""
        plain = copy.copy(self.train_set)
        plain.augment = None
        return torch.stack([plain[i]["label"] for i in evenly(plain, most)])

    def _choose_colours(self, sample: Tensor) -> list:
        """The colours of the "colours" head: the palette's, else those found in the labels, else none."""
        if self.options.head == "rgb":
            return []
        colours = self.palette.colours.tolist() if self.palette else label_colours(sample)
        if not colours and self.options.head == "colours":
            raise UserError(
                "--head colours: these labels are not painted in a few flat colours; use --head rgb"
            )
        return colours

    def _report(self, root: Path, sample: Tensor) -> None:
        """Say what was found, and write config.json."""
        if not self.main:
            return
        found: dict = {
            "script": self.script,
            "train_pairs": len(self.train_set),
            "val_pairs": len(self.val_set),
            "train_fingerprint": fingerprint(self.train_set.pairs),
            "val_fingerprint": fingerprint(self.val_set.pairs),
            "val_samples": [self.val_set.pairs[i].name for i in evenly(self.val_set, self.options.pictures)],
            "broken": self.train_set.broken + self.val_set.broken,
            "palette": self.palette.name if self.palette else None,
            "colours": self.params.colours,
            "void": self.palette.void if self.palette else (),
            "device": str(self.device),
            "processes": self.accelerator.num_processes,
            "precision": self.accelerator.mixed_precision,
            "torch": torch.__version__,
            "generator_parameters": sum(p.numel() for p in self.ema.parameters()),
        }
        print(f"{root}: {len(self.train_set)} training and {len(self.val_set)} validation pairs")
        for text in found["broken"]:
            print(f"left out: {text}")
        if self.palette:
            outside = truth_classes(sample, self.palette)[1].float().mean().item()
            found["outside_palette"] = outside
            print(
                f"palette {self.palette.name}: {outside:.2%} of the pixels of {len(sample)} sampled training "
                "labels have colours outside it; in validation such pixels are void"
            )
        else:
            print("no palette fits these labels: L1 is the only measure (see --palette)")
        print(
            f"run folder {self.folder.path}, on {self.device}, {self.accelerator.mixed_precision} precision"
        )
        self.folder.write_config({"options": dataclasses.asdict(self.options), "found": found})

    # ---------------------------------------------------------------- one step

    def update(self, name: str, loss: Tensor) -> None:
        """Backward, clip the generator's gradient, one step of this network's optimiser."""
        self.accelerator.backward(loss)
        if name == "generator" and self.options.clip:
            self.accelerator.clip_grad_norm_(self.modules[name].parameters(), self.options.clip)
        self.optimisers[name].step()
        self.optimisers[name].zero_grad(set_to_none=True)

    def reconstruction(self, fake: Tensor, choice: Tensor | None, batch: Batch) -> Tensor:
        """The L1 loss: on the picture, or as a likelihood where the generator chooses between colours.

        Args:
            fake: (N, 3, H, W) on [-1, 1].
            choice: the generator's log-probabilities, or None with an RGB head.
        """
        if choice is None:
            return l1_loss(fake, batch.label, batch.weight)
        return laplace_mixture_loss(choice, self.ema.colours, batch.label, batch.weight)

    def _batch(self, batch: dict[str, Tensor]) -> Batch:
        photo, label = (batch[name].to(self.device, non_blocking=True) for name in ("photo", "label"))
        weight = colour = None
        if self.nearest is not None:
            cells = colour_cells(label)
            weight, colour = self.weights[cells].unsqueeze(1), self.nearest[cells]
        return Batch(to_unit(photo), to_unit(label), weight, colour)

    @torch.no_grad()
    def _average(self) -> None:
        # early on the average follows closely: (1 + n) / (10 + n), as TensorFlow's ExponentialMovingAverage
        decay = (
            min(self.options.ema, (1 + self.step_count) / (10 + self.step_count)) if self.options.ema else 0.0
        )
        new = [p.detach() for p in self.bare("generator").parameters()]
        torch._foreach_lerp_(list(self.ema.parameters()), new, 1 - decay)

    # ---------------------------------------------------------------- the loop

    def fit(self, step: Callable[[Batch], dict[str, Tensor]]) -> None:
        """Train until the epochs or the time are over.

        Args:
            step: updates the networks and returns its losses by name, each a scalar without gradient.

        Raises:
            UserError: if a loss is not finite, the GPU's memory is full, or a file cannot be written or read.
        """
        with self.folder.status() if self.main else contextlib.nullcontext():
            try:
                self._train(step)
            except torch.OutOfMemoryError:
                size = f"--batch-size {self.options.batch_size} and --image-size {self.options.image_size}"
                raise UserError(
                    f"the memory of {self.device} is too small for {size}; lower one of them, or end other "
                    "programs that use this GPU"
                ) from None

    def _train(self, step: Callable[[Batch], dict[str, Tensor]]) -> None:
        options = self.options
        if self._saved is not None:
            self._restore(self._saved)
        if self.epoch >= options.epochs or (options.max_minutes and self.elapsed >= options.max_minutes * 60):
            if self.main:
                print(f"{self.folder.path} is finished: {self.epoch} epochs, {self.elapsed / 60:.1f} minutes")
            return
        writer = SummaryWriter(str(self.folder.path), purge_step=self.epoch + 1) if self.main else None
        total = options.epochs * len(self.train_loader)
        started = time.monotonic() - self.elapsed
        while self.epoch < options.epochs and self.progress < 1:
            self.sampler.epoch = self.epoch
            sums: dict[str, Tensor] = {}
            counts: Counter[str] = Counter()  # a loss need not come with every step
            self.steps, begun = 0, time.monotonic()
            bar = tqdm(
                self.train_loader,
                desc=f"epoch {self.epoch + 1}",
                disable=not self.main,
                leave=False,
                file=sys.stderr,
            )
            for module in self.modules.values():
                module.train()
            # lr -> data -> step -> average -> show; then validate, save, log
            for batch in bar:
                self.elapsed = time.monotonic() - started
                self.progress = self._progress(total)
                if self.progress >= 1:
                    break
                self._set_rates(self.progress)
                losses = step(self._batch(batch))
                self._average()
                self.step_count += 1
                self.steps += 1
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0) + value.detach()
                    counts[name] += 1
                if self.steps % 10 == 0 or self.device.type == "cpu":  # reading a value waits for a GPU
                    means = {name: (value / counts[name]).item() for name, value in sums.items()}
                    self._check_finite(means, self.steps)
                    speed = self.steps * self.batch / (time.monotonic() - begun)
                    bar.set_postfix({**{k: f"{v:.4f}" for k, v in means.items()}, "images/s": f"{speed:.1f}"})
            bar.close()
            seconds = time.monotonic() - begun
            if self.steps == 0:  # the time ran out between two epochs
                if self.rows and "val_l1" not in self.rows[-1]:
                    values = self.validate(self.epoch, self.predict)
                    row = self.rows.pop() | {f"val_{name}": value for name, value in values.items()}
                    self._finish_epoch(row, values, writer)
                break
            self.epoch += 1
            means = {name: (value / counts[name]).item() for name, value in sums.items()}
            self._check_finite(means, self.steps)
            last = self.epoch >= options.epochs or self.progress >= 1
            row: dict[str, float] = {
                f"train_{name}": value for name, value in self._mean_over_ranks(means).items()
            }
            values = {}
            if last or self.epoch % options.val_every == 0:
                values = self.validate(self.epoch, self.predict)
                row |= {f"val_{name}": value for name, value in values.items()}
            row |= {"images_per_s": self.steps * self.batch / seconds, "seconds": time.monotonic() - begun}
            self.elapsed = time.monotonic() - started
            self._finish_epoch(row, values, writer)
            self.accelerator.wait_for_everyone()
        if writer:
            writer.close()
        self.accelerator.end_training()

    def _progress(self, total: int) -> float:
        """Fraction of the training that is done, the same on every rank."""
        progress = self.step_count / total
        if self.options.max_minutes:
            progress = max(progress, self.elapsed / (self.options.max_minutes * 60))
            if self.accelerator.num_processes > 1:
                progress = broadcast_object_list([progress])[0]
        return progress

    def _set_rates(self, progress: float) -> None:
        factor = rate(progress, self.options.schedule, self.options.warmup)
        for name, optimiser in self.optimisers.items():
            for group, peak in zip(optimiser.param_groups, self.rates[name], strict=True):
                group["lr"] = peak * factor

    def _mean_over_ranks(self, values: dict[str, float]) -> dict[str, float]:
        every = gather_object([values])
        return {name: sum(one[name] for one in every) / len(every) for name in values}

    def _check_finite(self, means: dict[str, float], steps: int) -> None:
        wrong = [name for name, value in means.items() if not math.isfinite(value)]
        if wrong:
            kept = (
                f"the last good checkpoint is {self.folder.last}"
                if self.folder.last.exists()
                else "there is no checkpoint yet"
            )
            raise UserError(
                f"the loss {wrong[0]} became {means[wrong[0]]} in epoch {self.epoch + 1}, step {steps}; "
                f"{kept}; start a new run with a lower --lr or --precision fp32"
            )

    # ---------------------------------------------------------------- after an epoch

    @torch.no_grad()
    def predict(self, photo: Tensor) -> Tensor:
        """The averaged generator's pictures, (N, 3, H, W) uint8, for photos uint8 on any device."""
        with self.accelerator.autocast():
            return to_bytes(self.ema(to_unit(photo.to(self.device))))

    def _finish_epoch(
        self, row: dict[str, float], values: dict[str, float], writer: SummaryWriter | None
    ) -> None:
        """Checkpoints first, then the log: whatever moment a run is killed in, the log can be mended."""
        self.rows.append({"epoch": self.epoch} | row)
        better = False
        if values:
            value = values["miou"] if self.palette else -values["l1"]
            better = value > self.best_value
            self.best_value = value if better else self.best_value
        if not self.main:
            return
        if not all(p.isfinite().all() for p in self.ema.parameters()):
            self._check_finite({"weights": math.nan}, self.step_count)
        self.folder.save(self._state(), better, self.rows)
        line = format_row(self.rows[-1])
        print(line if len(line) < 200 else line[: line.find(" val_iou_")])
        assert writer is not None
        for name, value in row.items():
            writer.add_scalar(name.replace("_", "/", 1), value, self.epoch)
        writer.add_scalar("lr", self.optimisers["generator"].param_groups[-1]["lr"], self.epoch)
        writer.flush()

    def _state(self) -> dict:
        """The full state, all tensors and plain values, so that ``weights_only`` loading reads it."""
        return {
            "settings": self.settings,
            "options": dataclasses.asdict(self.options),
            "generator": {"colours": [list(c) for c in self.params.colours], "width": self.params.width},
            "palette": self.palette.name if self.palette else "none",
            "ema": self.ema.state_dict(),
            "networks": {name: self.bare(name).state_dict() for name in self.modules},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else None,
            "rng": {
                "torch": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            },
            "epoch": self.epoch,
            "step": self.step_count,
            "elapsed": self.elapsed,
            "best": self.best_value,
            "log": self.rows,
        }

    def _restore(self, saved: dict) -> None:
        """Take up a checkpoint's state; the log is cut back to it."""
        self.ema.load_state_dict(saved["ema"])
        for name in self.modules:
            self.bare(name).load_state_dict(saved["networks"][name])
            self.optimisers[name].load_state_dict(saved["optimisers"][name])
        if saved["scaler"] and self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(saved["scaler"])
        torch.set_rng_state(saved["rng"]["torch"])
        if saved["rng"]["cuda"] and len(saved["rng"]["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(saved["rng"]["cuda"])
        self.epoch, self.step_count = saved["epoch"], saved["step"]
        self.elapsed, self.best_value, self.rows = saved["elapsed"], saved["best"], saved["log"]
        if self.main:
            self.folder.write_log(self.rows)
            print(f"going on after epoch {self.epoch}")


def quiet_libraries() -> None:
    """Warnings that say nothing to a user of these scripts."""
    warnings.filterwarnings("ignore", message=".*lr_scheduler.*")
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
