"""The discriminator, a conditional PatchGAN (Isola et al. 2017, arXiv 1611.07004), and the GAN losses.

It looks at photo and label together and judges every patch by itself: one logit for each. The published
one starts at full resolution with 64 channels and costs more than our whole generator. This one begins
with a pixel unshuffle, which loses nothing (a pole one pixel wide is still there, in its own channel), and
has 32 channels; the receptive field on the picture stays the published one.

Where labels are flat colours it sees which colour a pixel has, one channel each (after Luc et al. 2016,
"Semantic segmentation using adversarial networks", arXiv 1611.08408), because half the way from one RGB
colour to another lies a third one, and half the way from one channel to another lies nothing else.
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

    High means real. No norm: statistics of a batch or a picture would tell real from fake for all patches at
    once, and then none is judged by itself; and several GPUs have nothing to synchronise.
    """

    def __init__(self, field: int = 70, width: int = 32, label_channels: int = 3):
        super().__init__()
        if field not in LAYOUTS:
            raise ValueError(f"receptive field must be one of {sorted(LAYOUTS)}, got {field}")
        self.unshuffle, convolutions = LAYOUTS[field]
        layers: list[nn.Module] = []
        channels = (3 + label_channels) * self.unshuffle**2
        for k, (kernel, stride) in enumerate(convolutions[:-1]):
            out = width * min(2**k, 8)
            layers += [nn.Conv2d(channels, out, kernel, stride, kernel // 2), nn.LeakyReLU(0.2)]
            channels = out
        kernel, stride = convolutions[-1]
        layers.append(nn.Conv2d(channels, 1, kernel, stride, kernel // 2))
        self.layers = nn.Sequential(*layers)

    def forward(self, photo: Tensor, label: Tensor) -> Tensor:
        x = torch.cat([photo, label], dim=1)  # (N, 3 + C, H, W)
        pad = (0, -x.shape[3] % self.unshuffle, 0, -x.shape[2] % self.unshuffle)
        x = F.pad(x, pad, mode="replicate") if any(pad) else x
        return self.layers(F.pixel_unshuffle(x, self.unshuffle))


def l1_loss(fake: Tensor, real: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean absolute difference on [0, 1] of pictures (N, 3, H, W) on [-1, 1].

    Args:
        weight: (N, 1, H, W), how much each pixel counts; None counts all alike.
    """
    difference = (fake - real).abs() / 2
    return difference.mean() if weight is None else (difference * weight).mean()


def laplace_mixture_loss(
    choice: Tensor, colours: Tensor, real: Tensor, weight: Tensor | None = None, spread: float = 0.02
) -> Tensor:
    """L1 for a generator that chooses between flat colours: the negative log-likelihood of a Laplace mixture.

    The L1 distance d to one colour is, up to a constant, the negative log-likelihood of a Laplace
    distribution around it, times its spread b. A generator that gives K colours the probabilities p_k stands
    for a mixture of K of them, and -log sum_k p_k exp((d_min - d_k) / b) says how badly it chooses. The L1 of
    the mean colour cannot train such probabilities: its gradient to a colour is proportional to the
    probability, so colours that are rare never begin to be painted.

    In units of L1, so that the ratio to a GAN term means what it means elsewhere: d_min, the distance to the
    nearest colour, plus the term above times the mean distance D between the colours. Near certainty it is
    the L1 of the mean colour: -log p is 1 - p there, and what is not p lies D away on average.

    Args:
        choice: (N, h, w, 4, K) log-probabilities, sub-pixels row by row.
        colours: (K, 3) on [-1, 1].
        real: (N, 3, 2h, 2w) labels on [-1, 1].
        weight: (N, 1, 2h, 2w), how much each pixel counts; None counts all alike.
        spread: b on [0, 1]; less than the distance between any two colours, more than the noise of JPEG.
    """
    pixels = F.pixel_unshuffle(real, 2).unflatten(1, (3, 4)).permute(0, 3, 4, 2, 1)  # (N, h, w, 4, 3)
    # mean over three channels, from [-1, 1] to [0, 1]
    distance = torch.cdist(pixels.reshape(-1, 3), colours, p=1).view(choice.shape) / 6
    nearest = distance.amin(dim=-1, keepdim=True)
    apart = torch.pdist(colours, p=1).mean() / 6
    badly = -torch.logsumexp(choice + (nearest - distance) / spread, dim=-1)  # (N, h, w, 4)
    loss = nearest.squeeze(-1) + apart * badly
    if weight is not None:
        loss = loss * F.pixel_unshuffle(weight, 2).permute(0, 2, 3, 1)
    return loss.mean()


def bce_discriminator_loss(real: Tensor, fake: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Binary cross-entropy on logits: real up, fake down (Goodfellow et al. 2014), halved as in pix2pix.

    Here and below: logits (N, 1, h, w), and how much each counts, on average 1.
    """
    return ((F.softplus(-real) + F.softplus(fake)) * weight).mean() / 2


def bce_generator_loss(fake: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """The non-saturating loss: -log D(fake)."""
    return (F.softplus(-fake) * weight).mean()


def lsgan_discriminator_loss(real: Tensor, fake: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Least squares to 1 and 0 (Mao et al. 2017, arXiv 1611.04076)."""
    return (((real - 1).square() + fake.square()) * weight).mean() / 2


def lsgan_generator_loss(fake: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    return ((fake - 1).square() * weight).mean()


def hinge_discriminator_loss(real: Tensor, fake: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Margins of 1 on both sides (Lim and Ye 2017, arXiv 1705.02894)."""
    return ((F.relu(1 - real) + F.relu(1 + fake)) * weight).mean() / 2


def hinge_generator_loss(fake: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    return (-fake * weight).mean()


# name -> (loss of the discriminator, loss of the generator)
GAN_LOSSES = {
    "bce": (bce_discriminator_loss, bce_generator_loss),
    "lsgan": (lsgan_discriminator_loss, lsgan_generator_loss),
    "hinge": (hinge_discriminator_loss, hinge_generator_loss),
}
