"""How far a face has come with its edits, by its landmarks: whether they are done, and what is missing.

    judge = Judge(start, {"smile": 1.0})
    seen = judge.look(face)                       # NoFaceError where it is none any more
    judge.share(seen), judge.done(seen), judge.short(seen)

An edit of one eye is judged by that eye alone, whatever the other one does: see one_eye.py.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from draggan.edits import EDITS, Plan, kept, plan_edits, reached, share, shortest
from draggan.face import Face
from draggan.identity import FROM_START, SAME_PERSON, same_person
from draggan.measures import SIDES, measures

NEARLY = 0.12  # share of the way that may be missing where an edit is shown by the measures it is judged by
CLOSED = 0.12  # eye opening at which an eye is closed, whatever it was before
WEAKER = (0.8, 0.6, 0.4, 0.2)  # shares of a change that are tried where all of it makes another face
# What an edit falls short in, by the measure; plain words, which the app has in Chinese, too.
SHORT = {
    "jaw_width": "the jaw has moved too little",
    "mouth_width": "the width of the mouth has changed too little",
    "mouth_lift": "the corners of the mouth have moved too little",
    "lip_gap": "the lips have parted too little",
    "eye_opening": "the lids have moved too little",
    "eye_opening_left": "the lids of the eye on the left have moved too little",
    "eye_opening_right": "the lids of the eye on the right have moved too little",
    None: "the points have moved too little",
    "kept": "something else in the face has moved along",
}

Seen = Mapping[
    int | None, np.ndarray
]  # landmarks (68, 2) by the eye that they are of; None: of the whole face


class Judge:
    """Of the edits {name: strength} of a face. NoFaceError where it has no landmarks; EditError as for plan_edits.

    goal: share of the way at which they are done; None: what suits each.
    """

    def __init__(self, start: Face, edits: Mapping[str, float], goal: float | None = None):
        self.edits, self.goal, self._start = edits, goal, start
        self.plan = self.plan_of(edits)
        self._eyes = {EDITS[name].eye for name in edits}
        self._plans = {name: self.plan_of({name: strength}) for name, strength in edits.items()}
        self._first = self.look(start)

    def plan_of(self, edits: Mapping[str, float]) -> Plan:
        """What edits of the start move, with all points inside the picture."""
        plan, size = plan_edits(edits, self.points(self._start, edits)), self._start.generator.resolution
        return replace(
            plan, targets=np.clip(plan.targets, 0, size - 1), handles=np.clip(plan.handles, 0, size - 1)
        )

    def points(self, face: Face, edits: Mapping[str, float] | None = None) -> np.ndarray:
        """The landmarks (68, 2) by which edits are judged, those of this judge or others."""
        edits = self.edits if edits is None else edits
        return face.points_by(eye_of(next(iter(edits))) if len(edits) == 1 else None)

    def look(self, face: Face) -> Seen:
        return {eye: face.points_by(eye) for eye in self._eyes}

    def share(self, seen: Seen) -> float:
        """Share of the way: of several edits that of the least advanced one."""
        return min(self._shares(seen).values())

    def _shares(self, seen: Seen) -> dict[str, float]:
        return {
            name: share(name, plan, self._first[EDITS[name].eye], seen[EDITS[name].eye])
            for name, plan in self._plans.items()
        }

    def done(self, seen: Seen) -> bool:
        """The goal is met; or nearly, and by the measures that the edits are judged by: more costs likeness."""
        margin = self.margin(seen)
        if margin >= 0 or self.goal is not None or margin < -NEARLY:
            return margin >= 0
        return all(strength <= 1 and self._reached(name, seen) for name, strength in self.edits.items())

    def _reached(self, name: str, seen: Seen) -> bool | None:
        before, now = (measures(each[EDITS[name].eye]) for each in (self._first, seen))
        return reached(name, before, now)

    def margin(self, seen: Seen) -> float:
        """How far the landmarks are beyond the goal, and from what must not change; below 0 one is not met."""
        beyond = min(found - self._goal(name) for name, found in self._shares(seen).items())
        eyes = ((name, EDITS[name].eye) for name in self.edits)
        return min(beyond, *(kept(name, self._first[eye], seen[eye]) for name, eye in eyes))

    def _goal(self, name: str) -> float:
        return EDITS[name].goal if self.goal is None else self.goal

    def short(self, seen: Seen) -> str:
        """In plain words what a face that is not done falls short in."""
        shares = self._shares(seen)
        least = min(shares, key=shares.get)
        if shares[least] >= self._goal(least):
            return SHORT["kept"]
        eye = EDITS[least].eye
        return SHORT.get(shortest(least, self._plans[least], self._first[eye], seen[eye]), SHORT[None])


def has_landmarks(face: Face) -> bool:
    """Whether a face is found in its picture."""
    try:
        return face.points is not None
    except ValueError:  # none, or no longer one
        return False


def is_whole(start: Face, face: Face, edits: Mapping[str, float]) -> bool:
    """Whether edits have left a whole face, of the person at the start.

    Beyond strength 1, for which they were made, together they tear a mouth while dlib still knows the person; so there
    it must know the person better.
    """
    limit = SAME_PERSON if max(map(abs, edits.values()), default=0.0) <= 1 else FROM_START
    return face is start or (has_landmarks(face) and same_person(start, face, limit))


def eye_of(name: str) -> int | None:
    """The eye by which an edit is judged; None: by all of the face. EditError is plan_edit's to raise."""
    return EDITS[name].eye if name in EDITS else None


def closed_eyes(face: Face) -> list[int]:
    """Which eyes (0: left in the picture, 1: right) are closed, by an edit before or as the face is."""
    try:
        own = face.subject.face()
        own.points  # noqa: B018  found now
    except ValueError:  # of no seed, or without landmarks
        own = face
    closed = []
    for eye, side in enumerate(SIDES):
        before, now = (measures(each.points_by(eye)) for each in (own, face))
        if now[f"eye_opening_{side}"] <= CLOSED or reached(f"wink-{side}", before, now):
            closed.append(eye)
    return closed
