"""Damage small real files of every format and open them: nothing but our own errors may come of it.

    python tests/robustness/fuzz.py --count 3000 --seed 1                # every format
    python tests/robustness/fuzz.py --count 200 --format legacy,project
    python tests/robustness/fuzz.py --format legacy --only 17 --keep /tmp/broken     # one file again, to look at
    python tests/robustness/fuzz.py --list

Each file is opened in a process with a gibibyte to spare. A break is an error that is not ours or has several lines, a
file that takes more than two seconds or that memory, an end of the process, and anything that only code in a file could
do: an audit hook watches. The same seed gives the same files. Exit code 0 where nothing broke, 1 where something did.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "support"))

from common.commandline import UserError, option, parse, run

SECONDS, HANG = 2.0, 60.0  # of the processor for one file; of the clock, before a process counts as hanging
BYTES = 1 << 30
READY = "ready"
FORMATS = (
    *("nvidia", "tensorflow", "zip", "legacy", "safetensors", "openvino", "directions", "training", "photo"),
    *("npz", "npy", "latent", "project"),
)


@dataclass
class Options:
    count: int = option(3000, "files of each format")
    seed: int = option(0, "the same gives the same files")
    format: str = option("all", f"with commas: {', '.join(FORMATS)}")
    only: int | None = option(None, "the number of one file to open again")
    keep: str | None = option(None, "folder to write the files to that broke something, or the one of --only")
    list: bool = option(False, "print the formats and do nothing else")
    worker: bool = option(False, "open the files here and print what came of each as JSON; used by itself")


@dataclass
class Tally:
    """What came of a format's files."""

    opened: int = 0  # without an error: what was damaged does not matter
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0


# --- the process that opens the files ---------------------------------------------------------------------


def damaged(form, name: str, seed: int, number: int, whole: list[dict[str, bytes]]) -> dict[str, bytes]:
    """The files of a number: one of the format's, with one part damaged."""
    from fuzz_mutations import mutate

    random = Random(f"{seed} {name} {number}")
    files = dict(random.choice(whole))
    part = random.choice(sorted(files))
    kind = form.kind if not part.endswith(".bin") else "bytes"
    return files | {part: mutate(kind, files[part], random)}


def work(options: Options) -> None:
    """Open the files that are asked for, and say after each what came of it."""
    import fuzz_audit
    import fuzz_formats

    scratch = Path(sys.stdin.readline().strip())
    names = options.format.split(",")
    whole = {}
    for name in names:
        form = fuzz_formats.FORMATS[name]
        whole[name] = form.files()
        for files in whole[name]:  # also so that what is imported on the way is here
            try:
                read(form, files, scratch)
            except fuzz_formats.OURS as error:
                if "StyleGAN3" not in str(error):
                    raise ValueError(f"{name}: a whole file is refused: {error}") from None
    fuzz_audit.warm_up()
    watch = fuzz_audit.Watch(scratch, BYTES, SECONDS)
    print(json.dumps(READY), flush=True)
    for line in sys.stdin:
        name, number = json.loads(line)
        form = fuzz_formats.FORMATS[name]
        files = damaged(form, name, options.seed, number, whole[name])
        kind, text = "opened", ""
        watch.begin()
        try:
            read(form, files, scratch)
        except fuzz_formats.OURS as error:
            kind, text = "refused", str(error)
        except BaseException as error:
            kind, text = "broke", watch.where(error)
        print(json.dumps(watch.end(kind, text)), flush=True)


def read(form, files: dict[str, bytes], scratch: Path) -> None:
    folder = scratch / "files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    form.read(folder)


# --- the process that watches it --------------------------------------------------------------------------


class Worker:
    """The process that opens the files; begun anew where it has ended or hangs."""

    def __init__(self, options: Options, names: list[str], scratch: Path):
        self.command = [sys.executable, __file__, "--worker", "--seed", str(options.seed)]
        self.command += ["--format", ",".join(names)]
        self.scratch, self.process = scratch, None

    def open(self, name: str, number: int) -> list:
        """What came of one file: kind, text, seconds."""
        if self.process is None:
            self._begin()
        print(json.dumps([name, number]), file=self.process.stdin, flush=True)
        try:
            found = self._answer(HANG)
        except queue.Empty:
            self._last_words()
            return ["broke", "hangs", HANG]
        return found or ["broke", f"the process ended: {self._last_words()}", 0.0]

    def close(self) -> None:
        if self.process is not None:
            self._last_words()

    def _begin(self) -> None:
        # Where code in a file writes to a name, it does it here.
        place = {"cwd": self.scratch, "env": os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with open(self.scratch / "stderr", "w") as errors:
            self.process = subprocess.Popen(self.command, stderr=errors, text=True, **pipes, **place)
        self.lines: queue.Queue = queue.Queue()
        threading.Thread(target=self._listen, args=(self.process, self.lines), daemon=True).start()
        print(self.scratch, file=self.process.stdin, flush=True)
        if self._answer(600) != READY:
            raise UserError(f"the formats cannot be made: {self._last_words()}")

    @staticmethod
    def _listen(process, lines) -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    def _answer(self, seconds: float):
        """The next thing it says; None if it ended. queue.Empty if it says nothing for so long."""
        line = self.lines.get(timeout=seconds)
        return json.loads(line) if line else None

    def _last_words(self) -> str:
        """End the process: its exit code, and the last line that it wrote."""
        process, self.process = self.process, None
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        words = (self.scratch / "stderr").read_text(errors="replace").strip().splitlines()
        return f"{process.returncode}, {words[-1][:300] if words else 'nothing was said'}"


def main() -> None:
    options = parse(Options, __doc__)
    names = list(FORMATS) if options.format == "all" else options.format.split(",")
    if unknown := set(names) - set(FORMATS):
        raise UserError(f"--format {min(unknown)}: unknown; there are {', '.join(FORMATS)}")
    if options.list:
        print("\n".join(FORMATS))
        return
    if options.worker:
        work(options)
        return
    sys.exit(torment(options, names))


def torment(options: Options, names: list[str]) -> int:
    """Open all files and print the table; 1 where something broke."""
    breaks = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        worker, tallies = Worker(options, names, Path(scratch)), {}
        try:
            for name in names:
                tally = tallies[name] = Tally()
                for number in range(options.count) if options.only is None else [options.only]:
                    kind, text, seconds = worker.open(name, number)
                    tally.seconds, tally.slowest = tally.seconds + seconds, max(tally.slowest, seconds)
                    if kind == "broke":
                        breaks.append((name, number, text))
                        print(f"{name} {number}: {text}"[:600], flush=True)
                    tally.opened, tally.refused = (
                        tally.opened + (kind == "opened"),
                        tally.refused + (kind == "refused"),
                    )
                    if options.keep and (kind == "broke" or options.only is not None):
                        keep(options, name, number)
                print(line_of(name, tally, sum(broken[0] == name for broken in breaks)), flush=True)
        finally:
            worker.close()
    total = sum(tally.opened + tally.refused for tally in tallies.values()) + len(breaks)
    print(f"{total} files, {len(breaks)} breaks")
    return 1 if breaks else 0


def line_of(name: str, tally: Tally, broke: int) -> str:
    return (
        f"{name:12} {tally.opened:6} opened {tally.refused:6} refused {broke:4} broke   "
        f"{tally.seconds:7.1f} s, slowest {tally.slowest:.2f} s"
    )


def keep(options: Options, name: str, number: int) -> None:
    import fuzz_formats

    form = fuzz_formats.FORMATS[name]
    files = damaged(form, name, options.seed, number, form.files())
    for part, data in files.items():
        folder = Path(options.keep)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}-{options.seed}-{number}-{part}").write_bytes(data)


if __name__ == "__main__":
    run(main)
