"""Edit many faces from the command line: smile, slim, close-eyes, ... by learned directions and by dragging.

    python draggan/edit_faces.py --edit smile --seeds 0-7 --output output/smile
    python draggan/edit_faces.py --edit smile,close-eyes --seeds 3,5,10-19 --strength 0.8 --output output/both
    python draggan/edit_faces.py --edit smile --seeds 0-7 --instant --output output/instant
    python draggan/edit_faces.py --edit smile --image photo.jpg --output output/me
    python draggan/edit_faces.py --edit slim --image photos/ --inversion best --output output/photos
    python draggan/edit_faces.py --report --output output/slim,output/smile,output/close-eyes
    python draggan/edit_faces.py --project work.draggan --output output/work

Writes for each face NNNN_before.png and NNNN_after.png, a line in edits.jsonl (the fields are explained in
output/README.md), and at the end contact_sheet.png; for a photo NAME_before.png and NAME_after.png, the whole
photo at its own size with the change pasted back. The same command again goes on where it stopped: faces that are in
edits.jsonl are skipped. Exit code 0 when every face shows its edit, 1 when some do not, 2 for a user error.
"""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from tqdm import tqdm

from common.commandline import DEVICES, UserError, choose_device, option, parse, parse_seeds, run
from draggan.drag import PRESETS, Settings, with_settings
from draggan.edit_files import (
    append_record,
    leave_nothing,
    open_output,
    picture_path,
    report,
    write_contact_sheet,
    write_picture,
)
from draggan.editor import EditTask, edit_settings
from draggan.edits import EDITS, EditError, find_edit, reached, report_problems
from draggan.face import Face, NoFaceError, Subject
from draggan.face_sources import LATENT_ENDINGS, LatentSource, SeedSource, open_latents, save_latents
from draggan.generators import (
    DEFAULT_MODEL,
    DEFAULT_PSI,
    Directions,
    Generator,
    ModelError,
    load_directions,
    load_generator,
)
from draggan.identity import Identity, identity_distance, outside_change
from draggan.instant import learned_as
from draggan.inversion import PRESETS as INVERSIONS
from draggan.landmarks import BACKENDS, LandmarkDetector, landmark_detector
from draggan.measures import measures
from draggan.model_list import model_name, open_model, table
from draggan.photo_batch import PhotoSource, list_photos, parse_faces
from draggan.photo_editor import PhotoSubject
from draggan.project import ProjectError, open_project


@dataclass
class Options:
    edit: str = option("smile", f"one edit, or several together: {', '.join(EDITS)}")
    seeds: str = option("0-7", "faces to edit: 0-7 or 1,5,10-19; a seed is always the same face")
    image: str | None = option(None, "a photo, or a folder of them, instead of --seeds")
    inversion: str = option("fast", "how a photo's face is brought into the generator", tuple(INVERSIONS))
    face: str = option("0", "which faces of a photo: 0 the largest, 1 the next, ...; several as 0,2; or all")
    latent: str | None = option(
        None, "a file of latents, W or W+, instead of --seeds: npz, npy, safetensors or pt"
    )
    inversions: str | None = option(None, "folder to keep inverted faces in, and to take them from again")
    strength: str = option("1.0", "how far, 0 to 2, below 0 the opposite; one number, or one for each edit")
    output: str = option("output/edits", "folder for the results; for --report one or more, with commas")
    model: str = option(DEFAULT_MODEL, "face generator")
    class_: int | None = option(None, "which class a conditional model draws, from 0; None: none is chosen")
    psi: float = option(DEFAULT_PSI, "truncation: 0 the mean face, 1 the full variety")
    landmarks: str = option(
        "auto", "landmark detector; auto: face-alignment if its weights are here", BACKENDS
    )
    preset: str = option("default", "settings of the drag", tuple(PRESETS))
    max_steps: int | None = option(None, "steps at most for each edit; None: what the preset says")
    instant: bool = option(False, "learned directions alone, without the drag")
    direction: bool = option(
        True, "begin with the learned direction where there is one; without: the drag alone"
    )
    save_latent: str = option("no", "write W+ of each edited face beside its picture", tuple(LATENT_ENDINGS))
    report: bool = option(False, "print the table of --output and do nothing else")
    project: str | None = option(
        None, "a project saved in the app: write the picture that it shows, and do nothing else"
    )
    list_models: bool = option(False, "print the models that there are, and what is wrong with others")
    device: str = option("auto", DEVICES)
    seed: int = option(0, "of random numbers; an edit uses none, and is the same every time")


def main() -> None:
    options = parse(Options, __doc__)
    report_problems()
    if options.list_models:
        print(table())
        return
    if options.report:
        folders = [Path(name) for name in options.output.split(",")]
        print(report(folders))
        return
    if options.project:
        print(f"wrote {draw_project(Path(options.project), Path(options.output), options)}")
        return
    options.model = model_name(options.model, options.class_)
    edits = parse_edits(options.edit, options.strength)
    photos = list_photos(options.image) if options.image else {}
    keys = list(photos) or parse_seeds(options.seeds)
    faces = parse_faces(options.face)
    if options.image and options.latent:
        raise UserError("--image and --latent: give one of them")
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

    output, generator, latents = Path(options.output), None, {}
    if options.latent:
        generator = open_model(options.model, device)
        latents = open_latents(options.latent, generator)
        keys = list(latents)
    done = open_output(output, settings_of(options))
    todo = [key for key in keys if key not in done]
    if todo:
        try:
            generator = generator or load_generator(options.model, device)
            detector = landmark_detector(options.landmarks, device)
            directions = load_directions(generator) if options.direction else None
            if options.instant:
                check_directions(generator.name, directions, edits)
            identity = Identity()
            if photos:
                source = PhotoSource(
                    *(photos, generator, detector, identity, options.inversion, faces),
                    keep=options.inversions,
                    directions=directions,
                )
            elif options.latent:
                source = LatentSource(generator, detector, directions, latents)
            else:
                source = SeedSource(generator, detector, directions, options.psi)
        except (ModelError, NoFaceError, UserError) as error:
            leave_nothing(output)
            raise UserError(str(error)) from None
        print(
            f"{generator.name} on {device}, landmarks by {detector.name}, {len(todo)} faces", file=sys.stderr
        )
        with tqdm(total=len(keys), initial=len(keys) - len(todo), unit="face") as bar:
            for key in todo:
                done[key] = []
                for part in source.parts(key):
                    bar.set_description(f"seed {part}" if isinstance(part, int) else part)
                    done[key].append(edit_face(source, identity, part, edits, options, output, bar))
                    append_record(output, done[key][-1])
                bar.update()
    else:
        print(f"all {len(keys)} faces are in {output} already", file=sys.stderr)

    records = [record for key in keys for record in done[key]]
    write_contact_sheet(output, records)
    print(report([output]))
    if any(not record["ok"] for record in records):
        sys.exit(1)


def draw_project(path: Path, output: Path, options: Options) -> Path:
    """The picture that a saved project shows, as a PNG named like it in a folder; of a photo, the whole photo."""
    device = choose_device(options.device)

    def tools(model: str) -> tuple[Generator, LandmarkDetector, Directions | None]:
        generator = load_generator(model, device)
        return generator, landmark_detector(options.landmarks, device), load_directions(generator)

    try:
        project = open_project(path, tools)
    except (ProjectError, ModelError) as error:
        raise UserError(f"--project: {error}") from None
    face, title, picture = project.shown, project.results[project.at].title, output / f"{path.stem}.png"
    if isinstance(face.subject, PhotoSubject):
        face.subject.cut_out.photo.write(picture, face.subject.paste(face), Edit=title)
    else:
        write_picture(picture, face.picture, {"id": face.subject.seed, "edit": title, "strength": None})
    return picture


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


def check_directions(model: str, directions: Directions | None, edits: list[tuple[str, float]]) -> None:
    """UserError where a model has no direction for one of the edits."""
    missing = [name for name, _ in edits if directions is None or learned_as(name) not in directions]
    if missing:
        raise UserError(
            f"--instant: {model} has no direction for {', '.join(missing)}; leave --instant away, or learn it: "
            f"python draggan/learn_directions.py --model {model} --edits {','.join(missing)}"
        )


def settings_of(options: Options) -> dict:
    """The options that decide what a folder holds."""
    names = ["edit", "strength", "model", "psi", "landmarks", "preset", "max_steps", "instant", "direction"]
    kept = {name: getattr(options, name) for name in names}
    if options.image:
        faces = parse_faces(options.face)
        face = "all" if faces is None else faces[0] if len(faces) == 1 else ",".join(map(str, faces))
        kept |= {"inversion": options.inversion, "face": face, "photos": True}
    return kept | {"latents": Path(options.latent).name} if options.latent else kept


# --- one face ---------------------------------------------------------------------------------------------


def edit_face(
    source: SeedSource | PhotoSource,
    identity: Identity,
    key: int | str,
    edits: list[tuple[str, float]],
    options: Options,
    output: Path,
    bar: tqdm,
) -> dict:
    """Edit one face, write its pictures, return its line for edits.jsonl. A failure is a line, too."""
    record = {
        "id": key,
        "edit": ",".join(name for name, _ in edits),
        "strength": edits[0][1] if len(edits) == 1 else [strength for _, strength in edits],
        "ok": False,
        "reason": "",
        "steps": 0,
    }
    began, busy = time.perf_counter(), time.process_time()

    def say(text: str) -> None:
        bar.set_postfix_str(text, refresh=False)
        bar.update(0)  # draws at most ten times a second

    try:
        before = source.open(key, record, say)
        after, results, free = before, {}, np.zeros(before.picture.shape[:2], np.float32)
        for group in groups(before.subject, edits):
            settings = settings_for(before.subject, group, options)
            task = EditTask(after, group, settings=settings, instant=options.instant)
            for progress in task:
                if progress.step == 0:  # what the directions did alone, before the drag
                    met = [shows(n, s, task.result.ok, before, progress.face) for n, s in group.items()]
                    record["instant_ok"] = record.get("instant_ok", True) and all(met)
                say(f"{task.name} step {progress.step}, {progress.distance:.1f} px")
            result, after = task.result, task.face
            free = np.maximum(free, task.plan.mask(len(free), len(free)))
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
        source.write(before, picture_path(output, record, "before"), None)
        source.write(after, picture_path(output, record, "after"), record)
        save_latents(after, output, record, options.save_latent)
    except (ValueError, RuntimeError) as error:  # no face, out of memory, ...: this face's bad luck alone
        record["reason"] = str(error).splitlines()[0]
        record["seconds"] = time.perf_counter() - began
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in record.items()}


def groups(subject: Subject, edits: list[tuple[str, float]]) -> list[dict[str, float]]:
    """What is done at once, one after the other: all edits where each has a direction, else one by one.

    Parts of edits come last: whether a face winks can be told of nothing but the wink.
    """
    parts = [{name: strength} for name, strength in edits if EDITS[name].part_of]
    edits = [(name, strength) for name, strength in edits if not EDITS[name].part_of]
    if edits and subject.directions is not None and all(name in subject.directions for name, _ in edits):
        return [dict(edits), *parts]
    return [{name: strength} for name, strength in edits] + parts


def settings_for(subject: Subject, names: Iterable[str], options: Options) -> Settings:
    """Settings of the drag for edits; a preset other than the default is taken as it is."""
    preset = options.preset
    settings = edit_settings(subject, names) if preset == "default" else PRESETS[preset]
    return with_settings(settings, max_steps=options.max_steps)


def shows(name: str, strength: float, arrived: bool, before: Face, after: Face) -> bool:
    """Whether a face shows an edit: by its rule at the default strength, else by the landmarks' way."""
    if strength != 1:
        return arrived
    by_rule = reached(name, *(measures(face.points_by(EDITS[name].eye)) for face in (before, after)))
    return arrived if by_rule is None else by_rule


if __name__ == "__main__":
    run(main)
