"""Label maps from landmarks, and the sample of pairs that ships with the project."""

import numpy as np
import pytest
from segmentation_data import ROOT, command, error_of

from common.commandline import UserError
from draggan.face_dataset import label_map, make
from pix2pix_dataset import PairDataset
from training.palettes import FACES, VOID_DISTANCE, truth_classes

CLASSES = list(FACES.classes)


def face() -> np.ndarray:
    """68 landmarks of a symmetric schematic face in a picture of 100 x 100."""
    points = np.zeros((68, 2))
    angles = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([50 + 35 * np.cos(angles), 45 + 45 * np.sin(angles)], 1)  # jaw
    points[17:22] = [(22, 34), (27, 31), (32, 30), (37, 31), (42, 33)]  # brows
    points[22:27] = [(58, 33), (63, 31), (68, 30), (73, 31), (78, 34)]
    points[27:31] = [(50, y) for y in (42, 48, 54, 60)]  # nose
    points[31:36] = [(44, 63), (47, 64), (50, 65), (53, 64), (56, 63)]
    points[36:42] = [(26, 44), (30, 41), (36, 41), (40, 44), (36, 47), (30, 47)]  # eyes
    points[42:48] = [(60, 44), (64, 41), (70, 41), (74, 44), (70, 47), (64, 47)]
    outer = np.linspace(np.pi, -np.pi, 13)[:-1]
    points[48:60] = np.stack([50 + 14 * np.cos(outer), 76 - 6 * np.sin(outer)], 1)  # lips
    inner = np.linspace(np.pi, -np.pi, 9)[:-1]
    points[60:68] = np.stack([50 + 10 * np.cos(inner), 76 - 2.5 * np.sin(inner)], 1)
    return points


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("skin", 50, 20),  # forehead, above all landmarks
        ("skin", 25, 65),
        ("brows", 32, 31),
        ("brows", 68, 31),
        ("eyes", 33, 44),
        ("eyes", 67, 44),
        ("nose", 50, 60),
        ("lips", 50, 72),
        ("mouth", 50, 76),
        ("background", 3, 3),
        ("background", 50, 96),
    ],
)
def test_regions_lie_where_the_landmarks_say(name, x, y):
    label = label_map(face(), (100, 100))
    assert tuple(label[y, x]) == FACES.classes[name]


def test_label_colours_are_exact_and_complete():
    label = label_map(face(), (100, 100))
    assert {tuple(c) for c in label.reshape(-1, 3).tolist()} == set(FACES.classes.values())


def test_labels_scale_with_the_picture():
    small, large = label_map(face(), (100, 100)), label_map((face() + 0.5) * 3 - 0.5, (300, 300))
    assert (large[1::3, 1::3] == small).all(axis=2).mean() > 0.98


def test_the_sample_that_ships(tmp_path):
    folder = ROOT / "datasets" / "faces"
    counts = {split: len(PairDataset(folder, split)) for split in ("train", "val", "test")}
    assert counts == {"train": 160, "val": 20, "test": 20}
    assert sum(path.stat().st_size for path in folder.rglob("*.jpg")) < 8e6
    data = PairDataset(folder, "val", direction="AtoB")
    for k in range(0, len(data), 5):
        classes, outside = truth_classes(data[k]["label"][None], FACES)
        assert outside.float().mean() < 0.03, f"JPEG borders beyond {VOID_DISTANCE}"
        assert {CLASSES[c] for c in classes.unique().tolist() if c >= 0} >= set(CLASSES) - {"mouth"}


def test_bad_input(tmp_path):
    with pytest.raises(UserError, match=r"--count must be at least 10"):
        make(tmp_path / "faces", 3, 0, 256)
    (tmp_path / "faces").mkdir()
    with pytest.raises(UserError, match=r"is here already"):
        make(tmp_path / "faces", 10, 0, 256)
    done = command("faces", "--count", "3", "--dir", tmp_path, script="download_dataset.py")
    assert "--count must be at least 10" in error_of(done)
