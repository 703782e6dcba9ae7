"""The results of a session: a gallery, and the trail that undo and redo walk along.

A file stays as long as the gallery, the trail or the comparison on the page can still lead to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from draggan import photos
from draggan.app import files
from draggan.app.looks import Look
from draggan.app.texts import Mistake
from draggan.photo_editor import PhotoEditor

MOST = 40  # results in the gallery, and as many places of the trail


@dataclass(frozen=True)
class Subject:
    """Whose picture it is: the face of a seed of a model, or of a photo."""

    model: str
    seed: int
    psi: float
    editor: PhotoEditor | None = None  # of the photo: it draws the face, by a generator of the photo's own

    @property
    def note(self) -> str:
        """What its pictures say in their metadata."""
        return files.NOTE if self.editor is None else photos.NOTE


@dataclass(frozen=True, eq=False)
class Shot:
    """One result: its files, and what draws it."""

    subject: Subject
    title: str  # what the history calls it: "seed", "photo", "points", or edits and strengths
    path: Path  # PNG
    thumbnail: Path  # JPEG
    look: Look
    whole: Path | None = None  # JPEG of the whole photo with this face in it
    moved: tuple | None = None  # made by sliders: a weak reference to them, and {edit: strength}

    def unlink(self) -> None:
        for path in (self.path, self.thumbnail, self.whole):
            if path:
                path.unlink(missing_ok=True)


class History:
    """Everything raises Mistake where there is nothing to go to."""

    def __init__(self, most: int = MOST):
        self.most = most
        self.shots: list[Shot] = []  # the gallery, oldest first
        self.before: Shot | None = None  # what the last drag began with
        self._trail: list[Shot] = []
        self._at = -1

    @property
    def now(self) -> Shot | None:
        return self._trail[self._at] if self._at >= 0 else None

    @property
    def place(self) -> int:
        """Where in the gallery the shown result is; -1 if it is no longer there."""
        return next((i for i, shot in enumerate(self.shots) if shot is self.now), -1)

    def add(self, shot: Shot) -> None:
        known = self._all()
        self.shots = [*self.shots, shot][-self.most :]
        self._go_on(shot)
        self._sweep(known)

    def go_to(self, index: int) -> Shot:
        """A result of the gallery; undo then leads back to where one came from."""
        if not 0 <= index < len(self.shots):
            raise Mistake("no_such_result")
        known = self._all()
        self._go_on(self.shots[index])
        self._sweep(known)
        return self.now

    def walk(self, by: int) -> Shot:
        """Undo (-1) or redo (1)."""
        if not 0 <= self._at + by < len(self._trail):
            raise Mistake("nothing_to_undo" if by < 0 else "nothing_to_redo")
        self._at += by
        return self.now

    def compare(self, before: Shot | None) -> None:
        known = self._all()
        self.before = before
        self._sweep(known)

    def keep(self, wanted: Callable[[Shot], bool]) -> None:
        """Forget all results but those."""
        known = self._all()
        self._at = sum(wanted(shot) for shot in self._trail[: self._at + 1]) - 1
        self.shots, self._trail = ([s for s in shots if wanted(s)] for shots in (self.shots, self._trail))
        self.before = self.before if self.before and wanted(self.before) else None
        self._sweep(known)

    def clear(self) -> None:
        self.shots, self._trail, self._at, self.before = [], [], -1, None

    def _go_on(self, shot: Shot) -> None:
        self._trail = [*self._trail[: self._at + 1], shot][-self.most :]
        self._at = len(self._trail) - 1

    def _all(self) -> list[Shot]:
        return [*self.shots, *self._trail, *([self.before] if self.before else [])]

    def _sweep(self, known: list[Shot]) -> None:
        """Delete the files of those that were known and to which nothing leads any more."""
        stay = {id(shot) for shot in self._all()}
        for shot in known:
            if id(shot) not in stay:
                shot.unlink()
