"""A photo of a generated face, and a short inversion of it, made once for all tests of a run."""

import cv2
import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def perceptual():
    from draggan.perceptual import Perceptual

    return Perceptual()


@pytest.fixture(scope="session")
def photo_path(generator, tmp_path_factory):
    """A drawn face, turned, at 420 pixels in a larger picture, grainy: nothing that the generator makes itself."""
    picture = generator.picture(generator.seed_styles(6))
    turn = cv2.getRotationMatrix2D((512, 512), 8, 420 / 1024)
    turn[:, 2] += (350 - 512, 300 - 512)
    canvas = np.full((620, 700, 3), (150, 130, 110), np.uint8)
    cv2.warpAffine(picture, turn, (700, 620), canvas, cv2.INTER_AREA, cv2.BORDER_TRANSPARENT)
    grain = np.random.RandomState(0).normal(0, 4, canvas.shape)
    path = tmp_path_factory.mktemp("photos") / "anna.png"
    Image.fromarray(np.clip(canvas + grain, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def cut_out(photo_path, detector):
    from draggan.photo_editor import CutOut
    from draggan.photos import find_faces, open_photo

    photo = open_photo(photo_path)
    return CutOut(photo, find_faces(photo, detector)[0], 1024)


@pytest.fixture(scope="session")
def found(cut_out, generator, detector, perceptual):
    """A short inversion: (the task, its progress)."""
    from draggan.inversion import Preset
    from draggan.photo_editor import PhotoTask

    task = PhotoTask(cut_out, generator, detector, None, Preset(8, 4), perceptual)
    return task, list(task)
