"""Trainings that are ended at any moment and gone on with: the end is that of the run that was never stopped.

    python tests/robustness/killed_runs.py --kills 40 --fork
    python tests/robustness/killed_runs.py --signals 30 --seed 1
    python tests/robustness/killed_runs.py --script train_l1.py --at before:5+half:2,import:700:15
    python tests/robustness/killed_runs.py --kills 3 --keep output/killed     # the folders of trials that broke

train_l1.py and train_cgan.py train for seconds on pictures made for it, each time in a process of its own on one core.
``kill -9`` falls before, in and after the writing of each file of a run, while modules are imported, and at any time;
some runs are killed again while they go on. SIGINT, SIGTERM and SIGHUP fall while modules are imported and at any time;
each must end in one line with its exit code. ``--resume`` must then go on, or a new start where nothing was begun.
Weights and all else of the checkpoints bit for bit, the log, the pictures and what TensorBoard shows must be those of
a run that nobody disturbed.
"""

import os
import random
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}  # before torch is imported
sys.path[:0] = [
    str(Path(__file__).resolve().parents[2]),
    str(Path(__file__).resolve().parents[1] / "support"),
]

from killed_trials import SIGNALS, Trials, Whole  # noqa: E402

from common.commandline import UserError, option, parse, run  # noqa: E402

SCRIPTS = ("train_l1.py", "train_cgan.py")


@dataclass
class Options:
    kills: int = option(0, "how many runs are killed")
    signals: int = option(0, "how many runs get a signal")
    at: str = option("", "with commas: the moments of further trials, as this command prints them")
    seed: int = option(0, "the same gives the same moments")
    script: str = option(",".join(SCRIPTS), "which are tried")
    fork: bool = option(False, "import once for all processes that no import, signal or clock ends: quicker")
    keep: str | None = option(None, "folder for the runs of trials that broke")


def moments_of_kills(whole: Whole, count: int, skip: int, rng: random.Random) -> list[str]:
    """Three quarters around files that are renamed into place, the others in imports and by the clock.

    Args:
        skip: how many kinds of such moments another script has had.
    """
    others = []
    for number in range(count // 4):
        any_time = f"clock:{rng.uniform(0, whole.seconds):.2f}"
        others.append(any_time if number % 2 else f"import:{rng.randint(1, whole.imports)}")
    kinds: dict[str, list[int]] = {}  # epoch_0001.png and epoch_0002.png of one folder are of one kind
    for number, name in enumerate(whole.files, 1):
        kinds.setdefault(re.sub(r"\d+", "N", name), []).append(number)
    around = [(how, where) for where in kinds.values() for how in ("before", "half", "after")]
    found = []
    for number in range(count - len(others)):
        how, where = around[(skip + number) % len(around)]
        again = f"+{rng.choice(('before', 'half', 'after'))}:{rng.randint(1, 4)}" if number % 4 == 3 else ""
        found.append(f"{how}:{rng.choice(where)}{again}")
    return found + others


def moments_of_signals(whole: Whole, count: int, rng: random.Random) -> list[str]:
    """Each of the three in turn, while modules are imported and by the clock."""
    found = []
    for number in range(count):
        sent = list(SIGNALS)[number % 3]
        inside, clock = rng.randint(1, whole.imports), rng.uniform(0, whole.seconds)
        found.append(f"import:{inside}:{sent:d}" if number // 3 % 2 else f"clock:{clock:.2f}:{sent:d}")
    return found


def main() -> None:
    options = parse(Options, __doc__)
    scripts = options.script.split(",")
    if unknown := set(scripts) - set(SCRIPTS):
        raise UserError(f"--script {min(unknown)}: unknown; there are {', '.join(SCRIPTS)}")
    given = [moments for moments in options.at.split(",") if moments]
    if options.kills + options.signals + len(given) < 1:
        raise UserError("nothing is to be tried; say --kills, --signals or --at")
    rng, tried, broken, skip = random.Random(options.seed), 0, 0, 0
    for number, script in enumerate(scripts):
        kills, signals = (
            all_ // len(scripts) + (number < all_ % len(scripts)) for all_ in (options.kills, options.signals)
        )
        if not (kills or signals or given):
            continue
        with tempfile.TemporaryDirectory(prefix="killed-runs-") as scratch:
            trials = Trials(script, Path(scratch), options.fork, bool(kills or signals))
            moments = [
                *given,
                *moments_of_kills(trials.whole, kills, skip, rng),
                *moments_of_signals(trials.whole, signals, rng),
            ]
            skip += kills - kills // 4
            for moment in moments:
                broke = try_at(trials, moment, options.keep)
                tried, broken = tried + 1, broken + broke
    print(
        f"{tried} {'kills' if not options.signals else 'signals' if not options.kills else 'stops'}, {broken} breaks"
    )
    sys.exit(bool(broken))


def try_at(trials: Trials, moment: str, keep: str | None) -> bool:
    """Whether a trial broke; it says how."""
    folder = trials.scratch / "run"
    broke = trials.trial(moment, folder)
    print(f"{trials.script} {moment}: {'; '.join(broke) or 'as if it had not been stopped'}", flush=True)
    if broke and keep and folder.exists():
        name = f"{trials.script}-{moment}".replace(":", "-")
        shutil.copytree(folder, Path(keep) / name, dirs_exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return bool(broke)


if __name__ == "__main__":
    run(main)
