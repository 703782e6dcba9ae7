"""What many classes cost: training speed and memory with label maps of 2 to 256 colours.

    python benchmarks/classes.py
    python benchmarks/classes.py --classes 11,150,256 --steps 40 --device cuda

For each number of classes it makes label maps of so many colours (areas around random points), trains train_cgan.py on
them for some steps from random weights, the GAN from the first step on, and prints the pictures a second and the
largest memory of the process, taken in turns.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image

from common.commandline import DEVICES, UserError, choose_device, option, parse, run

STEP = """
import resource, sys
from train_cgan import main
sys.argv = ["train_cgan.py"] + sys.argv[1:]
try:
    main()
finally:
    print("MIB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@dataclass
class Options:
    """The options of classes.py."""

    classes: str = option("2,11,64,150,256", "numbers of classes, separated by commas")
    steps: int = option(24, "training steps of each, of 8 pictures")
    rounds: int = option(2, "how often each is timed, in turns")
    image_size: int = option(256, "side of the pictures in pixels")
    device: str = option("auto", DEVICES)
    seed: int = option(0, "seed of the pictures")


def make_pairs(root: Path, classes: int, count: int, side: int, seed: int) -> None:
    """A|B pictures whose label half has ``classes`` colours over the set."""
    rng = np.random.default_rng(seed)
    levels = np.linspace(0, 255, 7).round()
    colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 3)[rng.permutation(343)[:classes]]
    grid = torch.cartesian_prod(torch.arange(side), torch.arange(side)).double()
    for split, number in (("train", count), ("val", 2)):
        (root / split).mkdir(parents=True)
        for k in range(number):
            points = torch.from_numpy(rng.uniform(0, side, (max(classes, 40), 2)))
            index = torch.cdist(grid, points).argmin(dim=1).reshape(side, side).numpy() % classes
            label = colours[index].astype(np.uint8)
            photo = np.clip(label * 0.6 + rng.normal(60, 20, label.shape), 0, 255).astype(np.uint8)
            Image.fromarray(np.hstack([photo, label])).save(root / split / f"{k}.png")


def measure(data: Path, output: Path, options: Options) -> tuple[float, int]:
    """Pictures a second in training, and MiB."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", STEP, "--dataset", data, "--output", output, "--epochs", "2"),
            *("--encoder", "scratch", "--gan-start", "0", "--device", options.device, "--compile", "off"),
            *("--image-size", str(options.image_size), "--workers", "0", "--pictures", "1"),
        ],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise UserError(f"train_cgan.py failed: {done.stderr.strip().splitlines()[-1]}")
    last = (output / "training_log.txt").read_text().splitlines()[-1]  # the first epoch warms up
    row = dict(part.split("=") for part in last.split())
    return float(row["images_per_s"]), int(done.stdout.rsplit("MIB ", 1)[1])


def main() -> None:
    options = parse(Options, __doc__)
    try:
        numbers = [int(text) for text in options.classes.split(",")]
    except ValueError:
        raise UserError(f"--classes {options.classes}: write numbers as 2,11,256") from None
    if min(numbers) < 2 or max(numbers) > 256 or options.steps < 1 or options.rounds < 1:
        raise UserError("--classes must be from 2 to 256, --steps and --rounds at least 1")
    choose_device(options.device)
    found: dict[int, list[tuple[float, int]]] = {number: [] for number in numbers}
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            make_pairs(Path(folder, str(number)), number, options.steps * 8, options.image_size, options.seed)
        for turn in range(options.rounds):
            for number in numbers:
                output = Path(folder, f"run-{number}-{turn}")
                found[number].append(measure(Path(folder, str(number)), output, options))
    print(
        f"{options.device}, {torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%F')}"
    )
    print(
        f"{options.steps} steps of 8 pictures, side {options.image_size}; median of {options.rounds}, in turns"
    )
    print(f"{'classes':>8}{'images/s':>10}{'MiB':>8}")
    for number, values in found.items():
        speed, memory = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{number:8}{speed:10.1f}{memory:8.0f}")


if __name__ == "__main__":
    run(main)
