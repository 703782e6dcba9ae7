"""What a page shows of a session."""

from dataclasses import dataclass
from pathlib import Path

from draggan.app.history import Subject


@dataclass(frozen=True)
class PhotoView:
    """Of a session's own photo. Paths are files of the session."""

    faces: tuple[Path, ...]  # cut out, largest first
    chosen: int
    before: Path | None  # JPEG of the whole photo, where a face of it is shown
    after: Path | None  # the same with the face as it is now


@dataclass(frozen=True)
class View:
    """What to show of a session now. Paths are files of the session."""

    version: int  # another one where something changed
    image: Path
    note: tuple[str, dict]  # key and values of a text
    running: bool
    place: int | None  # in the line: 0 at work
    step: int
    progress: tuple[str, dict] | None  # how far a drag or another job has come: key and values of a text
    distance: float | None  # mean, pixels; None without a drag
    subject: Subject
    resolution: int  # of the picture, pixels
    is_face: bool  # one-click edits make sense
    last_point: tuple[float, float] | None  # put down last
    result: Path  # PNG of what is shown, without marks
    before: Path | None  # PNG of what the last drag began with
    animation: Path | None
    gallery: tuple[Path, ...]  # thumbnails
    at: int  # index into the gallery of what is shown; -1: it is not there
    photo: PhotoView
    sliders: tuple[str, ...]  # the edits that have one here
    about_sliders: tuple[str, dict]  # how to use them, or why there are none
    strengths: dict[str, float]  # how they stand; what is not named is at 0
