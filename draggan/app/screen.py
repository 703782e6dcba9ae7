"""What the page shows at one moment: the picture, the marks on it, the message, and how far a task is.

screen.marks.place(400, 600, size=1024)
screen.draw(face)                             # an image file for the page, which draws the marks over it
screen.say(Message("press_start"))
screen.report(progress); screen.preview(picture)     # from the queue's thread, while a task is at work
"""

import contextlib
import time
from pathlib import Path

import numpy as np

from draggan.app.folder import Folder
from draggan.app.marks import Marks
from draggan.app.queue import Worker
from draggan.app.texts import Message
from draggan.face import Face, NoFaceError
from draggan.tasks import Progress

WARNING_SECONDS = 4.0


class Screen:
    """May be used from any thread; those who wait for the worker are woken by every change."""

    def __init__(self, files: Folder, worker: Worker):
        self.files, self._worker = files, worker
        self.image: Path | None = None
        self._about: str | None = None  # what the metadata of images says
        self.landmarks_shown = False
        self.landmarks: np.ndarray | None = None  # (68, 2) of the picture, where they are asked for and found
        self._drawn: np.ndarray | None = None  # the picture in the image file
        self.message = Message("ready")
        self.seed: int | None = None  # that the page was told last
        self._warning, self._warned = None, 0.0
        self.clear()

    def clear(self) -> None:
        """No marks, and no word of a task."""
        self.marks = Marks()
        self.step, self.distance = 0, None
        self.progress: Message | None = None

    def say(self, message: Message) -> None:
        """The message from now on."""
        with self._worker.lock:
            self.message = message
            self._worker.changed()

    def warn(self, message: Message) -> None:
        """The message for some seconds, whatever else is said."""
        with self._worker.lock:
            self._warning, self._warned = message, time.monotonic()
            self._worker.changed()

    @property
    def note(self) -> Message:
        """What to say now."""
        warned = self._warning and time.monotonic() - self._warned < WARNING_SECONDS
        return self._warning if warned else self.message

    def report(self, progress: Progress, message: Message | None = None) -> None:
        """How far the task at work is; the message says so in words, where no points move."""
        with self._worker.lock:
            self.step = progress.step
            if progress.distance is not None:
                self.distance = progress.distance
                self.marks.moved(progress.handles)
                message = Message("progress", {"step": self.step, "distance": self.distance})
            self.progress = message
            self._worker.changed()

    def preview(self, picture: np.ndarray) -> None:
        """A picture (H, W, 3) uint8 of the task at work."""
        self.landmarks = None
        self._write(picture)

    def draw(self, face: Face) -> None:
        """The face's picture, and its landmarks where they are asked for and found."""
        self._about, self.landmarks = face.subject.note, None
        if self.landmarks_shown:
            with contextlib.suppress(NoFaceError):  # this picture shows none
                self.landmarks = face.points
        if face.picture is not self._drawn:
            self._write(face.picture)

    def _write(self, picture: np.ndarray) -> None:
        path = self.files.draw(picture, self._about)
        with self._worker.lock:
            self.image, self._drawn = path, picture
            self._worker.changed()
