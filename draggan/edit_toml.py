"""Edits of one's own: each TOML file of draggan/more_edits/ is one, with a button, a slider and a word like any other.

    edits, problems = read_folder(MORE_EDITS, taken={"smile", ...})    # by name; a line on each file that is wrong

    title = "Pout"                  # and title_zh = "嘟嘴"
    signed = false                  # true: a negative strength does the opposite
    mirror = true                   # what is said of one side holds for the other, too
    hold = [33]                     # landmarks that stay
    [move]                          # landmark = [across, down] at strength 1, in face units
    48 = [0.04, 0.0]
    [[region]]                      # one or more ellipses that may change
    about = [48, 54]                # around the middle of these landmarks
    shift = [0.0, 0.02]             # from there
    size = [0.5, 0.4]               # half axes, across and down
    feather = 0.3                   # share over which it fades
    [shows]                         # what tells how far it has come; without: the points that are moved
    distances = [[48, 54]]          # between landmarks
    measures = ["mouth_width"]      # of edits.measures
    keeps = ["lip_gap"]             # measures that stay
    goal = 0.5                      # share of the way at which it counts as done
    [drag]                          # settings of the drag
    lr = 0.005
    mask_weight = 10.0

The unit of a face is the distance between its outer eye corners; across is to the right in the picture and down to
the chin, along the face's own axes. Landmarks are numbered as in landmarks.py. Files are data: nothing in them runs.
"""

import math
import re
import sys
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import numpy as np

from draggan.edit import Edit, EditError
from draggan.frame import MIRROR, Ellipse, Frame

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MORE_EDITS = Path(__file__).resolve().parent / "more_edits"
MAX_BYTES = 64_000
MOST_EDITS = 50
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MEASURES = ("jaw_width", "mouth_width", "mouth_lift", "lip_gap", "eye_opening")
MEASURES += ("eye_opening_left", "eye_opening_right")
DRAG = {"lr": (1e-4, 0.02), "mask_weight": (0.0, 100.0), "max_steps": (1, 500)}
FARTHEST = 0.5  # face units that a landmark may be moved at strength 1


def read_folder(folder: Path, taken: Container[str]) -> tuple[dict[str, Edit], list[str]]:
    """The edits of a folder's TOML files by name, and one line on each file that is left out, saying why.

    taken: names that there are already. A folder that is not there holds none.
    """
    found: dict[str, Edit] = {}
    problems = []
    for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
        try:
            edit = read_edit(path)
            if edit.name in taken or edit.name in found:
                raise EditError(f"{path}: there is an edit {edit.name} already; give the file another name")
            if len(found) == MOST_EDITS:
                raise EditError(f"{path}: more than {MOST_EDITS} edits; take some files away")
            found[edit.name] = edit
        except EditError as error:
            problems.append(str(error))
    return found, problems


def read_edit(path: Path) -> Edit:
    """The edit in a TOML file, called like the file. EditError, in one line with file, place and what to do."""
    name = path.stem
    if not NAME.fullmatch(name) or len(name) > 30:
        raise EditError(
            f"{path}: a file's name is the edit's; use small letters, digits and -, as in small-nose.toml"
        )
    try:
        if not path.is_file() and path.exists():
            raise EditError(f"{path} is no file; take it out of the folder")
        if path.stat().st_size > MAX_BYTES:
            raise EditError(f"{path}: more than {MAX_BYTES // 1000} kB; an edit is a few lines")
        table = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise EditError(f"{path} cannot be read ({error.strerror}); look at its permissions") from None
    except (UnicodeDecodeError, RecursionError):
        raise EditError(f"{path} is no text in UTF-8; save it as such") from None
    except ValueError as error:  # of a number of thousands of digits it is no TOMLDecodeError
        reason = str(error).splitlines()[0]
        raise EditError(f"{path}: no TOML: {reason}; mend that line") from None
    return _edit(name, _Table(table, path))


class _Table:
    """A TOML table whose values are asked for by key; what is wrong with one is said with its place."""

    def __init__(self, values: dict, path: Path, place: str = ""):
        self.values, self.path, self.place = dict(values), path, place
        self.asked: set[str] = set()

    def wrong(self, key: str, wanted: str) -> EditError:
        place = f"{self.place}.{key}" if self.place and key else key or self.place
        return EditError(f"{self.path}: {place}: {wanted}")

    def get(self, key: str, default: Any, fits: Callable[[Any], bool], wanted: str) -> Any:
        self.asked.add(key)
        if key not in self.values:
            if default is None:
                raise self.wrong(key, f"missing; write {wanted}")
            return default
        if not fits(self.values[key]):
            raise self.wrong(key, f"{_short(self.values[key])} is not {wanted}")
        return self.values[key]

    def table(self, key: str) -> "_Table":
        values = self.get(key, {}, lambda value: isinstance(value, dict), f"a table [{key}]")
        return _Table(values, self.path, f"{self.place}.{key}" if self.place else key)

    def end(self) -> None:
        """EditError for a key that nobody has asked for."""
        for key in self.values:
            if key not in self.asked:
                raise self.wrong(key, f"unknown; known here: {', '.join(sorted(self.asked))}")


def _edit(name: str, table: _Table) -> Edit:
    title = table.get("title", None, _is_title, 'a few words, as in title = "Pout"')
    title_zh = table.get("title_zh", title, _is_title, "a few words")
    signed = table.get("signed", False, _is_bool, "true or false")
    mirror = table.get("mirror", True, _is_bool, "true or false")
    offsets = _offsets(table, mirror)
    region = _region(table, mirror)
    shows = table.table("shows")
    measures = shows.get("measures", [], _are_measures, f"a list of {', '.join(MEASURES)}")
    keeps = shows.get("keeps", [], _are_measures, f"a list of {', '.join(MEASURES)}")
    pairs = shows.get("distances", [], _are_pairs, "a list of pairs of landmarks, as in [[31, 35]]")
    goal = shows.get("goal", 0.5, _between(0.1, 1.0), "a share from 0.1 to 1")
    shows.end()
    drag_table = table.table("drag")
    drag = {
        key: drag_table.get(key, None, _between(least, most), f"a number from {least:g} to {most:g}")
        for key, (least, most) in DRAG.items()
        if key in drag_table.values
    }
    drag_table.asked |= DRAG.keys()
    drag_table.end()
    table.end()
    if "max_steps" in drag:
        drag["max_steps"] = int(drag["max_steps"])
    distances = {f"{name} {a}-{b}": ((a,), (b,)) for a, b in pairs}
    moved = {i for i, offset in offsets.items() if offset.any()}
    for a, b in pairs:
        if not moved & {a, b}:
            raise shows.wrong(
                "distances", f"neither {a} nor {b} is moved, so their distance stays; take others"
            )
    return Edit(
        name,
        title,
        lambda points, face, strength: {i: face.pixels(*(strength * v)) for i, v in offsets.items()},
        region,
        signed,
        shows=(*measures, *distances),
        keeps=tuple(keeps),
        goal=float(goal),
        aim=min(1.0, goal + 0.05),
        drag=drag,
        title_zh=title_zh,
        distances=distances,
    )


def _offsets(table: _Table, mirror: bool) -> dict[int, np.ndarray]:
    """{landmark: (across, down)} in face units; zero for those that are held."""
    offsets: dict[int, np.ndarray] = {}
    move = table.table("move")
    wanted = f"[across, down] in face units, each from {-FARTHEST:g} to {FARTHEST:g}, as in [0.05, -0.02]"
    for key in move.values:
        if not (key.isdecimal() and len(key) < 3 and int(key) < 68):
            raise move.wrong(key, "is no landmark; they are 0 to 67")
        offsets[int(key)] = np.array(move.get(key, None, _is_pair(FARTHEST), wanted), np.float64)
    if not any(offset.any() for offset in offsets.values()):
        raise table.wrong(
            "move", "nothing is moved; write landmarks and where they go, as in 48 = [0.05, 0.0]"
        )
    held = table.get("hold", [], _are_landmarks, "a list of landmarks, 0 to 67")
    for landmark in held:
        if landmark in offsets:
            raise table.wrong("hold", f"{landmark} is moved, too; take it out of one of the two")
        offsets[landmark] = np.zeros(2)
    if mirror:
        for landmark, (across, down) in list(offsets.items()):
            other, across = int(MIRROR[landmark]), -across
            if other == landmark and across:
                raise move.wrong(
                    str(landmark), "lies in the middle: with mirror = true it goes up or down only"
                )
            if other in offsets and not np.allclose(offsets[other], (across, down)):
                raise move.wrong(
                    str(landmark), f"and {other} are mirror images; give one of them, or mirror = false"
                )
            offsets[other] = np.array((across, down))
    return offsets


def _region(table: _Table, mirror: bool) -> Callable[[np.ndarray, Frame], tuple[Ellipse, ...]]:
    wanted = "one or more tables [[region]]"
    fits = lambda value: isinstance(value, list) and value and all(isinstance(v, dict) for v in value)  # noqa: E731
    ellipses = []
    for number, values in enumerate(table.get("region", None, fits, wanted), start=1):
        each = _Table(values, table.path, f"region {number}")
        about = each.get("about", None, _are_some_landmarks, "a list of landmarks, as in [48, 54]")
        shift = each.get("shift", [0.0, 0.0], _is_pair(2.0), "[across, down] in face units")
        size = each.get(
            "size", None, _is_size, "[across, down], half axes in face units, above 0 and at most 2"
        )
        feather = each.get("feather", 0.3, _between(0.05, 1.0), "a share from 0.05 to 1")
        each.end()
        ellipses.append((list(about), tuple(shift), tuple(size), float(feather)))
        if mirror:
            other = ([int(MIRROR[i]) for i in about], (-shift[0], shift[1]), tuple(size), float(feather))
            if sorted(other[0]) != sorted(about) or shift[0]:
                ellipses.append(other)

    def region(points: np.ndarray, face: Frame) -> tuple[Ellipse, ...]:
        return tuple(
            Ellipse(
                points[about].mean(axis=0) + face.pixels(*shift),
                (face.unit * size[0], face.unit * size[1]),
                face.across,
                feather,
            )
            for about, shift, size, feather in ellipses
        )

    return region


# --- what a value may be ----------------------------------------------------------------------------------


def _short(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 200:  # Python writes no more than some thousand digits
        return "a number of that size"
    return repr(value) if len(repr(value)) < 60 else f"{repr(value)[:57]}..."


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def _between(least: float, most: float) -> Callable[[Any], bool]:
    return lambda value: _is_number(value) and least <= value <= most


def _is_pair(most: float) -> Callable[[Any], bool]:
    fits = _between(-most, most)
    return lambda value: isinstance(value, list) and len(value) == 2 and all(map(fits, value))


def _is_size(value: Any) -> bool:
    return _is_pair(2.0)(value) and min(value) > 0


def _is_title(value: Any) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= 40
        and value.isprintable()
        and not set(value) & set("{}<>")
    )


def _is_landmark(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 68


def _are_landmarks(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_landmark, value)) and len(set(value)) == len(value)


def _are_some_landmarks(value: Any) -> bool:
    return _are_landmarks(value) and bool(value)


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(_are_landmarks(pair) and len(pair) == 2 for pair in value)


def _are_measures(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one in MEASURES for one in value)
