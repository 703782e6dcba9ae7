"""How often a drag is drawn: as often as that takes a small share of its time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

# Of a drag's time that drawing may take; showing it in a browser on the same cores takes as much again.
PREVIEW_SHARE = 0.06


class Previews:
    """Told how long the steps take, and measuring what is drawn, it says when the next picture is due."""

    def __init__(self, share: float = PREVIEW_SHARE):
        self.share = share
        self.dragged = self.spent = self.cost = 0.0  # seconds; of all steps, all pictures, the last picture
        self.steps = 0

    def due(self, seconds: float) -> bool:
        """After a step that took so long: whether to draw now."""
        self.steps += 1
        self.dragged += seconds
        if not self.cost:  # the first one comes early, so that a person sees that it works
            return self.steps >= 2
        return self.spent + self.cost <= self.share * self.dragged

    @contextmanager
    def drawing(self, for_free: bool = False) -> Iterator[None]:
        """Around everything that is done for one picture; for one that was there anyway, only for showing it."""
        began = time.perf_counter()
        yield
        taken = time.perf_counter() - began
        self.spent += taken
        if not for_free:
            self.cost = taken
