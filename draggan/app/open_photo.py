"""The photo that a person has put in: its faces, and which of them is chosen.

photo = OpenPhoto(files)
photo.open(path, "party.jpg", detector)              # finds the faces, the largest is chosen
photo.choose(1)
task = photo.task("mobile-ffhq", "fast")             # brings the chosen face into the model
photo.close()
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from draggan.alignment import cut, ffhq_alignment
from draggan.app import files
from draggan.app.folder import Folder
from draggan.app.history import Entry
from draggan.app.jobs import UNEDITED, search_of
from draggan.app.models import Models
from draggan.app.settings import is_number
from draggan.app.texts import Message, TranslatedError
from draggan.face import Face
from draggan.inversion import PRESETS, Preset
from draggan.landmarks import Detection
from draggan.photo_editor import CutOut, PhotoSubject, PhotoTask
from draggan.photos import Photo, PhotoError, find_faces, open_photo

MOST_FACES = 12  # that one can choose from


class OpenPhoto:
    """Methods raise TranslatedError for what a person can mend."""

    def __init__(self, files: Folder, models: Models):
        self._folder, self._models = files, models
        self.photo: Photo | None = None
        self.faces: list[Detection] = []  # largest first
        self.pictures: tuple[Path, ...] = ()  # of the faces
        self.chosen = 0
        self.preset = "fast"  # of PRESETS, how a face is to be brought in
        self.shown: Path | None = None  # JPEG of it, for a page that is loaded again
        self._sent: Path | None = None
        self._asked: set[str] = set()  # what was asked of this photo
        self._lock = files.alone  # it may be put in while it is being used

    def open(self, path: Path | str | None, name: str | None = None, sent: bool = False) -> None:
        """Open a photo in place of the one before, and find its faces.

        name: what to call it. sent: the file was sent for this alone; it is deleted when the photo goes.
        """
        with self._lock:
            self._open(path, name, sent)

    def _open(self, path: Path | str | None, name: str | None, sent: bool) -> None:
        if path is None:
            raise TranslatedError("no_photo")
        if self._sent == Path(path):  # the same photo once more, under the same name
            self._sent = None
        self.close()
        self._sent = Path(path) if sent else None
        try:
            photo = open_photo(path, name)
            faces, pictures = [], []
            for face in find_faces(photo, self._models.detector)[:MOST_FACES]:
                try:
                    small = cut(photo.pixels, ffhq_alignment(face.points, files.THUMBNAIL_SIDE))
                except ValueError as error:  # cut off too far
                    problem = error
                    continue
                faces.append(face)
                pictures.append(files.write_jpeg(self._folder.new("face.jpg"), small, note=files.CUT_OUT))
            if not faces:
                raise PhotoError.of("bad_face", name=photo.name, reason=problem)
            self.shown = files.write_jpeg(
                self._folder.new("photo.jpg"), photo.pixels, files.WHOLE_SIDE, UNEDITED
            )
        except BaseException as error:
            self.close()  # what was refused is not kept
            if isinstance(error, PhotoError):
                raise translated(error) from None
            raise
        self.photo, self.faces, self.pictures, self.chosen = photo, faces, tuple(pictures), 0
        self._asked = set()

    def holds(self, path: Path) -> bool:
        """Whether a file that the page shows is this photo: what it has sent, or a copy of what it was shown."""
        with self._lock:
            return path == self._sent or (self.shown is not None and path.name == self.shown.name)

    def recognise(self, known: Iterable[Photo]) -> None:
        """A photo that is put in once more is the one that there are results of."""
        with self._lock:
            if self.photo is not None:
                self.photo = next((one for one in known if one.is_same(self.photo)), self.photo)

    def choose(self, index: int) -> None:
        """Choose a face, 0 the largest."""
        self._require()
        if not is_number(index) or index != int(index) or not 0 <= index < len(self.faces):
            raise TranslatedError("no_such_face", count=len(self.faces))
        self.chosen = int(index)

    def choose_preset(self, name: object) -> None:
        if not isinstance(name, str) or name not in PRESETS:
            raise TranslatedError("bad_preset", known=", ".join(PRESETS))
        self.preset = name

    def ask_whether_meant(self, shown: Face) -> None:
        """TranslatedError, once, where a photo is open and not used yet, and an edit would change another face."""
        subject = shown.subject
        is_shown = isinstance(subject, PhotoSubject) and subject.cut_out.photo.unedited is self.photo
        if self.photo is not None and not is_shown:
            self._ask("photo_unused", name=self.photo.name)

    def ask_whether_to_replace(self, known: Iterable[Photo]) -> None:
        """TranslatedError, once, where results of another photo would go with its generator."""
        if self.photo is not None and (lost := [one for one in known if one is not self.photo]):
            self._ask("photo_replaces", old=lost[-1].name)

    def _ask(self, key: str, **values) -> None:
        if key not in self._asked:
            self._asked.add(key)
            raise TranslatedError(key, **values)

    def task(self, model: str, preset: str | Preset, shown: Face | None = None) -> PhotoTask:
        """What brings the chosen face into a model.

        shown: what the session shows. A face of the same photo keeps its changes: the next one is edited beside it.
        """
        with self._lock:
            photo, models = self._require(), self._models
            face = self.faces[self.chosen]
        self._asked.add("photo_unused")  # it is used: who goes on to another face means that one
        if shown is not None and isinstance(shown.subject, PhotoSubject):
            before = shown.subject.cut_out.photo
            if before.unedited is photo:
                pasted = shown.subject.paste(shown)
                photo = before if np.array_equal(pasted, before.pixels) else before.edited(pasted)
        generator = models.generator(model)
        if not generator.is_face:
            raise TranslatedError("photo_needs_faces", model=model)
        if isinstance(preset, str):
            self.choose_preset(preset)
        try:
            cut_out = CutOut(photo, face, generator.resolution)
        except PhotoError as error:
            raise translated(error) from None
        directions, _ = models.directions(model)
        return PhotoTask(cut_out, generator, models.detector, directions, preset, models.perceptual())

    def found_before(self, task: PhotoTask, shown: Face, entries: Iterable[Entry]) -> int | None:
        """Which result a task would come to once more; None where there is none.

        shown: what the session shows. Of one of the same face's edits, the face before them is what is asked for.
        """
        for index, entry in enumerate(entries):
            if entry.search != search_of(task):
                continue
            cut_out, wanted = entry.face.subject.cut_out, task.cut_out
            if cut_out.photo.unedited is not self.photo or not np.array_equal(
                cut_out.face.points, wanted.face.points
            ):
                continue
            if shown.subject is entry.face.subject or np.array_equal(
                cut_out.photo.pixels, wanted.photo.pixels
            ):
                return index
        return None

    @property
    def message(self) -> Message:
        """What was noticed of the photo, and what can be done with it now."""
        if self.photo is None:
            return Message("ready")
        notices = tuple(Message(f"photo_{one.kind}", {"name": self.photo.name}) for one in self.photo.notices)
        if len(self.faces) == 1:
            return Message("photo_open", {"notices": notices})
        count = len(self.faces)
        return Message("photo_faces", {"notices": notices, "chosen": self.chosen + 1, "count": count})

    def close(self) -> None:
        """Forget the photo and delete its files; a face that was brought in stays."""
        with self._lock:
            for path in filter(None, (*self.pictures, self._sent, self.shown)):
                path.unlink(missing_ok=True)
            self.photo, self.faces, self.pictures, self._sent, self.shown = None, [], (), None, None

    def _require(self) -> Photo:
        if self.photo is None:
            raise TranslatedError("no_photo")
        return self.photo


def translated(error: PhotoError) -> TranslatedError:
    if error.kind is None:
        return TranslatedError("failed", reason=str(error))
    return TranslatedError(f"photo_{error.kind}", **error.values)
