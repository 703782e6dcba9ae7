"""Edits without a drag: learned directions, scaled to the face, drawn inside the edits' region only.

    sliders = Sliders(editor, face)                       # editor.directions holds what was learned
    picture = sliders.picture({"smile": 0.6, "slim": 1}, size=256)    # while a slider moves
    face = sliders.look({"smile": 0.6, "slim": 1})        # picture, landmarks, styles and what draws them

How far a direction must go differs from face to face. Once for each face and edit it is tried at strength 1,
the landmarks say how much of the edit's way it went, and its scale is corrected. From there on the change is
in proportion to the strength, so that a picture follows its slider without a jump, and changes of several
edits add up in whatever order.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan.edits import EDITS, Plan, find_edit, plan_edit, plan_edits, share
from draggan.generators import RegionGenerator
from draggan.generators.region import blend_base, blend_mask, root

if TYPE_CHECKING:
    from draggan.editor import FaceEditor, FaceState

CORRECTIONS = 2  # of a direction's scale, at most; each costs a picture and its landmarks
SCALES = (0.5, 2.0)  # of the change that was learned; beyond, a face falls apart
ENOUGH, MIDDLE = 1.3, 1.1  # times the aim: up to where a scale may stay, and what a correction heads for
NO_HELP = 0.15  # share of the way below which a direction is not worth its change of the face
RAMP = 0.2  # an edit weaker than this share of the strongest one has its region come in by degrees


class Sliders:
    """All instant edits of one face. Pictures are at the generator's resolution unless a size is given."""

    def __init__(self, editor: "FaceEditor", face: "FaceState"):
        self.editor, self.face = editor, face
        drawn_by = face.generator or editor.generator
        self._root = root(drawn_by)
        self._base = blend_base(drawn_by, face.styles)
        self._tried: dict[tuple[str, int], float] = {}
        self._masks: dict[str, Tensor] = {}

    @property
    def available(self) -> tuple[str, ...]:
        """The edits that have a direction."""
        directions = self.editor.directions
        return tuple(name for name in EDITS if directions is not None and name in directions)

    def scale(self, name: str, strength: float = 1.0) -> float:
        """How far to go along an edit's direction per unit of strength; 0 where it does not help this face."""
        find_edit(name, strength)
        if name not in self.available:
            return 0.0
        sign = -1 if strength < 0 else 1
        if (name, sign) not in self._tried:
            self._tried[name, sign] = self._try(name, sign)
        return self._tried[name, sign]

    def helps(self, strengths: Mapping[str, float]) -> bool:
        """Whether any of the edits has a direction that moves this face."""
        return any(self.scale(name, s) > 0 for name, s in strengths.items() if s)

    def styles(self, strengths: Mapping[str, float]) -> Tensor:
        """Styles (1, num_rows, w_dim) with the edits {name: strength}; drawn by `generator` of the same."""
        styles = self.face.styles.clone()
        for name in sorted(strengths):  # so that not even rounding depends on the order
            styles += strengths[name] * self.scale(name, strengths[name]) * self._change(name)
        return styles

    def generator(self, strengths: Mapping[str, float]) -> RegionGenerator:
        """The generator that draws them: the face's picture stays outside the regions of these edits."""
        strongest = max((abs(s) for s in strengths.values()), default=0.0)
        mask = torch.zeros_like(self._mask(next(iter(EDITS))))
        for name, strength in strengths.items():
            if strength:
                weight = min(1.0, abs(strength) / (RAMP * strongest))
                mask = torch.maximum(mask, weight * self._mask(name))
        return RegionGenerator(self._root, self._base, mask)

    def plan(self, strengths: Mapping[str, float]) -> Plan:
        """Where the landmarks of the face are to go; EditError for unknown edits, strengths out of range, none."""
        return plan_edits(strengths, self.face.points)

    def picture(self, strengths: Mapping[str, float], size: int | None = None) -> np.ndarray:
        """The edited face as (size, size, 3) uint8; a size below the resolution is a preview."""
        return self.generator(strengths).picture(self.styles(strengths), size)

    def look(self, strengths: Mapping[str, float]) -> "FaceState":
        """The edited face with its landmarks, to go on from; NoFaceError if there is no face any more."""
        return self.editor.look(self.styles(strengths), self.generator(strengths))

    def _change(self, name: str) -> Tensor:
        return self.editor.directions.change(name, self.face.styles)

    def _mask(self, name: str) -> Tensor:
        if name not in self._masks:
            plan = plan_edit(name, self.face.points)
            size = 4 * self._base.resolution
            self._masks[name] = blend_mask(self._root, plan.mask(self._root.resolution, size, soft=True))
        return self._masks[name]

    def _try(self, name: str, sign: int) -> float:
        """The scale at which the landmarks show the edit's aim, as near as a few trials come; or 0."""
        plan, edit = plan_edit(name, self.face.points, sign), EDITS[name]
        tried: dict[float, float] = {}  # scale: share of the way
        scale = 1.0
        while len(tried) <= CORRECTIONS and scale not in tried:
            styles = self.face.styles + sign * scale * self._change(name)
            try:
                found = self.editor.look(styles, self.generator({name: sign}))
            except ValueError:  # no face, or no longer one
                break
            tried[scale] = share(name, plan, self.face.points, found.points)
            if edit.aim <= tried[scale] <= ENOUGH * edit.aim:
                break
            scale = float(np.clip(scale * MIDDLE * edit.aim / max(tried[scale], 1e-3), *SCALES))
        # Of those that show the edit the one nearest to its aim, else the one that goes farthest.
        shows = {k: way for k, way in tried.items() if way >= edit.goal}
        if shows:
            return min(shows, key=lambda k: abs(shows[k] - edit.aim))
        best = max(tried, key=tried.get, default=0.0)
        return best if tried.get(best, 0) > NO_HELP else 0.0
