"""Pictures for tests."""

import cv2
import numpy as np


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth random picture (height, width, 3) uint8."""
    small = np.random.RandomState(seed).randint(0, 256, (height // 16 + 2, width // 16 + 2, 3))
    return cv2.resize(small.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


def landmarks(turn: float = 0.0, scale: float = 1.0, shift=(0.0, 0.0)) -> np.ndarray:
    """A schematic face: eyes 100 apart at height 0, mouth 40 wide 110 below them, jaw around."""
    points = np.zeros((68, 2))
    angle = np.linspace(0, np.pi, 17)
    points[:17] = np.stack((-100 * np.cos(angle), 40 + 120 * np.sin(angle)), axis=1)
    points[17:27] = np.stack((np.linspace(-80, 80, 10), np.full(10, -30.0)), axis=1)
    points[27:36] = np.stack((np.zeros(9), np.linspace(10, 60, 9)), axis=1)
    ring = np.linspace(np.pi, 3 * np.pi, 6, endpoint=False)
    for first, x in ((36, -50), (42, 50)):
        points[first : first + 6] = np.stack((x + 15 * np.cos(ring), 6 * np.sin(ring)), axis=1)
    points[48:68] = np.stack((np.linspace(-20, 20, 20), np.full(20, 110.0)), axis=1)
    points[48], points[54] = (-20, 110), (20, 110)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return scale * points @ rotation + np.array(shift)
