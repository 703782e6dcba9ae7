"""An edit on a face: landmarks → plan → drag, with the landmarks of the dragged face looked at on the way.

    editor = FaceEditor(generator, detector)
    face = editor.look(styles)                    # picture and landmarks
    run = EditRun(editor, face, "smile")
    for progress in run:                          # may be left at any time
        print(progress.step.number, progress.step.distances.mean())
    print(run.result.ok, run.result.reason)
    picture = run.result.face.picture

DragGAN's tracker follows features, and says "on target" where a lid's or a lip's features have only come to
look alike. So every few steps the face is drawn, its landmarks are found again, and they decide whether the
edit is done, where the handles are by now, and which state is the result.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from draggan.drag import Drag, Settings, Step
from draggan.edits import EDITS, Plan, kept, measures, plan_edits, reached, share
from draggan.generators import Directions, Generator
from draggan.instant import Sliders
from draggan.landmarks import Face, LandmarkDetector

LOOK_EVERY = 4  # steps; a look costs about as much as one
FIRST_LOOK = 8  # until then the tracker is right about the handles; starting anew from landmarks costs steps
LOOKS_PATIENCE = 8  # looks without a gain until an edit is given up
FINISH_PATIENCE = 4  # the same after a direction
GAIN = 0.02  # share of the way that counts as one
NEARLY = 0.12  # share of the way that may be missing where an edit is shown by the measures it is judged by


class NoFaceError(ValueError):
    """No face was found where one is needed."""


@dataclass(frozen=True)
class FaceState:
    """Styles (1, num_rows, w_dim), the picture (H, W, 3) uint8 they make, and its landmarks (68, 2).

    The styles of an edit that was kept to its region make this picture by `generator` only, which holds what
    stays outside.
    """

    styles: Tensor
    picture: np.ndarray
    points: np.ndarray
    generator: Generator | None = field(default=None, repr=False)  # that draws it; None: the editor's

    @property
    def measures(self) -> dict[str, float]:
        return measures(self.points)


@dataclass(frozen=True)
class Progress:
    """After one step: what the drag says, and the face where it was drawn and looked at in this step."""

    step: Step
    face: FaceState | None = None
    share: float | None = None  # of the way to the targets that the landmarks show, 1 = all


@dataclass(frozen=True)
class Result:
    """How an edit ended. `face` is always a state with a face: the start where nothing better was found."""

    face: FaceState
    ok: bool  # the landmarks show the edit
    reason: str  # why it ended
    steps: int
    share: float
    mean_distance: float  # handles to targets by the tracker, pixels
    landmark_distance: float  # found landmarks to targets, pixels


class FaceEditor:
    """A generator, a detector and, where learned, directions that belong together for a while."""

    def __init__(
        self, generator: Generator, detector: LandmarkDetector, directions: Directions | None = None
    ):
        if not generator.is_face:
            raise NoFaceError(
                f"one-click edits need a face model, and {generator.name} is none; points by hand work"
            )
        self.generator, self.detector, self.directions = generator, detector, directions

    def draw(self, styles: Tensor, generator: Generator | None = None, size: int | None = None) -> np.ndarray:
        """The picture (H, W, 3) uint8 of styles (1, num_rows, w_dim), as it is looked at and shown.

        `generator`: what draws it, for a face whose edits were kept to a region. `size`: below the resolution
        it is a preview.
        """
        return (generator or self.generator).picture(styles, size)

    def settings(self, name: str) -> Settings:
        """What suits an edit."""
        return Settings(**EDITS[name].drag)

    def drags(self, name: str) -> tuple[bool, ...]:
        """What to try in turn where an edit's direction is not enough: True, drag on from where it led; False,
        begin anew from the start, because a direction can lead where no drag goes on from."""
        return (True, False) if EDITS[name].drag_on else (False,)

    def allow(self, mask: np.ndarray) -> None:
        """Told before an edit begins where the picture may change: a mask (H, W) of any size, 1 there, else 0."""

    def find(self, picture: np.ndarray) -> list[Face]:
        """The faces in a drawn picture."""
        return self.detector.detect(picture)

    def look(self, styles: Tensor, generator: Generator | None = None) -> FaceState:
        """Draw the face and find its landmarks; NoFaceError if there is none. `generator` as in `draw`."""
        picture = self.draw(styles, generator)
        faces = self.find(picture)
        if not faces:
            raise NoFaceError(f"no face found in the picture (by {self.detector.name})")
        return FaceState(styles, picture, faces[0].points, generator or self.generator)


@dataclass
class EditRun:
    """Edits of one face; iterate to make them, leave at any time, then read `result`.

    Directions that the editor has for them come first, as step 0, and where they are not enough the drag does the
    rest, inside the edits' region. It goes on from there or begins anew from the start, in the order that the
    editor's `drags` says for a single edit; anew too where there is no direction or it does not help. Steps then
    count from 1 again.
    """

    editor: FaceEditor
    start: FaceState
    edits: str | Mapping[str, float]  # one by name, or several at once: {name: strength}
    strength: float = 1.0  # of one given by name
    settings: Settings | None = None  # None: what suits the edits
    goal: float | None = None  # share of the way at which they are done; None: what suits each
    instant: bool = False  # the directions alone, without the drag
    sliders: Sliders | None = None  # of this face, if there are any: what they know is not tried again
    plan: Plan = field(init=False)
    result: Result = field(init=False)
    drag: Drag | None = field(init=False, default=None)  # from its first step on; its styles are now's

    def __post_init__(self):
        named = isinstance(self.edits, str)
        self.edits = {self.edits: self.strength} if named else dict(sorted(self.edits.items()))
        self.plan = self._inside(plan_edits(self.edits, self.start.points))
        self._plans = {
            name: self._inside(plan_edits({name: s}, self.start.points)) for name, s in self.edits.items()
        }
        self.settings = self.settings or gentlest(map(self.editor.settings, self.edits))
        self.generator = self.start.generator or self.editor.generator
        distance = np.linalg.norm(self.plan.handles - self.plan.targets, axis=1).mean()
        self.result = self._result(self.start, False, "not started", 0, distance)

    @property
    def name(self) -> str:
        """The edits by name, with commas."""
        return ",".join(self.edits)

    def __iter__(self) -> Iterator[Progress]:
        at = self.start
        began = time.perf_counter()
        self.editor.allow(self.plan.mask(self.generator.resolution, 256))
        instant = self._instant()
        if instant is not None:
            at = instant
            done = self._done(at.points)
            distances = np.linalg.norm(at.points[list(self.plan.indices)] - self.plan.targets, axis=1)
            self.result = self._result(at, done, "by direction", 0, distances.mean())
            step = Step(0, at.points[list(self.plan.indices)], distances, 0.0, time.perf_counter() - began)
            yield Progress(step, at, self.share(at.points))
            if done:
                self._end("the landmarks have arrived")
                return
        if self.instant:
            self._end("by direction alone" if instant is not None else "no direction for this")
            return
        if instant is None:
            yield from self._drag(self.start, from_direction=False)
            return
        led_by = self.generator
        for on in self.editor.drags(self.name) if len(self.edits) == 1 else (True,):
            found = self.result
            self.generator = led_by if on else self.start.generator or self.editor.generator
            yield from self._drag(at if on else self.start, from_direction=on)
            if self.result.ok:
                return
            if found.share > self.result.share:
                self.result = found
                self._end("the direction got farther than the drag alone")

    def _instant(self) -> FaceState | None:
        """The face by directions alone; None where they are missing or do not help."""
        if self.editor.directions is None:
            return None
        self.sliders = self.sliders or Sliders(self.editor, self.start)
        if not self.sliders.helps(self.edits):
            return None
        try:
            face = self.sliders.look(self.edits)
        except ValueError:  # no face, or no longer one
            return None
        self.generator = face.generator
        return face

    def _drag(self, at: FaceState, from_direction: bool) -> Iterator[Progress]:
        generator, plan = self.generator, self.plan
        mask = plan.mask(generator.resolution, 256)
        handles = np.clip(at.points[list(plan.indices)], 0, generator.resolution - 1)
        drag = Drag(generator, at.styles, handles, plan.targets, mask, self.settings)
        self.drag = drag
        least_steps = 0 if from_direction else max(EDITS[name].least_steps for name in self.edits)
        patience = FINISH_PATIENCE if from_direction else LOOKS_PATIENCE
        best, looks_without_gain = self._margin(at.points) if from_direction else -np.inf, 0
        while True:
            step = drag.step()
            over = drag.stopped or ("step limit" if step.number >= self.settings.max_steps else None)
            if not over and (step.number < FIRST_LOOK or step.number % LOOK_EVERY):
                yield Progress(step)
                continue
            try:
                face = self.editor.look(drag.styles, generator)
            except ValueError:  # no face, or no longer one
                self._end("the face was lost")
                yield Progress(step)
                return
            margin = self._margin(face.points)
            looks_without_gain = 0 if margin > best + GAIN else looks_without_gain + 1
            done = self._done(face.points) and step.number >= least_steps
            if margin > best + GAIN or done:  # of two states as good, the one that changed less
                best = margin
                self.result = self._result(face, done, "stopped", step.number, step.distances.mean())
            yield Progress(step, face, self.share(face.points))
            if done:
                self._end("the landmarks have arrived")
            elif over in ("step limit", "numbers ran away"):
                self._end(over)
            elif looks_without_gain >= patience:
                self._end("no progress")
            else:
                if over or step.number > FIRST_LOOK:  # the landmarks' word for where the handles are by now
                    handles = np.clip(face.points[list(plan.indices)], 0, generator.resolution - 1)
                    drag.set_points(handles, plan.targets)
                continue
            return

    def _inside(self, plan: Plan) -> Plan:
        size = self.editor.generator.resolution
        return replace(
            plan, targets=np.clip(plan.targets, 0, size - 1), handles=np.clip(plan.handles, 0, size - 1)
        )

    def _end(self, reason: str) -> None:
        self.result = replace(self.result, reason=f"{reason}, {self.result.share:.0%} of the way")

    def _shares(self, points: np.ndarray) -> dict[str, float]:
        return {name: share(name, plan, self.start.points, points) for name, plan in self._plans.items()}

    def share(self, points: np.ndarray) -> float:
        """Share of the way that these landmarks (68, 2) show: of several edits that of the least advanced one."""
        return min(self._shares(points).values())

    def _done(self, points: np.ndarray) -> bool:
        """The goal is met; or nearly, and by the measures that the edits are judged by: more costs likeness."""
        margin = self._margin(points)
        if margin >= 0 or self.goal is not None or margin < -NEARLY:
            return margin >= 0
        now = measures(points)
        return all(s <= 1 and reached(name, self.start.measures, now) for name, s in self.edits.items())

    def _margin(self, points: np.ndarray) -> float:
        """How far the landmarks are beyond the goal, and from what must not change; below 0 one is not met."""
        beyond = min(
            found - (EDITS[name].goal if self.goal is None else self.goal)
            for name, found in self._shares(points).items()
        )
        return min(beyond, *(kept(name, self.start.points, points) for name in self.edits))

    def _result(self, face: FaceState, ok: bool, reason: str, steps: int, mean_distance: float) -> Result:
        away = np.linalg.norm(face.points[list(self.plan.indices)] - self.plan.targets, axis=1)
        return Result(
            face, ok, reason, steps, self.share(face.points), float(mean_distance), float(away.mean())
        )


def gentlest(settings: Iterable[Settings]) -> Settings:
    """Settings of the drag for several edits at once, from those of each."""
    settings = list(settings)
    return replace(
        settings[0],
        lr=min(each.lr for each in settings),
        mask_weight=max(each.mask_weight for each in settings),
        max_steps=max(each.max_steps for each in settings),
    )
