"""The DragGAN app: choose a face, press an edit, watch it happen.

    python draggan/gragan_modify.py                       # http://127.0.0.1:7860
    python draggan/gragan_modify.py --port 7861 --auth me:secret
    python draggan/gragan_modify.py --share               # a public link, only if asked for

This file starts the app and wires its page. The page is app/layout.py, and what happens is in app/. Scripts call it
with gradio_client: /generate, /edit, /drag, /photo (docs/app-and-api.md).
"""

import atexit
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gradio as gr
import torch
from starlette.middleware import Middleware

from common.commandline import DEVICES, UserError, choose_device, option, parse, run
from draggan.app import files
from draggan.app.address import listening_host
from draggan.app.endpoints import Endpoints
from draggan.app.guard import Guard, host_names, own_names
from draggan.app.handlers import Handlers
from draggan.app.layout import I18N, STYLE, components, theme
from draggan.app.models import Models
from draggan.app.page_state import SHOWN
from draggan.app.photo_events import PhotoEvents
from draggan.app.requests import Page
from draggan.app.scripts import (
    HISTORY_IN_SIGHT,
    IN_OUR_WORDS,
    KEYS,
    READ_ALOUD,
    REMEMBER,
    RESET_SLIDERS,
    SEED_BEFORE,
    SEED_IF_NEW,
    SEED_SEEN,
    TO_THE_PICTURE,
    UNSAVED,
    VISITOR,
)
from draggan.app.sessions import LIVE_SESSIONS, Sessions
from draggan.app.settings import SETTINGS
from draggan.edits import EDITS, report_problems
from draggan.generators import DEFAULT_MODEL
from draggan.model_list import model_name, table
from draggan.photos import MAX_BYTES

LAST = "always_last"
SCRIPTS = (
    *(READ_ALOUD, RESET_SLIDERS, REMEMBER, KEYS, UNSAVED, SEED_BEFORE, IN_OUR_WORDS),
    *(TO_THE_PICTURE, HISTORY_IN_SIGHT),
)
# The scroll bar is always there, or everything moves when the page grows, and a click misses. On a phone, what is
# brought into sight, also by the keyboard, stops above the bar at the bottom: see page.css, which leaves as much room.
HEAD = (
    "<style>html {overflow-y: scroll} @media (max-width: 700px) {html {scroll-padding-bottom: 96px}}</style>"
)
# Not preprocessed: what is no number, or out of range, the session says better than Gradio does.
RAW = {"preprocess": False}
DOWNLOAD = "() => document.querySelector('#photo-file')?.click()"


@dataclass
class Options:
    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0, or :: with IPv6, lets other machines in")
    port: int = option(7860, "port to listen on")
    model: str = option(DEFAULT_MODEL, "face generator to begin with")
    class_: int | None = option(None, "which class a conditional model draws to begin with, from 0")
    list_models: bool = option(False, "print the models that there are, and what is wrong with others")
    allowed_hosts: str = option("", "names under which a proxy shows the app, as in faces.example.org,lab")
    root_path: str = option("", "path under which a proxy shows the app, as in /faces")
    max_sessions: int = option(LIVE_SESSIONS, "how many people may be here at once")
    queue: int = option(8, "how many tasks may wait for the one at work")
    share: bool = option(False, "make a public link through Gradio's servers")
    auth: str | None = option(None, "USER:PASSWORD that visitors must give")
    device: str = option("auto", DEVICES)
    seed: int = option(5, "face to begin with")


# --- wiring -----------------------------------------------------------------------------------------------


def wire(page: gr.Blocks, parts: dict, handlers: Handlers) -> None:
    outputs = [parts[name] for name in SHOWN]
    private = {"api_visibility": "private", "show_progress": "hidden"}

    def on(event, handler, inputs: tuple[str, ...] = (), **how) -> gr.events.Dependency:
        # Every press counts. Gradio's "once" drops one that comes before it has done with the one before, which is
        # later than the page shows its result.
        how = {"trigger_mode": "multiple"} | how
        return event(handler, [parts[name] for name in inputs], outputs, **private, **how)

    page.unload(handlers.leave)
    on(page.load, handlers.open, ("visitor",), js=VISITOR, concurrency_limit=16)
    for script in SCRIPTS:
        page.load(None, None, None, js=script)
    on(parts["picture"].select, handlers.mark)
    on(parts["history"].select, handlers.return_to)
    for event, script in ((parts["seed"].submit, SEED_SEEN), (parts["seed"].blur, SEED_IF_NEW)):
        on(event, handlers.seed_typed, ("seed",), js=script)
    on(parts["random"].click, handlers.random)
    # Not preprocessed: of a file that is no picture, the session says so better than Gradio does.
    # The last one counts: a photo may be put in while the one before is being opened or taken away.
    opened = {"preprocess": False, "trigger_mode": LAST, "concurrency_limit": 4}
    photos = PhotoEvents(handlers)
    on(parts["photo"].input, photos.put_in, ("photo",), **opened)
    on(parts["faces"].select, photos.choose)
    on(parts["preset"].input, photos.choose_preset, ("preset",), **RAW)
    on(parts["bring_in"].click, photos.bring_in, ("photo", "preset"), concurrency_limit=16, **RAW)
    for name, method, inputs in (
        ("download_photo", "save_photo", None),
        ("download_animation", "save_animation", parts["kind"]),
        ("download_all", "save_all", None),
        ("save_latent", "save_latent", None),
    ):
        written = parts[name].click(handlers.write(method), inputs, parts["photo_file"], **private)
        written.success(None, None, None, js=DOWNLOAD)
    written = parts["save_project"].click(handlers.write_project, None, parts["photo_file"], **private)
    written.success(None, None, None, js=DOWNLOAD)
    on(parts["more_faces"].click, handlers.act("offer_faces"))
    on(parts["favourites"].click, handlers.offer_favourites, ("known",))
    parts["favourite"].click(handlers.favourite, parts["known"], [parts["known"], parts["note"]], **private)
    on(parts["choices"].select, handlers.choose_offered)
    on(parts["delete"].click, handlers.act("delete_result"))
    on(parts["pin"].click, handlers.act("compare_with_this"))
    on(parts["model"].input, handlers.choose_model, ("model",))
    on(parts["class"].input, handlers.choose_class, ("class",), **RAW)
    on(parts["fetch"].click, handlers.fetch, ("model",), trigger_mode="once", concurrency_limit=4)
    for name in EDITS:
        edit = handlers.choose_edit(name)
        on(parts[f"edit_{name}"].click, edit, ("strength", "points_first"), concurrency_limit=16, **RAW)
        slider = parts[f"slide_{name}"]
        for event, released in ((slider.input, False), (slider.release, True)):
            # Out of the queue, and of moves that come too fast the last one; so is watching what comes of them.
            how = {"queue": False, "trigger_mode": LAST, **RAW}
            moved = on(event, handlers.slide(name, released), (f"slide_{name}",), **how)
            on(moved.then, handlers.follow, trigger_mode=LAST, concurrency_limit=32)
    on(parts["start"].click, handlers.drag("start"), concurrency_limit=16)
    on(parts["stop"].click, handlers.act("stop"), queue=False)
    on(parts["landmarks"].input, handlers.show_landmarks, ("landmarks",))
    for name in ("undo", "redo"):
        on(parts[name].click, handlers.act(name))
    for name, action in {
        "undo_point": "undo",
        "clear_points": "clear_points",
        "move_last_point": "move_last",
    }.items():
        on(parts[name].click, handlers.act("mark", action))
    for event in (parts["place"].click, parts["x"].submit, parts["y"].submit):
        on(event, handlers.place, ("x", "y"), **RAW)
    for name in SETTINGS:
        parts[name].change(handlers.set(name), parts[name], parts["note"], **private, **RAW)
    on(parts["defaults"].click, handlers.defaults)
    on(parts["open_project"].upload, handlers.open_project, ("open_project",), concurrency_limit=4)


def make_page(handlers: Handlers) -> gr.Blocks:
    """The page and the endpoints."""
    with Page(title="DragGAN", delete_cache=(600, 3600), analytics_enabled=False) as page:
        wire(page, components(handlers), handlers)
        Endpoints(handlers).lay_out()
    return page.queue(max_size=64)


def launch(
    handlers: Handlers, server_name: str = "127.0.0.1", allowed: frozenset[str] = frozenset(), **how
) -> gr.Blocks:
    """Serve the page from threads of its own, until it is closed. OSError if the port is taken.

    server_name: the host to listen on. allowed: more names of it, for Guard. The rest is Gradio's.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(handlers.sessions.served)
    files.limit_pixels()
    page = make_page(handlers)
    how |= {"head": HEAD, "theme": theme(), "css_paths": STYLE, "i18n": I18N, "footer_links": ["api"]}
    share, login = how.get("share", False), how.get("auth") is not None
    names = {"own": own_names(server_name), "allowed": allowed}
    guard = Middleware(Guard, sent=handlers.sessions.served, share=share, login=login, **names)
    how |= {"server_name": server_name, "app_kwargs": {"middleware": [guard]}}
    # Gradio keeps what each page shows, after it is closed as well, of the last 10,000: gigabytes in the end.
    how |= {"state_session_capacity": 2 * (handlers.sessions.most or LIVE_SESSIONS)}
    # quiet: Gradio would tell people to put share=True into our code
    page.launch(max_file_size=MAX_BYTES, ssr_mode=False, prevent_thread_lock=True, quiet=True, **how)
    return page


def main() -> None:
    options = parse(Options, __doc__)
    if options.list_models:
        print(table())
        return
    options.model = model_name(options.model, options.class_)
    report_problems()
    device = choose_device(options.device)
    auth = None
    if options.auth is not None:
        user, colon, password = options.auth.partition(":")
        if not (user and colon and password):
            raise UserError("--auth: write USER:PASSWORD")
        auth = (user, password)
    if not 0 < options.port < 65536:
        raise UserError(f"--port {options.port}: must be in 1 to 65535")
    if not 0 <= options.seed < 2**32:
        raise UserError(f"--seed {options.seed}: must be in 0 to {2**32 - 1}")
    if options.max_sessions < 1 or options.queue < 0:
        raise UserError("--max-sessions must be at least 1, and --queue at least 0")
    allowed = host_names(options.allowed_hosts)
    host = listening_host(options.host, options.port)
    torch.manual_seed(options.seed)
    models = Models(device, options.model)
    # Before the threads of the sessions: see keep_freed_memory. And the first visitor need not wait.
    models.face(options.model, options.seed)
    sessions = Sessions(models, options.queue, options.max_sessions)
    atexit.register(sessions.close)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the files go then, too
    address = {"server_port": options.port, "root_path": options.root_path or None}
    try:
        handlers = Handlers(sessions, options.seed)
        page = launch(handlers, host, allowed, share=options.share, auth=auth, **address)
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{reason} Choose another with --port") from None
    print(f"Running on {page.local_url}", flush=True)
    if options.share:
        print(
            f"Public link: {page.share_url or 'none could be made; gradio.live does not answer'}", flush=True
        )
    page.block_thread()


if __name__ == "__main__":
    run(main)
