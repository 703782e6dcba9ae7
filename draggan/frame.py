"""A face's own coordinates, and regions in them. Pure geometry of 68 landmarks (68, 2), (x, y) in pixels."""

from dataclasses import dataclass

import numpy as np

# Each landmark's partner on the other side of the face; a mirrored picture swaps them.
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)


@dataclass(frozen=True)
class Frame:
    """A face's own coordinates: unit length and axes in pixels."""

    unit: float  # between the outer eye corners
    across: np.ndarray  # (2,) unit vector from the image's left eye to the right one
    down: np.ndarray  # (2,) unit vector from the eyes to the mouth

    def along(self, vectors: np.ndarray) -> np.ndarray:
        """Image vectors (..., 2) in pixels as (across, down) in face units."""
        return np.stack((vectors @ self.across, vectors @ self.down), axis=-1) / self.unit

    def pixels(self, across: float, down: float) -> np.ndarray:
        """A vector in face units as pixels of the image."""
        return self.unit * (across * self.across + down * self.down)


@dataclass(frozen=True)
class Ellipse:
    """Part of a region: centre in pixels, half axes in pixels along and across `direction`."""

    centre: np.ndarray
    half_axes: tuple[float, float]
    direction: np.ndarray
    feather: float = 0.3  # share of the half axes over which a soft mask fades, from the edge inward


def frame(points: np.ndarray) -> Frame:
    """The frame of a face; ValueError where the eyes fall together."""
    points = np.asarray(points, np.float64)
    unit = float(np.linalg.norm(points[45] - points[36]))
    eyes = points[42:48].mean(axis=0) - points[36:42].mean(axis=0)
    length = float(np.linalg.norm(eyes))
    if not (np.isfinite(points).all() and unit > 1e-6 and length > 1e-6):
        raise ValueError("these landmarks are not a face: the eyes fall together")
    across = eyes / length
    return Frame(unit, across, np.array([-across[1], across[0]]))


def region_mask(region: tuple[Ellipse, ...], size: int, resolution: int, soft: bool = False) -> np.ndarray:
    """Union of ellipses given in pixels of a `size` picture, as (resolution, resolution) float32 in [0, 1]."""
    y, x = np.mgrid[:resolution, :resolution]
    grid = (np.stack((x, y), axis=-1) + 0.5) * (size / resolution) - 0.5
    mask = np.zeros((resolution, resolution), np.float32)
    for ellipse in region:
        offset = grid - ellipse.centre
        normal = np.array([-ellipse.direction[1], ellipse.direction[0]])
        a, b = ellipse.half_axes
        radius = np.sqrt((offset @ ellipse.direction / a) ** 2 + (offset @ normal / b) ** 2)  # 1 at the edge
        inside = (radius <= 1).astype(np.float32)
        if soft:
            t = np.clip((1 - radius) / ellipse.feather, 0, 1)
            inside = (t * t * (3 - 2 * t)).astype(np.float32)  # no kink at either end
        mask = np.maximum(mask, inside)
    return mask
