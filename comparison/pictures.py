"""The pictures of runs and edits, small enough to travel inside one page.

A run has a grid input | prediction | truth for each validated epoch (training/run_folder.py). 50 runs of 200 epochs
have thousands. So the page shows a selection, the same epochs of every run, and of each grid only the predictions:
one strip, samples from top to bottom. Label maps shrink to about a kilobyte a sample without loss.
"""

import base64
import hashlib
import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from comparison.edits import Edits
from comparison.runs import Run

PADDING = 4  # of torchvision's make_grid as training/run_folder.py calls it
SIDE = 256  # of a sample in the page, at most
COLUMNS = {"input": 0, "prediction": 1, "truth": 2}
MOST_GRIDS = 150  # opened for one page; 25 ms each
MOST_FACES = 150  # opened for one page; 30 ms each
MOST_BYTES = 12_000_000  # of strips in one page


def grids_of(run: Run) -> dict[int, Path]:
    """Epoch -> validation grid, in order."""
    found = {}
    for path in sorted((run.path / "val_results").glob("epoch_*.png")):
        number = path.stem.removeprefix("epoch_")
        if number.isdecimal():
            found[int(number)] = path
    return found


def sample_names(run: Run, count: int) -> list[str]:
    """Names of the samples in a grid of ``count`` rows, top to bottom."""
    names = run.found.get("val_samples")
    if not names:  # an older run: the newest predictions are named like their sources, in the same order
        names = sorted(
            p.stem for p in (run.path / "val_results").glob("*.png") if not p.stem.startswith("epoch_")
        )
    return [str(name) for name in names] if len(names) == count else [f"sample {k + 1}" for k in range(count)]


def choose_epochs(available: list[list[int]], best: list[int | None], most: int) -> list[list[int]]:
    """Which epochs of each run to show: last and best, then evenly spread ones, the same for all runs.

    Args:
        available: the epochs that each run has pictures of, ascending.
        best: the best epoch of each run.
        most: about how many to choose over all runs; each run's last is chosen however many runs there are.

    Returns:
        the chosen epochs of each run, the most wanted first.
    """
    every = sorted({epoch for epochs in available for epoch in epochs})
    share = most // max(sum(bool(epochs) for epochs in available), 1)
    spread = [every[int(i)] for i in np.linspace(0, len(every) - 1, min(share, len(every)))] if every else []
    chosen = []
    for epochs, own_best in zip(available, best, strict=True):
        wanted = epochs[-1:] + [own_best] * (own_best in epochs)
        wanted += [min(epochs, key=lambda epoch: abs(epoch - target)) for target in spread] if epochs else []
        chosen.append(list(dict.fromkeys(wanted))[: max(share, 1)])
    return chosen


def read_column(grid: Image.Image, column: str) -> Image.Image:
    """One column of a grid as a strip (SIDE or less wide) without padding, samples from top to bottom."""
    side = (grid.width - PADDING) // len(COLUMNS) - PADDING
    rows = (grid.height - PADDING) // (side + PADDING)
    if side < 1 or rows < 1:
        raise ValueError("no grid")
    left = PADDING + COLUMNS[column] * (side + PADDING)
    strip = Image.new("RGB", (side, rows * side))
    for row in range(rows):
        top = PADDING + row * (side + PADDING)
        strip.paste(grid.crop((left, top, left + side, top + side)), (0, row * side))
    if side > SIDE:
        flat = strip.getcolors(256) is not None  # labels: a mixture of two colours would be a third label
        strip = strip.resize((SIDE, rows * SIDE), Image.Resampling.NEAREST if flat else Image.Resampling.BOX)
    return strip


def to_uri(picture: Image.Image) -> str:
    """The picture as a data: address, WebP; without loss where it has few colours."""
    file = io.BytesIO()
    if picture.getcolors(256) is not None:
        picture.save(file, "WEBP", lossless=True, method=0, quality=0)
    else:
        picture.save(file, "WEBP", quality=80, method=2)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


class Strip(NamedTuple):
    uri: str
    rows: int
    small: np.ndarray  # (rows, 64, 64, 3) float32 on [0, 1]; to compare runs, not to show


def small(strip: Image.Image) -> np.ndarray:
    """(rows, 64, 64, 3) float32 on [0, 1]."""
    rows = strip.height // strip.width
    array = np.asarray(strip.resize((64, rows * 64), Image.Resampling.NEAREST), np.float32) / 255
    return array.reshape(rows, 64, 64, 3)


def read_strip(path: Path) -> Strip | None:
    """The predictions of a grid, or None for a file that cannot be read."""
    try:
        with Image.open(path) as grid:
            strip = read_column(grid.convert("RGB"), "prediction")
    except (OSError, ValueError, SyntaxError):
        return None
    return Strip(to_uri(strip), strip.height // strip.width, small(strip))


def in_threads(function: Any, items: Iterable) -> list:
    """``map`` on all cores: Pillow lets go of the interpreter while it decodes and encodes."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


def samples(runs: list[Run], groups: list[int]) -> tuple[list[dict[str, Any]], list[str]]:
    """The same validation samples of many runs, a dict for each validation set, and notes.

    Each has ``samples`` (name, input and truth as addresses, disagreement and error on [0, 1]), sorted by
    disagreement, and ``runs``: run number -> names from top to bottom, strips by epoch, best epoch.
    Disagreement is the mean absolute distance of the runs' last predictions from their mean, error the mean
    absolute distance from the truth, at 64 x 64.
    """
    grids = [grids_of(run) for run in runs]
    best = [None if run.best is None else int(run.best["epoch"]) for run in runs]
    chosen = choose_epochs([list(one) for one in grids], best, MOST_GRIDS)
    jobs = [  # the most wanted of every run, then the second
        (k, epochs[rank])
        for rank in range(max(map(len, chosen), default=0))
        for k, epochs in enumerate(chosen)
        if rank < len(epochs)
    ]
    strips = in_threads(lambda job: read_strip(grids[job[0]][job[1]]), jobs)
    kept: list[dict[int, Strip]] = [{} for _ in runs]
    broken, size = [], 0
    for (k, epoch), strip in zip(jobs, strips, strict=True):
        if strip is None:
            broken.append(f"{runs[k].name} epoch {epoch}")
        elif not kept[k] or size + len(strip.uri) <= MOST_BYTES:
            kept[k][epoch] = strip
            size += len(strip.uri)
    notes = [f"pictures that cannot be read: {', '.join(broken[:6])}"] if broken else []
    if sum(map(len, kept)) < sum(map(len, grids)) - len(broken):
        notes.append(
            f"pictures: {sum(map(len, kept))} of {sum(map(len, grids))} epochs are in the page, so that it stays "
            "small; last and best of each run come first"
        )
    bare = [run.name for run, own in zip(runs, kept, strict=True) if not own]
    if bare:
        notes.append(f"no validation pictures: {', '.join(bare[:6])}")
    sets = []
    for number in sorted(set(groups)):
        members = [k for k in range(len(runs)) if groups[k] == number and kept[k]]
        if members:
            sets.append(sample_set(members, runs, grids, kept, best))
    return sets, notes


def sample_set(
    members: list[int], runs: list[Run], grids: list[dict], kept: list[dict[int, Strip]], best: list
) -> dict[str, Any]:
    """``samples`` for the runs ``members``, which share their validation set."""
    names = {k: sample_names(runs[k], next(iter(kept[k].values())).rows) for k in members}
    shown: dict[str, dict[str, Any]] = {}
    for k in members:
        if set(names[k]) <= shown.keys():
            continue
        with Image.open(grids[k][next(iter(kept[k]))]) as file:
            grid = file.convert("RGB")
        columns = {column: read_column(grid, column) for column in ("input", "truth")}
        side = columns["truth"].width
        for row, name in enumerate(names[k]):
            box = (0, row * side, side, (row + 1) * side)
            shown.setdefault(name, {c: strip.crop(box) for c, strip in columns.items()})
    listed = []
    for name, pictures in shown.items():
        last = [kept[k][max(kept[k])] for k in members if name in names[k]]
        rows = [names[k].index(name) for k in members if name in names[k]]
        found = [strip.small[row] for strip, row in zip(last, rows, strict=True) if row < len(strip.small)]
        mean, truth = np.mean(found, axis=0), small(pictures["truth"])[0]
        listed.append(
            {
                "name": name,
                **{column: to_uri(picture) for column, picture in pictures.items()},
                "disagreement": float(np.mean([np.abs(one - mean).mean() for one in found])),
                "error": float(np.mean([np.abs(one - truth).mean() for one in found])),
            }
        )
    listed.sort(key=lambda sample: (-sample["disagreement"], -sample["error"]))
    return {
        "samples": listed,
        "void": next((void for k in members if (void := runs[k].found.get("void"))), []),
        "runs": {
            k: {
                "names": names[k],
                "best": best[k],
                "epochs": {epoch: kept[k][epoch].uri for epoch in sorted(kept[k])},
            }
            for k in members
        },
    }


def faces(folders: list[Edits]) -> tuple[dict[str, Any], list[str]]:
    """Before and after by seed: ``pictures`` (addresses) and ``faces``, the failed ones first in the choice.

    A face is its id and for each folder None or its record with ``before`` and ``after``, numbers of pictures.
    Equal files are one picture: edits of one model share their "before".
    """
    seeds = dict.fromkeys(seed for one in folders for seed in one.records)
    order = sorted(
        seeds, key=lambda seed: all(one.records.get(seed, {"ok": True}).get("ok") for one in folders)
    )
    numbers: dict[bytes, int] = {}  # content -> number of the picture
    paths: list[Path] = []
    found: list[dict[str, Any]] = []
    for seed in order:
        entries: list[dict[str, Any] | None] = []
        if len(paths) + 2 * len(folders) > MOST_FACES:
            break
        for one in folders:
            record = one.records.get(seed)
            entry = None if record is None else dict(record)
            for state in ("before", "after") if entry is not None else ():
                path = one.path / f"{stem(entry)}_{state}.png"
                try:
                    content = hashlib.sha1(path.read_bytes()).digest()
                except OSError:
                    continue
                if content not in numbers:
                    numbers[content] = len(paths)
                    paths.append(path)
                entry[state] = numbers[content]
            entries.append(entry)
        found.append({"id": seed, "folders": entries})
    notes = []
    if len(found) < len(seeds):
        notes.append(
            f"faces: {len(found)} of {len(seeds)} are in the page, so that it stays small; failed ones first"
        )
    found.sort(key=lambda face: (isinstance(face["id"], str), face["id"]))
    pictures = in_threads(read_face, paths)
    broken = [str(path) for path, picture in zip(paths, pictures, strict=True) if picture is None]
    if broken:
        notes.append(f"pictures that cannot be read: {', '.join(broken[:6])}")
    return {"pictures": pictures, "faces": found}, notes


def stem(record: dict[str, Any]) -> str:
    """How edit_faces.py begins a face's file names: a seed with four digits, a photo by its name."""
    seed = record["id"]
    return str(record.get("name") or (f"{seed:04d}" if isinstance(seed, int) else seed))


def read_face(path: Path) -> str | None:
    """A face, or a whole photo on grey, at SIDE pixels as an address, or None for a file that cannot be read."""
    try:
        with Image.open(path) as picture:
            return to_uri(ImageOps.pad(picture.convert("RGB"), (SIDE, SIDE), Image.Resampling.BOX, "grey"))
    except (OSError, ValueError, SyntaxError):
        return None
