"""The generator: a fully convolutional encoder-decoder with skips that paints labels over a photo.

An ImageNet MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381) reads the photo at strides 2 to 32; a light
top-down decoder (after Lin et al. 2017, "Feature Pyramid Networks", arXiv 1612.03144) brings it back.
The encoder starts from ImageNet's weights, so it need not learn from a few hundred pairs what things look like.

Three choices that matter:

* The encoder's batch norms are folded into its convolutions. Training then needs no batch statistics: a
  picture's prediction does not depend on its neighbours in the batch, and several GPUs need no SyncBN.
* Labels are flat colours. The "colours" head gives every pixel a probability for each of K given colours
  and paints the likeliest, so the picture is as crisp as the labels and no pixel ends between two classes
  at the colour of a third. The gradient of the picture goes through the mean colour (straight-through,
  Bengio et al. 2013, arXiv 1308.3432), so a GAN can train it; the loss that trains the probabilities is
  ``laplace_mixture_loss`` in losses.py. Labels without flat colours get a plain RGB head.
* Upsampling is bilinear, the last step a pixel shuffle that starts as nearest neighbour (ICNR,
  arXiv 1707.02937), so there is no checkerboard.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common import torchvision_ops  # noqa: F401  (before torchvision)
from common.commandline import UserError
from common.folding import fold_norms

from torchvision.models import mobilenet_v2  # isort: skip

ENCODER_WEIGHTS = Path(__file__).resolve().parent / "checkpoints" / "mobilenet_v2-b0353104.pth"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The last MobileNetV2 block at each stride, and its channels: 2, 4, 8, 16, 32.
TAPS = {1: 16, 3: 24, 6: 32, 13: 96, 17: 320}
STRIDE = 32


@dataclass(frozen=True)
class GeneratorParams:
    """What is needed to build the network again; stored in every checkpoint.

    colours: K colours on [0, 255] for the "colours" head, or () for a plain RGB output through tanh.
    width: channels of the decoder at stride 32; less where the map is larger.
    zoom: how many times larger than it is the network looks at a photo, once it is trained. Its training sees crops
        that are scaled up; what it learned at their scale it finds best at their scale (Touvron et al. 2019,
        "Fixing the train-test resolution discrepancy", arXiv 1906.06423). Thin things profit most.
    """

    colours: tuple[tuple[float, float, float], ...] = ()
    width: int = 128
    zoom: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.zoom <= 4 or self.zoom % 0.25:
            raise ValueError(f"zoom must be from 1 to 4 in steps of 0.25, got {self.zoom}")
        if self.width % 32:
            raise ValueError(f"width must be a multiple of 32, got {self.width}")
        if len(self.colours) == 1:
            raise ValueError("the colours head needs at least two colours")


class Painted(NamedTuple):
    """What the generator gives a training step.

    picture: (N, 3, H, W) on [-1, 1].
    choice: the log-probabilities of the colours (N, H/2, W/2, 4, K), sub-pixels row by row; None with an RGB head.
    features: what the decoder found at stride 4, (N, width/2, H/4, W/4), sides rounded up; None after a zoom.
    """

    picture: Tensor
    choice: Tensor | None
    features: Tensor | None


def folded_mobilenet(weights: Path | None) -> nn.Sequential:
    """MobileNetV2's features up to stride 32 with every batch norm folded into its convolution.

    Args:
        weights: torchvision's ImageNet state dict, or None for random weights (then the variance of the
            activations is kept by He initialisation, as there is no norm to do it).

    Raises:
        UserError: if the file is missing or is not this network's.
    """
    network = mobilenet_v2(weights=None)
    if weights is not None:
        if not weights.exists():
            raise UserError(
                f"the encoder's ImageNet weights {weights} are missing; run "
                "`python download_models.py mobilenet_v2`, or train with --encoder scratch"
            )
        try:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except Exception as error:  # a truncated or foreign file fails in many ways
            raise UserError(
                f"{weights} does not hold MobileNetV2's weights; delete it and run "
                "`python download_models.py mobilenet_v2`"
            ) from error
    features = network.features[: max(TAPS) + 1].eval()
    return fold_norms(features, he=weights is None)


class Refine(nn.Module):
    """3 x 3 convolution, group norm, ReLU. (N, in, H, W) -> (N, out, H, W). No batch statistics."""

    def __init__(self, channels_in: int, channels_out: int, depthwise: bool = False):
        super().__init__()
        if depthwise:
            self.conv = nn.Sequential(
                nn.Conv2d(channels_in, channels_in, 5, padding=2, groups=channels_in, bias=False),
                nn.Conv2d(channels_in, channels_out, 1, bias=False),
            )
        else:
            self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(channels_out // 16, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)), inplace=True)


class Generator(nn.Module):
    """Photo (N, 3, H, W) on [-1, 1] -> label picture (N, 3, H, W) on [-1, 1], any H and W."""

    def __init__(self, params: GeneratorParams, encoder_weights: Path | None = None):
        """``encoder_weights`` None starts from random weights, as for a checkpoint that is loaded next."""
        super().__init__()
        self.params = params
        width = params.width
        self.encoder = folded_mobilenet(encoder_weights)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

        c2, c4, c8, c16, c32 = TAPS.values()
        d2, d4, d8, d16 = width // 4, width // 2, 3 * width // 4, width
        self.top = nn.Conv2d(c32, width, 1)
        self.scene = nn.Conv2d(c32, width, 1)  # what kind of place this is, from the mean over the picture
        self.side16, self.side8 = nn.Conv2d(c16, d16, 1), nn.Conv2d(c8, d8, 1)
        self.side4, self.side2 = nn.Conv2d(c4, d4, 1), nn.Conv2d(c2 + 12, d2, 1)  # 12: the photo itself
        self.refine32 = Refine(width, d16, depthwise=True)
        self.refine16, self.narrow16 = Refine(d16, d16, depthwise=True), nn.Conv2d(d16, d8, 1)
        self.refine8, self.narrow8 = Refine(d8, d8, depthwise=True), nn.Conv2d(d8, d4, 1)
        self.refine4, self.narrow4 = Refine(d4, d4), nn.Conv2d(d4, d2, 1)
        self.refine2 = Refine(d2, d2)
        outputs = len(params.colours) or 3
        self.paint = nn.Conv2d(d2, 4 * outputs, 1)
        if params.colours:
            self.register_buffer("colours", torch.tensor(params.colours) / 127.5 - 1)  # (K, 3)
        self._initialise()

    def _initialise(self) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and not name.startswith("encoder"):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # ICNR: the four sub-pixels of an output start equal, so pixel shuffle starts as a plain resize.
        # Small weights: the first pictures are an even mixture of all colours.
        with torch.no_grad():
            quarter = self.paint.weight[: len(self.paint.weight) // 4] * 0.1
            self.paint.weight.copy_(quarter.repeat(4, 1, 1, 1))

    def logits(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """Photo (N, 3, H, W) on [-1, 1], H and W multiples of 32 -> (N, 4 (K or 3), H/2, W/2), and the features.

        Channel j * K + k is output k of sub-pixel j, row by row. The features are those of ``Painted``.
        """
        x = ((photo + 1) / 2 - self.mean) / self.std
        taps = []
        for index, block in enumerate(self.encoder):
            x = block(x)
            if index in TAPS:
                taps.append(x)
        f2, f4, f8, f16, f32 = taps  # strides 2, 4, 8, 16, 32
        x = self.refine32(self.top(f32) + self.scene(f32.mean(dim=(2, 3), keepdim=True)))
        x = self.refine16(_up(x) + self.side16(f16))  # (N, width, H/16, W/16)
        x = self.refine8(_up(self.narrow16(x)) + self.side8(f8))  # (N, 3 width/4, H/8, W/8)
        features = self.refine4(_up(self.narrow8(x)) + self.side4(f4))  # (N, width/2, H/4, W/4)
        near = self.side2(torch.cat([f2, F.pixel_unshuffle(photo, 2)], dim=1))
        x = self.refine2(_up(self.narrow4(features)) + near)  # (N, width/4, H/2, W/2)
        return self.paint(x), features

    def head(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """(N, 4 (K or 3), h, w) -> picture (N, 3, 2h, 2w) on [-1, 1], and log-probabilities (N, h, w, 4, K)
        or None.

        The choice of colour is made before the pixel shuffle, which then moves 3 channels and not K.
        """
        x = logits.float().permute(0, 2, 3, 1).unflatten(3, (4, -1))  # (N, h, w, 4, K or 3)
        if not self.params.colours:
            return _shuffle(torch.tanh(x)), None
        return self._painted(torch.log_softmax(x, dim=-1))

    def _painted(self, choice: Tensor) -> tuple[Tensor, Tensor]:
        """The picture of the likeliest colours, with the gradient of the mean colour, and the choice itself."""
        picture = self.colours[choice.argmax(dim=-1)]  # (N, h, w, 4, 3)
        if torch.is_grad_enabled():
            mean = choice.exp() @ self.colours
            picture = picture + (mean - mean.detach())
        return _shuffle(picture), choice

    @property
    def stride(self) -> int:
        """The sides of what is given to ``look`` must be multiples of it: the network's own must be of 32."""
        return STRIDE * 4 // math.gcd(round(4 * self.params.zoom), 4)

    def look(self, photo: Tensor) -> Painted:
        """As ``forward`` with_choice, of a photo whose sides are multiples of ``stride``. No zoom in training."""
        height, width = photo.shape[2:]
        if self.training or self.params.zoom == 1:
            logits, features = self.logits(photo)
            return Painted(*self.head(logits), features)
        zoom = self.params.zoom
        large, _ = self.logits(F.interpolate(photo, scale_factor=zoom, mode="bilinear", align_corners=False))
        picture, choice = self.head(large)
        if choice is None:
            small = F.interpolate(picture, (height, width), mode="bilinear", align_corners=False)
            return Painted(small, None, None)
        # The probabilities come back to the photo's size, and then the choice is made.
        chances = F.interpolate(_shuffle(choice.exp()), (height, width), mode="bilinear", align_corners=False)
        chances = (
            F.pixel_unshuffle(chances, 2).unflatten(1, (-1, 4)).permute(0, 3, 4, 2, 1)
        )  # (N, h, w, 4, K)
        return Painted(*self._painted(chances.clamp(min=1e-12).log()), None)

    def forward(self, photo: Tensor, with_choice: bool = False) -> Tensor | Painted:
        """The label picture.

        Args:
            photo: (N, 3, H, W) on [-1, 1].
            with_choice: return all of ``Painted``; H and W must then be even.
        """
        height, width = photo.shape[2:]
        pad = (0, -width % self.stride, 0, -height % self.stride)
        if any(pad):  # the border repeated: reflection needs pictures larger than the padding
            if with_choice and (height % 2 or width % 2):
                raise ValueError(f"H and W must be even with_choice, got {height} x {width}")
            photo = F.pad(photo, pad, mode="replicate")
        picture, choice, features = self.look(photo)
        picture = picture[:, :, :height, :width]
        if choice is not None:
            choice = choice[:, : height // 2, : width // 2]
        if features is not None:
            features = features[:, :, : -(-height // 4), : -(-width // 4)]
        return Painted(picture, choice, features) if with_choice else picture

    def encoder_parameters(self) -> list[nn.Parameter]:
        return list(self.encoder.parameters())

    def decoder_parameters(self) -> list[nn.Parameter]:
        return [p for name, p in self.named_parameters() if not name.startswith("encoder.")]


def _shuffle(x: Tensor) -> Tensor:
    """Sub-pixels (N, h, w, 4, C), row by row -> picture (N, C, 2h, 2w)."""
    return F.pixel_shuffle(x.transpose(3, 4).flatten(3).permute(0, 3, 1, 2), 2)


def chosen(choice: Tensor) -> Tensor:
    """Which colour each pixel has: 1 for it and 0 for the others, with the gradient of the probabilities.

    Straight-through as in ``Generator.head``.

    Args:
        choice: log-probabilities (N, h, w, 4, K), sub-pixels row by row.

    Returns:
        (N, K, 2h, 2w).
    """
    probabilities = choice.exp()
    hard = F.one_hot(choice.argmax(dim=-1), choice.shape[-1]).to(choice.dtype)
    return _shuffle(hard + (probabilities - probabilities.detach()))


def _up(x: Tensor) -> Tensor:
    """Twice the height and width, bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
