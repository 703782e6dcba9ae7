"""Learn directions for instant edits: drags on many seeds → what they change in common, for each edit.

    python draggan/learn_directions.py                                # the default model
    python draggan/learn_directions.py --model ffhq-512 --seeds 1000-1031 --edits smile,slim

Every drag is kept in --work, so that the same command goes on where it stopped; --max-minutes stops it after
a while by itself. The result, checkpoints/NAME-directions.safetensors, keeps what the model had for other edits, and
says in its metadata how it was made. From then on edit_faces.py uses it, and the app from its next start. Seeds below
1000 are left for judging.
"""

import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from common.commandline import (
    DEVICES,
    UserError,
    choose_device,
    option,
    parse,
    parse_seeds,
    run,
    write_atomically,
)
from draggan import generators
from draggan.drag import Settings
from draggan.edit_files import open_folder, write_npz
from draggan.editor import EditTask, has_landmarks
from draggan.edits import EDITS, EditError, find_edit, plan_edit, reached, report_problems, share
from draggan.face import Face, NoFaceError, Subject
from draggan.generators import (
    DEFAULT_MODEL,
    DEFAULT_PSI,
    Direction,
    Directions,
    Generator,
    ModelError,
    load_directions,
    load_generator,
    save_directions,
)
from draggan.generators.directions import ENDING
from draggan.identity import LIMITS, Identity, identity_distance, outside_change
from draggan.landmarks import BACKENDS, LandmarkDetector, landmark_detector

Model = tuple[Generator, LandmarkDetector]
LEARNED = "slim,smile,close-eyes"
# Share of the way that a drag goes beyond its edit's goal: what drags have in common gets clearer.
FURTHER = 0.3
MAX_STEPS = 48
FEWEST = 4  # drags to learn an edit from
SAME_PERSON = 0.45  # identity distance of drags to learn from, for edits without a limit of their own
# Of a direction that depends on the face; taken where they foretell unseen drags better.
COMPONENTS = (1, 2, 4)
RIDGE = (0.3, 1.0, 3.0)
TRIED_ON = 12  # faces that the scale and the side effects are measured on
MOST_TAKEN = 0.5  # of another edit's direction: a share that landmarks misread must not turn it round
VERSION = 1  # of how drags are kept; others are dragged again


@dataclass
class Options:
    model: str = option(DEFAULT_MODEL, "face generator")
    edits: str = option(LEARNED, f"edits to learn: {', '.join(EDITS)}")
    seeds: str = option("1000-1063", "faces to learn from")
    work: str = option("output/learn-directions", "folder for the drags")
    output: str | None = option(None, f"the result; None: checkpoints/NAME{ENDING}")
    psi: float = option(DEFAULT_PSI, "truncation: 0 the mean face, 1 the full variety")
    landmarks: str = option(
        "auto", "landmark detector; auto: face-alignment if its weights are here", BACKENDS
    )
    max_steps: int = option(MAX_STEPS, "steps of a drag at most")
    max_minutes: float | None = option(None, "stop dragging after so long; the same command goes on")
    device: str = option("auto", DEVICES)
    seed: int = option(0, "of random numbers; learning uses none, and is the same every time")


def main() -> None:
    options = parse(Options, __doc__)
    report_problems()
    names = list(dict.fromkeys(name.strip() for name in options.edits.split(",")))
    seeds = parse_seeds(options.seeds)
    if not 0 < options.psi <= 2:
        raise UserError(f"--psi {options.psi:g}: above 0, at most 2; 0.7 is usual")
    for name, least in (("max_steps", 1), ("max_minutes", 0)):
        if (value := getattr(options, name)) is not None and not least <= value < math.inf:
            raise UserError(f"--{name.replace('_', '-')} {value:g}: at least {least}")
    device = choose_device(options.device)
    torch.manual_seed(options.seed)
    try:
        for name in names:
            if whole := find_edit(name).part_of:
                raise EditError(f"{name} goes along the direction of {whole}: learn that one")
        generator = load_generator(options.model, device)
        if not generator.is_face:
            raise NoFaceError(f"one-click edits need a face model, and {generator.name} is none")
        model = generator, landmark_detector(options.landmarks, device)
        identity = Identity()
    except (EditError, ModelError, NoFaceError) as error:
        raise UserError(str(error)) from None

    folder = Path(options.work) / generator.name
    open_folder(folder)  # before hours of dragging
    complete = drag_all(model, identity, seeds, names, options, folder)
    if not complete:
        print(f"{folder} holds the drags so far; the same command goes on", file=sys.stderr)
        return
    output = Path(options.output or generators.CHECKPOINTS / f"{generator.name}{ENDING}")
    directions, lines = learn(model, seeds, names, options, folder)
    directions = beside(load_directions(generator), directions)
    write_atomically(output, lambda temporary: save_directions(temporary, directions))
    print("\n".join([*lines, f"{output}, {output.stat().st_size / 1e3:.0f} kB"]))


# --- drags ----------------------------------------------------------------------------------------------------


def drag_all(
    model: Model, identity: Identity, seeds: list[int], names: list[str], options: Options, folder: Path
) -> bool:
    """Drag what is not in the folder yet; False if the time ran out before."""
    todo = [
        (seed, name) for seed in seeds for name in names if read_drag(folder, name, seed, options) is None
    ]
    began = time.monotonic()
    with tqdm(total=len(seeds) * len(names), initial=len(seeds) * len(names) - len(todo), unit="drag") as bar:
        for seed, name in todo:
            if options.max_minutes is not None and time.monotonic() - began > 60 * options.max_minutes:
                return False
            bar.set_description(f"{name} of seed {seed}")
            arrays = drag_face(model, identity, seed, name, options)
            path = folder / f"{name}_{seed}.npz"
            write_atomically(path, lambda temporary, arrays=arrays: write_npz(temporary, arrays))
            bar.update()
    return True


def drag_face(
    model: Model, identity: Identity, seed: int, name: str, options: Options
) -> dict[str, np.ndarray]:
    """One drag as it was drawn on the way: L looks, none where there was no face.

    changes (L, free rows, w_dim) from the start, shares, identity, outside and reached (L,) each.
    """
    looks: dict[str, list] = {k: [] for k in ("changes", "shares", "identity", "outside", "reached")}
    start = Subject(*model, seed=seed, psi=options.psi).face()
    styles, rows = start.styles, start.generator.free_rows
    settings = Settings(**EDITS[name].drag, max_steps=options.max_steps)
    try:
        task = EditTask(start, name, settings=settings, goal=EDITS[name].goal + FURTHER)
        free = task.plan.mask(*2 * (len(start.picture),))
        described = identity.describe(start.picture, start.points)
        for progress in task:
            if (face := progress.face) is None:
                continue
            looks["changes"].append((face.styles - styles)[0, :rows].float().cpu().numpy())
            looks["shares"].append(progress.share)
            now = identity.describe(face.picture, face.points)
            looks["identity"].append(identity_distance(described, now))
            looks["outside"].append(outside_change(start.picture, face.picture, free))
            shows = reached(name, start.measures, face.measures)
            looks["reached"].append(
                task.judge.share(task.judge.look(face)) >= EDITS[name].goal if shows is None else shows
            )
    except NoFaceError:
        looks = {k: [] for k in looks}
    arrays = {k: np.array(v, np.float32) for k, v in looks.items()}
    return arrays | {"w": styles[0, 0].float().cpu().numpy(), "made": np.array(_made(options))}


def _made(options: Options) -> list[float]:
    """What a kept drag must agree in with the options to be used again."""
    return [VERSION, options.psi, options.max_steps, BACKENDS.index(options.landmarks)]


def read_drag(folder: Path, name: str, seed: int, options: Options) -> dict[str, np.ndarray] | None:
    """A drag that was kept; None if it is not there, broken or of other options."""
    try:
        with np.load(folder / f"{name}_{seed}.npz", allow_pickle=False) as file:
            arrays = dict(file)
        return arrays if np.allclose(arrays["made"], _made(options)) else None
    except (OSError, ValueError, KeyError, EOFError):
        return None


def chosen_look(drag: dict[str, np.ndarray], name: str) -> int | None:
    """The look to learn from: the farthest that shows the edit on the same person; None if none does."""
    limit = LIMITS.get(name, (SAME_PERSON,))[0]
    good = [i for i, shows in enumerate(drag["reached"]) if shows and drag["identity"][i] <= limit]
    return max(good, key=lambda i: drag["shares"][i], default=None)


# --- learning -------------------------------------------------------------------------------------------------


def learn(
    model: Model, seeds: list[int], names: list[str], options: Options, folder: Path
) -> tuple[Directions, list[str]]:
    """Directions from the kept drags, and a line on each. UserError where too few drags succeeded."""
    generator, detector = model
    mean_w = generator.mean_w.float().cpu()
    found, lines, counts = {}, [], {}
    for name in names:
        drags = [read_drag(folder, name, seed, options) for seed in seeds]
        looks = [(drag, i) for drag in drags if (i := chosen_look(drag, name)) is not None]
        if len(looks) < FEWEST:
            raise UserError(
                f"{name}: only {len(looks)} of {len(drags)} drags succeeded, {FEWEST} are needed; give more --seeds"
            )
        # Per unit of the edit's way, on average: one whose way the landmarks hardly see must not count most.
        changes = torch.tensor(np.stack([drag["changes"][i] for drag, i in looks]))
        changes /= float(np.mean([drag["shares"][i] for drag, i in looks]))
        faces = torch.tensor(np.stack([drag["w"] for drag, _ in looks])) - mean_w
        found[name], text = fit(changes, faces)
        counts[name] = len(looks)
        lines.append(f"{name}: {len(looks)} of {len(drags)} drags; {text}")
    made = {"model": generator.name, "resolution": generator.resolution, "drags": counts}
    made |= {k: v for k, v in asdict(options).items() if k in ("edits", "seeds", "psi", "max_steps")}
    made["landmarks"] = detector.name
    made["command"] = "draggan/learn_directions.py"

    directions = Directions(found, mean_w, made)
    directions, more = settle(model, directions, seeds, options.psi)
    return directions, lines + more


def beside(known: Directions | None, learned: Directions) -> Directions:
    """What was learned now, and what the model had for other edits before."""
    kept = {name: d for name, d in (known.edits if known else {}).items() if name not in learned.edits}
    made = learned.made | {"kept": {name: known.made.get("drags", {}).get(name) for name in kept}}
    return Directions(kept | learned.edits, learned.mean_w, made)


def fit(changes: Tensor, faces: Tensor) -> tuple[Direction, str]:
    """The direction behind changes (N, rows, w_dim) of faces (N, w_dim), and a line on how it was chosen.

    The mean, or the mean and a few principal components whose shares follow from w by ridge regression:
    what foretells a drag best that it was not learned from, by the cosine with the change left out.
    """
    flat = changes.flatten(1)
    scores = {}
    for k, ridge in [(0, 0.0), *((k, r) for k in COMPONENTS for r in RIDGE if k < len(flat) // 4)]:
        cosines = []
        for fold in range(folds := min(len(flat), 8)):
            left_out = torch.arange(len(flat)) % folds == fold
            direction = _fit(changes[~left_out], faces[~left_out], k, ridge)
            for change, face in zip(flat[left_out], faces[left_out], strict=True):
                guess = direction.change(face, changes.shape[1]).flatten()
                cosines.append(torch.cosine_similarity(guess, change, dim=0).item())
        scores[k, ridge] = float(np.mean(cosines))
    best = max(scores, key=scores.get)
    if scores[best] < scores[0, 0.0] + 0.01:  # not worth being more than a mean
        best = (0, 0.0)
    with_map = max((v for (k, _), v in scores.items() if k), default=float("nan"))
    text = f"cosine to unseen drags {scores[0, 0.0]:.3f} by the mean, {with_map:.3f} with a map from w"
    return _fit(changes, faces, *best), f"{text}: " + (f"{best[0]} components" if best[0] else "the mean")


def _fit(changes: Tensor, faces: Tensor, k: int, ridge: float) -> Direction:
    mean = changes.mean(dim=0)
    if not k:
        return Direction(mean)
    rest = (changes - mean).flatten(1)
    u, s, vt = torch.linalg.svd(rest, full_matrices=False)
    shares = u[:, :k] * s[:k]  # (N, k)
    # Ridge regression in its dual form: there are fewer faces than numbers in w.
    gram = faces @ faces.T
    weight = ridge * gram.diagonal().mean()
    solved = torch.linalg.solve(gram + weight * torch.eye(len(gram)), shares)  # (N, k)
    return Direction(mean, vt[:k].reshape(k, *mean.shape).contiguous(), (faces.T @ solved).T.contiguous())


@torch.no_grad()
def settle(
    model: Model, directions: Directions, seeds: list[int], psi: float
) -> tuple[Directions, list[str]]:
    """Take out of each direction what it does of the other edits, then give it its scale; and lines about it.

    Both are measured by the landmarks of a few faces: at scale 1 half of them should be beyond the edit's aim.
    """
    names, lines, starts = list(directions.edits), [], []
    for seed in seeds:
        start = Subject(*model, seed=seed, psi=psi).face()
        if has_landmarks(start):
            starts.append(start)
        if len(starts) == TRIED_ON:
            break

    def ways(name: str, direction: Direction, scale: float) -> np.ndarray:
        """Medians over the faces (edits,): what share of each edit's way the direction at a scale goes."""
        trial = Directions({name: scaled(direction, scale)}, directions.mean_w)
        rows = [shares_after(trial, start, name, names) for start in starts]
        return np.median([row for row in rows if row is not None] or [np.zeros(len(names))], axis=0)

    at = {name: EDITS[name].aim for name in names}
    effects = np.array([ways(name, directions.edits[name], at[name]) for name in names])
    clean = {}
    for i, name in enumerate(names):
        parts = [(1.0, directions.edits[name])]
        for j, other in enumerate(names):
            # What a direction does of another edit, in units of what that one's own direction does.
            if i != j and effects[j, j] > 0.05:
                amount = float(np.clip(effects[i, j] / effects[j, j], -MOST_TAKEN, MOST_TAKEN))
                parts.append((-amount * at[other] / at[name], directions.edits[other]))
                lines.append(f"{name}: {amount:+.2f} of {other} taken out")
        clean[name] = combine(parts)
    for name, direction in clean.items():
        scale, aim = at[name], EDITS[name].aim
        for _ in range(3):
            way = ways(name, direction, scale)[names.index(name)]
            lines.append(f"{name}: scale {scale:.2f} goes {way:.0%} of the way")
            scale *= float(np.clip(aim / max(way, 1e-3), 0.6, 1.6))
        clean[name] = scaled(direction, scale)
    return Directions(clean, directions.mean_w, directions.made), lines


def shares_after(directions: Directions, start: Face, name: str, names: list[str]) -> list[float] | None:
    """Share of each edit's way that a face goes by one direction as it is; None if no face is left."""
    found = start.with_styles(start.styles + directions.change(name, start.styles))
    if not has_landmarks(found):
        return None
    return [share(other, plan_edit(other, start.points), start.points, found.points) for other in names]


def scaled(direction: Direction, scale: float) -> Direction:
    return combine([(scale, direction)])


def combine(parts: list[tuple[float, Direction]]) -> Direction:
    """The weighted sum of directions."""
    mean = sum(weight * direction.mean for weight, direction in parts)
    mapped = [(weight, d) for weight, d in parts if d.components is not None]
    if not mapped:
        return Direction(mean)
    components = torch.cat([weight * d.components for weight, d in mapped])
    return Direction(mean, components, torch.cat([d.coefficients for _, d in mapped]))


if __name__ == "__main__":
    run(main)
