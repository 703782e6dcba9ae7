"""One eye by itself: landmarks know faces as symmetric, and read a closed eye beside an open one as half open.

both_alike(picture, points, eye)   # the same face, whose other eye is the mirror image of this one

In such a picture landmarks tell how far that one eye is open, whatever the other one does.
"""

import cv2
import numpy as np

from draggan.frame import Ellipse, Frame, frame, region_mask
from draggan.measures import EYES


def eye_region(points: np.ndarray, face: Frame, eye: int) -> Ellipse:
    """An eye (0: left in the picture, 1: right) with its lids, up to the brow."""
    eye_points = points[list(EYES[eye])]
    width = float(np.linalg.norm(eye_points[3] - eye_points[0]))
    return Ellipse(eye_points.mean(axis=0), (0.8 * width, 0.5 * width), face.across, feather=0.45)


def both_alike(picture: np.ndarray, points: np.ndarray, eye: int) -> np.ndarray:
    """A picture (H, H, 3) uint8 in which the other eye is a mirror image of `eye`, laid corner on corner.

    points: (68, 2), of the picture.
    """
    points, size = np.asarray(points, np.float64), len(picture)
    region = eye_region(points, frame(points), 1 - eye)
    corners = [[points[each[0]], points[each[3]]] for each in (EYES[eye], EYES[1 - eye][3::-1])]
    # A third point beside the corners, on the other hand in the mirror.
    (a, b), (c, d) = corners
    beside = a + _turned(b - a), c - _turned(d - c)
    sent = cv2.getAffineTransform(np.float32([a, b, beside[0]]), np.float32([c, d, beside[1]]))
    centre, reach = region.centre, 1.5 * max(region.half_axes)
    (x0, y0), (x1, y1) = (np.clip(centre + side * reach, 0, size).astype(int) for side in (-1, 1))
    sent[:, 2] -= x0, y0
    mirrored = cv2.warpAffine(picture, sent, (x1 - x0, y1 - y0), borderMode=cv2.BORDER_REFLECT)
    soft = cv2.resize(region_mask((region,), size, size // 4, soft=True), (size, size))[y0:y1, x0:x1, None]
    alike = picture.copy()
    part = alike[y0:y1, x0:x1]
    part[:] = np.round(part + soft * (mirrored.astype(np.float32) - part))
    return alike


def _turned(vector: np.ndarray) -> np.ndarray:
    return np.array([-vector[1], vector[0]])
