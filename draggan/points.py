"""Points by hand: DragGAN as it is, on whatever the generator makes.

task = PointsTask(face, [[400, 600]], [[460, 600]])
for progress in task:
    print(progress.step, progress.distance)
task.face.picture
"""

from collections.abc import Iterator

import cv2
import numpy as np

from draggan.drag import Drag, Settings
from draggan.face import Face
from draggan.identity import SamePerson
from draggan.tasks import ANOTHER, Progress

REACH = 0.15  # of the picture's side: how wide the surroundings of a point are that move along
REACH_SIDE = 256  # of the mask of what points reach, pixels
FAR = 1 / 6  # of the picture's side: points seldom come farther before the face is another one
LOOK_EVERY = 8  # steps


def reach(handles: np.ndarray, targets: np.ndarray, size: int) -> np.ndarray:
    """Where dragging points (K, 2) may change a picture of `size` pixels: around their ways.

    (REACH_SIDE, REACH_SIDE) float32, 1 there, else 0.
    """
    around = np.zeros((REACH_SIDE, REACH_SIDE), np.float32)
    for way in zip(handles, targets, strict=True):
        start, end = (tuple(round(float(v) * REACH_SIDE / size) for v in point) for point in way)
        cv2.line(around, start, end, 1.0, max(1, round(REACH * REACH_SIDE)))
    return around


class PointsTask:
    """Drag handles to targets, (K, 2) each, (x, y) in pixels.

    A target that is too far pulls a face apart. So every few steps it is looked at, and where it is another one, the
    drag ends with the last state that was not. That is never done to pictures without a face.

    mask: (H, W) of any size, above 0 where the picture may change; None: everywhere.
    Raises ValueError, at the first step, for points outside the picture.
    """

    name = "points"

    def __init__(
        self,
        start: Face,
        handles: np.ndarray,
        targets: np.ndarray,
        mask: np.ndarray | None = None,
        settings: Settings | None = None,
    ):
        self.start, self.mask, self.settings = start.freed(), mask, settings or Settings()
        self.reason: str | None = None
        self._drag: Drag | None = None  # made by the first step, which may be in another thread
        self._same: SamePerson | None = None
        self._kept = start.styles  # the last state that was still the same face ...
        self._kept_at = float("inf")  # ... with this mean distance, and these handles
        self._kept_handles = np.asarray(handles)
        self._changed: tuple[np.ndarray, np.ndarray] | None = None
        self._begun_at = 0  # the step from which on the present points are dragged
        self._set_points(np.asarray(handles), np.asarray(targets))

    def change(self, handles: np.ndarray, targets: np.ndarray) -> bool:
        """Drag other points, (K, 2) each, from the next step on, and from the state that is reached by then.

        May be called from another thread while the task is at work. False where it has ended: then nothing changes.
        """
        self._changed = np.asarray(handles), np.asarray(targets)
        return self.reason is None

    def _set_points(self, handles: np.ndarray, targets: np.ndarray) -> None:
        self.handles, self.targets = handles, targets
        size = self.start.generator.resolution
        self.start = self.start.reaching(reach(handles, targets, size) if self.mask is None else self.mask)
        self._first = self._least = float(np.linalg.norm(handles - targets, axis=1).mean())
        self._kept_at, self._kept_handles = self._first, handles
        if self._drag:
            if self._same(now := self.start.with_styles(self._drag.styles)):
                self._kept = now.styles
            self._drag.set_points(handles, targets)
            self._begun_at = self._drag.steps_done

    def __iter__(self) -> Iterator[Progress]:
        while self.reason is None:
            changed, self._changed = self._changed, None
            if changed:
                self._set_points(*changed)
            if self._drag is None:
                start, way = self.start, (self.handles, self.targets)
                self._drag = Drag(start.generator, start.styles, *way, self.mask, self.settings)
                self._same = SamePerson(start)
            step = self._drag.step()
            distance = float(step.distances.mean())
            if distance < self._least:  # as the drag chooses its best state
                self._least, self.handles = distance, step.points
            limit = "step limit" if step.number - self._begun_at >= self.settings.max_steps else None
            self.reason = None if self._changed else self._drag.stopped or limit
            if self.reason or step.number % LOOK_EVERY == 0:
                self._look()
            yield Progress(step.number, step.seconds, loss=step.loss, handles=step.points, distance=distance)

    def _look(self) -> None:
        """Keep the best state so far if it is still the same face; else end with the one before it."""
        if (
            self._least == self._kept_at and self.reason != "on target"
        ):  # nothing has come since the last look
            return
        best = self._drag.best_styles
        if self._same(self.start.with_styles(best)):
            self._kept, self._kept_at, self._kept_handles = best, self._least, self.handles
        else:
            self.reason, self._least, self.handles = ANOTHER, self._kept_at, self._kept_handles

    @property
    def face(self) -> Face:
        if self._drag is None:
            return self.start
        return self.start.with_styles(self._kept if self.reason else self._drag.styles)

    @property
    def distance(self) -> float:
        """Of the best state, on average, in pixels."""
        return self._least

    @property
    def ok(self) -> bool:
        return self.reason == "on target"

    @property
    def share(self) -> float:
        return 1 - self._least / self._first if self._first else 1.0
