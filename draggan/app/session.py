"""One person's work: the face that is shown, the history, the marks on it, and the task at work. Knows no Gradio.

    session.generate(seed=5)
    session.choose_edit("smile", 1.0, at_once=True)
    for view in session.watch():                  # until the task is over

Tasks run in the queue's one thread, so that showing them costs them nothing; `watch` looks from another thread. All
methods may be called from any thread, and raise TranslatedError for what a person can mend.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from draggan.app.choices import Choices
from draggan.app.folder import Folder
from draggan.app.history import Entry, History
from draggan.app.jobs import Outcome, TaskRun, begun, bring_in, edit_task, points_task, slide
from draggan.app.marks import ADDING, Marks, marking
from draggan.app.models import Models
from draggan.app.open_photo import OpenPhoto
from draggan.app.queue import Queue, Worker
from draggan.app.screen import Screen
from draggan.app.sliders import SliderState
from draggan.app.stage import Stage
from draggan.app.texts import Message, TranslatedError
from draggan.app.view import View, view_of
from draggan.app.work import Work
from draggan.editor import MASK_SIDE, EditTask
from draggan.face import Face
from draggan.generators import DEFAULT_PSI
from draggan.inversion import Preset
from draggan.points import PointsTask
from draggan.tasks import Task


class Session:
    def __init__(self, models: Models, queue: Queue, folder: Path):
        self.models, self.files, self._worker = models, Folder(folder), Worker(queue)
        self.lock, self.used, self.closed = self._worker.lock, time.monotonic(), False
        self.screen = Screen(self.files, self._worker)
        self._work = Work(self._worker, self.screen, self._ended)
        self.stage = Stage(self.files, self.screen)
        self.model, self.seed, self.psi = models.default, 0, DEFAULT_PSI  # what was generated last
        self.photo, self.sliders = OpenPhoto(self.files, models), SliderState()
        self.choices = Choices(self.files, models)
        self.settings: dict = {}  # what differs from drag.Settings
        self.task: Task | None = None  # what Start does, or goes on with
        self._run: TaskRun | None = None  # of the task, once it has begun
        self.acknowledged = 0  # how many operations on the picture have come
        self._following = False  # the job at work follows the sliders

    face = property(lambda self: self.stage.face)  # Face, or None before the first one
    history = property(lambda self: self.stage.history)
    marks = property(lambda self: self.screen.marks)

    # --- choosing a face --------------------------------------------------------------------------------------

    def generate(self, seed: int | None, psi: float | None = None, model: str | None = None) -> None:
        """Show the face of a seed; psi and model stay as they are if they are None."""
        psi, model = self.psi if psi is None else psi, model or self.model
        with self.lock:
            self.require_idle()
            face = self.models.face(model, seed, psi)
            self.model, self.seed, self.psi = model, face.subject.seed, face.subject.psi
            self.show(face, "seed")
            self._say(Message("ready" if face.generator.is_face else "ready_no_face"))

    def begin(self, seed: int) -> None:  # if nothing is shown yet
        with self.lock:
            if self.face is None:
                self.generate(seed)

    def show(self, face: Face, title: str) -> None:
        """Show a face, and put it into the history under a title."""
        with self.lock:
            self.require_idle()
            self._show(Outcome(self.screen.message, self.stage.entry(face, title)))
            self.stage.draw()

    def change_photo(self, action: str, *values) -> None:
        """Put a photo in ("open"), take it away ("close") or choose a face of it ("choose"). Also while a task runs."""
        getattr(self.photo, action)(*values)
        self.photo.recognise(self.stage.photos)
        (self.warn if self.running else self._say)(self.photo.message)

    def offer_faces(self, wanted: list[tuple[str, int]] | None = None) -> None:
        """Small faces to choose from: random ones, or those wanted, each a model and a seed."""
        self.require_idle()
        self.choices.offer(self.model, self.psi, wanted)
        self._say(Message("choose_face"))

    def choose_offered(self, index: int) -> None:
        model, seed = self.choices.get(index)
        self.generate(seed, model=model)

    def bring_in(self, preset: str | Preset = "fast") -> None:
        """Show the chosen face, which is searched for in the session's model. Returns at once; see `watch`."""
        self.require_idle()
        task = self.photo.task(self.model, preset, self.face)
        if (known := self.photo.found_before(task, self.face, self.history.entries)) is not None:
            self.go_to(known)
            return self._say(Message("photo_ready"))
        self.mark("clear_points")
        job = partial(bring_in, task, self.stage, self._worker.stopping)
        self._work.begin(job, Message("photo_search"), Message("photo_not_begun"))

    # --- marks ------------------------------------------------------------------------------------------------

    def choose_edit(self, name: str, strength: float = 1.0, at_once: bool = False) -> None:
        """Mark an edit's points and region and wait for `start`, or start at once. The marks stay if it fails."""
        with self.lock:
            self.require_idle()
            face = self.stage.require_landmarks()
            task = edit_task(face, {name: strength}, self.settings)
            self._forget_task()
            self._mark_edit(task)
            self._say(Message("press_start"))
            if at_once:
                self.start()

    def mark(self, action: str, *values) -> None:
        """Do something to the marks by hand: a method of Marks by name. An edit that waits is left."""
        with self.lock:
            self.require_idle()
            if isinstance(self.task, EditTask) and action in ADDING:  # its region stays
                self.marks.clear_points()
            self.task = self._run = None
            self._say(getattr(self.marks, action)(*values) or self.marks.message)

    def click(self, x: float, y: float) -> None:
        """A handle, then its target, alternating, in pixels; or the last point anew, after `move_last`."""
        self.mark("place", x, y, self.face.generator.resolution)

    def change_marks(self, operations: list[dict], number: int) -> None:
        """What a person did on the picture, in its order: see marks.marking. Also while points are being dragged.

        number: of the last one, from 1; those that came before are left out, so that a page may send them again.
        What cannot be done is left out, too, and the first such is raised at the end.
        """
        problem = None
        with self.lock:
            known = len(operations) - (number - self.acknowledged)
            for operation in operations[max(known, 0) :]:
                try:
                    self._change_marks(operation)
                except TranslatedError as error:
                    problem = problem or error
            self.acknowledged = max(self.acknowledged, number)
        if problem:
            raise problem

    def _change_marks(self, operation: dict) -> None:
        action, values = marking(operation, self.face.generator.resolution)
        if self.running and isinstance(self.task, PointsTask) and action != "set_region":
            getattr(self.marks, action)(*values)
            if not self.marks.targets:
                self._worker.stop()
            elif not self.task.change(*self.marks.pairs()):
                raise TranslatedError("running")
            self._worker.changed()
        else:
            self.mark(action, *values)

    def set(self, name: str, value: float | bool | None) -> None:
        """A setting of drag.Settings for the drags to come; None: its default."""
        with self.lock:
            self.settings = {k: v for k, v in (self.settings | {name: value}).items() if v is not None}

    def show_landmarks(self, shown: bool) -> None:
        with self.lock:
            if shown and not self.running:
                self.require_idle()
                self.stage.require_landmarks()
            self.screen.landmarks_shown = bool(shown)
            self.stage.draw()

    def _mark_edit(self, task: EditTask) -> None:
        """Show an edit's points and region, which `start` will drag."""
        region = task.plan.mask(self.face.generator.resolution, MASK_SIDE)
        self.screen.marks = Marks(task.plan.handles.tolist(), task.plan.targets.tolist(), region)
        self.task = task

    # --- tasks ------------------------------------------------------------------------------------------------

    running = property(lambda self: self._worker.running)
    version = property(lambda self: self._worker.version)  # of what `view` shows

    def start(self) -> None:
        """Do what is marked, or go on where Stop has left it. Returns at once; see `watch`."""
        with self.lock:
            self.require_idle()
            before, strengths = self.history.now, self.sliders.strengths(self.history.now)
            if self.task is None and not self.marks.handles and strengths:  # what the sliders say, by a drag
                before, sliders = self.sliders.start, self.sliders.task.sliders
                self._mark_edit(edit_task(sliders.start, strengths, self.settings, sliders))
            if self.task is None:
                self.task = points_task(self.face, self.marks, self.settings)
            if self._run is None:
                self.history.compare(before if before.path.exists() else None)  # it may be long past
                self.screen.step, self.stage.animation = 0, None
                self._run = TaskRun(self.task, self.face.picture)
            job = partial(self._run.drag, self.stage, self._worker.stopping)
            self._work.begin(job, begun(self.task), Message("stopped", {"step": self.screen.step}))

    def move_slider(self, name: str, strength: float | None) -> None:
        """A slider was moved; the face follows. Returns at once; see `watch`."""
        with self.lock:
            if strength == self.sliders.wanted(name):
                return
            if not self._following:
                self.require_idle()
            self.sliders.move(self.history.now, name, strength)
            self._follow()

    def warn(self, message: Message) -> None:
        """Say why something was refused while a task is at work, whose own messages would hide it at once."""
        if self.running:
            self.screen.warn(message)

    def release_slider(self) -> None:
        if self.sliders.task:
            self.sliders.task.release()

    def stop(self) -> None:
        """Stop after the step at work; the state stays, and `start` goes on from it."""
        if self._work.stop():
            with self.lock:
                self.stage.draw()
                self._followed(stopped=True)

    def watch(self, every: float = 0.5) -> Iterator[View]:
        """The view now, and then until nothing runs: pictures and the end at once, numbers every so many seconds."""
        for view in self._work.watch(self.view, every):
            self.used = time.monotonic()
            yield view

    def _follow(self) -> None:
        if self.sliders.behind and not self._following:
            job = partial(slide, self.sliders.task, self.sliders.start, self.stage, self._worker.stopping)
            self._work.begin(job, Message("sliding"), Message("stopped_sliding"))
            self._following = True

    def _ended(self, outcome: Outcome) -> None:
        """A job is over; under the lock."""
        if outcome.failed:
            self.task = self._run = None
        if self.closed:
            return self._remove()
        if outcome.entry:
            self._show(outcome)
        self._say(outcome.message)
        self._followed(stopped=outcome.failed or self._worker.stopping())

    def _show(self, outcome: Outcome) -> None:
        """Show what came of a job."""
        dragged = outcome.animation is not None
        if not dragged:  # it began from marks that are gone now
            self._forget_task()
            self.history.compare(outcome.compared)
        self.stage.add(outcome.entry)
        self._slid_for(outcome.entry)
        if dragged:
            self.stage.animation = outcome.animation
            if not outcome.goes_on:
                self.task = self._run = None
                self.marks.handles = outcome.handles or []  # Start goes on from them
                self.screen.marks = self.marks if outcome.handles else Marks()
        if outcome.original:
            self.stage.keep_photo(outcome.entry, outcome.original)

    def _followed(self, stopped: bool) -> None:
        """Sliders that were moved too late for the last job get another one; after a stop they go back."""
        self._following = False
        if stopped and self.sliders.task:
            self.sliders.task.stand(self.sliders.strengths(self.history.now))
        self._follow()

    # --- history and view -------------------------------------------------------------------------------------

    def undo(self) -> None:
        self._return(lambda history: history.walk(-1))

    def redo(self) -> None:
        self._return(lambda history: history.walk(1))

    def go_to(self, index: int) -> None:
        self._return(lambda history: history.go_to(index))

    def delete_result(self) -> None:
        self._return(lambda history: history.remove())

    def compare_with_this(self) -> None:
        """Compare other results with the one that is shown; asked for again, no longer."""
        with self.lock:
            self.require_idle()
            self.history.pin()
            self._say(Message("pinned" if self.history.pinned else "unpinned"))

    def _return(self, step: Callable[[History], Entry]) -> None:
        with self.lock:
            self.require_idle()
            entry = self.stage.go(step)
            self._forget_task()
            self._slid_for(entry)
            self._say(Message("returned"))

    def _slid_for(self, entry: Entry) -> None:
        self.stage.kept = self.sliders.stand_for(entry, at_rest=not self.running)

    def _forget_task(self) -> None:
        self.task = self._run = self.stage.animation = None
        self.history.compare(None)
        self.screen.clear()

    def _say(self, message: Message) -> None:
        """Show a message, and the picture with its marks."""
        with self.lock:
            self.screen.say(message)
            if self.face is not None:
                self.stage.draw()

    def view(self) -> View:
        """What the page shows now."""
        with self.lock:
            self.require_idle(running=True)
            more = isinstance(self.task, EditTask), self.acknowledged, self.choices.pictures
            _, problem = self.models.directions(self.model)
            return view_of(self.stage, self._worker, self.sliders, self.photo, problem, *more)

    def close(self) -> None:
        with self.lock:
            self.closed = True
            self._worker.stop()
            self._worker.changed()
            if not self.running:
                self._remove()

    def _remove(self) -> None:
        self.files.remove()
        self.photo.close()
        self.sliders.close()
        self._forget_task()
        self.stage.end()

    def require_idle(self, running: bool = False) -> None:
        if self.closed or (self.running and not running):
            raise TranslatedError("closed" if self.closed else "running")
