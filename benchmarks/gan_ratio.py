"""What the GAN term brings: the same generator with GAN : L1 off, 1:100, 1:50, 1:10 and 1:1, equal budget.

    python benchmarks/gan_ratio.py --dataset camvid --epochs 40
    python benchmarks/gan_ratio.py --dataset camvid --max-minutes 15 --output output/ratios
    python benchmarks/gan_ratio.py --dataset camvid --epochs 400 --device cuda --batch-size 16

Each ratio is one run of ``train_cgan.py`` with the same seed, order and augmentation; "off" is
``--lambda-gan 0``, which trains as ``train_l1.py``. Prints, as Markdown, the last validation of each run
(the averaged generator after the last epoch, not the best one, so that no run gets to choose), and writes
the same with the pictures to the output folder. ``--epochs`` gives every run the same steps and
``--max-minutes`` the same time. A stopped comparison goes on where it was with the same command.
"""

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.commandline import DEVICES, UserError, choose_device, option, parse, run, write_atomically  # noqa: E402

MAIN_KEYS = {"val_l1": "L1", "val_pixel_acc": "pixel acc.", "val_class_acc": "class acc.", "val_miou": "mIoU"}
# Thin or small classes, where L1 blurs; by palette.
SMALL_CLASSES = {
    "pole",
    "sign",
    "pedestrian",
    "bicyclist",
    "traffic_light",
    "traffic_sign",
    "person",
    "rider",
}
SMALL_CLASSES |= {"bicycle", "motorcycle", "sill", "deco", "brows", "eyes", "lips", "mouth"}


@dataclass
class Options:
    """The options of the comparison."""

    dataset: str = option("datasets/faces", "folder of the data set, or its name under datasets/")
    ratios: str = option("off,1:100,1:50,1:10,1:1", "GAN : L1, separated by commas")
    epochs: int = option(40, "passes over the training split for every run")
    max_minutes: float = option(0.0, "give every run the same time instead; 0 goes by --epochs")
    image_size: int = option(256, "side of the pictures in pixels")
    batch_size: int = option(8, "pictures a step")
    output: str = option("output/gan_ratio", "folder of the runs, the table and the pictures")
    encoder: str = option("imagenet", "weights the encoder starts from", ("imagenet", "scratch"))
    gan_loss: str = option("bce", "adversarial loss", ("bce", "lsgan", "hinge"))
    receptive_field: int = option(70, "side of the discriminator's patch", (1, 16, 70, 286))
    pictures: int = option(4, "validation samples in the picture")
    device: str = option("auto", f"where to compute: {DEVICES}")
    seed: int = option(0, "seed of every run")


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


def train(ratio: str, folder: Path, options: Options) -> None:
    """One run of train_cgan.py in its own process; goes on with one that was stopped.

    Raises:
        UserError: if it fails; its own message is above.
    """
    gan, l1 = weights(ratio)
    arguments = {
        "--dataset": options.dataset,
        "--output": folder,
        "--lambda-gan": gan,
        "--lambda-l1": l1,
        "--epochs": options.epochs if not options.max_minutes else 1_000_000,
        "--max-minutes": options.max_minutes,
        "--val-every": max(options.epochs // 4, 1) if not options.max_minutes else 10,
        "--image-size": options.image_size,
        "--batch-size": options.batch_size,
        "--encoder": options.encoder,
        "--gan-loss": options.gan_loss,
        "--receptive-field": options.receptive_field,
        "--pictures": options.pictures,
        "--device": options.device,
        "--seed": options.seed,
    }
    command = [
        sys.executable,
        str(ROOT / "train_cgan.py"),
        *(str(x) for pair in arguments.items() for x in pair),
    ]
    if (folder / "config.json").exists():
        command.append("--resume")
    print(f"--- GAN : L1 {ratio}", file=sys.stderr)
    code = subprocess.run(command, stdout=sys.stderr).returncode
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise UserError(f"the run with GAN : L1 {ratio} failed (exit code {code}); its own message is above")


def last_row(folder: Path) -> dict[str, float]:
    """The last line of training_log.txt."""
    line = (folder / "training_log.txt").read_text().splitlines()[-1]
    return {key: float(value) for key, value in (part.split("=") for part in line.split())}


def tables(rows: dict[str, dict[str, float]], steps: dict[str, int]) -> str:
    """The numbers of every run as two Markdown tables: the main ones, and IoU by class."""
    classes = [key for key in next(iter(rows.values())) if key.startswith("val_iou_")]
    small = [key for key in classes if key.removeprefix("val_iou_") in SMALL_CLASSES]
    names = ", ".join(key.removeprefix("val_iou_") for key in small)
    head = ["GAN : L1", "steps", *(MAIN_KEYS[key] for key in MAIN_KEYS if key in next(iter(rows.values())))]
    head += ["small classes' IoU", "images/s"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for ratio, row in rows.items():
        cells = [ratio, str(steps[ratio])]
        cells += [
            f"{row[key]:.4f}" if key == "val_l1" else f"{row[key]:.3f}" for key in MAIN_KEYS if key in row
        ]
        cells.append(f"{sum(row[key] for key in small) / len(small):.3f}" if small else "")
        cells.append(f"{row['images_per_s']:.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    if small:
        lines += ["", f"small classes: {names}"]
    if classes:
        head = ["IoU", *rows]
        lines += ["", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        for key in classes:
            cells = [key.removeprefix("val_iou_"), *(f"{row[key]:.3f}" for row in rows.values())]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


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
    choose_device(options.device)
    output = Path(options.output)
    folders = {ratio: output / ratio.replace(":", "_to_") for ratio in ratios}
    rows, steps = {}, {}
    for ratio, folder in folders.items():
        train(ratio, folder, options)
        rows[ratio] = last_row(folder)
        steps[ratio] = torch.load(folder / "checkpoints/last.pt", map_location="cpu", weights_only=True)[
            "step"
        ]
    found = json.loads((folders[ratios[0]] / "config.json").read_text())["found"]
    budget = f"{options.max_minutes} minutes" if options.max_minutes else f"{options.epochs} epochs"
    precision = "fp32" if found["precision"] == "no" else found["precision"]
    text = (
        f"{Path(options.dataset).name}, {found['train_pairs']} training and {found['val_pairs']} validation "
        f"pairs, {options.image_size} x {options.image_size}, batch {options.batch_size}, {budget} a run, "
        f"{options.gan_loss} loss, patch {options.receptive_field}, seed {options.seed}; "
        f"{machine(found['device'])}, {precision}\n\n{tables(rows, steps)}\n"
    )
    print(text)
    write_atomically(output / "table.md", lambda path: path.write_text(text))
    picture(folders, output / "pictures.png")


if __name__ == "__main__":
    run(main)
