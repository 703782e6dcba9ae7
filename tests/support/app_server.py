"""The running app for the tests of the page and of the endpoints, in this process, so that they can look behind it.

Its models lie in a folder of their own: the real ones, small StyleGAN2s with random weights that were "put there by
hand", one of them with classes and one damaged, and one that can be fetched from a slow server on this machine.
"""

import http.server
import shutil
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from browser import OUTPUT
from nvidia_files import conditional, network_pickle
from PIL import Image

from draggan.generators.stylegan2 import random_generator
from draggan.generators.stylegan2_layers import Config

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "fixtures" / "stylegan2_tiny.pkl"
SLOW = 600_000  # ms; what a person waits for is printed by benchmarks/app.py, this only ends a hanging test
FETCHED = "tiny-horses"
SMALL = Config(resolution=64, channels=(16,) * 5, mapping=(32, 32), clamp=256.0)
STILL = """() => {
    const box = JSON.stringify(document.querySelector('#picture .stage').getBoundingClientRect())
    const before = window.lastBox
    window.lastBox = box
    return box === before && document.fonts.status === 'loaded'
}"""
FETCH = """
import sys
sys.path.insert(0, {root!r})
import download_models as d
d.MODELS = [d.Model({name!r}, "", "", (d.File({name!r} + ".pkl", {size}, urls=({url!r},)),))]
sys.exit(d.main(["--dir", {folder!r}, *sys.argv[1:]]))
"""


class SlowServer(http.server.BaseHTTPRequestHandler):
    """Sends the small StyleGAN2, a tenth every 0.3 s."""

    def do_GET(self) -> None:
        data = TINY.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        for start in range(0, len(data), len(data) // 10):
            self.wfile.write(data[start : start + len(data) // 10])
            self.wfile.flush()
            time.sleep(0.3)

    def log_message(self, *args) -> None:
        pass


@dataclass
class RunningApp:
    url: str
    sessions: object  # of draggan.app.sessions
    page: object  # the gr.Blocks

    def only_session(self):
        """The session of the one visitor who is there."""
        return next(reversed(self.sessions._sessions.values()))


def free_port() -> int:
    """Of this machine. Another process could take it before it is used, but hardly does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until(true, seconds: float = SLOW / 1000, every: float = 0.05) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(every)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    import common.models
    from draggan import generators, gragan_modify
    from draggan.app.fetches import Fetches
    from draggan.app.handlers import Handlers
    from draggan.app.sessions import Sessions

    folder = tmp_path_factory.mktemp("checkpoints")
    for path in generators.CHECKPOINTS.iterdir():
        if path.suffix == ".safetensors" or path.suffix == ".dat":
            (folder / path.name).symlink_to(path.resolve())
    shutil.copy(TINY, folder / "tiny-lions.pkl")
    (folder / "tiny-cars.pkl").write_bytes(network_pickle(conditional(random_generator(SMALL), 12)))
    (folder / "half-a-tiger.pkl").write_bytes(TINY.read_bytes()[:50_000])

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url, size = f"http://127.0.0.1:{server.server_port}/{FETCHED}.pkl", TINY.stat().st_size
    file = common.models.File(f"{FETCHED}.pkl", size, urls=(url,))
    fetch = FETCH.format(root=str(ROOT), name=FETCHED, size=size, url=url, folder=str(folder))

    with pytest.MonkeyPatch.context() as patch:
        # Seconds until a client that has gone is missed, as in Gradio's own tests of pages; 15 if unset.
        patch.setenv("GRADIO_HEARTBEAT_INTERVAL", "0.25")
        # The app sets its own; it is put back after.
        patch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
        patch.setattr(generators, "CHECKPOINTS", folder)
        patch.setattr(common.models, "MODELS", [common.models.Model(FETCHED, "", "", (file,))])
        sessions = Sessions()
        sessions.models.face(sessions.models.default, 5)
        handlers = Handlers(sessions, 5, Fetches((sys.executable, "-c", fetch)))
        page = gragan_modify.launch(handlers, server_name="127.0.0.1", server_port=free_port())
        yield RunningApp(page.local_url.rstrip("/"), sessions, page)
        page.close(verbose=False)
        sessions.close()
        server.shutdown()


@pytest.fixture
def visit(app, browser):
    """Open the page; fails at the end if it logged an error or asked another machine for something."""
    contexts, wrong = [], []

    def open_page(locale: str = "en-US", width: int = 1280, height: int = 1000, leaves: bool = False,
                  scheme: str = "light", touch: bool = False, refused: bool = False):  # fmt: skip
        size = {"width": width, "height": height}
        context = browser.new_context(locale=locale, viewport=size, color_scheme=scheme, has_touch=touch)
        context.set_default_timeout(SLOW)
        contexts.append(context)
        page = context.new_page()
        # Gradio logs an error of its own when a page is left.
        gone = ("AbortError: signal is aborted", "Unexpected error Connection errored out") if leaves else ()
        note = lambda text: text.startswith(gone or "\0") or wrong.append(text)  # noqa: E731
        page.on(
            "console",
            lambda message: (
                message.type == "error"
                # A photo that is refused is deleted, perhaps while the page is about to show it.
                and not (refused and "/served/" in message.location.get("url", ""))
                and note(f"{message.text} {message.location.get('url', '')}")
            ),
        )
        page.on("pageerror", lambda error: note(str(error)))
        allowed = (app.url, "data:", "blob:")
        page.on("request", lambda r: r.url.startswith(allowed) or wrong.append(f"outside: {r.url}"))
        page.goto(app.url)
        page.wait_for_selector("#picture .shown[src]", timeout=SLOW)
        note_says(page, "Choose|选择")
        # Until nothing moves any more: a click would miss.
        page.wait_for_function(STILL, polling=150, timeout=SLOW)
        return page

    yield open_page
    for context in contexts:
        context.close()
    wait_until(lambda: app.sessions.live == 0)
    app.sessions.clean(0)
    assert not wrong, wrong


def note_says(page, pattern: str, element: str = "#note") -> None:
    """Wait until the note matches."""
    from playwright import sync_api as playwright

    matches = "([e, p]) => new RegExp(p).test(document.querySelector(e)?.innerText ?? '')"
    try:
        # as often as a picture is drawn, it would take from what is waited for
        page.wait_for_function(matches, arg=[element, pattern], polling=50, timeout=SLOW)
    except playwright.TimeoutError:
        page.screenshot(path=OUTPUT / "in-vain.png")
        pytest.fail(f"waited for {pattern!r} in vain; {element} says {page.inner_text(element)!r}")
