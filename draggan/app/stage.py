"""The face that is shown: on the screen, and as a result in the history. Knows no tasks.

stage.add(face, "seed")            # shown from now on
stage.go(lambda history: history.walk(-1))
stage.require_landmarks()
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from draggan.app import files
from draggan.app.folder import Folder
from draggan.app.history import Entry, History
from draggan.app.screen import Screen
from draggan.app.texts import TranslatedError
from draggan.face import Face, NoFaceError
from draggan.latents import write_latent
from draggan.photo_editor import PhotoSubject
from draggan.photos import Photo


def of_photo(face: Face) -> Photo | None:
    """The photo that a face is of, as it came; None for a generated face."""
    return face.subject.cut_out.photo.unedited if isinstance(face.subject, PhotoSubject) else None


class Stage:
    def __init__(self, folder: Folder, screen: Screen):
        self.folder, self.screen = folder, screen
        self.history = History()
        self._face: Face | None = None
        self._ended = False
        self.original: Path | None = (
            None  # JPEG of the whole photo before any edit, of the photo's face there is
        )
        self.animation: Path | None = None  # WebP of how the shown face was reached
        self.kept: tuple[Face, ...] = ()  # faces beside the shown one that are looked at over and over

    @property
    def face(self) -> Face | None:
        """What is shown; None before the first one. TranslatedError where the session has ended: it may at any time."""
        if self._ended:
            raise TranslatedError("closed")
        return self._face

    def entry(
        self,
        face: Face,
        title: str,
        strengths: Mapping[str, float] | None = None,
        slid_from: Entry | None = None,
    ) -> Entry:
        """A result with its files; the arguments are those of an Entry. It is not shown yet."""
        subject, photo = face.subject, isinstance(face.subject, PhotoSubject)
        whose = "photo" if photo else f"seed{subject.seed}" if subject.seed is not None else "latent"
        made = {"model": subject.generator.name, "edit": title} | ({} if photo else {"seed": subject.seed})
        as_it_came = title == "photo" and subject.cut_out.photo.before is None
        note = files.CUT_OUT if as_it_came else subject.note
        path = files.write_png(self.folder.new("png"), face.picture, made, note)
        thumbnail = files.write_jpeg(path.with_suffix(".thumb.jpg"), face.picture, files.THUMBNAIL_SIDE, note)
        whole = self.whole(subject.paste(face), note) if photo else None
        return Entry(face, title, path, thumbnail, whole, strengths or {}, slid_from, whose=whose)

    def whole(self, photo: np.ndarray, note: str) -> Path:
        """A whole photo (H, W, 3) uint8 as a JPEG for the page."""
        return files.write_jpeg(self.folder.new("whole.jpg"), photo, files.WHOLE_SIDE, note)

    def add(self, entry: Entry) -> None:
        """Show a result from now on, as the newest of the history."""
        self.history.add(entry)
        self._hold(entry.face)

    def go(self, step: Callable[[History], Entry]) -> Entry:
        """Show another result of the history again. TranslatedError where there is none to go to."""
        entry = step(self.history)
        entry.face.remember(files.read_png(entry.path))
        self._hold(entry.face)
        return entry

    @property
    def photos(self) -> list[Photo]:
        """The photos that there are results of, as they came."""
        found = {id(photo): photo for one in self.history.entries if (photo := of_photo(one.face))}
        return list(found.values())

    def keep_photo(self, entry: Entry, original: Path) -> None:
        """A photo's new face is there: the results of another photo go, and with them its generators."""
        photo = entry.face.subject.cut_out.photo.unedited
        self.history.keep(lambda one: of_photo(one.face) is None or of_photo(one.face) is photo)
        if self.original:
            self.original.unlink(missing_ok=True)
        self.original = original

    def _hold(self, face: Face) -> None:
        previous, self._face = self._face, face
        if previous is not None:
            previous.forget(face, *self.kept)

    def require_landmarks(self) -> Face:
        """The shown face. TranslatedError where it has no landmarks."""
        if not self.face.generator.is_face:
            raise TranslatedError("no_face_model", model=self.face.generator.name)
        try:
            self.face.points  # noqa: B018  found now
        except NoFaceError:
            raise TranslatedError("no_face") from None
        return self.face

    def require_photo(self) -> PhotoSubject:
        """Whose face is shown. TranslatedError where it is no photo's."""
        if not isinstance(self.face.subject, PhotoSubject):
            raise TranslatedError("no_photo_shown")
        return self.face.subject

    def save_photo(self) -> Path:
        """The whole photo with the shown face, at its own size, as PNG."""
        subject = self.require_photo()
        photo = subject.cut_out.photo
        stem = re.sub(r"[^\w-]+", "_", Path(photo.name).stem)[:60] or "photo"
        path = self.folder.path / f"{stem}_edited.png"
        photo.write(path, subject.paste(self.face), Edit=self.history.now.title)
        return path

    def save_animation(self, kind: str) -> Path:
        """The animation as "mp4", "gif" or "webp". TranslatedError for another kind, and where there is none."""
        if self.animation is None:
            raise TranslatedError("no_animation")
        if kind == "webp":
            return self.animation
        if kind not in ("mp4", "gif"):
            raise TranslatedError("bad_kind", kind=kind)
        return files.convert_animation(
            self.animation, self.folder.path / f"animation.{kind}", self.face.subject.note
        )

    def save_latent(self) -> Path:
        """W+ of the shown face, as npz."""
        path = self.folder.path / "latent.npz"
        write_latent(path, self.face.styles, self.face.generator.name)
        return path

    def save_all(self) -> Path:
        """Every result of the history as PNG with its latent, and the last animation, in one ZIP."""
        members = []
        for number, entry in enumerate(self.history.entries, start=1):
            face, again = entry.face, self.history.number(entry)
            title = re.sub(r"[^\w.-]+", "_", entry.title) + (f"_{again}" if again > 1 else "")
            name = f"{number:02d}_{entry.whose}_{title}"
            latent = self.folder.path / f"result{number:02d}_latent.npz"
            write_latent(latent, face.styles, face.generator.name)
            members += [(f"{name}.png", entry.path), (f"{name}_latent.npz", latent)]
        if self.animation:
            members.append(("animation.mp4", self.save_animation("mp4")))
        return files.write_zip(self.folder.path / "results.zip", members)

    def draw(self) -> None:
        """The screen shows the face with the marks."""
        self.screen.draw(self.face)

    def end(self) -> None:
        """Let go of all that was shown; no face is from now on."""
        self.history.clear()
        self._ended, self._face, self.kept = True, None, ()
