"""A user's own palette as a text file: one line a class, to be edited by hand.

    # name      red green blue          or, for id maps, its number
    road        128 64 128
    traffic light 250 170 30
    ignore      0 0 0

    road        7
    ignore      255

A name may hold spaces. ``ignore`` may occur often: such pixels are in no loss and no score. What follows # is a
comment. ``python pix2pix_dataset.py DATASET --write-palette FILE`` writes such a file from the labels of a data set.
"""

from collections.abc import Mapping
from pathlib import Path

from common.commandline import UserError, write_atomically
from training.palettes import Palette, id_palette

IGNORE = "ignore"
MOST_CLASSES = 256
MOST_BYTES = 2**20


def read_palette(path: Path) -> Palette:
    """The palette in a file. Numbers are painted in their ``id_colour``; ``ids`` then says which.

    Raises:
        UserError: with the line that is wrong.
    """
    try:
        if path.exists() and (not path.is_file() or path.stat().st_size > MOST_BYTES):  # a device has no end
            raise ValueError("it is no text file of a palette's size")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or (
            "it is no text" if isinstance(error, UnicodeError) else error
        )
        raise UserError(
            f"--palette {str(path)[:200]} cannot be read ({reason}); write one with --write-palette"
        ) from error
    classes: dict[str, tuple[int, ...]] = {}
    ignored: list[tuple[int, ...]] = []
    seen: dict[tuple[int, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#")[0].replace(",", " ").split()
        if not words:
            continue
        where = f"{path}, line {number}"
        name, values = _name_and_values(words, where)
        if seen and len(values) != len(next(iter(seen))):
            raise UserError(f"{where}: all lines hold a colour (`name r g b`), or all an id (`name id`)")
        if seen.setdefault(values, number) != number:
            raise UserError(
                f"{where}: the same colour or id as in line {seen[values]}; remove one of the two"
            )
        if name.lower() == IGNORE:
            ignored.append(values)
        elif name.replace(" ", "_") in {known.replace(" ", "_") for known in classes}:
            raise UserError(f"{where}: the class {name} has a line already; give this one another name")
        else:
            classes[name] = values
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise UserError(f"{path} has {len(classes)} classes; a palette has 2 to {MOST_CLASSES}")
    if len(next(iter(seen))) == 3:
        colours = {name: (r, g, b) for name, (r, g, b) in classes.items()}
        return Palette(path.stem, colours, tuple((r, g, b) for r, g, b in ignored), ignores=True)
    numbers = {name: values[0] for name, values in classes.items()}
    painted = id_palette(list(numbers.values()), [values[0] for values in ignored])
    colours = {name: painted.ids[number] for name, number in numbers.items()}
    return Palette(path.stem, colours, painted.void, painted.ids, 0.5, ignores=True)


def _name_and_values(words: list[str], where: str) -> tuple[str, tuple[int, ...]]:
    """A line's name, and its three or one last numbers."""
    count = 0
    while count < 3 and count < len(words) and words[-1 - count].removeprefix("-").isdecimal():
        count += 1
    count = count if count in (0, 3) else 1
    name = " ".join(words[: len(words) - count])
    if not count or not name:
        raise UserError(f"{where}: expected `name r g b`, `name id` or `{IGNORE} …`, not `{' '.join(words)}`")
    if any(_is_fraction(word) for word in words[1:]):
        raise UserError(f"{where}: red, green, blue and ids are whole numbers, not `{' '.join(words[1:])}`")
    if "=" in name:
        raise UserError(f"{where}: a name cannot hold `=`, which the log puts between name and value")
    values = tuple(int(word) for word in words[-count:])
    least = -(2**31) if name.lower() == IGNORE and count == 1 else 0
    if min(values) < least or max(values) > (255 if count == 3 else 65535):
        raise UserError(
            f"{where}: red, green and blue are 0 to 255, and an id is 0 to 65535; below 0 it can be ignored only"
        )
    return name, values


def _is_fraction(word: str) -> bool:
    whole, point, rest = word.partition(".")
    return bool(point) and whole.isdecimal() and rest.isdecimal()


def write_palette(
    path: Path, palette: Palette, shares: Mapping[str, float], ignored: float, source: str
) -> None:
    """Write a palette for the user to edit.

    Args:
        shares: of each class, the fraction of the pixels; ``ignored``: that of the void ones.
        source: where the labels lie, for the first line.

    Raises:
        UserError: if the file is there already or cannot be written.
    """
    if path.exists():
        raise UserError(f"{path} is there already; remove it, or choose another name")
    numbers = {colour: number for number, colour in palette.ids.items()}
    words = lambda colour: str(numbers[colour]) if numbers else " ".join(map(str, colour))  # noqa: E731
    rows = [(name, words(colour), f"{shares.get(name, 0.0):.4%}") for name, colour in palette.classes.items()]
    void = [str(number) for number, colour in palette.ids.items() if colour in palette.void]
    rows += [(IGNORE, value, "") for value in void or map(words, palette.void)]
    lines = [
        f"# The labels of {source}. Give the classes names; `{IGNORE}` in place of a name leaves pixels out.",
        f"# name {'id' if numbers else 'r g b'}  # share of the pixels; {ignored:.4%} are ignored",
    ]
    width = max(len(name) for name, _, _ in rows)
    lines += [f"{name:{width}}  {value:>11}{f'  # {share}' if share else ''}" for name, value, share in rows]
    write_atomically(path, lambda place: place.write_text("\n".join(lines) + "\n", encoding="utf-8"))
