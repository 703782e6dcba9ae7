"""The DragGAN app: choose a face, press an edit, watch it happen.

    python draggan/gragan_modify.py                       # http://127.0.0.1:7860
    python draggan/gragan_modify.py --port 7861 --auth me:secret
    python draggan/gragan_modify.py --share               # a public link, only if asked for

This file is layout and wiring; what happens is in sessions.py. Scripts call it with gradio_client: /generate, /edit,
/drag (README, "From a script").
"""

import atexit
import os
import random
import signal
import sys
from dataclasses import dataclass, fields
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gradio as gr
import numpy as np
import torch

from commandline import UserError, choose_device, option, parse, run
from draggan.drag import Settings
from draggan.edits import EDITS, MAX_STRENGTH
from draggan.fetches import Fetches, choices
from draggan.generators import DEFAULT_MODEL, DEFAULT_PSI, ModelError, models
from draggan.sessions import SessionError, Studio, View
from draggan.texts import EN, ZH, say, say_error

I18N = gr.I18n(en=EN, zh=ZH, **{"zh-CN": ZH, "zh-TW": ZH})
DEFAULTS = {field.name: field.default for field in fields(Settings)}
# Advanced settings: (name, least, most, step); names, defaults and meaning are those of drag.Settings.
SLIDERS = (
    ("lr", 0.0005, 0.02, 0.0005),
    ("free_rows", 0, 23, 1),
    ("mask_weight", 0, 50, 1),
    ("supervision_radius", 1, 12, 0.5),
    ("tracking_radius", 2, 32, 1),
    ("max_steps", 1, 300, 1),
    ("tolerance", 0.5, 8, 0.5),
)
CSS = """
.gradio-container {max-width: 1280px !important}
#picture img {object-fit: contain; cursor: crosshair}
#edits button {min-height: 3.2em; font-size: 1.05em}
#note {min-height: 3.2em} 
@media (max-width: 640px) {#picture {height: auto !important} #picture > * {max-height: 100vw}}
"""


@dataclass
class Options:
    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0 lets other machines in")
    port: int = option(7860, "port to listen on")
    model: str = option(DEFAULT_MODEL, "face generator to begin with")
    share: bool = option(False, "make a public link through Gradio's servers")
    auth: str | None = option(None, "USER:PASSWORD that visitors must give")
    device: str = option("auto", "auto, cpu, cuda or mps")
    seed: int = option(5, "face to begin with")


def language_of(request: gr.Request | None) -> str:
    return (request.headers.get("accept-language") or "en") if request else "en"


class App:
    """Handlers: each finds its visitor's session, does one thing to it and shows the session."""

    def __init__(self, studio: Studio, seed: int = 5):
        self.studio, self.seed, self.fetches = studio, seed, Fetches()

    def session(self, request: gr.Request):
        session = self.studio.session(request.session_hash)
        if session.generator is None:
            session.generate(self.seed)
        return session

    def shown(self, view: View, language: str) -> list:
        """A view as values of `self.outputs`."""
        key, values = view.note
        note = say(key, language, **values)
        if view.running and view.place:
            note = say("waiting", language, place=view.place)
        progress = ""
        if view.distance is not None:
            progress = say("progress", language, step=view.step, distance=view.distance)
        running, result = view.running, view.after is not None
        keep = gr.skip() if running else None
        pair = (str(view.before), str(view.after)) if result else None
        gallery = [str(path) for path in view.gallery]
        return [
            str(view.image),
            note,
            progress,
            keep or gr.update(value=pair, visible=result),
            keep
            or gr.update(value=view.animation and str(view.animation), visible=view.animation is not None),
            keep or gr.update(value=str(view.image) if not result else str(view.after)),
            keep
            or gr.update(
                value=view.animation and str(view.animation), interactive=view.animation is not None
            ),
            keep or gr.update(value=gallery, selected_index=view.at if view.at >= 0 else None),
            gr.update(interactive=not running),
            gr.update(interactive=running),
            keep or view.seed,
        ]

    def mistake(self, error: Exception, request: gr.Request) -> list:
        """The error where the person looks, everything else as it is."""
        text = f"⚠️ {say_error(error, language_of(request))}"
        return [gr.skip(), text] + [gr.skip()] * 9

    def act(self, name: str, *fixed):
        """A handler that calls a method of the session with the event's inputs and shows the result."""

        def handler(request: gr.Request, *values):
            try:
                session = self.session(request)
                getattr(session, name)(*fixed, *values)
                return self.shown(session.view(), language_of(request))
            except (ValueError, RuntimeError) as error:
                return self.mistake(error, request)

        return handler

    def start(self, request: gr.Request):
        try:
            session = self.session(request)
            session.start()
        except (ValueError, RuntimeError) as error:
            yield self.mistake(error, request)
            return
        for view in session.watch():
            yield self.shown(view, language_of(request))

    def edit(self, name: str):
        def handler(request: gr.Request, strength: float, at_once: bool):
            yield self.act("choose_edit", name)(request, strength)
            if at_once and self.session(request).handles:
                yield from self.start(request)

        return handler

    def click(self, request: gr.Request, event: gr.SelectData):
        return self.act("click", *event.index)(request)

    def return_to(self, request: gr.Request, event: gr.SelectData):
        return self.act("go_to", event.index)(request)

    def random(self, request: gr.Request):
        return self.act("generate", random.randrange(2**31))(request)

    def choose_model(self, request: gr.Request, name: str):
        shown = self.act("generate")(request, self.session(request).seed, DEFAULT_PSI, name)
        return [*shown, gr.update(visible=name not in models() or not models()[name].is_file())]

    def fetch(self, request: gr.Request, name: str):
        for key, values in self.fetches.fetch(name):
            yield say(key, language_of(request), **values), gr.skip()
        yield gr.skip(), gr.update(choices=choices())

    def set(self, name: str):
        def handler(request: gr.Request, value):
            settings = self.session(request).settings
            settings.pop(name, None)
            default = DEFAULTS[name] or 0 if name == "free_rows" else DEFAULTS[name]
            if value is not None and value != default:
                settings[name] = int(value) if name in ("free_rows", "max_steps") else value

        return handler

    def paint(self, request: gr.Request):
        session = self.session(request)
        return {"background": session.picture, "layers": [], "composite": None}

    def use_region(self, request: gr.Request, value: dict):
        layers = value["layers"] if value else []
        mask = np.max([layer[..., 3] for layer in layers], axis=0) if layers else np.zeros((1, 1))
        return self.act("set_mask")(request, mask)

    # --- for scripts: errors are raised, results are returned whole ---

    def api(self, request: gr.Request, *actions: tuple) -> tuple[str, dict]:
        try:
            session = self.session(request)
            for name, *values in actions:
                getattr(session, name)(*values)
            for view in session.watch():  # noqa: B007 (the last one is the result)
                pass
        except (ValueError, RuntimeError) as error:
            raise gr.Error(say_error(error)) from None
        key, values = view.note
        shot = session.trail[session.at]
        report = {"ok": key in ("ready", "done"), "steps": view.step, "note": say(key, **values)}
        report |= {"seed": view.seed, "mean_distance_px": view.distance}
        return str(shot.path), report

    def api_generate(self, seed: float, psi: float, request: gr.Request):
        return self.api(request, ("generate", int(seed), psi))

    def api_edit(self, edit: str, strength: float, request: gr.Request):
        return self.api(request, ("choose_edit", edit, strength), ("start",))

    def api_drag(self, points: list, request: gr.Request):
        try:
            clicks = [("click", float(x), float(y)) for pair in points for x, y in pair]
        except (TypeError, ValueError):
            raise gr.Error("points must be [[[handle x, y], [target x, y]], ...]") from None
        return self.api(request, ("clear_points",), *clicks, ("start",))

    def leave(self, request: gr.Request):
        self.studio.drop(request.session_hash)


def layout(app: App) -> gr.Blocks:
    """The page."""
    private = {"api_visibility": "private", "show_progress": "hidden"}
    with gr.Blocks(title="DragGAN", delete_cache=(600, 3600), analytics_enabled=False) as page:
        gr.Markdown(I18N("title"), elem_id="title")
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                picture = gr.Image(
                    label=I18N("picture"), interactive=False, type="filepath", elem_id="picture", height=640,
                    buttons=["fullscreen"],
                )  # fmt: skip
                note = gr.Markdown(elem_id="note")
                progress = gr.Markdown(elem_id="progress")
                gallery = gr.Gallery(
                    label=I18N("history"),
                    columns=6,
                    height=190,
                    object_fit="contain",
                    allow_preview=False,
                    elem_id="history",
                )
            with gr.Column(scale=2, min_width=320):
                with gr.Row():
                    model = gr.Dropdown(
                        choices(), value=app.studio.model, label=I18N("model"), elem_id="model"
                    )
                    fetch = gr.Button(I18N("fetch"), visible=False, elem_id="fetch")
                with gr.Row():
                    seed = gr.Number(app.seed, label=I18N("seed"), precision=0, minimum=0, elem_id="seed")
                    chance = gr.Button(I18N("random"), elem_id="random")
                with gr.Row(elem_id="edits"):
                    edits = {
                        name: gr.Button(I18N(name), min_width=110, size="lg", elem_id=f"edit-{name}")
                        for name in EDITS
                    }
                strength = gr.Slider(
                    -MAX_STRENGTH, MAX_STRENGTH, 1, step=0.1, label=I18N("strength"), elem_id="strength"
                )
                with gr.Row():
                    at_once = gr.Checkbox(False, label=I18N("at_once"), elem_id="at-once")
                    landmarks = gr.Checkbox(False, label=I18N("show_landmarks"), elem_id="landmarks")
                with gr.Row():
                    start = gr.Button(I18N("start"), variant="primary", size="lg", elem_id="start")
                    stop = gr.Button(
                        I18N("stop"), variant="stop", size="lg", interactive=False, elem_id="stop"
                    )
                with gr.Row():
                    undo = gr.Button(I18N("undo"), min_width=80, elem_id="undo")
                    redo = gr.Button(I18N("redo"), min_width=80, elem_id="redo")
                    undo_point = gr.Button(I18N("undo_point"), min_width=80, elem_id="undo-point")
                    clear = gr.Button(I18N("clear_points"), min_width=80, elem_id="clear-points")
                compare = gr.ImageSlider(
                    label=I18N("compare"),
                    type="filepath",
                    visible=False,
                    interactive=False,
                    elem_id="compare",
                )
                animation = gr.Image(
                    label=I18N("animation"), type="filepath", visible=False, interactive=False, height=300,
                    elem_id="animation",
                )  # fmt: skip
                with gr.Row():
                    download = gr.DownloadButton(I18N("download"), elem_id="download")
                    download_animation = gr.DownloadButton(
                        I18N("download_animation"), interactive=False, elem_id="download-animation"
                    )
                with gr.Accordion(I18N("advanced"), open=False, elem_id="advanced"):
                    w_plus = gr.Checkbox(
                        DEFAULTS["w_plus"], label=I18N("w_plus"), info=I18N("w_plus_info"), elem_id="w_plus"
                    )
                    sliders = {
                        name: gr.Slider(
                            low, high, DEFAULTS[name] or 0, step=step, label=I18N(name),
                            info=I18N(f"{name}_info"), elem_id=name,
                        )
                        for name, low, high, step in SLIDERS
                    }  # fmt: skip
                    defaults = gr.Button(I18N("defaults"), elem_id="defaults")
                    brush = gr.ImageEditor(
                        label=I18N("brush"), layers=False, transforms=(), sources=(), height=420,
                        brush=gr.Brush(colors=["#ffffffaa"], color_mode="fixed", default_size=60),
                        elem_id="brush",
                    )  # fmt: skip
                    with gr.Row():
                        paint = gr.Button(I18N("paint"), min_width=90, elem_id="paint")
                        use_region = gr.Button(I18N("use_region"), min_width=90, elem_id="use-region")
                        clear_region = gr.Button(I18N("clear_region"), min_width=90, elem_id="clear-region")

        outputs = [picture, note, progress, compare, animation, download, download_animation, gallery]
        outputs += [start, stop, seed]
        many = {"concurrency_limit": 16, **private}
        page.load(app.act("view"), outputs=outputs, **private)
        page.unload(app.leave)
        seed.submit(app.act("generate"), seed, outputs, **private)
        chance.click(app.random, outputs=outputs, **private)
        model.input(app.choose_model, model, [*outputs, fetch], **private)
        fetch.click(app.fetch, model, [note, model], **private)
        for name, button in edits.items():
            button.click(app.edit(name), [strength, at_once], outputs, **many)
        start.click(app.start, outputs=outputs, **many)
        stop.click(app.act("stop"), outputs=outputs, queue=False, **private)
        picture.select(app.click, outputs=outputs, **private)
        gallery.select(app.return_to, outputs=outputs, **private)
        landmarks.input(app.act("show_landmarks"), landmarks, outputs, **private)
        for button, name in (
            (undo, "undo"),
            (redo, "redo"),
            (undo_point, "undo_point"),
            (clear, "clear_points"),
        ):
            button.click(app.act(name), outputs=outputs, **private)
        for name, control in {"w_plus": w_plus, **sliders}.items():
            control.change(app.set(name), control, **private)
        defaults.click(
            lambda: [DEFAULTS["w_plus"], *(DEFAULTS[name] or 0 for name in sliders)],
            outputs=[w_plus, *sliders.values()], **private,
        )  # fmt: skip
        paint.click(app.paint, outputs=brush, **private)
        use_region.click(app.use_region, brush, outputs, **private)
        clear_region.click(app.act("set_mask", None), outputs=outputs, **private)

        with gr.Row(visible=False):  # the types of the endpoints for scripts
            a_seed, psi = gr.Number(0, precision=0, label="seed"), gr.Number(DEFAULT_PSI, label="psi")
            an_edit, far = gr.Dropdown(list(EDITS), label="edit"), gr.Number(1.0, label="strength")
            points = gr.JSON(label="points")
            result, report = gr.Image(type="filepath", format="png"), gr.JSON()
        public = {"outputs": [result, report], "concurrency_limit": 16}
        gr.on(fn=app.api_generate, inputs=[a_seed, psi], api_name="generate", triggers=[], **public)
        gr.on(fn=app.api_edit, inputs=[an_edit, far], api_name="edit", triggers=[], **public)
        gr.on(fn=app.api_drag, inputs=[points], api_name="drag", triggers=[], **public)
    return page.queue(max_size=64)


def main() -> None:
    options = parse(Options, __doc__)
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
    studio = Studio(choose_device(options.device), options.model)
    atexit.register(studio.close)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the files go then, too
    os.environ["GRADIO_TEMP_DIR"] = str(studio.folder / "served")
    try:
        studio.start_of(options.model, options.seed, DEFAULT_PSI)  # the first visitor need not wait
    except ModelError as error:
        raise UserError(str(error)) from None
    try:
        layout(App(studio, options.seed)).launch(
            server_name=options.host, server_port=options.port, share=options.share, auth=auth, css=CSS,
            max_file_size="10mb", ssr_mode=False, i18n=I18N, show_error=False, footer_links=["api"],
        )  # fmt: skip
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{reason} Choose another with --port") from None


__all__ = ["App", "SessionError", "layout"]

if __name__ == "__main__":
    run(main)
