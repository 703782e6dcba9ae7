"""What others send: servers and archives that lie to a download, bad pictures and pairs in a data set.

    python tests/robustness/bad_input.py --downloads 200
    python tests/robustness/bad_input.py --pictures 400 --seed 1

Each way in which a server can misbehave is tried with and without a known sha256, each bad archive fetched and put by
hand where it is looked for. Pictures are made by hand, as pipes, devices, loops and bombs, or are good ones with
damage. Right or named in one line is what holds. A break is anything else: a file or a record of what is not whole, a
traceback, something outside the folder, too much time or memory. Fewer than there are are taken from all over the list.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2]),
    str(Path(__file__).resolve().parents[1] / "support"),
]

from common.commandline import UserError, option, parse, run  # noqa: E402

PICTURES = 400  # at least; those that are not made by hand are damaged ones
Try = Callable[[Path], str]  # in a new folder: what broke, in words


@dataclass
class Options:
    downloads: int = option(0, "how many servers and archives")
    pictures: int = option(0, "how many bad pictures")
    seed: int = option(0, "the same gives the same damage")


def downloads() -> Iterable[tuple[str, Try]]:
    from bad_archives import BAD
    from download_trials import try_archive, try_server
    from lying_rests import ROWS

    for checked in (True, False):
        known = "known" if checked else "unknown"
        for row in ROWS:
            yield (
                f"{row.name}, sum {known}",
                lambda place, row=row, c=checked: try_server(row, c, place / "c"),
            )
    for by_hand in (True, False):
        way = "by hand" if by_hand else "fetched"
        for name in BAD:
            yield f"{name}, {way}", lambda place, name=name, b=by_hand: try_archive(name, b, place)


def pictures(count: int, seed: int) -> Iterable[tuple[str, Try]]:
    import accelerate  # noqa: F401  (loaded once, before the trials are forked)
    from bad_pictures import CASES
    from damaged_pictures import damaged
    from picture_trials import trial

    import training.data  # noqa: F401

    for case in [*CASES, *damaged(max(count, PICTURES) - len(CASES), seed)]:
        yield case.name, lambda place, case=case: trial(case, place / "set")[0]


def alone() -> None:
    """No proxy, no pip settings of this machine, and the hub folder is none of the user's."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        del os.environ[name]
    os.environ |= {"no_proxy": "127.0.0.1", "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}


def try_all(what: str, tries: list[tuple[str, Try]], count: int) -> int:
    """Try so many of them; how many broke."""
    count = min(count, len(tries))
    taken = [tries[number * len(tries) // count] for number in range(count)]
    broken = 0
    for name, attempt in taken:
        with tempfile.TemporaryDirectory(prefix="bad-input-", ignore_cleanup_errors=True) as scratch:
            place = Path(scratch) / "place"
            place.mkdir()
            os.environ["TORCH_HOME"] = str(Path(scratch) / "torch")
            os.chdir(place)  # some pictures change it
            try:
                broke = attempt(place)
            except Exception as error:
                broke = f"{type(error).__name__}: {error}"
            os.chdir("/")
            subprocess.run(["rm", "-rf", place], check=False)  # deeper than Python's own removal goes
        if broke:
            print(f"{name}: {broke}"[:600], flush=True)
            broken += 1
    print(f"{count} {what}, {broken} breaks")
    return broken


def main() -> None:
    options = parse(Options, __doc__)
    if bool(options.downloads) == bool(options.pictures):
        raise UserError("say either --downloads or --pictures, and how many")
    alone()
    if options.downloads:
        broken = try_all("downloads", list(downloads()), options.downloads)
    else:
        broken = try_all("pictures", list(pictures(options.pictures, options.seed)), options.pictures)
    sys.exit(bool(broken))


if __name__ == "__main__":
    run(main)
