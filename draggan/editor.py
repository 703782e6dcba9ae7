"""One-click edits: landmarks → plan → learned direction and drag, with the landmarks looked at on the way.

    task = EditTask(face, "smile")
    for progress in task:                         # may be left at any time, and gone on with
        print(progress.step, progress.distance)
    print(task.result.ok, task.result.reason)
    picture = task.face.picture

DragGAN's tracker follows features, and says "on target" where a lid's or a lip's features have only come to
look alike. So every few steps the face is drawn, its landmarks are found again, and they decide whether the
edit is done, where the handles are by now, and which state is the result.
"""

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from draggan.drag import Drag, Settings, Step, with_settings
from draggan.edits import EDITS, Plan
from draggan.face import Face, Subject
from draggan.generators.region import blend_mask
from draggan.identity import same_person
from draggan.instant import Sliders
from draggan.judge import WEAKER, Judge, closed_eyes, has_landmarks
from draggan.measures import SIDES
from draggan.tasks import ANOTHER, Progress

LOOK_EVERY = 4  # steps; a look costs about as much as one
FIRST_LOOK = 8  # until then the tracker is right about the handles; starting anew from landmarks costs steps
LOOKS_PATIENCE = 8  # looks without a gain until an edit is given up
FINISH_PATIENCE = 4  # the same after a direction
GAIN = 0.02  # share of the way that counts as one
MASK_SIDE = 256  # pixels, of the mask of an edit's region
CLOSED_ALREADY = "the eyes are closed already"


@dataclass(frozen=True)
class Result:
    """How an edit ended. The face is always one with landmarks: the start where nothing better was found."""

    face: Face
    ok: bool  # the landmarks show the edit
    reason: str  # why it ended, and how much of the way was made
    steps: int
    share: float
    mean_distance: float  # handles to targets by the tracker, pixels
    landmark_distance: float  # found landmarks to targets, pixels


@dataclass
class EditTask:
    """Edits of one face. NoFaceError where it has no landmarks, EditError for unknown edits and strengths.

    What was learned of the edits comes first, as step 0. Where it is not enough, the drag does the rest inside the
    edits' region, on from there or anew from the start; a single edit may try both. Steps then count from 1 again.
    """

    start: Face
    edits: str | Mapping[str, float]  # one by name, or several at once: {name: strength}
    strength: float = 1.0  # of one given by name
    settings: Settings | None = None  # None: what suits the edits
    goal: float | None = None  # share of the way at which they are done; None: what suits each
    instant: bool = False  # the directions alone, without the drag
    sliders: Sliders | None = None  # of this face, if there are any: what they know is not tried again
    plan: Plan = field(init=False)
    judge: Judge = field(init=False)
    result: Result = field(init=False)
    reason: str | None = field(init=False, default=None)

    def __post_init__(self):
        named = isinstance(self.edits, str)
        self.edits = {self.edits: self.strength} if named else dict(sorted(self.edits.items()))
        self.judge = Judge(self.start, self.edits, self.goal)
        self.plan = self.judge.plan
        self.settings = self.settings or edit_settings(self.start.subject, self.edits)
        self._away = np.linalg.norm(self.plan.handles - self.plan.targets, axis=1).mean()
        self.result = self._result(self.start, False, "not started", 0, self._away)
        # The face that the drag at work began with, and the drag; its changes stay where the edits may reach.
        self._begun = self.start.reaching(self.plan.mask(self.start.generator.resolution, MASK_SIDE))
        self._drag: Drag | None = None
        # What it pulls; of a wink both eyes, unseen, as long as the other one is open: a face is symmetric.
        self._pulled, self._closed = self.plan, set()
        self._other: EditTask | None = None  # what is done in place of this: see _run
        self._steps = self._run()

    def __iter__(self) -> Iterator[Progress]:
        return self._steps

    @property
    def name(self) -> str:
        return ",".join(self.edits)

    @property
    def ok(self) -> bool:
        return self.reason is not None and self.result.ok

    @property
    def share(self) -> float:
        return max(0.0, min(1.0, self.result.share))

    @property
    def distance(self) -> float:  # of the result's handles to their targets on average, pixels
        return self.result.mean_distance

    @property
    def face(self) -> Face:
        if self.reason is None and self._other is not None:
            return self._other.face
        if self.reason is None and self._drag is not None:
            return self._shown(self._begun.with_styles(self._drag.styles))
        return self.result.face

    # --- the steps --------------------------------------------------------------------------------------------

    def _run(self) -> Iterator[Progress]:
        start, began = self._begun, time.perf_counter()
        # An eye is mostly closed by an edit; else it is looked for at need.
        edited = self.start.region is not None
        if edited and (yield from self._with_closed()):
            return None
        led = self._by_directions()
        if led is not None:
            seen = self.judge.look(led)
            handles = self.judge.points(led)[list(self.plan.indices)]
            distance = float(np.linalg.norm(handles - self.plan.targets, axis=1).mean())
            done = self.judge.done(seen)
            self.result = self._result(led, done, "by direction", 0, distance)
            yield Progress(
                0, time.perf_counter() - began, handles=handles, distance=distance, face=led,
                share=self.judge.share(seen),
            )  # fmt: skip
            if done:
                return self._end("the landmarks have arrived")
        if not edited and (yield from self._with_closed()):
            return None
        if self.instant:
            return self._end("by direction alone" if led is not None else "no direction for this")
        if (whole := named_part(self.edits)) and not self._closed:
            self._pulled = self.judge.plan_of({whole: self.edits[self.name]})
        if led is None:
            yield from self._dragged(start, from_direction=False)
            return None
        for on in self._tries():
            found = self.result
            yield from self._dragged(led if on else start, from_direction=on)
            if self.result.ok:
                return None
            if found.share > self.result.share:
                self.result = found
                self._end("no progress")
        return None

    def _with_closed(self) -> Generator[Progress, None, bool]:
        """Eyes are to be closed, and some are, by an edit before or as the face is: nothing, or the other one's wink.

        True where that was all: a drag would look for minutes for what there is already.
        """
        self._closed = set(closed_eyes(self.start)) if self._eyes else set()
        if self._closed and self._eyes <= self._closed:
            self.result = self._result(self.start, False, CLOSED_ALREADY, 0, self._away)
            self._end(CLOSED_ALREADY)
            return True
        if not self._closed & self._eyes:
            return False
        side, strength = SIDES[min(self._eyes - self._closed)], self.edits[self.name]
        self._other = EditTask(
            self.start, f"wink-{side}", strength, self.settings, self.goal, self.instant, self.sliders
        )
        yield from self._other
        self.result, self.reason = self._other.result, self._other.reason
        return True

    @property
    def _eyes(self) -> set[int]:
        """The eyes (0: left in the picture, 1: right) that are to be closed, and nothing else is."""
        one = next(iter(self.edits)) if len(self.edits) == 1 else ""
        return {"close-eyes": {0, 1}, "wink-left": {0}, "wink-right": {1}}.get(one, set())

    def _shown(self, dragged: Face) -> Face:
        """What is shown of a face as a drag makes it: of a wink, the one eye."""
        if not named_part(self.edits):
            return dragged
        start, root = self.start, self.start.subject.generator
        soft = self.plan.mask(root.resolution, 4 * start.base.resolution, soft=True)
        return start.inside(blend_mask(root, soft), dragged.styles).reaching(
            self.plan.mask(root.resolution, MASK_SIDE)
        )

    def _by_directions(self) -> Face | None:
        """The face by directions alone; None where they are missing or do not help."""
        if self.start.subject.directions is None:
            return None
        self.sliders = self.sliders or Sliders(self.start)
        if not self.sliders.helps(self.edits):
            return None
        face = self.sliders.face(self.edits)
        return face if has_landmarks(face) else None

    def _tries(self) -> tuple[bool, ...]:
        """What is tried in turn where a direction is not enough: True, drag on from where it led; False, begin
        anew from the start, because a direction can lead where no drag goes on from."""
        if len(self.edits) > 1:
            return (True,)
        if not EDITS[self.name].drag_on:
            return (False,)
        return (False, True) if self.start.subject.drag_anew_first else (True, False)

    def _dragged(self, start: Face, from_direction: bool) -> Iterator[Progress]:
        plan, size, judge = self._pulled, start.generator.resolution, self.judge
        drag = Drag(
            start.generator, start.styles, self._handles(start, size), plan.targets,
            plan.mask(size, MASK_SIDE), self.settings,
        )  # fmt: skip
        self._begun, self._drag, self.reason = start, drag, None
        least_steps = 0 if from_direction else max(EDITS[name].least_steps for name in self.edits)
        patience = FINISH_PATIENCE if from_direction else LOOKS_PATIENCE
        best, looks_without_gain = judge.margin(judge.look(start)) if from_direction else -np.inf, 0
        while True:
            step = drag.step()
            over = drag.stopped or ("step limit" if step.number >= self.settings.max_steps else None)
            if not over and (step.number < FIRST_LOOK or step.number % LOOK_EVERY):
                yield as_progress(step)
                continue
            dragged = start.with_styles(drag.styles)
            face = self._shown(dragged)
            if not has_landmarks(face) or not has_landmarks(dragged):
                yield as_progress(step)
                return self._end("the face was lost")
            seen = judge.look(face)
            margin = judge.margin(seen)
            looks_without_gain = 0 if margin > best + GAIN else looks_without_gain + 1
            done = judge.done(seen) and step.number >= least_steps
            if margin > best + GAIN or done:  # of two states as good, the one that changed less
                best = margin
                self.result = self._result(face, done, "stopped", step.number, step.distances.mean())
            yield as_progress(step, face, judge.share(seen))
            if done:
                return self._end("the landmarks have arrived")
            if over in ("step limit", "numbers ran away"):
                return self._end(over)
            if looks_without_gain >= patience:
                return self._end("no progress")
            if over or step.number > FIRST_LOOK:  # the landmarks' word for where the handles are by now
                drag.set_points(self._handles(dragged, size), plan.targets)

    def _handles(self, face: Face, size: int) -> np.ndarray:
        """Where the pulled landmarks are in a face, (K, 2), inside the picture."""
        points = self.judge.points(face) if self._pulled is self.plan else face.points
        return np.clip(points[list(self._pulled.indices)], 0, size - 1)

    def _result(self, face: Face, ok: bool, reason: str, steps: int, mean_distance: float) -> Result:
        points, share = self.judge.points(face), self.judge.share(self.judge.look(face))
        away = np.linalg.norm(points[list(self.plan.indices)] - self.plan.targets, axis=1).mean()
        return Result(face, ok, reason, steps, share, float(mean_distance), float(away))

    def _end(self, reason: str) -> None:
        self.reason = reason
        if not same_person(self.start, self.result.face):
            self._weaken()
        result = self.result
        why = f"{reason}, {result.share:.0%} of the way" + ("" if result.ok else f": {self.short}")
        self.result = replace(result, reason=reason if reason == CLOSED_ALREADY else why)

    def _weaken(self) -> None:
        """Go back along the change until the face is still the same person's."""
        self.reason, found, best = ANOTHER, self.result, self.start
        begun = found.face.region.under if found.face.region else self.start
        for part in WEAKER:
            face = found.face.with_styles(torch.lerp(begun.styles, found.face.styles, part))
            if has_landmarks(face) and same_person(self.start, face):
                best = face
                break
        ok = best is not self.start and self.judge.done(self.judge.look(best))
        self.result = self._result(best, ok, ANOTHER, found.steps, found.mean_distance)

    @property
    def short(self) -> str:
        """In plain words what the result falls short in; "" where it is what was asked."""
        if self.result.ok:
            return ""
        if self._other is not None:
            return self._other.short
        return self.judge.short(self.judge.look(self.result.face))


def as_progress(step: Step, face: Face | None = None, share: float | None = None) -> Progress:
    return Progress(
        step.number, step.seconds, loss=step.loss, handles=step.points,
        distance=float(step.distances.mean()), face=face, share=share,
    )  # fmt: skip


def named_part(edits: Mapping[str, float]) -> str:
    """The edit that a single one is a part of; "" where it is none, or where there are several."""
    return EDITS[next(iter(edits))].part_of if len(edits) == 1 else ""


def edit_settings(subject: Subject, names: Iterable[str]) -> Settings:
    """Settings of the drag that suit edits of a subject; of several at once, the gentlest of each."""
    each = [
        with_settings(
            Settings(**EDITS[name].drag), **subject.drag_settings.get(EDITS[name].part_of or name, {})
        )
        for name in names
    ]
    return replace(
        each[0],
        lr=min(one.lr for one in each),
        mask_weight=max(one.mask_weight for one in each),
        max_steps=max(one.max_steps for one in each),
    )
