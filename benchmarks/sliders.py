"""Instant edits under a moving slider: how long a picture takes, and whether the face moves without jumps.

    python benchmarks/sliders.py
    python benchmarks/sliders.py --seeds 0-31 --animate slim

For each edit: seconds for the first touch of a slider (its direction is fitted to the face), for a picture at
full size and for a preview of 256 pixels; and over an animation of the slider from 0 to 1 the largest change
between neighbouring frames, in units of the median one. CPU seconds over cores is what an undisturbed machine takes
at best; where others compute at the same time it tells more than the clock.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image

from common.commandline import DEVICES, UserError, choose_device, option, parse, parse_seeds, run
from draggan.face import Subject
from draggan.generators import DEFAULT_MODEL, ModelError, load_directions, load_generator
from draggan.instant import Sliders
from draggan.landmarks import landmark_detector


@dataclass
class Options:
    seeds: str = option("0-7", "faces")
    frames: int = option(21, "of the animation of each slider from 0 to 1")
    preview: int = option(256, "size of the preview")
    animate: str | None = option(None, "write the animation of this edit for the first seed as --output")
    output: str = option("output/slider.webp", "file of the animation")
    model: str = option(DEFAULT_MODEL, "face generator")
    device: str = option("auto", DEVICES)


def main() -> None:
    options = parse(Options, __doc__)
    device = choose_device(options.device)
    try:
        generator = load_generator(options.model, device)
        directions = load_directions(generator)
        detector = landmark_detector("auto", device)
    except ModelError as error:
        raise UserError(str(error)) from None
    if directions is None:
        raise UserError(
            f"{generator.name} has no directions; python draggan/learn_directions.py --model NAME"
        )
    print(
        f"{generator.name} on {device}, {torch.get_num_threads()} threads; medians over seeds {options.seeds}"
    )
    print("clock (CPU seconds over cores)")
    heads = ("first touch", str(generator.resolution), str(options.preview), "largest jump", "median jump")
    print(f"{'':12}" + "".join(f"{head:>18}" for head in heads))
    rows: dict[str, list[list[tuple[float, float]]]] = {}
    jumps: dict[str, list[tuple[float, float]]] = {}
    for seed in parse_seeds(options.seeds):
        sliders = Sliders(Subject(generator, detector, directions, seed).face())
        draw = lambda strengths, sliders=sliders: sliders.face(strengths).picture  # noqa: E731
        preview = lambda strengths, sliders=sliders: sliders.face(strengths).preview(options.preview)  # noqa: E731
        for name in sliders.available:
            times = [
                timed(sliders.scale, name),
                timed(draw, {name: 0.5}),
                timed(preview, {name: 0.5}),
            ]
            rows.setdefault(name, []).append(times)
            strengths = np.linspace(0, 1, options.frames)
            frames = [preview({name: s}) for s in strengths]
            changes = [np.abs(b.astype(int) - a).mean() / 255 for a, b in pairwise(frames)]
            jumps.setdefault(name, []).append(
                (max(changes) / statistics.median(changes), statistics.median(changes))
            )
            if name == options.animate:
                write_animation(Path(options.output), [*frames, *frames[::-1]])
                options.animate = None
    for name, times in rows.items():
        cells = [
            f"{statistics.median(t[i][0] for t in times):.2f} s ({statistics.median(t[i][1] for t in times):.2f})"
            for i in range(3)
        ]
        cells.append(f"{max(largest for largest, _ in jumps[name]):.2f} medians")
        cells.append(f"{statistics.median(m for _, m in jumps[name]):.5f}")
        print(f"{name:12}" + "".join(f"{cell:>18}" for cell in cells))


def timed(work: Callable, *arguments) -> tuple[float, float]:
    """Seconds by the clock, and of all cores over their number."""
    began, busy = time.perf_counter(), time.process_time()
    work(*arguments)
    return time.perf_counter() - began, (time.process_time() - busy) / torch.get_num_threads()


def write_animation(path: Path, frames: list[np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=others, duration=60, loop=0)
    print(f"wrote {path}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
