"""The half of a session that marks and drags: one-click edits, points by hand, the region. session.py is the other."""

import numpy as np

from draggan.app import drawing
from draggan.app.dragging import Dragging
from draggan.app.jobs import Said
from draggan.app.marks import Marks
from draggan.app.pulls import EditPull, PointPull, Pull
from draggan.app.texts import Mistake
from draggan.drag import Settings, Step, with_settings
from draggan.editor import EditRun
from draggan.edits import EDITS, MAX_STRENGTH, EditError
from draggan.generators import ContinuedGenerator
from draggan.generators.region import blend_base, root

REGION_SIDE = 256  # of an edit's own region


class Editing:
    """Base of Session, which has what is shown, the lock, the job at work and what is said."""

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
            before, look, drawn_by = self.history.now, self.look, self.generator
            if self._pull is None and not self.marks.targets and (run := self.sliding.run(self._settings)):
                before, look, drawn_by = self.sliding.start, self.sliding.start.look, run.start.generator
                self._mark(run)
            if self._pull is None:
                self._pull = self._points()
            if self._dragging is None:
                self.history.compare(before)
                self.step, self.animation = 0, None
                self._dragging = Dragging(self._pull, self.picture, look, drawn_by)
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
                return "done_at_once", {"share": pull.share}
            how = "done" if pull.ok else "not_done" if pull.title != "points" else "points_not_done"
            return how, {"step": self.step, "reason": pull.over, "share": pull.share}

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
