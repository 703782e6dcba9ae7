"""One-click edits as geometry: 68 landmarks → handles, targets and the region that may change.

Pure functions of points; no network, no image. Points are (68, 2) in the iBUG order of landmarks.py, (x, y)
in pixels. Lengths below are in units of the distance between the outer eye corners, directions in the face's
own axes (along the eyes, and down from them), so that an edit is the same for a small, tilted or mirrored face.

Every edit takes a strength: 1 is the default, 0 does nothing, 2 is twice as far; where `signed` is true a
negative strength does the opposite (a wider jaw, a frown).
"""

import sys
from functools import partial

import numpy as np

from draggan.edit import Edit, EditError, Plan
from draggan.edit_toml import MORE_EDITS, read_folder
from draggan.frame import Ellipse, Frame, frame
from draggan.measures import EYES, SIDES, measures
from draggan.one_eye import eye_region

LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))  # upper and the lower point below it
MAX_STRENGTH = 2.0


# --- the edits: landmarks, frame, strength → {landmark: offset in pixels}; an offset of zero pins a point -----


def _slim(points: np.ndarray, face: Frame, strength: float) -> dict[int, np.ndarray]:
    """Jaw contour toward the middle, most in the middle of the cheek; the chin stays."""
    offsets = {8: np.zeros(2)}
    for i, share in ((2, 0.6), (3, 0.9), (4, 1.0), (5, 1.0), (6, 0.8)):
        half = 0.5 * (points[16 - i] - points[i]) @ face.across  # each side goes to the middle of its pair
        for point, sign in ((i, 1), (16 - i, -1)):
            offsets[point] = sign * SLIM * share * strength * half * face.across
    return offsets


def _smile(points: np.ndarray, face: Frame, strength: float) -> dict[int, np.ndarray]:
    """Mouth corners out and up; the middle of both lips stays, and so the gap between them."""
    out, up = SMILE
    corners = {
        48: face.pixels(-out * strength, -up * strength),
        54: face.pixels(out * strength, -up * strength),
    }
    return corners | {i: np.zeros(2) for i in (51, 57, 62, 66)}


def _close_eyes(
    points: np.ndarray, face: Frame, strength: float, eyes: tuple[int, ...] = (0, 1)
) -> dict[int, np.ndarray]:
    """The lids of eyes (0: left in the picture, 1: right) to a line near the lower lid; the corners stay."""
    close, offsets = min(CLOSE * strength, 1.0), {}  # share of the gap that closes; the lids never cross
    for eye in eyes:
        offsets |= {EYES[eye][0]: np.zeros(2), EYES[eye][3]: np.zeros(2)}
        for upper, lower in LIDS[2 * eye : 2 * eye + 2]:
            gap = points[lower] - points[upper]
            offsets[upper] = (1 - LOWER_LID) * close * gap
            offsets[lower] = -LOWER_LID * close * gap
    return offsets


def _open_eyes(points: np.ndarray, face: Frame, strength: float) -> dict[int, np.ndarray]:
    """The upper lids up and the lower ones a little down; the corners of the eyes stay."""
    offsets = {i: np.zeros(2) for i in (36, 39, 42, 45)}
    for upper, lower in LIDS:
        offsets[upper] = face.pixels(0, -0.035 * strength)
        offsets[lower] = face.pixels(0, 0.015 * strength)
    return offsets


def _big_eyes(points: np.ndarray, face: Frame, strength: float) -> dict[int, np.ndarray]:
    """Each eye larger about its centre."""
    offsets = {}
    for eye in EYES:
        centre = points[list(eye)].mean(axis=0)
        offsets |= {i: 0.2 * strength * (points[i] - centre) for i in eye}
    return offsets


def _open_mouth(points: np.ndarray, face: Frame, strength: float) -> dict[int, np.ndarray]:
    """Lower lip and chin down; the upper lip stays."""
    offsets = {i: np.zeros(2) for i in (48, 51, 54, 62)}
    offsets |= {i: face.pixels(0, 0.14 * strength) for i in (56, 57, 58, 66)}
    return offsets | {i: face.pixels(0, 0.09 * strength) for i in (7, 8, 9)}


def _raise_brows(points: np.ndarray, face: Frame, strength: float) -> dict[int, np.ndarray]:
    """Brows up, the eyes stay."""
    offsets = {i: face.pixels(0, -0.09 * strength) for i in range(17, 27)}
    return offsets | {i: np.zeros(2) for i in (37, 38, 43, 44)}


def _neutral(points: np.ndarray, face: Frame, strength: float) -> dict[int, np.ndarray]:
    """A mouth that is wider, more lifted or more open than one at rest comes to rest; narrowed lids open."""
    found, (width, lift, opening) = measures(points), AT_REST
    narrower = 0.5 * strength * max(found["mouth_width"] - width, 0.0)
    lower = strength * max(found["mouth_lift"] - lift, 0.0)
    offsets = {48: face.pixels(narrower, lower), 54: face.pixels(-narrower, lower)}
    shut = strength * max(found["lip_gap"], 0.0)
    # The lower lip does most of it: its outer middle goes along with the inner one, the upper's by a little.
    offsets |= {i: face.pixels(0, 0.3 * shut) for i in (51, 62)} | {
        i: face.pixels(0, -0.7 * shut) for i in (57, 66)
    }
    for side, eye in zip(SIDES, EYES, strict=True):
        eye_points = points[list(eye)]
        missing = max(opening - found[f"eye_opening_{side}"], 0.0) * np.linalg.norm(
            eye_points[3] - eye_points[0]
        )
        offsets |= {eye[i]: -0.7 * strength * missing * face.down for i in (1, 2)}
        offsets |= {eye[i]: 0.3 * strength * missing * face.down for i in (4, 5)}
    return offsets


# --- the regions that may change ------------------------------------------------------------------------------


def _lower_face(points: np.ndarray, face: Frame) -> tuple[Ellipse, ...]:
    """Cheeks, jaw and what lies just beside them, up to the eyes."""
    middle = 0.5 * (points[3] + points[13])
    half_width = 0.5 * abs((points[14] - points[2]) @ face.across) + 0.22 * face.unit
    half_height = abs((points[8] - middle) @ face.down) + 0.2 * face.unit
    # The fade lies beside the jaw, not on it: two jaws blended would be a double contour.
    return (Ellipse(middle, (half_width, half_height), face.across, feather=0.2),)


def _smiling(points: np.ndarray, face: Frame) -> tuple[Ellipse, ...]:
    """Mouth, folds, cheeks and lower lids: a smile of the mouth alone is a smirk."""
    lids = points[[40, 41, 46, 47]].mean(axis=0)
    reach = abs((points[8] - lids) @ face.down)
    centre = points[48:60].mean(axis=0)
    centre = lids + ((centre - lids) @ face.across) * face.across + 0.5 * reach * face.down
    half_width = 0.5 * abs((points[13] - points[3]) @ face.across) + 0.05 * face.unit
    return (Ellipse(centre, (half_width, 0.5 * reach + 0.1 * face.unit), face.across, feather=0.5),)


def _eyes(points: np.ndarray, face: Frame, eyes: tuple[int, ...] = (0, 1)) -> tuple[Ellipse, ...]:
    """Eyes (0: left in the picture, 1: right) with their lids, up to the brows."""
    return tuple(eye_region(points, face, eye) for eye in eyes)


def _mouth_and_eyes(points: np.ndarray, face: Frame) -> tuple[Ellipse, ...]:
    return _smiling(points, face) + _eyes(points, face)


def _jaw_and_mouth(points: np.ndarray, face: Frame) -> tuple[Ellipse, ...]:
    centre = 0.5 * (points[33] + points[8])
    half_height = 0.5 * abs((points[8] - points[33]) @ face.down) + 0.3 * face.unit
    return (Ellipse(centre, (0.62 * face.unit, half_height), face.across),)


def _brows(points: np.ndarray, face: Frame) -> tuple[Ellipse, ...]:
    centre = points[17:27].mean(axis=0) - face.pixels(0, 0.06)
    return (Ellipse(centre, (0.8 * face.unit, 0.3 * face.unit), face.across),)


AT_REST = (0.59, 0.03, 0.28)  # mouth width, mouth lift, eye opening: medians of the generator's closed mouths
SLIM = 0.15  # share of the way to the middle
SMILE = (0.12, 0.10)  # outward and up
KEPT = 0.07  # a closed mouth may part a little, as people's do
CLOSE, LOWER_LID = 0.95, 0.15  # share of the gap that closes, and how much of that the lower lid does


# Found on faces of the default generator: a jaw moves at once and pulls the background along, a mouth slowly, and
# eyes cost the least identity when the brows are held.
SLIM_DRAG = {"lr": 0.003, "mask_weight": 20.0}
SMILE_DRAG = {"lr": 0.006, "mask_weight": 6.0}
EYES_DRAG = {"lr": 0.005, "mask_weight": 20.0}

# Landmarks read closed lids as half open: half the way by them, but not before the lids have met.
CLOSING = {
    "goal": 0.45,
    "aim": 0.65,
    "scales": (2.0, 2.75),  # lids meet some way after landmarks say so, at little cost
    "farthest": 3.0,  # eyes in shadow and lids deep in their sockets
    "least_steps": 32,
    "drag_on": False,  # landmarks are not on closed lids: pulled by them, eyes dissolve
    "drag": EYES_DRAG,
}

EDITS = {
    edit.name: edit
    for edit in (
        Edit(
            *("slim", "Slim face", _slim, _lower_face, True),
            shows=("jaw_width",),
            by_motion=True,  # drawn anew, an ear beside the jaw gets another earring
            goal=0.45,
            aim=0.5,
            scales=(0.5, 2.0),
            drag=SLIM_DRAG,
        ),
        Edit(
            *("smile", "Smile", _smile, _smiling, True),
            shows=("mouth_width", "mouth_lift"),
            keeps=("lip_gap",),
            goal=0.38,
            aim=0.35,
            drag=SMILE_DRAG,
        ),
        Edit(
            *("close-eyes", "Close eyes", _close_eyes, _eyes, False),
            shows=("eye_opening_left", "eye_opening_right"),
            **CLOSING,
        ),
        *(
            Edit(
                *(f"wink-{side}", f"Wink ({side})"),
                *(partial(_close_eyes, eyes=(eye,)), partial(_eyes, eyes=(eye,)), False),
                shows=(f"eye_opening_{side}",),
                part_of="close-eyes",
                eye=eye,
                **CLOSING,
            )
            for eye, side in enumerate(SIDES)
        ),
        Edit("neutral", "Neutral", _neutral, _mouth_and_eyes, False, drag=SMILE_DRAG),
        Edit("open-eyes", "Open eyes", _open_eyes, _eyes, True, ("eye_opening",)),
        Edit("big-eyes", "Big eyes", _big_eyes, _eyes, True),
        Edit("open-mouth", "Open mouth", _open_mouth, _jaw_and_mouth, False, ("lip_gap",)),
        Edit("raise-brows", "Raise brows", _raise_brows, _brows, True),
    )
}
# Edits of one's own, and a line on each file that is none, which the commands say.
OWN, PROBLEMS = read_folder(MORE_EDITS, EDITS)
EDITS |= OWN


def report_problems() -> None:
    """Say on stderr which files of edits of one's own are left out, and why: a line each."""
    for problem in PROBLEMS:
        print(f"left out: {problem}", file=sys.stderr)


def find_edit(name: str, strength: float = 1.0) -> Edit:
    """The edit of that name; EditError if there is none or the strength is out of its range."""
    if name not in EDITS:
        raise EditError(f"unknown edit {name!r}; known: {', '.join(EDITS)}")
    lowest = -MAX_STRENGTH if EDITS[name].signed else 0.0
    if not lowest <= strength <= MAX_STRENGTH:
        raise EditError(f"strength of {name} must be in {lowest:g} to {MAX_STRENGTH:g}, got {strength:g}")
    return EDITS[name]


def plan_edit(name: str, points: np.ndarray, strength: float = 1.0) -> Plan:
    """Handles, targets and region of an edit for a face's landmarks (68, 2).

    Raises EditError for an unknown edit or a strength out of range, ValueError for points that are no face.
    """
    edit = find_edit(name, strength)
    points = np.asarray(points, np.float64)
    if points.shape != (68, 2):
        raise ValueError(f"expected 68 landmarks as (68, 2), got {points.shape}")
    face = frame(points)
    offsets = edit.move(points, face, strength)
    indices = tuple(sorted(offsets))
    handles = points[list(indices)]
    targets = handles + np.array([offsets[i] for i in indices])
    return Plan(handles, targets, edit.region(points, face), indices)


def plan_edits(strengths: dict[str, float], points: np.ndarray) -> Plan:
    """One plan for several edits at once, {name: strength}, whatever their order.

    A landmark that several edits move is moved by the sum; the region is all of theirs. Raises like
    `plan_edit`, and EditError for none at all.
    """
    if not strengths:
        raise EditError(f"no edit given; known: {', '.join(EDITS)}")
    plans = [plan_edit(name, points, strengths[name]) for name in sorted(strengths)]
    offsets: dict[int, np.ndarray] = {}
    for plan in plans:
        for index, offset in zip(plan.indices, plan.targets - plan.handles, strict=True):
            offsets[index] = offsets.get(index, 0) + offset
    indices = tuple(sorted(offsets))
    handles = np.asarray(points, np.float64)[list(indices)]
    region = tuple(ellipse for plan in plans for ellipse in plan.region)
    return Plan(handles, handles + np.array([offsets[i] for i in indices]), region, indices)


# --- how far a face has come -----------------------------------------------------------------------------------


def reached(name: str, before: dict[str, float], after: dict[str, float]) -> bool | None:
    """Whether the face shows the edit at its default strength, by `measures`; None for edits without a rule.

    Of an edit of one eye by those of the landmarks by which it is judged, see Face.points_by.
    """
    if name == "slim":
        return after["jaw_width"] <= 0.95 * before["jaw_width"]
    if name == "smile":
        return (
            after["mouth_width"] >= 1.10 * before["mouth_width"]
            and after["mouth_lift"] - before["mouth_lift"] >= 0.02
            and abs(after["lip_gap"] - before["lip_gap"]) <= KEPT
        )
    if "close-eyes" in (name, EDITS[name].part_of):
        return all(after[m] <= 0.60 * before[m] for m in EDITS[name].shows)
    return None


def share(name: str, plan: Plan, start: np.ndarray, now: np.ndarray) -> float:
    """Share of an edit's way that landmarks `now` (68, 2) show: 0 at `start`, 1 on the plan's targets.

    The least over what the edit is to change (its `shows`), or else over its moving points on average.
    """
    if EDITS[name].shows:
        return min(_shares(name, plan, start, now).values())
    wanted = np.array(start, np.float64)
    wanted[list(plan.indices)] = plan.targets
    way, moved = wanted - start, now - start
    length = float(np.sum(way**2))
    return float(np.sum(moved * way)) / length if length > 0 else 1.0


def _shares(name: str, plan: Plan, start: np.ndarray, now: np.ndarray) -> dict[str, float]:
    """The share of the way in each measure that an edit is to change."""
    wanted = np.array(start, np.float64)
    wanted[list(plan.indices)] = plan.targets
    own = EDITS[name].own_measures
    first, found, last = (measures(each) | own(each) for each in (start, now, wanted))
    return {
        m: (found[m] - first[m]) / (last[m] - first[m]) if last[m] != first[m] else 1.0
        for m in EDITS[name].shows
    }


def shortest(name: str, plan: Plan, start: np.ndarray, now: np.ndarray) -> str | None:
    """The measure in which landmarks `now` (68, 2) are farthest from an edit's targets; None: it shows no measure."""
    shares = _shares(name, plan, start, now)
    return min(shares, key=shares.get, default=None)


def kept(name: str, start: np.ndarray, now: np.ndarray) -> float:
    """How far landmarks `now` (68, 2) are from changing what the edit is to keep too much; below 0 they do."""
    first, found = measures(start), measures(now)
    return min((KEPT - abs(found[m] - first[m]) for m in EDITS[name].keeps), default=np.inf)
