"""A drag by Gauss-Newton: how the points move with the latent is known, so a few large steps do.

    drag = NewtonDrag(generator, styles, handles, targets, observe)
    for step in drag.run():
        print(step.number, step.distances.mean())
    picture = generator.picture(drag.best_styles)

DragGAN follows the gradient of a loss that moves every point by a pixel or two. Here the motion itself is
differentiated: where the features around a point go when the styles change a little is optical flow (Lucas and Kanade
1981) in the feature map, and one backward pass for each coordinate gives its gradient. The change of the latent is then
the likeliest one that brings the points to their targets: it is measured in the standard deviations of the generator's
own population of w. After each step the points are looked for, by whatever `observe` is (a landmark detector, or the
`Tracker` here), and the Jacobian is corrected by what was seen (Broyden 1965). A step that made it worse is not taken.

Points are (x, y) in pixels of the generator's image, pixel centres at whole numbers.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan.drag import Step
from draggan.generators import DEFAULT_PSI, Generator
from draggan.generators.region import root

SAMPLES = 4096  # of w, from which the population is known
COARSER = 4  # times than the map that is dragged on: where motion is differentiated
# What is seen of the points of some styles (1, num_rows, w_dim), where they are expected at (K, 2): (K, 2), or None
# where they are not to be found.
Observe = Callable[[Tensor, Tensor], Tensor | None]


@dataclass(frozen=True)
class NewtonSettings:
    """How to step. Lengths marked "at 512" are for an image of 512 pixels and scale with the resolution."""

    dims: int = 256  # directions of the population in which the latent may change
    free_rows: int | None = None  # style rows that change, all alike; None: the generator's default
    noise: float = 1.0  # of a point that is observed, at 512: so much is not worth a change of the latent
    longest: float = 32.0  # way of a point in one step, at 512
    shortest: float = 1.5  # to which failing steps shrink it
    tolerance: float = 1.6  # mean distance at which the drag is done, at 512
    patience: int = (
        2  # steps that made it worse, one after the other, before the motion is differentiated anew
    )
    jacobians: int = 3  # how often that is done at most
    max_steps: int = 20


class NewtonDrag:
    """One drag on one image.

    Args:
        generator: any `Generator` whose `map` makes its w.
        styles: (1, num_rows, w_dim), where to start.
        handles, targets: (K, 2) each, (x, y) in pixels of the image, inside it.
        observe: where the points are, see `Observe`; None: a `Tracker` of the features.

    `stopped` says why it ended: "on target", "no progress" or "step limit".
    """

    def __init__(
        self,
        generator: Generator,
        styles: Tensor,
        handles: np.ndarray,
        targets: np.ndarray,
        observe: Observe | None = None,
        settings: NewtonSettings | None = None,
    ):
        self.generator, self.settings = generator, settings or NewtonSettings()
        self._unit = generator.resolution / 512
        self._start = styles.detach()
        self._free = self.settings.free_rows or generator.free_rows
        self._basis = population(generator, self.settings.dims)  # (D, w_dim)
        device = self._start.device
        self._points, self._targets = (
            torch.as_tensor(np.asarray(points, np.float32), device=device) for points in (handles, targets)
        )
        self._observe = observe or Tracker(generator, self._start, self._points)
        self._at = torch.zeros(len(self._basis), device=device)  # the change, in standard deviations
        self._left = self._mean_distance(self._points)
        self._differentiated, self.steps_done = 0, 0
        self.stopped: str | None = None

    @property
    def best_styles(self) -> Tensor:
        """Styles (1, num_rows, w_dim) of the best state that was observed: the result."""
        return self._styles(self._at)

    def run(self) -> Iterator[Step]:
        """Step until something says stop; `stopped` then says what."""
        while self.stopped is None:
            yield self.step()

    def step(self) -> Step:
        """Try one change of the latent, and take it where it brought the points nearer on average."""
        began, settings = time.perf_counter(), self.settings
        if not self._differentiated:
            self._differentiate()
        move = self._proposal()
        expected = self._points + (self._jacobian @ move).view(-1, 2)
        seen = self._observe(self._styles(self._at + move), expected)
        left = float("inf") if seen is None else self._mean_distance(seen)
        if seen is not None:
            surprise = (seen - expected).flatten()
            # 0.1: what is seen of a tiny step is mostly noise
            self._jacobian = self._jacobian + torch.outer(surprise, move) / (move @ move + 0.1)
        if left < self._left:
            if self._left - left > 0.5 * (self._left - self._mean_distance(expected)):
                self._reach = min(1.5 * self._reach, settings.longest * self._unit)
            self._points, self._at, self._left = seen, self._at + move, left
            self._failed, self._damping = 0, self._damping / 4
        else:
            self._reach = max(self._reach / 2, settings.shortest * self._unit)
            self._failed, self._damping = self._failed + 1, max(4 * self._damping, 1.0)
        self.steps_done += 1
        self._judge()
        points, distances = self._points, (self._targets - self._points).norm(dim=1)
        return Step(
            self.steps_done, points.cpu().numpy(), distances.cpu().numpy(), left, time.perf_counter() - began
        )

    def _judge(self) -> None:
        """Say whether this was the last step, and differentiate anew where the steps have been failing."""
        if self._left <= self.settings.tolerance * self._unit:
            self.stopped = "on target"
        elif self.steps_done >= self.settings.max_steps:
            self.stopped = "step limit"
        elif self._failed >= self.settings.patience:
            # Where no step has left the state in which that was done, it would say the same again.
            new = self._left < self._left_there and self._differentiated < self.settings.jacobians
            if new:
                self._differentiate()
            elif self._failed >= 2 * self.settings.patience:
                self.stopped = "no progress"

    def _differentiate(self) -> None:
        change = self._at.clone().requires_grad_()
        self._jacobian = motion(self.generator, self._styles(change), change, self._points)
        self._differentiated += 1
        self._left_there, self._failed, self._damping = self._left, 0, 0.0
        self._reach = self.settings.longest * self._unit / (1 if self._differentiated == 1 else 2)

    def _proposal(self) -> Tensor:
        """The change (D,) from here on: the likeliest that takes the points on their way, by what is known.

        Of all changes since the start it minimises |distance|² / noise² + |change|², linearised, with all ways
        shortened so that none is longer than the reach. After a step that failed it is damped (Levenberg 1944).
        """
        way = self._targets - self._points
        way = way * (self._reach / way.norm(dim=1).max().clamp_min(1e-6)).clamp(max=1)
        jacobian = self._jacobian / (self.settings.noise * self._unit)
        pull = jacobian.T @ way.flatten() / (self.settings.noise * self._unit) - self._at
        curvature = jacobian.T @ jacobian
        curvature += (1 + self._damping) * torch.eye(len(curvature), device=curvature.device)
        return torch.linalg.solve(curvature, pull)

    def _styles(self, change: Tensor) -> Tensor:
        """Styles (1, num_rows, w_dim) with a change (D,) in all free rows."""
        rows = (change @ self._basis).to(self._start.dtype).expand(1, self._free, -1)
        return torch.cat((self._start[:, : self._free] + rows, self._start[:, self._free :]), dim=1)

    def _mean_distance(self, points: Tensor) -> float:
        return float((self._targets - points).norm(dim=1).mean())


_populations: WeakKeyDictionary[Generator, Tensor] = WeakKeyDictionary()


@torch.no_grad()
def population(generator: Generator, dims: int) -> Tensor:
    """How the w of a generator differ: their first `dims` principal components (D, w_dim), each as long as one
    standard deviation at the usual truncation."""
    generator = root(generator)
    if generator not in _populations:
        random = torch.Generator().manual_seed(0)
        z = torch.randn(SAMPLES, generator.z_dim, generator=random)
        w = generator.map(z.to(generator.device, generator.dtype)).float()
        variance, axes = torch.linalg.eigh(torch.cov(w.T))
        order = variance.argsort(descending=True)
        _populations[generator] = (axes[:, order] * variance[order].clamp_min(0).sqrt() * DEFAULT_PSI).T
    return _populations[generator][:dims].contiguous()


def motion(generator: Generator, styles: Tensor, change: Tensor, points: Tensor) -> Tensor:
    """How points (K, 2) move with a change (D,) that styles (1, num_rows, w_dim) were computed from: (2K, D).

    Lucas-Kanade: a feature f that stays itself while it moves by m has df + ∇f · m = 0, which is solved for m in the
    surroundings of each point, in the sense of least squares.
    """
    resolution = min(
        generator.feature_resolutions,
        key=lambda n: abs(math.log2(n * COARSER / generator.feature_resolution)),
    )
    features, size = generator.features(styles, resolution), generator.resolution
    half = size / resolution / 2
    around = points[:, None] + grid(size / 64, size / 128, points.device)  # 8 and 4 pixels at 512
    here = sample(features, around, size)  # (K, Q, C)
    with torch.no_grad():
        steps = half * torch.eye(2, device=points.device)
        ends = [[sample(features, around + sign * step, size) for sign in (1, -1)] for step in steps]
        slopes = [(ahead - behind) / (2 * half) for ahead, behind in ends]
        slope = torch.stack(slopes, dim=-1)  # (K, Q, C, 2)
        normal = torch.einsum("kqci,kqcj->kij", slope, slope)
        # An edge does not say how far it has moved along itself.
        damp = 0.02 * normal.diagonal(dim1=1, dim2=2).mean(dim=1) + 1e-12
        normal = normal + damp[:, None, None] * torch.eye(2, device=points.device)
        flow = -torch.einsum("kij,kqcj->kiqc", torch.linalg.inv(normal), slope)
    moved = torch.einsum("kqc,kiqc->ki", here, flow).flatten()
    return torch.stack([torch.autograd.grad(each, change, retain_graph=True)[0] for each in moved])


def sample(features: Tensor, points: Tensor, resolution: int) -> Tensor:
    """Bilinear samples (K, Q, C) of features (1, C, H, W) at points (K, Q, 2) in pixels of an image."""
    places = ((points + 0.5) * (2 / resolution) - 1)[None].to(features.dtype)
    found = F.grid_sample(features, places, mode="bilinear", padding_mode="border", align_corners=False)
    return found[0].permute(1, 2, 0).float()


class Tracker:
    """Finds points again by the cosine of their features, in two maps, near where they are expected.

    points (K, 2): where they are in the picture of the styles.
    """

    RADIUS = 10.0  # at 512, half the side of the square that is searched
    PRIOR = 0.8  # times what the best place is above the mean: so much it must be better at that distance

    def __init__(self, generator: Generator, styles: Tensor, points: Tensor):
        self.generator, unit = generator, generator.resolution / 512
        self._square = grid(self.RADIUS * unit, unit, points.device)  # (S, 2)
        self._away = (self._square / (self.RADIUS * unit)).square().sum(dim=-1)  # (S,)
        self._wanted = self._described(styles, points[:, None])  # (K, 1, C)

    @torch.no_grad()
    def __call__(self, styles: Tensor, expected: Tensor) -> Tensor:
        """Where the points (K, 2) are in other styles."""
        places = expected[:, None] + self._square  # (K, S, 2)
        inside = ((places >= 0) & (places <= self.generator.resolution - 1)).all(dim=-1)
        alike = (self._described(styles, places) * self._wanted).sum(dim=-1)
        prior = self.PRIOR * (alike.amax(dim=1) - alike.mean(dim=1))[:, None] * self._away
        best = (alike - prior).masked_fill(~inside, -torch.inf).argmax(dim=1)
        return places.take_along_dim(best[:, None, None], dim=1).squeeze(1)

    @torch.no_grad()
    def _described(self, styles: Tensor, places: Tensor) -> Tensor:
        """Features (K, S, C) of both maps at places (K, S, 2), each of length 1."""
        resolution, coarse = self.generator.feature_resolution, self.generator.feature_resolution // 2
        found, partial = [], None
        for each in [n for n in (coarse, resolution) if n in self.generator.feature_resolutions]:
            partial = self.generator.partial(styles, each, partial)
            found.append(F.normalize(sample(partial.features, places, self.generator.resolution), dim=-1))
        return torch.cat(found, dim=-1)


def grid(radius: float, pitch: float, device: torch.device) -> Tensor:
    """Offsets (N, 2) in a square of that radius."""
    ticks = torch.arange(-radius, radius + 1e-3, pitch, device=device)
    return torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), -1).reshape(-1, 2)
