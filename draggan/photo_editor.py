"""Faces of photos: brought into the generator, edited like any other, and put back into the whole photo.

cut_out = CutOut(photo, find_faces(photo, detector)[0], generator.resolution)
bringing = PhotoTask(cut_out, generator, detector, load_directions(generator), "fast")
for progress in bringing: ...                    # previews; may be left at any time
edit = EditTask(bringing.face, "smile")
for progress in edit: ...
photo.write(Path("smile.png"), edit.face.subject.paste(edit.face))
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from common.commandline import write_atomically
from draggan.alignment import (
    Alignment,
    cut,
    face_region,
    ffhq_alignment,
    hull,
    paste,
)
from draggan.face import Face, Subject
from draggan.generators import Directions, Generator
from draggan.generators.plain_objects import shown
from draggan.generators.tensor_table import check_header, check_numbers, read_json
from draggan.inversion import Inversion, Inverted, Preset
from draggan.landmarks import Detection, LandmarkDetector
from draggan.motion import LUMA, Change, explain
from draggan.perceptual import Perceptual
from draggan.photos import NOTE, Photo, PhotoError
from draggan.tasks import Progress

# Of the drag in a photo, beside what edits.py says: landmarks follow it less than in a generated picture, so it
# goes on for longer; and a jaw in smaller steps, or it is pulled in much too far before they have seen it.
DRAG = {"slim": {"max_steps": 64, "lr": 0.002}, "smile": {"max_steps": 112}}
REGIONS_KEPT = 4  # of a photo's faces: a drag and what it is compared with look at a few over and over
FILE_KIND = "draggan-photo-1"  # in a saved file's metadata


@dataclass
class CutOut:
    """One face of a photo, cut out as the generator's training pictures were. PhotoError where that cannot be."""

    photo: Photo
    face: Detection  # as find_faces gives it, in pixels of the photo
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

    def error(self, picture: np.ndarray) -> float:
        """Mean absolute difference on [0, 1] between a picture (size, size, 3) uint8 and the photo, on the face.

        The face: the convex hull of the landmarks, jaw to brows.
        """
        face = hull(self.points, self.size, forehead=0.0)
        return float(np.abs(picture[face].astype(np.float32) - self.aligned[face]).mean() / 255)


class PhotoSubject(Subject):
    """The person on a photo: the cut-out, and the generator that draws it with the styles that were found.

    What a face shows, and what its landmarks are found in, is the cut-out with the change: what moves in the
    generator's picture moves in the photo (motion.py). So the photo keeps its own skin, hair and background, and the
    face of the styles that were found is the photo itself.
    """

    note = NOTE
    drag_settings = DRAG
    # The generator was tuned around the photo's styles: direction and drag lead too far away from them together.
    drag_anew_first = True

    def __init__(
        self,
        cut_out: CutOut,
        inverted: Inverted,
        detector: LandmarkDetector,
        directions: Directions | None = None,
    ):
        super().__init__(inverted.generator, detector, directions)
        self.cut_out, self.inverted = cut_out, inverted
        self._regions: dict[bytes | None, np.ndarray] = {}
        self._reconstructed = self._image(Face(self, inverted.styles))

        # Some faces are found in the photo, but no longer in the cut-out: there it is known where to look.
        self._box = None
        if hasattr(detector, "detect_in") and not detector.detect(cut_out.aligned):
            left, top, right, bottom = cut_out.face.box
            x, y = cut_out.alignment.to_aligned(np.array(((left + right) / 2, (top + bottom) / 2)))
            half = 0.5 * max(right - left, bottom - top) / cut_out.alignment.scale
            self._box = (x - half, y - half, x + half, y + half)

    def face(self) -> Face:
        """The photo's face before any edit."""
        return Face(self, self.inverted.styles)

    def detect(self, picture: np.ndarray) -> list[Detection]:
        return self.detector.detect_in(picture, self._box) if self._box else super().detect(picture)

    def extend(self, changeable: np.ndarray | None, mask: np.ndarray) -> np.ndarray:
        """(size, size) bool. Edits reach beyond the face's own region: ears beside a slim face, hair."""
        size = (self.cut_out.size, self.cut_out.size)
        reached = cv2.resize(np.asarray(mask, np.float32), size) > 0.5
        if changeable is None:
            return reached
        return changeable if changeable[reached].all() else changeable | reached

    def region(self, face: Face) -> np.ndarray:
        """Where a face's change shows in the cut-out: (size, size) float32, feathered from 1 to 0."""
        key = None if face.changeable is None else face.changeable.tobytes()
        if key not in self._regions:
            while len(self._regions) >= REGIONS_KEPT:
                self._regions.pop(next(iter(self._regions)))
            self._regions[key] = face_region(self.cut_out.points, self.cut_out.size, also=face.changeable)
        return self._regions[key]

    @torch.no_grad()
    def _image(self, face: Face) -> np.ndarray:
        """What the generator makes of a face: (size, size, 3) float32, in levels of 0 to 255."""
        image = face.generator.image(face.styles)[0].float().clamp(-1, 1)
        return image.add(1).mul(127.5).permute(1, 2, 0).contiguous().cpu().numpy()

    def change(self, face: Face, size: int | None = None) -> Change:
        """What a face changes in the cut-out, or in one of fewer pixels."""
        aligned, region, before = self.cut_out.aligned, self.region(face), self._reconstructed
        if size is None or size >= self.cut_out.size:
            size, after = self.cut_out.size, self._image(face)
        else:
            aligned, region, before = (
                cv2.resize(each, (size, size), interpolation=cv2.INTER_AREA)
                for each in (aligned, region, before)
            )
            after = face.generator.picture(face.styles, size).astype(np.float32)
        change = explain(before, after, aligned, self._points(size), region)
        if self.cut_out.photo.grey:
            grey = (np.repeat((each @ LUMA)[..., None], 3, axis=2) for each in (change.new, change.shade))
            change = Change(change.flow, change.share, *grey)
        return change

    def _points(self, size: int) -> np.ndarray:
        """The photo's landmarks in a cut-out of so many pixels."""
        return (self.cut_out.points + 0.5) * (size / self.cut_out.size) - 0.5

    def draw(self, face: Face, size: int | None = None) -> np.ndarray:
        """The cut-out (size, size, 3) uint8 with the change that a face makes."""
        change = self.change(face, size)
        aligned, size = self.cut_out.aligned, len(change.share)
        if size < self.cut_out.size:
            aligned = cv2.resize(aligned, (size, size), interpolation=cv2.INTER_AREA)
        return change.apply(aligned, self._points(size))

    def paste(self, face: Face) -> np.ndarray:
        """The whole photo (H, W, 3) uint8, sRGB, with that change; pixels outside the region as they were."""
        cut_out = self.cut_out
        return paste(cut_out.photo.pixels, self.change(face), cut_out.face.points, cut_out.alignment)


class PhotoTask:
    """Bring a photo's face into a generator. Left early, the face is the best so far.

    preset: a name of inversion.PRESETS, or a Preset. perceptual: the features to compare by; None: read now, with a
    ModelError where their weights are missing.
    """

    name = "photo"

    def __init__(
        self,
        cut_out: CutOut,
        generator: Generator,
        detector: LandmarkDetector,
        directions: Directions | None = None,
        preset: str | Preset = "fast",
        perceptual: Perceptual | None = None,
    ):
        self.cut_out, self._detector, self._directions = cut_out, detector, directions
        self.inversion = Inversion(generator, cut_out.aligned, cut_out.points, preset, perceptual)
        self.reason: str | None = None
        self.share = 0.0
        self._steps = self._run()
        self._face: Face | None = None

    def __iter__(self) -> Iterator[Progress]:
        return self._steps

    def _run(self) -> Iterator[Progress]:
        for found in self.inversion:
            self._face, self.share = None, found.step / found.steps
            yield Progress(
                found.step, found.seconds, found.steps, found.stage, found.loss, preview=found.picture
            )
        self.reason = "step limit"

    @property
    def face(self) -> Face:
        if self._face is None:
            subject = PhotoSubject(self.cut_out, self.inversion.result, self._detector, self._directions)
            self._face = subject.face()
        return self._face

    @property
    def ok(self) -> bool:
        return self.reason is not None


# --- saved and opened again -------------------------------------------------------------------------------


def _fingerprint(photo: Photo) -> str:
    return hashlib.sha256(np.ascontiguousarray(photo.pixels)).hexdigest()


def to_tensors(subject: PhotoSubject) -> dict[str, torch.Tensor]:
    """Styles, tuned weights and the place of the face."""
    cut_out, inverted = subject.cut_out, subject.inverted
    tensors = {f"weights.{name}": tensor for name, tensor in inverted.weights.items()}
    tensors["styles"] = inverted.styles
    tensors["points"] = torch.from_numpy(np.asarray(cut_out.face.points, np.float32))
    tensors["box"] = torch.tensor(cut_out.face.box)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def from_tensors(
    tensors: dict[str, torch.Tensor],
    photo: Photo,
    generator: Generator,
    detector: LandmarkDetector,
    directions: Directions | None = None,
) -> PhotoSubject:
    """What `to_tensors` gave. KeyError, TypeError or ValueError where they do not fit; PhotoError as for a CutOut."""
    points, box = tensors["points"].float().numpy(), tuple(tensors["box"].float().flatten().tolist())
    if points.shape != (68, 2) or len(box) != 4:
        raise ValueError(f"landmarks {points.shape}")
    side = max(photo.pixels.shape)
    if not all(-side <= number <= 2 * side for number in (*points.flat, *box)):
        raise ValueError("landmarks far outside the photo")
    styles = tensors["styles"].to(generator.device, generator.dtype)
    generator._check(styles)
    weights = {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}
    check_numbers(weights | {"styles": styles})
    own = generator.copy_with(weights) if weights else generator
    cut_out = CutOut(photo, Detection(points, box, 1.0), generator.resolution)
    return PhotoSubject(cut_out, Inverted(own, styles, weights), detector, directions)


def save(path: Path, subject: PhotoSubject) -> None:
    """Styles, tuned weights and the place of the face as one safetensors file. UserError if it cannot be written."""
    name, photo = subject.inverted.generator.name, subject.cut_out.photo
    metadata = {"draggan": json.dumps({"kind": FILE_KIND, "model": name, "photo": _fingerprint(photo)})}
    write_atomically(path, lambda part: save_file(to_tensors(subject), part, metadata=metadata))


def open_saved(
    path: Path,
    photo: Photo,
    generator: Generator,
    detector: LandmarkDetector,
    directions: Directions | None = None,
) -> PhotoSubject:
    """What `save` wrote, for the same photo and generator; PhotoError where it is for others, or no such file."""
    try:
        check_header(path)
        with safe_open(path, framework="pt") as file:
            about = read_json((file.metadata() or {})["draggan"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
        if about["kind"] != FILE_KIND or not {"points", "box", "styles"} <= tensors.keys():
            raise KeyError("kind")
        model, fingerprint = about["model"], about["photo"]
    except Exception:  # whatever is met in a file that is not trusted
        raise PhotoError(f"{path} is no saved face of a photo; invert the photo again") from None
    if model != generator.name:
        raise PhotoError(f"{path} was made with the model {shown(model)}, not {generator.name}")
    if fingerprint != _fingerprint(photo):
        raise PhotoError(f"{path} belongs to another photo than {photo.name}")
    try:
        return from_tensors(tensors, photo, generator, detector, directions)
    except PhotoError:
        raise
    except (ValueError, TypeError, RuntimeError) as error:
        raise PhotoError(f"{path} does not fit the model: {shown(error, 200)}") from None
