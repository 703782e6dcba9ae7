"""The checkpoint of a run: what it holds, collected and restored; and the generator out of it.

last.pt and best.pt are one dict each, of tensors and plain values only, so that ``weights_only`` loading reads it
and no file can run code. A run that is restored from it goes on exactly as if it had not stopped.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from common.commandline import UserError
from FCN_network2 import Generator, GeneratorParams
from training.labels import Labels
from training.networks import Networks
from training.options import TrainOptions
from training.palettes import Palette, palette_of, palette_state
from training.pictures import Reader
from training.survey import Input


@dataclass
class Progress:
    """How far a run is. The first five fields are in the checkpoint."""

    epoch: int = 0  # whole epochs
    step: int = 0  # steps of the generator, all epochs together
    elapsed: float = 0.0  # seconds
    best: float = -math.inf  # of the epochs so far: mIoU, or minus L1 where there is no palette
    log: list[dict[str, float]] = field(default_factory=list)  # rows of training_log.txt
    step_of_epoch: int = 0
    fraction: float = 0.0  # of the training that is done, by epochs or by the clock; on [0, 1]


def collect(
    settings: dict,
    options: TrainOptions,
    given: Input,
    labels: Labels,
    networks: Networks,
    progress: Progress,
) -> dict:
    """The full state.

    Args:
        given: what the input files hold.
        settings: what may not change on ``--resume``.
    """
    scaler = networks.accelerator.scaler
    return {
        "settings": settings,
        "options": dataclasses.asdict(options),
        "generator": {
            "colours": [list(c) for c in networks.params.colours],
            "width": networks.params.width,
            "zoom": networks.params.zoom,
        },
        "palette": palette_state(labels.palette),
        "input": {"kind": given.kind, "ids": [[number, *colour] for number, colour in given.reader.ids]},
        "ema": networks.ema.state_dict(),
        "networks": {name: networks.bare(name).state_dict() for name in networks.modules},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in networks.optimisers.items()},
        "scaler": scaler.state_dict() if scaler else None,
        "rng": {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        },
        "epoch": progress.epoch,
        "step": progress.step,
        "elapsed": progress.elapsed,
        "best": progress.best,
        "log": progress.log,
    }


def restore(saved: dict, networks: Networks) -> Progress:
    """Put a checkpoint's state into networks of the same kind and into the random generators."""
    networks.ema.load_state_dict(saved["ema"])
    for name in networks.modules:
        networks.bare(name).load_state_dict(saved["networks"][name])
        networks.optimisers[name].load_state_dict(saved["optimisers"][name])
    if saved["scaler"] and networks.accelerator.scaler:
        networks.accelerator.scaler.load_state_dict(saved["scaler"])
    torch.set_rng_state(saved["rng"]["torch"])
    if saved["rng"]["cuda"] and len(saved["rng"]["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["rng"]["cuda"])
    return Progress(saved["epoch"], saved["step"], saved["elapsed"], saved["best"], saved["log"])


def load_init(path: Path) -> dict:
    """A checkpoint to start from, with ``--init``.

    Raises:
        UserError: if the file is missing or no checkpoint of ours.
    """
    if not path.is_file():
        raise UserError(f"--init {path}: there is no such checkpoint; a run has checkpoints/best.pt")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        _ = saved["generator"]["colours"], saved["ema"]["paint.weight"], saved["networks"]["generator"]
    except Exception as error:  # a truncated or foreign file fails in many ways
        raise UserError(
            f"--init {path} is no checkpoint of train_l1.py or train_cgan.py, or it is damaged"
        ) from error
    return saved


@torch.no_grad()
def take_over(saved: dict, networks: Networks, palette: Palette | None = None) -> tuple[int, list[str]]:
    """Start from another run's weights: those of the same name and shape, of every network that both have.

    The generator starts from the average. Of its last layer each colour that both runs know is taken; of ids only
    where it stands for the same number.

    Args:
        palette: the classes of the new run.

    Returns:
        how many tensors were taken, and in words what was not.
    """
    taken, left = 0, []
    for name in networks.modules:
        own = networks.bare(name).state_dict()
        theirs = saved["ema"] if name == "generator" else saved["networks"].get(name)
        if theirs is None:
            left.append(f"{name} (the checkpoint has none)")
            continue
        if name == "generator":
            before = _numbered(saved["generator"]["colours"], palette_of(saved.get("palette", "none")))
            now = _numbered(networks.params.colours, palette)
            theirs = theirs | _paint_by_colour(own, theirs, before, now)
            new = len(set(now) - set(before))
            if before and new:
                left.append(f"{new} of {len(now)} colours (the checkpoint does not know them)")
        fits = {key for key, value in own.items() if key in theirs and theirs[key].shape == value.shape}
        for key in fits - {"colours"}:
            own[key].copy_(theirs[key])
        taken += len(fits - {"colours"})
        left += [f"{name}.{key}" for key in own if key not in fits | {"colours"}]
    networks.ema.load_state_dict(networks.bare("generator").state_dict())
    return taken, left


def _numbered(colours: Sequence, palette: Palette | None) -> list[tuple[tuple, int | None]]:
    """Each colour with the id that it stands for, None where there are no ids."""
    numbers = {tuple(map(float, colour)): number for number, colour in palette.ids.items()} if palette else {}
    return [(tuple(map(float, colour)), numbers.get(tuple(map(float, colour)))) for colour in colours]


def _paint_by_colour(own: dict, theirs: dict, before: list, now: Sequence) -> dict[str, Tensor]:
    """The last layer for the colours ``now``: the rows of one that was there before, own rows for a new one.

    Args:
        before, now: as ``_numbered`` gives them.
    """
    if not before or not now or own["paint.weight"].shape[1] != theirs["paint.weight"].shape[1]:
        return {}
    old = {colour: k for k, colour in enumerate(before)}
    same = [(k, old[colour]) for k, colour in enumerate(now) if colour in old]
    found = {}
    for key in ("paint.weight", "paint.bias"):
        rows = own[key].clone().unflatten(0, (4, len(now)))
        for k, other in same:
            rows[:, k] = theirs[key].unflatten(0, (4, len(before)))[:, other]
        found[key] = rows.flatten(0, 1)
    return found


def load_generator(path: Path, device: torch.device) -> tuple[Generator, dict]:
    """The averaged generator of a checkpoint, in eval mode, and the checkpoint's options, palette and input.

    Raises:
        UserError: if the file is missing or no checkpoint of ours.
    """
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}; train_l1.py and train_cgan.py write one to output/")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        colours = tuple(tuple(colour) for colour in saved["generator"]["colours"])
        zoom = saved["generator"].get("zoom", 1.0)  # before 2026-12 there was none
        generator = Generator(GeneratorParams(colours, saved["generator"]["width"], zoom))
        generator.load_state_dict(saved["ema"])
        given = saved.get("input", {"kind": "picture", "ids": []})
        reader = Reader(
            tuple((number, tuple(colour)) for number, *colour in given["ids"]), given["kind"] == "picture"
        )
        found = {
            "options": saved["options"],
            "palette": palette_of(saved["palette"]),
            "input": Input(given["kind"], reader),
        }
    except Exception as error:  # a truncated or foreign file fails in many ways
        raise UserError(
            f"{path} is no checkpoint of train_l1.py or train_cgan.py, or it is damaged"
        ) from error
    return generator.to(device, memory_format=torch.channels_last).eval().requires_grad_(False), found
