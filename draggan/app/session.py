"""One person's picture, marks, drag and history. Knows no Gradio.

    session.generate(seed=5)
    session.choose_edit("smile", 1.0)             # points and region, waits for
    session.start()
    for view in session.watch():                  # until the drag is over
        show(view.image, view.note)

A drag runs in the studio's one working thread, so that showing it costs it nothing; `watch` looks from
another thread. All methods may be called from any thread.
"""

import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from draggan.app import drawing, files
from draggan.app.dragging import Dragging
from draggan.app.history import History, Shot, Subject
from draggan.app.marks import Marks
from draggan.app.pulls import EditPull, PointPull, Pull
from draggan.app.texts import Mistake
from draggan.app.turns import BusyError
from draggan.drag import Settings, Step, with_settings
from draggan.editor import EditRun, FaceEditor, FaceState
from draggan.edits import EDITS, MAX_STRENGTH, EditError
from draggan.generators import DEFAULT_PSI, Generator

if TYPE_CHECKING:
    from draggan.app.studio import Studio

REGION_SIDE = 256  # of an edit's own region
OLD_IMAGES = 8  # drawn images that stay, because a slow browser may still be asking for them


@dataclass(frozen=True)
class View:
    """What to show of a session now. Paths are files of the session."""

    version: int  # another one where something changed
    image: Path
    note: tuple[str, dict]  # key and values of a text
    running: bool
    place: int | None  # in the line: 0 at work
    step: int
    distance: float | None  # mean, pixels
    subject: Subject
    resolution: int  # of the picture, pixels
    is_face: bool  # one-click edits make sense
    last_point: tuple[float, float] | None  # put down last
    result: Path  # PNG of what is shown, without marks
    before: Path | None  # PNG of what the last drag began with
    animation: Path | None
    gallery: tuple[Path, ...]  # thumbnails
    at: int  # index into the gallery of what is shown; -1: it is not there


class Session:
    """Made by `Studio.session`. Methods raise Mistake for what a person can mend."""

    def __init__(self, studio: "Studio"):
        self.studio = studio
        self.folder = studio.folder / secrets.token_hex(8)
        self.folder.mkdir(parents=True)
        self.used = time.monotonic()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._version = self._files = 0
        self._stop = threading.Event()
        self._job = None
        self._closed = False
        self.subject = Subject(studio.model, 0, DEFAULT_PSI)
        self.generator: Generator | None = None
        self.styles: torch.Tensor | None = None
        self.picture: np.ndarray | None = None
        self._landmarks: np.ndarray | None = None  # of the picture, once asked for
        self._landmarks_shown = False
        self.history = History()
        self.settings: dict = {}  # what differs from drag.Settings
        self._drawn: list[Path] = []
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
        with self._lock:
            self._idle()
            styles, picture = self.studio.start_of(subject.model, subject.seed, subject.psi)
            self.show(subject, styles, picture, "seed")
            self.say("ready" if self.generator.is_face else "ready_no_face")

    def begin(self, seed: int) -> None:
        """Show the face of a seed if nothing is shown yet."""
        with self._lock:
            if self.generator is None and not self._closed:
                self.generate(seed)

    def show(self, subject: Subject, styles: torch.Tensor, picture: np.ndarray, title: str | None) -> None:
        """Show a picture that was made elsewhere; with a title it goes into the history.

        styles: (1, rows, w_dim) of the subject's generator; picture: (H, W, 3) uint8 of them.
        """
        with self._lock:
            self._idle()
            self.generator = subject.generator or self.studio.generator(subject.model)
            self.subject = subject
            self._show(styles, picture)
            self._forget_drag()
            if title:
                self._keep(title)
            self._draw()

    def landmarks(self) -> np.ndarray:
        """Landmarks (68, 2) of the picture. Mistake where there is no face."""
        if not self.generator.is_face:
            raise Mistake("no_face_model", model=self.subject.model)
        if self._landmarks is None:
            faces = self.studio.detector.detect(self.picture)
            if not faces:
                raise Mistake("no_face")
            self._landmarks = faces[0].points
        return self._landmarks

    def show_landmarks(self, shown: bool) -> None:
        with self._lock:
            if shown and not self.running:
                self._idle()
                self.landmarks()
            self._landmarks_shown = bool(shown)
            self._draw()

    # --- marks ----------------------------------------------------------------------------------------------

    def choose_edit(self, name: str, strength: float = 1.0, at_once: bool = False) -> None:
        """Mark an edit's points and region and wait for `start`, or start at once. The marks stay if it fails."""
        with self._lock:
            self._idle()
            face = FaceState(self.styles, self.picture, self.landmarks())
            editor = FaceEditor(self.generator, self.studio.detector)
            if name not in EDITS:
                raise Mistake("unknown_edit", name=name, known=", ".join(EDITS))
            try:
                run = EditRun(editor, face, name, strength, self._settings(EDITS[name].drag))
            except EditError:
                lowest = -MAX_STRENGTH if EDITS[name].signed else 0
                raise Mistake("bad_strength", edit=name, lowest=lowest, most=MAX_STRENGTH) from None
            self._forget_drag()
            self._pull = EditPull(run)
            region = run.plan.mask(self.generator.resolution, REGION_SIDE)
            self.marks = Marks(run.plan.handles.tolist(), run.plan.targets.tolist(), region)
            self.say("press_start")
            if at_once:
                self.start()

    def click_shown(self, x: float, y: float) -> None:
        """`click`, in pixels of the view's image, which is larger than a small picture."""
        size = self.generator.resolution
        times = drawing.enlargement(size)
        at = ((v + 0.5) / times - 0.5 for v in (x, y))
        self.click(*(min(max(v, 0.0), size - 1.0) for v in at))  # the outer halves of the border's pixels

    def click(self, x: float, y: float) -> None:
        """A handle, then its target, alternating; or the last point anew, after `move_last`."""
        with self._lock:
            self._by_hand().place(x, y, self.generator.resolution)
            self._say_what_next()

    def move_last(self) -> None:
        """The next click moves the point that was put down last."""
        with self._lock:
            marks = self._by_hand()
            marks.move_last()
            self.say("move_last") if marks.moving else self._say_what_next()

    def undo_point(self) -> None:
        """Take back the last click."""
        with self._lock:
            self._by_hand().undo()
            self._say_what_next()

    def clear_points(self) -> None:
        with self._lock:
            self._by_hand().clear_points()
            self.say("click_handle")

    def set_region(self, region: np.ndarray | None) -> None:
        """What may change: (H, W), above 0 where it may; None: everything."""
        with self._lock:
            self._by_hand().set_region(region)
            self.say("region_set" if region is not None else "region_off")

    def set(self, name: str, value: float | bool | None) -> None:
        """A setting of drag.Settings for the drags to come; None: its default."""
        with self._lock:
            if value is None:
                self.settings.pop(name, None)
            else:
                self.settings[name] = value

    # --- the drag -------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self._job is not None

    def start(self) -> None:
        """Drag what is marked, or go on where Stop has left it. Returns at once; see `watch`."""
        with self._lock:
            self._idle()
            if self._pull is None:
                self._pull = PointPull(self.generator, self.styles, self.marks, self._settings())
                self.marks.handles = self.marks.handles[: len(self.marks.targets)]
            if self._dragging is None:
                self.history.compare(self.history.now)
                self.step, self.animation = 0, None
                self._dragging = Dragging(self._pull, self.generator, self.picture)
            self._stop.clear()
            self.distance = None
            try:
                self._job = self.studio.turns.submit(self._drag)
            except BusyError:
                raise Mistake("busy", waiting=self.studio.turns.waiting) from None
            self.note = ("dragging", {})
            self._tell()

    def stop(self) -> None:
        """Stop after the step at work; the state stays, and `start` goes on from it."""
        self._stop.set()
        with self._lock:
            if self._job and self.studio.turns.withdraw(self._job):
                self._job = None
                self.say("stopped", step=self.step)

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
                self._changed.wait_for(lambda drawn=view.image: self._image != drawn or not self._job, every)

    def _drag(self) -> None:
        """The job: in the working thread."""
        note = ("failed", {})
        try:
            self._dragging.run(self._stop, self._step, self._preview)
            if not self._closed:
                note = self._end(self._dragging)
        except Exception as problem:  # the thread must live on; the person is told
            lines = str(problem).splitlines() or [type(problem).__name__]
            note = ("failed", {"reason": lines[0]})
            self._pull = self._dragging = None
        finally:
            with self._changed:
                self._job = None
                if self._closed:
                    self._remove()
                else:
                    self.say(note[0], **note[1])

    def _step(self, step: Step) -> None:
        with self._changed:
            self.step, self.distance = step.number, float(step.distances.mean())
            self.marks.handles = step.points.tolist()
            self._tell()

    def _preview(self, picture: np.ndarray) -> None:
        image = drawing.overlay(picture, self.marks.handles, self.marks.targets)
        with self._changed:
            self._draw_file(image)

    def _end(self, dragging: Dragging) -> tuple[str, dict]:
        """Keep what a drag has come to; what to say of it."""
        pull, animation = dragging.pull, self._file("webp")
        styles, picture = dragging.end(animation)
        with self._changed:
            self._show(styles, picture)
            self._keep(pull.title)
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
            how = "done" if pull.ok else "not_done" if pull.title != "points" else "points_not_done"
            return how, {"step": self.step, "reason": pull.over, "share": pull.share}

    # --- history --------------------------------------------------------------------------------------------

    def undo(self) -> None:
        self._return(lambda: self.history.walk(-1))

    def redo(self) -> None:
        self._return(lambda: self.history.walk(1))

    def go_to(self, index: int) -> None:
        """Return to a result of the gallery."""
        self._return(lambda: self.history.go_to(index))

    def _return(self, step) -> None:
        with self._lock:
            self._idle()
            shot = step()
            self.show(shot.subject, shot.styles, files.read_png(shot.path), None)
            self.say("returned")

    # --- what is shown --------------------------------------------------------------------------------------

    def view(self) -> View:
        with self._lock:
            if self._closed:
                raise Mistake("closed")
            history, last = self.history, self.marks.last
            return View(
                version=self._version,
                image=self._image,
                note=self.note,
                running=self.running,
                place=self.studio.turns.place(self._job) if self._job else None,
                step=self.step,
                distance=self.distance,
                subject=self.subject,
                resolution=self.generator.resolution,
                is_face=self.generator.is_face,
                last_point=tuple(last) if last else None,
                result=history.now.path,
                before=history.before.path if history.before else None,
                animation=self.animation,
                gallery=tuple(shot.thumbnail for shot in history.shots),
                at=history.place,
            )

    def say(self, key: str, **values) -> None:
        """Set the note (a key of texts.py) and draw the view anew."""
        with self._changed:
            self.note = (key, values)
            self._draw()

    def close(self) -> None:
        """Stop and forget everything."""
        self._stop.set()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if self._job is None or self.studio.turns.withdraw(self._job):
                self._job = None
                self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.history.clear()
        self._forget_drag()
        self.picture = self.styles = self._landmarks = self.generator = None

    def _idle(self) -> None:
        if self._closed:
            raise Mistake("closed")
        if self.running:
            raise Mistake("running")

    def _settings(self, of_edit: dict | None = None) -> Settings:
        settings = dict(self.settings)
        if "free_rows" in settings:
            settings["free_rows"] = min(settings["free_rows"], self.generator.num_rows)
        return with_settings(Settings(**(of_edit or {})), **settings)

    def _forget_drag(self) -> None:
        self._pull: Pull | None = None  # what Start will drag
        self._dragging: Dragging | None = None  # from Start on, as long as Start can go on with it
        self.marks, self.animation = Marks(), None
        self.history.compare(None)
        self.step, self.distance = 0, None

    def _by_hand(self) -> Marks:
        """From here on the marks are the person's own: an edit that waits is left, its region stays."""
        self._idle()
        if isinstance(self._pull, EditPull):
            self.marks.clear_points()
        self._pull = self._dragging = None
        return self.marks

    def _say_what_next(self) -> None:
        marks = self.marks
        self.say("click_target" if marks.half else "press_start_points" if marks.targets else "click_handle")

    def _show(self, styles: torch.Tensor, picture: np.ndarray) -> None:
        self.styles, self.picture, self._landmarks = styles.detach(), picture, None

    def _keep(self, title: str) -> None:
        """Put the picture into the history."""
        how = {"model": self.subject.model, "seed": self.subject.seed, "edit": title}
        path = files.write_png(self._file("png"), self.picture, how)
        thumbnail = files.write_jpeg(path.with_suffix(".thumb.jpg"), self.picture, files.THUMBNAIL_SIDE)
        self.history.add(Shot(self.subject, title, path, thumbnail, self.styles))

    def _file(self, kind: str) -> Path:
        self._files += 1
        return self.folder / f"{self._files:05d}.{kind}"

    def _draw(self) -> None:
        """Draw the view anew and wake those who watch."""
        with self._changed:
            if self.picture is None:
                return
            marks, landmarks = self.marks, None
            if self._landmarks_shown and self.generator.is_face:
                try:
                    landmarks = self.landmarks()
                except Mistake:  # this picture shows no face
                    landmarks = None
            region = marks.region
            self._draw_file(drawing.overlay(self.picture, marks.handles, marks.targets, region, landmarks))

    def _draw_file(self, image: np.ndarray) -> None:
        self._image = files.write_jpeg(self._file("jpg"), image)
        self._drawn.append(self._image)
        while len(self._drawn) > OLD_IMAGES:
            self._drawn.pop(0).unlink(missing_ok=True)
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._version += 1
            self._changed.notify_all()
