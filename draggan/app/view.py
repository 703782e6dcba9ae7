"""What a page shows of a session."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from draggan.app.history import Entry, History
from draggan.app.open_photo import OpenPhoto
from draggan.app.queue import Worker
from draggan.app.sliders import SliderState, about
from draggan.app.stage import Stage
from draggan.app.texts import Message
from draggan.edits import EDITS
from draggan.instant import learned_edits
from draggan.photo_editor import PhotoSubject


@dataclass(frozen=True)
class PhotoView:
    """Of the photo that a person has put in. Paths are files of the session."""

    shown: Path | None  # JPEG of it
    faces: tuple[Path, ...]  # cut out, largest first
    chosen: int
    preset: str  # how it is to be brought in
    before: Path | None  # JPEG of the whole photo, where a face of it is shown
    after: Path | None  # the same with the face as it is now
    compared: tuple[Message, ...]  # what these two are called


@dataclass(frozen=True)
class View:
    """What to show of a session now. Paths are files of the session."""

    version: int  # another one where something changed
    image: Path  # JPEG
    handles: list[list[float]]  # [x, y] in pixels of the picture
    targets: list[list[float]]  # one fewer while one is still to come
    of_an_edit: bool  # the marks are an edit's; a new point replaces them
    moving: bool  # the next point moves the last one
    region: np.ndarray | None  # (H, W), above 0.5 where the picture may change; None: everywhere
    landmarks: np.ndarray | None  # (68, 2), where they are shown
    landmarks_shown: bool  # they are asked for
    acknowledged: int  # how many operations on the picture have come
    message: Message
    running: bool
    place: int | None  # in the queue: 0 at work
    step: int
    progress: Message | None  # how far the task at work has come
    distance: float | None  # of points to their targets on average, pixels; None without a drag
    model: str
    base_model: str  # its name without the class
    classes: int  # that it knows
    label: int | None  # the class that it draws
    seed: int | None  # None for a photo
    resolution: int  # of the picture, pixels
    is_face: bool  # one-click edits make sense
    last_point: tuple[float, float] | None  # put down last
    result: Path  # PNG of what is shown, without marks
    before: Path | None  # PNG of what the last task began with
    compared: tuple[Message, ...]  # what the two are called: the one before, and the one that is shown
    earlier: Path | None  # the same, or of the result before this one
    animation: Path | None
    can_undo: bool
    can_redo: bool
    gallery: tuple[tuple[Path, Message], ...]  # thumbnails and what they are called
    pinned: bool  # results are compared with one that was chosen
    choices: tuple[Path, ...]  # faces to choose from
    at: int  # index into the gallery of what is shown; -1: it is not there
    photo: PhotoView
    sliders: tuple[str, ...]  # the edits that have one here
    about_sliders: Message  # how to use them, or why there are none
    strengths: dict[str, float]  # how they stand; what is not named is at 0


def view_of(
    stage: Stage,
    worker: Worker,
    sliders: SliderState,
    photo: OpenPhoto,
    problem: str | None,
    of_an_edit: bool,
    acknowledged: int,
    choices: list[Path],
) -> View:
    """The view of a session's parts. problem: what is wrong with what was learned of the model."""
    screen, history, face = stage.screen, stage.history, stage.face
    now, last, compared = history.now, screen.marks.last, history.pinned or history.before
    original = stage.original if isinstance(face.subject, PhotoSubject) else None
    return View(
        version=worker.version,
        image=screen.image,
        handles=[list(point) for point in screen.marks.handles],
        targets=[list(point) for point in screen.marks.targets],
        of_an_edit=of_an_edit,
        moving=screen.marks.moving,
        region=screen.marks.region,
        landmarks=screen.landmarks,
        landmarks_shown=screen.landmarks_shown,
        acknowledged=acknowledged,
        message=screen.note,
        running=worker.running,
        place=worker.place,
        step=screen.step,
        progress=screen.progress,
        distance=screen.distance,
        model=face.generator.name,
        base_model=face.subject.generator.base_name,
        classes=face.subject.generator.classes,
        label=face.subject.generator.label,
        seed=face.subject.seed,
        resolution=face.generator.resolution,
        is_face=face.generator.is_face,
        last_point=tuple(last) if last else None,
        result=now.path,
        before=compared.path if compared else None,
        compared=(caption(history, compared), caption(history, now)) if compared else (),
        earlier=history.earlier.path if history.earlier else None,
        animation=stage.animation,
        can_undo=history.can_walk(-1),
        can_redo=history.can_walk(1),
        gallery=tuple((entry.thumbnail, caption(history, entry)) for entry in history.entries),
        pinned=history.pinned is not None,
        choices=tuple(choices),
        at=history.place,
        photo=PhotoView(
            *(photo.shown, photo.pictures, photo.chosen, photo.preset, original, now.whole),
            compared=(Message("title_seed"), caption(history, now)) if now.whole else (),
        ),
        sliders=learned_edits(face),
        about_sliders=about(face, problem),
        strengths=sliders.strengths(now),
    )


def caption(history: History, entry: Entry) -> Message:
    """What the history calls a result: the seed, what was done, and of several of which that is true a number."""
    seed, number = entry.face.subject.seed, history.number(entry)
    told_apart = number > 1 and entry.title != "seed"  # nothing was done to tell those apart by
    done = done_to(entry) + ((Message("caption_number", {"number": number}),) if told_apart else ())
    return Message("caption" if seed is not None else "caption_photo", {"seed": seed, "done": done})


def done_to(entry: Entry) -> tuple:
    """The title of an entry in words: edits with their strengths, or one word."""
    words = []
    for name, strength in (part.strip().partition(" ")[::2] for part in entry.title.split(",")):
        edit = Message("title_edit", {"name": name, "strength": strength}) if strength else Message(name)
        words.append(edit if name in EDITS else Message(f"title_{name}"))
    return tuple(words)
