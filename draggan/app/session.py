"""One person's picture, marks, drag and history. Knows no Gradio.

    session.generate(seed=5)
    session.choose_edit("smile", 1.0)             # points and region, waits for
    session.start()
    for view in session.watch():                  # until the drag is over
        show(view.image, view.note)

A drag runs in the studio's one working thread, so that showing it costs it nothing; `watch` looks from
another thread. All methods may be called from any thread.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from draggan.app import drawing, files
from draggan.app.editing import Editing
from draggan.app.folder import Folder
from draggan.app.history import History, Shot, Subject
from draggan.app.jobs import Said, Work
from draggan.app.looks import Look
from draggan.app.own_photo import OwnPhoto
from draggan.app.sliding import Sliding
from draggan.app.texts import Mistake
from draggan.app.turns import BusyError
from draggan.app.view import View
from draggan.editor import FaceEditor, FaceState
from draggan.generators import DEFAULT_PSI, Generator

if TYPE_CHECKING:
    from draggan.app.studio import Studio


class Session(Editing):
    """Made by `Studio.session`. Methods raise Mistake for what a person can mend."""

    def __init__(self, studio: "Studio"):
        self.studio = studio
        self.files = Folder(studio.folder)
        self.folder = self.files.path
        self.used = time.monotonic()
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._version = 0
        self._work = Work(studio.turns)
        self._closed = False
        self.subject = Subject(studio.model, 0, DEFAULT_PSI)
        self.generator: Generator | None = None
        self.editor: FaceEditor | None = None  # None: the model makes no faces
        self.look: Look | None = None
        self.picture: np.ndarray | None = None
        self._landmarks: np.ndarray | None = None  # of the picture, once asked for
        self._landmarks_shown = False
        self.history = History()
        self.settings: dict = {}  # what differs from drag.Settings
        self.photo, self.sliding = OwnPhoto(self), Sliding(self)
        self._forget_drag()
        self.note: tuple[str, dict] = ("ready", {})

    # --- pictures -------------------------------------------------------------------------------------------

    def generate(self, seed: int | None, psi: float | None = None, model: str | None = None) -> None:
        """Show the face of a seed; psi and model stay as they are if they are None."""
        if seed is None or not 0 <= int(seed) < 2**32:
            raise Mistake("bad_seed")
        psi = self.subject.psi if psi is None else psi
        if not 0 <= psi <= 2:
            raise Mistake("bad_psi")
        subject = Subject(model or self.subject.model, int(seed), float(psi))
        with self.lock:
            self.idle()
            styles, picture = self.studio.start_of(subject.model, subject.seed, subject.psi)
            self.show(subject, styles, picture, "seed")
            self.say("ready" if self.editor else "ready_no_face")

    def begin(self, seed: int) -> None:
        """Show the face of a seed if nothing is shown yet."""
        with self.lock:
            if self.generator is None and not self._closed:
                self.generate(seed)

    def show(self, subject: Subject, styles: torch.Tensor, picture: np.ndarray, title: str | None) -> None:
        """Show a picture that was made elsewhere; with a title it goes into the history.

        styles: (1, rows, w_dim) of the subject's generator; picture: (H, W, 3) uint8 of them.
        """
        with self.lock:
            self.idle()
            self.take(subject, Look(styles.detach()), picture, title)

    def take(
        self,
        subject: Subject,
        look: Look,
        picture: np.ndarray,
        title: str | None,
        stays: Callable[[Shot], bool] | None = None,
        moved: tuple | None = None,
    ) -> None:
        """`show`, for the job at work.

        stays: which of the results before are kept, by default all; moved: of sliders, as in Shot.
        """
        shot = self._shot(subject, title, look, picture, moved) if title else None
        with self._changed:
            if shot:
                self.history.add(shot)
            if stays:
                self.history.keep(lambda one: one is shot or stays(one))
            self._become(subject, look, picture, shot)

    def _become(self, subject: Subject, look: Look, picture: np.ndarray, shot: Shot | None) -> None:
        if subject is not self.subject or self.look is None:
            self.subject, self.editor = subject, subject.editor or self._editor(subject.model)
        root = self.editor.generator if self.editor else self.studio.generator(subject.model)
        self._forget_drag()
        self._show(look, look.generator(root), picture, shot)
        self._draw()

    def _editor(self, model: str) -> FaceEditor | None:
        generator = self.studio.generator(model)
        directions, _ = self.studio.directions(model)
        return FaceEditor(generator, self.studio.detector, directions) if generator.is_face else None

    @property
    def styles(self) -> torch.Tensor | None:
        return self.look.styles if self.look else None

    def face(self) -> FaceState:
        """What is shown, as edits take it. Mistake where there is no face."""
        return FaceState(self.styles, self.picture, self.landmarks(), self.generator)

    def draw(self, styles: torch.Tensor, generator: Generator) -> np.ndarray:
        """The picture (H, W, 3) uint8 of styles (1, rows, w_dim)."""
        return self.editor.draw(styles, generator) if self.editor else generator.picture(styles)

    def landmarks(self) -> np.ndarray:
        """Landmarks (68, 2) of the picture. Mistake where there is no face."""
        if self.editor is None:
            raise Mistake("no_face_model", model=self.subject.model)
        if self._landmarks is None:
            faces = self.editor.find(self.picture)
            if not faces:
                raise Mistake("no_face")
            self._landmarks = faces[0].points
        return self._landmarks

    def show_landmarks(self, shown: bool) -> None:
        with self.lock:
            if shown and not self.running:
                self.idle()
                self.landmarks()
            self._landmarks_shown = bool(shown)
            self._draw()

    # --- jobs: what takes long is done in the studio's working thread -----------------------------------------

    @property
    def running(self) -> bool:
        return self._work.running

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def stopping(self) -> bool:
        """The job at work shall come to its end."""
        return self._work.stopping

    def work(self, job: Callable[[], Said], said: Said, if_withdrawn: Said) -> None:
        """Have a job done, which returns what to say at its end. Returns at once; see `watch`.

        said: what is said until then; if_withdrawn: what is said where it is stopped before its turn.
        """
        with self.lock:
            self.idle()
            self.distance = self.progress = None
            try:
                self._work.begin(job, self._ended, if_withdrawn)
            except BusyError:
                raise Mistake("busy", waiting=self.studio.turns.waiting) from None
            self.note = said
            self._tell()

    def _ended(self, said: Said, failed: bool) -> None:
        """A job is over: in the working thread."""
        with self._changed:
            self._work.over()
            if failed:
                self._pull = self._dragging = None
            if self._closed:
                self._remove()
            else:
                self.say(said[0], **said[1])
                self.sliding.over(stopped=failed or self.stopping)

    def stop(self) -> None:
        """Stop after the step at work; the state stays, and `start` goes on from it."""
        self._work.stop_asked.set()  # at once: whoever holds the lock may need a while
        with self.lock:
            if said := self._work.stop():
                self.say(said[0], **said[1])
                self.sliding.over(stopped=True)

    def has_come(self, step: int, said: Said) -> None:
        """How far the job at work is: its step, and what to say of it."""
        with self._changed:
            self.step, self.progress = step, said
            self._tell()

    def preview(self, picture: np.ndarray) -> None:
        """Show a picture (H, W, 3) uint8 of the job at work."""
        image = drawing.overlay(picture, self.marks.handles, self.marks.targets)
        with self._changed:
            self._draw_file(image)

    def watch(self, every: float = 0.5) -> Iterator[View]:
        """The view now, and then until nothing runs: a new picture or the end at once, numbers alone at most every
        so many seconds, because a browser on the same cores takes its time from the drag."""
        shown = None
        while True:
            with self._changed:
                view = self.view()
            if (view.version, view.place) != shown:
                shown = (view.version, view.place)
                self.used = time.monotonic()
                yield view
            if not view.running:
                return
            with self._changed:
                self._changed.wait_for(
                    lambda drawn=view.image: self._image != drawn or not self.running, every
                )

    # --- history --------------------------------------------------------------------------------------------

    def undo(self) -> None:
        self._return(lambda: self.history.walk(-1))

    def redo(self) -> None:
        self._return(lambda: self.history.walk(1))

    def go_to(self, index: int) -> None:
        """Return to a result of the gallery."""
        self._return(lambda: self.history.go_to(index))

    def _return(self, step) -> None:
        with self.lock:
            self.idle()
            shot = step()
            self._become(shot.subject, shot.look, files.read_png(shot.path), shot)
            self.say("returned")

    # --- what is shown --------------------------------------------------------------------------------------

    def view(self) -> View:
        with self.lock:
            if self._closed:
                raise Mistake("closed")
            history, last = self.history, self.marks.last
            return View(
                version=self._version,
                image=self._image,
                note=self.note,
                running=self.running,
                place=self._work.place,
                step=self.step,
                progress=self.progress,
                distance=self.distance,
                subject=self.subject,
                resolution=self.generator.resolution,
                is_face=self.editor is not None,
                last_point=tuple(last) if last else None,
                result=history.now.path,
                before=history.before.path if history.before else None,
                animation=self.animation,
                gallery=tuple(shot.thumbnail for shot in history.shots),
                at=history.place,
                photo=self.photo.view(history.now),
                sliders=self.sliding.available,
                about_sliders=self.sliding.about(),
                strengths=self.sliding.strengths,
            )

    def say(self, key: str, **values) -> None:
        """Set the note (a key of texts.py) and draw the view anew."""
        with self._changed:
            self.note = (key, values)
            self._draw()

    def close(self) -> None:
        """Stop and forget everything."""
        with self._changed:
            self._closed = True
            self._work.stop()
            self._changed.notify_all()
            if not self.running:
                self._remove()

    def _remove(self) -> None:
        self.files.remove()
        self.photo.close()
        self.sliding.close()
        self.history.clear()
        self._forget_drag()
        self.picture = self.look = self._landmarks = self.generator = self.editor = None
        self.subject = Subject(self.studio.model, 0, DEFAULT_PSI)

    def idle(self) -> None:
        """Mistake while a job runs or waits, and after the end."""
        if self._closed:
            raise Mistake("closed")
        if self.running:
            raise Mistake("running")

    def _show(self, look: Look, drawn_by: Generator, picture: np.ndarray, shot: Shot | None) -> None:
        self.look, self.generator, self.picture, self._landmarks = look, drawn_by, picture, None
        self.sliding.shown(shot)

    def _shot(
        self, subject: Subject, title: str, look: Look, picture: np.ndarray, moved: tuple | None = None
    ) -> Shot:
        """A result with its files."""
        how = {"model": subject.model, "edit": title}
        if subject.editor is None:
            how["seed"] = subject.seed
        note = files.CUT_OUT if title == "photo" else subject.note
        path = files.write_png(self.files.new("png"), picture, how, note)
        thumbnail = path.with_suffix(".thumb.jpg")
        files.write_jpeg(thumbnail, picture, files.THUMBNAIL_SIDE, note)
        whole = self.photo.draw_whole(subject.editor, look, note) if subject.editor else None
        return Shot(subject, title, path, thumbnail, look, whole, moved)

    def _draw(self) -> None:
        """Draw the view anew and wake those who watch."""
        with self._changed:
            if self.picture is None:
                return
            marks, landmarks = self.marks, None
            if self._landmarks_shown and self.editor:
                try:
                    landmarks = self.landmarks()
                except Mistake:  # this picture shows no face
                    landmarks = None
            region = marks.region
            self._draw_file(drawing.overlay(self.picture, marks.handles, marks.targets, region, landmarks))

    def _draw_file(self, image: np.ndarray) -> None:
        self._image = self.files.draw(image, self.subject.note)
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._version += 1
            self._changed.notify_all()
