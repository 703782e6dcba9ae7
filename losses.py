"""What generator and discriminator are trained with: L1 in its two forms, and the GAN losses on logits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


def _weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """0 where nothing counts."""
    return (values * weight).sum() / weight.sum().clamp(min=1)


def feature_matching_loss(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean over the discriminator's layers of the L1 between its features (Wang et al. 2018, arXiv 1711.11585).

    Args:
        fake, real: (N, C, h, w) of each layer, for painted and for real pictures.
    """
    return torch.stack([F.l1_loss(a, b) for a, b in zip(fake, real, strict=True)]).mean()


@dataclass(frozen=True)
class GanLoss:
    """An adversarial loss on logits, as three functions of a logit.

    real, fake: what the discriminator pays for a logit that should say real, or fake.
    fool: what the generator pays for a logit of what it painted.
    """

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    fool: Callable[[Tensor], Tensor]

    def discriminator(
        self, real: Tensor, fake: Tensor, weight: Tensor | float = 1.0, right: Tensor | None = None
    ) -> Tensor:
        """Real up, fake down; halved as in pix2pix.

        Args:
            real, fake: logits (N, 1, h, w).
            weight: how much each counts, on average 1.
            right: 1 where the fake shows what the real picture does, else 0. There its logit should say real, too. Few
                pixels are wrong: if all counted alike, it would pay to call everything real. So the loss is the mean
                over the pixels that are wrong, as above, and half of the mean over those that are right.
        """
        if right is None:
            return ((self.real(real) + self.fake(fake)) * weight).mean() / 2
        of_wrong = _weighted_mean(self.real(real) + self.fake(fake), weight * (1 - right))
        return (of_wrong + _weighted_mean(self.real(fake), weight * right)) / 2

    def generator(self, fake: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """The logits of what it painted, and how much each counts."""
        return (self.fool(fake) * weight).mean()


GAN_LOSSES = {
    # binary cross-entropy, and the non-saturating -log D(fake) (Goodfellow et al. 2014)
    "bce": GanLoss(lambda x: F.softplus(-x), F.softplus, lambda x: F.softplus(-x)),
    # least squares to 1 and 0 (Mao et al. 2017, arXiv 1611.04076)
    "lsgan": GanLoss(lambda x: (x - 1).square(), torch.square, lambda x: (x - 1).square()),
    # margins of 1 on both sides (Lim and Ye 2017, arXiv 1705.02894)
    "hinge": GanLoss(lambda x: F.relu(1 - x), lambda x: F.relu(1 + x), torch.neg),
}
