"""Which faces a photo has: what is none is left out, small ones and those of turned photos are found in place."""

import cv2
import numpy as np
import pytest

from draggan import face_search
from draggan.face_search import search
from draggan.frame import frame
from draggan.landmarks import Detection
from draggan.photo_editor import CutOut
from draggan.photos import MESSAGES, Photo, PhotoError, find_faces

BACKGROUND = 120


def scene(picture: np.ndarray, side: int, left: int, top: int, shape=(500, 700)) -> np.ndarray:
    canvas = np.full((*shape, 3), BACKGROUND, np.uint8)
    canvas[top : top + side, left : left + side] = cv2.resize(
        picture, (side, side), interpolation=cv2.INTER_AREA
    )
    return canvas


def photo(pixels: np.ndarray) -> Photo:
    return Photo("photo.png", pixels, pixels)


@pytest.fixture(scope="module")
def portrait(faces):
    return faces[0].picture


@pytest.fixture(scope="module")
def upright(portrait, detector):
    """A scene with one face, and where it is."""
    pixels = scene(portrait, 400, 60, 40)
    (face,) = find_faces(photo(pixels), detector)
    return pixels, face


def turned_points(points: np.ndarray, turn: int, shape: tuple[int, int]) -> np.ndarray:
    """Where points of a picture (H, W) are in np.rot90(picture, turn): its definition, a quarter at a time."""
    height, width = shape
    for _ in range(turn):
        points = np.stack((points[:, 1], width - 1 - points[:, 0]), axis=1)
        height, width = width, height
    return points


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_photo_on_its_side_or_head_is_found_and_stays_as_it_is(upright, detector, turn):
    pixels, face = upright
    lying = np.ascontiguousarray(np.rot90(pixels, turn))
    (found,) = find_faces(photo(lying), detector)
    unit = frame(face.points).unit
    wanted = turned_points(face.points, turn, pixels.shape[:2])
    assert np.linalg.norm(found.points - wanted, axis=1).mean() < 0.05 * unit
    left, top, right, bottom = found.box
    assert left < found.points[30, 0] < right
    assert top < found.points[30, 1] < bottom
    assert found.area == pytest.approx(face.area, rel=0.5)
    # What is cut out for the generator stands upright.
    cuts = [CutOut(photo(p), f, 256).aligned.astype(int) for p, f in ((pixels, face), (lying, found))]
    assert np.abs(cuts[0] - cuts[1]).mean() < 6


def test_points_turn_back():
    picture = np.zeros((5, 9), np.uint8)
    picture[1, 7] = 1
    for turn in range(4):
        y, x = np.argwhere(np.rot90(picture, turn))[0]
        assert face_search._unturn(np.array([[x, y]]), turn, (9, 5)).tolist() == [[7, 1]]


@pytest.mark.parametrize("turn", [0, 1])
def test_small_faces_are_found(portrait, detector, turn):
    face = detector.detect(portrait)[0]
    side = round(1024 * 33 / frame(face.points).unit)
    pixels = scene(portrait, side, 90, 60, (260, 340))
    (found,) = find_faces(photo(np.ascontiguousarray(np.rot90(pixels, turn))), detector)
    unit = frame(found.points).unit
    assert 29 < unit < 37
    wanted = (face.points + 0.5) * (side / 1024) - 0.5 + (90, 60)
    wanted = turned_points(wanted, turn, pixels.shape[:2])
    assert np.linalg.norm(found.points - wanted, axis=1).mean() < 0.1 * unit


def test_small_faces_beside_small_ones(portrait, detector):
    """Where the largest face is hardly large enough to be seen, there are others that are just too small."""
    unit = frame(detector.detect(portrait)[0].points).unit
    pixels = scene(portrait, round(1024 * 60 / unit), 40, 30, (300, 420))
    side = round(1024 * 33 / unit)
    pixels[150 : 150 + side, 300 : 300 + side] = cv2.resize(
        portrait, (side, side), interpolation=cv2.INTER_AREA
    )
    large, small = find_faces(photo(pixels), detector)
    assert frame(large.points).unit == pytest.approx(60, abs=5)
    assert frame(small.points).unit == pytest.approx(33, abs=4)


class Scripted:
    """Finds what it is told to: [(confidence, unit of the face, centre)], again and again or once only."""

    name = "scripted"

    def __init__(self, *faces, certain=None, again=True):
        self.faces, self.again, self.looks = faces, again, []
        if certain is not None:
            self.certain, self.likely = certain, 0.25
            self.detect_small = self.detect_all

    def detect_all(self, image):
        self.looks.append(image.shape[:2])
        return [face_at(*each) for each in self.faces]

    def detect(self, image):
        """A second look at a cut-out: a face in its middle, if it is there again."""
        if not self.again:
            return []
        size = len(image)
        return [face_at(0.0, 0.357 * size, (0.5 * size, 0.47 * size))]


def face_at(confidence: float, unit: float, centre: tuple[float, float]) -> Detection:
    """Landmarks with eyes and a mouth where a face has them."""
    points = np.zeros((68, 2), np.float32)
    for places, (x, y) in {
        (36,): (-0.5, 0), (39,): (-0.2, 0), (42,): (0.2, 0), (45,): (0.5, 0), (37, 38): (-0.35, -0.04),
        (40, 41): (-0.35, 0.04), (43, 44): (0.35, -0.04), (46, 47): (0.35, 0.04), (48,): (-0.3, 0.75),
        (54,): (0.3, 0.75),
    }.items():  # fmt: skip
        points[list(places)] = x, y
    x, y = centre
    box = (x - unit, y - unit, x + unit, y + unit)
    return Detection((points * unit + centre).astype(np.float32), box, confidence)


PICTURE = np.zeros((600, 800, 3), np.uint8)
CERTAIN_FACE, PATCH = (1.6, 100, (500, 300)), (0.07, 150, (200, 300))


def test_a_face_that_is_certain_costs_one_look():
    detector = Scripted(CERTAIN_FACE, certain=1.0)
    assert len(search(PICTURE, detector).faces) == 1
    assert detector.looks == [(600, 800)]


def test_a_large_patch_of_cloth_is_no_face():
    detector = Scripted(PATCH, CERTAIN_FACE, certain=1.0, again=False)
    found = search(PICTURE, detector)
    assert [face.confidence for face in found.faces] == [1.6]
    assert found.doubtful
    assert find_faces(photo(PICTURE), detector)[0].points[36, 0] == pytest.approx(450)


def test_faces_come_by_size_and_not_by_confidence():
    found = search(PICTURE, Scripted((1.1, 150, (200, 300)), (3.0, 100, (500, 300)), certain=1.0))
    assert [face.confidence for face in found.faces] == [1.1, 3.0]


def test_another_detectors_scores_are_not_compared():
    """face-alignment's confidence has another scale: what it finds is believed, and nothing else is looked at."""
    detector = Scripted(PATCH, again=False)
    detector.detect_all, first = None, detector.detect_all
    del detector.detect_all
    detector.detect = lambda image: first(image) if image.shape == PICTURE.shape else []
    found = search(PICTURE, detector)
    assert [round(face.confidence, 2) for face in found.faces] == [0.07]
    assert len(detector.looks) == 1


def test_nothing_is_looked_for_in_all_ways():
    detector = Scripted(certain=1.0)
    found = search(PICTURE, detector)
    assert (found.faces, found.doubtful) == ([], False)
    assert len(set(detector.looks)) > 2  # turned, and larger
    assert max(max(shape) for shape in detector.looks) == 1600


@pytest.mark.parametrize(
    ("faces", "again", "kind"),
    [((), True, "no_face"), ((PATCH,), False, "turned_face"), (((2.0, 12, (90, 90)),), True, "small_face")],
)
def test_why_there_is_no_face(faces, again, kind):
    with pytest.raises(PhotoError) as error:
        find_faces(photo(PICTURE), Scripted(*faces, certain=1.0, again=again))
    assert error.value.kind == kind
    assert str(error.value) == MESSAGES[kind].format(**error.value.values)
    assert "photo.png" in str(error.value)


def test_dlib_puts_weak_faces_last(detector):
    weak, strong = face_at(*PATCH), face_at(*CERTAIN_FACE)
    assert detector._sorted([weak, strong]) == [strong, weak]
    assert detector.likely < detector.certain
