"""The files of the batch command: its folder, edits.jsonl, pictures, the contact sheet and the table of results."""

import contextlib
import json
import statistics
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from common.commandline import UserError, write_atomically
from draggan.face import AI_MADE
from draggan.identity import LIMITS

MEASURES = ("jaw_width", "mouth_width", "mouth_lift", "lip_gap", "eye_opening")
SHEET_FACES, SHEET_SIDE, SHEET_COLUMNS = 64, 256, 4


def open_output(output: Path, wanted: dict) -> dict[int | str, list[dict]]:
    """Make the folder, or go on in it: the records of each seed, latent or photo that is done, by its key.

    Of a photo with several faces all must be there, or they go and are made again. `wanted`: the settings of this run.

    Raises UserError where it cannot be written or holds the results of other settings.
    """
    config = output / "config.json"
    try:
        output.mkdir(parents=True, exist_ok=True)
        if config.is_file():
            found = json.loads(config.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError(config)
            differ = [
                f"{k} {found.get(k)!r} there, {v!r} now" for k, v in wanted.items() if found.get(k) != v
            ]
            if differ:
                raise UserError(
                    f"{output} holds results of other settings ({'; '.join(differ)}); choose another --output"
                )
        elif any(output.iterdir()):
            raise UserError(f"{output} is not empty and not of this command; choose another --output")
        else:
            write_text(config, json.dumps(wanted, indent=2) + "\n")
        done: dict[int | str, list[dict]] = {}
        for record in {record["id"]: record for record in read_records(output)}.values():
            done.setdefault(record.get("photo", record["id"]), []).append(record)
        done = {key: each for key, each in done.items() if len(each) >= each[0].get("faces", 1)}
        records = [record for each in done.values() for record in each]
        write_text(output / "edits.jsonl", "".join(json.dumps(r) + "\n" for r in records))
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"--output {output} cannot be used ({reason}); choose another folder") from None
    except (ValueError, RecursionError):
        raise UserError(f"{config} is broken; delete the folder or choose another --output") from None
    return done


def open_folder(folder: Path) -> None:
    """Make a folder for what is computed. UserError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be used ({error.strerror}); choose another folder") from None


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Arrays by name, under a path of any ending."""
    with path.open("wb") as file:
        np.savez(file, **arrays)


def leave_nothing(output: Path) -> None:
    """Of a run that could not begin: its settings would keep the right ones out of the folder."""
    known = output / "config.json", output / "edits.jsonl"
    with contextlib.suppress(OSError):
        if set(output.iterdir()) <= set(known) and not known[1].stat().st_size:
            for path in known:
                path.unlink()
            output.rmdir()


def read_records(output: Path) -> list[dict]:
    """The lines of edits.jsonl; a last line that was cut off is left out. UserError for other broken ones."""
    path = output / "edits.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            summary([record])  # what the table needs is there
            records.append(record)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            if number < len(lines):
                raise UserError(f"{path}, line {number} is broken; delete that line") from None
    return records


def append_record(output: Path, record: dict) -> None:
    path = output / "edits.jsonl"
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror}); free some space, run it again"
        ) from None


def write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_picture(path: Path, picture: np.ndarray, record: dict | None) -> None:
    """A PNG that says in its metadata that it is made by a generator, and how."""
    note = PngInfo()
    note.add_text("Comment", AI_MADE)
    if record:
        note.add_text("Edit", edit_note(record))
    image = Image.fromarray(picture)
    write_atomically(path, lambda temporary: image.save(temporary, "PNG", pnginfo=note, compress_level=3))


def edit_note(record: dict) -> str:
    """What a picture's metadata says of its edit."""
    return json.dumps({k: record[k] for k in ("id", "edit", "strength")})


def picture_path(output: Path, record: dict, state: str) -> Path:
    """Where a face's picture lies; `state` is before or after."""
    key = record["id"]
    name = record.get("name") or (f"{key:04d}" if isinstance(key, int) else key)
    return output / f"{name}_{state}.png"


def write_contact_sheet(output: Path, records: list[dict]) -> None:
    """Pairs before | after with their ids, four to a row, of the first 64 faces that have pictures."""
    pairs, known = [], set()
    for record in records[:SHEET_FACES]:
        files = [picture_path(output, record, state) for state in ("before", "after")]
        if files[0] not in known and all(
            file.is_file() for file in files
        ):  # faces of one photo are in one picture
            pairs.append((record, [_small(file) for file in files]))
            known.add(files[0])
    if not pairs:
        return
    columns, side = min(SHEET_COLUMNS, len(pairs)), SHEET_SIDE
    rows = -(-len(pairs) // columns)
    sheet = Image.new("RGB", (columns * (2 * side + 8) - 8, rows * (side + 24)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (record, pictures) in enumerate(pairs):
        x, y = (i % columns) * (2 * side + 8), (i // columns) * (side + 24)
        for j, picture in enumerate(pictures):
            left, top = (side - picture.width) // 2, (side - picture.height) // 2
            sheet.paste(picture, (x + j * side + left, y + 20 + top))
        text = f"{record['id']}  {record['edit']}" + ("" if record["ok"] else f"  - {record['reason']}")
        draw.text((x + 4, y + 4), text[:80], fill="black" if record["ok"] else "firebrick")
    write_atomically(output / "contact_sheet.png", lambda temporary: sheet.save(temporary, "PNG"))


def _small(file: Path) -> Image.Image:
    with Image.open(file) as image:
        scale = SHEET_SIDE / max(image.size)
        size = tuple(max(1, round(side * scale)) for side in image.size)
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


# --- report -----------------------------------------------------------------------------------------------


def report(folders: list[Path]) -> str:
    """The table of one or more output folders, a column each, and the faces that failed, with the reason."""
    columns, failures = [], []
    for folder in folders:
        records = read_records(folder) if folder.is_dir() else []
        if not records:
            raise UserError(f"{folder} has no edits.jsonl with results; run edit_faces.py --output {folder}")
        columns.append(summary(records))
        failures += [f"  {folder} {r['id']}: {r['reason']}" for r in records if not r["ok"]]
    width = max(len(row) for row in columns[0])
    lines = [
        f"{row:<{width}}  " + "  ".join(f"{column.get(row, ''):>18}" for column in columns)
        for row in columns[0]
    ]
    return "\n".join(lines + (["not reached:", *failures] if failures else []))


def summary(records: list[dict]) -> dict[str, str]:
    """Rows of the table for one folder: name → text."""
    good = [record for record in records if record["ok"]]
    limits = LIMITS.get(records[0]["edit"], (np.inf, np.inf))
    names = ("identity_distance", "outside_change")
    within = [r for r in good if all(r[n] <= limit for n, limit in zip(names, limits, strict=True))]

    def median(name: str, among: list[dict]) -> str:
        values = [record[name] for record in among if name in record]
        return f"{statistics.median(values):.3f}" if values else "-"

    rows = {
        "edit": records[0]["edit"],
        "faces": str(len(records)),
        "success": f"{len(good)} ({len(good) / len(records):.0%})",
        "... within the limits": f"{len(within)} ({len(within) / len(records):.0%})",
        "identity distance": median("identity_distance", good),
        "... limit": f"{limits[0]:g}",
        "outside change": median("outside_change", good),
        "... limit ": f"{limits[1]:g}",
        "seconds": median("seconds", records),
        "CPU seconds": median("cpu_seconds", records),  # of all cores; tells more where the machine is shared
        "steps": median("steps", records),
    }
    if any("instant_ok" in record for record in records):
        instant = [record for record in records if record.get("instant_ok")]
        rows["success by direction alone"] = f"{len(instant)} ({len(instant) / len(records):.0%})"
    for name in MEASURES:
        rows[name] = f"{median(f'{name}_before', good)} -> {median(f'{name}_after', good)}"
    return rows
