"""Which files of a data set belong together: the layouts, found on disk.

    DIR/SPLIT/name.jpg                    photo and label side by side, any even width
    DIR/SPLIT/A/name.* DIR/SPLIT/B/name.* or DIR/A/SPLIT/ and DIR/B/SPLIT/: one file each, the same stem
    DIR/leftImg8bit/SPLIT/CITY/*_leftImg8bit.png with DIR/gtFine/SPLIT/CITY/*_gtFine_labelIds.png or
                                          *_gtFine_color.png: Cityscapes as its authors publish it

SPLIT is train, val or test. There may be folders below the folder of a split; the same ones in A and B.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.commandline import UserError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
DEEPEST = 30  # folders below that of a split
LISTED = 20  # files that a message names
DATASETS = Path(__file__).resolve().parents[1] / "datasets"
DOWNLOADS = ("facades", "cityscapes", "camvid", "faces", "maps", "night2day", "edges2shoes", "edges2handbags")
SPLITS = ("train", "val", "test")
# The folder of one side of pairs -> what that of the other is called.
SIDES = {
    "A": ("B",),
    "B": ("A",),
    "leftImg8bit": ("gtFine", "gtCoarse"),
    "gtFine": ("leftImg8bit",),
    "gtCoarse": ("leftImg8bit",),
}
# What Cityscapes' labels are called, in the order in which they are looked for, by what --labels asks for.
CITYSCAPES_LABELS = {"ids": ("labelIds",), "colours": ("color",), "auto": ("labelIds", "color")}


@dataclass(frozen=True)
class Pair:
    """Where one photo and its label lie. ``b`` is None where both halves are in the file ``a``."""

    name: str  # below the folder of the split, without the ending: "0001" or "aachen/0001"
    a: Path
    b: Path | None = None


def resolve(dataset: str) -> Path:
    """The folder of a data set given as a folder or as a name under ``datasets/``.

    Raises:
        UserError: if there is none; the text says how to get it.
    """
    for folder in (Path(dataset), DATASETS / dataset):
        if folder.is_dir():
            return folder
    name = Path(dataset).name
    if name in DOWNLOADS:
        raise UserError(f"the data set {dataset} is not here; run `bash download_dataset.sh {name}`")
    raise UserError(
        f"there is no data set folder {dataset}; give a folder with train/ and val/, or a name that "
        f"`bash download_dataset.sh NAME` knows: {', '.join(DOWNLOADS)}"
    )


def validation_split(root: Path) -> str:
    """ "val", or "test" where a data set has no val, as some of pix2pix's."""
    return "test" if has_split(root, "test") and not has_split(root, "val") else "val"


def has_split(root: Path, split: str) -> bool:
    """Whether there is a folder for a split, in any layout."""
    return any((root / folder).is_dir() for folder in (split, f"A/{split}", f"leftImg8bit/{split}"))


def pictures(folder: Path) -> list[Path]:
    """The picture files right in ``folder``, sorted by name; hidden files are left out.

    Raises:
        UserError: for those that are no files: a pipe, a device, a link that leads nowhere. Opening one could hang.
    """
    found, _, wrong = _in(folder) if folder.is_dir() else ([], [], {})
    if wrong:
        raise UserError(_in_words(wrong))
    return found


def _in(folder: Path) -> tuple[list[Path], list[Path], dict[Path, str]]:
    """The picture files and the folders right in ``folder``, and what is called a picture and is none, with the why."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}); check its permissions") from error
    found, folders, wrong = [], [], {}
    for path in entries:
        try:
            if path.name[0] == ".":
                continue
            if path.is_dir():
                folders.append(path)
            elif path.suffix.lower() in SUFFIXES:
                if path.is_file():
                    found.append(path)
                else:
                    wrong[path] = f"is {_no_file(path)} and no picture"
        except OSError as error:
            wrong[path] = f"cannot be looked at ({error.strerror})"
    return found, folders, wrong


def _no_file(path: Path) -> str:
    if path.is_symlink() and not path.exists():
        return "a link that leads nowhere"
    return "a named pipe" if path.is_fifo() else "a device or socket"


def _in_words(wrong: Mapping[Path, str], partners: bool = False) -> str:
    """What is called a picture and is none, and what to do; ``partners``: whether they are halves of pairs."""
    which = "it" if len(wrong) == 1 else "them"
    also = f" and {'its partner' if len(wrong) == 1 else 'their partners'} on the other side" * partners
    return f"{_listed([f'{path} {why}' for path, why in wrong.items()])}; remove {which}{also}"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:LISTED]) + (f" and {len(words) - LISTED} more" if len(words) > LISTED else "")


def pictures_below(folder: Path) -> dict[str, Path]:
    """The pictures of a folder and of the folders below it, by their name in it without the ending, sorted.

    Links are followed. A folder that was seen is not entered again, nor one above: a link there would bring in the
    other splits, or the whole disk.

    Raises:
        UserError: for two files of one name, folders without end, and as ``pictures``.
    """
    found, wrong = _below(folder)
    if wrong:
        raise UserError(_in_words(wrong))
    return found


def _below(folder: Path) -> tuple[dict[str, Path], dict[Path, str]]:
    """As ``pictures_below``, and what is called a picture and is none, with the why."""
    found: dict[str, Path] = {}
    wrong: dict[Path, str] = {}
    top = os.path.realpath(folder)
    seen: set[str] = set()
    waiting = [folder] if folder.is_dir() else []
    while waiting:
        place = waiting.pop()
        here = os.path.realpath(place)
        if here in seen or (here != top and os.path.commonpath([here, top]) == here):
            continue
        seen.add(here)
        files, folders, no_files = _in(place)
        wrong |= no_files
        if len(place.parts) - len(folder.parts) > DEEPEST:
            raise UserError(
                f"{folder} holds folders in folders, more than {DEEPEST} deep; put the pictures higher"
            )
        waiting += reversed(folders)
        for path in files:
            name = _name(path, folder)
            if name in found:
                raise UserError(
                    f"{found[name]} and {path} have the same name before the ending, so their partner is not "
                    "clear; rename or remove one of them"
                )
            found[name] = path
    return dict(sorted(found.items())), wrong


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def find_pairs(root: Path, split: str, labels: str = "auto") -> list[Pair]:
    """All pairs of a split, sorted by name.

    Args:
        labels: "ids" or "colours" chooses between Cityscapes' two kinds of labels; "auto": ids if there are any.

    Raises:
        UserError: for an empty or missing split, a picture in A/ or B/ without its partner, two files of one name,
            or what is no file.
    """
    for a, b in ((root / split / "A", root / split / "B"), (root / "A" / split, root / "B" / split)):
        if a.is_dir() or b.is_dir():
            (left, wrong_left), (right, wrong_right) = _below(a), _below(b)
            held = {_name(path, a) for path in wrong_left} | {_name(path, b) for path in wrong_right}
            pairs = _partners(left, right, a, b, wrong_left | wrong_right, held)
            break
    else:
        if (root / "leftImg8bit").is_dir():
            pairs = _cityscapes_pairs(root, split, labels)
        else:
            below = pictures_below(root / split)
            _refuse_two_sides(root / split, below)
            pairs = [Pair(name, path) for name, path in below.items()]
    if not pairs:
        there = "" if (root / split).exists() else ", for it is not there"
        raise UserError(
            f"{root / split} holds no pictures{there}; expected A|B files in {root / split}/ or two folders "
            f"{root / split}/A and {root / split}/B"
        )
    return pairs


def find_pairs_in(folder: Path, labels: str = "auto") -> list[Pair]:
    """All pairs in the folder of a split, in any layout, as ``find_pairs``.

    The folder need not be there: ``root/val`` stands for ``root/A/val`` and ``root/B/val`` as well.

    Raises:
        UserError: as ``find_pairs``, and for a folder above or below that of a split: its pictures are no pairs.
    """
    folder = Path(os.path.abspath(folder))  # "." has no name
    refuse_one_side(folder)
    splits = _splits(folder)
    if splits:
        raise UserError(
            f"{folder} holds the splits {', '.join(splits)}; give one of them, as {folder / splits[0]}"
        )
    return find_pairs(folder.parent, folder.name, labels)


def _splits(root: Path) -> list[str]:
    return [split for split in SPLITS if has_split(root, split)]


def refuse_one_side(folder: Path) -> None:
    """UserError for a folder of photos or of labels alone, in any layout; it says what to give in place of it."""
    folder = Path(os.path.abspath(folder))
    for side in (folder, *folder.parents):
        root, below = side.parent, folder.relative_to(side)
        split = below.parts[0] if below.parts and below.parts[0] in SPLITS else ""
        other = _twin(root, side.name, below) or (split and _twin(root, side.name, Path(split)))
        if not other:
            continue
        whole = root / split if split else next((root / each for each in _splits(root)), root)
        missing = "" if whole.is_dir() else ", though there is no folder of that name"
        raise UserError(
            f"{folder} is one side of pairs in {side.name}/ and {other}/; give {whole}, which stands for both{missing}"
        )


def _twin(root: Path, side: str, below: Path) -> str:
    """What the other side is called that holds ``below``, too; "" if there is none."""
    return next((name for name in SIDES.get(side, ()) if (root / name / below).is_dir()), "")


def _refuse_two_sides(folder: Path, files: dict[str, Path]) -> None:
    """UserError where two folders hold the same names: those are sides of pairs, and no A|B files."""
    sides: dict[str, set[str]] = {}
    for name in files:
        first, slash, rest = name.partition("/")
        sides.setdefault(first if slash else "", set()).add(rest)
    if len(sides) == 2 and "" not in sides:
        (one, names), (other, others) = sides.items()
        if 2 * len(names & others) > len(names):
            raise UserError(
                f"{folder} has the same names in {one}/ and {other}/; call the folder of the inputs A, the other B"
            )


def _partners(
    left: dict[str, Path],
    right: dict[str, Path],
    a: Path,
    b: Path,
    wrong: Mapping[Path, str],
    held: set[str],
) -> list[Pair]:
    """The pairs of two folders.

    Args:
        wrong: what is called a picture and is none, with the why; ``held``: its names.

    Raises:
        UserError: for all pictures without a partner, and all that are ``wrong``, at once.
    """
    lonely = sorted((left.keys() ^ right.keys()) - held)
    said = [_in_words(wrong, bool(held & (left.keys() | right.keys())))] if wrong else []
    if lonely:
        sides = ((name, *((a, b) if name in left else (b, a))) for name in lonely)
        missing = [f"{side / name}.* is missing in {other}" for name, side, other in sides]
        have = "1 picture has" if len(lonely) == 1 else f"{len(lonely)} pictures have"
        said.append(
            f"{have} no partner: {_listed(missing)}; add or remove them so that both folders hold the same names"
        )
    if said:
        raise UserError(". ".join(said))
    return [Pair(name, left[name], right[name]) for name in left]


def _cityscapes_pairs(root: Path, split: str, labels: str) -> list[Pair]:
    a = root / "leftImg8bit" / split
    truth = next((name for name in ("gtFine", "gtCoarse") if (root / name / split).is_dir()), "gtFine")
    b = root / truth / split
    (photos, wrong_photos), (below, wrong_below) = _below(a), _below(b)
    found: dict[str, Path] = {}
    for kind in CITYSCAPES_LABELS.get(labels, CITYSCAPES_LABELS["auto"]):
        found = found or _shortened(below, f"_{truth}_{kind}")
    held = {_name(path, a).removesuffix("_leftImg8bit") for path in wrong_photos}
    held |= {_name(path, b).partition(f"_{truth}_")[0] for path in wrong_below}
    return _partners(_shortened(photos, "_leftImg8bit"), found, a, b, wrong_photos | wrong_below, held)


def _shortened(files: dict[str, Path], ending: str) -> dict[str, Path]:
    """Those whose name ends so, by what stands before it."""
    return {name.removesuffix(ending): path for name, path in files.items() if name.endswith(ending)}


def is_cityscapes(pairs: Iterable[Pair]) -> bool:
    """Whether the labels are those of Cityscapes' own folders; then their numbers and colours have names."""
    endings = ("_labelIds", "_gtFine_color", "_gtCoarse_color")
    return all(pair.b is not None and pair.b.stem.endswith(endings) for pair in pairs)


def fingerprint(pairs: list[Pair]) -> str:
    """12 hex digits of the names and file sizes of a split; its place does not count."""
    files = ((pair.name, pair.a.stat().st_size, pair.b.stat().st_size if pair.b else 0) for pair in pairs)
    return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()[:12]
