"""How often a drag is drawn: as often as that takes a small share of its time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

PREVIEW_SHARE = 0.12  # of a drag's time that pictures for the eye may take


class Previews:
    """Told how long the steps take, and measuring what is drawn, it says when the next picture is due."""

    def __init__(self, expected: int, share: float = PREVIEW_SHARE):
        """expected: about how many steps the drag will take."""
        self.expected, self.share = expected, share
        self.dragged = self.spent = self.cost = 0.0  # seconds; of all steps, all pictures, the last picture
        self.steps = 0

    def due(self, seconds: float) -> bool:
        """After a step that took so long: whether to draw now."""
        self.steps += 1
        self.dragged += seconds
        step = self.dragged / self.steps
        # The first picture comes early, paid for by the steps that are expected; later ones by those made.
        paid = self.dragged if self.cost else max(self.dragged, step * self.expected)
        return self.steps >= 2 and self.spent + (self.cost or 2 * step) <= self.share * paid

    @contextmanager
    def drawing(self, for_free: bool = False) -> Iterator[None]:
        """Around everything that is done for one picture; for one that was there anyway, only for showing it."""
        began = time.perf_counter()
        yield
        taken = time.perf_counter() - began
        self.spent += taken
        if not for_free:
            self.cost = taken
