"""StyleGAN2 (Karras et al. 2020, arXiv 1912.04958) as plain PyTorch, made fast for dragging.

Mapping network and style-based synthesis as in the papers (the first: arXiv 1812.04948), with the three
ways of going from features to an image that the second compares: ``skip`` (every block adds to the image,
the default), ``resnet`` (residual blocks) and ``orig`` (only the last block makes an image). Noise is
constant. No compiled extensions: the up-sampling filter is a depthwise convolution.

What makes a drag's step cheap:

* the style scales the activations that enter a convolution and the demodulation scales those that leave it
  (section 2.2 of the paper: the same as scaling the weights), so the weights stay what they are, no copy
  is made for a sample and no gradient toward them is formed;
* one autograd node a layer with a backward pass of its own, which keeps two tensors a layer;
* the synthesis stops at the wanted feature map; the image is made only when asked for;
* everything is channels-last, and the features are computed in ``feature_dtype``: bfloat16 where the
  device multiplies it faster (`fast_dtype`), while images are always float32.

All constant factors of the training (equalised learning rates, activation gains, noise strengths) are
folded into the weights when a file is read (weights.py).
"""

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Generator, Partial
from .stylegan2_layers import EPSILON, GAIN, SLOPE, Block, Config, StyledConv, upsample

MEAN_SEED, MEAN_SAMPLES = 12345, 4096  # of the truncation centre, where a file brings none
MEAN_EFFORT = 1 << 34  # multiplications: a file whose mapping network is a giant gets fewer samples


class StyleGAN2(Generator):
    """A StyleGAN2 of any published size. Rows: one for each convolution, one for the last to-RGB layer.

    Where the network's image is half as wide as high, image and feature maps are padded to squares (white,
    zeros), so that all coordinates go by one scale.
    """

    def __init__(self, config: Config, name: str = "stylegan2"):
        super().__init__()
        self.config = config
        self.name = name
        self.resolution = config.resolution
        self.z_dim, self.w_dim = config.mapping[0], config.mapping[-1]
        self.num_rows = 2 * len(config.channels)
        self.feature_resolutions = tuple(4 << i for i in range(len(config.channels)))
        self.feature_resolution = min(128, config.resolution)  # DragGAN's choice
        self.free_rows = min(6, self.num_rows)  # DragGAN's choice
        self.is_face, self.classes = config.is_face, config.classes
        self.feature_dtype = torch.float32  # see `fast_dtype`

        sizes = zip(config.mapping, config.mapping[1:], strict=False)
        self.mapping = nn.ModuleList(nn.Linear(n, m) for n, m in sizes)
        self.register_buffer("mean_w", torch.empty(self.w_dim))
        if config.classes:  # what each class adds to the first layer
            self.register_buffer("class_bias", torch.empty(config.classes, config.mapping[1]))
        channels = config.channels
        self.constant = nn.Parameter(torch.empty(1, channels[0], 4, 2 if config.half_width else 4))
        self.blocks = nn.ModuleList(
            Block(config, channels[i - 1] if i else None, channels[i], 4 << i) for i in range(len(channels))
        )
        self.requires_grad_(False)

    def map(self, z: Tensor) -> Tensor:
        w = z * (z.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()
        for i, layer in enumerate(self.mapping):
            w = layer(w)
            if i == 0 and self.label is not None:
                w = w + self.class_bias[self.label]
            w = F.leaky_relu(w, SLOPE) * GAIN
        return w

    def features(self, styles: Tensor, resolution: int | None = None, start: Partial | None = None) -> Tensor:
        """Feature map after the block of that resolution, float32 whatever ``feature_dtype`` is."""
        resolution = resolution or self.feature_resolution
        self._check(styles, resolution, start)
        x = self._constant(len(styles)) if start is None else start.features
        x = x.to(self.feature_dtype)
        for size, block, rows, _ in self._steps(styles, start):
            if size > resolution:
                break
            x = block(x, rows)
        return self._square(x.float(), 0.0)

    def partial(self, styles: Tensor, resolution: int, start: Partial | None = None) -> Partial:
        self._check(styles, resolution, start)
        x, colours = (self._constant(len(styles)), None) if start is None else (start.features, start.colours)
        for size, block, rows, colour_row in self._steps(styles, start):
            if size > resolution:
                break
            x = block(x, rows)
            if block.to_rgb is not None:
                rgb = block.to_rgb(x, colour_row)
                colours = rgb if colours is None else upsample(colours) + rgb
        return Partial(resolution, x, colours)

    def image(self, styles: Tensor, start: Partial | None = None) -> Tensor:
        return self._square(self.partial(styles, self.resolution, start).colours, 1.0)

    def preview(self, styles: Tensor, size: int, start: Partial | None = None) -> Tensor:
        if self.config.architecture != "skip" or size not in self.feature_resolutions:
            return super().preview(styles, size, start)
        if start is not None and size < start.resolution:
            return super().preview(styles, size, start)
        # The colours summed up so far are the image at that resolution.
        return self._square(self.partial(styles, size, start).colours, 1.0)

    def tunable(self) -> dict[str, nn.Parameter]:
        ends = ("conv0.weight", "conv1.weight", "conv0.bias", "conv1.bias", "to_rgb.weight", "to_rgb.bias")
        return {name: weight for name, weight in self.named_parameters() if name.endswith(ends)}

    def forget(self) -> None:
        for module in self.modules():
            if isinstance(module, StyledConv):
                module._prepared = {}

    def _constant(self, n: int) -> Tensor:
        x = self.constant.expand(n, -1, -1, -1)
        return x.contiguous(memory_format=torch.channels_last)

    def _steps(self, styles: Tensor, start: Partial | None = None):
        """(size, block, rows of its convolutions, row of its colours), from 4x4 or beyond the start upward."""
        for i, block in enumerate(self.blocks):
            if start is None or 4 << i > start.resolution:
                yield 4 << i, block, (styles[:, 2 * i - 1], styles[:, 2 * i]), styles[:, 2 * i + 1]

    def _square(self, x: Tensor, value: float) -> Tensor:
        missing = x.shape[2] - x.shape[3]
        return F.pad(x, (missing // 2, missing // 2), value=value) if missing else x


def fast_dtype(device: torch.device | str) -> torch.dtype:
    """The type for feature maps: bfloat16 where the device multiplies it natively, else float32.

    On a CPU with AVX-512 BF16 or AMX a step takes half the time; the gradient toward the styles keeps a
    cosine of 0.999 to the float32 one (benchmarks/drag_step.py prints it). On GPUs the same choice holds
    from the Ampere generation on. Older GPUs stay at float32: float16 would need its gradients scaled, and
    a step takes tens of milliseconds there anyway.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    native = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # names of torch's own, not promised
    if device.type == "cpu" and any(getattr(torch.cpu, name, bool)() for name in native):
        return torch.bfloat16
    return torch.float32


@torch.no_grad()
def random_generator(config: Config, seed: int = 0, name: str = "random") -> StyleGAN2:
    """A generator with weights as before training: for benchmarks and tests."""
    random = torch.Generator().manual_seed(seed)
    model = StyleGAN2(config, name)
    for key, tensor in model.state_dict().items():
        if key.endswith(".bias"):
            tensor.fill_(1.0 if ".modulation." in key else 0.0)
            continue
        tensor.normal_(generator=random)
        if key.endswith(".noise"):
            tensor.mul_(0.1)
        elif key.startswith("mapping.") or re.search(r"(modulation|to_rgb|skip)\.weight$", key):
            tensor.div_(tensor.shape[1] ** 0.5)
    model.mean_w.copy_(mean_w(model))
    return model.eval()


@torch.no_grad()
def mean_w(model: StyleGAN2) -> Tensor:
    """Mean w (w_dim,) of many latents: the truncation centre."""
    effort = sum(layer.weight.numel() for layer in model.mapping)
    samples = max(64, min(MEAN_SAMPLES, MEAN_EFFORT // effort))
    z = torch.randn(samples, model.z_dim, generator=torch.Generator().manual_seed(MEAN_SEED))
    return model.map(z).mean(dim=0)
