"""A real face into a generator: styles that draw it (W+), then the generator's weights tuned around them.

    inversion = Inversion(generator, aligned, points, "fast")   # aligned as FFHQ; landmarks in it
    for progress in inversion:                                  # may be left at any time
        if progress.picture is not None:
            show(progress.picture)
    found = inversion.result                                    # styles, and a generator of this photo's own
    found.generator.picture(found.styles)

The styles are optimised as Image2StyleGAN does (Abdal et al. 2019, arXiv 1904.03189), but in the principal axes
of W, each in units of its standard deviation, and pulled toward W's mean, so that what is found lies where the
generator draws faces and stays editable (compare Zhu et al. 2020, arXiv 2012.09036). Then the weights that
draw, not those that read the styles, are tuned on a copy: pivotal tuning (Roich et al. 2021, arXiv 2106.05744).
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan.alignment import face_region, hull
from draggan.frame import frame
from draggan.generators import Generator
from draggan.perceptual import Perceptual

FACE_SIDE, WHOLE_SIDE = (
    256,
    128,
)  # pixels at which the features of the face and of the whole picture are compared
PIXEL_SIDE = 256  # at which the pixels are
# How much a pixel counts: the background, what is added on the face, and on eyes and mouth.
BACKGROUND, FACE, FEATURES = 0.1, 0.9, 2.0
WHOLE_WEIGHT, PIXEL_WEIGHT, TUNING_PIXEL_WEIGHT = 0.5, 1.0, 3.0
SPREAD_WEIGHT, FAR_WEIGHT = 0.02, 0.01  # of the styles' distance from one another, and from the mean
SAMPLES, SAMPLE_SEED = 8192, 1  # of W, for its principal axes
LEAST_DEVIATION = 0.02  # of an axis, as a share of the largest: axes that W does not use stay closed
FIRST_LOOK, LOOK_EVERY = 5, 10  # steps
MARGIN = 1.1  # of the square around the face whose features are compared


@dataclass(frozen=True)
class Preset:
    """How long to look, and how fast to move."""

    steps: int  # of the styles
    tuning_steps: int  # of the weights
    lr: float = 0.1  # of Adam, in standard deviations of W
    tuning_lr: float = 0.0005


PRESETS = {"fast": Preset(40, 20), "best": Preset(120, 60)}


@dataclass(frozen=True)
class Progress:
    """After one step."""

    stage: str  # "styles" or "weights"
    step: int  # 1, 2, ... of both stages together
    steps: int  # of both
    loss: float
    seconds: float  # since the start
    picture: np.ndarray | None  # (H, W, 3) uint8, every few steps


@dataclass(frozen=True)
class Inverted:
    """What was found: styles (1, num_rows, w_dim), and the generator that draws the photo's face with them."""

    generator: Generator
    styles: Tensor
    weights: dict[str, Tensor]  # those that are the generator's own; none before the tuning


class Wanted:
    """What the picture is compared with: the aligned photo (size, size, 3) uint8 and its landmarks (68, 2)."""

    def __init__(self, aligned: np.ndarray, points: np.ndarray, perceptual: Perceptual, device: torch.device):
        size = len(aligned)
        self.perceptual = perceptual
        points = np.asarray(points, np.float64)
        outline = np.argwhere(hull(points, size))
        low, high = outline.min(axis=0), outline.max(axis=0) + 1
        side = int(min(MARGIN * (high - low).max(), size))
        top, left = (int(v) for v in np.clip((low + high - side) // 2, 0, size - side))
        self.square = (..., slice(top, top + side), slice(left, left + side))
        self.sides = tuple(min(side, size) for side in (FACE_SIDE, WHOLE_SIDE, PIXEL_SIDE))

        weight = BACKGROUND + FACE * face_region(points, size) + FEATURES * _features_region(points, size)
        weight = torch.from_numpy(weight.astype(np.float32))[None, None].to(device)
        photo = torch.from_numpy(aligned).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
        self.weights = self._views(weight)
        photos = self._views(photo)
        self.features = [perceptual.features(view) for view in photos[:2]]
        self.pixels = photos[2]

    def _views(self, picture: Tensor) -> list[Tensor]:
        """The face, the whole picture small, and the whole picture for the pixels."""
        cuts = (picture[self.square], picture, picture)
        return [
            F.interpolate(cut, size=(side, side), mode="area")
            for cut, side in zip(cuts, self.sides, strict=True)
        ]

    def loss(self, picture: Tensor, pixel_weight: float) -> Tensor:
        """How much a picture (1, 3, size, size) in [-1, 1] differs from the photo."""
        views = self._views(picture)
        face, whole = (
            self.perceptual.distance(self.perceptual.features(view), wanted, weight)
            for view, wanted, weight in zip(views, self.features, self.weights, strict=False)
        )
        weight = self.weights[2]
        pixels = ((views[2] - self.pixels).abs() * weight).sum() / (3 * weight.sum())
        return face + WHOLE_WEIGHT * whole + pixel_weight * pixels


def _features_region(points: np.ndarray, size: int) -> np.ndarray:
    """Eyes and mouth with their surroundings, soft: (size, size) float32 in [0, 1]."""
    unit = frame(points).unit
    out = np.zeros((size, size), np.uint8)
    for part in (slice(36, 42), slice(42, 48), slice(48, 60)):
        outline = cv2.convexHull(points[part].astype(np.float32))
        cv2.fillConvexPoly(out, np.rint(outline).astype(np.int32), 1)
    width = 2 * round(0.05 * unit) + 1
    out = cv2.dilate(out, np.ones((width, width), np.uint8)).astype(np.float32)
    return cv2.GaussianBlur(out, (0, 0), max(0.05 * unit, 0.5))


@dataclass
class Inversion:
    """The search for one face; iterate, leave at any time, then read `result`: the best so far.

    Args:
        generator: any face generator; it is not changed.
        aligned: (resolution, resolution, 3) uint8, the photo's face as FFHQ aligns it.
        points: its landmarks (68, 2), in pixels of `aligned`.
        preset: a name of PRESETS, or a Preset.
        perceptual: the features to compare; None: read now (ModelError where their weights are missing).
    """

    generator: Generator
    aligned: np.ndarray
    points: np.ndarray
    preset: str | Preset = "fast"
    perceptual: Perceptual | None = None
    result: Inverted = field(init=False)

    def __post_init__(self):
        size = self.generator.resolution
        if self.aligned.shape != (size, size, 3):
            raise ValueError(f"expected an aligned picture ({size}, {size}, 3), got {self.aligned.shape}")
        if isinstance(self.preset, str):
            if self.preset not in PRESETS:
                raise ValueError(f"unknown preset {self.preset!r}; known: {', '.join(PRESETS)}")
            self.preset = PRESETS[self.preset]
        self.perceptual = self.perceptual or Perceptual(self.generator.device)
        start = self.generator.styles(self.generator.mean_w[None])
        self.result = Inverted(self.generator, start, {})

    def __iter__(self) -> Iterator[Progress]:
        began = time.perf_counter()
        wanted = Wanted(self.aligned, self.points, self.perceptual, self.generator.device)
        number, steps = 0, self.preset.steps + self.preset.tuning_steps
        for stage, search in (("styles", self._find_styles), ("weights", self._tune)):
            for loss, image in search(wanted):
                number += 1
                look = number in (FIRST_LOOK, steps) or number % LOOK_EVERY == 0
                picture = as_picture(image) if look else None
                yield Progress(stage, number, steps, loss, time.perf_counter() - began, picture)

    def _find_styles(self, wanted: Wanted) -> Iterator[tuple[float, Tensor]]:
        """Adam on the styles in W's principal axes; yields the loss and the image before each step."""
        generator, preset, best = self.generator, self.preset, np.inf
        axes = principal_axes(generator)
        start = self.result.styles
        place = torch.zeros_like(start).requires_grad_()
        optimiser = torch.optim.Adam([place], lr=preset.lr, betas=(0.9, 0.95))
        for step in range(preset.steps):
            styles = start + place @ axes
            image = generator.image(styles)
            loss = wanted.loss(image, PIXEL_WEIGHT)
            middle = place.mean(dim=1, keepdim=True)
            near = SPREAD_WEIGHT * (place - middle).square().mean() + FAR_WEIGHT * middle.square().mean()
            optimiser.param_groups[0]["lr"] = preset.lr * _schedule(step, preset.steps)
            optimiser.zero_grad(set_to_none=True)
            (loss + near).backward()
            optimiser.step()
            value = float(loss.detach())  # waits for a GPU, so it comes last
            if value < best:
                best = value
                self.result = Inverted(generator, styles.detach().clone(), {})
            yield value, image.detach()

    def _tune(self, wanted: Wanted) -> Iterator[tuple[float, Tensor]]:
        """Adam on the weights of a copy, at the styles that were found."""
        if not self.preset.tuning_steps:
            return
        styles = self.result.styles
        generator = self.generator.copy_with(self.generator.tunable())
        weights, best = generator.tunable(), np.inf
        optimiser = torch.optim.Adam(weights.values(), lr=self.preset.tuning_lr)
        for step in range(self.preset.tuning_steps):
            generator.requires_grad_(False)
            for weight in weights.values():
                weight.requires_grad_(True)
            image = generator.image(styles)
            loss = wanted.loss(image, TUNING_PIXEL_WEIGHT)
            optimiser.param_groups[0]["lr"] = self.preset.tuning_lr * _schedule(
                step, self.preset.tuning_steps
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            look = step % LOOK_EVERY == LOOK_EVERY - 1 or step == self.preset.tuning_steps - 1
            kept = {name: weight.detach().clone() for name, weight in weights.items()} if look else {}
            optimiser.step()
            value = float(loss.detach())  # waits for a GPU, so it comes last
            if look and value < best:
                best = value
                self.result = Inverted(self.generator.copy_with(kept), styles, kept)
            yield value, image.detach()


def _schedule(step: int, steps: int) -> float:
    """Share of the learning rate: a short rise, a plateau, and a linear fall over the last 40 %."""
    return min(1.0, 0.2 + step / 5) * min(1.0, (1 - step / steps) / 0.4)


@torch.no_grad()
def principal_axes(generator: Generator) -> Tensor:
    """Rows (w_dim, w_dim): the principal axes of W, each as long as W's standard deviation along it."""
    random = torch.Generator().manual_seed(SAMPLE_SEED)
    z = torch.randn(SAMPLES, generator.z_dim, generator=random).to(generator.device, generator.dtype)
    covariance = torch.cov(generator.map(z).T)
    values, axes = torch.linalg.eigh(covariance.double().cpu())  # some devices cannot
    deviation = values.clamp_min(0).sqrt()
    deviation = deviation.where(deviation >= LEAST_DEVIATION * deviation.max(), 0)
    return (axes.T * deviation[:, None]).to(generator.device, generator.dtype)


def as_picture(image: Tensor) -> np.ndarray:
    """An image (1, 3, H, W) in [-1, 1] as (H, W, 3) uint8."""
    image = image[0].float().clamp(-1, 1)
    return image.add(1).mul(127.5).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()
