"""MobileStyleGAN (Belousov 2021, arXiv 2104.04767) trained on FFHQ, as a plain torch module.

A style-based generator made light: modulated convolutions split into depthwise 3x3 and pointwise 1x1, the
demodulation folded into the weights, and wavelets instead of upsampling filters: the activations that enter
a block are the four bands of an inverse Haar transform, which doubles the resolution by additions alone.

The weights come from the OpenVINO export inside a Python package (see download_models.py); `convert` reads
it once and the result lives in one safetensors file.
"""

import re
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Generator, Partial
from .openvino_ir import IRError, Layer, read_ir
from .plain_objects import shown
from .tensor_table import check_numbers, read_tensors

CHANNELS = (512, 512, 512, 512, 256, 128, 64)  # of the blocks' outputs, at 8, 16, ... 512 pixels
SLOPE = 0.2  # of every leaky ReLU
MEAN_SEED, MEAN_SAMPLES = 12345, 4096  # of the truncation centre, computed once while converting


class InverseHaar(torch.autograd.Function):
    """Inverse 2-D Haar transform: (N, 4C, H, W) → (N, C, 2H, 2W).

    The channels are four bands: low, vertical, horizontal, diagonal. Each 2x2 block of the result is
    ½ (low ± vertical ± horizontal ± diagonal): additions, no convolution. The transform is orthogonal, so
    its gradient is the forward transform.
    """

    @staticmethod
    def forward(ctx, bands: Tensor) -> Tensor:
        low, vertical, horizontal, diagonal = (bands * 0.5).chunk(4, dim=1)
        n, c, h, w = low.shape
        top, top_edge = low + vertical, horizontal + diagonal
        bottom, bottom_edge = low - vertical, horizontal - diagonal
        out = _empty_like(bands, (n, c, 2 * h, 2 * w))
        torch.add(top, top_edge, out=out[:, :, ::2, ::2])
        torch.sub(top, top_edge, out=out[:, :, ::2, 1::2])
        torch.add(bottom, bottom_edge, out=out[:, :, 1::2, ::2])
        torch.sub(bottom, bottom_edge, out=out[:, :, 1::2, 1::2])
        return out

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        n, c, h, w = grad.shape
        top = grad[:, :, ::2, ::2] + grad[:, :, ::2, 1::2]
        top_edge = grad[:, :, ::2, ::2] - grad[:, :, ::2, 1::2]
        bottom = grad[:, :, 1::2, ::2] + grad[:, :, 1::2, 1::2]
        bottom_edge = grad[:, :, 1::2, ::2] - grad[:, :, 1::2, 1::2]
        out = _empty_like(grad, (n, 4 * c, h // 2, w // 2))
        low, vertical, horizontal, diagonal = out.chunk(4, dim=1)
        torch.add(top, bottom, out=low)
        torch.sub(top, bottom, out=vertical)
        torch.add(top_edge, bottom_edge, out=horizontal)
        torch.sub(top_edge, bottom_edge, out=diagonal)
        return out.mul_(0.5)


def _empty_like(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Uninitialised tensor of another shape, in the memory layout of x (channels last or contiguous)."""
    nhwc = x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if nhwc else torch.contiguous_format
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)


class SeparableConv(torch.autograd.Function):
    """Modulated depthwise-separable convolution, noise, bias and leaky ReLU.

    One node instead of six, because a drag spends its time here. The style scales channels, so it can wait
    until after the depthwise part, and for one sample it is folded into the weights: no pass over the
    activations for it. Toward the input a convolution's gradient is a convolution with the turned kernel;
    autograd's own backward pass of a depthwise convolution is several times slower on a CPU. Gradients
    reach input, style, pointwise weight and bias; the depthwise weight and the noise are taken as frozen.
    """

    @staticmethod
    def forward(
        ctx, x: Tensor, style: Tensor, depthwise: Tensor, weight: Tensor, bias: Tensor, noise: Tensor
    ):
        # (N, C, H, W), (N, C), (C, 1, 3, 3), (D, C, 1, 1), (D,), (1, 1, H, W) -> (N, D, H, W)
        filtered = F.conv2d(x, depthwise, padding=1, groups=len(depthwise))
        if len(x) == 1:
            out = F.conv2d(filtered, weight * style[0, :, None, None], bias)
        else:
            out = F.conv2d(filtered * style[:, :, None, None], weight, bias)
        out = F.leaky_relu_(out.add_(noise), SLOPE)
        ctx.save_for_backward(filtered, out, style, depthwise, weight)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        filtered, out, style, depthwise, weight = ctx.saved_tensors
        # The leaky ReLU keeps the sign, so its slope can be read from its result.
        grad = torch.ops.aten.leaky_relu_backward(grad, out, SLOPE, True)
        grad_weight = grad_bias = None
        if ctx.needs_input_grad[3]:  # tuning
            pixels = [t.permute(0, 2, 3, 1).flatten(1, 2) for t in (grad, filtered)]  # (N, HW, D), (N, HW, C)
            grad_weight = ((pixels[0].transpose(1, 2) @ pixels[1]) * style[:, None]).sum(0)[..., None, None]
        if ctx.needs_input_grad[4]:
            grad_bias = grad.sum(dim=(0, 2, 3))
        grad = F.conv2d(grad, weight.transpose(0, 1))  # toward `filtered` times style
        grad_style = (grad * filtered).sum(dim=(2, 3)) if ctx.needs_input_grad[1] else None
        turned = depthwise.flip(2, 3)
        if len(grad) == 1:
            turned = turned * style[0, :, None, None, None]
        else:
            grad = grad * style[:, :, None, None]
        grad = F.conv2d(grad, turned, padding=1, groups=len(turned))
        return grad, grad_style, None, grad_weight, grad_bias, None


class StyledConv(nn.Module):
    """Modulated convolution, noise constant, bias and leaky ReLU: (N, in, H, W) → (N, out, H, W)."""

    def __init__(self, channels_in: int, channels_out: int, size: int, separable: bool = True):
        super().__init__()
        self.modulation = nn.Linear(512, channels_in)
        kernel = 1 if separable else 3
        self.depthwise = nn.Parameter(torch.empty(channels_in, 1, 3, 3)) if separable else None
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in, kernel, kernel))
        self.noise = nn.Parameter(torch.empty(1, 1, size, size))
        self.bias = nn.Parameter(torch.empty(channels_out))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.modulation(w)
        if self.depthwise is not None:
            return SeparableConv.apply(x, style, self.depthwise, self.weight, self.bias, self.noise)
        x = F.conv2d(x * style[:, :, None, None], self.weight, self.bias, padding=1) + self.noise
        return F.leaky_relu(x, SLOPE)


class Block(nn.Module):
    """Doubles the resolution by wavelets, then two styled convolutions; takes three style rows."""

    def __init__(self, channels_in: int, channels_out: int, size: int):
        super().__init__()
        self.up = nn.Linear(512, channels_in)
        self.conv1 = StyledConv(channels_in // 4, channels_out, size)
        self.conv2 = StyledConv(channels_out, channels_out, size)

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:  # styles (N, 3, 512)
        x = InverseHaar.apply(x * self.up(styles[:, 0])[:, :, None, None])
        return self.conv2(self.conv1(x, styles[:, 1]), styles[:, 2])


class MobileStyleGAN(Generator):
    """The FFHQ generator: 1024x1024 faces, 23 style rows."""

    name = "mobile-ffhq"
    resolution = 1024
    num_rows = 23  # first convolution, three a block, to_img
    z_dim = w_dim = 512
    feature_resolutions = (4, 8, 16, 32, 64, 128, 256, 512)
    feature_resolution = 128
    free_rows = 13  # up to the 64x64 block
    is_face = True

    def __init__(self):
        super().__init__()
        self.mapping = nn.ModuleList(nn.Linear(512, 512) for _ in range(8))
        self.register_buffer("mean_w", torch.empty(512))
        self.constant = nn.Parameter(torch.empty(1, 512, 4, 4))
        self.conv1 = StyledConv(512, 512, 4, separable=False)
        channels = (512, *CHANNELS)
        self.blocks = nn.ModuleList(Block(channels[i], channels[i + 1], 8 << i) for i in range(len(CHANNELS)))
        self.to_img_modulation = nn.Linear(512, CHANNELS[-1])
        self.to_img = nn.Conv2d(CHANNELS[-1], 12, 1)
        self.requires_grad_(False)

    def map(self, z: Tensor) -> Tensor:
        w = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            w = F.leaky_relu(layer(w), SLOPE) * 2**0.5
        return w

    def features(self, styles: Tensor, resolution: int | None = None, start: Partial | None = None) -> Tensor:
        return self.partial(styles, resolution or self.feature_resolution, start).features

    def partial(self, styles: Tensor, resolution: int, start: Partial | None = None) -> Partial:
        self._check(styles, resolution, start)
        if start is None:
            x = self.constant.expand(styles.shape[0], -1, -1, -1)
            x = self.conv1(x.contiguous(memory_format=torch.channels_last), styles[:, 0])
        else:
            x = start.features
        for i, block in enumerate(self.blocks):
            if 4 << i < x.shape[-1]:
                continue
            if x.shape[-1] == resolution:
                break
            x = block(x, styles[:, 3 * i + 1 : 3 * i + 4])
        return Partial(resolution, x)

    def image(self, styles: Tensor, start: Partial | None = None) -> Tensor:
        x = self.features(styles, 512, start) * self.to_img_modulation(styles[:, -1])[:, :, None, None]
        return InverseHaar.apply(self.to_img(x))

    def tunable(self) -> dict[str, nn.Parameter]:
        return {
            name: weight
            for name, weight in self.named_parameters()
            if name.startswith(("blocks.", "to_img.")) and re.search(r"(conv\d|to_img)\.(weight|bias)$", name)
        }


def load(path: Path, device: torch.device | str = "cpu") -> MobileStyleGAN:
    """The generator from our safetensors file; Refused, OSError or SafetensorError if it is not one."""
    with torch.device("meta"):
        model = MobileStyleGAN()
    state = read_tensors(path, model.state_dict())
    check_numbers(state)
    model.load_state_dict(state, assign=True)
    model.requires_grad_(False)
    return model.to(device, memory_format=torch.channels_last).eval()


# --- conversion from the OpenVINO export ------------------------------------------------------------------


def convert(folder: Path) -> dict[str, Tensor]:
    """State dict of MobileStyleGAN from ``{MappingNetwork,SynthesisNetwork}.{xml,bin}`` in ``folder``.

    Three things are folded in: the constant gain of each modulation, the order of the wavelet bands (one
    block of channels a band, where the export interleaves three of them), and the mean w.

    Raises IRError, saying what was met, where the export is not the one known.
    """
    folder = Path(folder)
    try:
        state = _mapping(read_ir(folder / "MappingNetwork.xml", folder / "MappingNetwork.bin"))
        state |= _synthesis(read_ir(folder / "SynthesisNetwork.xml", folder / "SynthesisNetwork.bin"))
    except IRError:
        raise
    except (LookupError, ValueError, TypeError, AttributeError) as error:  # layers where others were expected
        raise IRError(f"{folder}: its layers are not those of the export ({shown(error)})") from None
    model = MobileStyleGAN()
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items() if name != "mean_w"}
    met = {name: tuple(a.shape) for name, a in state.items()}
    if wrong := {k for k in expected.keys() | met.keys() if expected.get(k) != met.get(k)}:
        first = min(wrong)
        raise IRError(
            f"{first}: expected the shape {expected.get(first)}, met {met.get(first)} (and {len(wrong) - 1} more)"
        )
    tensors = {name: torch.from_numpy(np.array(a, np.float32)) for name, a in state.items()}
    model.load_state_dict(tensors | {"mean_w": torch.zeros(512)})
    z = np.random.RandomState(MEAN_SEED).randn(MEAN_SAMPLES, 512).astype(np.float32)
    tensors["mean_w"] = model.map(torch.from_numpy(z)).mean(dim=0)
    return tensors


def _only(layers: list[Layer], what: str) -> Layer:
    if len(layers) != 1:
        raise IRError(f"expected one {what}, met {[f'{layer.type} {layer.name}' for layer in layers]}")
    return layers[0]


def _next(layer: Layer, kind: str) -> Layer:
    """The one consumer of a layer, of the wanted type."""
    return _only([c for c in layer.consumers if c.type == kind], f"{kind} after {layer.name!r}")


def _check_slopes(layers: list[Layer]) -> None:
    for layer in layers:
        if layer.type == "PReLU" and not np.allclose(layer.constant(1), SLOPE):
            raise IRError(f"{layer.name!r}: expected a leaky ReLU of slope {SLOPE}, met {layer.constant(1)}")


def _mapping(layers: list[Layer]) -> dict[str, np.ndarray]:
    _check_slopes(layers)
    state = {}
    for i, matmul in enumerate(layer for layer in layers if layer.type == "MatMul"):
        bias = _next(matmul, "Add").inputs[1].inputs[0]  # behind a reshape that follows the batch size
        gain = _next(_next(_next(matmul, "Add"), "PReLU"), "Multiply")
        if bias.value is None or not np.allclose(gain.constant(1), 2**0.5):
            raise IRError(f"mapping layer {i}: expected bias, leaky ReLU and a gain of √2, met {gain.name!r}")
        state[f"mapping.{i}.weight"], state[f"mapping.{i}.bias"] = matmul.constant(1), bias.value
    return state


def _synthesis(layers: list[Layer]) -> dict[str, np.ndarray]:
    _check_slopes(layers)
    for layer in layers:
        if layer.type == "GroupConvolutionBackpropData":
            taps = np.abs(layer.constant(1))
            if taps.size // len(taps) != 2 or not np.allclose(taps, 0.5**0.5):
                raise IRError(f"{layer.name!r}: expected a Haar filter, met {layer.constant(1)[0].ravel()}")

    named = {layer.name: layer for layer in layers if layer.type == "Const" and layer.name.startswith("m.")}

    def value(name: str) -> np.ndarray:
        if name not in named:
            raise IRError(f"the network has no constant {name!r}")
        return named[name].value

    def modulation(name: str) -> tuple[np.ndarray, np.ndarray]:
        """Weight and bias of a style's linear layer, with the constant gain that may follow."""
        weight, bias = value(f"{name}.weight"), value(f"{name}.bias").reshape(-1)
        scaled = _next(_next(_next(_next(named[f"{name}.weight"], "MatMul"), "Add"), "Reshape"), "Multiply")
        gains = [
            layer.value.item() for layer in scaled.inputs if layer.value is not None and layer.value.size == 1
        ]
        return (weight * gains[0], bias * gains[0]) if gains else (weight, bias)

    state = {"constant": value("m.input.input")}
    for convolution in (layer for layer in layers if layer.type == "Convolution"):
        added = _next(convolution, "Add")  # a noise constant, then the bias; to_img has the bias alone
        noise = added.constant(1)
        bias = added if added.inputs[1].name.endswith(".bias") else _next(added, "Add")
        name = bias.inputs[1].name.removesuffix(".bias")
        ours = name.removeprefix("m.").replace("layers.", "blocks.")
        order = _bands(convolution.constant(1).shape[0])
        weight, bias = convolution.constant(1), bias.constant(1).reshape(-1)
        if name.endswith(".to_img"):
            state["to_img.weight"], state["to_img.bias"] = weight[order], bias[order]
            state["to_img_modulation.weight"], state["to_img_modulation.bias"] = modulation(
                f"{name}.conv.modulation"
            )
            continue
        if not ours.endswith("conv1") or ours == "conv1":  # its output is a set of wavelet bands
            last = ours == f"blocks.{len(CHANNELS) - 1}.conv2"
            weight, bias = (weight, bias) if last else (weight[order], bias[order])
        state[f"{ours}.weight"], state[f"{ours}.bias"], state[f"{ours}.noise"] = weight, bias, noise
        state[f"{ours}.modulation.weight"], state[f"{ours}.modulation.bias"] = modulation(
            f"{name}.conv.modulation"
        )
        if (depthwise := convolution.inputs[0]).type == "GroupConvolution":
            state[f"{ours}.depthwise"] = depthwise.constant(1).squeeze(1)
    for i in range(len(CHANNELS)):
        weight, bias = modulation(f"m.layers.{i}.up.modulation")
        order = _bands(len(bias))
        state[f"blocks.{i}.up.weight"], state[f"blocks.{i}.up.bias"] = weight[order], bias[order]
    return state


def _bands(channels: int) -> np.ndarray:
    """Order that turns the export's bands [low | (C, 3) interleaved] into [low | vertical | horizontal | diagonal]."""
    c = channels // 4
    return np.concatenate([np.arange(c)] + [c + 3 * np.arange(c) + band for band in range(3)])
