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
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .base import Generator, Partial

SLOPE = 0.2  # of every leaky ReLU
GAIN = 2**0.5  # after every leaky ReLU, keeps the variance
FILTER = (1.0, 3.0, 3.0, 1.0)  # binomial low-pass filter of every up-sampling, in each direction
EPSILON = 1e-8
ARCHITECTURES = ("skip", "resnet", "orig")
LARGEST = 4096  # resolution, channels or width of a layer that a file may ask for
MEAN_SEED, MEAN_SAMPLES = 12345, 4096  # of the truncation centre, where a file brings none


@dataclass(frozen=True)
class Config:
    """Everything that decides the shapes and the arithmetic; a converted file carries it as JSON."""

    resolution: int  # height of the image in pixels, a power of two
    channels: tuple[int, ...]  # of the blocks' outputs, at 4, 8, 16, ... `resolution` pixels
    mapping: tuple[int, ...]  # widths along the mapping network: z_dim, hidden, ..., w_dim
    architecture: str = "skip"
    clamp: float | None = None  # largest magnitude of an activation, where training had one
    half_width: bool = False  # the network's image is half as wide as high (StyleGAN-Human)
    is_face: bool = False  # an aligned portrait: landmark edits make sense

    def __post_init__(self):
        blocks = len(self.channels)
        numbers = (self.resolution, *self.channels, *self.mapping)
        if not all(type(n) is int and 0 < n <= LARGEST for n in numbers):
            raise ValueError(f"sizes must be whole numbers from 1 to {LARGEST}, got {numbers}")
        if blocks < 2 or self.resolution != 2 << blocks:
            raise ValueError(f"{blocks} blocks make an image of {2 << blocks} pixels, not {self.resolution}")
        if not 2 <= len(self.mapping) <= 65:
            raise ValueError(f"the mapping network must have 1 to 64 layers, got {len(self.mapping) - 1}")
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"architecture {self.architecture!r}: known are {', '.join(ARCHITECTURES)}")
        if self.clamp is not None and not self.clamp > 0:
            raise ValueError(f"the clamp must be above 0, got {self.clamp}")

    @classmethod
    def from_dict(cls, values: dict) -> "Config":
        """The inverse of `as_dict`; ValueError or TypeError for anything else."""
        values = dict(values)
        values["channels"], values["mapping"] = tuple(values["channels"]), tuple(values["mapping"])
        return cls(**values)

    def as_dict(self) -> dict:
        return asdict(self)


def config_f(resolution: int, **options) -> Config:
    """The size of the published networks (paper, table 1, configuration F): up to 512 channels a layer."""
    sizes = [4 << i for i in range(resolution.bit_length() - 2)]
    channels = tuple(min(32768 // size, 512) for size in sizes)
    return Config(resolution=resolution, channels=channels, mapping=(512,) * 9, **options)


class StyledConvolution(torch.autograd.Function):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU and clamp, with frozen weights.

    One node instead of nine, because a drag spends its time here. Toward its input a convolution's gradient
    is the transposed convolution with the same weights, and the other way round, so both passes use the
    library's fastest kernels and nothing is computed for the weights.
    """

    @staticmethod
    def forward(
        ctx,
        x: Tensor,  # (N, C, H, W)
        style: Tensor,  # (N, C), scales what enters
        scale: Tensor,  # (N, D), scales what leaves: demodulation times the activation's gain
        weight: Tensor,  # (D, C, 3, 3); with `blur`: (C, D, 3, 3)
        noise: Tensor,  # (1, 1, H, W), or of twice the size with `blur`
        bias: Tensor,  # (D,)
        blur: Tensor | None,  # (D, 1, 4, 4): double the resolution, then filter
        clamp: float | None,
        keep: bool,  # a backward pass will follow
    ) -> Tensor:  # (N, D, H, W), or of twice the size with `blur`
        scaled = x * style.to(x.dtype)[:, :, None, None]
        if blur is None:
            raw = F.conv2d(scaled, weight, padding=1)
        else:
            raw = F.conv_transpose2d(scaled, weight, stride=2)
            raw = F.conv2d(raw, blur, padding=1, groups=len(blur))
        gain = scale.to(x.dtype)[:, :, None, None]
        out = raw * gain if keep else raw.mul_(gain)
        out = F.leaky_relu_(out.add_(noise).add_(bias[:, None, None]), SLOPE)
        if clamp is not None:
            out.clamp_(-clamp, clamp)
        if keep:
            ctx.clamp = clamp
            ctx.save_for_backward(x, style, scale, weight, blur, raw, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        x, style, scale, weight, blur, raw, out = ctx.saved_tensors
        need_x, need_style, need_scale = ctx.needs_input_grad[:3]
        # The leaky ReLU keeps the sign, so its slope can be read from its result.
        grad = torch.ops.aten.leaky_relu_backward(grad, out, SLOPE, True)
        if ctx.clamp is not None:
            grad = torch.ops.aten.hardtanh_backward(grad, out, -ctx.clamp, ctx.clamp)
        grad_scale = (grad * raw).sum((2, 3), dtype=torch.float32) if need_scale else None
        grad_x = grad_style = None
        if need_x or need_style:
            grad = grad * scale.to(grad.dtype)[:, :, None, None]
            if blur is None:
                grad = F.conv_transpose2d(grad, weight, padding=1)
            else:
                grad = F.conv2d(grad, blur, padding=2, groups=len(blur))  # the filter is symmetric
                grad = F.conv2d(grad, weight, stride=2)
            grad_style = (grad * x).sum((2, 3), dtype=torch.float32) if need_style else None
            grad_x = grad.mul_(style.to(grad.dtype)[:, :, None, None]) if need_x else None
        return grad_x, grad_style, grad_scale, None, None, None, None, None, None


class StyledConv(nn.Module):
    """Layer of the synthesis: (N, in, H, W) → (N, out, H, W), or of twice the size with ``up``."""

    def __init__(
        self, config: Config, channels_in: int, channels_out: int, size: int, up: bool, gain: float = 1.0
    ):
        super().__init__()
        width = size // 2 if config.half_width else size
        order = (channels_in, channels_out) if up else (channels_out, channels_in)
        self.modulation = nn.Linear(config.mapping[-1], channels_in)
        self.weight = nn.Parameter(torch.empty(*order, 3, 3))
        self.noise = nn.Parameter(torch.empty(1, 1, size, width))
        self.bias = nn.Parameter(torch.empty(channels_out))
        self.up = up
        self.gain = gain * GAIN
        self.clamp = None if config.clamp is None else config.clamp * gain
        self._prepared: dict[torch.dtype, tuple] = {}

    def prepared(self, dtype: torch.dtype) -> tuple:
        """What the weights alone decide, made once: (energy, weight, noise, bias, blur)."""
        if dtype not in self._prepared:
            energy = self.weight.square().sum((2, 3))
            energy = energy.T.contiguous() if not self.up else energy  # (in, out)
            blur = low_pass(len(self.bias), self.weight).to(dtype).contiguous() if self.up else None
            weight = self.weight.to(dtype).contiguous(memory_format=torch.channels_last)
            noise, bias = (self.noise * self.gain).to(dtype), (self.bias * self.gain).to(dtype)
            self._prepared[dtype] = (energy, weight, noise, bias, blur)
        return self._prepared[dtype]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_prepared": {}}  # a copy makes its own when it needs them

    def _apply(self, fn, recurse=True):
        self._prepared.clear()  # the weights move to another device or type
        return super()._apply(fn, recurse)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        if self.weight.requires_grad:
            return self._plain(x, w)
        energy, weight, noise, bias, blur = self.prepared(x.dtype)
        style = self.modulation(w)
        scale = (style.square() @ energy + EPSILON).rsqrt() * self.gain
        keep = torch.is_grad_enabled() and (x.requires_grad or style.requires_grad)
        return StyledConvolution.apply(x, style, scale, weight, noise, bias, blur, self.clamp, keep)

    def _plain(self, x: Tensor, w: Tensor) -> Tensor:
        """The same in single operations, with gradients toward the weights too."""
        weight, style = self.weight.to(x.dtype), self.modulation(w)
        energy = self.weight.square().sum((2, 3))
        scale = (style.square() @ (energy if self.up else energy.T) + EPSILON).rsqrt() * self.gain
        x = x * style.to(x.dtype)[:, :, None, None]
        if self.up:
            blur = low_pass(len(self.bias), x).contiguous()
            x = F.conv2d(F.conv_transpose2d(x, weight, stride=2), blur, padding=1, groups=len(blur))
        else:
            x = F.conv2d(x, weight, padding=1)
        x = x * scale.to(x.dtype)[:, :, None, None]
        x = x + (self.noise * self.gain).to(x.dtype) + (self.bias * self.gain).to(x.dtype)[:, None, None]
        x = F.leaky_relu(x, SLOPE)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution without demodulation: (N, in, H, W) → (N, 3, H, W)."""

    def __init__(self, config: Config, channels: int):
        super().__init__()
        self.modulation = nn.Linear(config.mapping[-1], channels)
        self.weight = nn.Parameter(torch.empty(3, channels, 1, 1))
        self.bias = nn.Parameter(torch.empty(3))
        self.clamp = config.clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.modulation(w)
        if len(x) == 1:  # three rows of weights are less to scale than the activations
            rgb = F.conv2d(x, self.weight * style[0, :, None, None], self.bias)
        else:
            rgb = F.conv2d(x * style[:, :, None, None], self.weight, self.bias)
        return rgb if self.clamp is None else rgb.clamp(-self.clamp, self.clamp)


class Block(nn.Module):
    """The layers of one resolution: up-sampling convolution (but for 4x4), convolution, to RGB."""

    def __init__(self, config: Config, channels_in: int | None, channels_out: int, size: int):
        super().__init__()
        residual = config.architecture == "resnet" and channels_in is not None
        gain = 0.5**0.5 if residual else 1.0  # a sum of two keeps the variance
        self.conv0 = None
        if channels_in is not None:
            self.conv0 = StyledConv(config, channels_in, channels_out, size, up=True)
        self.conv1 = StyledConv(config, channels_out, channels_out, size, up=False, gain=gain)
        self.skip = nn.Conv2d(channels_in, channels_out, 1, bias=False) if residual else None
        last = size == config.resolution
        self.to_rgb = ToRGB(config, channels_out) if last or config.architecture == "skip" else None

    def forward(self, x: Tensor, rows: tuple[Tensor, ...]) -> Tensor:
        """``rows``: one w (N, w_dim) for each convolution."""
        if self.conv0 is None:
            return self.conv1(x, rows[-1])
        y = self.conv1(self.conv0(x, rows[0]), rows[1])
        if self.skip is not None:
            y = y + upsample(F.conv2d(x, self.skip.weight.to(x.dtype))) * 0.5**0.5
        return y


def upsample(x: Tensor) -> Tensor:
    """Twice the resolution, filtered: (N, C, H, W) → (N, C, 2H, 2W)."""
    return F.conv_transpose2d(x, low_pass(x.shape[1], x), stride=2, padding=1, groups=x.shape[1])


def low_pass(channels: int, like: Tensor) -> Tensor:
    """The filter of every up-sampling, one for each channel (channels, 1, 4, 4), of the type and place of `like`."""
    taps = torch.stack(
        [like.new_full((), tap) for tap in FILTER]
    )  # no copy from the host, which a GPU waits for
    kernel = torch.outer(taps, taps) * 4 / taps.sum() ** 2  # 4: three of four pixels were empty
    return kernel.expand(channels, 1, 4, 4)


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
        self.is_face = config.is_face
        self.feature_dtype = torch.float32  # see `fast_dtype`

        sizes = zip(config.mapping, config.mapping[1:], strict=False)
        self.mapping = nn.ModuleList(nn.Linear(n, m) for n, m in sizes)
        self.register_buffer("mean_w", torch.empty(self.w_dim))
        channels = config.channels
        self.constant = nn.Parameter(torch.empty(1, channels[0], 4, 2 if config.half_width else 4))
        self.blocks = nn.ModuleList(
            Block(config, channels[i - 1] if i else None, channels[i], 4 << i) for i in range(len(channels))
        )
        self.requires_grad_(False)

    def map(self, z: Tensor) -> Tensor:
        w = z * (z.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()
        for layer in self.mapping:
            w = F.leaky_relu(layer(w), SLOPE) * GAIN
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
    z = torch.randn(MEAN_SAMPLES, model.z_dim, generator=torch.Generator().manual_seed(MEAN_SEED))
    return model.map(z).mean(dim=0)
