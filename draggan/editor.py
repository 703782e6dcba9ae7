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

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from draggan.drag import Drag, Settings, Step
from draggan.edits import EDITS, Plan, find_edit, measures, plan_edit
from draggan.generators import Generator
from draggan.landmarks import Face, LandmarkDetector

LOOK_EVERY = 4  # steps; a look costs about as much as one
FIRST_LOOK = (
    8  # until then the tracker is right about the handles, and starting anew from landmarks costs steps
)
LOOKS_PATIENCE = 8  # looks without a gain until an edit is given up
GAIN = 0.02  # share of the way that counts as one


class NoFaceError(ValueError):
    """No face was found where one is needed."""


@dataclass(frozen=True)
class FaceState:
    """Styles (1, num_rows, w_dim), the picture (H, W, 3) uint8 they make, and its landmarks (68, 2)."""

    styles: Tensor
    picture: np.ndarray
    points: np.ndarray

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
    """A generator and a detector that belong together for a while."""

    def __init__(self, generator: Generator, detector: LandmarkDetector):
        if not generator.is_face:
            raise NoFaceError(
                f"one-click edits need a face model, and {generator.name} is none; points by hand work"
            )
        self.generator, self.detector = generator, detector

    def draw(self, styles: Tensor) -> np.ndarray:
        """The picture (H, W, 3) uint8 of styles (1, num_rows, w_dim), as it is looked at and shown."""
        return self.generator.picture(styles)

    def settings(self, name: str) -> Settings:
        """What suits an edit."""
        return Settings(**EDITS[name].drag)

    def allow(self, mask: np.ndarray) -> None:
        """Told before an edit begins where the picture may change: a mask (H, W) of any size, 1 there, else 0."""

    def find(self, picture: np.ndarray) -> list[Face]:
        """The faces in a drawn picture."""
        return self.detector.detect(picture)

    def look(self, styles: Tensor) -> FaceState:
        """Draw the face and find its landmarks; NoFaceError if there is none."""
        picture = self.draw(styles)
        faces = self.find(picture)
        if not faces:
            raise NoFaceError(f"no face found in the picture (by {self.detector.name})")
        return FaceState(styles, picture, faces[0].points)


@dataclass
class EditRun:
    """One edit of one face; iterate to drag, leave at any time, then read `result`."""

    editor: FaceEditor
    start: FaceState
    name: str
    strength: float = 1.0
    settings: Settings | None = None  # None: what suits the edit
    plan: Plan = field(init=False)
    result: Result = field(init=False)
    drag: Drag | None = field(
        init=False, default=None
    )  # at work from the first step on; its styles are now's

    def __post_init__(self):
        find_edit(self.name, self.strength)
        self.plan = plan_edit(self.name, self.start.points, self.strength)
        size = self.editor.generator.resolution
        inside = np.clip(self.plan.targets, 0, size - 1), np.clip(self.plan.handles, 0, size - 1)
        self.plan = replace(self.plan, targets=inside[0], handles=inside[1])
        self.settings = self.settings or self.editor.settings(self.name)
        self.result = self._result(self.start, False, "not started", 0, np.nan)

    def __iter__(self) -> Iterator[Progress]:
        generator, plan = self.editor.generator, self.plan
        mask = plan.mask(generator.resolution, 256)
        self.editor.allow(mask)
        drag = Drag(generator, self.start.styles, plan.handles, plan.targets, mask, self.settings)
        self.drag = drag
        edit, best, looks_without_gain = EDITS[self.name], -np.inf, 0
        while True:
            step = drag.step()
            over = drag.stopped or ("step limit" if step.number >= self.settings.max_steps else None)
            if not over and (step.number < FIRST_LOOK or step.number % LOOK_EVERY):
                yield Progress(step)
                continue
            try:
                face = self.editor.look(drag.styles)
            except ValueError:  # no face, or no longer one
                self._end("the face was lost")
                yield Progress(step)
                return
            share = self.share(face.points)
            looks_without_gain = 0 if share > best + GAIN else looks_without_gain + 1
            done = share >= edit.goal and step.number >= edit.least_steps
            if share > best + GAIN or done:  # of two states as good, the one that changed less
                best = share
                self.result = self._result(face, done, "stopped", step.number, step.distances.mean())
            yield Progress(step, face, share)
            if done:
                self._end("the landmarks have arrived")
            elif over in ("step limit", "numbers ran away"):
                self._end(over)
            elif looks_without_gain >= LOOKS_PATIENCE:
                self._end("no progress")
            else:
                if over or step.number > FIRST_LOOK:  # the landmarks' word for where the handles are by now
                    handles = np.clip(face.points[list(plan.indices)], 0, generator.resolution - 1)
                    drag.set_points(handles, plan.targets)
                continue
            return

    def _end(self, reason: str) -> None:
        self.result = replace(self.result, reason=f"{reason}, {self.result.share:.0%} of the way")

    def share(self, points: np.ndarray) -> float:
        """Share of the way to the targets that these landmarks (68, 2) show: 0 at the start, 1 on target.

        The least over what the edit is to change (its `shows`), or else over its moving points on average.
        """
        wanted = self.start.points.copy()
        wanted[list(self.plan.indices)] = self.plan.targets
        shows = EDITS[self.name].shows
        if shows:
            start, now, end = self.start.measures, measures(points), measures(wanted)
            return min(
                (now[m] - start[m]) / (end[m] - start[m]) if end[m] != start[m] else 1.0 for m in shows
            )
        way, moved = wanted - self.start.points, points - self.start.points
        length = float(np.sum(way**2))
        return float(np.sum(moved * way)) / length if length > 0 else 1.0

    def _result(self, face: FaceState, ok: bool, reason: str, steps: int, mean_distance: float) -> Result:
        away = np.linalg.norm(face.points[list(self.plan.indices)] - self.plan.targets, axis=1)
        return Result(
            face, ok, reason, steps, self.share(face.points), float(mean_distance), float(away.mean())
        )
