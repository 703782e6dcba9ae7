"""Compare output folders: one HTML page that needs no server, and the table in the terminal.

    python compare_runs.py output/a output/b --out report.html
    python compare_runs.py output                       # every run in the folder output
    python compare_runs.py output/a output/b --classes  # IoU by class in the terminal, too
    python compare_runs.py output/a output/b --json     # the table as JSON

Training runs (train_l1.py, train_cgan.py) and folders of edited faces (draggan/edit_faces.py) may be mixed. The
page holds everything it shows, asks nothing of the network and can be sent or copied as it is.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.commandline import UserError, option, parse, run, write_atomically
from comparison import edits as edit_folders
from comparison import pictures, runs
from comparison.edits import Edits, read_edits
from comparison.page import render
from comparison.runs import Run, read_run

# the order of the curves; others follow as they are logged
FIRST = ("val_miou", "val_l1", "train_l1", "val_pixel_acc", "val_class_acc")


@dataclass
class Options:
    """The options of compare_runs.py."""

    folders: tuple[str, ...] = option((), "output folders, or folders that hold some")
    out: str = option("output/report.html", "the page to write")
    classes: bool = option(False, "print the IoU of every class after the table")
    json: bool = option(False, "print JSON instead of the table")


def main() -> None:
    options = parse(Options, __doc__)
    out = Path(options.out)
    if out.is_dir():
        raise UserError(f"--out {out} is a folder; name the file, for example {out / 'report.html'}")
    data = collect([Path(folder) for folder in options.folders])
    write_atomically(out, lambda path: path.write_text(render(data), encoding="utf-8"))
    if options.json:
        print(json.dumps(without_pictures(data), indent=2, allow_nan=False))
    else:
        print(terminal_table(data, options.classes))
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB", file=sys.stderr)


# --- folders -> data --------------------------------------------------------------------------------------


def collect(paths: list[Path]) -> dict[str, Any]:
    """Everything the page shows, as plain values.

    Raises:
        UserError: if a path does not exist, or none of them is or holds a run.
    """
    folders, notes = find_folders(paths)
    trained = [read_run(folder) for folder in folders if kind(folder) == "training"]
    edited = [read_edits(folder) for folder in folders if kind(folder) == "edits"]
    every = [*trained, *edited]
    for one, name in zip(every, runs.unique_names([one.path for one in every]), strict=True):
        one.name = name
    if trained and edited:
        notes.append("training runs and edited faces are shown one after the other: they share no numbers")
    for one in every:
        notes += [f"{one.name}: {note}" for note in one.notes]
    data: dict[str, Any] = {"notes": notes}
    if trained:
        data["training"] = collect_training(trained, notes)
    if edited:
        data["edits"] = collect_edits(edited, notes)
    return data


def kind(folder: Path) -> str | None:
    """ "training", "edits" or None, by the files that only they have."""
    if (folder / "edits.jsonl").is_file():
        return "edits"
    config = runs.read_json(folder / "config.json") or {}
    if (folder / "training_log.txt").is_file() or "options" in config:
        return "training"
    return None


def find_folders(paths: list[Path]) -> tuple[list[Path], list[str]]:
    """Every run among the paths or directly inside them, each once, and what was left out."""
    if not paths:
        raise UserError("name the folders to compare: python compare_runs.py output/a output/b")
    found: dict[Path, Path] = {}
    notes = []
    for path in paths:
        if not path.exists():
            raise UserError(f"there is no folder {path}; train_l1.py --output {path} would make one")
        inside = [] if not path.is_dir() or kind(path) else sorted(p for p in path.iterdir() if p.is_dir())
        own = [path] if path.is_dir() and kind(path) else [p for p in inside if kind(p)]
        if not own:
            what = (
                "a file" if not path.is_dir() else "empty" if not any(path.iterdir()) else "no output folder"
            )
            notes.append(f"{path} is {what} and was left out")
        for folder in own:
            if folder.resolve() in found:
                notes.append(f"{folder} was named twice and is shown once")
            found.setdefault(folder.resolve(), folder)
    if not found:
        raise UserError(
            f"none of {runs.shorten([str(path) for path in paths])} is or holds an output folder (with "
            "training_log.txt or edits.jsonl); train_l1.py, train_cgan.py and draggan/edit_faces.py make them"
        )
    return list(found.values()), notes


def collect_training(trained: list[Run], notes: list[str]) -> dict[str, Any]:
    """Table, settings, curves and samples of training runs; adds to the notes."""
    rows = [runs.summarise(one) for one in trained]
    groups, more = runs.group(trained)
    notes += more
    classes = list(dict.fromkeys(name for row in rows for name in row["iou"]))
    columns = runs.SCORES | {"images_per_s": True}
    for row, one, number, best, best_iou in zip(
        rows,
        trained,
        groups,
        runs.best_marks(rows, columns, groups),
        runs.best_marks([row["iou"] for row in rows], dict.fromkeys(classes, True), groups),
        strict=True,
    ):
        row |= {"planned": one.options.get("epochs"), "set": number, "best": best, "best_iou": best_iou}
    names = dict.fromkeys(key for one in trained for row in one.rows for key in row)
    measures = [
        name for name in names if name not in ("epoch", "seconds") and not name.startswith("val_iou_")
    ]
    sets, more = pictures.samples(trained, groups)
    notes += more
    return {
        "runs": rows,
        "settings": runs.differing([one.options | one.found for one in trained]),
        "classes": classes,
        "measures": sorted(measures, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST)),
        "curves": [
            {
                "epoch": [row["epoch"] for row in one.rows],
                "seconds": [row.get("seconds") for row in one.rows],
                **{name: [row.get(name) for row in one.rows] for name in measures},
            }
            for one in trained
        ],
        "samples": sets,
    }


def collect_edits(edited: list[Edits], notes: list[str]) -> dict[str, Any]:
    """Table, settings and faces of edit folders; adds to the notes."""
    rows = [edit_folders.summarise(one) for one in edited]
    groups = [(row["edit"], row["strength"]) for row in rows]
    for row, best in zip(rows, runs.best_marks(rows, edit_folders.SCORES, groups), strict=True):
        row["best"] = best
    if len(set(groups)) > 1 and len(rows) > 1:
        notes.append(
            "the folders hold different edits: best values are marked among folders of one edit only"
        )
    notes += edit_folders.seed_notes(edited)
    found, more = pictures.faces(edited)
    notes += more
    return {"folders": rows, "settings": runs.differing([one.config for one in edited]), **found}


def without_pictures(data: dict[str, Any]) -> dict[str, Any]:
    """The numbers: what ``--json`` prints."""
    bare: dict[str, Any] = {"notes": data["notes"]}
    for part, names in (("training", ("runs", "settings")), ("edits", ("folders", "settings"))):
        if part in data:
            bare[part] = {name: data[part][name] for name in names}
    return bare


# --- terminal ---------------------------------------------------------------------------------------------


def terminal_table(data: dict[str, Any], classes: bool = False) -> str:
    """The tables and notes as text; * marks the best of a column (of a line in the one of classes)."""
    parts = []
    if "training" in data:
        rows = [["run", "status", "epochs", "best", "L1", "pixel", "class", "mIoU", "time", "images/s"]]
        for row in data["training"]["runs"]:
            cells = [
                row["name"],
                row["status"],
                of(row["epochs"], row["planned"]),
                text(row["best_epoch"], "d"),
            ]
            cells += [text(row["l1"], ".4f") + star(row, "l1")]
            cells += [text(row[n], ".3f") + star(row, n) for n in ("pixel_acc", "class_acc", "miou")]
            cells += [duration(row["seconds"]), text(row["images_per_s"], ".1f") + star(row, "images_per_s")]
            rows.append(cells)
        parts.append(align(rows))
        if classes and data["training"]["classes"]:
            runs_shown = data["training"]["runs"]
            rows = [["IoU", *(row["name"] for row in runs_shown)]]
            for name in data["training"]["classes"]:
                marks = ["*" if name in row["best_iou"] else " " for row in runs_shown]
                values = [text(row["iou"].get(name), ".3f") for row in runs_shown]
                rows.append([name, *map("".join, zip(values, marks, strict=True))])
            parts.append(align(rows, left=1))
    if "edits" in data:
        rows = [
            [
                "folder",
                "edit",
                "success",
                "seconds",
                "steps",
                "tracker px",
                "landmarks px",
                "identity",
                "outside",
            ]
        ]
        for row in data["edits"]["folders"]:
            cells = [row["name"], str(row["edit"]), f"{row['ok']}/{row['faces']}" + star(row, "success")]
            kinds = (".1f", ".0f", ".2f", ".2f", ".3f", ".4f")
            cells += [
                text(row[n], k) + star(row, n) for n, k in zip(edit_folders.MEDIANS, kinds, strict=True)
            ]
            rows.append(cells)
        parts.append(align(rows))
    if data["notes"]:
        parts.append("\n".join(f"note: {note}" for note in data["notes"]))
    return "\n\n".join(parts)


def text(value: float | None, kind: str) -> str:
    return "-" if value is None else f"{value:{kind}}"


def of(done: int, planned: int | None) -> str:
    return f"{done}/{planned}" if planned else str(done)


def star(row: dict[str, Any], name: str) -> str:
    return "*" if name in row["best"] else ""


def align(rows: list[list[str]], left: int = 2) -> str:
    """Columns to the left for the first ones, to the right for numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            f"{cell:{'<' if k < left else '>'}{width}}"
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def duration(seconds: float) -> str:
    """75 -> "1:15", 3675 -> "1:01:15"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


if __name__ == "__main__":
    run(main)
