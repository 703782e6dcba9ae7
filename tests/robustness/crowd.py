"""A crowd in the app: clients that edit, drag, stop, send photos and go away at random, each for itself.

    python tests/robustness/crowd.py                          # 20 clients for five minutes
    python tests/robustness/crowd.py --clients 4 --minutes 1

Starts the app as a command and prints a table: what was asked, how long it took, and what was refused. Each client
checks by the picture that it gets its own face: what no edit may change must be that of the seed it asked for.
Exit code 1 where a picture was another's, where an error came that is no sentence of the app, where the app's log
has a traceback (what is refused leaves none), or where the memory stays more than 300 MiB above what it was.
"""

import contextlib
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]

from app_server import free_port  # noqa: E402
from gradio_client import Client, handle_file  # noqa: E402

from common.commandline import option, parse, run  # noqa: E402

SEEDS = range(8)
EDITS = ("slim", "smile", "close-eyes", "small-nose")
MOST_GROWTH = 300  # MiB
REST = 130  # seconds in which sessions end, and what was freed goes back to the system
# What may be said in a crowd, and of the noise that it sends as a photo.
EXPECTED = (
    "Too many people are dragging",
    "Too many people are here",
    "No face found",
    "Something is running",
)


@dataclass
class Options:
    clients: int = option(20, "how many there are at once")
    minutes: float = option(5.0, "how long they stay")
    seed: int = option(0, "of what they do")


@dataclass
class Tally:
    """May be used from any thread."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def took(self, what: str, seconds: float) -> None:
        with self.lock:
            self.seconds.setdefault(what, []).append(seconds)

    def failed(self, what: str, reason: str) -> None:
        with self.lock:
            known = next((words for words in EXPECTED if words in reason), None)
            if known is None:
                self.wrong.append(f"{what}: {reason[:200]}")
            else:
                self.refused[known] = self.refused.get(known, 0) + 1


def outside(path: str) -> np.ndarray:
    """The upper corners of a picture, where no edit reaches, small: (16, 32, 3)."""
    with Image.open(path) as image:
        small = np.asarray(image.convert("RGB").resize((128, 128), Image.Resampling.BOX), np.int16)
    return np.concatenate([small[:16, :16], small[:16, -16:]], axis=1)


class Visitor:
    """One of the crowd, on a thread of its own."""

    def __init__(self, url: str, seed: int, faces: dict[int, np.ndarray], tally: Tally, until: float):
        self.url, self.random = url, random.Random(seed)
        self.faces, self.tally, self.until = faces, tally, until

    def stay(self) -> None:
        while time.monotonic() < self.until:
            try:
                with contextlib.closing(Client(self.url, verbose=False)) as client:
                    for _ in range(self.random.randint(1, 6)):
                        if time.monotonic() >= self.until or self.visit(client):
                            break
            except Exception as error:  # the sentence that a person would read, or what must not be
                here = [one for one in traceback.extract_tb(error.__traceback__) if one.filename == __file__]
                self.tally.failed(here[-1].line, str(error) or repr(error))
                time.sleep(1)

    def visit(self, client: Client) -> bool:
        """Ask for a face, do something to it, and look whose it is. True: gone in the middle of an edit."""
        seed = self.random.choice(SEEDS)
        picture, _ = self.ask(client, "generate", seed, 0.7)
        self.check(picture, seed, "generate")
        act = self.random.choice(["edit", "edit", "edit", "drag", "stop", "photo", "go"])
        if act == "edit":
            picture, report = self.ask(client, "edit", self.random.choice(EDITS), 1.0)
        elif act == "drag":
            points = [[[400, 600], [self.random.randint(380, 430), 610]]]
            picture, report = self.ask(client, "drag", points)
        elif act == "photo":
            with tempfile.NamedTemporaryFile(suffix=".png") as file:
                noise = np.random.RandomState(seed).randint(0, 255, (200, 200, 3), np.uint8)
                Image.fromarray(noise).save(file, "PNG")
                file.flush()
                self.ask(client, "photo", handle_file(file.name), "smile", 1.0, "fast", 0)
            return False
        else:  # in the middle of an edit somebody stops it, or closes the page
            job = client.submit("small-nose", 1.0, api_name="/edit")
            time.sleep(self.random.uniform(0.2, 3))
            if act == "go":
                job.cancel()
                self.tally.took("go away", 0.0)
                return True
            press_stop(self.url, client.session_hash)
            picture, report = job.result(600)
        self.check(picture, report["seed"], act)
        if report["seed"] != seed:
            self.tally.failed(act, f"asked for seed {seed} and got {report['seed']}")
        return False

    def ask(self, client: Client, what: str, *inputs) -> tuple:
        start = time.monotonic()
        result = client.predict(*inputs, api_name=f"/{what}")
        self.tally.took(what, time.monotonic() - start)
        return result

    def check(self, picture: str, seed: int, what: str) -> None:
        """A drag by hand may change the corners, and still leaves them nearest to those of its own seed."""
        away = {s: np.abs(outside(picture) - face).mean() for s, face in self.faces.items()}
        nearest = min(away, key=away.get)
        if nearest != seed or (what == "generate" and away[seed] > 2):
            self.tally.failed(what, f"a picture that is not seed {seed}'s but nearer to {nearest}'s: {away}")


def press_stop(url: str, session: str) -> None:
    """As the page's button does."""
    config = json.loads(urllib.request.urlopen(f"{url}/config", timeout=60).read())
    stop = next(one["id"] for one in config["components"] if one["props"].get("elem_id") == "stop")
    function = next(one["id"] for one in config["dependencies"] if [stop, "click"] in one["targets"])
    call = json.dumps({"data": [], "fn_index": function, "session_hash": session, "trigger_id": stop})
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{url}/gradio_api/run/predict", call.encode(), headers)
    urllib.request.urlopen(request, timeout=60).read()


def memory(process: subprocess.Popen) -> int:
    """MiB that a process holds."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


def tracebacks(log: str) -> list[str]:
    """Of each traceback in a log the line that it ends with: the error."""
    return re.findall(r"^Traceback .*\n(?:[ \t].*\n|\n)*(.*)", log, re.MULTILINE)


def first_faces(url: str) -> dict[int, np.ndarray]:
    """What each seed looks like outside of all edits; and all that the app loads once is loaded."""
    client = Client(url, verbose=False)
    faces = {seed: outside(client.predict(seed, 0.7, api_name="/generate")[0]) for seed in SEEDS}
    for edit in EDITS:
        client.predict(edit, 1.0, api_name="/edit")
    with contextlib.suppress(Exception), tempfile.NamedTemporaryFile(suffix=".png") as file:
        Image.effect_noise((200, 200), 80).save(file.name)
        client.predict(handle_file(file.name), "smile", 1.0, "fast", 0, api_name="/photo")
    client.close()
    return faces


def main() -> None:
    options = parse(Options, __doc__)
    tally, port = Tally(), free_port()
    arguments = ["--port", str(port), "--device", "cpu", "--max-sessions", "64", "--queue", "16"]
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        command = [sys.executable, str(ROOT / "draggan/gragan_modify.py"), *arguments]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            while "Running on" not in Path(log.name).read_text():
                assert process.poll() is None, Path(log.name).read_text()
                time.sleep(0.2)
            faces = first_faces(url)
            time.sleep(REST)
            before, until = memory(process), time.monotonic() + options.minutes * 60
            seeds = range(options.seed * 1000, options.seed * 1000 + options.clients)
            crowd = [Visitor(url, seed, faces, tally, until) for seed in seeds]
            threads = [threading.Thread(target=visitor.stay) for visitor in crowd]
            most = before
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                most = max(most, memory(process))
                time.sleep(0.5)
            time.sleep(REST)
            after = memory(process)
            faults = tracebacks(Path(log.name).read_text())
            alive = process.poll() is None
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
    print(f"{options.clients} clients, {options.minutes:g} minutes, seed {options.seed}")
    print(f"{'asked':10} {'times':>6} {'median s':>9} {'most s':>8}")
    for what, seconds in sorted(tally.seconds.items()):
        print(f"{what:10} {len(seconds):6} {statistics.median(seconds):9.1f} {max(seconds):8.1f}")
    for reason, count in sorted(tally.refused.items()):
        print(f"refused: {reason} ({count})")
    print(f"memory: {before} MiB before, {most} at most, {after} after; tracebacks in the log: {len(faults)}")
    wrong = [*tally.wrong, *([] if alive else ["the app ended"])]
    wrong += [f"in the log: {fault[:200]}" for fault in faults]
    wrong += [f"{after - before} MiB are not given back"] if after > before + MOST_GROWTH else []
    for fault in wrong:
        print(f"WRONG: {fault}")
    print(f"{sum(map(len, tally.seconds.values()))} requests, {len(wrong)} breaks")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    run(main)
