"""Faces in a picture of any kind: what is no face is left out, small faces and pictures on their side are found.

    found = search(pixels, detector)       # pixels (H, W, 3) uint8
    found.faces                            # largest first, in pixels of the picture
    found.doubtful                         # whether something was seen that only may be a face

A picture with a face that is certain costs one look. Where none is, it is turned and looked at again, and then made
larger: a HOG detector sees upright faces of 80 pixels and more. It also takes a fold of cloth for a face, or a chin
that stands on its head for a forehead. Its score alone does not tell (a real one had 0.39, an upside-down one 0.89 on
64 photos), but a second look does: what is cut out upright, at a face's usual size, is found again there with a
higher score if it is a face (1.3 and more on those photos), and with a low one or not at all if it is none.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from draggan.alignment import cut, ffhq_alignment
from draggan.frame import frame
from draggan.landmarks import Detection, LandmarkDetector

SEARCH_SIDE = (
    2048  # pixels of the longer side: faces are searched at no more, their landmarks found again close by
)
LARGER, LARGER_SIDE = 2, 4096  # how much larger small faces are looked for, at no more pixels than this
LARGER_TURNED_SIDE = (
    2560  # the same where the picture is turned as well: there are three ways, and none is likely
)
SMALL = (
    90  # pixels between the eyes when searched: where no face is larger, there may be others just too small
)
SECOND_LOOKS = (160, 256, 512)  # pixels of the cut-outs in which a face must be found again
SAME = 0.15  # of the eye distance: how far two landmarks of one face may be apart on average


@dataclass(frozen=True)
class Found:
    faces: list[Detection]  # largest first
    doubtful: bool = False  # something was seen that is no face, or one turned or hidden too far


def search(pixels: np.ndarray, detector: LandmarkDetector) -> Found:
    """The faces of a picture (H, W, 3) uint8, in its own pixels, whichever way up they are."""
    # Scores of other detectors have other scales: what they find is believed.
    certain = getattr(detector, "certain", -np.inf)
    doubtful = False
    for larger in (False, True) if hasattr(detector, "detect_small") else (False,):
        best: tuple[float, int, list[Detection]] = (-np.inf, 0, [])
        for turn in range(4):
            faces, seen = _faces(pixels, detector, turn, larger)
            doubtful |= seen > len(faces)
            score = max((face.confidence for face in faces), default=-np.inf)
            best = max(best, (score, -turn, faces), key=lambda one: one[:2])
            if faces and score >= certain:
                break
        score, turn, faces = best[0], -best[1], best[2]
        if faces:
            if not larger and hasattr(detector, "detect_small") and _all_small(pixels, faces):
                faces = _with_others(faces, _faces(pixels, detector, turn, True)[0])
            return Found(sorted(faces, key=lambda face: -face.area), doubtful)
    return Found([], doubtful)


def _faces(
    pixels: np.ndarray, detector: LandmarkDetector, turn: int, larger: bool
) -> tuple[list[Detection], int]:
    """The faces of a picture that is turned by so many quarters, in its own pixels; and how many were looked at."""
    height, width = pixels.shape[:2]
    scale = _scale((height, width), larger, turn)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = pixels
    if scale != 1:
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    small = np.ascontiguousarray(np.rot90(small, turn))
    look = detector.detect_small if larger else getattr(detector, "detect_all", detector.detect)
    likely, faces = getattr(detector, "likely", -np.inf), []
    candidates = look(small)
    for one in candidates:
        face = _second_look(pixels, _turned_back(one, turn, size, scale), detector)
        if face.confidence >= likely:
            faces.append(face)
    return faces, len(candidates)


def _scale(shape: tuple[int, int], larger: bool, turn: int = 0) -> float:
    longer = max(shape)
    scale = min(1.0, SEARCH_SIDE / longer)
    if not larger:
        return scale
    return min(LARGER, LARGER * scale, (LARGER_TURNED_SIDE if turn else LARGER_SIDE) / longer)


def _all_small(pixels: np.ndarray, faces: list[Detection]) -> bool:
    return max(frame(face.points).unit for face in faces) * _scale(pixels.shape[:2], False) < SMALL


def _with_others(faces: list[Detection], more: list[Detection]) -> list[Detection]:
    """Faces, and those of `more` that are none of them."""
    found = list(faces)
    for face in more:
        centre = face.points.mean(axis=0)
        if all(
            np.linalg.norm(one.points.mean(axis=0) - centre) > 0.5 * frame(one.points).unit for one in found
        ):
            found.append(face)
    return found


def _turned_back(face: Detection, turn: int, size: tuple[int, int], scale: float) -> Detection:
    """A face of the scaled picture of `size` (width, height), turned by so many quarters, in the picture's pixels."""
    left, top, right, bottom = face.box
    corners = (
        np.array([(left, top), (right, bottom)]) - 0.5
    )  # pixel centres are at whole numbers, edges between
    points = [_unturn(np.asarray(each, np.float64), turn, size) for each in (face.points, corners)]
    points, corners = ((each + 0.5) / scale - 0.5 for each in points)
    box = (*(corners.min(axis=0) + 0.5), *(corners.max(axis=0) + 0.5))
    return replace(face, points=points.astype(np.float32), box=tuple(float(v) for v in box))


def _unturn(points: np.ndarray, turn: int, size: tuple[int, int]) -> np.ndarray:
    """Points (N, 2) of np.rot90(picture, turn) in the picture of `size` (width, height)."""
    width, height = size
    x, y = points[:, 0], points[:, 1]
    turned = ((x, y), (width - 1 - y, x), (width - 1 - x, height - 1 - y), (y, height - 1 - x))
    return np.stack(turned[turn], axis=1)


def _second_look(pixels: np.ndarray, face: Detection, detector: LandmarkDetector) -> Detection:
    """The face with its landmarks found again upright and close by.

    One that is not certain gets the confidence with which it is found there; -inf where it is not.
    """
    doubted = face.confidence < getattr(detector, "certain", -np.inf)
    points, confidence = face.points, -np.inf if doubted else face.confidence
    for size in SECOND_LOOKS if doubted else SECOND_LOOKS[-1:]:
        try:
            alignment = ffhq_alignment(face.points, size)
            again = detector.detect(cut(pixels, alignment))
        except ValueError:  # its landmarks are no face, or it is cut off
            break
        for other in again:
            there = alignment.to_photo(other.points).astype(np.float32)
            if np.linalg.norm(there - face.points, axis=1).mean() < SAME * frame(face.points).unit:
                points, confidence = there, max(confidence, other.confidence)
                break
    return replace(face, points=points.astype(np.float32), confidence=float(confidence))
