"""Output folders of draggan/edit_faces.py as data: records, summary, which seeds they share."""

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comparison.runs import ranges, read_json, shorten

MEDIANS = (
    "seconds",
    "steps",
    "mean_distance_px",
    "landmark_distance_px",
    "identity_distance",
    "outside_change",
)
# columns in which a folder can be best, and whether more is better
SCORES = {"success": True} | dict.fromkeys(MEDIANS, False)


@dataclass
class Edits:
    """One folder of edited faces."""

    path: Path
    name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    records: dict[Any, dict[str, Any]] = field(default_factory=dict)  # by id: seed or file name
    notes: list[str] = field(default_factory=list)


def read_edits(folder: Path) -> Edits:
    """Read a folder of edit_faces.py; a missing or broken part is a note, never an error."""
    edits = Edits(folder, config=read_json(folder / "config.json") or {})
    try:
        lines = (folder / "edits.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    broken = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line, parse_constant=lambda _: None)  # no nan
            edits.records[record["id"]] = record
        except (ValueError, KeyError, TypeError, RecursionError):
            broken.append(str(number))
    if broken:
        edits.notes.append(f"edits.jsonl: broken and left out: line {shorten(broken)}")
    if not edits.records:
        edits.notes.append("no face is done yet")
    return edits


def summarise(edits: Edits) -> dict[str, Any]:
    """The folder's line of the table: medians over all faces that have the value.

    ``measures`` holds medians before and after over the faces that show their edit, in units of the distance
    between the outer eye corners.
    """
    records = list(edits.records.values())
    good = [record for record in records if record.get("ok")]
    names = dict.fromkeys(
        key.removesuffix("_after") for record in good for key in record if key.endswith("_after")
    )
    return {
        "name": edits.name,
        "path": str(edits.path),
        "edit": edits.config.get("edit") or (records[0].get("edit") if records else None),
        "strength": edits.config.get("strength") or (records[0].get("strength") if records else None),
        "model": edits.config.get("model"),
        "faces": len(records),
        "ok": len(good),
        "success": len(good) / len(records) if records else None,
        **{name: median(records, name) for name in MEDIANS},
        "measures": {n: [median(good, f"{n}_before"), median(good, f"{n}_after")] for n in names},
        "notes": edits.notes,
    }


def median(records: list[dict], name: str) -> float | None:
    values = [v for record in records if isinstance(v := record.get(name), int | float)]
    return statistics.median(values) if values else None


def seed_notes(folders: list[Edits]) -> list[str]:
    """Which seeds not every folder has."""
    common = set.intersection(*(set(one.records) for one in folders)) if folders else set()
    notes = []
    for one in folders:
        own = set(one.records) - common
        if own:
            text = (
                ranges(own) if all(isinstance(seed, int) for seed in own) else shorten(sorted(map(str, own)))
            )
            notes.append(f"{one.name}: faces {text} are not in every folder")
    return notes
