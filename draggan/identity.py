"""What an edit costs: is it still the same person, and did the rest of the picture stay?

The person by dlib's face descriptor (a ResNet on 150x150 crops), as a distance.
"""

import functools

import numpy as np

from common.commandline import UserError
from draggan.face import Face, NoFaceError
from draggan.generators import ModelError
from draggan.landmarks import check_image, dlib_model

FILE = "dlib_face_recognition_resnet_model_v1.dat"
# What an edit may cost at its default strength: identity distance, and change outside the region.
LIMITS = {"slim": (0.40, 0.03), "smile": (0.45, 0.03), "close-eyes": (0.40, 0.03)}
LOOK_SIDE = 512
SAME_PERSON = 0.6  # dlib's own threshold: 99.4 % on Labeled Faces in the Wild
# How far a picture may come from where points by hand or strong edits begin, and from the first one: see SamePerson.
FROM_START, FROM_OWN = 0.45, 0.5


class Identity:
    """Distances between faces. Raises ModelError where the descriptor's weights are missing or broken."""

    def __init__(self):
        self._descriptor = dlib_model("face_recognition_model_v1", FILE, "dlib-identity")

    def describe(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Descriptor (128,) of the face with these landmarks (68, 2) in an (H, W, 3) uint8 RGB image."""
        import dlib

        left, top = np.floor(points.min(axis=0)).astype(int)
        right, bottom = np.ceil(points.max(axis=0)).astype(int)
        parts = [dlib.point(round(float(x)), round(float(y))) for x, y in points]
        shape = dlib.full_object_detection(
            dlib.rectangle(int(left), int(top), int(right), int(bottom)), parts
        )
        return np.array(self._descriptor.compute_face_descriptor(check_image(image), shape))


@functools.cache
def _identity() -> Identity | None:
    try:
        return Identity()
    except ModelError:
        return None


def same_person(start: Face, face: Face, limit: float = SAME_PERSON) -> bool:
    """Whether a face is still who it was at the start; True where the descriptor's weights are missing.

    NoFaceError where one has no landmarks. It looks at whole pictures, which are mostly drawn by then.
    """
    if face is start or not (identity := _identity()):
        return True
    first, now = (described(each, identity) for each in (start, face))
    return identity_distance(first, now) <= limit


def described(face: Face, identity: Identity) -> np.ndarray:
    """The descriptor of a face's picture, kept with it. NoFaceError where it has no landmarks."""
    kept = face.__dict__
    if "_described" not in kept:
        kept["_described"] = identity.describe(face.picture, face.points)
    return kept["_described"]


class SamePerson:
    """Whether a face is still who it was, at the start and in the person's first picture.

    Stricter than dlib's threshold, which is for photos of other days: here pose, light and clothes stay, and people see
    somebody else sooner. Looks at a picture of LOOK_SIDE pixels, in about a tenth of a second.

    same = SamePerson(face)
    same(other_face)           # True where nothing can be said: no face at the start, no weights of the descriptor
    """

    def __init__(self, start: Face):
        self._limits: list[tuple[np.ndarray, float]] = []  # descriptor, and how far from it one may be
        first = self._describe(start) if _identity() else None
        if first is None:
            return
        self._limits.append((first, FROM_START))
        try:
            own = self._describe(start.subject.face())
        except ValueError:  # no seed makes it
            return
        if own is not None:
            self._limits.append((own, max(FROM_OWN, identity_distance(own, first))))  # by edits before

    def __call__(self, face: Face) -> bool:
        if not self._limits:
            return True
        now = self._describe(face)
        return now is not None and all(identity_distance(one, now) <= most for one, most in self._limits)

    @staticmethod
    def _describe(face: Face) -> np.ndarray | None:
        picture = face.preview(LOOK_SIDE)
        try:
            found = face.subject.detect(picture)
        except (NoFaceError, UserError):  # no model of faces, or nothing here that finds landmarks
            return None
        return _identity().describe(picture, found[0].points) if found else None


def identity_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Euclidean distance of two descriptors; below SAME_PERSON they count as one person."""
    return float(np.linalg.norm(a - b))


def outside_change(before: np.ndarray, after: np.ndarray, free: np.ndarray) -> float:
    """Mean absolute change on [0, 1] of two (H, W, 3) uint8 pictures where the mask `free` (H, W) is 0."""
    fixed = free == 0
    if not fixed.any():
        return 0.0
    change = np.abs(before[fixed].astype(np.float32) - after[fixed].astype(np.float32))
    return float(change.mean() / 255)
