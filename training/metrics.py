"""How good is a picture of labels: L1, pixel accuracy, class accuracy and mean IoU by nearest palette colour.

The rules, where published numbers differ for want of them:

* A colour belongs to the class whose palette colour is nearest (Euclidean distance in RGB, 0-255).
* Void: a ground-truth pixel nearest to a void colour of the palette, or farther than ``VOID_DISTANCE``
  from every palette colour, is not scored. JPEG invents such colours at the borders between labels. The
  void colours never win for a prediction: a predicted pixel counts for the nearest real class.
* One confusion matrix is summed over the whole split; the scores are computed from it once, at the end.
* Class accuracy is the mean over the classes present in the ground truth; IoU the mean over the classes
  present in the ground truth or the prediction. A class absent from both is left out of the mean.
* L1 is the mean absolute difference over all pixels and channels on [0, 1], void included; pixels that the labels'
  own palette or a user's ignores are left out.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.palettes import Palette, predicted_classes, truth_classes


def confusion(truth: Tensor, prediction: Tensor, classes: int) -> Tensor:
    """Confusion matrix (K, K) int64, rows truth, columns prediction; truth of -1 is not counted."""
    kept = truth >= 0
    return torch.bincount(truth[kept] * classes + prediction[kept], minlength=classes**2).view(
        classes, classes
    )


@dataclass(frozen=True)
class Scores:
    """Fractions on [0, 1]; ``iou`` has one entry a class, nan where the class is absent."""

    pixel_acc: float
    class_acc: float
    miou: float
    iou: tuple[float, ...]


def scores(matrix: Tensor) -> Scores:
    """Pixel accuracy, class accuracy and IoU from a confusion matrix (K, K), rows truth.

    An all-zero matrix (nothing but void) gives nan throughout.
    """
    counts = matrix.double()
    hit, truth, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    iou = hit / (truth + predicted - hit)  # 0 / 0 = nan: the class occurs nowhere
    recall = hit / truth
    return Scores(
        pixel_acc=(hit.sum() / truth.sum()).item(),
        class_acc=recall.nanmean().item(),
        miou=iou.nanmean().item(),
        iou=tuple(iou.tolist()),
    )


def boundary_f1(truth: Tensor, prediction: Tensor, classes: int, within: int = 2) -> Tensor:
    """How well the borders of each class are met, of each picture: the BF score of Csurka et al. 2013.

    Precision is the share of the predicted border that has a true border of the same class within so many pixels
    (Euclidean), recall the share of the true border that has a predicted one; F1 is their harmonic mean. Csurka et
    al., "What is a good evaluation measure for semantic segmentation?" (BMVC 2013), section 2.3.

    Args:
        truth: (N, H, W) class numbers, -1 void. What lies beside or in void has no border there.
        prediction: (N, H, W) class numbers.
        within: pixels.

    Returns:
        (N, K) float64 on [0, 1], nan where the class has a border in neither.
    """
    true, found = _borders(truth, classes), _borders(torch.where(truth < 0, -1, prediction), classes)
    steps = torch.arange(-within, within + 1, device=truth.device)
    disc = (steps[:, None] ** 2 + steps**2 <= within**2).float().expand(classes, 1, -1, -1)

    def met(borders: Tensor, others: Tensor) -> Tensor:
        near = F.conv2d(others.float(), disc, padding=within, groups=classes) > 0.5
        return (borders & near).sum(dim=(2, 3)).double() / borders.sum(dim=(2, 3))

    precision, recall = met(found, true), met(true, found)  # 0 / 0 = nan: no border
    f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
    # a border in one of the two alone: F1 is 0
    return torch.where(precision.isnan() ^ recall.isnan(), 0.0, f1)


def _borders(index: Tensor, classes: int) -> Tensor:
    """Pixels that have a neighbour of another class, above, below, left or right: (N, H, W) -> (N, K, H, W) bool."""
    border = torch.zeros_like(index, dtype=torch.bool)
    for dim in (1, 2):
        size = index.shape[dim] - 1
        first, second = index.narrow(dim, 0, size), index.narrow(dim, 1, size)
        differ = (first != second) & (first >= 0) & (second >= 0)
        border.narrow(dim, 0, size).logical_or_(differ)
        border.narrow(dim, 1, size).logical_or_(differ)
    numbers = torch.arange(classes, device=index.device).view(1, -1, 1, 1)
    return (index.unsqueeze(1) == numbers) & border.unsqueeze(1)


def likeness(prediction: Tensor, label: Tensor) -> tuple[float, float]:
    """Sums over a batch (N, 3, H, W) on [0, 255] of each picture's PSNR in dB, at most 100, and of its SSIM.

    SSIM is that of Wang et al. 2004, with torchmetrics' Gaussian window of 11 pixels.
    """
    # Only here: labels with classes need none of this, and it makes every start a second longer.
    from common import torchvision_ops  # noqa: F401  isort: skip  (torchmetrics looks at torchvision)
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    psnr = ssim = 0.0
    small = {"gaussian_kernel": False, "kernel_size": 3} if min(label.shape[2:]) < 11 else {}
    for fake, real in zip(prediction.float().cpu() / 255, label.float().cpu() / 255, strict=True):
        psnr += peak_signal_noise_ratio(fake, real, data_range=1.0).clamp(max=100).item()
        ssim += structural_similarity_index_measure(fake[None], real[None], data_range=1.0, **small).item()
    return psnr, ssim


class SplitMeter:
    """Sums the L1 error and the confusion matrix over a split, batch by batch."""

    def __init__(self, palette: Palette | None):
        self.palette = palette
        classes = len(palette.classes) if palette else 0
        self.matrix = torch.zeros(classes, classes, dtype=torch.int64)
        # absolute error, elements, pixels outside the palette, pixels; of pictures: PSNR, SSIM, how many
        self.sums = torch.zeros(7, dtype=torch.float64)

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Add a batch: both (N, 3, H, W) uint8 or float on [0, 255]."""
        error = (prediction.float() - label.float()).abs().div(255)
        outside = torch.zeros(())
        pixels = counted = label.numel() / label.shape[1]
        if self.palette:
            truth, mask = truth_classes(label, self.palette)
            found = predicted_classes(prediction, self.palette)
            self.matrix += confusion(truth, found, len(self.palette.classes)).cpu()
            outside = mask.sum().cpu()
            if self.palette.ignores:
                ignored = (truth < 0) & ~mask
                error = error.masked_fill(ignored.unsqueeze(1), 0)
                counted -= ignored.sum().item()
        error = error.double().sum().cpu()
        elements, pixels = torch.tensor(counted * label.shape[1]), torch.tensor(pixels)
        self.sums[:4] += torch.stack([error, elements, outside, pixels]).double()
        if self.palette is None:
            self.sums[4:] += torch.tensor([*likeness(prediction, label), len(label)], dtype=torch.float64)

    @property
    def l1(self) -> float:
        """Mean absolute error on [0, 1]."""
        return (self.sums[0] / self.sums[1].clamp(min=1)).item()

    @property
    def outside(self) -> float:
        """Fraction of ground-truth pixels farther than ``VOID_DISTANCE`` from every palette colour."""
        return (self.sums[2] / self.sums[3]).item()

    def result(self) -> dict[str, float]:
        """``l1``; with a palette ``pixel_acc``, ``class_acc``, ``miou``, ``iou_<class>``, else ``psnr`` and ``ssim``.

        Where no pixel of the truth has a class there is nothing but ``l1``.
        """
        values = {"l1": self.l1}
        if self.palette is None and self.sums[6]:
            values |= {name: (self.sums[k] / self.sums[6]).item() for k, name in ((4, "psnr"), (5, "ssim"))}
        if self.palette and self.matrix.sum():
            found = scores(self.matrix)
            values |= {"pixel_acc": found.pixel_acc, "class_acc": found.class_acc, "miou": found.miou}
            for name, iou in zip(self.palette.classes, found.iou, strict=True):
                values[f"iou_{name.replace(' ', '_')}"] = iou
        return values
