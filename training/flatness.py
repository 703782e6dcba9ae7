"""Are these pictures painted in flat colours? Pure functions on the pixels; training/survey.py decides by them.

A label map that went through JPEG, or was scaled with smoothing, has thousands of colours. So has a photo. What
tells them apart are the areas without texture: in a label map nearly all of them have one of a few colours exactly,
in a photo every such area has another colour. The most frequent colour proves nothing, as photos of things on white
or black ground have it as well; so it is left out of the measure.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FLAT = 6  # a pixel is flat if its 3 x 3 neighbourhood spans at most this much in every channel
ON = 10.0  # a pixel has a colour if it is at most this far from it; JPEG at quality 30 moves flat areas by 5
APART = 24.0  # colours nearer than this to a more frequent one are that one, moved by JPEG
RINGING = 0.03  # up to twice as far they still are, if they have less than this share of its pixels
TIGHT = 0.8  # least share of the flat pixels that have one of the colours. JPEG label maps: 0.86 to 1; photos: < 0.7
LEAST_FLAT = 0.005  # with fewer flat pixels beside the most frequent colour the two-colour rule decides


@dataclass(frozen=True)
class Flatness:
    """What ``flatness`` finds in a sample of pictures."""

    colours: tuple[tuple[int, int, int], ...]  # the flat colours, most frequent first
    tight: (
        float  # share of the flat pixels that have one of them, without the most frequent colour; on [0, 1]
    )
    flat: bool  # whether these are flat colours


def _neighbourhood(values: np.ndarray, reduce: np.ufunc) -> np.ndarray:
    """np.maximum or np.minimum over 3 x 3, (H, W, C); the border repeated."""
    height, width = values.shape[:2]
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = reduce(reduce(padded[:height], padded[1:-1]), padded[2:])
    return reduce(reduce(rows[:, :width], rows[:, 1:-1]), rows[:, 2:])


def flat_pixels(picture: np.ndarray) -> np.ndarray:
    """(H, W) bool of a picture (H, W, 3) uint8: where there is no texture."""
    span = _neighbourhood(picture, np.maximum) - _neighbourhood(picture, np.minimum)
    return span.max(axis=2) <= FLAT


def solid_pixels(numbers: np.ndarray) -> np.ndarray:
    """(H, W) bool of a picture of numbers (H, W): where a pixel and its eight neighbours are equal."""
    one = numbers[..., None]
    return (_neighbourhood(one, np.maximum) == _neighbourhood(one, np.minimum))[..., 0]


# Brightness and two colour differences of RGB (ITU-R BT.601, as JPEG has them).
YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def codes_of(pixels: np.ndarray) -> np.ndarray:
    """uint8 (..., 3) -> int32 (...), red * 65536 + green * 256 + blue."""
    red, green, blue = (pixels[..., k].astype(np.int32) for k in range(3))
    return (red << 16) | (green << 8) | blue


def colours_of(codes: np.ndarray) -> np.ndarray:
    """The inverse of ``codes_of``: (...) -> uint8 (..., 3)."""
    return np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=-1).astype(np.uint8)


def nearest(colours: np.ndarray, centres: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``centres`` (K, 3) is nearest to each of ``colours`` (N, 3), and how far it is: two (N,)."""
    index, distance = np.zeros(len(colours), int), np.full(len(colours), np.inf)
    for k, centre in enumerate(centres):
        far = np.sqrt(((colours.astype(float) - np.asarray(centre, float)) ** 2).sum(axis=1))
        index, distance = np.where(far < distance, k, index), np.minimum(far, distance)
    return index, distance


def peaks(
    colours: np.ndarray, counts: np.ndarray, least: float, most: int = 257
) -> list[tuple[int, int, int]]:
    """The colours around which others gather, most frequent first.

    Args:
        colours: (N, 3) uint8, distinct; ``counts``: (N,), the pixels of each.
        least: pixels in a cell of 8 x 8 x 8 values that make a peak.
    """
    cells = codes_of(colours >> 3)
    order = np.argsort(cells, kind="stable")
    starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
    sums = np.add.reduceat(counts[order], starts)
    found: list[tuple[int, int, int]] = []
    heights: list[int] = []
    for k in np.argsort(-sums, kind="stable"):
        if sums[k] < least or len(found) >= most:
            break
        inside = order[starts[k] : starts[k + 1] if k + 1 < len(starts) else None]
        top = colours[inside[counts[inside].argmax()]].astype(int)
        if found:
            distance = np.sqrt(((np.array(found) - top) ** 2).sum(axis=1))
            rings = (distance < 2 * APART) & (sums[k] < RINGING * np.array(heights))
            if distance.min() < APART or rings.any():
                continue
        found.append((int(top[0]), int(top[1]), int(top[2])))
        heights.append(int(sums[k]))
    return found


def flatness(pictures: Sequence[np.ndarray]) -> Flatness:
    """Judge a sample of pictures, each (H, W, 3) uint8."""
    flat, every, smaller = [], [], []
    for picture in pictures:
        step = max(1, max(picture.shape[:2]) // 512)  # leaves flat areas flat and makes the borders thinner
        picture = picture[::step, ::step]
        flat.append(codes_of(picture)[flat_pixels(picture)])
        every.append(codes_of(picture).ravel())
        smaller.append(picture)
    codes, counts = np.unique(np.concatenate(flat), return_counts=True)
    pixels = sum(map(len, every))
    if not len(codes):
        return Flatness((), 0.0, False)
    colours = colours_of(codes)
    found = peaks(colours, counts, max(4.0, 0.0003 * counts.sum()))
    if not found:
        return Flatness((), 0.0, False)
    index, distance = nearest(colours, found)
    on = distance <= ON
    first = np.bincount(index, weights=counts * on, minlength=len(found)).argmax()
    beside = (index != first) | ~on
    if counts[beside].sum() < LEAST_FLAT * pixels:
        return _two_colours(np.concatenate(every), found[first])
    tight = float(counts[on & beside].sum() / counts[beside].sum())
    flat_colours = tight >= TIGHT and len(found) <= 256
    if flat_colours and len(found) <= 40:
        found += thin_colours(
            np.concatenate(every), np.concatenate([codes_of(p)[within_one_area(p)] for p in smaller]), found
        )
    return Flatness(tuple(found), tight, flat_colours)


def within_one_area(picture: np.ndarray, reach: int = 5) -> np.ndarray:
    """(H, W) bool of a picture (H, W, 3): pixels with one colour on two opposite sides and another themselves.

    A pole before the sky is such; the border of two areas, however blurred, is not.
    """
    height, width = picture.shape[:2]
    wide = picture.astype(np.int16)
    padded = np.pad(wide, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    found = np.zeros((height, width), bool)
    for dy, dx in ((0, reach), (reach, 0), (reach, reach), (reach, -reach)):
        one = padded[reach + dy : reach + dy + height, reach + dx : reach + dx + width]
        two = padded[reach - dy : reach - dy + height, reach - dx : reach - dx + width]
        alike = np.abs(one - two).max(axis=2) <= APART / 2
        found |= alike & (np.abs(wide - one).max(axis=2) > APART) & (np.abs(wide - two).max(axis=2) > APART)
    return found


def thin_colours(codes: np.ndarray, within: np.ndarray, found: Sequence) -> list[tuple[int, int, int]]:
    """Colours of classes so thin that no pixel of theirs is flat, as poles and brows.

    Others gather closely around such a colour, it occurs within areas and not at borders alone, and it is no mixture
    of two of the colours ``found`` already. Of the limits for mixtures the nearer ones ask for a denser gathering.

    Args:
        codes: of all pixels of the sample; ``within``: of those that lie within one area.
    """
    codes, counts = np.unique(codes, return_counts=True)
    inner = np.isin(codes, within)
    own, amounts = np.unique(within, return_counts=True)
    inside = np.zeros(len(codes), int)
    inside[inner] = amounts[np.searchsorted(own, codes[inner])]
    colours, pixels = colours_of(codes), counts.sum()
    index, distance = nearest(colours, found)
    near = np.bincount(index, counts * (distance <= APART), len(found))
    rest = distance > APART
    colours, counts, inside = colours[rest], counts[rest], inside[rest]
    lines, strips, mixed = mixtures(found)
    thin = []
    for top in peaks(colours, counts, 0.0002 * pixels):
        distance = np.sqrt(((colours.astype(float) - top) ** 2).sum(axis=1))
        on = distance <= ON
        dense = counts[on].sum() / counts[distance <= APART].sum()
        off, beside, aside = (
            np.sqrt(((each - top) ** 2).sum(axis=-1)).min() for each in (lines, strips, mixed)
        )
        first, far = nearest(np.array([top]), found)
        rings = far[0] < 2 * APART and counts[on].sum() < RINGING * near[first[0]]
        share = inside[on].sum() / counts[on].sum()
        no_mixture = (dense >= 0.5 and aside >= 30) or (dense >= 0.8 and aside >= 16)
        # A dark brow on a skin lies between black and the skin, and in no border of the two.
        amid = dense >= 0.8 and min(off, beside) >= 16 and share >= 0.5
        if not rings and share >= 0.15 and (no_mixture or amid):
            thin.append(top)
    return thin


def mixtures(found: Sequence, steps: int = 17) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What two of some colours give at their border, each (N, 3): as smoothing, a strip in JPEG, and JPEG mix them.

    JPEG smooths brightness and the colour differences apart from each other (its colour has half the resolution), so
    the brightness of one may come with the colour of the other: such a mixture need not lie on the line between the
    two. A strip of two or three pixels keeps its brightness, and its colour is mixed with the ground's. What is then
    outside of RGB is cut off, as a decoder does.
    """
    if len(found) < 2:
        none = np.full((1, 3), np.inf)
        return none, none, none
    pairs = np.array(list(itertools.combinations(found, 2)), float) @ YCC.T  # (pairs, 2, 3)
    part = np.linspace(0, 1, steps)
    ways = pairs[:, 0, None] + part[None, :, None] * (pairs[:, 1] - pairs[:, 0])[:, None]  # (pairs, steps, 3)
    bright = np.repeat(ways[:, :, None, :1], steps, axis=2)
    hues = np.repeat(ways[:, None, :, 1:], steps, axis=1)
    mixed = (np.concatenate([bright, hues], axis=3) @ np.linalg.inv(YCC).T).clip(0, 255)
    diagonal = np.arange(steps)
    return (
        mixed[:, diagonal, diagonal].reshape(-1, 3),
        mixed[:, [0, -1]].reshape(-1, 3),
        mixed.reshape(-1, 3),
    )


def _two_colours(codes: np.ndarray, ground: tuple[int, int, int]) -> Flatness:
    """Thin lines on one ground, blurred: all colours lie on the way to one other, and more near it than half way."""
    codes, counts = np.unique(codes, return_counts=True)
    colours = colours_of(codes).astype(float)
    away = colours - ground
    distance = np.sqrt((away**2).sum(axis=1))
    off = distance > 32
    if not counts[off].sum():
        return Flatness((ground,), 1.0, True)
    order = np.argsort(distance[off])
    rank = np.searchsorted(np.cumsum(counts[off][order]), 0.95 * counts[off].sum())
    end = colours[off][order][min(rank, len(order) - 1)]
    line = end - ground
    along = away[off] @ line / (line @ line)
    aside = np.sqrt(((away[off] - along[:, None] * line) ** 2).sum(axis=1))
    share = lambda mask: float(counts[off][mask].sum() / counts[off].sum())  # noqa: E731
    straight, ended, middle = (
        share(aside < 48),
        share(along > 2 / 3),
        share((along > 1 / 3) & (along <= 2 / 3)),
    )
    flat = straight > 0.9 and ended > middle
    return Flatness((ground, (int(end[0]), int(end[1]), int(end[2]))), straight, flat)


def even_neighbours(numbers: np.ndarray) -> tuple[int, int, int, int]:
    """Neighbours in a picture of numbers (H, W) that are equal, leaving out those that both have the most frequent.

    Returns:
        equal and all pairs of horizontal neighbours, then of vertical ones.
    """
    values, counts = np.unique(numbers, return_counts=True)
    ground = numbers == values[counts.argmax()]
    found = []
    for one, two in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        beside = ~(ground[one] & ground[two])
        found += [int((beside & (numbers[one] == numbers[two])).sum()), int(beside.sum())]
    return found[0], found[1], found[2], found[3]


def between_neighbours(picture: np.ndarray) -> np.ndarray:
    """(H, W) bool of a picture (H, W, 3): pixels whose colour lies between those of two opposite neighbours.

    Smoothing makes such colours at the border of two areas. Neither neighbour has the colour itself.
    """
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
    found = np.zeros((height, width), bool)
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        two = padded[1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        inside = ((np.minimum(one, two) <= picture) & (picture <= np.maximum(one, two))).all(axis=2)
        found |= inside & (one != picture).any(axis=2) & (two != picture).any(axis=2)
    return found
