"""The two discriminators: a conditional PatchGAN (Isola et al. 2017, arXiv 1611.07004), and one of single pixels.

The PatchGAN sees photo and label together and judges every patch by itself: one logit for each. The published one
starts at full resolution with 64 channels and costs more than our whole generator. This one has 32 channels and
begins with a pixel unshuffle. That loses nothing: a pole one pixel wide is still there, in its own channel. The
receptive field on the picture is the published one.

Where labels are flat colours it sees which colour a pixel has, one channel for each (after Luc et al. 2016,
"Semantic segmentation using adversarial networks", arXiv 1611.08408). In RGB the mixture of two colours may be
a third class; in channels it is no other class.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# receptive field in pixels -> (pixel unshuffle, (kernel, stride) of each convolution)
LAYOUTS: dict[int, tuple[int, tuple[tuple[int, int], ...]]] = {
    1: (1, ((1, 1), (1, 1), (1, 1))),
    16: (2, ((4, 2), (3, 1), (1, 1))),
    70: (2, ((5, 2), (4, 2), (4, 1), (4, 1))),
    286: (2, ((5, 2), (4, 2), (4, 2), (4, 2), (4, 1), (4, 1))),
}


def receptive_field(layout: tuple[int, tuple[tuple[int, int], ...]]) -> int:
    """Side in pixels of the patch that one logit sees."""
    unshuffle, convolutions = layout
    field = 1
    for kernel, stride in reversed(convolutions):
        field = (field - 1) * stride + kernel
    return field * unshuffle


class PatchDiscriminator(nn.Module):
    """Photo (N, 3, H, W) and label (N, C, H, W), both on [-1, 1] -> logits (N, 1, h, w), one a patch.

    High means real. For label maps there is no norm. The statistics of a batch or a picture would give away real or
    fake for all patches at once, and none would be judged by itself. Without them several GPUs have nothing to
    synchronise. Photos as target need one: without it the discriminator learns so slowly that they stay blurred.
    """

    def __init__(self, field: int = 70, width: int = 32, label_channels: int = 3, norm: bool = False):
        """``norm``: instance norm after the second convolution and those that follow, as in pix2pixHD."""
        super().__init__()
        if field not in LAYOUTS:
            raise ValueError(f"receptive field must be one of {sorted(LAYOUTS)}, got {field}")
        self.unshuffle, convolutions = LAYOUTS[field]
        layers: list[nn.Module] = []
        channels = (3 + label_channels) * self.unshuffle**2
        for k, (kernel, stride) in enumerate(convolutions[:-1]):
            out = width * min(2**k, 8)
            layers.append(nn.Conv2d(channels, out, kernel, stride, kernel // 2))
            layers += [nn.GroupNorm(out, out)] if norm and k else []
            layers.append(nn.LeakyReLU(0.2))
            channels = out
        kernel, stride = convolutions[-1]
        layers.append(nn.Conv2d(channels, 1, kernel, stride, kernel // 2))
        self.layers = nn.Sequential(*layers)
        if norm:
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight, a=0.2)
                    nn.init.zeros_(layer.bias)

    def forward(self, photo: Tensor, label: Tensor) -> Tensor:
        return self.layers(self._input(photo, label))

    def features(self, photo: Tensor, label: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits, and what every layer before them gives, (N, C, h, w) each."""
        x, found = self._input(photo, label), []
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                found.append(x)
        return x, found

    def _input(self, photo: Tensor, label: Tensor) -> Tensor:
        x = torch.cat([photo, label], dim=1)  # (N, 3 + C, H, W)
        pad = (0, -x.shape[3] % self.unshuffle, 0, -x.shape[2] % self.unshuffle)
        x = F.pad(x, pad, mode="replicate") if any(pad) else x
        return F.pixel_unshuffle(x, self.unshuffle)


class PixelDiscriminator(nn.Module):
    """Label channels (N, K, H, W) and the generator's features (N, F, H/4, W/4) -> logits (N, 1, H, W), one a pixel.

    High means that the pixel has its true colour. A PatchGAN says of a whole patch that it is painted, and leaves open
    where; this one points at what is wrong (after the U-Net discriminator of Schönfeld et al. 2020, arXiv 2002.12655,
    and Hung et al. 2018, arXiv 1802.07934, whose critics judge pixels, too, by real or fake). It does not look at the
    photo: it is given what the generator found in it, so that it starts as knowing as the generator and costs a
    fraction of a network of its own.
    """

    CELL = 4  # pixels a feature is apart

    def __init__(self, label_channels: int, features: int, width: int = 64, layers: int = 3):
        """``layers``: each sees two features further on every side."""
        super().__init__()
        self.label = nn.Conv2d(label_channels * self.CELL**2, width, 1)
        self.seen = nn.Conv2d(features, width, 1)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(0.2),
                nn.Conv2d(width, width, 5, padding=2, groups=width),
                nn.Conv2d(width, width, 1),
            )
            for _ in range(layers)
        )
        self.judge = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(width, self.CELL**2, 1))

    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        return self.features(features, label)[0]

    def features(self, features: Tensor, label: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits, and what every layer before them gives, (N, width, H/4, W/4) each."""
        height, width = label.shape[2:]
        pad = (0, -width % self.CELL, 0, -height % self.CELL)
        label = F.pad(label, pad, mode="replicate") if any(pad) else label
        x = self.label(F.pixel_unshuffle(label, self.CELL)) + self.seen(features)
        found = []
        for layer in self.layers:
            x = x + layer(x)
            found.append(x)
        return F.pixel_shuffle(self.judge(x), self.CELL)[:, :, :height, :width], found
