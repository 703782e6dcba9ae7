"""Where a face lies in a photo, as geometry: FFHQ's aligned square, out of the photo and back into it.

    alignment = ffhq_alignment(points, size=1024)     # points (68, 2) in pixels of the photo
    aligned = cut(photo, alignment)                   # (1024, 1024, 3), as the generator's training pictures
    region = face_region(alignment.to_aligned(points), 1024)
    pasted = paste(photo, change, points, alignment)  # a change of the aligned picture (motion.py), in the photo

Pure functions of arrays. Points are (x, y) in pixels, pixel centres at whole numbers, in the photo or in the
aligned picture. The square and its padding follow the rule by which the FFHQ data set was made (Karras et al.
2019, arXiv 1812.04948): constants below.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from draggan.frame import frame
from draggan.motion import Change

# FFHQ: half the side of the square is the larger of these shares of the eye-to-eye and the eye-to-mouth
# distance; its centre lies this share of the way from the eyes to the mouth.
EYE_TO_EYE, EYE_TO_MOUTH, CENTRE = 2.0, 1.8, 0.1
# FFHQ: what lies outside the photo is its reflection, blurred by this share of the square's side, and fades
# into one colour over at most this share.
PAD_BLUR, PAD = 0.02, 0.3
LARGEST_SQUARE = 4.0  # sides of the photo; a larger one is no face but stray points
# Of the region that may change, in units of the outer-eye distance.
FOREHEAD, MARGIN, FEATHER = 0.35, 0.1, 0.2


@dataclass(frozen=True)
class Alignment:
    """A similarity: photo = matrix · (x, y, 1) for a point (x, y) of the aligned picture of size x size pixels."""

    matrix: np.ndarray  # (2, 3) float64
    size: int

    @property
    def scale(self) -> float:
        """Pixels of the photo for one of the aligned picture."""
        return float(np.hypot(*self.matrix[:, 0]))

    @property
    def inverse(self) -> np.ndarray:
        """(2, 3), from the photo to the aligned picture."""
        return cv2.invertAffineTransform(self.matrix)

    @property
    def corners(self) -> np.ndarray:
        """Corners (4, 2) of the square in the photo."""
        end = self.size - 0.5
        return self.to_photo(np.array([(-0.5, -0.5), (end, -0.5), (end, end), (-0.5, end)]))

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(points) @ self.matrix[:, :2].T + self.matrix[:, 2]

    def to_aligned(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(points) @ self.inverse[:, :2].T + self.inverse[:, 2]


def ffhq_alignment(points: np.ndarray, size: int) -> Alignment:
    """FFHQ's square for landmarks (68, 2), to be drawn with `size` pixels; ValueError for points that are no face."""
    points = np.asarray(points, np.float64)
    frame(points)  # says if they are none
    left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    eyes, mouth = 0.5 * (left + right), 0.5 * (points[48] + points[54])
    to_eye, to_mouth = right - left, mouth - eyes
    # The axis across the face: the eyes' line and the normal of the line to the mouth, averaged.
    across = to_eye + np.array([to_mouth[1], -to_mouth[0]])
    length = np.hypot(*across)
    if length < 1e-6:
        raise ValueError("these landmarks are not a face: it stands on its head between eyes and mouth")
    half = max(EYE_TO_EYE * np.hypot(*to_eye), EYE_TO_MOUTH * np.hypot(*to_mouth))
    across = across / length * (2 * half / size)
    down = np.array([-across[1], across[0]])
    centre = eyes + CENTRE * to_mouth
    origin = centre - (across + down) * (size - 1) / 2
    return Alignment(np.stack((across, down, origin), axis=1), size)


def cut(photo: np.ndarray, alignment: Alignment) -> np.ndarray:
    """The aligned picture (size, size, 3) uint8 of a photo (H, W, 3) uint8.

    ValueError where the square is much larger than the photo.
    """
    height, width = photo.shape[:2]
    size, scale = alignment.size, alignment.scale
    side = scale * size
    if side > LARGEST_SQUARE * max(height, width):
        raise ValueError("the face is larger than the photo: it is cut off too far")
    # The square's bounding box, a little larger for the filter, padded where it leaves the photo.
    margin = int(np.ceil(4 * max(scale, 1)))
    low = np.floor(alignment.corners.min(axis=0)).astype(int) - margin
    high = np.ceil(alignment.corners.max(axis=0)).astype(int) + margin + 1
    inner_low, inner_high = np.clip(low, 0, (width - 1, height - 1)), np.clip(high, 1, (width, height))
    inner = photo[inner_low[1] : inner_high[1], inner_low[0] : inner_high[0]]
    pads = *(inner_low - low), *(high - inner_high)  # left, top, right, bottom
    matrix = alignment.matrix.copy()
    matrix[:, 2] -= low
    box = inner
    if any(pads):
        left, top, right, bottom = (int(p) for p in pads)
        box = cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_REFLECT_101)
    if scale > 1:  # shrink by areas first: a warp alone would skip pixels
        shape = [max(1, round(n / scale)) for n in (box.shape[1], box.shape[0])]
        factors = np.array([shape[0] / box.shape[1], shape[1] / box.shape[0]])
        box = cv2.resize(box, shape, interpolation=cv2.INTER_AREA)
        matrix = factors[:, None] * matrix
        matrix[:, 2] += 0.5 * factors - 0.5
    else:
        factors = np.ones(2)
    if any(pads):
        box = _fade(box, np.array(pads) * np.tile(factors, 2), side * factors[0])
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(box, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def _fade(box: np.ndarray, pads: np.ndarray, side: float) -> np.ndarray:
    """Blur what was padded and let it fade into the median colour, as FFHQ does; `pads` left, top, right, bottom."""
    height, width = box.shape[:2]
    reach = np.where(pads > 0, np.maximum(pads, PAD * side), np.inf)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    # How far into the padding, as a share of its reach: 0 at the photo's edge, below it inside.
    across = np.maximum((pads[0] - x) / reach[0], (x - (width - 1 - pads[2])) / reach[2])
    down = np.maximum((pads[1] - y) / reach[1], (y - (height - 1 - pads[3])) / reach[3])
    depth = np.maximum(across[None], down[:, None]).astype(np.float32)[..., None]
    original = box.astype(np.float32)
    soft = cv2.GaussianBlur(original, (0, 0), max(PAD_BLUR * side, 0.5))
    blurred = original + (soft - original) * np.clip(3 * depth, 0, 1)
    median = np.median(box.reshape(-1, 3), axis=0).astype(np.float32)
    faded = blurred + (median - blurred) * np.clip(depth, 0, 1)
    return np.clip(np.rint(faded), 0, 255).astype(np.uint8)


def hull(points: np.ndarray, size: int, forehead: float = FOREHEAD) -> np.ndarray:
    """The face of landmarks (68, 2) as a (size, size) bool array: their convex hull, and some forehead above the brows.

    forehead: in units of the outer-eye distance.
    """
    points = np.asarray(points, np.float64)
    raised = points[17:27] - frame(points).pixels(0, forehead)
    outline = cv2.convexHull(np.concatenate((points, raised)).astype(np.float32))
    out = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(out, np.rint(outline).astype(np.int32), 1)
    return out.astype(bool)


def face_region(points: np.ndarray, size: int, also: np.ndarray | None = None) -> np.ndarray:
    """Where a change may show: (size, size) float32, 1 on the face of landmarks (68, 2), feathered down to exactly 0.

    also: (size, size) bool, further places that belong to it. Toward the border of the aligned picture the
    region ends in the same way.
    """
    unit = frame(points).unit
    inside = hull(points, size)
    if also is not None:
        inside |= also
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    rows = np.minimum(np.arange(size), np.arange(size)[::-1])
    border = np.minimum(rows[:, None], rows[None]).astype(np.float32)
    feather = FEATHER * unit
    share = np.minimum(1 - (away - MARGIN * unit) / feather, border / feather)
    share = np.clip(share, 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)


def box_in_photo(alignment: Alignment, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a photo of that shape which the aligned square touches."""
    low = np.clip(np.floor(alignment.corners.min(axis=0)).astype(int), 0, (shape[1], shape[0]))
    high = np.clip(np.ceil(alignment.corners.max(axis=0)).astype(int) + 1, 0, (shape[1], shape[0]))
    return slice(low[1], high[1]), slice(low[0], high[0])


def to_photo(
    picture: np.ndarray, alignment: Alignment, box: tuple[slice, slice], border: int = cv2.BORDER_CONSTANT
) -> np.ndarray:
    """A float32 picture (size, size[, C]) drawn in the photo's pixels of that box; by default 0 outside the square."""
    rows, columns = box
    shape = np.array((columns.stop - columns.start, rows.stop - rows.start))
    matrix, scale = alignment.inverse, alignment.scale  # the place in the picture of a pixel of the photo
    matrix[:, 2] += matrix[:, :2] @ (columns.start, rows.start)
    finer = (
        2 if scale < 1 else 1
    )  # drawn so much finer, then averaged: a warp alone would skip pixels, or blur
    matrix[:, 2] += matrix[:, :2] @ np.full(2, 0.5 / finer - 0.5)
    matrix[:, :2] /= finer
    if finer > 1:
        size = max(1, round(alignment.size * min(1, finer * scale)))
        factor = size / alignment.size
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
        matrix *= factor
        matrix[:, 2] += 0.5 * factor - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(picture, matrix, finer * shape, flags=flags, borderMode=border)
    return cv2.resize(drawn, shape, interpolation=cv2.INTER_AREA) if finer > 1 else drawn


def paste(photo: np.ndarray, change: Change, points: np.ndarray, alignment: Alignment) -> np.ndarray:
    """A copy of a photo (H, W, 3) uint8 with a change of its cut-out made at the photo's own resolution.

    points: landmarks (68, 2) in the photo. Where the change does nothing, the photo's pixels stay bit for bit.
    """
    box = box_in_photo(alignment, photo.shape)
    out = photo.copy()
    if out[box].size:
        flow = to_photo(change.flow, alignment, box) @ alignment.matrix[:, :2].T.astype(np.float32)
        there = Change(
            flow, *(to_photo(each, alignment, box) for each in (change.share, change.new, change.shade))
        )
        origin = np.array((box[1].start, box[0].start))
        out[box] = there.apply(photo[box], np.asarray(points) - origin)
    return out
