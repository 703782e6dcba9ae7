"""What an edit is: how it moves a face's landmarks, and where the picture may change. edits.py has those there are."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from draggan.frame import Ellipse, Frame, frame, region_mask


class EditError(ValueError):
    """An edit is unknown, wrongly described, or its strength is out of range; the message says what is allowed."""


@dataclass(frozen=True)
class Plan:
    """What to drag: handles and targets (K, 2) in pixels, and the region that may change."""

    handles: np.ndarray
    targets: np.ndarray
    region: tuple[Ellipse, ...]
    indices: tuple[int, ...]  # the landmarks that the handles are

    def mask(self, size: int, resolution: int, soft: bool = False) -> np.ndarray:
        """The region of a picture of `size` pixels as (resolution, resolution) float32: 1 free, 0 fixed.

        A soft mask fades from 1 to 0 inside the region; outside both are 0.
        """
        return region_mask(self.region, size, resolution, soft)


@dataclass(frozen=True)
class Edit:
    """A named edit: how it moves the landmarks, and where the picture may change."""

    name: str
    title: str
    # landmarks (68, 2), frame, strength → {landmark: offset in pixels}; an offset of zero pins a point
    move: Callable[[np.ndarray, Frame, float], dict[int, np.ndarray]]
    region: Callable[[np.ndarray, Frame], tuple[Ellipse, ...]]
    signed: bool  # a negative strength means the opposite
    shows: tuple[str, ...] = ()  # the measures that tell how far it has come; none: the points themselves
    keeps: tuple[str, ...] = ()  # measures that may change by KEPT at most
    goal: float = 0.6  # share of the way that the landmarks must show before the edit counts as done
    aim: float = 0.65  # share of the way that a direction's scale is chosen for
    scales: tuple[float, float] = (0.5, 2.5)  # least and most of a direction; beyond, a face falls apart
    farthest: float = 0.0  # the most where a face does not show the edit otherwise
    least_steps: int = 0  # of a drag from the start; it does not count as done before
    # The edit that is done, and then drawn in this one's region alone: of a wink, that of both eyes.
    part_of: str = ""
    eye: int | None = None  # the one that it is judged by (0: left in the picture, 1: right); see one_eye.py
    by_motion: bool = False  # alone, it moves the face's own pixels, and nothing is drawn anew
    drag_on: bool = True  # a drag may go on from where a direction led; else it begins anew
    drag: dict = field(default_factory=dict)  # settings of the drag that differ from its defaults
    title_zh: str = ""  # of an edit of one's own; those of edits.py have theirs in the app's texts
    # Measures of its own: landmarks between whose two groups' means the distance is taken, in face units.
    distances: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)

    def own_measures(self, points: np.ndarray) -> dict[str, float]:
        """Its `distances` in landmarks (68, 2)."""
        if not self.distances:
            return {}
        points, unit = np.asarray(points, np.float64), frame(points).unit
        return {
            name: float(np.linalg.norm(points[list(a)].mean(axis=0) - points[list(b)].mean(axis=0))) / unit
            for name, (a, b) in self.distances.items()
        }
