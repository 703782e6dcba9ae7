"""The training rows of gpu.py, and what all of its rows need: printing, waiting for the device, timing."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from common.commandline import choose_device

ROOT = Path(__file__).resolve().parents[1]


def say(name: str, value: str, note: str = "") -> None:
    print(f"{name:<44}{value:>14}  {note}".rstrip(), flush=True)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(device: torch.device, work: Callable[[], object], repeats: int = 20) -> float:
    """Median milliseconds of some work, after two rounds to warm up."""
    found = []
    for number in range(repeats + 2):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        if number >= 2:
            found.append(1000 * (time.perf_counter() - began))
    return statistics.median(found)


class Clock:
    """How long a benchmark may go on."""

    def __init__(self, minutes: float):
        self._ends = time.monotonic() + 60 * minutes

    def left(self) -> float:
        """Seconds. TimeoutError where there are none."""
        seconds = self._ends - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the time is over; give more --minutes, or fewer --rows and --trainings")
        return seconds


def start(clock: Clock, *arguments: object) -> str:
    """What one of our commands prints. RuntimeError with its last words where it fails, or takes too long."""
    words = [sys.executable, *map(str, arguments)]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=clock.left())
    except subprocess.TimeoutExpired:
        clock.left()
        raise
    if done.returncode not in (0, 1) or not done.stdout.strip():  # 1: not all faces reached the edit
        raise RuntimeError((done.stderr.strip() or "no reason given").splitlines()[-1])
    return done.stdout


def reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def training(options, device: torch.device, output: Path, clock: Clock) -> None:
    dataset = options.dataset
    if dataset == "auto":
        dataset = "camvid" if (ROOT / "datasets" / "camvid").is_dir() else "datasets/faces"
    size, count = options.image_size, options.batch_size
    say(
        "training",
        "",
        f"{dataset}, {size} x {size}, batch {count}, {options.epochs} epochs; images a second, loading",
    )
    say("", "", "and augmenting included; GAN at every step; median of the epochs but the first")
    names = [name for name in options.trainings.split(",") if name]
    first, *others = names or [""]
    fastest = measured(first, dataset, options, device, output, clock) if first else 0.0
    # Theirs comes beside our first one, whatever the others will take.
    if options.junyanz is None:
        say("junyanz's pix2pix", "skipped", "give a checkout with --junyanz")
    else:
        for theirs in dict.fromkeys((count, 1)):
            beside(theirs, fastest, first, dataset, options, device, clock)
    for name in others:
        measured(name, dataset, options, device, output, clock)


def measured(name: str, dataset: str, options, device: torch.device, output: Path, clock: Clock) -> float:
    """Images a second of one training, printed; 0 where it failed, and why is printed."""
    try:
        speed, note = train(name, dataset, options, device, output / name, clock)
    except (RuntimeError, OSError, ValueError) as error:
        say(f"train_{name}", "failed", reason(error))
        return 0.0
    say(f"train_{name}", f"{speed:.1f} /s", note)
    return speed


def beside(
    batch: int, ours: float, name: str, dataset: str, options, device: torch.device, clock: Clock
) -> None:
    """The same of the pix2pix of --junyanz with that many pictures a step."""
    words = [*("benchmarks/gpu.py", "--worker", "junyanz", "--junyanz", Path(options.junyanz).resolve())]
    words += ["--dataset", dataset, "--batch-size", batch, "--device", device]
    try:
        speed = float(start(clock, *words, "--image-size", options.image_size).splitlines()[-1])
    except (RuntimeError, OSError, ValueError) as error:
        say(f"junyanz's pix2pix, batch {batch}", "failed", reason(error))
        return
    note = f"unet_256 and PatchGAN, float32 as it comes; train_{name} is {ours / speed:.1f} times as fast"
    say(f"junyanz's pix2pix, batch {batch}", f"{speed:.1f} /s", note)


def train(
    name: str, dataset: str, options, device: torch.device, folder: Path, clock: Clock
) -> tuple[float, str]:
    """Images a second of one training, and a note on its last validation."""
    script, precision, *compiled = name.split("-")
    more = ["--gan-start", 0, "--gan-ramp", 0] if script == "cgan" else []
    began = time.perf_counter()
    start(
        clock,
        *(f"train_{script}.py", "--dataset", dataset, "--output", folder, "--precision", precision),
        *(
            "--compile",
            "on" if compiled else "off",
            "--epochs",
            options.epochs,
            "--val-every",
            options.epochs,
        ),
        *("--image-size", options.image_size, "--batch-size", options.batch_size, "--device", device, *more),
    )
    lines = (folder / "training_log.txt").read_text().splitlines()
    rows = [{k: float(v) for k, v in (part.split("=") for part in line.split())} for line in lines]
    last = rows[-1]
    scores = f"mIoU {last['val_miou']:.3f}, " if "val_miou" in last else ""
    note = f"{scores}L1 {last['val_l1']:.4f}; {time.perf_counter() - began:.0f} s in all"
    speeds = [row["images_per_s"] for row in rows[1:]] or [rows[0]["images_per_s"]]
    return statistics.median(speeds), note


def junyanz(options) -> None:
    """A worker: images a second of their data set and model, called as their train.py calls them."""
    from common import torchvision_ops  # noqa: F401  before their import of torchvision

    sys.path.insert(0, str(options.junyanz))
    gpu = str(choose_device(options.device).index or 0) if "cuda" in options.device else "-1"
    root = ROOT / "datasets" / options.dataset
    size, workers = options.image_size, min(8, (os.cpu_count() or 2) // 2)
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = [
            *("train.py", "--dataroot", str(root if root.is_dir() else ROOT / options.dataset)),
            *("--name", "x", "--model", "pix2pix", "--direction", "AtoB", "--checkpoints_dir", folder),
            *("--batch_size", str(options.batch_size), "--num_threads", str(workers), "--gpu_ids", gpu),
            *("--load_size", str(size * 286 // 256), "--crop_size", str(size)),
        ]
        from data import create_dataset
        from models import create_model
        from options.train_options import TrainOptions

        settings = TrainOptions().parse()
        data, model = create_dataset(settings), create_model(settings)
        model.setup(settings)
        seen, began, steps = 0, 0.0, 0
        while steps < 12 or (time.perf_counter() - began < 6 and steps < 400):
            for batch in data:
                model.set_input(batch)
                model.optimize_parameters()
                steps += 1
                if steps == 10:  # the first ones choose kernels
                    wait(model.device)
                    seen, began = 0, time.perf_counter()
                seen += len(batch["A"])
        wait(model.device)
    print((seen - options.batch_size) / (time.perf_counter() - began))
