"""Landmarks on real faces of the generator, on pictures without one, and with weights that are not there."""

import numpy as np
import pytest
import torch

from draggan import landmarks
from draggan.edits import measures
from draggan.frame import MIRROR
from draggan.generators import ModelError, load_generator
from draggan.identity import SAME_PERSON, Identity, identity_distance
from draggan.landmarks import DlibDetector, FaceAlignmentDetector, landmark_detector


@pytest.fixture(scope="module")
def pictures():
    generator = load_generator()
    return [generator.picture(generator.seed_styles(seed)) for seed in (0, 1)]


@pytest.fixture(scope="module")
def detector():
    return DlibDetector()


def test_a_face_is_where_ffhq_puts_it(pictures, detector):
    (face,) = detector.detect(pictures[0])
    assert face.points.shape == (68, 2)
    assert face.points.dtype == np.float32
    # FFHQ's alignment puts the eyes at about 0.37 and 0.63 of the width and 0.47 of the height.
    np.testing.assert_allclose(face.points[36:42].mean(0), (385, 480), atol=25)
    np.testing.assert_allclose(face.points[42:48].mean(0), (640, 480), atol=25)
    assert face.points[8, 1] > face.points[57, 1] > face.points[33, 1] > face.points[27, 1]
    left, top, right, bottom = face.box
    assert left < face.points[30, 0] < right
    assert top < face.points[30, 1] < bottom
    assert face.confidence > 0.5


def test_a_mirrored_picture_gives_mirrored_points(pictures, detector):
    (face,), (mirrored,) = detector.detect(pictures[1]), detector.detect(pictures[1][:, ::-1])
    back = np.stack((1023 - mirrored.points[:, 0], mirrored.points[:, 1]), 1)[MIRROR]
    unit = np.linalg.norm(face.points[45] - face.points[36])
    assert np.linalg.norm(back - face.points, axis=1).mean() < 0.05 * unit


def test_several_faces_largest_first(pictures, detector):
    import cv2

    scene = np.full((1024, 1800, 3), 120, np.uint8)
    scene[300:700, 100:500] = cv2.resize(pictures[0], (400, 400), interpolation=cv2.INTER_AREA)
    scene[:, 700:1724] = pictures[1]
    faces = detector.detect(scene)
    assert len(faces) == 2
    assert faces[0].area > faces[1].area
    assert faces[0].points[:, 0].min() > 700 > 500 > faces[1].points[:, 0].max()


def test_pictures_without_a_face(pictures, detector):
    rng = np.random.RandomState(0)
    for picture in (
        np.zeros((1024, 1024, 3), np.uint8),
        rng.randint(0, 255, (300, 500, 3), np.uint8),
        np.zeros((10, 10, 3), np.uint8),
        np.zeros((1, 3000, 3), np.uint8),
        pictures[0][:200],  # hair only
    ):
        assert detector.detect(picture) == []
    for wrong in (pictures[0][..., 0], pictures[0].astype(np.float32)):
        with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8"):
            detector.detect(wrong)


def test_half_a_face_at_the_border_does_not_crash(pictures, detector):
    for picture in (pictures[0][:, :520], pictures[0][420:], pictures[0][:620, :700]):
        for face in detector.detect(picture):
            assert np.isfinite(face.points).all()
            assert all(np.isfinite(v) for v in measures(face.points).values())


def test_auto_takes_face_alignment_only_where_its_weights_are(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert landmark_detector("auto").name == "dlib"
    made = []
    monkeypatch.setattr(landmarks, "FaceAlignmentDetector", lambda device: made.append(device))
    landmarks.fan_folder().mkdir(parents=True)
    for name in landmarks.FAN_FILES:
        (landmarks.fan_folder() / name).write_bytes(b"")
    landmark_detector("auto", "cpu")
    assert made == ["cpu"]
    with pytest.raises(ModelError, match="unknown landmark detector 'opencv'"):
        landmark_detector("opencv")


def test_missing_and_broken_weights_are_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr(landmarks, "CHECKPOINTS", tmp_path)
    landmarks.dlib_model.cache_clear()
    with pytest.raises(ModelError, match="python download_models.py dlib-landmarks"):
        DlibDetector()
    (tmp_path / landmarks.DLIB_POINTS).write_bytes(b"cut short")
    with pytest.raises(ModelError, match="is broken"):
        DlibDetector()
    landmarks.dlib_model.cache_clear()

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def no_network(*args):
        raise OSError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(
        ModelError, match=r"cannot be fetched \(Name or service not known\).*--landmarks dlib"
    ):
        FaceAlignmentDetector()
    for name in landmarks.FAN_FILES:
        (landmarks.fan_folder() / name).write_bytes(b"no checkpoint")
    with pytest.raises(ModelError, match="are broken"):
        FaceAlignmentDetector()


def test_the_face_alignment_package_behind_the_interface(tmp_path, monkeypatch, pictures):
    """The real package; its weights need the web, so random ones stand in, and a box is given."""
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.models import FAN

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    landmarks.fan_folder().mkdir(parents=True)
    torch.manual_seed(0)
    for name, network in zip(landmarks.FAN_FILES, (FAN(4), s3fd()), strict=True):
        torch.save(network.state_dict(), landmarks.fan_folder() / name)
    detector = FaceAlignmentDetector()
    boxes = [[100, 100, 300, 300, 0.9], [300, 300, 900, 900, 0.8]]
    monkeypatch.setattr(detector._aligner.face_detector, "detect_from_image", lambda image: boxes)
    faces = detector.detect(pictures[0])
    assert [face.box for face in faces] == [(300, 300, 900, 900), (100, 100, 300, 300)]
    assert all(face.points.shape == (68, 2) and np.isfinite(face.points).all() for face in faces)
    monkeypatch.setattr(detector._aligner.face_detector, "detect_from_image", lambda image: [])
    assert detector.detect(pictures[0]) == []


def test_identity_tells_people_apart(pictures, detector):
    identity = Identity()
    points = [detector.detect(picture)[0].points for picture in pictures]
    a, b = (identity.describe(*pair) for pair in zip(pictures, points, strict=True))
    darker = (pictures[0] * 0.8).astype(np.uint8)
    assert a.shape == (128,)
    assert identity_distance(a, a) == 0
    assert identity_distance(a, identity.describe(darker, points[0])) < 0.3
    assert identity_distance(a, b) > SAME_PERSON
