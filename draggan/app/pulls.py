"""An edit and a drag by hand, told step by step in the same words. Either can be left and taken up again."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from torch import Tensor

from draggan.app.marks import Marks
from draggan.drag import Drag, Settings, Step
from draggan.editor import EditRun
from draggan.generators import Generator


class Pull(Protocol):
    title: str  # what the history calls it
    over: str | None  # why it has ended
    ok: bool  # it came where it should; known once it is over
    share: float  # of the way, 0-1
    styles: Tensor  # as they are now
    drawn_by: Generator  # what draws them
    handles: np.ndarray  # (K, 2), where they are at the end; none to go on with: (0, 2)

    def step(self) -> tuple[Step, np.ndarray | None] | None:
        """One step, and the picture (H, W, 3) where one was drawn anyway; None when it is over."""

    def draw(self) -> np.ndarray:
        """The picture (H, W, 3) uint8 of the styles as they are now."""

    def result(self) -> tuple[Tensor, np.ndarray]:
        """Styles and picture, once it is over."""


class EditPull:
    """A one-click edit."""

    def __init__(self, run: EditRun):
        self.run, self._steps, self.title = run, iter(run), run.name
        self.over: str | None = None
        self.handles = np.zeros((0, 2))

    def step(self) -> tuple[Step, np.ndarray | None] | None:
        progress = next(self._steps, None)
        if progress is None:
            self.over = self.run.result.reason.split(",")[0]
            return None
        return progress.step, progress.face.picture if progress.face is not None else None

    @property
    def ok(self) -> bool:
        return self.run.result.ok

    @property
    def share(self) -> float:
        return max(0.0, min(1.0, self.run.result.share))

    @property
    def styles(self) -> Tensor:
        return self.run.drag.styles if self.run.drag else self.run.result.face.styles

    @property
    def drawn_by(self) -> Generator:
        return self.run.result.face.generator if self.over else self.run.generator

    def draw(self) -> np.ndarray:
        return self.run.editor.draw(self.styles, self.drawn_by)

    def result(self) -> tuple[Tensor, np.ndarray]:
        face = self.run.result.face
        return face.styles, face.picture


class PointPull:
    """Points by hand: DragGAN as it is. Mistake where no pair is marked."""

    title = "points"

    def __init__(
        self,
        generator: Generator,
        styles: Tensor,
        marks: Marks,
        settings: Settings,
        picture_of: Callable[[Tensor, Generator], np.ndarray] | None = None,
    ):
        """picture_of: the picture of styles drawn by a generator, by default what that draws."""
        self.drawn_by, self.settings = generator, settings
        self._picture_of = picture_of or (lambda styles, generator: generator.picture(styles))
        self._start, self._region = styles, marks.region
        self.handles, self._targets = marks.pairs()
        self._drag: Drag | None = None  # made in the working thread
        self.over: str | None = None
        self._first = self._best = float(np.linalg.norm(self.handles - self._targets, axis=1).mean())

    def step(self) -> tuple[Step, None] | None:
        if self.over:
            return None
        if self._drag is None:
            region = self._region
            self._drag = Drag(self.drawn_by, self._start, self.handles, self._targets, region, self.settings)
        step = self._drag.step()
        distance = float(step.distances.mean())
        if distance < self._best:  # as the drag chooses its best state
            self._best, self.handles = distance, step.points
        limit = "step limit" if step.number >= self.settings.max_steps else None
        self.over = self._drag.stopped or limit
        return step, None

    @property
    def ok(self) -> bool:
        return self.over == "on target"

    @property
    def share(self) -> float:
        return 1 - self._best / self._first if self._first else 1.0

    @property
    def styles(self) -> Tensor:
        return self._drag.styles if self._drag else self._start

    def draw(self) -> np.ndarray:
        return self._picture_of(self.styles, self.drawn_by)

    def result(self) -> tuple[Tensor, np.ndarray]:
        styles = self._drag.best_styles
        return styles, self._picture_of(styles, self.drawn_by)
