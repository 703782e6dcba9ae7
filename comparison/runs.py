"""Run folders of train_l1.py and train_cgan.py as data: status, log, summary, what differs between runs.

Everything here is read, nothing is written; a run that is still going on may be read at any moment. No torch:
the table is there in a fraction of a second.
"""

import json
import math
import os
import socket
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What the table shows of a run's best epoch, and whether more is better. Keys of training_log.txt after val_.
SCORES = {"l1": False, "pixel_acc": True, "class_acc": True, "miou": True}
# Settings that say where and how long, not what was tried.
NO_SETTINGS = {"output", "resume", "broken", "colours", "void", "val_samples", "train_fingerprint"}
NO_SETTINGS |= {"val_fingerprint", "outside_palette"}


@dataclass
class Run:
    """One training run as it lies on disk."""

    path: Path
    name: str = ""
    status: str = "stopped"  # running, finished, stopped or failed
    reason: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, float | None]] = field(default_factory=list)  # one an epoch, None for nan
    notes: list[str] = field(default_factory=list)  # what is wrong with it, in plain words

    @property
    def best(self) -> dict[str, float | None] | None:
        """The row of the best epoch by the rule of best.pt: mIoU, or L1 where there is no palette."""
        validated = [row for row in self.rows if row.get("val_l1") is not None]
        if any(row.get("val_miou") is not None for row in validated):
            # max returns the first of equals, as training does
            return max(validated, key=lambda row: -math.inf if (v := row.get("val_miou")) is None else v)
        return min(validated, key=lambda row: row["val_l1"], default=None)

    @property
    def seconds(self) -> float:
        return sum(row.get("seconds") or 0 for row in self.rows)


def read_run(folder: Path, now: float | None = None) -> Run:
    """Read a run folder; a missing or broken part is a note, never an error.

    Args:
        now: seconds since 1970, for the guess whether a run without a status is still going on.
    """
    run = Run(folder)
    config = read_json(folder / "config.json")
    if config is None:
        run.notes.append("config.json is missing or broken: its settings are unknown")
    else:
        run.options, run.found = (
            part if isinstance(part := config.get(name), dict) else {} for name in ("options", "found")
        )
    log = folder / "training_log.txt"
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    run.rows, notes = read_log(text)
    run.notes += notes
    run.status, run.reason = status_of(run, time.time() if now is None else now)
    return run


def read_json(path: Path) -> dict | None:
    """The object in a JSON file, or None where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)  # no nan
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_log(text: str) -> tuple[list[dict[str, float | None]], list[str]]:
    """Rows of a training_log.txt in order of epochs, and what was wrong with it.

    A line is ``key=value`` pairs with an ``epoch``; others are left out. nan (the IoU of a class that occurs
    nowhere) and infinite values are None. Of two lines for one epoch the later counts.
    """
    rows: dict[int, dict[str, float | None]] = {}
    broken, repeated = [], set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values = {key: float(value) for key, value in (part.split("=") for part in line.split())}
            epoch = int(values["epoch"])
        except (ValueError, KeyError, OverflowError):
            broken.append(str(number))
            continue
        if epoch in rows:
            repeated.add(epoch)
        rows[epoch] = {key: value if math.isfinite(value) else None for key, value in values.items()}
    notes = []
    if broken:
        lines = f"line {broken[0]} is" if len(broken) == 1 else f"lines {shorten(broken)} are"
        notes.append(f"training_log.txt: {lines} broken and left out")
    if repeated:
        notes.append(f"training_log.txt: epochs {ranges(repeated)} occur twice; the later line counts")
    if not rows:
        notes.append("no epoch is logged yet")
    elif missing := set(range(1, max(rows) + 1)) - rows.keys():
        notes.append(f"epochs {ranges(missing)} are missing from its log")
    if rows and not any("val_l1" in row for row in rows.values()):
        notes.append("it was never validated")
    return [rows[epoch] for epoch in sorted(rows)], notes


def status_of(run: Run, now: float) -> tuple[str, str]:
    """(status, reason) from status.json, or from log and clock where there is none.

    A process that was killed leaves "running". On its own machine we check whether the process exists, elsewhere
    whether the log is younger than three of its epochs.
    """
    written = read_json(run.path / "status.json") or {}
    status, reason = written.get("status"), str(written.get("reason") or "")
    if status in ("finished", "stopped", "failed"):
        return status, reason
    if status == "running" and written.get("host") == socket.gethostname():
        return ("running", "") if lives(written.get("pid")) else ("stopped", "its process is gone")
    epochs, minutes = run.options.get("epochs"), run.options.get("max_minutes")
    last = (run.rows[-1].get("seconds") or 0) if run.rows else 0
    if run.rows and status is None:
        done = isinstance(epochs, int) and run.rows[-1]["epoch"] >= epochs
        if done or (minutes and run.seconds + last >= minutes * 60):
            return "finished", ""
    files = [run.path / name for name in ("training_log.txt", "config.json")]
    changed = max((file.stat().st_mtime for file in files if file.is_file()), default=0)
    return ("running", "") if now - changed < max(120, 3 * last) else ("stopped", "")


def lives(pid: object) -> bool:
    """Whether a process of this number exists here."""
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # not ours, so it exists
        return True
    return True


def summarise(run: Run) -> dict[str, Any]:
    """The run's line of the table; None where it does not say. Accuracies, IoU and L1 are fractions."""
    best = run.best or {}
    speeds = [row["images_per_s"] for row in run.rows if row.get("images_per_s")]
    epoch = best.get("epoch")
    return {
        "name": run.name,
        "path": str(run.path),
        "script": run.found.get("script"),
        "status": run.status,
        "reason": run.reason,
        "epochs": int(run.rows[-1]["epoch"]) if run.rows else 0,
        "best_epoch": None if epoch is None else int(epoch),
        **{name: best.get(f"val_{name}") for name in SCORES},
        "seconds": run.seconds,
        "images_per_s": statistics.median(speeds) if speeds else None,
        "iou": {key[8:]: value for key, value in best.items() if key.startswith("val_iou_")},
        "notes": run.notes,
    }


def validation_set(run: Run, by_fingerprint: bool) -> tuple:
    """What two runs must have in common for their validation numbers to be comparable."""
    named = (Path(str(run.options.get("dataset", "?"))).name, run.found.get("val_pairs"))
    split = run.found["val_fingerprint"] if by_fingerprint else named
    return (
        split,
        run.options.get("direction"),
        run.options.get("image_size"),
        run.found.get("palette"),
    )


def group(runs: list[Run]) -> tuple[list[int], list[str]]:
    """Number of the validation set of each run, from 0, and notes about it.

    Splits are compared by their fingerprint if every run has one, else by the data set's name and size.
    """
    notes = []
    missing = [run.name for run in runs if not run.found.get("val_fingerprint")]
    if missing and len(runs) > 1:
        notes.append(
            f"{shorten(missing)}: the log holds no fingerprint of the split; data sets are told apart by name "
            "and number of pictures alone"
        )
    keys = [validation_set(run, by_fingerprint=not missing) for run in runs]
    numbers = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    if len(numbers) > 1:
        parts = []
        for key in numbers:
            members = [run for run, own in zip(runs, keys, strict=True) if own == key]
            found, options = members[0].found, members[0].options
            parts.append(
                f"{shorten([run.name for run in members])} on {options.get('dataset', 'unknown data')} "
                f"({found.get('val_pairs', '?')} pairs, {options.get('direction', '?')}, "
                f"{options.get('image_size', '?')} px, palette {found.get('palette')})"
            )
        notes.append(
            f"not validated on the same data: {'; '.join(parts)}. Numbers of different sets do not compare; "
            "the best values are marked within each set"
        )
    trained = {run.found.get("train_fingerprint") for run in runs}
    if len(numbers) == 1 and len(trained) > 1 and not missing:
        notes.append("validated on the same pictures, but trained on different ones")
    return [numbers[key] for key in keys], notes


def best_marks(rows: list[dict], columns: dict[str, bool], groups: list) -> list[list[str]]:
    """Per row the columns in which it is best within its group; none where a group has one row alone.

    Args:
        columns: name -> whether more is better.
    """
    marks: list[list[str]] = [[] for _ in rows]
    for name, more in columns.items():
        for number in set(groups):
            own = [k for k in range(len(rows)) if groups[k] == number and rows[k].get(name) is not None]
            if len(own) > 1:
                best = (max if more else min)(rows[k][name] for k in own)
                for k in own:
                    if rows[k][name] == best:
                        marks[k].append(name)
    return marks


def differing(settings: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Settings in which the dicts differ: name -> the value in each, None where it has none."""
    names = dict.fromkeys(name for one in settings for name in one if name not in NO_SETTINGS)
    values = {name: [one.get(name) for one in settings] for name in names}
    return {name: own for name, own in values.items() if any(value != own[0] for value in own)}


def unique_names(paths: list[Path]) -> list[str]:
    """The shortest endings of the (distinct) paths that are all different."""
    parts = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def shorten(names: list[str], most: int = 6) -> str:
    """Names with commas, the first few of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def ranges(numbers: set[int]) -> str:
    """{1, 2, 3, 7} -> "1-3, 7"."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return shorten(["-".join(map(str, part)) for part in parts])
