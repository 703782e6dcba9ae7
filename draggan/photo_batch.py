"""Photos for the batch command: which there are, and each one's face brought into the generator."""

from collections.abc import Callable
from pathlib import Path

from common.commandline import UserError
from draggan.edit_files import edit_note
from draggan.face import Face
from draggan.generators import Directions, Generator, ModelError
from draggan.identity import Identity, identity_distance
from draggan.landmarks import LandmarkDetector
from draggan.perceptual import Perceptual
from draggan.photo_editor import CutOut, PhotoTask, open_saved, save
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
    """Faces of photos for `edit_face`. Raises ModelError where the perceptual network is missing."""

    def __init__(
        self,
        photos: dict[str, Path],
        generator: Generator,
        detector: LandmarkDetector,
        identity: Identity,
        preset: str,
        face: int = 0,
        keep: str | None = None,
        directions: Directions | None = None,
    ):
        if not generator.is_face:
            raise ModelError(f"photos of faces need a face model, and {generator.name} is none")
        self.photos, self.generator, self.detector, self.identity = photos, generator, detector, identity
        self.preset, self.face, self.keep = preset, face, Path(keep) if keep else None
        self.directions = directions
        self.perceptual = Perceptual(generator.device)

    def name(self, key: str) -> str:
        """What the pictures of a photo are called: like the photo, with its ending only where two share a name."""
        stem = Path(key).stem
        alone = sum(Path(other).stem == stem for other in self.photos) == 1
        return stem if alone else key

    def open(self, key: str, record: dict, say: Callable[[str], None]) -> Face:
        """The face of a photo, found in the generator or taken from where it is kept.

        PhotoError where the photo cannot be used. say: is given how far it is.
        """
        record["name"] = self.name(key)
        photo = open_photo(self.photos[key], key)
        if photo.notices:
            record["notices"] = list(photo.notices)
        kept = self.keep / f"{key}.{self.preset}.{self.face}.safetensors" if self.keep else None
        if kept and kept.is_file():
            face = open_saved(kept, photo, self.generator, self.detector, self.directions).face()
        else:
            face = self._find(key, photo, record, say)
            if kept:
                save(kept, face.subject)
        cut_out, drawn = face.subject.cut_out, face.generator.picture(face.styles)
        record["inversion_error"] = cut_out.error(drawn)
        record["inversion_identity"] = identity_distance(
            *(self.identity.describe(picture, cut_out.points) for picture in (cut_out.aligned, drawn))
        )
        return face

    def _find(self, key: str, photo: Photo, record: dict, say: Callable[[str], None]) -> Face:
        faces = find_faces(photo, self.detector)
        if self.face >= len(faces):
            raise PhotoError(f"{key} has {len(faces)} faces, so there is no --face {self.face}")
        cut_out = CutOut(photo, faces[self.face], self.generator.resolution)
        task = PhotoTask(
            cut_out, self.generator, self.detector, self.directions, self.preset, self.perceptual
        )
        for progress in task:
            say(f"{progress.stage} {progress.step} of {progress.steps}")
            record["inversion_seconds"] = progress.seconds
        return task.face

    def write(self, face: Face, path: Path, record: dict | None) -> None:
        """The whole photo with the face's change in it. record: what its metadata says; None: it is not edited."""
        photo = face.subject.cut_out.photo
        if record is None:
            photo.write(path, photo.pixels)
        else:
            photo.write(path, face.subject.paste(face), Edit=edit_note(record))
