"""Photos for the batch command: which there are, and each one's face brought into the generator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from common.commandline import UserError
from draggan.edit_files import edit_note
from draggan.face import Face
from draggan.generators import Directions, Generator, ModelError
from draggan.identity import Identity, identity_distance
from draggan.landmarks import Detection, LandmarkDetector
from draggan.perceptual import Perceptual
from draggan.photo_editor import CutOut, PhotoSubject, PhotoTask, open_saved, save
from draggan.photos import SUFFIXES, Photo, PhotoError, find_faces, open_photo


def list_photos(image: str) -> dict[str, Path]:
    """Photos by name: the file, or all photos of the folder. UserError where there are none."""
    path = Path(image)
    if path.is_file():
        return {path.name: path}
    if not path.is_dir():
        raise UserError(f"--image {image}: there is no such file or folder")
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise UserError(f"--image {image}: no photos in this folder; known endings: {' '.join(SUFFIXES)}")
    return {p.name: p for p in found}


class PhotoSource:
    """Faces of photos; see face_sources.py. Raises ModelError where the perceptual network is missing.

    faces: which ones of each photo, 0 the largest; None: all. Of several, each is edited in the photo as the ones
    before have left it, so that one photo comes out.
    """

    def __init__(
        self,
        photos: dict[str, Path],
        generator: Generator,
        detector: LandmarkDetector,
        identity: Identity,
        preset: str,
        faces: tuple[int, ...] | None = (0,),
        keep: str | None = None,
        directions: Directions | None = None,
    ):
        if not generator.is_face:
            raise ModelError(f"photos of faces need a face model, and {generator.name} is none")
        self.photos, self.generator, self.detector, self.identity = photos, generator, detector, identity
        self.preset, self.chosen, self.keep = preset, faces, Path(keep) if keep else None
        self.directions = directions
        self._opened: _Opened | None = None
        self.perceptual = Perceptual(generator.device)

    def name(self, key: str) -> str:
        """What the pictures of a photo are called: like the photo, with its ending only where two share a name."""
        stem = Path(key).stem
        alone = sum(Path(other).stem == stem for other in self.photos) == 1
        return stem if alone else key

    def parts(self, key: str) -> list[str]:
        """A photo with one face to edit is called like its file, the faces of several FILE#0, FILE#1, ..."""
        self._opened = None
        if self.chosen is not None and len(self.chosen) == 1:
            return [key]
        try:
            opened = self._open(key)
        except PhotoError:  # said when it is opened once more
            return [key]
        numbers = range(len(opened.faces)) if self.chosen is None else self.chosen
        opened.parts = {f"{key}#{number}": number for number in numbers}
        return list(opened.parts)

    def _open(self, key: str) -> "_Opened":
        if self._opened is None or self._opened.key != key:
            photo = open_photo(self.photos[key], key)
            self._opened = _Opened(key, photo, photo, find_faces(photo, self.detector))
        return self._opened

    def open(self, part: str, record: dict, say: Callable[[str], None]) -> Face:
        """A face of a photo, found in the generator or taken from where it is kept.

        PhotoError where the photo cannot be used. say: is given how far it is.
        """
        several = self._opened is not None and part in self._opened.parts
        key = self._opened.key if several else part
        number = self._opened.parts[part] if several else (self.chosen or (0,))[0]
        record["name"] = self.name(key)
        if several:
            record |= {"photo": key, "face": number, "faces": len(self._opened.parts)}
        opened = self._open_kept(key, number) or self._open(key)
        photo = opened.photo
        if photo.notices:
            record["notices"] = list(photo.notices)
        kept = self._kept(key, number)
        if kept and kept.is_file():
            face = open_saved(kept, photo, self.generator, self.detector, self.directions).face()
        else:
            face = self._find(opened, number, record, say)
            if kept:
                save(kept, face.subject)
        cut_out, drawn = face.subject.cut_out, face.generator.picture(face.styles)
        record["inversion_error"] = cut_out.error(drawn)
        record["inversion_identity"] = identity_distance(
            *(self.identity.describe(picture, cut_out.points) for picture in (cut_out.aligned, drawn))
        )
        return face if opened.now is photo else moved_to(opened.now, face.subject).face()

    def _kept(self, key: str, number: int) -> Path | None:
        """Where an inverted face is kept."""
        return self.keep / f"{key}.{self.preset}.{number}.safetensors" if self.keep else None

    def _open_kept(self, key: str, number: int) -> "_Opened | None":
        """A photo whose one face is kept: its faces need not be looked for."""
        kept = self._kept(key, number)
        if self._opened is not None or not (kept and kept.is_file()):
            return None
        photo = open_photo(self.photos[key], key)
        self._opened = _Opened(key, photo, photo, [])
        return self._opened

    def _find(self, opened: "_Opened", number: int, record: dict, say: Callable[[str], None]) -> Face:
        if number >= len(opened.faces):
            raise PhotoError(f"{opened.key} has {len(opened.faces)} faces, so there is no --face {number}")
        cut_out = CutOut(opened.photo, opened.faces[number], self.generator.resolution)
        task = PhotoTask(
            cut_out, self.generator, self.detector, self.directions, self.preset, self.perceptual
        )
        for progress in task:
            say(f"{progress.stage} {progress.step} of {progress.steps}")
            record["inversion_seconds"] = progress.seconds
        return task.face

    def write(self, face: Face, path: Path, record: dict | None) -> None:
        """The whole photo with the face's change in it. record: what its metadata says; None: it is not edited."""
        opened = self._opened
        if record is None:
            if not opened.written:
                opened.photo.write(path, opened.photo.pixels)
                opened.written = True
        else:
            pixels = face.subject.paste(face)
            face.subject.cut_out.photo.write(path, pixels, Edit=edit_note(record))
            opened.now = face.subject.cut_out.photo.edited(pixels)


@dataclass
class _Opened:
    """The photo at work."""

    key: str
    photo: Photo  # as it came
    now: Photo  # with the faces that were edited so far
    faces: list[Detection]
    written: bool = False  # beside what comes out
    parts: dict[str, int] = field(default_factory=dict)  # of several faces: their names and numbers


def moved_to(photo: Photo, subject: PhotoSubject) -> PhotoSubject:
    """The same face in the same photo of other pixels: another face of it was edited."""
    cut_out = CutOut(photo, subject.cut_out.face, subject.cut_out.size)
    return PhotoSubject(cut_out, subject.inverted, subject.detector, subject.directions)


def parse_faces(text: str) -> tuple[int, ...] | None:
    """ "0" → (0,), "0,2" → (0, 2), "all" → None. UserError for anything else."""
    if text.strip() == "all":
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 5 for part in parts):
        raise UserError(f"--face {text}: 0 is the largest face, 1 the next; write 0, or 0,2, or all")
    return tuple(dict.fromkeys(int(part) for part in parts))
