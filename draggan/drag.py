"""DragGAN (Pan et al. 2023, arXiv 2305.10973): motion supervision and point tracking in feature space.

    drag = Drag(generator, styles, handles, targets, mask)
    for step in drag.run():
        print(step.number, step.distances.mean(), step.loss)
    print(drag.stopped)               # "on target", "no progress", "step limit", ...
    picture = generator.picture(drag.best_styles)

What differs from the published loop, by default: the synthesis stops at the feature map, which is sampled at
its own resolution and never enlarged; a step is limited to the distance that remains; the drag stops by itself
and its result is the best state seen. Supervision may look back at the features of the start (`anchor`). `PAPER`
brings the published constants back for comparison.

Points are (x, y) in pixels of the generator's image, pixel centres at whole numbers.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan.generators import Generator


@dataclass(frozen=True)
class Settings:
    """How to drag. Lengths marked "at 512" are for an image of 512 pixels and scale with the resolution."""

    lr: float = 0.004  # of Adam
    w_plus: bool = True  # each free style row by itself; False: one change for all free rows
    free_rows: int | None = None  # style rows that may change, from the first; None: the generator's default
    feature_resolution: int | None = None  # of the map to drag on; None: the generator's default
    mask_weight: float = 10.0  # λ, of the change outside the mask
    anchor: float = 0.0  # 0: supervise with the features of this step, as published; 1: of the start
    supervision_radius: float = 3.0  # r1, at 512
    tracking_radius: float = 12.0  # r2, at 512; half the side of the square that is searched
    step: float = 2.0  # how far a point is asked to move at once, at 512
    limit_step: bool = True  # ... but never beyond its target
    hold: bool = True  # points that have arrived are kept there
    tolerance: float = 1.0  # a point has arrived within this distance, at 512
    max_steps: int = 80
    patience: int = 20  # stop after so many steps ...
    min_progress: float = 0.02  # ... in which the mean distance fell by less than this share of the first

    def __post_init__(self):
        positive = (
            "lr",
            "supervision_radius",
            "tracking_radius",
            "step",
            "tolerance",
            "max_steps",
            "patience",
        )
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("mask_weight", "anchor", "min_progress"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be below 0, got {getattr(self, name)}")


# Constants of the paper and the official code: L1 to the features of the same step in a disc of 3 pixels,
# steps of one pixel of the image for handles farther than one pixel, first 6 of 18 rows, 300 steps.
PAPER = Settings(
    lr=0.002,
    free_rows=6,
    anchor=0.0,
    supervision_radius=3.0,
    step=1.0,
    limit_step=False,
    hold=False,
    tolerance=2.0,
    max_steps=300,
    patience=300,
)

PRESETS = {"default": Settings(), "draggan-paper": PAPER}


@dataclass
class Step:
    """The state that one step found, before its update of the styles."""

    number: int  # 1, 2, ...
    points: np.ndarray  # (K, 2), where the tracker sees the handles
    distances: np.ndarray  # (K,), from there to the targets, in pixels
    loss: float
    seconds: float


class _Numbers(NamedTuple):
    """What a step is judged by."""

    loss: float
    mean: float  # of the points' distances
    largest: float
    finite: bool  # the gradient is


class Drag:
    """One drag on one image. Keeps its optimiser while points are changed with `set_points`.

    Args:
        generator: any `Generator`.
        styles: (1, num_rows, w_dim), where to start.
        handles, targets: (K, 2) each, (x, y) in pixels of the image.
        mask: (H, W) in [0, 1], 1 where the image may change; None: everywhere. Any size.
        settings: see `Settings`.

    Raises ValueError for points outside the image, none or unpaired points, and a mask that is not 2-D.
    """

    def __init__(
        self,
        generator: Generator,
        styles: Tensor,
        handles: np.ndarray,
        targets: np.ndarray,
        mask: np.ndarray | None = None,
        settings: Settings = PRESETS["default"],
    ):
        self.generator, self.settings = generator, settings
        resolution = settings.feature_resolution or generator.feature_resolution
        self._scale = resolution / generator.resolution  # image pixels to feature cells
        self._unit = generator.resolution / 512  # for lengths given at 512
        self._resolution = resolution

        self._start = styles.detach().clone()
        free = settings.free_rows or generator.free_rows
        if not 1 <= free <= generator.num_rows:
            raise ValueError(f"free_rows must be in 1-{generator.num_rows} for {generator.name}, got {free}")
        self._free = free
        change = torch.zeros_like(self._start[:, :free] if settings.w_plus else self._start[:, :1])
        self._change = change.requires_grad_()
        self._optimiser = torch.optim.Adam([self._change], lr=settings.lr)

        with torch.no_grad():
            self._features0 = generator.features(self._start, resolution)
        self._fixed = self._fixed_cells(mask)
        self._disc, self._square = (
            offsets.to(self._start.device) for offsets in (self._offsets_disc(), self._offsets_square())
        )
        self.steps_done = 0
        self.stopped: str | None = None
        self.set_points(handles, targets)

    # --- what a caller uses ---------------------------------------------------------------------------------

    def set_points(self, handles: np.ndarray, targets: np.ndarray) -> None:
        """Go on from the present state with these points; the optimiser's state stays."""
        size = self.generator.resolution
        handles, targets = (np.atleast_2d(np.asarray(p, np.float32)) for p in (handles, targets))
        if handles.shape != targets.shape or handles.ndim != 2 or handles.shape[1] != 2 or not len(handles):
            raise ValueError(f"handles and targets must both be (K, 2), got {handles.shape}, {targets.shape}")
        for name, points in (("handle", handles), ("target", targets)):
            outside = ~((points >= 0) & (points <= size - 1)).all(axis=1)  # NaN is outside, too
            if outside.any():
                x, y = points[outside][0]
                raise ValueError(f"{name} ({x:.0f}, {y:.0f}) is outside the image of {size}x{size} pixels")
        device = self._start.device
        first, last = torch.from_numpy(handles), torch.from_numpy(targets)
        self._first_distance = float((last - first).norm(dim=1).mean())
        self._points, self._targets = first.to(device), last.to(device)
        self._best = math.inf
        self._best_change = self._change.detach().clone()
        self._reference = math.inf  # the last distance that counted as progress, and when it was reached
        self._reference_step = self.steps_done
        self._fresh = True  # the next step takes the features of the points from its own map
        self.stopped = None

    @property
    def styles(self) -> Tensor:
        """Styles (1, num_rows, w_dim) as they are now."""
        return self._with_change(self._change.detach())

    @property
    def best_styles(self) -> Tensor:
        """Styles of the best state since the points were set: the result."""
        return self._with_change(self._best_change)

    def run(self) -> Iterator[Step]:
        """Step until something says stop; `stopped` then says what. Leaving the loop early is fine."""
        limit = self.steps_done + self.settings.max_steps
        self.stopped = None
        while self.stopped is None:
            yield self.step()
            if self.stopped is None and self.steps_done >= limit:
                self.stopped = "step limit"

    def step(self) -> Step:
        """One step: track the points, judge the state, update the styles.

        All numbers that are looked at come from the device in one copy, after everything else of the step was
        given to it: each copy makes a GPU wait for the host.

        Sets `stopped` when all points have arrived, when there was no progress for a while, or when the
        numbers are no longer finite; the styles are then not changed any more by this step.
        """
        began = time.perf_counter()
        settings = self.settings
        features = self.generator.features(self._with_change(self._change), self._resolution)
        with torch.no_grad():
            if self._fresh:
                self._templates = self._sample(features, self._points[:, None] + self._disc)  # (K, Q, C)
                self._handle_features = self._sample(features, self._points[:, None])  # (K, 1, C)
                self._fresh = False
            else:
                self._points = self._track(features)

        to_target = self._targets - self._points
        distances = to_target.norm(dim=1)
        loss = self._motion_loss(features, to_target, distances)
        if self._fixed is not None and settings.mask_weight:
            loss = loss + settings.mask_weight * ((features - self._features0).abs() * self._fixed).mean()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        points, distances, numbers = self._read(distances, loss.detach())
        self.steps_done += 1
        self._judge(*numbers)
        if self.stopped is None:
            self._optimiser.step()
        return Step(self.steps_done, points, distances, numbers.loss, time.perf_counter() - began)

    # --- the parts of a step --------------------------------------------------------------------------------

    def _with_change(self, change: Tensor) -> Tensor:
        if not self.settings.w_plus:
            change = change.expand(-1, self._free, -1)
        return torch.cat((self._start[:, : self._free] + change, self._start[:, self._free :]), dim=1)

    def _motion_loss(self, features: Tensor, to_target: Tensor, distances: Tensor) -> Tensor:
        """Sum over the points of the L1 between the features around p + d and those that should move there."""
        settings = self.settings
        length = torch.full_like(distances, settings.step * self._unit)
        if settings.limit_step:
            length = torch.minimum(length, distances)
        direction = to_target / distances.clamp_min(1e-6)[:, None]
        ahead = self._points + direction * length[:, None]
        # As published, handles within one pixel are left alone; held ones are kept like they were.
        moving = torch.ones_like(distances) if settings.hold else (distances > self._unit).float()
        with torch.no_grad():
            here = self._sample(features, self._points[:, None] + self._disc)
            wanted = torch.lerp(here, self._templates, settings.anchor)
            if settings.hold:
                arrived = distances <= settings.tolerance * self._unit
                wanted = torch.where(arrived[:, None, None], self._templates, wanted)
        found = self._sample(features, ahead[:, None] + self._disc)  # (K, Q, C)
        return ((found - wanted).abs().mean(dim=(1, 2)) * moving).sum()

    def _read(self, distances: Tensor, loss: Tensor) -> tuple[np.ndarray, np.ndarray, "_Numbers"]:
        """Points (K, 2), distances (K,) and what a step is judged by, on the host."""
        finite = torch.isfinite(self._change.grad).all()
        numbers = torch.stack((loss, distances.mean(), distances.max(), finite.to(loss.dtype)))
        parts = (self._points.flatten(), distances, numbers)
        points, distances, numbers = torch.cat(parts).cpu().split([part.numel() for part in parts])
        loss, mean, largest, finite = numbers.tolist()
        # Arrays of their own: one that kept the whole copy in memory could not be handed on alone.
        return (
            points.view(-1, 2).numpy().copy(),
            distances.numpy().copy(),
            _Numbers(loss, mean, largest, bool(finite)),
        )

    def _track(self, features: Tensor) -> Tensor:
        """Nearest neighbour of each handle's first feature, in a square around where it was: (K, 2)."""
        candidates = self._points[:, None] + self._square  # (K, S, 2)
        inside = (candidates >= 0).all(-1) & (candidates <= self.generator.resolution - 1).all(-1)
        distance = (self._sample(features, candidates) - self._handle_features).abs().sum(-1)
        nearest = distance.masked_fill(~inside, torch.inf).argmin(dim=1)
        return candidates.take_along_dim(nearest[:, None, None], dim=1).squeeze(1)

    def _judge(self, loss: float, mean: float, largest: float, finite: bool) -> None:
        """Keep the best state and say whether this was the last step.

        Args:
            loss: of this step.
            mean, largest: of the points' distances to their targets, in pixels.
            finite: whether the gradient is.
        """
        if not math.isfinite(loss) or not math.isfinite(mean):
            self.stopped = "numbers ran away"
            return
        if mean < self._best:
            self._best, self._best_change = mean, self._change.detach().clone()
        if largest <= self.settings.tolerance * self._unit:
            self.stopped = "on target"
            self._best_change = self._change.detach().clone()
        elif mean < self._reference - self.settings.min_progress * self._first_distance:
            self._reference, self._reference_step = mean, self.steps_done
        elif self.steps_done - self._reference_step >= self.settings.patience:
            self.stopped = "no progress"
        if self.stopped is None and not finite:
            self.stopped = "numbers ran away"

    def _sample(self, features: Tensor, points: Tensor) -> Tensor:
        """Bilinear samples of the features (1, C, H, W) at image points (K, Q, 2): (K, Q, C)."""
        # Image pixel centres at whole numbers; grid_sample's -1 and 1 are the outer edges of the map.
        grid = (points + 0.5) * (2 / self.generator.resolution) - 1
        sampled = F.grid_sample(
            features,
            grid[None].to(features.dtype),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        return sampled[0].permute(1, 2, 0)

    def _offsets_square(self) -> Tensor:
        """Offsets (S, 2) in image pixels of the square that is searched, a quarter of a feature cell apart."""
        radius = self.settings.tracking_radius * self._unit
        pitch = 0.25 / self._scale
        ticks = torch.arange(-radius, radius + pitch / 2, pitch)
        return torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), dim=-1).reshape(-1, 2)

    def _offsets_disc(self) -> Tensor:
        """Offsets (Q, 2) in image pixels of a disc of the supervision radius, half a feature cell apart."""
        radius = self.settings.supervision_radius * self._unit
        pitch = min(0.5 / self._scale, radius)
        n = int(radius / pitch)
        ticks = torch.arange(-n, n + 1, dtype=torch.float32) * pitch
        grid = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), dim=-1).reshape(-1, 2)
        return grid[grid.norm(dim=1) <= radius + 1e-6]

    def _fixed_cells(self, mask: np.ndarray | None) -> Tensor | None:
        """1 - mask on the feature map, (1, 1, H, W); None where everything may change."""
        if mask is None:
            return None
        mask = torch.as_tensor(np.asarray(mask, np.float32), device=self._start.device)
        if mask.ndim != 2:
            raise ValueError(f"the mask must be (H, W), got {tuple(mask.shape)}")
        size = (self._resolution, self._resolution)
        free = F.interpolate(mask[None, None].clamp(0, 1), size=size, mode="area")
        return (1 - free).to(self._start.dtype)


def with_settings(base: Settings, **changes) -> Settings:
    """A copy of settings with those of the changes that are not None."""
    return replace(base, **{name: value for name, value in changes.items() if value is not None})
