"""Edits without a drag: learned directions, scaled to the face, drawn inside the edits' region only.

    sliders = Sliders(face)                               # its subject's directions hold what was learned
    sliders.face({"smile": 0.6, "slim": 1}).preview(256)  # several at once, in any order

    task = SliderTask(sliders)                            # the face follows while sliders are moved
    task.move({"smile": 0.6})
    for progress in task: ...                             # small pictures, then the face at its own size

How far a direction must go differs from face to face. Once for each face and edit it is tried at strength 1,
the landmarks say how much of the edit's way it went, and its scale is corrected. From there on the change is
in proportion to the strength, so that a picture follows its slider without a jump, and changes of several
edits add up in whatever order.
"""

import time
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
import torch
from torch import Tensor

from draggan.edits import EDITS, find_edit, kept, plan_edit, reached, share
from draggan.face import Face
from draggan.generators.region import blend_mask
from draggan.judge import WEAKER, is_whole
from draggan.measures import measures
from draggan.tasks import Progress

CORRECTIONS = 3  # of a direction's scale, at most; each costs a picture and its landmarks
ENOUGH, MIDDLE = 1.16, 1.08  # times the aim: up to where a scale may stay, and what a correction heads for
SHORT = 2.0  # how much more too short counts than too far: the drag that mends it changes the face more
KEEPING = 5.0  # how much what must not change counts beside the way, for the choice of a scale
SEEN = 0.25  # the scale at which a face is drawn nearly as its styles are
NO_HELP = 0.05  # share of the way below which a direction is not worth its change of the face
BESIDE = (-0.3, 0.4)  # what share more or less of it an edit may be given for another one beside it
RAMP = 0.2  # an edit weaker than this share of the strongest one has its region come in by degrees
MASK_SIDE = 256  # pixels, of the mask of what an edit may reach

PREVIEW_SIDE = 256  # pixels, of a picture while a slider moves
FAST = 0.15  # seconds: where a whole picture takes no longer, there are no smaller ones before it
STILL = 0.6  # seconds without a move after which a slider counts as released: of keys nobody says so


class Sliders:
    """All instant edits of one face. NoFaceError, at the first edit, where it has no landmarks."""

    def __init__(self, start: Face):
        self.start = start
        self._tried: dict[tuple[str, int], float] = {}
        self._ways: dict[tuple[str, int], float] = {}  # share of the way that they go at their scales
        self._pairs: dict[tuple, dict[str, float]] = {}
        self._masks: dict[str, tuple[Tensor, np.ndarray]] = {}
        self._first: tuple[tuple, Face] | None = None  # the last face of those edits alone that are motion

    @property
    def available(self) -> tuple[str, ...]:
        """The edits that have a direction."""
        return learned_edits(self.start)

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

    def face(self, strengths: Mapping[str, float]) -> Face:
        """The face with the edits {name: strength}; the picture of the start stays outside their regions."""
        strengths = {
            name: s for name, s in sorted(strengths.items()) if s
        }  # not even rounding knows the order
        strongest, scales = max(map(abs, strengths.values()), default=0.0), {}
        for name, strength in strengths.items():
            others = ((other, s) for other, s in strengths.items() if other != name)
            # Of strengths up to 1, at which it was tried: farther on it would lead where no face is.
            more = sum(min(1.0, abs(s)) * self._beside(name, strength, other, s) for other, s in others)
            scales[name] = strength * self.scale(name, strength) * (1 + more)
        weights = {name: abs(s) / (RAMP * strongest) for name, s in strengths.items()}
        first = {name: scale for name, scale in scales.items() if EDITS[name].by_motion}
        if not first:
            return self._moved(scales, weights)
        key = first, {name: min(1.0, weights[name]) for name in first}
        if self._first is None or self._first[0] != key:
            self._first = key, self._moved(*key, by_motion=True)
        if len(first) == len(scales):
            return self._first[1]
        return self._moved(scales, weights, self._first[1])

    def whole(self, strengths: Mapping[str, float]) -> tuple[Face, dict[str, float]]:
        """The face with the edits, and how strong they are: less where all of it is no whole face of the person."""
        for part in (1.0, *WEAKER):
            weaker = {name: round(part * s, 2) for name, s in strengths.items()}
            face = self.face(weaker)
            if is_whole(self.start, face, weaker):
                return face, weaker
        return self.start, {}

    def _moved(
        self,
        scales: Mapping[str, float],
        weights: Mapping[str, float] | None = None,
        first: Face | None = None,
        by_motion: bool = False,
    ) -> Face:
        """The face so far along directions {name: scale}, inside their regions, which count up to their weights.

        first: a face with those of the edits that are motion, over which the others are laid. by_motion: see
        face.Region. Without it landmarks are nearly the same, and sooner at hand; the picture that is shown goes a
        little less far, which the editor makes up for by a drag.
        """
        start, change = self.start, self.start.subject.directions.change
        styles, size = start.styles.clone(), start.base.resolution
        mask = styles.new_zeros(1, 1, size, size)
        weights = {name: min(1.0, weights[name] if weights else 1.0) for name in scales}
        parts = {name: scale for name, scale in scales.items() if EDITS[name].part_of}
        for name in scales.keys() - parts.keys():
            styles += scales[name] * change(name, start.styles)
            if first is None or not EDITS[name].by_motion:
                mask = torch.maximum(mask, weights[name] * self._region(name)[0])
        face = first or start
        if len(parts) < len(scales):
            face = face.inside(mask, styles, by_motion)
        for name, scale in parts.items():  # each by itself: one eye is not closed by what the other one needs
            more = max(0.0, scale - scales.get(EDITS[name].part_of, 0.0))
            closer = styles + more * change(learned_as(name), start.styles)
            face = face.inside(weights[name] * self._region(name)[0], closer)
        for name in scales:
            face = face.reaching(self._region(name)[1])
        return face

    def _region(self, name: str) -> tuple[Tensor, np.ndarray]:
        """Where an edit is blended in, (1, 1, R, R), and the mask (MASK_SIDE, MASK_SIDE) of what it may reach."""
        if name not in self._masks:
            root, plan = self.start.subject.generator, plan_edit(name, self.start.points)
            soft = plan.mask(root.resolution, 4 * self.start.base.resolution, soft=True)
            self._masks[name] = blend_mask(root, soft), plan.mask(root.resolution, MASK_SIDE)
        return self._masks[name]

    def _beside(self, name: str, strength: float, other: str, other_strength: float) -> float:
        """What share more of its scale an edit needs beside another one, both at strength 1 or -1."""
        pair = sorted([(name, _sign(strength)), (other, _sign(other_strength))])
        if EDITS[name].part_of or EDITS[other].part_of:  # which landmarks cannot tell
            return 0.0
        if not all(self.scale(*each) for each in pair):
            return 0.0
        if tuple(pair) not in self._pairs:
            self._pairs[tuple(pair)] = self._try_pair(dict(pair))
        return self._pairs[tuple(pair)][name]

    def _try_pair(self, strengths: dict[str, float]) -> dict[str, float]:
        """For two edits: how much more than alone each needs, as a share of its scale."""
        start = self.start.points
        found = self._moved({name: sign * self.scale(name, sign) for name, sign in strengths.items()})
        try:
            points = found.points
        except ValueError:  # no face, or no longer one
            return dict.fromkeys(strengths, 0.0)
        more = {}
        for name, sign in strengths.items():
            way = share(name, plan_edit(name, start, sign), start, points)
            wanted = self._ways[name, sign]  # as alone
            more[name] = float(np.clip(wanted / max(way, 1e-3) - 1, *BESIDE))
        return more

    def _try(self, name: str, sign: int) -> float:
        """The scale at which the landmarks show the edit's aim, as near as a few trials come; or 0."""
        edit = EDITS[name]
        start = self.start.points_by(edit.eye)
        plan = plan_edit(name, start, sign)
        tried, costs = {}, {}  # scale: share of the way; scale: how far from what is wanted
        least, most = edit.scales
        # What is a part of an edit that the face has elsewhere already is in its styles, but not seen yet.
        least = SEEN if edit.part_of and self.start.region else least
        scale = least if least == SEEN else max(1.0, least)
        while len(tried) <= CORRECTIONS and scale not in tried:
            found = self._moved({name: sign * scale})
            try:
                points = found.points_by(edit.eye)
            except ValueError:  # no face, or no longer one
                break
            way = share(name, plan, start, points)
            spare = min(kept(name, start, points), 0.0)
            short = max(edit.aim - way, 0.0)
            tried[scale], costs[scale] = way, abs(way - edit.aim) + SHORT * short - KEEPING * spare
            if scale == most and not reached(name, measures(start), measures(points)):
                most = max(most, edit.farthest)
            if spare < 0 and way > edit.aim / 2:
                scale = max(0.8 * scale, least)
            elif edit.aim <= way and (way <= ENOUGH * edit.aim or scale == least):
                break
            elif scale == SEEN:
                scale = max(1.0, edit.scales[0])
            else:
                scale = float(np.clip(_scale_for(tried, MIDDLE * edit.aim), least, most))
        best = min(costs, key=costs.get, default=0.0)
        self._ways[name, sign] = tried.get(best, 0.0)
        return best if tried.get(best, 0.0) > NO_HELP else 0.0


class SliderTask:
    """The face follows sliders: small pictures while they move, the face at its own size once they rest.

    `move` and `release` may be called from another thread while it is at work. It ends when what was wanted last
    is drawn; after another `move`, iterating goes on.
    """

    name = "sliders"

    def __init__(self, sliders: Sliders):
        self.sliders = sliders
        self.strengths: dict[str, float] = {}  # of the face; without those that are 0
        self._face = sliders.start
        self._wanted: dict[str, float] = {}
        self._moved = 0.0  # when
        self._released = False
        self.short = False  # the face would not have been whole: the sliders went back
        self._cost = np.inf  # seconds of the last whole picture

    @property
    def wanted(self) -> dict[str, float]:
        """How the sliders stand, {edit: strength}; without those that are 0."""
        return self._wanted

    def move(self, strengths: Mapping[str, float]) -> None:
        """The sliders stand like this now; EditError for an edit that there is not, or a strength out of range."""
        for name, strength in strengths.items():
            find_edit(name, strength)
        self._wanted = {name: float(s) for name, s in strengths.items() if s}
        self._moved, self._released = time.monotonic(), False

    def release(self) -> None:
        """No slider is held any more: the face at its own size need not wait for further moves."""
        self._released = True

    def stand(self, strengths: Mapping[str, float]) -> None:
        """The sliders stand as they did for a face that is shown already."""
        self.strengths = self._wanted = dict(strengths)

    def __iter__(self) -> Iterator[Progress]:
        drawn, step = None, 0
        while self.reason is None:
            wanted, slow, began = self._wanted, self._cost > FAST, time.perf_counter()
            if slow and wanted is not drawn:
                small = self.sliders.face(wanted).preview(PREVIEW_SIDE)
                if drawn is None:  # it may have taken its time, to fit the edit: only now a person sees it
                    self._moved = time.monotonic()
                drawn, step = wanted, step + 1
                yield Progress(step, time.perf_counter() - began, preview=self._enlarged(small))
            elif slow and not self._released and time.monotonic() < self._moved + STILL:
                time.sleep(0.02)
                yield Progress(step)
            else:
                face, reached = self.sliders.whole(wanted) if wanted else (self.sliders.start, wanted)
                face.picture  # noqa: B018  drawn here, in the time of the task
                self._cost = time.perf_counter() - began
                if wanted is self._wanted:
                    self.short = reached != wanted
                    self._face, self.strengths, self._wanted = face, reached, reached
                step += 1
                yield Progress(step, self._cost, face=face)

    def _enlarged(self, small: np.ndarray) -> np.ndarray:
        size = self.sliders.start.generator.resolution
        return cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)

    @property
    def face(self) -> Face:
        return self._face

    @property
    def reason(self) -> str | None:
        return "the sliders rest" if self.strengths == self._wanted else None

    @property
    def ok(self) -> bool:
        return self.reason is not None

    @property
    def share(self) -> float:
        return float(self.ok)


def learned_edits(face: Face) -> tuple[str, ...]:
    """The edits that have a direction for this face."""
    directions = face.subject.directions
    return tuple(name for name in EDITS if directions is not None and learned_as(name) in directions)


def learned_as(name: str) -> str:
    """Whose direction an edit goes along: its own, or that of the edit that it is a part of."""
    return EDITS[name].part_of or name


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
