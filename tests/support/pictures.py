"""Pictures for tests."""

import cv2
import numpy as np


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth random picture (height, width, 3) uint8."""
    small = np.random.RandomState(seed).randint(0, 256, (height // 16 + 2, width // 16 + 2, 3))
    return cv2.resize(small.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
