"""What a graphics card makes of this project, in one table within ten minutes.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --rows card,edits,batch --faces 10
    python benchmarks/gpu.py --dataset camvid --junyanz ../pytorch-CycleGAN-and-pix2pix --official ../DragGAN
    python benchmarks/gpu.py --device cpu --rows generator          # works without a card, too

Rows: ``card``; ``edits``, seconds from the click to the edited face, of each edit; ``batch``, faces a second of
edit_faces.py, one process and several at once; ``drag``, a drag's step on a StyleGAN2 of 1024 pixels with random
weights, beside the official code where ``--official`` gives a checkout of it; ``generator``, the default
generator's picture, feature map, and forward and backward pass; ``photo``, how long a photo's face takes to be
found in the generator; ``training``, images a second and what the network has learned after ``--epochs``, of
both scripts, with and without torch.compile and bfloat16, beside the pix2pix of github.com/junyanz where
``--junyanz`` gives a checkout of it.

A row that fails says why, and the next one follows. Works with the weights of `python download_models.py`.
"""

import json
import os
import re
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

from benchmarks.gpu_training import Clock, junyanz, reason, say, start, timed, training, wait
from common.commandline import DEVICES, UserError, choose_device, option, parse, run

ROOT = Path(__file__).resolve().parents[1]
EDITS = ("smile", "slim", "close-eyes")
STEPS = re.compile(r"^ *(\d+) +(\d+) +([\d.]+) +([\d.]+)", re.MULTILINE)  # of drag_step.py's table


@dataclass
class Options:
    rows: str = option("card,generator,drag,edits,batch,photo,training", "what to measure, with commas")
    faces: int = option(30, "faces for the edits")
    processes: int = option(4, "of edit_faces.py at once, for the second batch row")
    dataset: str = option("auto", "for the training; auto: camvid where it is in datasets/, else faces")
    image_size: int = option(256, "side of the training pictures in pixels")
    batch_size: int = option(8, "pictures a training step")
    epochs: int = option(12, "of each training")
    trainings: str = option(
        "l1-bf16-compiled,l1-bf16,l1-fp32,cgan-bf16", "which, with commas; also cgan-bf16-compiled and so on"
    )
    minutes: float = option(10.0, "at most in all; what is not done by then is left away")
    junyanz: str | None = option(None, "a checkout of pytorch-CycleGAN-and-pix2pix to time beside ours")
    official: str | None = option(None, "a checkout of DragGAN to time beside ours")
    output: str | None = option(None, "folder for what the rows write; None: one that is taken away again")
    device: str = option("auto", DEVICES)
    worker: str | None = option(None, "used by this script itself")


# --- the rows -------------------------------------------------------------------------------------------------


def card(options: Options, device: torch.device, output: Path, clock: Clock) -> None:
    name = "no GPU"
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        name = f"{about.name}, {about.total_memory / 2**30:.0f} GiB"
    say("device", "", f"{device}: {name}")
    cuda = (
        f", CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}" if torch.version.cuda else ""
    )
    say("software", "", f"torch {torch.__version__}{cuda}, Python {sys.version.split()[0]}")
    say("processor", "", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")


def generator(options: Options, device: torch.device, output: Path, clock: Clock) -> None:
    from draggan.drag import Drag, Settings
    from draggan.generators import load_generator

    model = load_generator(device=device)
    styles = model.seed_styles(0)
    free = styles.clone().requires_grad_()

    def backward() -> None:
        torch.autograd.grad(model.features(free, 128).square().mean(), free)

    with torch.no_grad():
        say("image 1024", f"{timed(device, lambda: model.image(styles)):.2f} ms", "MobileStyleGAN, float32")
        say("features 128", f"{timed(device, lambda: model.features(styles, 128)):.2f} ms")
    say("features 128, forward and backward", f"{timed(device, backward):.2f} ms")
    picture = timed(device, lambda: model.picture(styles))
    say("picture 1024 as an array on the host", f"{picture:.2f} ms")
    handles = np.array([(512.0, 700.0)])
    drag = Drag(model, styles, handles, handles + 100, settings=Settings(max_steps=10_000, patience=10_000))
    say("drag's step, 1 point", f"{timed(device, drag.step):.2f} ms", "features at 128")


def drag(options: Options, device: torch.device, output: Path, clock: Clock) -> None:
    command = ["benchmarks/drag_step.py", "--points", "1,5", "--steps", 30, "--device", device]
    found = start(
        clock, *command, *(("--official", Path(options.official).resolve()) if options.official else ())
    )
    for resolution, points, seconds, memory in STEPS.findall(found):
        note = f"StyleGAN2, random weights, {memory} GB"
        say(
            f"drag's step at {resolution}, {points} point{'s' * (points != '1')}",
            f"{1000 * float(seconds):.1f} ms",
            note,
        )
    print(found.strip(), file=sys.stderr)
    for line in found.splitlines():
        if line.startswith("cosine"):
            say("", "", line)


def edits(options: Options, device: torch.device, output: Path, clock: Clock) -> None:
    """Seconds from the click to the edited face with its landmarks, on faces that are shown already."""
    from draggan.editor import EditTask
    from draggan.face import Subject
    from draggan.generators import load_directions, load_generator
    from draggan.landmarks import landmark_detector

    model = load_generator(device=device)
    detector, directions = landmark_detector("auto", device), load_directions(model)
    seconds = {name: [] for name in EDITS}
    done = dict.fromkeys(EDITS, 0)
    dragged = dict.fromkeys(EDITS, 0)
    for seed in range(-2, options.faces):  # two faces to warm up
        face = Subject(model, detector, directions, seed=seed % 1000).face()
        for name in EDITS:
            task = EditTask(face, name)  # finds the landmarks of the face
            wait(device)
            began = time.perf_counter()
            for _ in task:
                pass
            _ = task.face.picture, task.face.points  # what is shown and what the next edit begins with
            if seed >= 0:
                seconds[name].append(time.perf_counter() - began)
                done[name] += task.ok
                dragged[name] += task.result.steps > 0
    for name in EDITS:
        slowest = max(seconds[name])
        note = f"median of {options.faces} faces, slowest {slowest:.2f} s, {done[name]} reached"
        say(
            f"one-click {name}",
            f"{statistics.median(seconds[name]):.3f} s",
            f"{note}, {dragged[name]} dragged",
        )
    together = [s for each in seconds.values() for s in each]
    say("one-click edit", f"{statistics.median(together):.3f} s", f"median of all {len(together)}")
    styles = model.seed_styles(0)
    picture = model.picture(styles)
    find = timed(device, lambda: detector.detect(picture))
    say("... of it landmarks, each look", f"{find:.1f} ms", f"{detector.name}, on the processor")
    say("... of it the picture, each look", f"{timed(device, lambda: model.picture(styles)):.1f} ms")


def batch(options: Options, device: torch.device, output: Path, clock: Clock) -> None:
    """edit_faces.py as anybody runs it: its pictures, landmarks and identity included, its start left away."""

    def command(folder: Path, first: int) -> list:
        last = first + options.faces - 1
        return [
            *("draggan/edit_faces.py", "--edit", "smile", "--seeds", f"{first}-{last}"),
            *("--output", folder, "--device", device),
        ]

    def measured(folder: Path) -> list[float]:
        lines = (folder / "edits.jsonl").read_text().splitlines()
        return [json.loads(line)["seconds"] for line in lines]

    start(clock, *command(output / "batch", 0))
    seconds = measured(output / "batch")[1:]  # the first one warms up
    say(
        "edit_faces.py, one process",
        f"{len(seconds) / sum(seconds):.2f} faces/s",
        "smile, PNGs and identity too",
    )
    if options.processes < 2:
        return
    folders = [output / f"batch_{k}" for k in range(options.processes)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, *map(str, command(folder, 1000 * (k + 1)))],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for k, folder in enumerate(folders)
    ]
    for process in running:
        process.wait()
    rate = sum(len(s) / sum(s) for s in (measured(folder)[1:] for folder in folders))
    say(f"edit_faces.py, {options.processes} processes at once", f"{rate:.2f} faces/s")


def photo(options: Options, device: torch.device, output: Path, clock: Clock) -> None:
    """A photo's face into the generator, and the edits in it; the photo is scikit-image's where that is installed.

    The first one of a process takes longer: a GPU's library chooses and loads a kernel for each layer.
    """
    from draggan.editor import EditTask
    from draggan.generators import load_directions, load_generator
    from draggan.inversion import Preset
    from draggan.landmarks import landmark_detector
    from draggan.perceptual import Perceptual
    from draggan.photo_editor import CutOut, PhotoTask
    from draggan.photos import find_faces, open_photo

    model = load_generator(device=device)
    path = output / "face.png"
    try:
        from skimage.data import astronaut

        pixels, what = astronaut(), "scikit-image's astronaut"
    except ImportError:
        pixels, what = model.picture(model.seed_styles(7, psi=1.0)), "a generated face as a photo"
    Image.fromarray(pixels).save(path)
    detector, directions, perceptual = (
        landmark_detector("auto", device),
        load_directions(model),
        Perceptual(device),
    )
    opened = open_photo(path)
    cut_out = CutOut(opened, find_faces(opened, detector)[0], model.resolution)

    def found(preset: str | Preset) -> tuple[PhotoTask, float]:
        task = PhotoTask(cut_out, model, detector, directions, preset, perceptual)
        wait(device)
        began = time.perf_counter()
        for _ in task:
            pass
        wait(device)
        return task, time.perf_counter() - began

    say(
        "photo, first step of the process",
        f"{found(Preset(1, 1))[1]:.2f} s",
        "of the styles and of the weights",
    )
    for preset in ("fast", "best"):
        task, seconds = found(preset)
        drawn = task.inversion.result.generator.picture(task.inversion.result.styles)
        say(f"photo, {preset}", f"{seconds:.2f} s", f"{what}; error on the face {cut_out.error(drawn):.4f}")
        for name in EDITS:
            edit = EditTask(task.face, name)
            began = time.perf_counter()
            for _ in edit:
                pass
            note = f"{edit.reason}, {edit.result.steps} steps"
            say(f"... then {name}", f"{time.perf_counter() - began:.2f} s", note)


# --- the command ----------------------------------------------------------------------------------------------

ROWS = {row.__name__: row for row in (card, generator, drag, edits, batch, photo, training)}


def measure(options: Options, names: list[str], device: torch.device, output: Path) -> None:
    clock = Clock(options.minutes)
    for name in names:
        began = time.perf_counter()
        try:
            clock.left()
            ROWS[name](options, device, output, clock)
        except Exception as error:  # whatever a card, a driver or a missing package comes up with
            say(name, "failed", f"{type(error).__name__}: {reason(error)}")
        if device.type == "cuda":
            torch.cuda.empty_cache()  # other processes use the card, too
        print(f"[{name}: {time.perf_counter() - began:.0f} s]", file=sys.stderr, flush=True)


def main() -> None:
    options = parse(Options, __doc__)
    if options.worker:
        junyanz(options)
        return
    device = choose_device(options.device)
    names = [name.strip() for name in options.rows.split(",")]
    if unknown := [name for name in names if name not in ROWS]:
        raise UserError(f"--rows {unknown[0]}: known are {', '.join(ROWS)}")
    if not options.minutes > 0:
        raise UserError(f"--minutes {options.minutes:g}: must be above 0; ten are enough on a fast card")
    if options.faces < 2:
        raise UserError(f"--faces {options.faces}: at least 2; the first one warms up")
    if options.output:
        output = Path(options.output).resolve()
        output.mkdir(parents=True, exist_ok=True)
        measure(options, names, device, output)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(options, names, device, Path(folder))


if __name__ == "__main__":
    run(main)
