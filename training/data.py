"""The pairs that a run learns from and is judged on: both splits, their loaders, and a sample of the labels."""

import copy
import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader

from pix2pix_dataset import Augment, EpochSampler, PairDataset
from training.labels import choose_palette
from training.options import TrainOptions
from training.pairs import find_pairs, is_cityscapes, validation_split
from training.palettes import Palette, palette_of
from training.sizes import Scaling, scaling_of
from training.survey import Input, Survey, kind_of_input, survey

SAMPLE = 64  # training labels that are looked at to find palette and colours


class Batch(NamedTuple):
    """What a training step gets, on the run's device."""

    photo: Tensor  # (N, 3, H, W) on [-1, 1]
    label: Tensor  # (N, 3, H, W) on [-1, 1]
    weight: Tensor | None  # (N, 1, H, W), how much a pixel counts in the L1 loss; None: each counts 1
    # (N, H, W), which of the generator's colours, -1: void or none; None with an RGB head
    colour: Tensor | None
    counted: Tensor | None = None  # (N, 1, H, W), 0 where a pixel is ignored, 1 on average; None: each counts


@dataclass(frozen=True)
class Data:
    """The data of one run. Each process has the same splits, and loaders over its own share of them."""

    root: Path
    train: PairDataset
    val: PairDataset
    train_loader: DataLoader  # its sampler is an EpochSampler: set ``sampler.epoch`` before each pass
    val_loader: DataLoader
    label_sample: Tensor  # (N, 3, H, W) uint8, up to SAMPLE training labels without augmentation
    survey: Survey  # what the label files hold
    palette: Palette | None  # the classes of the labels; None: they are pictures, or no classes are scored
    input: Input  # what the input files hold


def load_data(root: Path, options: TrainOptions, accelerator: Accelerator, saved: dict | None = None) -> Data:
    """Open both splits and find out what their labels are.

    Args:
        saved: a checkpoint, with whose palette the labels are read again; None finds one.

    Raises:
        UserError: for an empty split, a broken file, or labels that are not what the options say; see
            ``PairDataset``, ``survey`` and ``choose_palette``.
    """
    quiet = not accelerator.is_main_process
    splits = {name: find_pairs(root, name, options.labels) for name in ("train", validation_split(root))}
    (_, train_pairs), (val_name, val_pairs) = splits.items()
    sides = "ba" if options.direction == "AtoB" else "ab"  # of target and input
    found = survey(train_pairs, val_pairs, sides[0], options.labels, quiet)
    palette = (
        palette_of(saved["palette"])
        if saved
        else choose_palette(found, options.palette, is_cityscapes(train_pairs))
    )
    given = kind_of_input(train_pairs, sides[1])
    scaling = scaling_of(dataclasses.asdict(options))
    common = {
        "readers": (given.reader, found.reader(palette)),
        "flat": (given.kind != "picture", found.kind != "picture"),
        "scaling": scaling,
        "direction": options.direction,
        "skip_broken": options.skip_broken,
        "cache_mb": options.cache_mb,
        "quiet": quiet,
    }
    augment = Augment(scaling, options.crop, options.jitter, options.flip)
    train = PairDataset(root, "train", pairs=train_pairs, augment=augment, seed=options.seed, **common)
    val = PairDataset(root, val_name, pairs=val_pairs, **common)

    ranks, rank = accelerator.num_processes, accelerator.process_index
    shuffled = EpochSampler(
        len(train), options.batch_size, shuffle=True, seed=options.seed, rank=rank, ranks=ranks
    )
    in_order = EpochSampler(len(val), options.batch_size, shuffle=False, rank=rank, ranks=ranks)
    workers = options.workers if options.workers >= 0 else min(8, (os.cpu_count() or 2) // 2)
    # Pictures that keep their shapes make no batch.
    alone = {} if scaling.resize == "squash" else {"batch_size": 1}
    loader = {"batch_size": options.batch_size, "pin_memory": accelerator.device.type == "cuda"}
    return Data(
        root,
        train,
        val,
        DataLoader(train, sampler=shuffled, num_workers=workers, persistent_workers=workers > 0, **loader),
        DataLoader(val, sampler=in_order, num_workers=0, **loader | alone),
        label_sample(train),
        found,
        palette,
        given,
    )


def without_augmentation(data: PairDataset, scaling: Scaling | None = None) -> PairDataset:
    """The same pairs, scaled and nothing else; None scales them as the run does."""
    plain = copy.copy(data)
    plain.augment = None
    plain.scaling = scaling or data.scaling
    return plain


def evenly(data: PairDataset, count: int) -> list[int]:
    """Indices of up to ``count`` samples, evenly over the split and the same every time."""
    return sorted({int(i) for i in np.linspace(0, len(data) - 1, min(count, len(data)))})


def label_sample(train: PairDataset, most: int = SAMPLE) -> Tensor:
    """Up to ``most`` labels without augmentation, evenly over the split, of one size: (N, 3, H, W) uint8."""
    plain = without_augmentation(train, dataclasses.replace(train.scaling, resize="squash"))
    return torch.stack([plain[i]["label"] for i in evenly(plain, most)])
