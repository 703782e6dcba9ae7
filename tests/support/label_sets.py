"""Small data sets of photos and labels, made for what the labels hold."""

from pathlib import Path

import numpy as np
from PIL import Image
from segmentation_data import SIDE

from training.pairs import find_pairs
from training.survey import survey

RNG = np.random.default_rng


def bands(seed: int, numbers: list[int], side: int = SIDE) -> np.ndarray:
    """(side, side) of whole numbers in bands at random heights; all of them occur."""
    cuts = np.sort(RNG(seed).choice(np.arange(2, side - 2), len(numbers) - 1, replace=False))
    return np.array(numbers)[np.digitize(np.arange(side), cuts)][:, None].repeat(side, axis=1)


def photo(seed: int, side: int = SIDE) -> np.ndarray:
    """Smooth in large, with noise: as a photo, hardly two pixels are the same."""
    coarse = Image.fromarray(RNG(seed).integers(0, 256, (4, 4, 3), np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    return np.clip(
        np.asarray(coarse).astype(int) + RNG(seed).integers(-12, 13, (side, side, 3)), 0, 255
    ).astype(np.uint8)


def write(root: Path, label, ending: str = "png", train: int = 6, val: int = 3, **how) -> Path:
    """A data set of A/ and B/ under ``root``; ``label``: number of a pair -> array."""
    for split, first, count in (("train", 0, train), ("val", train, val)):
        for side in "AB":
            (root / split / side).mkdir(parents=True, exist_ok=True)
        for k in range(first, first + count):
            made = label(k)
            Image.fromarray(photo(k, len(made))).save(root / split / "A" / f"{k}.png")
            Image.fromarray(made).save(root / split / "B" / f"{k}.{ending}", **how)
    return root


def painted(numbers: np.ndarray, colours: list) -> np.ndarray:
    return np.array(colours, np.uint8)[numbers]


def found(root: Path, **how):
    return survey(find_pairs(root, "train"), find_pairs(root, "val"), "b", **how)
