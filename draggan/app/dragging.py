"""A drag from Start to its end, drawn on the way: what a session has run in the studio's working thread."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from draggan.app import files
from draggan.app.looks import Look
from draggan.app.previews import Previews
from draggan.app.pulls import Pull
from draggan.drag import Step
from draggan.generators import Generator

MAX_FRAMES = 80  # of an animation


class Dragging:
    """It can be stopped after any step, and `run` goes on from there."""

    def __init__(self, pull: Pull, picture: np.ndarray, look: Look, drawn_by: Generator):
        """picture: (H, W, 3) uint8, what is shown; look, drawn_by: what the pull begins with, and what draws it."""
        self.pull, self._look, self._drawn_by = pull, look, drawn_by
        self.frames = [files.frame(picture)]

    def run(
        self, stop: threading.Event, told: Callable[[Step], None], show: Callable[[np.ndarray], None]
    ) -> None:
        """Step until it is over or stopped. `told` hears of every step; `show` gets pictures (H, W, 3) for the
        eye, so many as take a small share of the time."""
        pull, previews = self.pull, Previews()
        while not stop.is_set() and (made := pull.step()) is not None:
            step, picture = made
            told(step)
            drawn = picture is not None
            if drawn or (not pull.over and previews.due(step.seconds)):
                with previews.drawing(drawn):
                    picture = picture if drawn else pull.draw()
                    if len(self.frames) < MAX_FRAMES:
                        self.frames.append(files.frame(picture))
                    show(picture)

    def end(self, animation: Path, note: str) -> tuple[Look, np.ndarray]:
        """Look and picture that it has come to. Writes the animation, with a note in its metadata."""
        pull = self.pull
        styles, picture = pull.result() if pull.over else (pull.styles, pull.draw())
        files.write_animation(animation, [*self.frames, files.frame(picture)], note)
        return self._look.then(styles, pull.drawn_by, self._drawn_by), picture
