"""Points, landmarks and the free region over a picture."""

import cv2
import numpy as np

HANDLE, TARGET, LANDMARK = (230, 40, 50), (40, 110, 255), (80, 230, 120)  # RGB

SHOWN_SIDE = 1024  # a smaller picture is enlarged, or a page would show it small and marks would hide it


def enlargement(size: int) -> int:
    """How many times larger a picture of so many pixels is shown."""
    return max(1, -(-SHOWN_SIDE // size))


def in_picture(x: float, y: float, size: int) -> tuple[float, float]:
    """A place of the shown image in pixels of the picture, which has `size`."""
    times = enlargement(size)
    at = ((v + 0.5) / times - 0.5 for v in (x, y))
    return tuple(min(max(v, 0.0), size - 1.0) for v in at)  # the outer halves of the border's pixels, too


def overlay(
    picture: np.ndarray,
    handles: np.ndarray | list = (),
    targets: np.ndarray | list = (),
    mask: np.ndarray | None = None,
    landmarks: np.ndarray | None = None,
) -> np.ndarray:
    """A copy of a picture (H, W, 3) uint8 with marks on it, `enlargement` times larger.

    handles: (K, 2) in pixels; targets: (K, 2), or one fewer while a target is still to come.
    mask: (h, w), above 0.5 where the picture may change: the rest is drawn darker, its border as a line.
    """
    times = enlargement(len(picture))
    side = (picture.shape[1] * times, len(picture) * times)
    out = picture.copy() if times == 1 else cv2.resize(picture, side, interpolation=cv2.INTER_CUBIC)
    handles, targets = (times * (np.reshape(p, (-1, 2)) + 0.5) - 0.5 for p in (handles, targets))
    if landmarks is not None:
        landmarks = times * (landmarks + 0.5) - 0.5
    size = len(out)
    radius = max(2, round(size / 128))
    if mask is not None:
        free = cv2.resize(np.asarray(mask, np.float32), (out.shape[1], size), interpolation=cv2.INTER_LINEAR)
        free = cv2.GaussianBlur(free, (0, 0), max(1, size / 256)) > 0.5  # no stairs along its border
        out[~free] = (out[~free] * 0.6).astype(np.uint8)
        lines, _ = cv2.findContours(free.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, lines, -1, (255, 255, 255), max(1, radius // 4), cv2.LINE_AA)

    def dot(point, colour, r):
        centre = (round(float(point[0])), round(float(point[1])))
        cv2.circle(out, centre, r + max(1, r // 4), (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(out, centre, r, colour, -1, cv2.LINE_AA)

    if landmarks is not None:
        for point in landmarks:
            dot(point, LANDMARK, max(1, radius // 2))
    for handle, target in zip(handles, targets, strict=False):
        start, end = (tuple(round(float(v)) for v in p) for p in (handle, target))
        if start != end:
            cv2.line(out, start, end, (255, 255, 255), max(1, radius // 3), cv2.LINE_AA)
    for target in targets:
        dot(target, TARGET, radius)
    for handle in handles:
        dot(handle, HANDLE, max(2, radius * 3 // 4))
    return out
