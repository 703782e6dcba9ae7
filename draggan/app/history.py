"""The results of a session: a gallery, and the trail that undo and redo walk along.

A file stays as long as the gallery, the trail or the comparison on the page can still lead to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from draggan.app.texts import TranslatedError
from draggan.face import Face

MOST = 40  # results in the gallery, and as many places of the trail


@dataclass(frozen=True, eq=False)
class Entry:
    """One result: the face, and its files."""

    face: Face
    title: str  # what was done: "seed", "photo", "points", or edits and strengths as "smile, slim 0.5"
    path: Path  # PNG
    thumbnail: Path  # JPEG
    whole: Path | None = None  # JPEG of the whole photo with this face in it
    strengths: Mapping[str, float] = field(default_factory=dict)  # made by sliders that stood like this ...
    slid_from: "Entry | None" = None  # ... and count from this result
    whose: str = ""  # the face is: "seed5", "photo" or "latent"
    search: tuple | None = (
        None  # model and preset that found a photo's face, where it was searched to the end
    )

    def unlink(self) -> None:
        for path in (self.path, self.thumbnail, self.whole):
            if path:
                path.unlink(missing_ok=True)


class History:
    """Everything raises TranslatedError where there is nothing to go to."""

    def __init__(self, most: int = MOST):
        self.most = most
        self.entries: list[Entry] = []  # the gallery, oldest first
        self.before: Entry | None = None  # what the last task began with
        self.pinned: Entry | None = None  # what everything is compared with instead
        self._removed: Entry | None = (
            None  # its files stay until the next result: a page may still be loading them
        )
        self._trail: list[Entry] = []
        self._at = -1
        self._numbers: dict[Entry, int] = {}

    @property
    def now(self) -> Entry | None:
        return self._trail[self._at] if self._at >= 0 else None

    @property
    def place(self) -> int:
        """Where in the gallery the shown result is; -1 if it is no longer there."""
        return next((i for i, entry in enumerate(self.entries) if entry is self.now), -1)

    @property
    def earlier(self) -> Entry | None:
        """What the last task began with; else the last result of the same subject before what is shown."""
        mine = [one for one in self._trail[: max(self._at, 0)] if one.face.subject is self.now.face.subject]
        return self.pinned or self.before or (mine[-1] if mine else None)

    def number(self, entry: Entry) -> int:
        """Of several results of one person of which the same is said: which it is, from 1. It stays what it is."""
        return self._numbers.get(entry, 1)

    def add(self, entry: Entry) -> None:
        known, self._removed = self._all(), None
        alike = (
            n for one, n in self._numbers.items() if (one.whose, one.title) == (entry.whose, entry.title)
        )
        self._numbers[entry] = max(alike, default=0) + 1
        # Where somebody else came, what is done to them is compared.
        if self.pinned and self.pinned.whose != entry.whose:
            self.pinned = None
        self.entries = [*self.entries, entry][-self.most :]
        self._go_on(entry)
        self._sweep(known)

    def go_to(self, index: int) -> Entry:
        """A result of the gallery; undo then leads back to where one came from."""
        if not 0 <= index < len(self.entries):
            raise TranslatedError("no_such_result")
        known = self._all()
        self._go_on(self.entries[index])
        self._sweep(known)
        return self.now

    def can_walk(self, by: int) -> bool:
        return 0 <= self._at + by < len(self._trail)

    def walk(self, by: int) -> Entry:
        """Undo (-1) or redo (1)."""
        if not self.can_walk(by):
            raise TranslatedError("nothing_to_undo" if by < 0 else "nothing_to_redo")
        self._at += by
        return self.now

    def remove(self) -> Entry:
        """The shown result leaves the gallery and the trail; the one before it is shown, or the one after it."""
        if len(self.entries) < 2 or self.place < 0:
            raise TranslatedError("last_result")
        gone, at, before = self.now, self.place, self._all()
        self._removed = gone
        self.keep(lambda one: one is not gone)
        self._sweep(before)  # what was removed before that
        if self.now is None:
            self._go_on(self.entries[max(at - 1, 0)])
        return self.now

    def pin(self) -> None:
        """Compare with the shown result from now on; with nothing in particular where one is compared with already."""
        known = self._all()
        self.pinned = None if self.pinned else self.now
        self._sweep(known)

    def compare(self, before: Entry | None) -> None:
        """What the page compares the present result with."""
        known = self._all()
        self.before = before
        self._sweep(known)

    def keep(self, wanted: Callable[[Entry], bool]) -> None:
        """Forget all results but those."""
        known = self._all()
        self._at = sum(wanted(entry) for entry in self._trail[: self._at + 1]) - 1
        self.entries, self._trail = (
            [entry for entry in entries if wanted(entry)] for entries in (self.entries, self._trail)
        )
        self.before = self.before if self.before and wanted(self.before) else None
        self.pinned = self.pinned if self.pinned and wanted(self.pinned) else None
        self._sweep(known)

    def clear(self) -> None:
        self.entries, self._trail, self._at, self.before, self.pinned = [], [], -1, None, None
        self._numbers = {}

    def _go_on(self, entry: Entry) -> None:
        self._trail = [*self._trail[: self._at + 1], entry][-self.most :]
        self._at = len(self._trail) - 1

    def _all(self) -> list[Entry]:
        return [*self.entries, *self._trail, *filter(None, (self.before, self.pinned, self._removed))]

    def _sweep(self, known: list[Entry]) -> None:
        """Delete the files of those that were known and to which nothing leads any more."""
        stay = {id(entry) for entry in self._all()}
        for entry in known:
            if id(entry) not in stay:
                entry.unlink()
                self._numbers.pop(entry, None)
