"""How near a drag comes to its targets: the landmark manipulation that DragGAN was published with.

    python benchmarks/landmark_manipulation.py                                  # 32 pairs of the default generator
    python benchmarks/landmark_manipulation.py --model stylegan2-ffhq-512x512   # the published setting
    python benchmarks/landmark_manipulation.py --report                         # the table of what is there

Two random faces of one generator: the landmarks of the first are dragged onto those of the second, they are looked
for again in what comes out, and their mean distance to the targets counts, in pixels at 512 (Pan et al. 2023, section
4.3, with at most 300 steps). Which points were published is not said; here 1 is the tip of the nose, 5 are the outer
corners of the eyes, the tip of the nose and the corners of the mouth, 68 are all. Pairs are (S, S+1), (S+2, S+3), ...;
a pair in which a face has no landmarks is left out of every row, and counted. Where no face is found any more after a
drag, the distance counts as that without an edit, and is counted as lost. Stuck: more than half of the way is left.

Ways: "default" and "draggan-paper" are the presets of the drag, which know the first face's points and its features
alone. So do "freedrag-idea", which is FreeDrag's way in code of our own (draggan/freedrag.py), and "newton", which
steps by Gauss-Newton (draggan/newton.py). "landmarks" steps like that and looks for the landmarks in the picture after
each step, with the same detector that measures in the end: it is for points that are landmarks, and not for points by
hand.

The features' distance is no FID: the Fréchet distance of MobileNetV2's features at stride 16 between the edited faces
and as many others that nobody edited (see likeness.py). Unedited faces have one, too.

Each line of pairs.jsonl is one drag; a run that was stopped goes on.
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from benchmarks.likeness import Features, as_batch, frechet
from common.commandline import DEVICES, UserError, choose_device, option, parse, run, write_atomically
from draggan.drag import PRESETS, Drag
from draggan.face import Face, Subject
from draggan.freedrag import FreeDrag, FreeDragSettings
from draggan.generators import DEFAULT_MODEL, ModelError, load_generator
from draggan.landmarks import landmark_detector
from draggan.newton import NewtonDrag, NewtonSettings, Observe

# Of the 68 points (iBUG 300-W): outer eye corners 36 and 45, tip of the nose 30, mouth corners 48 and 54.
POINTS = {1: [30], 5: [36, 45, 30, 48, 54], 68: list(range(68))}
WAYS = {
    "no edit": None,
    **{name: replace(settings, max_steps=300) for name, settings in PRESETS.items()},
    "freedrag-idea": FreeDragSettings(),
    "newton": NewtonSettings(),
    "landmarks": NewtonSettings(),
}
AT = 512  # pixels of a picture's side in which distances are given
STRIDE = 16


@dataclass
class Options:
    """The options of landmark_manipulation.py."""

    pairs: int = option(32, "pairs of faces", range=(2, 100_000))
    seed: int = option(6000, "of the first face; the others follow", range=(0, 2**31))
    points: str = option("1,5,68", "how many points, with commas")
    ways: str = option(",".join(name for name in WAYS), "what is compared, with commas")
    model: str = option(DEFAULT_MODEL, "face generator")
    landmarks: str = option("auto", "landmark detector")
    output: str = option("output/landmark_manipulation", "folder for pairs.jsonl and pictures")
    report: bool = option(False, "print the table of --output, of --points and --ways, and do nothing else")
    device: str = option("auto", DEVICES)


def chosen(text: str, known: dict, flag: str) -> list:
    """What a list with commas names. UserError for a word that is not known."""
    words = {str(name): name for name in known}
    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found or not words.keys() >= set(found):
        raise UserError(f"{flag} {text}: known are {', '.join(words)}")
    return [words[word] for word in found]


def points_of(face: Face) -> np.ndarray | None:
    """(68, 2) in pixels of the picture; None where there is no face."""
    try:
        return face.points
    except ValueError:  # NoFaceError
        return None


def mean_distance(found: np.ndarray, wanted: np.ndarray, size: int) -> float:
    """Of points (K, 2) to others, in pixels at 512, for a picture of ``size`` pixels."""
    return float(np.linalg.norm(found - wanted, axis=1).mean() * AT / size)


def drag(start: Face, which: list[int], targets: np.ndarray, way: str) -> tuple[Face, int]:
    """What a drag alone makes of a face, and its steps.

    Those of its landmarks that `which` says are dragged to targets (K, 2) in pixels of the picture.
    """
    size, settings = start.generator.resolution, WAYS[way]
    handles, targets = (points.clip(0, size - 1) for points in (start.points[which], targets))
    if isinstance(settings, NewtonSettings):
        observe = by_landmarks(start, which) if way == "landmarks" else None
        work = NewtonDrag(start.generator, start.styles, handles, targets, observe, settings)
    elif isinstance(settings, FreeDragSettings):
        work = FreeDrag(start.generator, start.styles, handles, targets, settings)
    else:
        work = Drag(start.generator, start.styles, handles, targets, None, settings)
    for _ in work.run():
        pass
    return start.with_styles(work.best_styles), work.steps_done


def by_landmarks(start: Face, which: list[int]) -> Observe:
    """Looks for some of the landmarks in the picture of other styles of a face."""

    def observe(styles: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
        found = points_of(start.with_styles(styles))
        return None if found is None else torch.as_tensor(found[which]).to(expected)

    return observe


def measure(first: Face, second: Face, count: int, way: str, picture: Path) -> dict | None:
    """One drag as a line of pairs.jsonl, and its picture; None where a face has no landmarks."""
    before, wanted = points_of(first), points_of(second)
    if before is None or wanted is None:
        return None
    size, which = first.generator.resolution, POINTS[count]
    began, spent = time.perf_counter(), time.process_time()
    after, steps = (first, 0) if WAYS[way] is None else drag(first, which, wanted[which], way)
    after.picture  # noqa: B018  (drawn: what a person waits for)
    seconds = time.perf_counter() - began
    spent = (time.process_time() - spent) / torch.get_num_threads()
    found = points_of(after)
    start = mean_distance(before[which], wanted[which], size)
    shown = Image.fromarray(after.picture).resize((AT, AT), Image.Resampling.LANCZOS)
    write_atomically(picture, lambda place: shown.save(place, "PNG"))
    return {
        "start": start,
        "distance": start if found is None else mean_distance(found[which], wanted[which], size),
        "lost": found is None,
        "steps": steps,
        "seconds": seconds,
        "cpu_seconds": spent,
    }


def read(path: Path) -> dict[tuple, dict]:
    """The lines of pairs.jsonl by pair, points and way; one that was cut by a kill is left out."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            record = json.loads(line)
            found[record["pair"], record["points"], record["way"]] = record
        except (ValueError, KeyError, TypeError):
            continue
    return found


def table(output: Path, points: list[int], ways: list[str]) -> Iterator[str]:
    """What pairs.jsonl holds of these points and ways, a line a row."""
    records = {
        (pair, count, way): record
        for (pair, count, way), record in read(output / "pairs.jsonl").items()
        if count in points and way in ways
    }
    if not records:
        raise UserError(f"{output} has no pairs.jsonl with drags; measure first")
    models = {record["model"] for record in records.values()}
    # Every row is of the same pairs, or a hard pair that one way has not come to yet would flatter it.
    there = {(count, way) for _, count, way in records}
    rows = [(count, way) for count in points for way in ways if (count, way) in there]
    pairs = sorted({pair for pair, _, _ in records})
    none = [pair for pair in pairs if any(records.get((pair, *row), {}).get("no_face") for row in rows)]
    whole = [pair for pair in pairs if pair not in none and all((pair, *row) in records for row in rows)]
    yield f"{', '.join(sorted(models))}: {len(whole)} pairs, {len(none)} without a face, pixels at {AT}"
    yield (
        f"{'points':>6}  {'way':14}{'median':>8}{'mean':>8}{'stuck':>7}{'lost':>6}{'seconds':>9}{'cpu s':>8}"
        f"{'steps':>7}{'features':>10}"
    )
    if len(whole) < 2:
        return
    features = Features()
    others = features([picture_of(output, records[(pair, *rows[0])], "second") for pair in whole])[STRIDE]
    for count, way in rows:
        found = [records[pair, count, way] for pair in whole]
        distances = [record["distance"] for record in found]
        stuck = sum(record["distance"] > 0.5 * record["start"] for record in found)
        seconds, spent, steps = (
            statistics.median(record[name] for record in found)
            for name in ("seconds", "cpu_seconds", "steps")
        )
        pictures = features([picture_of(output, record, "edited") for record in found])[STRIDE]
        yield (
            f"{count:6}  {way:14}{statistics.median(distances):8.2f}{statistics.mean(distances):8.2f}"
            f"{stuck:7}{sum(record['lost'] for record in found):6}{seconds:9.1f}{spent:8.1f}{steps:7.0f}"
            f"{frechet(pictures, others):10.2f}"
        )


def picture_of(output: Path, record: dict, which: str) -> torch.Tensor:
    """(1, 3, 512, 512) uint8 of what a drag made, or of the face whose landmarks were its targets."""
    return as_batch(Image.open(output / record[which]).convert("RGB"))


def main() -> None:
    options = parse(Options, __doc__)
    output = Path(options.output)
    points, ways = chosen(options.points, POINTS, "--points"), chosen(options.ways, WAYS, "--ways")
    if options.report:
        print(*table(output, points, ways), sep="\n")
        return
    device = choose_device(options.device)
    try:
        generator, detector = (
            load_generator(options.model, device),
            landmark_detector(options.landmarks, device),
        )
    except ModelError as error:
        raise UserError(str(error)) from None
    if not generator.is_face:
        raise UserError(f"--model {options.model} makes no faces; choose a model that does")
    output.mkdir(parents=True, exist_ok=True)
    path = output / "pairs.jsonl"
    done = read(path)
    if {record["model"] for record in done.values()} - {generator.name}:
        raise UserError(f"{path} is of another model; give another --output")
    todo = [
        (pair, count, way)
        for pair in range(options.seed, options.seed + 2 * options.pairs, 2)
        for count in points
        for way in ways
        if (pair, count, way) not in done
    ]
    faces: dict[int, Face] = {}  # of the pair at work
    for pair, count, way in tqdm(todo, disable=None):
        if pair not in faces:
            faces = {seed: Subject(generator, detector, seed=seed).face() for seed in (pair, pair + 1)}
        first, second = faces.values()
        names = {"second": f"{pair + 1}.png", "edited": f"{pair}_{count}_{way.replace(' ', '_')}.png"}
        if not (output / names["second"]).is_file():
            shown = Image.fromarray(second.picture).resize((AT, AT), Image.Resampling.LANCZOS)
            write_atomically(output / names["second"], lambda place, shown=shown: shown.save(place, "PNG"))
        record = measure(first, second, count, way, output / names["edited"]) or {"no_face": True}
        line = {"pair": pair, "points": count, "way": way, "model": generator.name, **names, **record}
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if _is_cut(path) else "") + json.dumps(line) + "\n")
    print(*table(output, points, ways), sep="\n")


def _is_cut(path: Path) -> bool:
    """Whether the last line was not written to its end."""
    data = path.read_bytes() if path.is_file() else b""
    return bool(data) and not data.endswith(b"\n")


if __name__ == "__main__":
    run(main)
