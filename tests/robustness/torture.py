"""Everything that is meant to break the project, one part after the other, and one table of what came of it.

    make torture                                  # about an hour
    make torture ARGS="--only kills,signals"
    make torture ARGS="--scale 0.02"              # a look at each part, in minutes
    python tests/robustness/torture.py --list

A part is a command of its own that ends with a line such as "40 kills, 0 breaks". One that ends without that line, or
with an error, counts as broken. One that is not done at its limit is ended with all that it started, and counts as
broken. Exit code 0 where everything held, 1 where something broke.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
HERE = "tests/robustness"
sys.path.insert(0, str(ROOT))

from common.commandline import UserError, option, parse, run  # noqa: E402

LAST_LINE = re.compile(r"(\d+) ([a-z ]+), (\d+) breaks")
STARTING = 300  # seconds that a limit has beyond what its part's size asks for


@dataclass
class Part:
    """One attack."""

    name: str
    tries: str  # what is tried, in words
    command: str  # with {n}: how many at full scale is ``count``
    count: float
    minutes: float  # the limit at full scale
    least: float = 1.0


PARTS = (
    Part(
        "kills",
        "kill -9 at moments of a training, then --resume",
        f"{HERE}/killed_runs.py --fork --kills {{n}}",
        40,
        40,
    ),
    Part(
        "signals",
        "SIGINT, SIGTERM, SIGHUP to a training, then --resume",
        f"{HERE}/killed_runs.py --fork --signals {{n}}",
        30,
        30,
    ),
    Part("downloads", "servers and archives that lie", f"{HERE}/bad_input.py --downloads {{n}}", 200, 20),
    Part(
        "pictures", "bad pictures and pairs in a data set", f"{HERE}/bad_input.py --pictures {{n}}", 400, 30
    ),
    Part("fuzz", "damaged files of each format", f"{HERE}/fuzz.py --seed 1 --count {{n}}", 3000, 60, 3),
    Part(
        "crowd",
        "clients in the app at once, for minutes",
        f"{HERE}/crowd.py --clients 20 --minutes {{n}}",
        5,
        30,
        0.2,
    ),
)


@dataclass
class Options:
    only: str = option("", f"some parts, with commas: {', '.join(part.name for part in PARTS)}")
    scale: float = option(1.0, "how much of each, from 0 to 1")
    limit: float = option(0.0, "seconds for each part; 0 takes its own limit")
    list: bool = option(False, "print the commands and do nothing else")


@dataclass
class Result:
    """What came of a part."""

    part: Part
    tried: str  # "40 kills", or "-" where it did not say so
    broke: int
    seconds: float
    why: str = ""  # of a break that it could not say itself


def arguments(part: Part, scale: float) -> list[str]:
    """The command of a part at this scale."""
    number = max(part.least, part.count * scale)
    return part.command.format(n=f"{number:g}" if part.least < 1 else round(number)).split()


def torment(part: Part, scale: float, limit: float) -> Result:
    """Run a part and show what it says.

    Args:
        limit: seconds, or 0 for the part's own.
    """
    limit = limit or part.minutes * 60 * scale + STARTING
    began, lines = time.monotonic(), []
    process = subprocess.Popen(
        [sys.executable, *arguments(part, scale)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    listener = threading.Thread(target=listen, args=(process.stdout, lines), daemon=True)
    listener.start()
    try:
        hangs = not ended(process, limit)
    finally:
        end_session(process)
    listener.join(10)  # at once, unless something outside the session holds the pipe
    seconds = time.monotonic() - began
    return judge(part, lines, process.returncode, f"not done after {limit:.0f} s" if hangs else "", seconds)


def listen(stream: IO[str], lines: list[str]) -> None:
    """Show what a part says, and keep it."""
    for line in stream:
        lines.append(line.rstrip("\n"))
        print(f"  {lines[-1]}", flush=True)


def ended(process: subprocess.Popen, limit: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(limit)
    return process.poll() is not None


def end_session(leader: subprocess.Popen) -> None:
    """End what is still there of what a part has started: its session, which no process group of its own leaves."""
    while left := session(leader.pid):
        for number in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        leader.poll()
        time.sleep(0.05)
    leader.wait()


def session(leader: int) -> list[int]:
    """Processes of a session that have not ended, as Linux lists them."""
    found = []
    for place in Path("/proc").iterdir() if Path("/proc/self/stat").exists() else ():
        with contextlib.suppress(OSError):
            if place.name.isdecimal():
                state, _, _, its, *_ = (place / "stat").read_text().rpartition(")")[2].split()
                found += [int(place.name)] if int(its) == leader and state not in "ZX" else []
    return found


def judge(part: Part, lines: list[str], code: int, hangs: str, seconds: float) -> Result:
    """What a part's output and exit code mean."""
    said = next((found for line in reversed(lines) if (found := LAST_LINE.fullmatch(line.strip()))), None)
    tried, broke = (f"{said[1]} {said[2]}", int(said[3])) if said else ("-", 0)
    why = hangs
    if not why and (not said or bool(code) != bool(broke)):
        why = f"ended with code {code}: {lines[-1] if lines else 'nothing was said'}"
    return Result(part, tried, broke + bool(why), seconds, why)


def table(results: list[Result]) -> str:
    rows = [("part", "what", "tried", "broke", "seconds")]
    rows += [(r.part.name, r.part.tries, r.tried, str(r.broke), f"{r.seconds:.0f}") for r in results]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column > 2 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def chosen(only: str) -> list[Part]:
    names = [name for name in only.split(",") if name]
    known = [part.name for part in PARTS]
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"--only {unknown[0]}: unknown; there are {', '.join(known)}")
    return [part for part in PARTS if not names or part.name in names]


def main() -> None:
    options = parse(Options, __doc__)
    parts = chosen(options.only)
    if not 0 < options.scale <= 1:
        raise UserError(f"--scale {options.scale:g}: must be more than 0 and at most 1")
    if options.list:
        for part in parts:
            print(f"{part.name:10} python {' '.join(arguments(part, options.scale))}")
        return
    for number in (signal.SIGTERM, signal.SIGHUP):  # the part at work ends with this
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    results = []
    for part in parts:
        print(f"{part.name}: {' '.join(arguments(part, options.scale))}", flush=True)
        results.append(torment(part, options.scale, options.limit))
    print(f"\nscale {options.scale:g}\n{table(results)}")
    for result in results:
        if result.why:
            print(f"{result.part.name}: {result.why}")
    sys.exit(any(result.broke for result in results))


if __name__ == "__main__":
    run(main)
