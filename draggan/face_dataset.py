"""Faces and their label maps, made from random numbers: ``bash download_dataset.sh faces`` calls this.

Photos come from the face generator, one a seed; the labels are painted from the 68 landmarks that the
detector finds: skin, brows, eyes, nose, lips, mouth (colours in metrics.py). The same seeds give the same
pairs. Seeds on which no face or more than one is found are passed over.
"""

import shutil
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from common.commandline import UserError
from training.palettes import FACES

# Of every ten pairs, the ninth is for validation and the tenth for testing.
SPLITS = ("train",) * 8 + ("val", "test")


def label_map(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Paint a face's regions from its landmarks.

    Args:
        points: (68, 2) iBUG landmarks, (x, y) in pixels.
        size: (height, width) of the picture.

    Returns:
        (height, width, 3) uint8 in the colours of ``metrics.FACES``.
    """
    label = np.zeros((*size, 3), np.uint8)
    points = points.astype(np.float32)
    eyes = points[36:48].mean(axis=0)
    # The landmarks end at the brows. The forehead is half an ellipse on the line between the jaw's ends,
    # as high as the face is from the eyes down to the upper lip.
    left, right = points[0], points[16]
    up = eyes - points[51]
    angles = np.linspace(0, np.pi, 24, dtype=np.float32)[1:-1, None]
    forehead = (left + right) / 2 - np.cos(angles) * (left - right) / 2 + np.sin(angles) * up
    paint(label, "skin", np.concatenate([points[:17], forehead]))
    thickness = np.linalg.norm(points[45] - points[36]) * 0.05  # brow points lie on the upper edge
    for brow in (points[17:22], points[22:27]):
        paint(label, "brows", np.concatenate([brow, brow[::-1] - up / np.linalg.norm(up) * thickness * 1.4]))
    # from the bridge over the wings of the nose
    wings = np.array(
        [points[31] + (points[31] - points[33]) * 0.25, points[35] + (points[35] - points[33]) * 0.25]
    )
    paint(label, "nose", np.concatenate([points[27:28], wings[:1], points[32:35], wings[1:]]))
    for eye in (points[36:42], points[42:48]):
        paint(label, "eyes", eye)
    paint(label, "lips", points[48:60])
    paint(label, "mouth", points[60:68])
    return label


def paint(label: np.ndarray, name: str, polygon: np.ndarray) -> None:
    """Fill a polygon (N, 2) of a class in place; without smoothing, so that the colours stay exact."""
    shift = 4  # polygons to a sixteenth of a pixel
    corners = np.round(polygon * 2**shift).astype(np.int32)
    cv2.fillPoly(label, [corners], FACES.classes[name], lineType=cv2.LINE_8, shift=shift)


def make(target: Path, number: int, seed: int, size: int) -> None:
    """Make ``number`` pairs of ``size`` x ``size`` into a new folder ``target``.

    Raises:
        UserError: if the folder exists, or the face generator's files are missing.
    """
    if number < 10 or size < 32:
        raise UserError("faces: --count must be at least 10 and --size at least 32")
    if target.exists():
        raise UserError(f"{target} is here already; choose another --dir or delete it")
    from draggan.generators import ModelError, load_generator
    from draggan.landmarks import landmark_detector

    try:
        generator = load_generator()
        detector = landmark_detector("dlib")
    except ModelError as error:
        raise UserError(f"faces are made by the face generator: {error}") from error
    temporary = target.with_name(f".{target.name}.making")
    shutil.rmtree(temporary, ignore_errors=True)
    for split in set(SPLITS):
        (temporary / split).mkdir(parents=True)
    try:
        made = 0
        bar = tqdm(total=number, desc="making faces")
        while made < number:
            photo = generator.picture(generator.seed_styles(seed))
            faces = detector.detect(photo)
            if len(faces) == 1:
                small = cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA)
                # pixel centres lie at whole numbers: (x + 1/2) scales, not x
                points = (faces[0].points + 0.5) * (size / photo.shape[0]) - 0.5
                pair = np.hstack([small, label_map(points, (size, size))])
                path = temporary / SPLITS[made % len(SPLITS)] / f"{seed:06d}.jpg"
                Image.fromarray(pair).save(path, quality=90, subsampling=0)
                made += 1
                bar.update()
            seed += 1
        bar.close()
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(f"ready: {target}, {number} pairs")
