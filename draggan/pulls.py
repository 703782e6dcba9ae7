"""An edit and a drag by hand, told step by step in the same words; and how often to draw a preview."""

import time

import numpy as np
from torch import Tensor

from draggan.drag import Drag, Settings, Step
from draggan.editor import EditRun
from draggan.generators import Generator

PREVIEW_SHARE = 0.12  # of a drag's time that previews may take


class EditPull:
    """A one-click edit. It can be left after any step and taken up again."""

    def __init__(self, run: EditRun):
        self.run, self._steps = run, iter(run)
        self.over: str | None = None  # why it has ended
        self.number = 0

    def step(self) -> tuple[Step, np.ndarray | None] | None:
        """One step, and the picture (H, W, 3) where one was drawn anyway; None when the edit is over."""
        progress = next(self._steps, None)
        if progress is None:
            self.over = self.run.result.reason
            return None
        self.number = progress.step.number
        return progress.step, progress.face.picture if progress.face is not None else None

    @property
    def expected(self) -> int:
        return 24

    @property
    def ok(self) -> bool:
        return self.run.result.ok

    @property
    def share(self) -> float:
        return max(0.0, min(1.0, self.run.result.share))

    @property
    def styles(self) -> Tensor:
        return self.run.drag.styles if self.run.drag else self.run.start.styles

    def picture(self) -> np.ndarray:
        return self.run.editor.generator.picture(self.styles)

    def result(self) -> tuple[Tensor, np.ndarray]:
        face = self.run.result.face
        return face.styles, face.picture


class PointPull:
    """Points by hand: DragGAN as it is."""

    def __init__(
        self,
        generator: Generator,
        styles: Tensor,
        handles: np.ndarray,
        targets: np.ndarray,
        mask: np.ndarray | None,
        settings: Settings,
    ):
        self.generator, self.settings, self._start = generator, settings, styles
        self._arguments = (generator, styles, handles, targets, mask, settings)
        self._drag: Drag | None = None  # made in the working thread
        self.over: str | None = None
        self.number = 0
        self._first = self._last = float(np.linalg.norm(handles - targets, axis=1).mean())

    def step(self) -> tuple[Step, None] | None:
        if self.over:
            return None
        if self._drag is None:
            self._drag = Drag(*self._arguments)
        step = self._drag.step()
        self.number, self._last = step.number, float(step.distances.mean())
        limit = "step limit" if step.number >= self.settings.max_steps else None
        self.over = self._drag.stopped or limit
        return step, None

    @property
    def expected(self) -> int:
        return self.settings.max_steps // 2

    @property
    def ok(self) -> bool:
        return self.over == "on target"

    @property
    def share(self) -> float:
        return 1 - self._last / self._first if self._first else 1.0

    @property
    def styles(self) -> Tensor:
        return self._drag.styles if self._drag else self._start

    def picture(self) -> np.ndarray:
        return self.generator.picture(self.styles)

    def result(self) -> tuple[Tensor, np.ndarray]:
        styles = self._drag.best_styles
        return styles, self.generator.picture(styles)


class Previews:
    """Draws a picture between the steps as long as that takes a small share of the drag's time."""

    def __init__(self, share: float = PREVIEW_SHARE):
        self.share = share
        self.spent = self.dragged = self.cost = 0.0
        self.drawn = 0

    def maybe(self, pull: EditPull | PointPull, seconds: float) -> np.ndarray | None:
        """After a step that took so long: a picture if it is due, else None."""
        self.dragged += seconds
        steps = max(1, pull.number)
        expected = max(self.dragged, self.dragged / steps * pull.expected)
        cost = self.cost or 2 * self.dragged / steps
        # The first comes early, paid for by the steps that are expected; later ones by those that were made.
        paid = expected if not self.drawn else self.dragged
        if pull.over or self.spent + cost > self.share * paid or steps < 2:
            return None
        began = time.perf_counter()
        picture = pull.picture()
        self.cost = time.perf_counter() - began
        self.spent += self.cost
        self.drawn += 1
        return picture
