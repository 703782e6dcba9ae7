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
from draggan.app.dragging import Dragging
from draggan.app.folder import Folder
from draggan.app.history import History, Shot, Subject
from draggan.app.jobs import Said, Work
from draggan.app.looks import Look
from draggan.app.marks import Marks
from draggan.app.own_photo import OwnPhoto
from draggan.app.pulls import EditPull, PointPull, Pull
from draggan.app.sliding import Sliding
from draggan.app.texts import Mistake
from draggan.app.turns import BusyError
from draggan.app.view import View
from draggan.drag import Settings, Step, with_settings
from draggan.editor import EditRun, FaceEditor, FaceState
from draggan.edits import EDITS, MAX_STRENGTH, EditError
from draggan.generators import DEFAULT_PSI, ContinuedGenerator, Generator
from draggan.generators.region import blend_base, root

if TYPE_CHECKING:
    from draggan.app.studio import Studio

REGION_SIDE = 256  # of an edit's own region


class Session:
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

    # --- marks ----------------------------------------------------------------------------------------------

    def choose_edit(self, name: str, strength: float = 1.0, at_once: bool = False) -> None:
        """Mark an edit's points and region and wait for `start`, or start at once. The marks stay if it fails."""
        with self.lock:
            self.idle()
            face = self.face()
            if name not in EDITS:
                raise Mistake("unknown_edit", name=name, known=", ".join(EDITS))
            try:
                settings = self._settings(self.editor.settings(name))
                run = EditRun(self.editor, face, name, strength, settings)
            except EditError:
                lowest = -MAX_STRENGTH if EDITS[name].signed else 0
                raise Mistake("bad_strength", edit=name, lowest=lowest, most=MAX_STRENGTH) from None
            self._forget_drag()
            self._mark(run)
            self.say("press_start")
            if at_once:
                self.start()

    def _mark(self, run: EditRun) -> None:
        """Show an edit's points and region, which `start` will drag."""
        self._pull = EditPull(run)
        region = run.plan.mask(self.generator.resolution, REGION_SIDE)
        self.marks = Marks(run.plan.handles.tolist(), run.plan.targets.tolist(), region)

    def click_shown(self, x: float, y: float) -> None:
        """`click`, in pixels of the view's image, which is larger than a small picture."""
        size = self.generator.resolution
        times = drawing.enlargement(size)
        at = ((v + 0.5) / times - 0.5 for v in (x, y))
        self.click(*(min(max(v, 0.0), size - 1.0) for v in at))  # the outer halves of the border's pixels

    def click(self, x: float, y: float) -> None:
        """A handle, then its target, alternating; or the last point anew, after `move_last`."""
        with self.lock:
            self._by_hand().place(x, y, self.generator.resolution)
            self._say_what_next()

    def move_last(self) -> None:
        """The next click moves the point that was put down last."""
        with self.lock:
            marks = self._by_hand()
            marks.move_last()
            self.say("move_last") if marks.moving else self._say_what_next()

    def undo_point(self) -> None:
        """Take back the last click."""
        with self.lock:
            self._by_hand().undo()
            self._say_what_next()

    def clear_points(self) -> None:
        with self.lock:
            self._by_hand().clear_points()
            self.say("click_handle")

    def set_region(self, region: np.ndarray | None) -> None:
        """What may change: (H, W), above 0 where it may; None: everything."""
        with self.lock:
            self._by_hand().set_region(region)
            self.say("region_set" if region is not None else "region_off")

    def set(self, name: str, value: float | bool | None) -> None:
        """A setting of drag.Settings for the drags to come; None: its default."""
        with self.lock:
            if value is None:
                self.settings.pop(name, None)
            else:
                self.settings[name] = value

    # --- the drag -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Drag what is marked, or go on where Stop has left it. Returns at once; see `watch`."""
        with self.lock:
            self.idle()
            before = self.history.now
            if self._pull is None and not self.marks.targets and (run := self.sliding.run(self._settings)):
                before = self.sliding.start
                self._mark(run)
            if self._pull is None:
                self._pull = self._points()
            if self._dragging is None:
                self.history.compare(before)
                self.step, self.animation = 0, None
                self._dragging = Dragging(self._pull, self.picture, self.look, self.generator)
            self.work(self._drag, ("dragging", {}), ("stopped", {"step": self.step}))

    def _points(self) -> PointPull:
        """The drag of points by hand. Mistake where there are none."""
        generator = self.generator
        if self.look.before is not None:  # drawn within regions: points may change the rest, too
            base, first = (blend_base(each, self.styles) for each in (generator, root(generator)))
            generator = ContinuedGenerator(root(generator), base, first)
        pull = PointPull(generator, self.styles, self.marks, self._settings(Settings()), self.draw)
        self.marks.handles = self.marks.handles[: len(self.marks.targets)]
        if self.editor:
            self.editor.allow(self.marks.reach(self.generator.resolution, REGION_SIDE))
        return pull

    def _drag(self) -> Said:
        """The job: in the working thread."""
        self._dragging.run(self._work.stop_asked, self._step, self.preview)
        return ("closed", {}) if self._closed else self._end(self._dragging)

    def _step(self, step: Step) -> None:
        with self._changed:
            self.step, self.distance = step.number, float(step.distances.mean())
            self.progress = ("progress", {"step": self.step, "distance": self.distance})
            self.marks.handles = step.points.tolist()
            self._tell()

    def _end(self, dragging: Dragging) -> Said:
        """Keep what a drag has come to; what to say of it."""
        pull, animation = dragging.pull, self.files.new("webp")
        look, picture = dragging.end(animation, self.subject.note)
        shot = self._shot(self.subject, pull.title, look, picture)
        with self._changed:
            self.history.add(shot)
            self._show(look, pull.drawn_by, picture, shot)
            if self.animation:
                self.animation.unlink(missing_ok=True)
            self.animation = animation
            if not pull.over:
                return "stopped", {"step": self.step}
            self._pull = self._dragging = None
            if pull.ok or not len(pull.handles):
                self.marks = Marks()
            else:
                self.marks.handles = pull.handles.tolist()  # Start goes on from them
            if pull.ok and self.step == 0:
                return "done_at_once", {}
            how = "done" if pull.ok else "not_done" if pull.title != "points" else "points_not_done"
            return how, {"step": self.step, "reason": pull.over, "share": pull.share}

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

    def watch(self, every: float = 0.15) -> Iterator[View]:
        """The view now and whenever it changes, until nothing runs; at most every so many seconds."""
        shown = None
        while True:
            with self._changed:
                view = self.view()
                if (view.version, view.place) == shown and view.running:
                    self._changed.wait(0.25)
                    view = self.view()
            if (view.version, view.place) != shown:
                shown = (view.version, view.place)
                self.used = time.monotonic()
                yield view
            if not view.running:
                return
            time.sleep(every)

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

    def _settings(self, usual: Settings) -> Settings:
        settings = dict(self.settings)
        if "free_rows" in settings:
            settings["free_rows"] = min(settings["free_rows"], self.generator.num_rows)
        return with_settings(usual, **settings)

    def _forget_drag(self) -> None:
        self._pull: Pull | None = None  # what Start will drag
        self._dragging: Dragging | None = None  # from Start on, as long as Start can go on with it
        self.marks, self.animation = Marks(), None
        self.history.compare(None)
        self.step, self.distance, self.progress = 0, None, None

    def _by_hand(self) -> Marks:
        """From here on the marks are the person's own: an edit that waits is left, its region stays."""
        self.idle()
        if isinstance(self._pull, EditPull):
            self.marks.clear_points()
        self._pull = self._dragging = None
        return self.marks

    def _say_what_next(self) -> None:
        marks = self.marks
        self.say("click_target" if marks.half else "press_start_points" if marks.targets else "click_handle")

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
        self._image = self.files.draw(image)
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._version += 1
            self._changed.notify_all()
