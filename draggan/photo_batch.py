"""Photos for the batch command: which there are, and each one's face brought into the generator."""

from collections.abc import Callable
from pathlib import Path

from common.commandline import UserError
from draggan.edit_files import edit_note
from draggan.editor import FaceState
from draggan.generators import Directions, Generator, ModelError
from draggan.identity import Identity, identity_distance
from draggan.landmarks import LandmarkDetector
from draggan.perceptual import Perceptual
from draggan.photo_editor import PhotoEditor, PhotoFace, open_saved, save
from draggan.photos import SUFFIXES, PhotoError, find_faces, open_photo


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

    def open(self, key: str, record: dict, say: Callable[[str], None]) -> tuple[PhotoEditor, FaceState]:
        """Open a photo and invert its face, or take the inversion that is kept; PhotoError if it cannot be used."""
        record["name"] = self.name(key)
        photo = open_photo(self.photos[key], key)
        if photo.notices:
            record["notices"] = list(photo.notices)
        kept = self.keep / f"{key}.{self.preset}.{self.face}.safetensors" if self.keep else None
        if kept and kept.is_file():
            face, inverted = open_saved(kept, photo, self.generator)
        else:
            faces = find_faces(photo, self.detector)
            if self.face >= len(faces):
                raise PhotoError(f"{key} has {len(faces)} faces, so there is no --face {self.face}")
            face = PhotoFace(photo, faces[self.face], self.generator.resolution)
            inversion = face.invert(self.generator, self.preset, self.perceptual)
            for progress in inversion:
                say(f"{progress.stage} {progress.step} of {progress.steps}")
                record["inversion_seconds"] = progress.seconds
            inverted = inversion.result
            if kept:
                save(kept, face, inverted)
        editor = PhotoEditor(face, inverted, self.detector, self.directions)
        drawn = inverted.generator.picture(inverted.styles)
        record["inversion_error"] = face.error(drawn)
        record["inversion_identity"] = identity_distance(
            *(self.identity.describe(picture, face.points) for picture in (face.aligned, drawn))
        )
        return editor, editor.look(inverted.styles)

    def write(self, editor: PhotoEditor, face: FaceState, path: Path, record: dict | None) -> None:
        """The whole photo with the face's change in it; without a record: as it was."""
        photo = editor.face.photo
        if record is None:
            photo.write(path, photo.pixels)
        else:
            photo.write(path, editor.paste(face.styles, face.generator), Edit=edit_note(record))
