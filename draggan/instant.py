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

from draggan.edits import EDITS, Plan, find_edit, kept, plan_edit, plan_edits, reached, share
from draggan.generators import RegionGenerator
from draggan.generators.region import blend_base, blend_mask, root

if TYPE_CHECKING:
    from draggan.editor import FaceEditor, FaceState

CORRECTIONS = 3  # of a direction's scale, at most; each costs a picture and its landmarks
ENOUGH, MIDDLE = 1.16, 1.08  # times the aim: up to where a scale may stay, and what a correction heads for
SHORT = 2.0  # how much more too short counts than too far: the drag that mends it changes the face more
KEEPING = 5.0  # how much what must not change counts beside the way, for the choice of a scale
NO_HELP = 0.05  # share of the way below which a direction is not worth its change of the face
BESIDE = (-0.3, 0.4)  # what share more or less of it an edit may be given for another one beside it
RAMP = 0.2  # an edit weaker than this share of the strongest one has its region come in by degrees


class Sliders:
    """All instant edits of one face. Pictures are at the generator's resolution unless a size is given."""

    def __init__(self, editor: "FaceEditor", face: "FaceState"):
        self.editor, self.face = editor, face
        drawn_by = face.generator or editor.generator
        self._root = root(drawn_by)
        self._base = blend_base(drawn_by, face.styles)
        self._tried: dict[tuple[str, int], float] = {}
        self._ways: dict[tuple[str, int], float] = {}  # share of the way that they go at their scales
        self._pairs: dict[tuple, dict[str, float]] = {}
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
        sign = _sign(strength)
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
            strength = strengths[name]
            if strength:
                others = [(other, s) for other, s in sorted(strengths.items()) if s and other != name]
                more = sum(abs(s) * self._beside(name, strength, other, s) for other, s in others)
                styles += strength * self.scale(name, strength) * (1 + more) * self._change(name)
        return styles

    def generator(self, strengths: Mapping[str, float]) -> RegionGenerator:
        """The generator that draws them: the face's picture stays outside the regions of these edits."""
        strongest = max((abs(s) for s in strengths.values()), default=0.0)
        size = self._base.resolution
        mask = self._root.mean_w.new_zeros(1, 1, size, size)
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
            self.editor.allow(plan.mask(self._root.resolution, 256))
            size = 4 * self._base.resolution
            self._masks[name] = blend_mask(self._root, plan.mask(self._root.resolution, size, soft=True))
        return self._masks[name]

    def _beside(self, name: str, strength: float, other: str, other_strength: float) -> float:
        """What share more of its scale an edit needs beside another one, both at strength 1 or -1."""
        pair = sorted([(name, _sign(strength)), (other, _sign(other_strength))])
        if not all(self.scale(*each) for each in pair):
            return 0.0
        if tuple(pair) not in self._pairs:
            self._pairs[tuple(pair)] = self._try_pair(dict(pair))
        return self._pairs[tuple(pair)][name]

    def _try_pair(self, strengths: dict[str, float]) -> dict[str, float]:
        """For two edits: how much more than alone each needs, as a share of its scale."""
        styles = self.face.styles.clone()
        for name, sign in strengths.items():
            styles += sign * self.scale(name, sign) * self._change(name)
        try:
            found = self.editor.look(styles, self.generator(strengths))
        except ValueError:  # no face, or no longer one
            return dict.fromkeys(strengths, 0.0)
        more = {}
        for name, sign in strengths.items():
            way = share(name, plan_edit(name, self.face.points, sign), self.face.points, found.points)
            wanted = self._ways[name, sign]  # as alone
            more[name] = float(np.clip(wanted / max(way, 1e-3) - 1, *BESIDE))
        return more

    def _try(self, name: str, sign: int) -> float:
        """The scale at which the landmarks show the edit's aim, as near as a few trials come; or 0."""
        plan, edit = plan_edit(name, self.face.points, sign), EDITS[name]
        tried, costs = {}, {}  # scale: share of the way; scale: how far from what is wanted
        least, most = edit.scales
        scale = max(1.0, least)
        while len(tried) <= CORRECTIONS and scale not in tried:
            styles = self.face.styles + sign * scale * self._change(name)
            try:
                found = self.editor.look(styles, self.generator({name: sign}))
            except ValueError:  # no face, or no longer one
                break
            way = share(name, plan, self.face.points, found.points)
            spare = min(kept(name, self.face.points, found.points), 0.0)
            short = max(edit.aim - way, 0.0)
            tried[scale], costs[scale] = way, abs(way - edit.aim) + SHORT * short - KEEPING * spare
            if scale == most and not reached(name, self.face.measures, found.measures):
                most = max(most, edit.farthest)
            if spare < 0 and way > edit.aim / 2:
                scale = max(0.8 * scale, least)
            elif edit.aim <= way and (way <= ENOUGH * edit.aim or scale == least):
                break
            else:
                scale = float(np.clip(_scale_for(tried, MIDDLE * edit.aim), least, most))
        best = min(costs, key=costs.get, default=0.0)
        self._ways[name, sign] = tried.get(best, 0.0)
        return best if tried.get(best, 0.0) > NO_HELP else 0.0


def _sign(strength: float) -> int:
    return -1 if strength < 0 else 1


def _scale_for(tried: dict[float, float], aim: float) -> float:
    """The scale that should go `aim` of the way, by those {scale: share} around it; 0 goes none."""
    below = max([(0.0, 0.0), *((k, way) for k, way in tried.items() if way < aim)])
    above = min((pair for pair in tried.items() if pair[1] >= aim and pair[0] > below[0]), default=below)
    if above == below or below[0] == 0:  # beyond all of them, or from nothing: in proportion
        scale, way = max(below, above)
        return scale * aim / max(way, 1e-3)
    return below[0] + (above[0] - below[0]) * (aim - below[1]) / (above[1] - below[1])
