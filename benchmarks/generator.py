"""Time the face generator beside the same network as it was exported.

    python benchmarks/generator.py
    python benchmarks/generator.py --device cuda --repeats 50

Prints, for the full 1024x1024 image and for one forward and backward pass to the 128x128 feature map (what a
step of the drag costs), the median seconds of both, taken in turns in one run, and their ratio. The plain
network has the same weights and does what the exported graph says: wavelets as grouped transposed
convolutions, autograd's backward passes, no care for memory layout.
"""

import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import torch.nn.functional as F
from torch import Tensor

from common.commandline import DEVICES, UserError, choose_device, option, parse, run
from draggan.generators import ModelError, load_generator
from draggan.generators.mobile_stylegan import SLOPE, MobileStyleGAN


@dataclass
class Options:
    repeats: int = option(15, "how often each is timed")
    device: str = option("auto", DEVICES)
    seed: int = option(0, "the face")


class PlainMobileStyleGAN:
    """The exported graph, operation by operation."""

    def __init__(self, model: MobileStyleGAN):
        self.model = model
        self.weights = {k: v.contiguous() for k, v in model.state_dict().items()}

    def haar(self, bands: Tensor) -> Tensor:
        """Four transposed convolutions along the rows and two along the columns, a group for each channel."""
        low, vertical, horizontal, diagonal = bands.contiguous().chunk(4, dim=1)
        channels = low.shape[1]
        plus = bands.new_tensor([1.0, 1.0]).mul(0.5**0.5).view(1, 1, 2, 1).repeat(channels, 1, 1, 1)
        minus = bands.new_tensor([1.0, -1.0]).mul(0.5**0.5).view(1, 1, 2, 1).repeat(channels, 1, 1, 1)

        def rows(x: Tensor, taps: Tensor) -> Tensor:
            return F.conv_transpose2d(x.contiguous(), taps, stride=(2, 1), groups=channels)

        def columns(x: Tensor, taps: Tensor) -> Tensor:
            return F.conv_transpose2d(x, taps.transpose(2, 3), stride=(1, 2), groups=channels)

        left = rows(low, plus) + rows(vertical, minus)
        right = rows(horizontal, plus) + rows(diagonal, minus)
        return columns(left, plus) + columns(right, minus)

    def modulate(self, x: Tensor, name: str, w: Tensor) -> Tensor:
        style = F.linear(w, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])
        return x * style[:, :, None, None]

    def styled(self, x: Tensor, name: str, w: Tensor) -> Tensor:
        x = self.modulate(x, f"{name}.modulation", w)
        depthwise = self.weights.get(f"{name}.depthwise")
        if depthwise is not None:
            x = F.conv2d(x, depthwise, padding=1, groups=len(depthwise))
        weight = self.weights[f"{name}.weight"]
        x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        x = x + self.weights[f"{name}.noise"]
        x = x + self.weights[f"{name}.bias"].view(1, -1, 1, 1)
        return F.leaky_relu(x, SLOPE)

    def features(self, styles: Tensor, resolution: int) -> Tensor:
        x = self.styled(self.weights["constant"], "conv1", styles[:, 0])
        for i in range(len(self.model.blocks)):
            if x.shape[-1] == resolution:
                break
            x = self.haar(self.modulate(x, f"blocks.{i}.up", styles[:, 3 * i + 1]))
            x = self.styled(x, f"blocks.{i}.conv1", styles[:, 3 * i + 2])
            x = self.styled(x, f"blocks.{i}.conv2", styles[:, 3 * i + 3])
        return x

    def image(self, styles: Tensor) -> Tensor:
        x = self.modulate(self.features(styles, 512), "to_img_modulation", styles[:, -1])
        return self.haar(F.conv2d(x, self.weights["to_img.weight"], self.weights["to_img.bias"]))


def main() -> None:
    options = parse(Options, __doc__)
    if options.repeats < 1:
        raise UserError(f"--repeats {options.repeats}: at least 1")
    device = choose_device(options.device)
    try:
        model = load_generator("mobile-ffhq", device)
    except ModelError as error:
        raise UserError(str(error)) from None
    networks = {"plain": PlainMobileStyleGAN(model), "ours": model}
    styles = model.seed_styles(options.seed)

    def image(network) -> Tensor:
        with torch.no_grad():
            return network.image(styles)

    def step(network) -> Tensor:
        free = styles.clone().requires_grad_()
        features = network.features(free, 128)
        (gradient,) = torch.autograd.grad(features.square().mean(), free)
        return gradient

    where = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    )
    print(f"{device} ({where}), torch {torch.__version__}, median of {options.repeats}, taken in turns")
    print(f"{'':34}{'plain':>10}{'ours':>10}{'ratio':>8}{'largest difference':>22}")
    for name, work in (("image 1024x1024", image), ("forward + backward to 128x128", step)):
        results = {key: work(network) for key, network in networks.items()}  # warm-up, and the same result
        difference = (results["plain"] - results["ours"]).abs().max() / results["plain"].abs().max()
        seconds = {key: [] for key in networks}
        for _ in range(options.repeats):
            for key, network in networks.items():
                began = time.perf_counter()
                work(network)
                if device.type == "cuda":
                    torch.cuda.synchronize()
                seconds[key].append(time.perf_counter() - began)
        plain, ours = (statistics.median(seconds[key]) for key in networks)
        print(f"{name:34}{plain:9.3f}s{ours:9.3f}s{plain / ours:8.1f}{difference:22.1e}")


if __name__ == "__main__":
    run(main)
