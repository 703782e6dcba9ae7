"""What is marked on a picture: handles with their targets, and the region that may change.

marks = Marks()
marks.place(400, 600, size=1024)      # a handle
marks.place(460, 600, size=1024)      # its target
handles, targets = marks.pairs()
"""

from dataclasses import dataclass, field

import numpy as np

from draggan.app.texts import Message, TranslatedError

MAX_POINTS = 40


@dataclass
class Marks:
    """Points are [x, y] in pixels, pixel centres at whole numbers; a handle may still lack its target."""

    handles: list[list[float]] = field(default_factory=list)
    targets: list[list[float]] = field(default_factory=list)
    region: np.ndarray | None = None  # (H, W), above 0 where the picture may change; None: everywhere
    moving: bool = False  # the next point put down moves the last one instead of adding to them

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
        return Message("press_start_points" if self.targets else "click_handle")

    def place(self, x: float, y: float, size: int) -> None:
        """A handle, then its target, alternating; or the last point anew while `moving`.

        TranslatedError outside a picture of `size` pixels, and for more than MAX_POINTS handles.
        """
        if not (0 <= x <= size - 1 and 0 <= y <= size - 1):  # NaN, too
            raise TranslatedError("outside", x=x, y=y, most=size - 1)
        point = [float(x), float(y)]
        if self.moving and self.last is not None:
            self.last[:] = point
        elif self.half:
            self.targets.append(point)
        elif len(self.handles) >= MAX_POINTS:
            raise TranslatedError("many_points", most=MAX_POINTS)
        else:
            self.handles.append(point)
        self.moving = False

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
            raise TranslatedError("nothing_marked")
        return np.array(self.handles[: len(self.targets)]), np.array(self.targets)
