"""Instant edits by sliders: the face follows one while it is moved, and several add up.

    session.sliding.move("smile", 0.6)       # a job: small pictures while it moves, the whole one at the end
    session.sliding.let_go()                  # need not wait any longer whether it moves on
    session.start()                           # the drag does the rest from there

All strengths count from the face on which the first slider was moved.
"""

import time
import weakref
from typing import TYPE_CHECKING

import cv2
import numpy as np

from draggan.app.history import Shot
from draggan.app.jobs import Said
from draggan.app.texts import Mistake
from draggan.editor import EditRun, gentlest
from draggan.edits import EDITS, MAX_STRENGTH
from draggan.instant import Sliders

if TYPE_CHECKING:
    from draggan.app.session import Session

PREVIEW_SIDE = 256  # pixels
FAST = 0.15  # seconds: where a whole picture takes no longer, there are no smaller ones before it
STILL = 0.6  # seconds without a move after which a slider counts as let go: of keys nobody says so


class Sliding:
    """Part of a session; methods raise Mistake as the session's do."""

    def __init__(self, session: "Session"):
        self.session = session
        self.strengths: dict[str, float] = {}  # of what is shown; without those that are 0
        self._sliders: Sliders | None = None
        self._start: Shot | None = None  # where all are 0
        self._wanted: dict[str, float] = {}
        self._moved = 0.0  # when
        self._following = self._released = False
        self._cost = np.inf  # seconds of the last whole picture

    @property
    def start(self) -> Shot | None:
        """The result on which the first slider was moved."""
        return self._start

    @property
    def available(self) -> tuple[str, ...]:
        """Edits that can be done at once with what is shown."""
        directions = self.session.editor.directions if self.session.editor else None
        return tuple(name for name in EDITS if directions is not None and name in directions)

    def about(self) -> Said:
        """How to use the sliders, or why there are none."""
        here, model = self.available, self.session.subject.model
        if here:
            others = [name for name in EDITS if name not in here]
            return ("sliders_some", {"others": others}) if others else ("sliders_how", {})
        if self.session.editor is None:
            return "no_face_model", {"model": model}
        _, problem = self.session.studio.directions(model)
        return ("sliders_broken", {"reason": problem}) if problem else ("sliders_none", {"model": model})

    def move(self, name: str, strength: float) -> None:
        """A slider was moved. Returns at once; see `Session.watch`."""
        session = self.session
        with session.lock:
            if strength == self._wanted.get(name, 0):
                return
            if not self._following:
                session.idle()
            if name not in self.available:
                raise Mistake("no_slider", edit=name, model=session.subject.model)
            least = -MAX_STRENGTH if EDITS[name].signed else 0
            if strength is None or not least <= strength <= MAX_STRENGTH:
                raise Mistake("bad_strength", edit=name, lowest=least, most=MAX_STRENGTH)
            wanted = self._wanted | {name: float(strength)}
            self._wanted = {each: s for each, s in wanted.items() if s}
            self._moved, self._released = time.monotonic(), False
            self._begin()

    def let_go(self) -> None:
        self._released = True

    def run(self, settings) -> EditRun | None:
        """The drag to what the sliders say, from what they have made already; None where all are 0."""
        if not self.strengths:
            return None
        settings = settings(gentlest(map(self.session.editor.settings, self.strengths)))
        start = self._sliders.face
        return EditRun(self.session.editor, start, self.strengths, settings=settings, sliders=self._sliders)

    def _begin(self) -> None:
        if not self._following and self._wanted != self.strengths:
            self.session.work(self._follow, ("sliding", {}), ("stopped_sliding", {}))
            self._following = True

    def _follow(self) -> Said:
        """The job: in the working thread."""
        session, drawn = self.session, None
        if self._sliders is None:
            self._sliders, self._start = Sliders(session.editor, session.face()), session.history.now
        while not (session.stopping or session.closed):
            wanted = self._wanted
            if wanted is not drawn and self._cost > FAST:
                session.preview(self._small(wanted))
                if (
                    drawn is None
                ):  # which may have taken its time, to fit the edit: now a person sees where it is
                    self._moved = time.monotonic()
                drawn = wanted
            elif self._cost > FAST and not self._released and time.monotonic() < self._moved + STILL:
                time.sleep(0.02)
            elif self._whole(wanted):
                return "slid", {}
        return "stopped_sliding", {}

    def _small(self, wanted: dict[str, float]) -> np.ndarray:
        """A picture that is drawn quickly, at the size of a whole one."""
        size = self.session.generator.resolution
        styles, drawn_by = self._sliders.styles(wanted), self._sliders.generator(wanted)
        small = self.session.editor.draw(styles, drawn_by, PREVIEW_SIDE)
        return cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)

    def _whole(self, wanted: dict[str, float]) -> bool:
        """Draw the face at its own size; whether it is still what is wanted, and is shown now."""
        session, sliders, start = self.session, self._sliders, self._start
        began = time.perf_counter()
        styles, drawn_by = sliders.styles(wanted), sliders.generator(wanted)
        picture = session.editor.draw(styles, drawn_by)
        self._cost = time.perf_counter() - began
        if wanted is not self._wanted or session.closed:
            return False
        look = start.look.then(styles, drawn_by, None) if wanted else start.look
        title = ", ".join(f"{name} {strength:g}" for name, strength in sorted(wanted.items()))
        session.take(session.subject, look, picture, title or "sliders", moved=(weakref.ref(sliders), wanted))
        if start.path.exists():  # not where it is long past
            session.history.compare(start)
        return True

    def over(self, stopped: bool) -> None:
        """The job is over; moves that came too late for it are taken up."""
        self._following = False
        if stopped:
            self._wanted = self.strengths
        self._begin()

    def shown(self, shot: Shot | None) -> None:
        """Another result is shown: the sliders stand as they stood for it, or begin anew from it."""
        sliders, strengths = (shot and shot.moved) or (lambda: None, {})
        if sliders() is None or sliders() is not self._sliders:
            strengths = {}
            if shot is not self._start:
                self._sliders = self._start = None
        self.strengths = strengths
        if not self._following:
            self._wanted = strengths

    def close(self) -> None:
        self._sliders = self._start = None
