"""What generator and discriminator are trained with: L1 in its two forms, and the GAN losses on logits."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def l1_loss(fake: Tensor, real: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean absolute difference on [0, 1] of pictures (N, 3, H, W) on [-1, 1].

    Args:
        weight: (N, 1, H, W), how much each pixel counts; None: each counts 1.
    """
    difference = (fake - real).abs() / 2
    return difference.mean() if weight is None else (difference * weight).mean()


def laplace_mixture_loss(
    choice: Tensor, colours: Tensor, real: Tensor, weight: Tensor | None = None, spread: float = 0.02
) -> Tensor:
    """L1 for a generator that chooses between flat colours: the negative log-likelihood of a Laplace mixture.

    The L1 distance d to one colour is, up to a constant, the negative log-likelihood of a Laplace
    distribution around it, times its spread b. A generator that gives K colours the probabilities p_k is a
    mixture of K of them, and -log sum_k p_k exp((d_min - d_k) / b) measures how badly it chooses. The L1 of
    the mean colour cannot train such probabilities: its gradient to a colour is proportional to the
    probability, so rare colours would never be painted.

    The loss is in units of L1, so that the ratio to a GAN term means what it means elsewhere. It is d_min, the
    distance to the nearest colour, plus the term above times the mean distance D between the colours. Near
    certainty it is the L1 of the mean colour: -log p is 1 - p there, and the rest is D away on average.

    Args:
        choice: (N, h, w, 4, K) log-probabilities, sub-pixels row by row.
        colours: (K, 3) on [-1, 1].
        real: (N, 3, 2h, 2w) labels on [-1, 1].
        weight: (N, 1, 2h, 2w), how much each pixel counts; None: each counts 1.
        spread: b on [0, 1]; less than the distance between any two colours, more than the noise of JPEG.
    """
    pixels = F.pixel_unshuffle(real, 2).unflatten(1, (3, 4)).permute(0, 3, 4, 2, 1)  # (N, h, w, 4, 3)
    # mean over three channels, from [-1, 1] to [0, 1]
    distance = _l1_distances(pixels, colours) / 6
    nearest = distance.amin(dim=-1, keepdim=True)
    badly = -torch.logsumexp(choice + (nearest - distance) / spread, dim=-1)  # (N, h, w, 4)
    loss = nearest.squeeze(-1) + mean_distance(colours) * badly
    if weight is not None:
        loss = loss * F.pixel_unshuffle(weight, 2).permute(0, 2, 3, 1)
    return loss.mean()


def mean_distance(colours: Tensor) -> Tensor:
    """The mean L1 on [0, 1] between two of the colours (K, 3) on [-1, 1]: what a wrong choice costs."""
    return torch.pdist(colours, p=1).mean() / 6


def _l1_distances(pixels: Tensor, colours: Tensor) -> Tensor:
    """Sums of the absolute differences of pixels (..., 3) to colours (K, 3): (..., K)."""
    if not pixels.is_cuda:
        return torch.cdist(pixels.reshape(-1, 3), colours, p=1).view(*pixels.shape[:-1], len(colours))
    # On a GPU cdist takes longer than everything else of a training step together.
    red, green, blue = (
        (p[..., None] - c).abs() for p, c in zip(pixels.unbind(-1), colours.unbind(-1), strict=True)
    )
    return red + green + blue


def jaccard_loss(choice: Tensor, colour: Tensor) -> Tensor:
    """L1 relative to area: for each colour, the L1 between its probabilities and its truth over their union.

    A mean over pixels hardly counts a pole, which has few. Here each colour that the batch shows counts the same, by
    what is wrong as a fraction of what is there. This is the Jaccard distance of soft sets, 1 - IoU where the choice
    is certain (Rahman and Wang 2016; Wang et al. 2023, "Jaccard Metric Losses", arXiv 2302.05666), here over the whole
    batch: in one picture a class may have a pixel or two.

    Args:
        choice: (N, h, w, 4, K) log-probabilities, sub-pixels row by row.
        colour: (N, 2h, 2w), which of the K colours a pixel has; -1 where it has none or is void: it does not count.

    Returns:
        a scalar from 0 to 1: the mean over the colours that are there; 0 if none is.
    """
    colours = choice.shape[-1]
    # (N, h, w, 4), as the choice; whole numbers up to 2^24 are exact in float32
    colour = F.pixel_unshuffle(colour.unsqueeze(1).float(), 2).permute(0, 2, 3, 1).long()
    known = (colour >= 0).to(choice.dtype)
    colour = colour.clamp(min=0)
    probability = choice.exp()
    right = probability.gather(-1, colour.unsqueeze(-1)).squeeze(-1) * known
    zeros = choice.new_zeros(colours)
    common = zeros.index_add(0, colour.flatten(), right.flatten())
    area = zeros.index_add(0, colour.flatten(), known.flatten())
    painted = (probability * known.unsqueeze(-1)).sum(dim=(0, 1, 2, 3))
    # L1 = sum |p - t| = union - common where t is 0 or 1. A pixel is added to both, for colours of a pixel or two.
    distance = 1 - (common + 1) / (painted + area - common + 1)
    present = (area > 0).to(choice.dtype)
    return (distance * present).sum() / present.sum().clamp(min=1)


def feature_matching_loss(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean over the discriminator's layers of the L1 between its features (Wang et al. 2018, arXiv 1711.11585).

    Args:
        fake, real: (N, C, h, w) of each layer, for painted and for real pictures.
    """
    return torch.stack([F.l1_loss(a, b) for a, b in zip(fake, real, strict=True)]).mean()


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
