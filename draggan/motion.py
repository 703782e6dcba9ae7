"""What an edit does to a photo: motion of what is there, and new matter where something was hidden.

    change = explain(before, after, photo, points, region)   # pictures of the generator, the photo's cut-out
    edited = change.apply(photo, points)                     # the photo's own skin, stubble and hair, moved

The generator draws a face twice: as it is in the photo and as it is edited. How the first became the second is looked
for as motion (dense inverse search flow, Kroeger et al. 2016, arXiv 1603.03590), which is smoothed and kept free of
folds. The photo's own pixels make that motion. What it cannot explain is new: teeth, lids. There, and only in mouth
and eyes, the generator's matter comes in, in the photo's colours and with the photo's grain. Elsewhere the photo takes
over nothing but soft light and shade.

Pure functions of arrays. Pictures are (S, S, 3) in levels of 0 to 255; lengths below are in units of the distance
between the outer eye corners.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from draggan.frame import frame

LUMA = np.array((0.299, 0.587, 0.114), np.float32)
FLOW_UNIT = (
    140.0  # pixels of the outer-eye distance at which motion is looked for; finer finds pores, not faces
)
SMOOTH = 0.045  # of the flow
FARTHEST = 0.35  # that anything moves
FOLD = 0.25  # least area that a pixel may shrink to; below, the flow is smoothed further
MATCHES = (
    6.0,
    30.0,
)  # levels of what motion leaves: from where it is doubted, and from where it counts nothing
NEW = (7.0, 24.0)  # levels of what motion leaves: from and to, in mouth and eyes, that count as new matter
HALF = 512  # pixels of a side at which motion without new matter is computed
SHADE = 0.035  # blur of the light that is taken over
SOFT = 12.0  # levels: more than this is no light, but an outline that moved elsewhere; it would make a halo
TRUST = (
    10.0,
    35.0,
)  # levels between photo and reconstruction: from and to, that the generator knows nothing of it
COLOURS = 0.07  # blur of the colours that new matter takes from the photo
GRAIN, GRAIN_SIDE = (
    1.5,
    0.22,
)  # what counts as grain, in pixels of any picture; side of the skin that it is taken from
CHANGED = (1.0, 4.0)  # levels between the two pictures: from and to, that anything changes there


@dataclass(frozen=True)
class Change:
    """An edit of a picture of H x W pixels: its pixels move along `flow`, `new` covers them in its `share`, and `shade`
    is added."""

    flow: np.ndarray  # (H, W, 2) float32: where each pixel comes from, in pixels relative to where it is
    share: np.ndarray  # (H, W) float32 in [0, 1]: of new matter
    new: np.ndarray  # (H, W, 3) float32, levels
    shade: np.ndarray  # (H, W, 3) float32, levels

    def apply(self, photo: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The picture (H, W, 3) uint8 with the change; uint8. Where nothing changes, bit for bit the same.

        points: landmarks (68, 2) in it; the skin between them says what grain new matter needs.
        """
        out = warp(photo, self.flow).astype(np.float32)
        if self.share.any():
            new = self.new + grain(photo, self.new, points)[..., None]
            out += self.share[..., None] * (new - out)
        return np.clip(np.rint(out + self.shade), 0, 255).astype(np.uint8)


def warp(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """A picture (H, W[, C]) whose pixels come from where flow (H, W, 2) says; of its own type."""
    rows, columns = np.indices(flow.shape[:2], np.float32)
    return cv2.remap(
        picture,
        columns + flow[..., 0],
        rows + flow[..., 1],
        cv2.INTER_LANCZOS4,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def explain(
    before: np.ndarray, after: np.ndarray, photo: np.ndarray, points: np.ndarray, region: np.ndarray
) -> Change:
    """How `before` became `after`, told for the photo.

    before, after: the generator's pictures (S, S, 3) float32. photo: the cut-out (S, S, 3) uint8. points: landmarks
    (68, 2) in it. region: (S, S) float32 in [0, 1], where anything may change at all.
    """
    unit = frame(points).unit
    difference = np.abs(after - before).max(axis=2)
    region = region * _spread(_ramp(_blur(difference, 0.01 * unit), *CHANGED), 0.1 * unit)
    flow = motion(before, after, region, unit)
    moved, kept = warp(before, flow), warp(photo, flow).astype(np.float32)
    rest = after - moved
    left = _blur(np.abs(rest).mean(axis=2), 0.012 * unit)

    zones = mouth_and_eyes(points, before.shape[0])
    share = region * _blur(_ramp(left, *NEW) * np.maximum(zones, warp(zones, flow)), 0.012 * unit)
    unlike = _blur(np.abs(kept - moved).mean(axis=2), 0.03 * unit)
    known = 1 - _ramp(unlike, *TRUST)
    colours = _blur(kept - moved, COLOURS * unit)
    shade = _blur(rest.clip(-SOFT, SOFT), SHADE * unit) * (region * known * (1 - share))[..., None]
    return Change(flow, share, after + colours, shade)


def moved(before: np.ndarray, after: np.ndarray, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A picture with the motion, and the soft light, that lead from one picture of the generator to another.

    All (S, S, 3) uint8, and so is what comes out; the picture shows what `before` shows, perhaps moved before. Nothing
    is drawn anew. points: its landmarks (68, 2).
    """
    size = len(picture)
    small = min(size, HALF)  # both are smooth
    one, two, seen = (
        cv2.resize(each, (small, small), interpolation=cv2.INTER_AREA) for each in (before, after, picture)
    )
    points = (points + 0.5) * (small / size) - 0.5
    everywhere = np.ones((small, small), np.float32)
    change = explain(one.astype(np.float32), two.astype(np.float32), seen, points, everywhere)
    flow, shade = (
        cv2.resize(each, (size, size), interpolation=cv2.INTER_LINEAR)
        for each in (change.flow * (size / small), change.shade * (1 - change.share)[..., None])
    )
    none = np.zeros((size, size), np.float32)
    return Change(flow, none, picture, shade).apply(picture, points)


def laid_over(before: np.ndarray, after: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """A picture with what two pictures of the generator differ in, from the second; all (S, S, 3) uint8."""
    difference = cv2.absdiff(before, after).max(axis=2).astype(np.float32)
    blur = len(before) / 250
    share = _spread(_ramp(_blur(difference, blur), *CHANGED), 4 * blur)[..., None]
    out = picture + share * (after.astype(np.float32) - picture)
    return np.where(share > 0, np.rint(out), picture).astype(np.uint8)


def motion(before: np.ndarray, after: np.ndarray, region: np.ndarray, unit: float) -> np.ndarray:
    """Where each pixel of `after` comes from in `before`: (S, S, 2) float32 in pixels, smooth, without folds.

    Both (S, S, 3) float32. Outside the region (S, S) nothing moves. unit: the outer-eye distance in pixels.
    """
    size = before.shape[0]
    small = max(32, round(size * min(1.0, FLOW_UNIT / unit)))
    scale = small / size
    first, second = (
        cv2.resize(
            np.clip(each @ LUMA, 0, 255).astype(np.uint8), (small, small), interpolation=cv2.INTER_AREA
        )
        for each in (before, after)
    )
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    flow = search.calc(second, first, None)
    length = np.linalg.norm(flow, axis=2, keepdims=True)
    flow *= np.minimum(1, FARTHEST * unit * scale / np.maximum(length, 1e-6))

    where = cv2.resize(region, (small, small), interpolation=cv2.INTER_AREA)
    left = _blur(np.abs(second.astype(np.float32) - warp(first, flow)), 0.02 * unit * scale)
    weight = (1 - _ramp(left, *MATCHES)) * where + 1e-3
    sigma = SMOOTH * unit * scale
    flow = _blur(flow * weight[..., None], sigma) / _blur(weight, sigma)[..., None] * where[..., None]
    for _ in range(12):
        if least_area(flow) >= FOLD:
            break
        flow = _blur(flow, sigma) * where[..., None]
    flow = cv2.resize(flow, (size, size), interpolation=cv2.INTER_CUBIC) / scale
    return flow * (region > 0)[..., None]


def least_area(flow: np.ndarray) -> float:
    """The least area that a pixel comes from, by the flow's derivatives; below 0 it folds."""
    down, across = np.gradient(flow, axis=(0, 1))
    return float(((1 + across[..., 0]) * (1 + down[..., 1]) - across[..., 1] * down[..., 0]).min())


def mouth_and_eyes(points: np.ndarray, size: int) -> np.ndarray:
    """Where matter can be hidden in a face of landmarks (68, 2): (size, size) float32, with soft borders."""
    points, unit = np.asarray(points, np.float64), frame(points).unit
    zones = np.zeros((size, size), np.float32)
    for part, grow in ((range(36, 42), 0.05), (range(42, 48), 0.05), (range(48, 60), 0.06)):
        hull = cv2.convexHull(np.rint(points[list(part)]).astype(np.int32))
        one = np.zeros((size, size), np.uint8)
        cv2.fillConvexPoly(one, hull, 1)
        away = cv2.distanceTransform(1 - one, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        zones = np.maximum(zones, np.clip(1.5 - away / (grow * unit), 0, 1))
    return zones


def grain(photo: np.ndarray, new: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The grain that new matter (H, W, 3) lacks beside a photo (H, W, 3) of the same size: (H, W) float32, levels.

    It is that of the smoothest of both cheeks and forehead, by landmarks (68, 2), repeated as in a mirror.
    """
    out = np.zeros(photo.shape[:2], np.float32)
    points, face = np.asarray(points, np.float64), frame(points)
    side = int(GRAIN_SIDE * face.unit)
    found = []
    for centre in (
        points[[2, 31, 41]].mean(axis=0),
        points[[14, 35, 46]].mean(axis=0),
        points[19:25].mean(axis=0) - face.pixels(0, 0.3),
    ):
        left, top = np.rint(centre - side / 2).astype(int)
        if side >= 8 and min(left, top) >= 0 and top + side <= len(photo) and left + side <= photo.shape[1]:
            box = slice(top, top + side), slice(left, left + side)
            fine = [each - _blur(each, GRAIN) for each in (photo[box] @ LUMA, new[box] @ LUMA)]
            found.append((np.median(np.abs(fine[0])), *fine))
    if not found:
        return out
    _, own, there = min(found, key=lambda each: each[0])
    lacking = np.sqrt(max(0.0, 1 - (np.median(np.abs(there)) / max(np.median(np.abs(own)), 1e-3)) ** 2))
    own = np.clip(own, *(np.percentile(own, (2, 98))))  # grain, without the mole
    tile = np.block([[own, own[:, ::-1]], [own[::-1], own[::-1, ::-1]]])
    repeats = -(-out.shape[0] // len(tile)), -(-out.shape[1] // len(tile))
    return (lacking * np.tile(tile, repeats)[: out.shape[0], : out.shape[1]]).astype(np.float32)


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 up to low, 1 from high, smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian; a wide one on fewer pixels, where it costs a small part and looks the same."""
    fewer = int(sigma / 3)
    if fewer < 2:
        return cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.3))
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (-(-width // fewer), -(-height // fewer)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / fewer)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _spread(mask: np.ndarray, distance: float) -> np.ndarray:
    """A mask that reaches that many pixels farther, softly."""
    away = cv2.distanceTransform((mask < 0.5).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    return np.maximum(mask, 1 - _ramp(away, 0.5 * distance, 1.5 * distance))
