"""A drag without a tracker, after the idea of FreeDrag (Ling et al. 2023, arXiv 2307.04684); code of our own.

    drag = FreeDrag(generator, styles, handles, targets)
    for step in drag.run():
        print(step.number, step.distances.mean())
    picture = generator.picture(drag.best_styles)

Each point has a template, the features of its surroundings, and a place on the straight way from handle to target.
Some optimiser steps bring the template to the place. Then the template takes over what lies there, the more the better
that matched, and the place moves on along the way: as far as the features differ from the template by a set amount,
not at all where the match is middling, and back where it is bad. The place is where the point is taken to be.

What differs from theirs: the amount is not a constant but how much the features of a point differ from those around it
at the start, and the synthesis stops at the feature map. Points are (x, y) in pixels of the image.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from draggan.drag import Step
from draggan.generators import Generator
from draggan.newton import sample

# Times the expected difference: below, a place has been reached; its point may move on; above, it goes back.
CLOSE, GOOD, BAD = 0.2, 0.5, 1.0
PLACES = 11  # that are looked at along the way


@dataclass(frozen=True)
class FreeDragSettings:
    """How to drag. Lengths marked "at 512" are for an image of 512 pixels and scale with the resolution."""

    lr: float = 0.002  # of Adam
    free_rows: int | None = 6  # style rows that may change; None: the generator's default
    longest: float = 6.0  # that a place moves at once, at 512
    patch: float = 4.0  # between the 3x3 places of a template, at 512
    inner_steps: int = 5  # of the optimiser, for each move of the places
    tolerance: float = 1.0  # a place has arrived within this distance, at 512
    max_steps: int = 300  # of the optimiser, in all


class FreeDrag:
    """One drag on one image; the arguments are those of `drag.Drag`.

    `stopped` says why it ended: "on target", "step limit" or "numbers ran away".
    """

    def __init__(
        self,
        generator: Generator,
        styles: Tensor,
        handles: np.ndarray,
        targets: np.ndarray,
        settings: FreeDragSettings | None = None,
    ):
        self.generator, self.settings = generator, settings or FreeDragSettings()
        self._start, device = styles.detach(), styles.device
        self._unit = generator.resolution / 512
        self._free = self.settings.free_rows or generator.free_rows
        self._change = torch.zeros_like(self._start[:, : self._free]).requires_grad_()
        self._optimiser = torch.optim.Adam([self._change], lr=self.settings.lr)
        self._handles, self._targets = (
            torch.as_tensor(np.asarray(points, np.float32), device=device) for points in (handles, targets)
        )
        ticks = torch.arange(-1, 2, device=device) * self.settings.patch * self._unit
        self._patch = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), -1).reshape(-1, 2)
        with torch.no_grad():
            features = generator.features(self._start)
            self._templates = self._around(features, self._handles)  # (K, 9, C)
            reach = self.settings.longest * self._unit
            ring = reach * torch.tensor(
                [(1, 0), (-1, 0), (0, 1), (0, -1)], dtype=torch.float32, device=device
            )
            away = [self._differences(features, self._handles + step) for step in ring]
            self._expected = torch.stack(away).mean(dim=0).clamp_min(1e-6)  # (K,)
            self._places = self._before = self._handles
            self._places = self._onward(features)
        self.steps_done = 0
        self.stopped: str | None = None

    @property
    def best_styles(self) -> Tensor:
        """Styles (1, num_rows, w_dim) as they are now: the result."""
        return self._styles().detach()

    def run(self) -> Iterator[Step]:
        """Step until something says stop; `stopped` then says what."""
        while self.stopped is None:
            yield self.step()

    def step(self) -> Step:
        """One step of the optimiser; after a few of them the places move."""
        began = time.perf_counter()
        features = self.generator.features(self._styles())
        differences = self._differences(features, self._places)
        loss = differences.sum()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        distances = (self._targets - self._places).norm(dim=1)
        shown, total = (self._places.cpu().numpy(), distances.cpu().numpy()), float(loss.detach())
        matched = bool((differences <= CLOSE * self._expected).all())
        self.steps_done += 1
        if not math.isfinite(total) or not torch.isfinite(self._change.grad).all():
            self.stopped = "numbers ran away"
        elif matched and float(distances.max()) <= self.settings.tolerance * self._unit:
            self.stopped = "on target"
        elif self.steps_done >= self.settings.max_steps:
            self.stopped = "step limit"
        else:
            if matched or self.steps_done % self.settings.inner_steps == 0:
                with torch.no_grad():
                    self._renew(features, differences)
            self._optimiser.step()
        return Step(self.steps_done, *shown, total, time.perf_counter() - began)

    def _renew(self, features: Tensor, differences: Tensor) -> None:
        """Take over into the templates what lies at the places, and move these."""
        # As published: half where the difference is 0.2 of what is expected, a tenth where it is 0.8.
        match = (differences / self._expected - 0.2) * (math.log(9) / 0.6)
        share = torch.sigmoid(-match)[:, None, None]
        self._templates = torch.lerp(self._templates, self._around(features, self._places), share)
        good = (differences <= GOOD * self._expected)[:, None]
        bad = (differences > BAD * self._expected)[:, None]
        moved = torch.where(
            good, self._onward(features), torch.where(bad, self._back(features), self._places)
        )
        self._before = torch.where(good, self._places, self._before)
        self._places = moved

    def _onward(self, features: Tensor) -> Tensor:
        """The places (K, 2) farther along where the difference from the template is most like the expected one."""
        way = self._targets - self._places
        length = way.norm(dim=1, keepdim=True).clamp_min(1e-6)
        way = way * (self.settings.longest * self._unit / length).clamp(max=1)
        return self._search(features, way, self._expected, first=1)

    def _back(self, features: Tensor) -> Tensor:
        """The places (K, 2) between here and where the way was good last that are most like the template."""
        return self._search(features, self._before - self._places, torch.zeros_like(self._expected), first=0)

    def _search(self, features: Tensor, way: Tensor, wanted: Tensor, first: int) -> Tensor:
        """Of places along ways (K, 2) the ones whose difference from the template is nearest to one wanted (K,)."""
        shares = torch.arange(first, PLACES, device=way.device) / (PLACES - 1)
        candidates = torch.stack([self._places + share * way for share in shares])  # (P, K, 2)
        found = torch.stack([self._differences(features, places) for places in candidates])
        nearest = (found - wanted).abs().argmin(dim=0)
        return candidates[nearest, torch.arange(len(way), device=way.device)]

    def _differences(self, features: Tensor, places: Tensor) -> Tensor:
        """(K,): mean L1 between the features around places (K, 2) and the templates."""
        return (self._around(features, places) - self._templates).abs().mean(dim=(1, 2))

    def _around(self, features: Tensor, places: Tensor) -> Tensor:
        return sample(features, places[:, None] + self._patch, self.generator.resolution)

    def _styles(self) -> Tensor:
        return torch.cat((self._start[:, : self._free] + self._change, self._start[:, self._free :]), dim=1)
