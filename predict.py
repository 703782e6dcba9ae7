"""Paint label pictures for photos with a trained generator.

    python predict.py --checkpoint output/x/checkpoints/best.pt --input photo.jpg --output labels/
    python predict.py --checkpoint output/x/checkpoints/best.pt --input photos/ --output labels/ --ids --overlay
    python predict.py --checkpoint output/x/checkpoints/best.pt --input pairs/ --pairs --output labels/

Writes one PNG for each photo, of the photo's size and name, and keeps the folders below the input. A photo is scaled to
the size of the training and the labels are scaled back, because a network knows things at the size at which it saw
them. ``--scale own`` computes at the photo's own size instead, a large one in tiles that overlap. The same photo always
gives the same PNG. What cannot be read is left out and named at the end; the exit code is then 1.

``--score`` (with ``--pairs``) prints L1, accuracies and mIoU against the label halves, by the rules in
training/metrics.py, at the size of the files. Labels whose ids or colours the run does not know are void in them; how
much that is stands on stderr, and where it is nearly all nothing is scored.
"""

from common import interrupts  # noqa: F401  isort: skip  (first: Ctrl-C while the others load)

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from common.commandline import DEVICES, UserError, choose_device, option, parse, run, write_atomically
from FCN_network2 import Generator
from pix2pix_dataset import DIRECTIONS, to_bytes, to_unit
from training.checkpoint import load_generator
from training.metrics import SplitMeter
from training.pairs import Pair, find_pairs_in, pictures, pictures_below, refuse_one_side
from training.palettes import Palette, predicted_classes
from training.pictures import Reader, read_pair, read_photo
from training.scored import check_labels
from training.sizes import Scaling, parse_size, scaling_of
from training.survey import Input

TILE, OVERLAP = 1024, 128  # pixels of a tile's side, and those that it shares with the next one on each side


@dataclass
class Options:
    """The options of predict.py."""

    checkpoint: str | None = option(None, "last.pt or best.pt of a run (needed)")
    input: str | None = option(None, "a photo, or a folder of photos (needed)")
    output: str | None = option(None, "folder for the PNGs (needed)")
    pairs: bool = option(
        False, "the inputs are pairs: A|B files, or a split's folder with A/ and B/; take the photos"
    )
    direction: str = option("auto", "which side is the photo; auto: as in training", ("auto", *DIRECTIONS))
    score: bool = option(False, "with --pairs: print the numbers against the labels, as JSON")
    scale: str = option(
        "training", "compute at the size of the training, or at the photo's own", ("training", "own")
    )
    image_size: str = option(
        "", "compute at this size and scale back, in place of --scale: a side, or HEIGHTxWIDTH"
    )
    ids: bool = option(False, "write NAME_ids.png, too: the number of the class of each pixel")
    overlay: bool = option(False, "write NAME_overlay.png, too: the labels over the photo")
    device: str = option("auto", f"where to compute: {DEVICES}")
    seed: int = option(0, "accepted for uniformity; nothing here is random")


@torch.no_grad()
def paint(
    generator: Generator, photo: np.ndarray, size: tuple[int, int] | None = None, flat: bool = False
) -> np.ndarray:
    """Photo (H, W, 3) uint8 -> label picture (H, W, 3) uint8. What is large is computed in tiles, in bounded memory.

    Args:
        size: scale to this height and width before, as in training, and back after; None computes at H x W.
        flat: the input is a label map, which is scaled by nearest neighbour.
    """
    height, width = photo.shape[:2]
    scaled = size is not None and size != (height, width)
    smooth, nearest = Image.Resampling.BILINEAR, Image.Resampling.NEAREST
    if scaled:
        photo = np.asarray(Image.fromarray(photo).resize(size[::-1], nearest if flat else smooth))
    # Where the network looks at more pixels than there are, a tile has fewer.
    side = int(TILE / generator.params.zoom) // generator.stride * generator.stride
    if max(photo.shape[:2]) <= side:
        picture = _forward(generator, photo)
    else:
        picture = np.empty_like(photo)
        for top, bottom, above, below in tiles(photo.shape[0], side):
            for left, right, before, after in tiles(photo.shape[1], side):
                tile = _forward(generator, photo[top:bottom, left:right])
                inside = tile[above - top : below - top, before - left : after - left]
                picture[above:below, before:after] = inside
    if scaled:
        back = nearest if generator.params.colours else Image.Resampling.BICUBIC
        picture = np.asarray(Image.fromarray(picture).resize((width, height), back))
    return picture


def _forward(generator: Generator, photo: np.ndarray) -> np.ndarray:
    out = generator(to_unit(as_tensor(photo).to(generator.mean.device)))
    return to_bytes(out)[0].permute(1, 2, 0).cpu().numpy()


def tiles(length: int, side: int = TILE) -> list[tuple[int, int, int, int]]:
    """Tiles along a side of so many pixels: (start, end, first and last + 1 of the pixels that are kept)."""
    if length <= side:
        return [(0, length, 0, length)]
    overlap = min(OVERLAP, side // 4)
    step = side - 2 * overlap
    found = []
    for kept in range(0, length, step):
        start = min(max(kept - overlap, 0), length - side)
        found.append((start, start + side, kept, min(kept + step, length)))
    return found


def class_numbers(picture: np.ndarray, palette: Palette) -> np.ndarray:
    """Label picture (H, W, 3) -> the number of each pixel's class (H, W): that of the id maps, or its place."""
    index = predicted_classes(as_tensor(picture), palette)[0].numpy()
    places = {colour: number for number, colour in palette.ids.items() if colour in palette.classes.values()}
    numbers = [places.get(colour, k) for k, colour in enumerate(palette.classes.values())]
    table = np.array(numbers, np.uint8 if max(numbers) < 256 else np.uint16)
    return table[index]


def inputs(source: Path, output: Path, direction: str = "", labels: str = "auto") -> list[tuple[Pair, Path]]:
    """What is read, and the PNG to write, for a file, or a folder and those below it.

    Args:
        direction: which side of pairs is the photo; "": the files are photos and no pairs.
        labels: which of Cityscapes' two kinds of labels.

    Raises:
        UserError: if there is nothing to read, two photos would write the same PNG, or a PNG one of the files read.
    """
    if direction and source.is_file():
        refuse_one_side(source.parent)
    if source.is_file():
        found = [Pair(source.stem, source)]
    elif direction and source.parent.is_dir():
        found = find_pairs_in(source, labels)
    else:
        found = [Pair(name, photo) for name, photo in below(source).items()]
    if not found:
        raise UserError(f"--input {source} is neither a picture nor a folder with pictures")
    jobs = [(pair, output / f"{pair.name}.png") for pair in found]
    for pair, png in jobs:
        for read in filter(None, (pair.a, pair.b)):
            if png.resolve() == read.resolve():
                raise UserError(
                    f"--output {output} would overwrite {read}, which it reads; choose another folder"
                )
    return jobs


def distinct(jobs: list[tuple[Pair, Path]], endings: list[str]) -> None:
    """UserError where two photos would write one PNG: x_ids.png is the ids of x.jpg, or the labels of x_ids.jpg."""
    seen: dict[Path, Path] = {}
    for pair, png in jobs:
        for ending in endings:
            written = png.with_name(f"{png.stem}{ending}.png")
            if written in seen:
                raise UserError(
                    f"{seen[written]} and {pair.a} would both write {written.name}; rename one of them"
                )
            seen[written] = pair.a


def below(source: Path) -> dict[str, Path]:
    try:
        return pictures_below(source)
    except UserError:
        # two of one name: say what they would both write
        seen: dict[str, Path] = {}
        for photo in pictures(source):
            if photo.stem in seen:
                raise UserError(
                    f"{seen[photo.stem]} and {photo} would both write {photo.stem}.png; rename one of them"
                ) from None
            seen[photo.stem] = photo
        raise


def as_tensor(picture: np.ndarray) -> Tensor:
    """(H, W, 3) -> (1, 3, H, W)."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]


def save(picture: np.ndarray, png: Path) -> None:
    png.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(png, lambda path: Image.fromarray(picture).save(path, format="PNG"))


def read(
    pair: Pair, direction: str, given: Input, palette: Palette | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The photo, and of a pair its label: (H, W, 3) uint8 each. UserError where they cannot be used.

    Args:
        direction: as for ``inputs``.
    """
    if not direction:
        return np.asarray(read_photo(pair.a) if given.kind == "picture" else given.reader(pair.a)), None
    ids = Reader(tuple(palette.ids.items()) if palette else ())
    a, b = read_pair(pair, (given.reader, ids) if direction == "AtoB" else (ids, given.reader))
    return (a, b) if direction == "AtoB" else (b, a)


def notes(jobs: list[tuple[Pair, Path]], direction: str, palette: Palette | None) -> list[str]:
    """What the user should know before the scores, a line each; UserError where they would say nothing."""
    if palette is None:
        return ["no accuracies and no mIoU: the labels of this run have no classes; its palette is none"]
    return check_labels([pair for pair, _ in jobs], "b" if direction == "AtoB" else "a", palette)


def scaling_for(options: Options, trained: dict) -> tuple[Scaling | None, str]:
    """How photos are scaled, None for not at all, and that in words."""
    if options.image_size:
        size = parse_size(options.image_size, "--image-size")
        return Scaling("squash", size, size), f"at {size[0]} x {size[1]}"
    scaling = scaling_of(trained)
    if options.scale == "own":
        return None, "at the size of each photo"
    return scaling, f"as in the training: {str(scaling).partition(', crops')[0]}"


def main() -> None:
    options = parse(Options, __doc__)
    device = choose_device(options.device)
    for name in ("checkpoint", "input", "output"):
        if getattr(options, name) is None:
            raise UserError(f"--{name} is needed; `python predict.py --help` lists the options")
    if options.score and not options.pairs:
        raise UserError("--score needs --pairs: the label halves are what it scores against")
    generator, found = load_generator(Path(options.checkpoint), device)
    palette = found["palette"]
    if options.ids and palette is None:
        raise UserError("--ids: the labels of this run have no classes; its palette is none")
    direction = options.direction if options.direction != "auto" else found["options"]["direction"]
    direction = direction if options.pairs else ""
    output = Path(options.output)
    jobs = inputs(Path(options.input), output, direction, "ids" if palette and palette.ids else "colours")
    distinct(jobs, ["", *(["_ids"] if options.ids else []), *(["_overlay"] if options.overlay else [])])
    if options.score:
        for text in notes(jobs, direction, palette):
            print(text, file=sys.stderr)
    meter = SplitMeter(palette) if options.score else None
    scaling, how = scaling_for(options, found["options"])
    print(f"computing {how}", file=sys.stderr)
    broken = []
    for pair, png in tqdm(jobs, disable=None, leave=False):
        try:
            source, label = read(pair, direction, found["input"], palette)
        except UserError as error:
            broken.append(str(error))
            continue
        try:
            size = scaling.of(*source.shape[:2]) if scaling else None
            picture = paint(generator, source, size, found["input"].kind != "picture")
        except torch.OutOfMemoryError:
            raise UserError(
                f"{pair.a}: the memory of {device} is full; give a smaller --image-size, or --device cpu"
            ) from None
        save(picture, png)
        if options.ids:
            save(class_numbers(picture, palette), png.with_name(f"{png.stem}_ids.png"))
        if options.overlay:
            save((source // 2 + picture // 2).astype(np.uint8), png.with_name(f"{png.stem}_overlay.png"))
        if meter is not None:
            meter.update(as_tensor(picture), as_tensor(label))
    for text in broken:
        print(f"left out: {text}", file=sys.stderr)
    if meter is not None and len(broken) == len(jobs):
        raise UserError(f"--score: none of the {len(jobs)} pairs could be used; why stands above")
    if meter is not None:
        # JSON knows no nan: the IoU of a class that occurs nowhere is null
        values = {name: None if math.isnan(value) else value for name, value in meter.result().items()}
        print(json.dumps(values, indent=2))
    else:
        done = len(jobs) - len(broken)
        print(f"{done} {'picture' if done == 1 else 'pictures'} written to {output}")
    if broken:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
