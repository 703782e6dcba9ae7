"""The app without its page: sessions, their marks, drags and history. Knows no Gradio.

    studio = Studio(device)
    session = studio.session("somebody")          # opened on the first call
    session.generate(seed=5)
    session.choose_edit("smile", 1.0)             # points and region, waits for
    session.start()
    for view in session.watch():                  # until the drag is over
        show(view.image, view.note)
    studio.drop("somebody")

A drag runs in the studio's one working thread, so that showing it costs it nothing; `Session.watch` looks
from another thread. All methods of a session may be called from any thread.
"""

import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from draggan import drawing
from draggan.drag import Settings, with_settings
from draggan.editor import EditRun, FaceEditor, FaceState, NoFaceError
from draggan.edits import EDITS
from draggan.generators import DEFAULT_MODEL, DEFAULT_PSI, Generator, load_generator
from draggan.landmarks import landmark_detector
from draggan.pulls import EditPull, PointPull, Previews
from draggan.turns import BusyError, Turns

LIVE_SESSIONS = 32
IDLE_SECONDS = 30 * 60
HISTORY = 40  # results a session keeps
MAX_POINTS = 40
MAX_FRAMES = 80  # of an animation
MASK_SIDE = 256


class SessionError(ValueError):
    """Something a person can mend; `key` and `values` name the text of texts.py that says it."""

    def __init__(self, key: str, **values):
        super().__init__(f"{key} {values}" if values else key)
        self.key, self.values = key, values


@dataclass(frozen=True)
class Shot:
    """One result: where its picture lies, and the styles (1, rows, w_dim) that make it."""

    model: str
    seed: int
    title: str  # name of an edit, "seed" or "points"
    path: Path
    styles: torch.Tensor


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
    seed: int
    before: Path | None
    after: Path | None
    animation: Path | None
    gallery: tuple[Path, ...]
    at: int  # index into the gallery of what is shown


class Studio:
    """Models, the line of drags and the live sessions of one device."""

    def __init__(self, device: torch.device | str = "cpu", model: str = DEFAULT_MODEL, waiting: int = 8):
        self.device, self.model = torch.device(device), model
        self.turns = Turns(waiting)
        self.folder = Path(tempfile.mkdtemp(prefix="draggan-"))
        self._lock = threading.Lock()
        self._loading, self._looking = threading.Lock(), threading.Lock()
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._generators: OrderedDict[str, Generator] = OrderedDict()
        self._starts: OrderedDict[tuple, tuple] = OrderedDict()
        self._detector = None

    def generator(self, name: str) -> Generator:
        """The model of that name, loaded once; at most two stay. ModelError if it is missing or broken."""
        with self._loading:
            if name not in self._generators:
                self._generators[name] = load_generator(name, self.device)
                while len(self._generators) > 2:
                    self._generators.popitem(last=False)
            self._generators.move_to_end(name)
            return self._generators[name]

    def detect(self, image: np.ndarray) -> list:
        """Faces in an image; one at a time, because detectors keep a state."""
        with self._looking:
            if self._detector is None:
                self._detector = landmark_detector("auto", self.device)
            return self._detector.detect(image)

    @property
    def name(self) -> str:  # as a detector
        return self._detector.name if self._detector else "landmarks"

    def start_of(self, model: str, seed: int, psi: float) -> tuple[torch.Tensor, np.ndarray]:
        """Styles and picture of a seed; the last few are remembered, as everybody begins with the same."""
        key = (model, seed, psi)
        with self._lock:
            if key in self._starts:
                self._starts.move_to_end(key)
                return self._starts[key]
        generator = self.generator(model)
        styles = generator.seed_styles(seed, psi)
        found = styles, generator.picture(styles)
        with self._lock:
            self._starts[key] = found
            while len(self._starts) > 4:
                self._starts.popitem(last=False)
        return found

    def session(self, key: str) -> "Session":
        """The session of that key, opened if need be. SessionError if too many are live."""
        self.clean()
        with self._lock:
            if key not in self._sessions:
                if len(self._sessions) >= LIVE_SESSIONS:
                    raise SessionError("full")
                self._sessions[key] = Session(self)
            session = self._sessions[key]
            session.used = time.monotonic()
            return session

    def drop(self, key: str) -> None:
        """End a session: its drag stops, its memory and files go. Nothing happens for an unknown one."""
        with self._lock:
            session = self._sessions.pop(key, None)
        if session:
            session.close()

    def clean(self, idle: float = IDLE_SECONDS) -> None:
        """End the sessions that nobody has used for so long and that drag nothing."""
        with self._lock:
            old = [
                key
                for key, session in self._sessions.items()
                if time.monotonic() - session.used > idle and not session.running
            ]
        for key in old:
            self.drop(key)

    @property
    def live(self) -> int:
        with self._lock:
            return len(self._sessions)

    def close(self) -> None:
        """End all sessions and remove what they left."""
        for key in list(self._sessions):
            self.drop(key)
        shutil.rmtree(self.folder, ignore_errors=True)


class Session:
    """One person's picture, marks, drag and history."""

    def __init__(self, studio: Studio):
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
        self.generator: Generator | None = None
        self.model, self.seed, self.psi = studio.model, 0, DEFAULT_PSI
        self.styles = self.picture = None
        self._points: np.ndarray | None = None  # landmarks of the picture, once asked for
        self.shots: list[Shot] = []
        self.trail: list[Shot] = []  # what undo and redo walk along
        self.at = -1
        self.settings: dict = {}  # what differs from drag.Settings
        self._image: Path | None = None
        self._gone: list[Path] = []  # earlier images of the view, deleted a little later
        self._forget_drag()
        self.note: tuple[str, dict] = ("welcome", {})

    # --- pictures -------------------------------------------------------------------------------------------

    def generate(self, seed: int, psi: float = DEFAULT_PSI, model: str | None = None) -> None:
        """Show the face of a seed. SessionError for numbers out of range, ModelError for a bad model."""
        if seed is None or not 0 <= int(seed) < 2**32:
            raise SessionError("bad_seed")
        if not 0 <= psi <= 2:
            raise SessionError("bad_psi")
        with self._lock:
            self._idle()
            model = model or self.model
            generator = self.studio.generator(model)
            styles, picture = self.studio.start_of(model, int(seed), float(psi))
            self.generator, self.model, self.seed, self.psi = generator, model, int(seed), float(psi)
            self._show(styles, picture)
            self._forget_drag()
            self._keep("seed")
            self.say("ready")

    def choose_edit(self, name: str, strength: float = 1.0) -> None:
        """Find the landmarks, mark the edit's points and region, wait for `start`."""
        with self._lock:
            self._idle()
            points = self.landmarks()
            self._forget_drag()
            face = FaceState(self.styles, self.picture, points)
            settings = with_settings(Settings(**EDITS[name].drag), **self.settings)
            run = EditRun(FaceEditor(self.generator, self.studio), face, name, strength, settings)
            self._pull, self._title = EditPull(run), name
            self.handles, self.targets = run.plan.handles.tolist(), run.plan.targets.tolist()
            self.mask = run.plan.mask(self.generator.resolution, MASK_SIDE)
            self.say("press_start")

    def landmarks(self) -> np.ndarray:
        """Landmarks (68, 2) of the picture; NoFaceError where there are none."""
        if not self.generator.is_face:
            raise SessionError("no_face_model", model=self.model)
        if self._points is None:
            faces = self.studio.detect(self.picture)
            if not faces:
                raise SessionError("no_face")
            self._points = faces[0].points
        return self._points

    def show_landmarks(self, shown: bool) -> None:
        with self._lock:
            if shown:
                self.landmarks()
            self._landmarks_shown = shown
            self._renew()

    # --- points and region by hand --------------------------------------------------------------------------

    def click(self, x: float, y: float) -> None:
        """A handle, then its target, alternating. SessionError outside the picture or for too many."""
        with self._lock:
            self._idle()
            size = self.generator.resolution
            if not (0 <= x <= size - 1 and 0 <= y <= size - 1):
                raise SessionError("outside", x=x, y=y, size=size)
            self._by_hand()
            if len(self.handles) > len(self.targets):
                self.targets.append([x, y])
                self.say("press_start")
            else:
                if len(self.handles) >= MAX_POINTS:
                    raise SessionError("many_points", most=MAX_POINTS)
                self.handles.append([x, y])
                self.say("click_target")

    def undo_point(self) -> None:
        """Take back the last click."""
        with self._lock:
            self._idle()
            self._by_hand()
            if len(self.handles) == len(self.targets) and self.targets:
                self.targets.pop()
            elif self.handles:
                self.handles.pop()
            self.say("click_target" if len(self.handles) > len(self.targets) else "click_handle")

    def clear_points(self) -> None:
        with self._lock:
            self._idle()
            self._by_hand()
            self.handles, self.targets = [], []
            self.say("click_handle")

    def set_mask(self, mask: np.ndarray | None) -> None:
        """The region that may change: (H, W), above 0 where it may; None: everywhere."""
        with self._lock:
            self._idle()
            if mask is not None and not (mask > 0).any():
                raise SessionError("empty_mask")
            self._by_hand()
            self.mask = None if mask is None else (np.asarray(mask) > 0).astype(np.float32)
            self.say("region_set" if mask is not None else "region_off")

    # --- the drag -------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self._job is not None

    def start(self) -> None:
        """Drag what is marked, or go on where Stop has left it. Returns at once; see `watch`."""
        with self._lock:
            self._idle()
            if self._pull is None:
                pairs = len(self.targets)
                if not pairs:
                    raise SessionError("nothing_marked")
                self.handles = self.handles[:pairs]
                settings = with_settings(Settings(), **self.settings)
                handles, targets = np.array(self.handles), np.array(self.targets)
                self._pull = PointPull(self.generator, self.styles, handles, targets, self.mask, settings)
                self._title = "points"
            if not self.frames:
                self.before = self.trail[self.at].path
                self.frames = [drawing.small(self.picture)]
            self._stop.clear()
            self.step, self.distance = self._pull.number, None
            try:
                self._job = self.studio.turns.submit(self._drag)
            except BusyError:
                raise SessionError("busy", waiting=self.studio.turns.waiting) from None
            self.say("dragging")

    def stop(self) -> None:
        """Stop after the step at work; the state stays, and `start` goes on from it."""
        self._stop.set()
        with self._lock:
            if self._job and self.studio.turns.withdraw(self._job):
                self._job = None
                self.say("stopped", step=self.step)

    def watch(self, every: float = 0.12) -> Iterator[View]:
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

    def _drag(self) -> None:
        """The job: in the working thread."""
        pull, previews = self._pull, Previews()
        error = None
        try:
            while not self._stop.is_set():
                if (made := pull.step()) is None:
                    break
                step, picture = made
                picture = picture if picture is not None else previews.maybe(pull, step.seconds)
                with self._changed:
                    self.step, self.distance = step.number, float(step.distances.mean())
                    self.handles = step.points.tolist()
                    if picture is not None:
                        self.picture = picture
                        if len(self.frames) < MAX_FRAMES:
                            self.frames.append(drawing.small(picture))
                    self._renew()
            if self._closed:
                return
            over = pull.over
            styles, picture = pull.result() if over else (pull.styles, pull.picture())
            with self._changed:
                self._show(styles, picture)
                self.frames.append(drawing.small(picture))
                self._keep(self._title)
                self.animation = drawing.write_animation(self._file("webp"), self.frames)
                if over:
                    note = (
                        ("done" if pull.ok else "not_done"),
                        {"step": self.step, "reason": over, "share": pull.share},
                    )
                    self._pull, self.handles, self.targets, self.mask = None, [], [], None
                    self.frames = []
                else:
                    note = ("stopped", {"step": self.step})
        except Exception as problem:  # the thread must live on; the person is told
            error = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        finally:
            with self._changed:
                self._job = None
                if self._closed:
                    self._remove()
                elif error:
                    self._pull = None
                    self.say("failed", reason=error)
                else:
                    self.say(note[0], **note[1])

    # --- history --------------------------------------------------------------------------------------------

    def undo(self) -> None:
        self._walk(-1)

    def redo(self) -> None:
        self._walk(1)

    def go_to(self, index: int) -> None:
        """Return to a result of the gallery."""
        with self._lock:
            self._idle()
            if not 0 <= index < len(self.shots):
                raise SessionError("no_such_result")
            self.trail = [*self.trail[: self.at + 1], self.shots[index]]
            self._walk(len(self.trail) - 1 - self.at)

    def _walk(self, by: int) -> None:
        with self._lock:
            self._idle()
            if not 0 <= self.at + by < len(self.trail):
                raise SessionError("nothing_to_undo" if by < 0 else "nothing_to_redo")
            self.at += by
            shot = self.trail[self.at]
            self.generator = self.studio.generator(shot.model)
            self.model, self.seed = shot.model, shot.seed
            self._show(shot.styles, drawing.read_png(shot.path))
            self._forget_drag()
            self.say("returned")

    # --- what is shown --------------------------------------------------------------------------------------

    def view(self) -> View:
        with self._lock:
            place = self.studio.turns.place(self._job) if self._job else None
            shot = self.trail[self.at]
            animation = self.animation if self.before else None
            return View(
                self._version,
                self._image,
                self.note,
                self.running,
                place,
                self.step,
                self.distance,
                self.seed,
                self.before,
                shot.path if self.before and not self.running else None,
                animation,
                tuple(s.path for s in self.shots),
                self.shots.index(shot) if shot in self.shots else -1,
            )

    def say(self, key: str, **values) -> None:
        with self._changed:
            self.note = (key, values)
            self._renew()

    def close(self) -> None:
        """Stop and forget everything."""
        self._stop.set()
        with self._lock:
            self._closed = True
            if self._job is None or self.studio.turns.withdraw(self._job):
                self._job = None
                self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.shots, self.trail, self.frames = [], [], []
        self.picture = self.styles = self._points = self._pull = self.mask = None

    def _idle(self) -> None:
        if self._closed:
            raise SessionError("closed")
        if self.running:
            raise SessionError("running")

    def _forget_drag(self) -> None:
        self._pull, self._title = None, ""
        self.handles, self.targets, self.mask = [], [], None
        self._landmarks_shown = False
        self.frames, self.before, self.animation = [], None, None
        self.step, self.distance = 0, None

    def _by_hand(self) -> None:
        """From here on the marks are the person's own: an edit that waits is left, its region stays."""
        if isinstance(self._pull, EditPull):
            self.handles, self.targets = [], []
        self._pull = None

    def _show(self, styles: torch.Tensor, picture: np.ndarray) -> None:
        self.styles, self.picture, self._points = styles.detach(), picture, None

    def _keep(self, title: str) -> None:
        """Put the picture into the history."""
        how = {"model": self.model, "seed": self.seed, "edit": title}
        path = drawing.write_png(self._file("png"), self.picture, how)
        shot = Shot(self.model, self.seed, title, path, self.styles)
        self.shots.append(shot)
        self.trail = [*self.trail[: self.at + 1], shot][-HISTORY:]
        self.at = len(self.trail) - 1
        while len(self.shots) > HISTORY:
            old = self.shots.pop(0)
            if old not in self.trail:
                old.path.unlink(missing_ok=True)

    def _file(self, kind: str) -> Path:
        self._files += 1
        return self.folder / f"{self._files:05d}.{kind}"

    def _renew(self) -> None:
        """Draw the view anew and wake those who watch."""
        with self._changed:
            if self.picture is None:
                return
            landmarks = self._points if self._landmarks_shown and not self.running else None
            if self.handles or self.mask is not None or landmarks is not None or self.running:
                mask = None if self.running else self.mask
                marked = drawing.overlay(self.picture, self.handles, self.targets, mask, landmarks)
                image = drawing.write_jpeg(self._file("jpg"), marked)
                self._gone.append(image)
                while len(self._gone) > 8:
                    self._gone.pop(0).unlink(missing_ok=True)
            else:
                image = self.trail[self.at].path if self.at >= 0 else None
            self._image = image
            self._version += 1
            self._changed.notify_all()


__all__ = ["NoFaceError", "Session", "SessionError", "Shot", "Studio", "View"]
