"""What takes time: a face goes in, progress comes out, and a face is there at the end.

    task = EditTask(face, "smile")        # or PointsTask, SliderTask, PhotoTask
    for progress in task:                 # may be left after any step, and gone on with later
        print(progress.step, progress.distance)
    task.face                             # as far as it has come; at the end the result

The tasks are in editor.py (one-click edits), points.py (points by hand), instant.py (sliders) and photo_editor.py (a
photo's face is brought into the generator). A task does not know who asked: the batch command and the app
run the same ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from draggan.face import Face

ANOTHER = "another face"  # why a task ended: farther on it would be one


@dataclass(frozen=True)
class Progress:
    """How far a task has come with one step. What a task does not know is None."""

    step: int  # 1, 2, ...; 0 for what a learned direction does at once
    seconds: float = 0.0  # that the step took
    steps: int | None = None  # in all
    stage: str | None = None  # what is being done
    loss: float | None = None
    handles: np.ndarray | None = None  # (K, 2), where the points are by now, pixels
    distance: float | None = None  # of the points to their targets on average, pixels
    share: float | None = None  # of the way that the landmarks show, 1 = all
    face: Face | None = None  # where the face was drawn in this step anyway
    preview: np.ndarray | None = None  # (H, W, 3) uint8, where there is a picture but no face of it


class Task(Protocol):
    """Iterate to do it. Leaving the loop keeps what was reached, and iterating on goes on from there."""

    name: str  # of what it does: edits with commas, "points", "sliders", "photo"

    @property
    def face(self) -> Face:
        """The face as far as the task has come: on the way the present one, at the end the result."""

    @property
    def reason(self) -> str | None:
        """Why it has ended; None as long as it can go on."""

    @property
    def ok(self) -> bool:
        """It has ended and has done what it should."""

    @property
    def share(self) -> float:
        """Of the way, 0 to 1."""

    def __iter__(self) -> Iterator[Progress]: ...
