"""What the GAN term brings: the same generator with GAN : L1 off, 1:100, 1:50, 1:10 and 1:1, over several seeds.

    python benchmarks/gan_ratio.py --dataset camvid --epochs 36
    python benchmarks/gan_ratio.py --dataset camvid --epochs 36 --ratios off,1:50 --seeds 0-4 --rows 2 --jobs 2
    python benchmarks/gan_ratio.py --dataset camvid --max-minutes 15 --seeds 0 --threads 2
    python benchmarks/gan_ratio.py --dataset camvid --extra "--receptive-field 16" --output output/patch16

A row is one run of ``train_cgan.py``; "off" is ``--lambda-gan 0``, which trains as ``train_l1.py``. The rows of a seed
have the same weights to begin with, the same order and augmentation. With ``--epochs`` they are one and the same run
until the GAN term comes in, which the table says after looking at their logs. ``--max-minutes`` gives every run the
same time instead.

Nothing is chosen on the pictures that are reported: what is scored is the averaged generator after the last epoch, on
the validation split, and with ``--kept-back`` on a folder of pairs that no training reads. The table has mean and
standard deviation over the seeds, and for each ratio a paired t-test against "off". Boundary F1 is that of
``boundary_f1`` in training/metrics.py: the mean over the classes of the mean over the pictures.

Every row that is finished is kept. The same command goes on with those that are not, ``--rows`` at a time.
"""

import itertools
import json
import os
import platform
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.seed_tables import tables  # noqa: E402
from common.commandline import (  # noqa: E402
    DEVICES,
    UserError,
    choose_device,
    option,
    parse,
    parse_seeds,
    run,
    write_atomically,
)
from comparison.runs import read_log  # noqa: E402
from predict import as_tensor, paint, read  # noqa: E402
from training.checkpoint import load_generator  # noqa: E402
from training.metrics import SplitMeter, boundary_f1  # noqa: E402
from training.pairs import find_pairs_in, resolve, validation_split  # noqa: E402
from training.palettes import predicted_classes, truth_classes  # noqa: E402
from training.sizes import scaling_of  # noqa: E402


@dataclass
class Options:
    """The options of the comparison."""

    dataset: str = option("datasets/faces", "folder of the data set, or its name under datasets/")
    ratios: str = option("off,1:100,1:50,1:10,1:1", "GAN : L1, separated by commas")
    seeds: str = option("0", "seeds, as in 0-4 or 0,3,7")
    kept_back: str = option("", "a folder of pairs that is scored, too, and never trained on")
    epochs: int = option(40, "passes over the training split for every run")
    max_minutes: float = option(0.0, "give every run the same time instead; 0 goes by --epochs")
    extra: str = option("", "further options of train_cgan.py for every run, in quotes")
    image_size: int = option(256, "side of the pictures in pixels")
    batch_size: int = option(4, "pictures a step")
    output: str = option("output/gan_ratio", "folder of the runs, the table and the pictures")
    encoder: str = option("imagenet", "weights the encoder starts from", ("imagenet", "scratch"))
    pictures: int = option(4, "validation samples in the picture")
    rows: int = option(0, "stop after so many rows that were not finished; 0: all")
    jobs: int = option(1, "rows at the same time")
    threads: int = option(1, "CPU threads of a row")
    device: str = option("auto", f"where to compute: {DEVICES}")


@dataclass(frozen=True)
class Row:
    """One run: a ratio and a seed."""

    ratio: str
    seed: int

    def folder(self, options: Options) -> Path:
        return Path(options.output) / self.ratio.replace(":", "_to_") / f"seed_{self.seed}"


def weights(ratio: str) -> tuple[float, float]:
    """(lambda_gan, lambda_l1) of "off" or "1:50".

    Raises:
        UserError: for anything else.
    """
    if ratio == "off":
        return 0.0, 50.0
    try:
        gan, l1 = (float(part) for part in ratio.split(":"))
        if gan <= 0 or l1 <= 0:
            raise ValueError
    except ValueError:
        raise UserError(f"--ratios: {ratio!r} is neither 'off' nor like 1:50") from None
    return gan, l1


def arguments_of(row: Row, options: Options) -> list[str]:
    """The command line of train_cgan.py for a row."""
    gan, l1 = weights(row.ratio)
    arguments = {
        "--dataset": options.dataset,
        "--output": row.folder(options),
        "--lambda-gan": gan,
        "--lambda-l1": l1,
        "--epochs": options.epochs if not options.max_minutes else 1_000_000,
        "--max-minutes": options.max_minutes,
        "--val-every": max(options.epochs // 4, 1) if not options.max_minutes else 10,
        "--image-size": options.image_size,
        "--batch-size": options.batch_size,
        "--encoder": options.encoder,
        "--pictures": options.pictures,
        "--device": options.device,
        "--seed": row.seed,
    }
    return [*map(str, itertools.chain(*arguments.items())), *shlex.split(options.extra)]


def train(row: Row, options: Options) -> None:
    """One run of train_cgan.py in its own process; goes on with one that was stopped.

    Raises:
        UserError: if it fails; its own message is above.
    """
    folder = row.folder(options)
    command = [sys.executable, str(ROOT / "train_cgan.py"), *arguments_of(row, options)]
    if (folder / "config.json").exists():
        command.append("--resume")
    print(f"--- GAN : L1 {row.ratio}, seed {row.seed}", file=sys.stderr)
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
    code = subprocess.run(command, stdout=sys.stderr, env=environment).returncode
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise UserError(f"the run {folder} failed (exit code {code}); its own message is above")


def score(checkpoint: Path, split: Path, device: torch.device) -> dict[str, float]:
    """The scores of a checkpoint's averaged generator on a folder of pairs, as predict.py paints them.

    Returns:
        those of ``SplitMeter``, and with a palette ``boundary_f1``; nan where a class occurs nowhere.
    """
    generator, found = load_generator(checkpoint, device)
    palette, direction = found["palette"], found["options"]["direction"]
    scaling = scaling_of(found["options"])
    meter, borders = SplitMeter(palette), []
    for pair in find_pairs_in(split, "ids" if palette and palette.ids else "colours"):
        photo, label = read(pair, direction, found["input"], palette)
        picture = paint(generator, photo, scaling.of(*photo.shape[:2]), found["input"].kind != "picture")
        prediction, target = as_tensor(picture), as_tensor(label)
        meter.update(prediction, target)
        if palette:
            truth, outside = truth_classes(target, palette)
            # Colours that JPEG invents lie along the borders: there the nearest class draws the line.
            truth = torch.where(outside, predicted_classes(target, palette), truth)
            borders.append(boundary_f1(truth, predicted_classes(prediction, palette), len(palette.classes)))
    values = meter.result()
    if palette:
        values["boundary_f1"] = torch.cat(borders).nanmean(dim=0).nanmean().item()
    return values


def kept(row: Row, options: Options) -> dict | None:
    """What scores.json says of a row that is finished: its command line and, by folder, its scores.

    Raises:
        UserError: if it was trained with other options, which the table would not tell.
    """
    path = row.folder(options) / "scores.json"
    if not path.exists():
        return None
    found = json.loads(path.read_text())
    if found["arguments"] != arguments_of(row, options):
        raise UserError(f"{path.parent} was trained with other options; use the same, or another --output")
    return found


def scored(row: Row, options: Options) -> dict[str, dict[str, float]]:
    """A finished row's scores, by split. They are computed once and kept in its folder."""
    folder, root = row.folder(options), resolve(options.dataset)
    splits = {"validation": root / validation_split(root)}
    if options.kept_back:
        splits["kept back"] = Path(options.kept_back)
    found = kept(row, options) or {"arguments": arguments_of(row, options), "scores": {}}
    for split in map(str, splits.values()):
        if split not in found["scores"]:
            found["scores"][split] = score(
                folder / "checkpoints/last.pt", Path(split), choose_device(options.device)
            )
            text = json.dumps(found, indent=2)
            write_atomically(folder / "scores.json", lambda path, text=text: path.write_text(text))
    return {name: found["scores"][str(split)] for name, split in splits.items()}


def log_of(folder: Path) -> list[dict[str, float | None]]:
    return read_log((folder / "training_log.txt").read_text())[0]


def same_epochs(folders: list[Path]) -> int:
    """How many epochs runs have in common from the first on, by the L1 of their training to the last digit."""
    curves = zip(*([row["train_l1"] for row in log_of(folder)] for folder in folders), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda values: len(set(values)) == 1, curves))


def picture(folders: dict[str, Path], path: Path) -> None:
    """One row a validation sample: input, each run's prediction, truth, from the runs' own pictures."""
    grids = {
        ratio: Image.open(max((folder / "val_results").glob("epoch_*.png")))
        for ratio, folder in folders.items()
    }
    first = next(iter(grids.values()))
    column = (first.width - 4) // 3  # a tile and its border
    out = Image.new("RGB", (column * (len(grids) + 2) + 4, first.height + 20), "white")
    draw = ImageDraw.Draw(out)
    tiles = [("input", first, 0), *((ratio, grid, 1) for ratio, grid in grids.items()), ("truth", first, 2)]
    for k, (name, grid, source) in enumerate(tiles):
        out.paste(grid.crop((source * column, 0, (source + 1) * column + 4, first.height)), (k * column, 20))
        draw.text((k * column + 8, 4), name, fill="black")
    write_atomically(path, lambda temporary: out.save(temporary, format="PNG", optimize=True))


def machine(device: str) -> str:
    """The machine in a few words."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), PyTorch {torch.__version__}"


def main() -> None:
    options = parse(Options, __doc__)
    ratios = [ratio.strip() for ratio in options.ratios.split(",")]
    for ratio in ratios:
        weights(ratio)  # a mistake shows now, not after the first run
    seeds = parse_seeds(options.seeds)
    for name, least in (("rows", 0), ("jobs", 1), ("threads", 1)):
        if getattr(options, name) < least:
            raise UserError(f"--{name} must be at least {least}")
    choose_device(options.device)
    if options.kept_back:
        find_pairs_in(Path(options.kept_back))
    # seed by seed, so that there are whole pairs early
    rows = [Row(ratio, seed) for seed in seeds for ratio in ratios]
    left = [row for row in rows if kept(row, options) is None]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda row: train(row, options), left[: options.rows or None]))
    done = [row for row in rows if row not in left[options.rows or len(left) :]]
    print(report(done, options))


def report(done: list[Row], options: Options) -> str:
    """Score the rows that are finished, write the table and the picture, and return the table."""
    scores = {row: scored(row, options) for row in done}
    seeds = {
        ratio: [row.seed for row in done if row.ratio == ratio] for ratio in {row.ratio: 0 for row in done}
    }
    folders = {ratio: Row(ratio, found[0]).folder(options) for ratio, found in seeds.items()}
    config = json.loads((folders[done[0].ratio] / "config.json").read_text())
    found = config["found"]
    budget = f"{options.max_minutes} minutes" if options.max_minutes else f"{options.epochs} epochs"
    precision = "fp32" if found["precision"] == "no" else found["precision"]
    parts = [
        f"{Path(options.dataset).name}, {found['train_pairs']} training and {found['val_pairs']} validation pairs, "
        f"{options.image_size} x {options.image_size}, batch {options.batch_size}, {budget} a run, seeds "
        f"{options.seeds}{', ' + options.extra if options.extra else ''}; {machine(found['device'])}, {precision}, "
        f"{options.threads} {'thread' if options.threads == 1 else 'threads'} a run"
    ]
    for seed in sorted(set(itertools.chain(*seeds.values()))):
        same = [row.folder(options) for row in done if row.seed == seed]
        if len(same) > 1:
            parts.append(f"Seed {seed}: the runs are the same up to epoch {same_epochs(same)}.")
    logs = {ratio: [log_of(Row(ratio, seed).folder(options))[-1] for seed in seeds[ratio]] for ratio in seeds}
    for split in scores[done[0]]:
        of_split = {ratio: [scores[Row(ratio, seed)][split] for seed in seeds[ratio]] for ratio in seeds}
        parts.append(f"{split}\n\n{tables(of_split, logs)}")
    text = "\n\n".join(parts) + "\n"
    write_atomically(Path(options.output) / "table.md", lambda path: path.write_text(text))
    picture(folders, Path(options.output) / "pictures.png")
    return text


if __name__ == "__main__":
    run(main)
