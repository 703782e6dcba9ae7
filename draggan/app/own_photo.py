"""A person's own photo: its faces, one of them brought into the generator, and the whole photo with its edit.

    session.photo.open(path, "party.jpg")     # finds the faces
    session.photo.choose(1)                    # another one than the largest
    session.photo.bring_in("fast")             # a job: session.watch() shows it, session.stop() ends it early
    session.photo.write()                      # once it is edited: a PNG of the whole photo

A session keeps one face at a time: with the next one, results of the one before go, and with them its
generator.
"""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from draggan.alignment import cut, ffhq_alignment
from draggan.app import files
from draggan.app.history import Shot, Subject
from draggan.app.jobs import Said
from draggan.app.looks import Look
from draggan.app.texts import Mistake
from draggan.app.view import PhotoView
from draggan.generators import Generator
from draggan.inversion import PRESETS, Inversion, Preset
from draggan.landmarks import Face
from draggan.photo_editor import PhotoEditor, PhotoFace
from draggan.photos import Photo, PhotoError, find_faces, open_photo

if TYPE_CHECKING:
    from draggan.app.session import Session

MOST_FACES = 12  # that one can choose from
UNEDITED = "A photo; not edited"


class OwnPhoto:
    """Part of a session; methods raise Mistake as the session's do."""

    def __init__(self, session: "Session"):
        self.session = session
        self.photo: Photo | None = None
        self.faces: list[Face] = []
        self.chosen = 0
        self._pictures: list[Path] = []  # of the faces
        self._sent: Path | None = None  # the file that the photo came in
        self._original: Path | None = None  # the whole photo of the face that was brought in

    def open(self, path: Path | str | None, name: str | None = None, sent: bool = False) -> None:
        """Open a photo and find its faces; the largest is chosen.

        name: what to call it. sent: the file was sent for this; it is deleted when the photo goes.
        """
        session = self.session
        session.idle()
        if path is None:
            raise Mistake("no_photo")
        if self._sent == Path(path):  # the same photo once more, under the same name
            self._sent = None
        self.close()
        self._sent = Path(path) if sent else None
        try:
            photo = open_photo(path, name)
            faces, pictures = [], []
            for face in find_faces(photo, session.studio.detector)[:MOST_FACES]:
                try:
                    small = cut(photo.pixels, ffhq_alignment(face.points, files.THUMBNAIL_SIDE))
                except ValueError as error:  # cut off too far
                    problem = error
                    continue
                faces.append(face)
                pictures.append(files.write_jpeg(session.files.new("face.jpg"), small, note=files.CUT_OUT))
            if not faces:
                raise PhotoError.of("bad_face", name=photo.name, reason=problem)
        except PhotoError as error:
            raise as_mistake(error) from None
        self.photo, self.faces, self.chosen, self._pictures = photo, faces, 0, pictures
        self._say()

    def take_away(self) -> None:
        """The photo is no longer wanted; a face of it that was brought in stays."""
        self.session.idle()
        self.close()
        self.session.say("ready")

    def choose(self, index: int) -> None:
        """Choose a face, 0 the largest."""
        self._needed()
        if not 0 <= index < len(self.faces):
            raise Mistake("no_such_face", count=len(self.faces))
        self.chosen = int(index)
        self._say()

    def bring_in(self, preset: str | Preset = "fast") -> None:
        """Find the chosen face in the session's model: a job, which shows how far it is."""
        session = self.session
        session.idle()
        photo = self._needed()
        generator = session.studio.generator(session.subject.model)
        if not generator.is_face:
            raise Mistake("photo_needs_faces", model=generator.name)
        if isinstance(preset, str) and preset not in PRESETS:
            raise Mistake("bad_preset", known=", ".join(PRESETS))
        preset = PRESETS[preset] if isinstance(preset, str) else preset
        try:
            face = PhotoFace(photo, self.faces[self.chosen], generator.resolution)
        except PhotoError as error:
            raise as_mistake(error) from None
        inversion = face.invert(generator, preset, session.studio.perceptual())
        session.clear_points()
        session.work(
            lambda: self._search(face, generator, inversion), ("photo_search", {}), ("photo_not_begun", {})
        )

    def _search(self, face: PhotoFace, generator: Generator, inversion: Inversion) -> Said:
        session, began = self.session, time.perf_counter()
        for progress in inversion:
            left = (time.perf_counter() - began) / progress.step * (progress.steps - progress.step)
            words = {"step": progress.step, "steps": progress.steps, "left": left}
            session.has_come(progress.step, ("progress_photo", words))
            if progress.picture is not None:
                session.preview(progress.picture)
            if session.stopping:
                break
        if session.closed:
            return "closed", {}
        directions, _ = session.studio.directions(generator.name)
        editor = PhotoEditor(face, inversion.result, session.studio.detector, directions)
        subject = Subject(generator.name, session.subject.seed, session.subject.psi, editor)
        picture = editor.draw(editor.styles)
        old, self._original = self._original, session.files.new("whole.jpg")
        files.write_jpeg(self._original, face.photo.pixels, files.WHOLE_SIDE, UNEDITED)
        session.take(subject, Look(editor.styles), picture, "photo", lambda shot: shot.subject.editor is None)
        if old:
            old.unlink(missing_ok=True)
        if progress.step < progress.steps:
            return "photo_early", {"step": progress.step, "steps": progress.steps}
        return "photo_ready", {}

    def check_shown(self) -> None:
        """Mistake where what is shown is no photo's face."""
        if self.session.subject.editor is None:
            raise Mistake("no_photo_shown")

    def draw_whole(self, editor: PhotoEditor, look: Look, note: str) -> Path:
        """The whole photo with a face, as a JPEG for the page."""
        whole = editor.paste(look.styles, look.generator(editor.generator))
        return files.write_jpeg(self.session.files.new("whole.jpg"), whole, files.WHOLE_SIDE, note)

    def write(self) -> Path:
        """The whole photo with what is shown, at its own size, as PNG. Mistake where no photo's face is shown."""
        session = self.session
        session.idle()
        self.check_shown()
        editor, shot = session.subject.editor, session.history.now
        photo = editor.face.photo
        stem = re.sub(r"[^\w-]+", "_", Path(photo.name).stem)[:60] or "photo"
        path = session.files.path / f"{stem}_edited.png"
        photo.write(path, editor.paste(session.look.styles, session.generator), Edit=shot.title)
        return path

    def view(self, shot: Shot | None) -> PhotoView:
        shown = shot is not None and shot.subject.editor is not None
        before, after = (self._original, shot.whole) if shown else (None, None)
        return PhotoView(tuple(self._pictures), self.chosen, before, after)

    def close(self) -> None:
        """Forget the photo; a face of it that was brought in stays."""
        for path in (*self._pictures, *([self._sent] if self._sent else [])):
            path.unlink(missing_ok=True)
        self.photo, self.faces, self._pictures, self._sent = None, [], [], None

    def _needed(self) -> Photo:
        if self.photo is None:
            raise Mistake("no_photo")
        return self.photo

    def _say(self) -> None:
        notices = tuple((f"photo_{one.kind}", {"name": self.photo.name}) for one in self.photo.notices)
        if len(self.faces) == 1:
            self.session.say("photo_open", notices=notices)
        else:
            chosen, count = self.chosen + 1, len(self.faces)
            self.session.say("photo_faces", notices=notices, chosen=chosen, count=count)


def as_mistake(error: PhotoError) -> Mistake:
    if error.kind is None:
        return Mistake("failed", reason=str(error))
    return Mistake(f"photo_{error.kind}", **error.values)
