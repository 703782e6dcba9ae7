"""How long a person waits for the app, what watching costs a drag, and what sessions leave in memory.

    python benchmarks/app.py                 # results/app.txt keeps what it printed
    python benchmarks/app.py --rounds 9

Drives the real page in Chromium (Debian's), which works on the same cores as the app. Wall time is what a person
waits; on a machine with other work on it the figures are too high, so the load stands above them.
"""

import gc
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from common.commandline import UserError, option, parse, run
from draggan import points
from draggan.app.handlers import Handlers
from draggan.app.sessions import Sessions
from draggan.drag import Settings
from draggan.gragan_modify import launch
from draggan.points import PointsTask

ROOT = Path(__file__).resolve().parents[1]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
WAIT = 600_000  # ms
HANDLE, TARGET = (400, 600), (700, 600)  # farther than 60 steps reach
LOADED = "() => { const i = document.querySelector('#picture .shown'); return i && i.complete && i.naturalWidth > 0 }"
NOTED = "words => new RegExp(words).test(document.querySelector('#note').innerText)"
ANOTHER = """old => { const i = document.querySelector('#picture .shown');
    return i && i.src != old && i.complete && i.naturalWidth > 0 }"""


@dataclass
class Options:
    rounds: int = option(5, "how often each figure is taken")
    port: int = option(7861, "port for the app")
    sessions: int = option(200, "sessions that are opened and dropped")
    steps: int = option(60, "steps of the drags that are compared: about as many as a long edit takes")


def told(what: str, seconds: list[float], bound: float | None = None) -> None:
    bound_text = f" (wanted: at most {bound:g} s)" if bound else ""
    times = " ".join(f"{s:.2f}" for s in seconds)
    print(f"{what}: median {statistics.median(seconds):.2f} s of {times}{bound_text}", flush=True)


def waits(browser, port: int, rounds: int) -> None:
    """The app as a user starts it: page ready, an edit, a point, first new frame of a drag, and sliders."""
    command = [sys.executable, str(ROOT / "draggan/gragan_modify.py"), "--port", str(port), "--device", "cpu"]
    ready, edit, mark_made, frame, first, follows, whole = [], [], [], [], [], [], []
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        for line in server.stdout:
            if "Running on" in line:
                break
        else:
            raise UserError("the app did not start")
        threading.Thread(target=server.stdout.read, daemon=True).start()
        print(f"from the command to 'Running on': {time.perf_counter() - began:.2f} s")
        for _ in range(rounds):
            context = browser.new_context(viewport={"width": 1280, "height": 1000})
            page = context.new_page()
            page.set_default_timeout(WAIT)
            began = time.perf_counter()
            page.goto(f"http://127.0.0.1:{port}")
            page.wait_for_function(LOADED)
            ready.append(time.perf_counter() - began)
            for button, waited in (("#edit-smile", edit), ("#start", frame)):
                if button == "#start":
                    page.wait_for_function(NOTED, arg="Done|ended")
                    began = time.perf_counter()
                    draw(page)
                    page.wait_for_selector(".target", state="attached")
                    mark_made.append(time.perf_counter() - began)
                old = page.locator("#picture .shown").get_attribute("src")
                began = time.perf_counter()
                page.click(button)
                page.wait_for_function(ANOTHER, arg=page.evaluate("u => new URL(u, location).href", old))
                waited.append(time.perf_counter() - began)
            page.click("#stop")
            page.wait_for_function(NOTED, arg="Stopped|Done|Ended")
            page.get_by_role("tab", name="Sliders").click()
            page.focus("#slide-slim input[type=range]")
            for waited in (first, follows):
                old = page.locator("#picture .shown").get_attribute("src")
                began = time.perf_counter()
                page.keyboard.press("ArrowRight")
                page.wait_for_function(ANOTHER, arg=page.evaluate("u => new URL(u, location).href", old))
                waited.append(time.perf_counter() - began)
            page.wait_for_function(NOTED, arg="lets the drag do the rest")
            whole.append(time.perf_counter() - began)
            context.close()
        server.terminate()
    told("page ready, the first one right after 'Running on'", ready, 3)
    told("press on an edit to its picture on the page", edit, 1.5)
    told("a point and its target drawn on the picture to their marks", mark_made, 0.3)
    told("Start to the first newly drawn frame on the page", frame, 2)
    told("first touch of a slider to a small picture on the page", first)
    told("a slider's move to a small picture on the page", follows, 0.4)
    told("the same to the whole picture, once the slider was still for a while", whole)


def draw(page) -> None:
    """Press on the picture, move, and let go: a handle and its target."""
    box = page.locator("#picture .stage").bounding_box()
    x, y = box["x"] + 0.35 * box["width"], box["y"] + 0.75 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 0.15 * box["height"])
    page.mouse.up()


def a_step(step_of: Callable[[], int], steps: int) -> np.ndarray:
    """Watch a counter go from 1 to so many steps: wall seconds a step, and CPU seconds of this process."""

    def clocks() -> np.ndarray:
        return np.array([time.perf_counter(), time.process_time()])

    first = None
    while (now := step_of()) < steps:
        if first is None and now >= 1:
            first, began = now, clocks()
        time.sleep(0.01)
    return (clocks() - began) / (now - first)


def alone(sessions: Sessions, steps: int) -> np.ndarray:
    """`a_step` of a drag that nobody watches."""
    face = sessions.models.face(sessions.models.default, 5)
    task = PointsTask(face, [HANDLE], [TARGET], settings=Settings(max_steps=steps))
    done = [0]

    def work() -> None:
        for progress in task:
            done[0] = progress.step

    thread = threading.Thread(target=work)
    thread.start()
    seconds = a_step(lambda: done[0], steps)
    thread.join()
    return seconds


def mark(session, steps: int) -> None:
    session.mark("clear_points")
    session.set("max_steps", steps)
    session.click(*HANDLE)
    session.click(*TARGET)


def watched(sessions: Sessions, steps: int) -> np.ndarray:
    """The same in a session whose view is taken as the page takes it."""
    session = sessions.get("watched")
    session.generate(5)
    mark(session, steps)
    session.start()
    watcher = threading.Thread(target=lambda: list(session.watch()))
    watcher.start()
    seconds = a_step(lambda: session.screen.step, steps)
    watcher.join()
    sessions.drop("watched")
    return seconds


def on_the_page(sessions: Sessions, browser, url: str, steps: int) -> tuple[np.ndarray, int]:
    """The same, streamed to a page in Chromium on the same cores; also how many frames came."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.goto(url)
    page.wait_for_function(LOADED)
    page.wait_for_timeout(1000)  # until it has nothing left to lay out
    (session,) = sessions._sessions.values()
    mark(session, steps)
    page.click("#start")
    seconds = a_step(lambda: session.screen.step, steps)
    frames = len(session._run._frames)
    page.wait_for_function(NOTED, arg="Ended|Done")
    context.close()
    while sessions.live:
        time.sleep(0.05)
    return seconds, frames


def previews(browser, port: int, rounds: int, steps: int) -> None:
    os.environ["GRADIO_HEARTBEAT_INTERVAL"] = "1"  # or each page that has gone would be waited for, 15 s
    points.LOOK_EVERY = steps + 1  # the target is so far that a look would end the drag
    sessions = Sessions()
    sessions.models.face(sessions.models.default, 5)
    page = launch(Handlers(sessions, 5), server_name="127.0.0.1", server_port=port)
    alone(sessions, steps)  # warm
    without, session, browsed, frames = [], [], [], 0
    for _ in range(rounds):  # in turns, so that other work on the machine meets all alike
        without.append(alone(sessions, steps))
        session.append(watched(sessions, steps))
        seconds, frames = on_the_page(sessions, browser, page.local_url, steps)
        browsed.append(seconds)
    print(f"a step of a drag of {steps} steps, medians of {rounds}, taken in turns:")
    for name, times in (
        ("nobody watches", without),
        ("watched, no browser", session),
        ("streamed to the page", browsed),
    ):
        wall, cpu = np.median(times, axis=0)
        slower, dearer = np.median(times, axis=0) / np.median(without, axis=0) - 1
        print(f"    {name:22}{wall:.3f} s {slower:+.0%}, {cpu:.3f} s of the app's CPU time {dearer:+.0%}")
    print("    (wanted: at most +15 %)")
    print(f"    {frames} frames in the last one")
    page.close(verbose=False)
    sessions.close()


def memory(count: int) -> None:
    """Resident memory that opened, used and dropped sessions leave."""
    sessions = Sessions()

    def resident() -> float:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20

    before = 0.0
    for i in range(count + 5):
        if i == 5:
            before = resident()
        session = sessions.get(f"visitor {i}")
        session.generate(5)
        session.choose_edit("smile")
        sessions.drop(f"visitor {i}")
    print(f"{count} sessions opened and dropped: {resident() - before:+.1f} MiB (wanted: below +100 MiB)")
    sessions.close()


def main() -> None:
    options = parse(Options, __doc__)
    if options.rounds < 1 or options.sessions < 1 or options.steps < 2:
        raise UserError("--rounds and --sessions must be at least 1, and --steps at least 2")
    if not shutil.which("chromium"):
        raise UserError("chromium is not there; on Debian and Ubuntu: apt install chromium")
    from playwright.sync_api import sync_playwright

    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} CPU cores, load before: {load}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        waits(browser, options.port, options.rounds)
        previews(browser, options.port + 1, options.rounds, options.steps)
        browser.close()
    memory(options.sessions)
    print("load after: " + " ".join(f"{value:.1f}" for value in os.getloadavg()))


if __name__ == "__main__":
    run(main)
