"""The configuration of StyleGAN2 and its layers, whose backward pass is their own; see stylegan2.py."""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

SLOPE = 0.2  # of every leaky ReLU
GAIN = 2**0.5  # after every leaky ReLU, keeps the variance
FILTER = (1.0, 3.0, 3.0, 1.0)  # binomial low-pass filter of every up-sampling, in each direction
EPSILON = 1e-8
ARCHITECTURES = ("skip", "resnet", "orig")
LARGEST = 4096  # resolution, channels or width of a layer that a file may ask for
MOST_CLASSES = 1 << 16


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
    classes: int = 0  # that a conditional model knows

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
        if self.clamp is not None and not (type(self.clamp) in (int, float) and 0 < self.clamp < 1e30):
            raise ValueError(f"the clamp must be a number above 0, got {str(self.clamp)[:20]}")
        if not all(type(flag) is bool for flag in (self.half_width, self.is_face)):
            raise ValueError("half_width and is_face must be true or false")
        if type(self.classes) is not int or not 0 <= self.classes <= MOST_CLASSES:
            raise ValueError(f"the number of classes must be in 0 to {MOST_CLASSES}")

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
