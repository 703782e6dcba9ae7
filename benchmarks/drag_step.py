"""How long one step of a drag takes, and how much memory: ours, and the official DragGAN beside it.

    python benchmarks/drag_step.py --model stylegan2 --resolution 1024 --points 1,5
    python benchmarks/drag_step.py --model stylegan2 --resolution 256,512,1024 --official ../DragGAN
    python benchmarks/drag_step.py --model mobile-ffhq

``stylegan2`` is a StyleGAN2 of the published size with random weights; any other name is a model in
checkpoints/. A step is: feature map, motion supervision, backward pass to the styles, Adam, point tracking.
``--official`` takes a checkout of github.com/XingangPan/DragGAN (code under NVIDIA's non-commercial licence;
needs its requirements, of which numpy, torch, scipy, click, requests and tqdm are enough here) and runs its
own step on the same size of network. Both run in processes of their own and take steps in turn, so that what
else the machine does falls on both; the figures are medians. "CPU time" is the ratio of the seconds that the
cores worked for each: it hardly depends on what else they do.

Ours is also checked: feature map and gradient in the fast type against float32 (cosine).
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.commandline import DEVICES, UserError, choose_device  # noqa: E402

HEADS = ("resolution", "points", "ours s", "ours GB", "official s", "official GB", "  time", "CPU time")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", default="stylegan2", help="stylegan2 or a name in checkpoints/ (%(default)s)"
    )
    parser.add_argument("--resolution", default="1024", help="of stylegan2, some with commas (%(default)s)")
    parser.add_argument("--points", default="1,5", help="how many at once, some with commas (%(default)s)")
    parser.add_argument("--steps", type=int, default=9, help="timed steps each (%(default)s)")
    parser.add_argument("--official", type=Path, help="a checkout of DragGAN to run beside ours")
    parser.add_argument("--device", default="auto", help=f"{DEVICES} (%(default)s)")
    parser.add_argument(
        "--type",
        default="auto",
        choices=("auto", "float32", "bfloat16"),
        help="of feature maps (%(default)s)",
    )
    parser.add_argument("--threads", type=int, default=0, help="0: as many as torch takes")
    parser.add_argument("--seed", type=int, default=0, help="of weights, image and points (%(default)s)")
    parser.add_argument("--worker", choices=("ours", "official"), help=argparse.SUPPRESS)
    return parser.parse_args()


def points(resolution: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Handles and targets (count, 2), (x, y): an eighth of the image apart, so that no drag arrives."""
    random = np.random.RandomState(seed)
    handles = random.uniform(0.3, 0.7, (count, 2)) * resolution
    angle = random.uniform(0, 2 * np.pi, count)
    return handles, handles + resolution / 8 * np.stack((np.cos(angle), np.sin(angle)), axis=1)


def feature_type(options: argparse.Namespace) -> torch.dtype:
    from draggan.generators.stylegan2 import fast_dtype

    return fast_dtype(options.device) if options.type == "auto" else getattr(torch, options.type)


# --- the two implementations: each yields a description, then what a step took ---------------------------


def ours(options: argparse.Namespace) -> Iterator[dict]:
    from draggan.drag import Drag, Settings
    from draggan.generators import keep_freed_memory, load_generator
    from draggan.generators.stylegan2 import random_generator
    from draggan.generators.stylegan2_layers import config_f

    if options.model == "stylegan2":
        if options.device == "cpu":
            keep_freed_memory()  # as load_generator does
        generator = random_generator(config_f(int(options.resolution)), options.seed)
        generator = generator.to(options.device, memory_format=torch.channels_last)
    else:
        generator = load_generator(options.model, options.device)
    if hasattr(generator, "feature_dtype"):
        generator.feature_dtype = feature_type(options)
    styles = generator.seed_styles(options.seed)
    handles, targets = points(generator.resolution, int(options.points), options.seed)
    settings = Settings(max_steps=10_000, patience=10_000)
    drag = Drag(generator, styles, handles, targets, settings=settings)
    dtype = getattr(generator, "feature_dtype", torch.float32)
    yield {"resolution": generator.resolution, "type": str(dtype).removeprefix("torch.")}
    while True:
        began = time.perf_counter()
        drag.step()
        yield {"seconds": time.perf_counter() - began, "stopped": drag.stopped}


def agreement(options: argparse.Namespace) -> tuple[float, float]:
    """Cosine of the feature map and of the gradient toward w in the fast type to those in float32."""
    from draggan.generators.stylegan2 import random_generator
    from draggan.generators.stylegan2_layers import config_f

    generator = random_generator(config_f(int(options.resolution)), options.seed)
    generator = generator.to(options.device, memory_format=torch.channels_last)
    handles, targets = points(generator.resolution, int(options.points), options.seed)
    results = []
    for dtype in (torch.float32, feature_type(options)):
        generator.feature_dtype = dtype
        styles = generator.seed_styles(options.seed).requires_grad_()
        features = generator.features(styles)
        loss = motion_loss(features, handles, targets, generator.resolution)
        (gradient,) = torch.autograd.grad(loss, styles)
        results.append((features.detach().flatten().double(), gradient.flatten().double()))
    (features, gradient), (fast_features, fast_gradient) = results
    cosine = torch.nn.functional.cosine_similarity
    return float(cosine(features, fast_features, 0)), float(cosine(gradient, fast_gradient, 0))


def motion_loss(features, handles: np.ndarray, targets: np.ndarray, resolution: int) -> torch.Tensor:
    """Motion supervision as published: L1 between discs of 3 pixels and the same a pixel on (at 512)."""
    unit = resolution / 512
    ticks = np.arange(-3, 3.1, 0.5)
    disc = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    disc = disc[np.hypot(*disc.T) <= 3]
    direction = (targets - handles) / np.linalg.norm(targets - handles, axis=1, keepdims=True)

    def sample(places: np.ndarray) -> torch.Tensor:
        grid = torch.from_numpy((places + 0.5) * 2 / resolution - 1).to(features)
        return torch.nn.functional.grid_sample(features, grid[None], align_corners=False)

    here = handles[:, None] + disc * unit
    return (sample(here + direction[:, None] * unit) - sample(here).detach()).abs().mean()


def official(options: argparse.Namespace) -> Iterator[dict]:
    """The step of the official renderer, called as its interface calls it, but without its window."""
    sys.path.insert(0, str(options.official.resolve()))
    os.chdir(options.official)
    import dnnlib
    from training.networks_stylegan2 import Generator
    from viz.renderer import Renderer

    resolution = int(options.resolution)
    torch.manual_seed(options.seed)
    network = Generator(z_dim=512, c_dim=0, w_dim=512, img_resolution=resolution, img_channels=3)
    network = network.eval().requires_grad_(False).to(options.device)
    renderer = Renderer(disable_timing=True)
    renderer._device = torch.device(options.device)
    renderer.get_network = lambda *_, **__: network
    handles, targets = points(resolution, int(options.points), options.seed)
    handles, targets = ([[int(y), int(x)] for x, y in places] for places in (handles, targets))
    result = dnnlib.EasyDict()
    renderer.init_network(result, pkl="stylegan2", w0_seed=options.seed, lr=0.001)
    yield {"resolution": resolution, "type": "float32" if options.device == "cpu" else "float16/float32"}
    while True:
        began = time.perf_counter()
        renderer._render_drag_impl(result, handles, targets, is_drag=True)
        handles = result.points
        image = result.image.cpu()  # waits for the device
        yield {"seconds": time.perf_counter() - began, "stopped": None, "image": list(image.shape)}


def work(options: argparse.Namespace) -> None:
    """A worker: one line of JSON for each line on stdin."""
    steps = {"ours": ours, "official": official}[options.worker](options)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the others print goes to stderr
    print(json.dumps(next(steps)), file=out, flush=True)
    for _ in sys.stdin:
        began = time.process_time()
        record = next(steps)
        record["cpu"] = time.process_time() - began
        record["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if options.device.startswith("cuda"):
            record["memory"] = torch.cuda.max_memory_allocated()
        print(json.dumps(record), file=out, flush=True)


# --- the command ------------------------------------------------------------------------------------------


class Worker:
    """A process that takes one step when told to."""

    def __init__(self, kind: str, options: argparse.Namespace, resolution: int, count: int):
        command = [sys.executable, __file__, "--worker", kind, "--model", options.model]
        command += ["--resolution", str(resolution), "--points", str(count), "--seed", str(options.seed)]
        command += ["--device", options.device, "--threads", str(options.threads), "--type", options.type]
        if options.official:
            command += ["--official", str(options.official)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.about = self._read()
        self.seconds: list[float] = []
        self.cpu: list[float] = []
        self.memory = 0.0

    def _read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            reason = (self.process.communicate()[1].strip().splitlines() or ["no reason given"])[-1]
            raise RuntimeError(reason)
        return json.loads(line)

    def step(self, timed: bool) -> None:
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        record = self._read()
        if record["stopped"]:
            raise RuntimeError(f"the drag stopped: {record['stopped']}")
        self.memory = record["memory"] / 1e9
        if timed:
            self.seconds.append(record["seconds"])
            self.cpu.append(record["cpu"])

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def compare(options: argparse.Namespace, resolution: int, count: int) -> None:
    """One row of the table."""
    workers = {"ours": Worker("ours", options, resolution, count)}
    resolution = workers["ours"].about["resolution"]
    if options.official and options.model == "stylegan2":
        try:
            workers["official"] = Worker("official", options, resolution, count)
        except RuntimeError as error:
            print(f"the official code does not run here ({error}); ours alone")
    try:
        for number in range(options.steps + 2):
            for worker in workers.values():
                worker.step(timed=number >= 2)
    finally:
        for worker in workers.values():
            worker.close()
    mine, other = workers["ours"], workers.get("official")
    seconds = statistics.median(mine.seconds)
    row = [f"{resolution}", f"{count}", f"{seconds:.3f}", f"{mine.memory:.2f}"]
    if other:
        theirs = statistics.median(other.seconds)
        row += [f"{theirs:.3f}", f"{other.memory:.2f}", f"1/{theirs / seconds:.1f}"]
        if options.device == "cpu":
            row.append(f"1/{statistics.median(other.cpu) / statistics.median(mine.cpu):.1f}")
    print("  ".join(f"{cell:>{len(head)}}" for cell, head in zip(row, HEADS, strict=False)), flush=True)


def machine(device: str) -> str:
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    if device.startswith("cuda"):
        name = f"{torch.cuda.get_device_name(device)}, {name}"
    return f"{name}, {os.cpu_count()} CPU cores, torch {torch.__version__}"


def main() -> int:
    options = parse()
    try:
        options.device = str(choose_device(options.device))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.worker:
        work(options)
        return 0
    if options.official and not (options.official / "viz" / "renderer.py").is_file():
        print(f"{options.official} is not a checkout of DragGAN (no viz/renderer.py): ours alone")
        options.official = None
    from draggan.generators import ModelError

    print(machine(options.device))
    print(f"model {options.model}, {options.steps} steps each, medians; load {os.getloadavg()[0]:.1f}")
    if options.model == "stylegan2":
        print(f"feature maps in {str(feature_type(options)).removeprefix('torch.')}")
    print("\n" + "  ".join(HEADS))
    resolutions = [int(r) for r in options.resolution.split(",")] if options.model == "stylegan2" else [0]
    counts = [int(p) for p in options.points.split(",")]
    try:
        for resolution in resolutions:
            for count in counts:
                compare(options, resolution, count)
    except (RuntimeError, ModelError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.model == "stylegan2":
        options.resolution, options.points = str(resolutions[-1]), str(counts[-1])
        features, gradient = agreement(options)
        print(f"\ncosine to float32: feature map {features:.5f}, gradient toward w {gradient:.5f}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
