"""Edit many faces from the command line: smile, slim, close-eyes, ... by learned directions and by dragging.

    python draggan/edit_faces.py --edit smile --seeds 0-7 --output output/smile
    python draggan/edit_faces.py --edit smile,close-eyes --seeds 3,5,10-19 --strength 0.8 --output output/both
    python draggan/edit_faces.py --edit smile --seeds 0-7 --instant --output output/instant
    python draggan/edit_faces.py --report --output output/slim,output/smile,output/close-eyes

Writes for each face NNNN_before.png and NNNN_after.png, a line in edits.jsonl (the fields are explained in
output/README.md), and at the end contact_sheet.png. The same command again goes on where it stopped: faces that are in
edits.jsonl are skipped. Exit code 0 when every face shows its edit, 1 when some do not, 2 for a mistake.
"""

import json
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

from commandline import UserError, choose_device, option, parse, parse_seeds, run, write_atomically
from draggan.drag import PRESETS, Settings, with_settings
from draggan.editor import EditRun, FaceEditor, FaceState, NoFaceError, drag_settings
from draggan.edits import EDITS, EditError, find_edit, reached
from draggan.generators import DEFAULT_MODEL, DEFAULT_PSI, ModelError, load_directions, load_generator
from draggan.identity import LIMITS, Identity, identity_distance, outside_change
from draggan.landmarks import BACKENDS, landmark_detector

MEASURES = ("jaw_width", "mouth_width", "mouth_lift", "lip_gap", "eye_opening")
SHEET_FACES, SHEET_SIDE, SHEET_COLUMNS = 64, 256, 4


@dataclass
class Options:
    edit: str = option("smile", f"one edit, or several together: {', '.join(EDITS)}")
    seeds: str = option("0-7", "faces to edit: 0-7 or 1,5,10-19; a seed is always the same face")
    strength: str = option("1.0", "how far, 0 to 2, below 0 the opposite; one number, or one for each edit")
    output: str = option("output/edits", "folder for the results; for --report one or more, with commas")
    model: str = option(DEFAULT_MODEL, "face generator")
    psi: float = option(DEFAULT_PSI, "truncation: 0 the mean face, 1 the full variety")
    landmarks: str = option(
        "auto", "landmark detector; auto: face-alignment if its weights are here", BACKENDS
    )
    preset: str = option("default", "settings of the drag", tuple(PRESETS))
    max_steps: int | None = option(None, "steps at most for each edit; None: what the preset says")
    instant: bool = option(False, "learned directions alone, without the drag")
    direction: bool = option(True, "begin with the learned direction; without: the drag alone")
    report: bool = option(False, "print the table of --output and do nothing else")
    device: str = option("auto", "auto, cpu, cuda or mps")
    seed: int = option(0, "of random numbers; an edit uses none, and is the same every time")


def main() -> None:
    options = parse(Options, __doc__)
    if options.report:
        folders = [Path(name) for name in options.output.split(",")]
        print(report(folders))
        return
    edits = parse_edits(options.edit, options.strength)
    seeds = parse_seeds(options.seeds)
    if not 0 <= options.psi <= 2:
        raise UserError(f"--psi {options.psi:g}: the truncation is 0 to 2; 0.7 is usual")
    if options.max_steps is not None and options.max_steps < 1:
        raise UserError(f"--max-steps {options.max_steps}: at least 1")
    if options.instant and not options.direction:
        raise UserError(
            "--instant is the direction alone and --no-direction the drag alone; give one of them"
        )
    device = choose_device(options.device)
    torch.manual_seed(options.seed)

    output = Path(options.output)
    done = open_output(output, options)
    todo = [seed for seed in seeds if seed not in done]
    if todo:
        try:
            generator = load_generator(options.model, device)
            detector = landmark_detector(options.landmarks, device)
            directions = load_directions(generator) if options.direction else None
            editor, identity = FaceEditor(generator, detector, directions), Identity()
        except (ModelError, NoFaceError) as error:
            raise UserError(str(error)) from None
        missing = [name for name, _ in edits if directions is None or name not in directions]
        if options.instant and missing:
            raise UserError(
                f"--instant: {generator.name} has no direction for {', '.join(missing)}; leave --instant away, or "
                f"learn it: python draggan/learn_directions.py --model {generator.name} --edits {','.join(missing)}"
            )
        print(
            f"{generator.name} on {device}, landmarks by {detector.name}, {len(todo)} faces", file=sys.stderr
        )
        with tqdm(total=len(seeds), initial=len(seeds) - len(todo), unit="face") as bar:
            for seed in todo:
                bar.set_description(f"seed {seed}")
                record = edit_face(editor, identity, seed, edits, options, output, bar)
                append_record(output, record)
                done[seed] = record
                bar.update()
    elif seeds:
        print(f"all {len(seeds)} faces are in {output} already", file=sys.stderr)

    records = [done[seed] for seed in seeds]
    write_contact_sheet(output, records)
    print(report([output]))
    if any(not record["ok"] for record in records):
        sys.exit(1)


# --- options ----------------------------------------------------------------------------------------------


def parse_edits(names: str, strengths: str) -> list[tuple[str, float]]:
    """ "smile,slim" and "1" or "1,0.5" → [("smile", 1.0), ("slim", 0.5)]. UserError for unknown ones."""
    edits = [name.strip() for name in names.split(",")]
    try:
        numbers = [float(number) for number in strengths.split(",")]
    except ValueError:
        raise UserError(f"--strength {strengths}: not a number") from None
    if len(numbers) == 1:
        numbers *= len(edits)
    if len(numbers) != len(edits):
        raise UserError(f"--strength {strengths}: give one number, or one for each of {len(edits)} edits")
    if len(set(edits)) < len(edits):
        raise UserError(f"--edit {names}: each edit once; --strength says how far it goes")
    try:
        for name, number in zip(edits, numbers, strict=True):
            find_edit(name, number)
    except EditError as error:
        raise UserError(str(error)) from None
    return list(zip(edits, numbers, strict=True))


# --- one face ---------------------------------------------------------------------------------------------


def edit_face(
    editor: FaceEditor,
    identity: Identity,
    seed: int,
    edits: list[tuple[str, float]],
    options: Options,
    output: Path,
    bar: tqdm,
) -> dict:
    """Edit the face of a seed, write its pictures, return its line for edits.jsonl. A failure is a line, too."""
    record = {
        "id": seed,
        "edit": ",".join(name for name, _ in edits),
        "strength": edits[0][1] if len(edits) == 1 else [strength for _, strength in edits],
        "ok": False,
        "reason": "",
        "steps": 0,
    }
    began, busy = time.perf_counter(), time.process_time()
    try:
        styles = editor.generator.seed_styles(seed, options.psi)
        before = after = editor.look(styles)
        free, results = np.zeros(before.picture.shape[:2], np.float32), {}
        for group in groups(editor, edits):
            edit_run = EditRun(
                editor, after, group, settings=edit_settings(group, options), instant=options.instant
            )
            for progress in edit_run:
                if progress.step.number == 0:  # the directions' own word, before the drag
                    met = [shows(n, s, edit_run.result.ok, before, progress.face) for n, s in group.items()]
                    record["instant_ok"] = record.get("instant_ok", True) and all(met)
                text = (
                    f"{','.join(group)} step {progress.step.number}, {progress.step.distances.mean():.1f} px"
                )
                bar.set_postfix_str(text, refresh=False)
                bar.update(0)  # draws at most ten times a second
            result, after = edit_run.result, edit_run.result.face
            free = np.maximum(free, edit_run.plan.mask(len(free), len(free)))
            results |= dict.fromkeys(group, result)
            record["steps"] += result.steps
            record["mean_distance_px"] = result.mean_distance
            record["landmark_distance_px"] = result.landmark_distance
        reasons = [
            f"{name}: {results[name].reason}"
            for name, strength in edits
            if not shows(name, strength, results[name].ok, before, after)
        ]
        record["identity_distance"] = identity_distance(
            identity.describe(before.picture, before.points), identity.describe(after.picture, after.points)
        )
        record["outside_change"] = outside_change(before.picture, after.picture, free)
        for state, face in (("before", before), ("after", after)):
            for name, value in face.measures.items():
                record[f"{name}_{state}"] = value
        record["ok"], record["reason"] = not reasons, "; ".join(reasons)
        record["seconds"] = time.perf_counter() - began
        record["cpu_seconds"] = time.process_time() - busy
        for state, face in (("before", before), ("after", after)):
            write_picture(
                output / f"{seed:04d}_{state}.png", face.picture, record if state == "after" else None
            )
    except (ValueError, RuntimeError) as error:  # no face, out of memory, ...: this face's bad luck alone
        record["reason"] = str(error).splitlines()[0]
        record["seconds"] = time.perf_counter() - began
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in record.items()}


def groups(editor: FaceEditor, edits: list[tuple[str, float]]) -> list[dict[str, float]]:
    """What is done at once, one after the other: all edits where each has a direction, else one by one."""
    if editor.directions is not None and all(name in editor.directions for name, _ in edits):
        return [dict(edits)]
    return [{name: strength} for name, strength in edits]


def edit_settings(names: Iterable[str], options: Options) -> Settings:
    """Settings of the drag for edits; a preset other than the default is taken as it is."""
    settings = PRESETS[options.preset]
    if options.preset == "default":
        settings = with_settings(settings, **drag_settings(names))
    return with_settings(settings, max_steps=options.max_steps)


def shows(name: str, strength: float, arrived: bool, before: FaceState, after: FaceState) -> bool:
    """Whether the face shows an edit: by its rule at the default strength, else by the landmarks' way."""
    by_rule = reached(name, before.measures, after.measures) if strength == 1 else None
    return arrived if by_rule is None else by_rule


# --- files ------------------------------------------------------------------------------------------------


def open_output(output: Path, options: Options) -> dict[int, dict]:
    """Make the folder, or go on in it: the records that are there, by id.

    Raises UserError where it cannot be written or holds the results of other settings.
    """
    wanted = {
        name: getattr(options, name)
        for name in (
            "edit",
            "strength",
            "model",
            "psi",
            "landmarks",
            "preset",
            "max_steps",
            "instant",
            "direction",
        )
    }
    config = output / "config.json"
    try:
        output.mkdir(parents=True, exist_ok=True)
        if config.is_file():
            found = json.loads(config.read_text(encoding="utf-8"))
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
        records = read_records(output)
        write_text(output / "edits.jsonl", "".join(json.dumps(r) + "\n" for r in records))
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"--output {output} cannot be used ({reason}); choose another folder") from None
    except json.JSONDecodeError:
        raise UserError(f"{config} is broken; delete the folder or choose another --output") from None
    return {record["id"]: record for record in records}


def read_records(output: Path) -> list[dict]:
    """The lines of edits.jsonl; a last line that was cut off is left out. UserError for other broken ones."""
    path = output / "edits.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
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
    note.add_text("Comment", "AI-made: this face was generated by a neural network, it is not a photograph")
    if record:
        note.add_text("Edit", json.dumps({k: record[k] for k in ("id", "edit", "strength")}))
    image = Image.fromarray(picture)
    write_atomically(path, lambda temporary: image.save(temporary, "PNG", pnginfo=note, compress_level=3))


def write_contact_sheet(output: Path, records: list[dict]) -> None:
    """Pairs before | after with their ids, four to a row, of the first 64 faces that have pictures."""
    pairs = []
    for record in records[:SHEET_FACES]:
        files = [output / f"{record['id']:04d}_{state}.png" for state in ("before", "after")]
        if all(file.is_file() for file in files):
            pairs.append((record, [Image.open(file).convert("RGB") for file in files]))
    if not pairs:
        return
    columns, side = min(SHEET_COLUMNS, len(pairs)), SHEET_SIDE
    rows = -(-len(pairs) // columns)
    sheet = Image.new("RGB", (columns * (2 * side + 8) - 8, rows * (side + 24)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (record, pictures) in enumerate(pairs):
        x, y = (i % columns) * (2 * side + 8), (i // columns) * (side + 24)
        for j, picture in enumerate(pictures):
            sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (x + j * side, y + 20))
        text = f"{record['id']}  {record['edit']}" + ("" if record["ok"] else f"  - {record['reason']}")
        draw.text((x + 4, y + 4), text[:80], fill="black" if record["ok"] else "firebrick")
    write_atomically(output / "contact_sheet.png", lambda temporary: sheet.save(temporary, "PNG"))


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


if __name__ == "__main__":
    run(main)
