"""68 facial landmarks (iBUG 300-W order) behind one interface.

    detector = landmark_detector("auto")
    faces = detector.detect(image)        # largest first; an empty list where there is none

Order of the points: 0-16 jaw from the image's left ear to the right one, 17-21 and 22-26 brows, 27-35 nose,
36-41 and 42-47 eyes, 48-59 outer and 60-67 inner lips. Points are (x, y) in pixels, pixel centres at whole
numbers; of a face turned far to the side the hidden points are the detector's guess.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from draggan.generators import CHECKPOINTS, ModelError

BACKENDS = ("auto", "dlib", "face-alignment")
DLIB_POINTS = "shape_predictor_68_face_landmarks.dat"
# Where the face-alignment package has its weights from; the digits in a name begin its sha256.
FAN_ADDRESS = "https://www.adrianbulat.com/downloads/python-fan/"
FAN_FILES = {"2DFAN4-11f355bf06.pth.tar": "11f355bf06", "s3fd-619a316812.pth": "619a316812"}


@dataclass(frozen=True)
class Detection:
    """A face that was found: 68 points and its box (left, top, right, bottom), both in pixels."""

    points: np.ndarray  # (68, 2) float32
    box: tuple[float, float, float, float]
    confidence: float  # of the detector; comparable within one detector only

    @property
    def area(self) -> float:
        left, top, right, bottom = self.box
        return max(right - left, 0) * max(bottom - top, 0)


class LandmarkDetector(Protocol):
    name: str

    def detect(self, image: np.ndarray) -> list[Detection]:
        """All faces in an (H, W, 3) uint8 RGB image, largest first; [] where there is none."""


def landmark_detector(backend: str = "auto", device: torch.device | str = "cpu") -> LandmarkDetector:
    """The detector of that name; "auto" is face-alignment where its weights are already here, else dlib.

    Raises ModelError for an unknown name, and where weights are missing or broken.
    """
    if backend not in BACKENDS:
        raise ModelError(f"unknown landmark detector {backend!r}; known: {', '.join(BACKENDS)}")
    if backend == "auto":
        backend = "face-alignment" if face_alignment_weights_here() else "dlib"
    return DlibDetector() if backend == "dlib" else FaceAlignmentDetector(device)


def fan_folder() -> Path:
    """Where the face-alignment package looks for its weights."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def face_alignment_weights_here() -> bool:
    """True if the face-alignment package would find its weights without a download."""
    return all((fan_folder() / name).is_file() for name in FAN_FILES)


@lru_cache(maxsize=2)
def dlib_model(kind: str, file: str, model: str):
    """A dlib model read from checkpoints/, once; ModelError where it is missing or broken."""
    import dlib

    path = CHECKPOINTS / file
    if not path.is_file():
        raise ModelError(f"{path} is not there; fetch it with: python download_models.py {model}")
    try:
        return getattr(dlib, kind)(str(path))
    except RuntimeError as error:
        raise ModelError(
            f"{path} is broken ({error}); delete it and fetch it again: python download_models.py {model}"
        ) from None


def check_image(image: np.ndarray) -> np.ndarray:
    """The image, contiguous; ValueError if it is not (H, W, 3) uint8."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"expected an (H, W, 3) uint8 RGB image, got {image.dtype} {image.shape}")
    return np.ascontiguousarray(image)


class DlibDetector:
    """dlib's HOG face detector and its 68-point predictor (Kazemi & Sullivan 2014). Works offline.

    Its confidence is the margin of its SVM. On 64 photos it found faces at 0.4 to 3.5, and what is no face, or stands
    on its head, at 0 to 0.9: see face_search.py for what is made of it.
    """

    name = "dlib"
    likely = 0.25  # from here on a face is believed that was looked at twice
    certain = 1.0  # from here on at once
    weak = 0.35  # below, a face comes after all others, however large it is

    def __init__(self):
        import dlib

        self._rectangle = dlib.rectangle
        self._boxes = dlib.get_frontal_face_detector()
        self._points = dlib_model("shape_predictor", DLIB_POINTS, "dlib-landmarks")

    def detect(self, image: np.ndarray) -> list[Detection]:
        # The HOG detector sees faces of 80 pixels and more: a portrait is searched at 512 pixels, and only
        # where that finds nothing at its own size (up to 2048) for the smaller faces of a group.
        faces = self._at(check_image(image), 512)
        return faces if faces or max(image.shape[:2]) <= 512 else self._at(image, 2048)

    def detect_all(self, image: np.ndarray) -> list[Detection]:
        """As `detect`, but the small faces beside a large one, too; takes about a second."""
        faces = self._at(check_image(image), 512)
        if max(image.shape[:2]) > 512:
            # The predictor's points are as good at any size, so the face that was found first stays.
            centres = [np.mean(face.points, axis=0) for face in faces]
            for face in self._at(image, 2048):
                left, top, right, bottom = face.box
                if not any(left < x < right and top < y < bottom for x, y in centres):
                    faces.append(face)
        return self._sorted(faces)

    def detect_small(self, image: np.ndarray) -> list[Detection]:
        """All faces of 80 pixels and more at the size that the image has, however large it is."""
        return self._at(check_image(image), max(image.shape[:2]))

    def _at(self, image: np.ndarray, side: int) -> list[Detection]:
        """Faces of an image that is searched at `side` pixels at most, largest first, weak ones last."""
        import cv2

        scale = min(1.0, side / max(image.shape[:2]))
        small = np.ascontiguousarray(image)
        if scale < 1:
            size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        rectangles, scores, _ = self._boxes.run(small, 1 if max(small.shape[:2]) < 256 else 0, 0.0)
        faces = [self._face(small, scale, *found) for found in zip(rectangles, scores, strict=True)]
        return self._sorted(faces)

    def _sorted(self, faces: list[Detection]) -> list[Detection]:
        return sorted(faces, key=lambda face: (face.confidence < self.weak, -face.area))

    def detect_in(self, image: np.ndarray, box: tuple[float, float, float, float]) -> list[Detection]:
        """The face that is known to lie in a box, where the search for faces does not see it.

        The predictor starts from the box, so the points are the mean over boxes a little larger, smaller and
        beside it. They follow a change of the whole face less than those of a box that is found anew.
        """
        image, (left, top, right, bottom) = check_image(image), box
        x, y, half = (left + right) / 2, (top + bottom) / 2, (right - left) / 2
        found = []
        for size in (0.9 * half, half, 1.1 * half):
            for across, down in ((0, 0), (-0.08, 0), (0.08, 0), (0, -0.08), (0, 0.08)):
                cx, cy = x + across * half, y + down * half
                rectangle = self._rectangle(*(round(v) for v in (cx - size, cy - size, cx + size, cy + size)))
                found.append(self._face(image, 1.0, rectangle, 0.0).points)
        return [Detection(np.mean(found, axis=0), tuple(float(v) for v in box), 0.0)]

    def _face(self, image: np.ndarray, scale: float, rectangle, score: float) -> Detection:
        """The face in a rectangle of an image that was shrunken by `scale`."""
        points = np.array([(p.x, p.y) for p in self._points(image, rectangle).parts()], np.float32)
        box = (rectangle.left(), rectangle.top(), rectangle.right() + 1, rectangle.bottom() + 1)
        points = (points + 0.5) / scale - 0.5
        return Detection(points, tuple(float(v) / scale for v in box), float(score))


class FaceAlignmentDetector:
    """The face-alignment package: FAN (Bulat & Tzimiropoulos 2017) on the faces that S3FD finds.

    Its weights are fetched from the web on first use, or beforehand by download_models.py.
    """

    name = "face-alignment"

    def __init__(self, device: torch.device | str = "cpu"):
        import face_alignment

        folder = fan_folder()
        try:
            for name, digits in FAN_FILES.items():
                if not (folder / name).is_file():
                    folder.mkdir(parents=True, exist_ok=True)
                    torch.hub.download_url_to_file(FAN_ADDRESS + name, str(folder / name), digits)
        except (OSError, RuntimeError) as error:  # no network, or other bytes than they should be
            raise ModelError(
                f"the weights of face-alignment cannot be fetched ({error}); with a network: "
                "python download_models.py face-alignment; without: --landmarks dlib"
            ) from None
        try:
            self._aligner = face_alignment.FaceAlignment(
                face_alignment.LandmarksType.TWO_D,
                device=str(device),
                flip_input=False,
                face_detector="sfd",
                # Without a path the package would unpickle this file without restriction.
                face_detector_kwargs={"path_to_detector": str(folder / "s3fd-619a316812.pth")},
                compile=False,
            )
        except Exception as error:  # whatever a file that is no checkpoint sets off in torch.load
            raise ModelError(
                f"the weights of face-alignment in {folder} are broken ({str(error).splitlines()[0]}); delete "
                f"{' and '.join(FAN_FILES)} and fetch them again: python download_models.py face-alignment"
            ) from None

    def detect(self, image: np.ndarray) -> list[Detection]:
        image = check_image(image)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "No faces were detected."
            points, scores, boxes = self._aligner.get_landmarks_from_image(
                image, return_bboxes=True, return_landmark_score=True
            )
        faces = [
            Detection(p[:, :2].astype(np.float32), tuple(float(v) for v in box[:4]), float(np.mean(score)))
            for p, score, box in zip(points or [], scores or [], boxes if points else [], strict=True)
        ]
        return sorted(faces, key=lambda face: -face.area)
