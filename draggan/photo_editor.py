"""Editing a face of a photo: the same edits, and their change put back into the whole photo.

    face = PhotoFace(photo, find_faces(photo, detector)[0], generator.resolution)
    inversion = face.invert(generator, "fast")
    for progress in inversion: ...                   # previews; may be left at any time
    editor = PhotoEditor(face, inversion.result, detector)
    run = EditRun(editor, editor.look(editor.styles), "smile")
    for progress in run: ...
    photo.write(Path("smile.png"), editor.paste(run.result.face.styles, run.result.face.generator))

What an edit shows, and what its landmarks are found in, is the aligned photo with the change: edited minus
reconstructed. So the photo keeps its own skin, hair and background, and a face drawn with the styles that were
found is the photo itself.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from common.commandline import write_atomically
from draggan.alignment import (
    Alignment,
    cut,
    face_region,
    ffhq_alignment,
    fine_structure,
    ghost_share,
    hull,
    paste,
    without_ghosts,
)
from draggan.drag import Settings, with_settings
from draggan.editor import FaceEditor
from draggan.edits import frame
from draggan.generators import Directions, Generator
from draggan.inversion import Inversion, Inverted, Preset
from draggan.landmarks import Face, LandmarkDetector
from draggan.perceptual import Perceptual
from draggan.photos import Photo, PhotoError

LUMA = np.array((0.299, 0.587, 0.114), np.float32)
# Of the drag in a photo, beside what edits.py says: landmarks follow it less than in a generated picture, so it
# goes on for longer; and a jaw in smaller steps, or it is pulled in much too far before they have seen it.
DRAG = {"slim": {"max_steps": 64, "lr": 0.002}, "smile": {"max_steps": 112}}
FILE_KIND = "draggan-photo-1"  # in a saved file's metadata


@dataclass
class PhotoFace:
    """One face of a photo, cut out as the generator's training pictures were. PhotoError where that cannot be."""

    photo: Photo
    face: Face  # as find_faces gives it, in pixels of the photo
    size: int  # of the cut-out: the generator's resolution
    alignment: Alignment = field(init=False)
    aligned: np.ndarray = field(init=False)  # (size, size, 3) uint8
    points: np.ndarray = field(init=False)  # landmarks (68, 2) in it

    def __post_init__(self):
        try:
            self.alignment = ffhq_alignment(self.face.points, self.size)
            self.aligned = cut(self.photo.pixels, self.alignment)
        except ValueError as error:
            raise PhotoError.of("bad_face", name=self.photo.name, reason=error) from None
        self.points = self.alignment.to_aligned(self.face.points)

    def invert(
        self, generator: Generator, preset: str | Preset = "fast", perceptual: Perceptual | None = None
    ) -> Inversion:
        """The search for this face; see inversion.py."""
        return Inversion(generator, self.aligned, self.points, preset, perceptual)

    def error(self, picture: np.ndarray) -> float:
        """Mean absolute difference on [0, 1] between a picture (size, size, 3) uint8 and the photo, on the face.

        The face: the convex hull of the landmarks, jaw to brows.
        """
        face = hull(self.points, self.size, forehead=0.0)
        return float(np.abs(picture[face].astype(np.float32) - self.aligned[face]).mean() / 255)


class PhotoEditor(FaceEditor):
    """A photo's face, the generator that draws it and a detector."""

    def __init__(
        self,
        face: PhotoFace,
        inverted: Inverted,
        detector: LandmarkDetector,
        directions: Directions | None = None,
    ):
        super().__init__(inverted.generator, detector, directions)
        self.face, self.inverted = face, inverted
        self.styles = inverted.styles  # where an edit starts
        self.region = face_region(face.points, face.size)
        self._also = np.zeros((face.size, face.size), bool)
        self._reconstructed = self._image(inverted.styles)
        self._unit = frame(face.points).unit
        self._fine = fine_structure(face.aligned - self._reconstructed, self._unit)

        # Some faces are found in the photo, but no longer in the cut-out: there it is known where to look.
        self._box = None
        if hasattr(detector, "detect_in") and not detector.detect(face.aligned):
            left, top, right, bottom = face.face.box
            x, y = face.alignment.to_aligned(np.array(((left + right) / 2, (top + bottom) / 2)))
            half = 0.5 * max(right - left, bottom - top) / face.alignment.scale
            self._box = (x - half, y - half, x + half, y + half)

    def find(self, picture: np.ndarray) -> list[Face]:
        return self.detector.detect_in(picture, self._box) if self._box else super().find(picture)

    def settings(self, name: str) -> Settings:
        return with_settings(super().settings(name), **DRAG.get(name, {}))

    def drags(self, name: str) -> tuple[bool, ...]:
        # The generator was tuned around the photo's styles: direction and drag lead too far away from them together.
        return tuple(reversed(super().drags(name)))

    def allow(self, mask: np.ndarray) -> None:
        """Let the change show where a mask (H, W) of any size is above 0.5, too: ears beside a slim face, hair."""
        size = (self.face.size, self.face.size)
        self._also |= cv2.resize(np.asarray(mask, np.float32), size) > 0.5
        self.region = face_region(self.face.points, self.face.size, also=self._also)

    @torch.no_grad()
    def _image(self, styles: torch.Tensor, generator: Generator | None = None) -> np.ndarray:
        """(size, size, 3) float32, in levels of 0 to 255."""
        image = (generator or self.generator).image(styles)[0].float().clamp(-1, 1)
        return image.add(1).mul(127.5).permute(1, 2, 0).contiguous().cpu().numpy()

    def change(self, styles: torch.Tensor, generator: Generator | None = None) -> np.ndarray:
        """What styles change in the aligned photo: (size, size, 3) float32 in levels of 0 to 255.

        `generator`: what draws them, for a face whose edits were kept to a region.
        """
        change = without_ghosts(self._image(styles, generator) - self._reconstructed, self._fine, self._unit)
        if self.face.photo.grey:
            change = np.repeat((change @ LUMA)[..., None], 3, axis=2)
        return change

    def draw(
        self, styles: torch.Tensor, generator: Generator | None = None, size: int | None = None
    ) -> np.ndarray:
        """The aligned photo (size, size, 3) uint8 with the change that the styles (1, rows, w_dim) make."""
        if size is not None and size < self.face.size:
            small = (generator or self.generator).picture(styles, size).astype(np.float32)
            drawn, photo, region = (
                cv2.resize(each, (size, size), interpolation=cv2.INTER_AREA)
                for each in (self._reconstructed, self.face.aligned, self.region)
            )
            change = small - drawn
            if self.face.photo.grey:
                change = np.repeat((change @ LUMA)[..., None], 3, axis=2)
            return np.clip(np.rint(photo + region[..., None] * change), 0, 255).astype(np.uint8)
        moved = self.face.aligned + self.region[..., None] * self.change(styles, generator)
        return np.clip(np.rint(moved), 0, 255).astype(np.uint8)

    def paste(self, styles: torch.Tensor, generator: Generator | None = None) -> np.ndarray:
        """The whole photo (H, W, 3) uint8, sRGB, with that change; pixels outside the region as they were."""
        change = self.change(styles, generator)
        gone = ghost_share(change, self._unit)
        return paste(self.face.photo.pixels, change, self.region, self.face.alignment, gone)


# --- saved and opened again -------------------------------------------------------------------------------


def _fingerprint(face: PhotoFace) -> str:
    return hashlib.sha256(np.ascontiguousarray(face.photo.pixels)).hexdigest()


def save(path: Path, face: PhotoFace, inverted: Inverted) -> None:
    """Styles, tuned weights and the place of the face as one safetensors file. UserError if it cannot be written."""
    tensors = {f"weights.{name}": tensor for name, tensor in inverted.weights.items()}
    tensors["styles"] = inverted.styles
    tensors["points"] = torch.from_numpy(np.asarray(face.face.points, np.float32))
    tensors["box"] = torch.tensor(face.face.box)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about = {"kind": FILE_KIND, "model": inverted.generator.name, "photo": _fingerprint(face)}
    metadata = {"draggan": json.dumps(about)}
    write_atomically(path, lambda part: save_file(tensors, part, metadata=metadata))


def open_saved(path: Path, photo: Photo, generator: Generator) -> tuple[PhotoFace, Inverted]:
    """What `save` wrote, for the same photo and generator; PhotoError where it is for others, or no such file."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["draggan"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
        if about["kind"] != FILE_KIND:
            raise KeyError("kind")
        points, box = tensors["points"].numpy(), tuple(tensors["box"].tolist())
        styles = tensors["styles"].to(generator.device, generator.dtype)
    except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError):
        raise PhotoError(f"{path} is no saved face of a photo; invert the photo again") from None
    if about["model"] != generator.name:
        raise PhotoError(f"{path} was made with the model {about['model']}, not {generator.name}")
    face = PhotoFace(photo, Face(points, box, 1.0), generator.resolution)
    if about["photo"] != _fingerprint(face):
        raise PhotoError(f"{path} belongs to another photo than {photo.name}")
    weights = {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}
    try:
        generator._check(styles)
        own = generator.copy_with(weights) if weights else generator
    except ValueError as error:
        raise PhotoError(f"{path} does not fit the model: {error}") from None
    return face, Inverted(own, styles, weights)
