"""Paint label pictures for photos with a trained generator.

    python predict.py --checkpoint output/x/checkpoints/best.pt --input photo.jpg --output labels/
    python predict.py --checkpoint output/x/checkpoints/best.pt --input photos/ --output labels/
    python predict.py --checkpoint output/x/checkpoints/best.pt --input pairs/ --pairs --output labels/

Writes one PNG for each photo, of the photo's size and name. Every photo is computed by itself with the averaged
weights in eval mode: the same photo always gives the same PNG. ``--score`` (with
``--pairs``) prints L1, accuracies and mIoU against the label halves, by the rules in training/metrics.py.
"""

from common import interrupts  # noqa: F401  isort: skip  (first: Ctrl-C while the others load)

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from common.commandline import DEVICES, UserError, choose_device, option, parse, run, write_atomically
from FCN_network2 import Generator
from pix2pix_dataset import DIRECTIONS, Pair, pictures, read_pair, read_picture, to_bytes, to_unit
from training.checkpoint import load_generator
from training.metrics import SplitMeter
from training.palettes import palette_by_name


@dataclass
class Options:
    """The options of predict.py."""

    checkpoint: str | None = option(None, "last.pt or best.pt of a run (needed)")
    input: str | None = option(None, "a photo, or a folder of photos (needed)")
    output: str | None = option(None, "folder for the PNGs (needed)")
    pairs: bool = option(False, "the inputs are A|B files; take the photo half")
    direction: str = option("auto", "which half is the photo; auto: as in training", ("auto", *DIRECTIONS))
    score: bool = option(False, "with --pairs: print the numbers against the label halves, as JSON")
    image_size: int = option(0, "compute at this square size and scale back; 0 computes at the photo's own")
    device: str = option("auto", f"where to compute: {DEVICES}")
    seed: int = option(0, "accepted for uniformity; nothing here is random")


@torch.no_grad()
def paint(generator: Generator, photo: np.ndarray, image_size: int = 0) -> np.ndarray:
    """Photo (H, W, 3) uint8 -> label picture (H, W, 3) uint8.

    Args:
        image_size: scale to this square before and back after, nearest neighbour; 0 computes at H x W.
    """
    height, width = photo.shape[:2]
    if image_size:
        photo = np.asarray(Image.fromarray(photo).resize((image_size, image_size), Image.Resampling.BILINEAR))
    device = generator.mean.device
    out = generator(to_unit(as_tensor(photo).to(device)))
    picture = to_bytes(out)[0].permute(1, 2, 0).cpu().numpy()
    if image_size:
        picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.NEAREST))
    return picture


def inputs(source: Path, output: Path) -> list[tuple[Path, Path]]:
    """(photo, PNG to write) for a file or a folder.

    Raises:
        UserError: if there is nothing to read, two photos would write the same PNG, or a PNG its own photo.
    """
    found = [source] if source.is_file() else pictures(source)
    if not found:
        raise UserError(f"--input {source} is neither a picture nor a folder with pictures")
    jobs: dict[Path, Path] = {}
    for photo in found:
        png = output / f"{photo.stem}.png"
        if png in jobs:
            raise UserError(f"{jobs[png]} and {photo} would both write {png}; rename one of them")
        if png.resolve() == photo.resolve():
            raise UserError(f"--output {output} would overwrite the photo {photo}; choose another folder")
        jobs[png] = photo
    return [(photo, png) for png, photo in jobs.items()]


def as_tensor(picture: np.ndarray) -> Tensor:
    """(H, W, 3) -> (1, 3, H, W)."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]


def main() -> None:
    options = parse(Options, __doc__)
    device = choose_device(options.device)
    for name in ("checkpoint", "input", "output"):
        if getattr(options, name) is None:
            raise UserError(f"--{name} is needed; `python predict.py --help` lists the options")
    if options.score and not options.pairs:
        raise UserError("--score needs --pairs: the label halves are what it scores against")
    generator, found = load_generator(Path(options.checkpoint), device)
    direction = options.direction if options.direction != "auto" else found["options"]["direction"]
    output = Path(options.output)
    jobs = inputs(Path(options.input), output)
    meter = SplitMeter(palette_by_name(found["palette"], torch.empty(0))) if options.score else None
    for photo, png in tqdm(jobs, disable=None, leave=False):
        if options.pairs:
            a, b = read_pair(Pair(photo.stem, photo))
            source, label = (a, b) if direction == "AtoB" else (b, a)
        else:
            source, label = np.asarray(read_picture(photo)), None
        try:
            picture = paint(generator, source, options.image_size)
        except torch.OutOfMemoryError:
            raise UserError(
                f"{photo}: the memory of {device} is full; give a smaller --image-size, or --device cpu"
            ) from None
        write_atomically(png, lambda path, picture=picture: Image.fromarray(picture).save(path, format="PNG"))
        if meter is not None:
            meter.update(as_tensor(picture), as_tensor(label))
    if meter is not None:
        # JSON knows no nan: the IoU of a class that occurs nowhere is null
        values = {name: None if math.isnan(value) else value for name, value in meter.result().items()}
        print(json.dumps(values, indent=2))
    else:
        print(f"{len(jobs)} {'picture' if len(jobs) == 1 else 'pictures'} written to {output}")


if __name__ == "__main__":
    run(main)
