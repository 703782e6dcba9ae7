"""What is marked on a picture: handles with their targets, and the region that may change.

marks = Marks()
marks.place(400, 600, size=1024)      # a handle
marks.place(460, 600, size=1024)      # its target
handles, targets = marks.pairs()
"""

import math
from dataclasses import dataclass, field

import numpy as np

from draggan.app import regions
from draggan.app.texts import Message, TranslatedError
from draggan.points import FAR

MAX_POINTS = 40
ADDING = ("place", "pair")  # methods of Marks that put a new point down


@dataclass
class Marks:
    """Points are [x, y] in pixels, pixel centres at whole numbers; a handle may still lack its target."""

    handles: list[list[float]] = field(default_factory=list)
    targets: list[list[float]] = field(default_factory=list)
    region: np.ndarray | None = None  # (H, W), above 0 where the picture may change; None: everywhere
    moving: bool = False  # the next point put down moves the last one instead of adding to them
    size: int = 0  # of the picture on which the last point was put down, pixels

    @property
    def half(self) -> bool:
        """Whether the last handle still lacks its target."""
        return len(self.handles) > len(self.targets)

    @property
    def last(self) -> list[float] | None:
        """The point put down last."""
        points = self.handles if self.half else self.targets
        return points[-1] if points else None

    @property
    def message(self) -> Message:
        """What a person can do next."""
        if self.moving:
            return Message("move_last")
        if self.half:
            return Message("click_target")
        if self.far:
            return Message("far_target")
        return Message("press_start_points" if self.targets else "click_handle")

    @property
    def far(self) -> bool:
        """Whether a target is so far that the face can hardly come there."""
        ways = zip(self.handles, self.targets, strict=False)
        return any(math.dist(*way) > FAR * self.size for way in ways) and self.size > 0

    def place(self, x: float, y: float, size: int) -> None:
        """A handle, then its target, alternating; or the last point anew while `moving`.

        TranslatedError outside a picture of `size` pixels, and for more than MAX_POINTS handles.
        """
        point, self.size = _inside(x, y, size), size
        if self.moving and self.last is not None:
            self.last[:] = point
        elif self.half:
            self.targets.append(point)
        elif len(self.handles) >= MAX_POINTS:
            raise TranslatedError("many_points", most=MAX_POINTS)
        else:
            self.handles.append(point)
        self.moving = False

    def pair(self, handle: list[float], target: list[float], size: int) -> None:
        """A handle and its target at once; a handle that still lacked its own goes."""
        if self.half:
            self.handles.pop()
        self.moving = False
        self.place(*handle, size)
        try:
            self.place(*target, size)
        except TranslatedError:
            self.handles.pop()
            raise

    def move(self, kind: str, index: int, x: float, y: float, size: int) -> None:
        """Move a "handle" or a "target". TranslatedError as for `place`, and where there is none."""
        points = {"handle": self.handles, "target": self.targets}.get(kind, [])
        if not 0 <= index < len(points):
            raise TranslatedError("nothing_to_move")
        points[index], self.size = _inside(x, y, size), size

    def remove(self, index: int) -> None:
        """A handle with its target. TranslatedError where there is none."""
        if not 0 <= index < len(self.handles):
            raise TranslatedError("nothing_to_move")
        del self.handles[index], self.targets[index : index + 1]
        self.moving = False

    def moved(self, handles: np.ndarray) -> None:
        """Where a drag has found the handles (K, 2) that have targets; not of points that it does not drag yet."""
        if len(handles) == len(self.targets):
            self.handles = [*np.asarray(handles).tolist(), *self.handles[len(handles) :]]

    def move_last(self) -> None:
        """The next point that is put down moves the last one; asked for twice, it does not."""
        if self.last is None:
            raise TranslatedError("nothing_to_move")
        self.moving = not self.moving

    def undo(self) -> None:
        """Take back the point put down last."""
        if self.last is not None:
            (self.handles if self.half else self.targets).pop()
        self.moving = False

    def clear_points(self) -> None:
        self.handles, self.targets, self.moving = [], [], False

    def set_region(self, region: np.ndarray | None) -> Message:
        """What may change: (H, W), above 0 where it may; None: everything. TranslatedError where nothing may."""
        if region is not None and not (np.asarray(region) > 0).any():
            raise TranslatedError("empty_region")
        self.region = None if region is None else (np.asarray(region) > 0).astype(np.float32)
        return Message("region_off" if region is None else "region_set")

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Handles and targets, (K, 2) each, without a handle that lacks its target.

        TranslatedError if there are none.
        """
        if not self.targets:
            raise TranslatedError("half_marked" if self.handles else "nothing_marked")
        return np.array(self.handles[: len(self.targets)]), np.array(self.targets)


def _inside(x: float, y: float, size: int) -> list[float]:
    """The point. TranslatedError outside a picture of `size` pixels."""
    if not (0 <= x <= size - 1 and 0 <= y <= size - 1):  # NaN, too
        raise TranslatedError("outside", x=x, y=y, most=size - 1)
    return [float(x), float(y)]


def marking(operation: dict, size: int) -> tuple[str, tuple]:
    """An operation of the page as (method of Marks, its arguments). TranslatedError for anything else.

    {"op": "place", "x", "y"}, {"op": "pair", "handle": [x, y], "target": [x, y]}, {"op": "remove", "index"},
    {"op": "move", "kind": "handle" or "target", "index", "x", "y"}, {"op": "region", "png": data URL or None}
    """
    try:
        match operation["op"]:
            case "place":
                return "place", (float(operation["x"]), float(operation["y"]), size)
            case "pair":
                handle, target = ([float(v) for v in operation[name]] for name in ("handle", "target"))
                (_, _), (_, _) = handle, target
                return "pair", (handle, target, size)
            case "move":
                x, y = float(operation["x"]), float(operation["y"])
                return "move", (str(operation["kind"]), int(operation["index"]), x, y, size)
            case "remove":
                return "remove", (int(operation["index"]),)
            case "region":
                return "set_region", (regions.from_url(operation["png"]),)
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    raise TranslatedError("bad_operation")
