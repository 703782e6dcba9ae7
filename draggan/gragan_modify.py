"""The DragGAN app: choose a face, press an edit, watch it happen.

    python draggan/gragan_modify.py                       # http://127.0.0.1:7860
    python draggan/gragan_modify.py --port 7861 --auth me:secret
    python draggan/gragan_modify.py --share               # a public link, only if asked for

This file is layout and wiring; what happens is in app/. Scripts call it with gradio_client: /generate, /edit,
/drag, /photo (docs/app-and-api.md).
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

from common.commandline import DEVICES, UserError, choose_device, option, parse, run
from draggan.app import files
from draggan.app.endpoints import Endpoints
from draggan.app.handlers import SHOWN, Handlers
from draggan.app.models import Models
from draggan.app.scripts import KEYS, READ_ALOUD, REMEMBER, RESET_SLIDERS, UNSAVED, VISITOR
from draggan.app.sessions import Sessions
from draggan.app.settings import DEFAULTS, RANGES
from draggan.app.texts import EN, ZH
from draggan.edits import EDITS, MAX_STRENGTH
from draggan.generators import DEFAULT_MODEL
from draggan.inversion import PRESETS
from draggan.photos import MAX_BYTES

I18N = gr.I18n(en=EN, zh=ZH, **{"zh-CN": ZH, "zh-TW": ZH})
# The theme's own font, from the app itself; its 600 weight as Gradio brings it has few letters.
FONT = (gr.themes.utils.fonts.LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif")
LAST = "always_last"
# Not preprocessed: what is no number, or out of range, the session says better than Gradio does.
RAW = {"preprocess": False}
DOWNLOAD = "() => document.querySelector('#photo-file')?.click()"
APP = Path(__file__).with_name("app")
STYLE = APP / "page.css"
CANVAS, *SCRIPT = (
    (APP / name).read_text(encoding="utf-8") for name in ("canvas.html", "region.js", "canvas.js")
)


@dataclass
class Options:
    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0 lets other machines in")
    port: int = option(7860, "port to listen on")
    model: str = option(DEFAULT_MODEL, "face generator to begin with")
    share: bool = option(False, "make a public link through Gradio's servers")
    auth: str | None = option(None, "USER:PASSWORD that visitors must give")
    device: str = option("auto", DEVICES)
    seed: int = option(5, "face to begin with")


# --- layout: each part puts its components into `parts` by name; the name is the element's id, too -----------


def button(parts: dict, name: str, text: str | None = None, **how) -> None:
    how = {"min_width": 80} | how
    parts[name] = gr.Button(I18N(text or name), elem_id=name.replace("_", "-"), **how)


def picture_part(parts: dict) -> None:
    parts["picture"] = gr.HTML(
        elem_id="picture", html_template=CANVAS, js_on_load="\n".join(SCRIPT), apply_default_css=False
    )
    parts["note"] = gr.Markdown(elem_id="note")
    parts["progress"] = gr.Markdown(elem_id="progress")


def source_part(parts: dict, handlers: Handlers) -> None:
    """Where the face comes from."""
    with gr.Tabs(elem_id="source-tabs"):
        with gr.Tab(I18N("generated")):
            generated_part(parts, handlers)
        with gr.Tab(I18N("my_photo"), elem_id="my-photo"):
            photo_part(parts)


def generated_part(parts: dict, handlers: Handlers) -> None:
    with gr.Row(elem_id="source"):
        models = handlers.fetches.choices()
        default = handlers.sessions.models.default
        parts["model"] = gr.Dropdown(
            models, value=default, label=I18N("model"), elem_id="model", scale=3, min_width=160,
        )  # fmt: skip
        parts["seed"] = gr.Textbox(
            str(handlers.seed), label=I18N("seed"), max_lines=1, elem_id="seed", scale=2, min_width=90,
        )  # fmt: skip
        button(parts, "random", scale=2, min_width=120)
    button(parts, "fetch", visible=False, variant="primary")


def photo_part(parts: dict) -> None:
    parts["photo"] = gr.Image(
        label=I18N("photo"), type="filepath", sources=["upload", "clipboard", "webcam"], height=220,
        elem_id="photo", buttons=[],
    )  # fmt: skip
    parts["faces"] = gr.Gallery(
        label=I18N("faces"), allow_preview=False, buttons=[], visible=False, elem_id="faces",
    )  # fmt: skip
    with gr.Row(elem_id="bring-in-row"):
        presets = [(I18N(name), name) for name in PRESETS]
        parts["preset"] = gr.Radio(presets, value="fast", label=I18N("preset"), elem_id="preset", scale=3)
        button(parts, "bring_in", variant="primary", scale=2, min_width=120)


def edits_part(parts: dict) -> None:
    """What is done with it."""
    with gr.Tabs(elem_id="edit-tabs"):
        with gr.Tab(I18N("one_click")):
            one_click_part(parts)
        with gr.Tab(I18N("sliders"), elem_id="sliders-tab"):
            sliders_part(parts)
    with gr.Row(elem_id="go"):
        button(parts, "start", variant="primary", size="lg")
        button(parts, "stop", variant="stop", size="lg", interactive=False)
        button(parts, "undo", size="lg")
        button(parts, "redo", size="lg")
    with gr.Row(elem_id="points"):
        button(parts, "undo_point", size="sm")
        button(parts, "move_last_point", size="sm")
        button(parts, "clear_points", size="sm")


def sliders_part(parts: dict) -> None:
    with gr.Row(elem_id="sliders"):
        for name, edit in EDITS.items():
            least = -MAX_STRENGTH if edit.signed else 0
            parts[f"slide_{name}"] = gr.Slider(
                least, MAX_STRENGTH, 0, step=0.05, label=I18N(name), elem_id=f"slide-{name}", min_width=180,
            )  # fmt: skip
    parts["about_sliders"] = gr.Markdown(elem_id="about-sliders")


def one_click_part(parts: dict) -> None:
    with gr.Row(elem_id="edits"):
        for name in EDITS:
            parts[f"edit_{name}"] = gr.Button(I18N(name), elem_id=f"edit-{name}", min_width=90)
    parts["why_not"] = gr.Markdown(I18N("why_not"), visible=False, elem_id="why-not")
    with gr.Row(elem_id="options"):
        parts["strength"] = gr.Slider(
            -MAX_STRENGTH, MAX_STRENGTH, 1, step=0.1, label=I18N("strength"), elem_id="strength", scale=5,
            min_width=220,
        )  # fmt: skip
        with gr.Column(scale=3, min_width=160, elem_id="checks"):
            parts["points_first"] = gr.Checkbox(
                False, label=I18N("points_first"), elem_id="points-first", container=False
            )
            parts["landmarks"] = gr.Checkbox(
                False, label=I18N("show_landmarks"), elem_id="landmarks", container=False
            )


def result_part(parts: dict) -> None:
    with gr.Row(elem_id="downloads"):
        parts["download"] = gr.DownloadButton(I18N("download"), elem_id="download", size="sm", min_width=120)
        button(parts, "download_photo", visible=False, size="sm", min_width=120)
        parts["photo_file"] = gr.DownloadButton(visible="hidden", elem_id="photo-file")
        parts["download_animation"] = gr.DownloadButton(
            I18N("download_animation"), interactive=False, elem_id="download-animation", size="sm", min_width=120,
        )  # fmt: skip
    with gr.Column(visible=False, elem_id="results") as parts["results"], gr.Tabs():
        with gr.Tab(I18N("compare")):
            parts["compare"] = gr.ImageSlider(
                type="filepath", interactive=False, show_label=False, elem_id="compare", buttons=["fullscreen"],
            )  # fmt: skip
        with gr.Tab(I18N("whole"), visible=False, elem_id="whole-tab") as parts["whole_tab"]:
            parts["whole"] = gr.ImageSlider(
                type="filepath", interactive=False, show_label=False, elem_id="whole", buttons=["fullscreen"],
            )  # fmt: skip
        with gr.Tab(I18N("animation")):
            parts["animation"] = gr.Image(
                type="filepath", interactive=False, show_label=False, elem_id="animation", buttons=[],
            )  # fmt: skip


def advanced_part(parts: dict) -> None:
    with gr.Accordion(I18N("by_hand"), open=False, elem_id="by-hand"), gr.Row(elem_id="numbers"):
        parts["x"] = gr.Number(label=I18N("x"), precision=0, elem_id="x", min_width=80)
        parts["y"] = gr.Number(label=I18N("y"), precision=0, elem_id="y", min_width=80)
        button(parts, "place", size="md")
    with gr.Accordion(I18N("advanced"), open=False, elem_id="advanced"):
        w_plus = {"label": I18N("w_plus"), "info": I18N("w_plus_info"), "elem_id": "w_plus"}
        parts["w_plus"] = gr.Checkbox(DEFAULTS["w_plus"], **w_plus)
        for name, (least, most, step) in RANGES.items():
            words = {"label": I18N(name), "info": I18N(f"{name}_info"), "elem_id": name}
            parts[name] = gr.Slider(least, most, DEFAULTS[name], step=step, **words)
        button(parts, "defaults")
    with gr.Accordion(I18N("keys"), open=False, elem_id="keys"):
        gr.Markdown(I18N("keys_list"))


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
    for script in (READ_ALOUD, RESET_SLIDERS, REMEMBER, KEYS, UNSAVED):
        page.load(None, None, None, js=script)
    on(parts["picture"].select, handlers.mark)
    on(parts["history"].select, handlers.return_to)
    for event in (parts["seed"].submit, parts["seed"].blur):
        on(event, handlers.seed_typed, ("seed",))
    on(parts["random"].click, handlers.random)
    # Not preprocessed: of a file that is no picture, the session says so better than Gradio does.
    # The last one counts: a photo may be put in while the one before is being opened or taken away.
    opened = {"preprocess": False, "trigger_mode": LAST, "concurrency_limit": 4}
    on(parts["photo"].input, handlers.open_photo, ("photo",), **opened)
    on(parts["faces"].select, handlers.choose_face)
    on(parts["bring_in"].click, handlers.drag("bring_in"), ("preset",), concurrency_limit=16)
    written = parts["download_photo"].click(handlers.write_photo, None, parts["photo_file"], **private)
    written.success(None, None, None, js=DOWNLOAD)
    on(parts["model"].input, handlers.choose_model, ("model",))
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
    on(parts["landmarks"].input, handlers.act("show_landmarks"), ("landmarks",))
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
    settings = [parts[name] for name in ("w_plus", *RANGES)]
    for name in ("w_plus", *RANGES):
        parts[name].change(handlers.set(name), parts[name], parts["note"], **private, **RAW)
    parts["defaults"].click(handlers.defaults, None, settings, **private)


def layout(handlers: Handlers) -> gr.Blocks:
    """The page and the endpoints."""
    parts: dict = {}
    with gr.Blocks(title="DragGAN", delete_cache=(600, 3600), analytics_enabled=False) as page:
        parts["visitor"] = gr.Textbox(visible=False)
        with gr.Row(elem_id="head"):
            gr.Markdown(I18N("title"), elem_id="title")
            gr.Markdown(I18N("tagline"), elem_id="tagline")
        with gr.Row(elem_id="body"):
            with gr.Column(scale=7, min_width=320, elem_id="left"):
                picture_part(parts)
                parts["history"] = gr.Gallery(
                    label=I18N("history"), allow_preview=False, buttons=[], elem_id="history",
                )  # fmt: skip
            with gr.Column(scale=5, min_width=320, elem_id="right"):
                source_part(parts, handlers)
                edits_part(parts)
                result_part(parts)
                advanced_part(parts)
        wire(page, parts, handlers)
        Endpoints(handlers).lay_out()
    return page.queue(max_size=64)


def theme() -> gr.themes.Base:
    """Gradio's own with colours that people with weak eyes can read: contrasts of at least 4.5 to 1 (WCAG 2.1)."""
    pressed = {"button_primary_background_fill": "#c2410c", "button_primary_background_fill_hover": "#9a3412"}
    faint = {"body_text_color_subdued": "#52525b", "body_text_color_subdued_dark": "#c4c4cc"}
    dark = {f"{name}_dark": value for name, value in pressed.items()}
    return gr.themes.Default(font=FONT).set(**pressed, **dark, **faint)


def launch(handlers: Handlers, **how) -> gr.Blocks:
    """Serve the page from threads of its own, until it is closed. OSError if the port is taken."""
    os.environ["GRADIO_TEMP_DIR"] = str(handlers.sessions.folder / "served")
    files.limit_pixels()
    page = layout(handlers)
    how |= {"theme": theme(), "css_paths": STYLE, "i18n": I18N, "footer_links": ["api"]}
    # quiet: Gradio would tell people to put share=True into our code
    page.launch(max_file_size=MAX_BYTES, ssr_mode=False, prevent_thread_lock=True, quiet=True, **how)
    return page


def main() -> None:
    options = parse(Options, __doc__)
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
    torch.manual_seed(options.seed)
    sessions = Sessions(Models(device, options.model))
    atexit.register(sessions.close)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the files go then, too
    sessions.models.face(options.model, options.seed)  # the first visitor need not wait
    address = {"server_name": options.host, "server_port": options.port}
    try:
        page = launch(Handlers(sessions, options.seed), share=options.share, auth=auth, **address)
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
