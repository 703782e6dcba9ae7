"""What the edits change in a face, measured: pure geometry of 68 landmarks (68, 2), (x, y) in pixels."""

import numpy as np

from draggan.frame import frame

EYES = (range(36, 42), range(42, 48))  # left in the picture, and right
SIDES = ("left", "right")


def measures(points: np.ndarray) -> dict[str, float]:
    """What the edits change, in units of the outer-eye distance.

    jaw_width: mean distance of the jaw points 3-13, 4-12 and 5-11. mouth_width: between the corners.
    mouth_lift: how far the corners are above the middle of the lips. lip_gap: between the inner lips in the
    middle. eye_opening: mean gap of the lids over the width of the eye (a ratio of its own), of both eyes and
    of the one on either side of the picture.
    """
    points = np.asarray(points, np.float64)
    face = frame(points)

    def distance(i: int, j: int) -> float:
        return float(np.linalg.norm(points[i] - points[j]))

    middle = 0.5 * (points[51] + points[57])
    openings = [
        (distance(a + 1, a + 5) + distance(a + 2, a + 4)) / (2 * max(distance(a, a + 3), 1e-6))
        for a in (36, 42)
    ]
    return {
        "jaw_width": np.mean([distance(i, 16 - i) for i in (3, 4, 5)]).item() / face.unit,
        "mouth_width": distance(48, 54) / face.unit,
        "mouth_lift": float(face.along(middle - 0.5 * (points[48] + points[54]))[1]),
        "lip_gap": float(face.along(points[66] - points[62])[1]),
        "eye_opening": float(np.mean(openings)),
        "eye_opening_left": openings[0],
        "eye_opening_right": openings[1],
    }
