"""What a session has done in the queue's thread: a task with pictures for the eye on the way, and what came of it.

    run = TaskRun(task, picture)
    outcome = run.drag(stage, stopping)           # or slide(task, stage, ...), bring_in(task, stage, ...)
    outcome.entry, outcome.message                # a result that is not shown yet, and what to say of it

A job knows the stage, whose screen it draws on, and asks whether it is to stop; it does not know the session.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from draggan.app import files
from draggan.app.history import Entry
from draggan.app.marks import Marks
from draggan.app.previews import Previews
from draggan.app.settings import is_number
from draggan.app.sliders import bad_strength, lowest
from draggan.app.stage import Stage
from draggan.app.texts import Message, TranslatedError
from draggan.drag import Settings, with_settings
from draggan.editor import CLOSED_ALREADY, EditTask, edit_settings
from draggan.edits import EDITS, MAX_STRENGTH, EditError
from draggan.face import Face
from draggan.instant import Sliders, SliderTask
from draggan.photo_editor import PhotoTask
from draggan.points import PointsTask
from draggan.tasks import Task

MAX_FRAMES = 80  # of an animation
UNEDITED = "A photo; not edited"

Stopping = Callable[[], bool]


def edit_task(
    face: Face, edits: Mapping[str, float], changes: Mapping, sliders: Sliders | None = None
) -> EditTask:
    """Edits {name: strength} of a face. changes: what differs from the settings that suit them.

    TranslatedError for an edit that there is not, and for a strength out of its range.
    """
    for name, strength in edits.items():
        check_edit(name, strength)
    settings = changed(edit_settings(face.subject, edits), changes, face)
    try:
        return EditTask(face, edits, settings=settings, sliders=sliders)
    except EditError:
        raise bad_strength(next(iter(edits))) from None


def check_edit(name: object, strength: object) -> None:
    """TranslatedError for an edit that there is not, and for a strength out of its range."""
    if not isinstance(name, str) or name not in EDITS:
        raise TranslatedError("unknown_edit", name=str(name)[:80], known=", ".join(EDITS))
    if not is_number(strength) or not lowest(name) <= strength <= MAX_STRENGTH:
        raise bad_strength(name)


def points_task(face: Face, marks: Marks, changes: Mapping) -> PointsTask:
    """Points by hand on a face. TranslatedError where no pair is marked; a handle without a target goes."""
    handles, targets = marks.pairs()
    marks.handles = handles.tolist()
    return PointsTask(face, handles, targets, marks.region, changed(Settings(), changes, face))


def changed(usual: Settings, changes: Mapping, face: Face) -> Settings:
    """Settings with a person's own changes, as far as the face's generator goes."""
    changes = dict(changes)
    if "free_rows" in changes:
        changes["free_rows"] = min(changes["free_rows"], face.generator.num_rows)
    return with_settings(usual, **changes)


@dataclass(frozen=True)
class Outcome:
    """What came of a job."""

    message: Message
    entry: Entry | None = None  # the result to show from now on
    animation: Path | None = None  # of how it was reached
    goes_on: bool = False  # its task was stopped, and can go on
    handles: list | None = None  # where points by hand are, which have not arrived
    compared: Entry | None = None  # what the result is compared with
    original: Path | None = None  # the whole photo before any edit, of a photo's new face
    failed: bool = False


class TaskRun:
    """An edit or points by hand, from Start to the end. It can be stopped after any step, and goes on from there."""

    def __init__(self, task: Task, picture: np.ndarray):
        """picture: (H, W, 3) uint8, what is shown when the task begins."""
        self.task = task
        self._frames = [files.frame(picture)]

    def drag(self, stage: Stage, stopping: Stopping) -> Outcome:
        """Step until the task has ended or is to stop. Drawing takes a small share of the time."""
        task, screen, previews = self.task, stage.screen, Previews()
        for progress in task:
            screen.report(progress)
            drawn = progress.face is not None
            if drawn or (task.reason is None and previews.due(progress.seconds)):
                with previews.drawing(drawn):
                    picture = (progress.face or task.face).picture
                    if len(self._frames) < MAX_FRAMES:
                        self._frames.append(files.frame(picture))
                    screen.preview(picture)
            if stopping():
                break
        if task.reason == CLOSED_ALREADY:
            screen.clear()
            return Outcome(Message("closed_already"), failed=True)
        if (
            task.reason and screen.distance is not None
        ):  # of what is shown now, which need not be the last step
            screen.distance = task.distance
            screen.progress = None  # the note says it
        face = task.face
        entry = stage.entry(face, title_of(task.edits) if isinstance(task, EditTask) else task.name)
        frames = [*self._frames, files.frame(face.picture)]
        animation = files.write_animation(stage.folder.new("webp"), frames, face.subject.note)
        waiting = task.handles.tolist() if isinstance(task, PointsTask) and not task.ok else None
        return Outcome(
            end_message(task, screen.step), entry, animation, goes_on=task.reason is None, handles=waiting
        )


def begun(task: Task) -> Message:
    """What to say of a task that begins: an edit is often done without a drag."""
    return (
        Message("editing", {"edit": list(task.edits)}) if isinstance(task, EditTask) else Message("dragging")
    )


def end_message(task: Task, step: int) -> Message:
    """What to say of a task that was stopped after a step, or has ended with it."""
    if task.reason is None:
        return Message("stopped", {"step": step})
    how = {"step": step, "reason": task.reason, "share": task.share, "distance": task.distance}
    if isinstance(task, EditTask):
        how |= {"edit": list(task.edits), "reason": task.short or task.reason}
    elif task.ok:
        return Message("points_done", how)
    if task.ok:
        return Message("done", how) if step else Message("done_at_once", how)
    return Message("points_not_done" if isinstance(task, PointsTask) else "not_done", how)


def slide(task: SliderTask, start: Entry, stage: Stage, stopping: Stopping) -> Outcome:
    """Show the face following its sliders until they rest. start: the result where all are at 0."""
    for progress in task:
        if stopping():
            return Outcome(Message("stopped_sliding"))
        if progress.preview is not None:
            stage.screen.preview(progress.preview)
    strengths = task.strengths
    entry = stage.entry(task.face, title_of(strengths) or "sliders", strengths, start)
    here = start.path.exists()  # not where it is long past
    return Outcome(Message("slid_short" if task.short else "slid"), entry, compared=start if here else None)


def title_of(edits: Mapping[str, float]) -> str:
    """What was done, as a history's entry has it: "slim 0.5, smile"."""
    return ", ".join(
        name if strength == 1 else f"{name} {strength:g}" for name, strength in sorted(edits.items())
    )


def search_of(task: PhotoTask) -> tuple:
    """What a search for a photo's face depends on, beside the face."""
    return task.inversion.generator.name, task.inversion.preset


def bring_in(task: PhotoTask, stage: Stage, stopping: Stopping) -> Outcome:
    """Bring a photo's face into the generator until it is found or is to stop."""
    began = time.perf_counter()
    for progress in task:
        left = (time.perf_counter() - began) / progress.step * (progress.steps - progress.step)
        how_far = {"step": progress.step, "steps": progress.steps}
        stage.screen.report(progress, Message("progress_photo", how_far | {"left": left}))
        if progress.preview is not None:
            stage.screen.preview(progress.preview)
        if stopping():
            break
    found = progress.step == progress.steps
    message = Message("photo_ready") if found else Message("photo_early", how_far)
    original = stage.whole(task.cut_out.photo.unedited.pixels, UNEDITED)
    entry = stage.entry(task.face, "photo")
    if found:
        entry = replace(entry, search=search_of(task))
    return Outcome(message, entry, original=original)
