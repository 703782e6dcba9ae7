"""What the page shows at one moment: the picture with the marks on it, the message, and how far a task is.

screen.marks.place(400, 600, size=1024)
screen.draw(face)                             # an image file with the marks, for the page
screen.say(Message("press_start"))
screen.report(progress); screen.preview(picture)     # from the queue's thread, while a task is at work
"""

from pathlib import Path

import numpy as np

from draggan.app import drawing
from draggan.app.folder import Folder
from draggan.app.marks import Marks
from draggan.app.queue import Worker
from draggan.app.texts import Message
from draggan.face import Face, NoFaceError
from draggan.tasks import Progress


class Screen:
    """May be used from any thread; those who wait for the worker are woken by every change."""

    def __init__(self, files: Folder, worker: Worker):
        self.files, self._worker = files, worker
        self.image: Path | None = None
        self.note: str | None = None  # what the metadata of images says
        self.landmarks_shown = False
        self.message = Message("ready")
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

    def report(self, progress: Progress, message: Message | None = None) -> None:
        """How far the task at work is; the message says so in words, where no points move."""
        with self._worker.lock:
            self.step = progress.step
            if progress.distance is not None:
                self.distance = progress.distance
                self.marks.handles = progress.handles.tolist()
                message = Message("progress", {"step": self.step, "distance": self.distance})
            self.progress = message
            self._worker.changed()

    def preview(self, picture: np.ndarray) -> None:
        """A picture (H, W, 3) uint8 of the task at work."""
        self._write(drawing.overlay(picture, self.marks.handles, self.marks.targets))

    def draw(self, face: Face) -> None:
        """The face's picture with the marks, and with its landmarks where they are asked for and found."""
        self.note, points = face.subject.note, None
        if self.landmarks_shown:
            try:
                points = face.points
            except NoFaceError:  # this picture shows none
                points = None
        marks = self.marks
        self._write(drawing.overlay(face.picture, marks.handles, marks.targets, marks.region, points))

    def _write(self, image: np.ndarray) -> None:
        path = self.files.draw(image, self.note)
        with self._worker.lock:
            self.image = path
            self._worker.changed()
