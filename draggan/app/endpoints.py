"""What scripts call through gradio_client: /generate, /edit, /drag and /photo (docs/app-and-api.md).

A script's client has a session like a visitor of the page: /edit and /drag go on from the picture that the
last call left, and /photo without a photo from the one that was sent before. While a call waits or works,
`job.status().progress_data` says so. An error is raised at the caller with the text that the page would show.
"""

import functools
from collections.abc import Callable

import gradio as gr
from gradio.components.api_component import Api

from draggan.app.handlers import ERRORS, Handlers
from draggan.app.jobs import check_edit
from draggan.app.photo_events import MOST_NAME
from draggan.app.requests import language_of, refusal
from draggan.app.session import Session
from draggan.app.texts import Message, TranslatedError, error_message
from draggan.app.view import View
from draggan.edits import EDITS
from draggan.generators import DEFAULT_PSI
from draggan.inversion import PRESETS

REPORT = {
    "ok": {"type": "boolean"},  # the edit shows, or the points have arrived
    "steps": {"type": "integer"},
    "mean_distance_px": {"type": "number"},  # handles to targets by the tracker; null without a drag
    "share": {"type": "number"},  # of the way, 0-1; null without a drag
    "seed": {"type": "integer"},  # null for a photo
    "model": {"type": "string"},
    "note": {"type": "string"},  # what the page says
}
POINT = {"type": "array", "items": {"type": "number"}, "description": "[x, y] in pixels"}
PROGRESS = gr.Progress()
PAIR = {"type": "array", "items": POINT, "description": "[handle, target]"}


def _told(endpoint: Callable) -> Callable:
    """An endpoint whose errors are told to its caller, in the caller's language."""

    @functools.wraps(endpoint)  # Gradio looks at the annotations
    def telling(self, *inputs):
        try:
            return endpoint(self, *inputs)
        except ERRORS as error:
            request = next(one for one in inputs if isinstance(one, gr.Request))
            raise refusal(error_message(error), language_of(request)) from None

    return telling


class Endpoints:
    """What comes is not preprocessed: of a value that cannot be, the session says what is wrong with it."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers

    def _do(self, request: gr.Request, progress: gr.Progress, *actions: tuple) -> tuple[Session, View]:
        """The actions, each with what it has begun: the session and what it shows at the end."""
        session = self.handlers.session(request)
        for name, *inputs in actions:
            (session.stage.require_photo if name == "require_photo" else getattr(session, name))(*inputs)
            if session.running:
                for view in session.watch():
                    message = Message("waiting", {"place": view.place}) if view.place else view.message
                    progress((view.step, None), desc=message.text())
        return session, session.view()

    def _picture(self, request: gr.Request, progress: gr.Progress, *actions: tuple) -> tuple[str, dict]:
        """Picture and report of the actions."""
        _, view = self._do(request, progress, *actions)
        return str(view.result), report_of(view)

    @_told
    def generate(
        self,
        seed: int | None,
        psi: float,
        model: str | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> tuple[str, dict]:
        return self._picture(request, progress, ("generate", seed, psi, str(model or "")[:MOST_NAME] or None))

    @_told
    def edit(
        self, edit: str, strength: float, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[str, dict]:
        check_edit(edit, strength)
        return self._picture(request, progress, ("choose_edit", edit, strength, True))

    @_told
    def drag(self, points: list, request: gr.Request, progress: gr.Progress = PROGRESS) -> tuple[str, dict]:
        try:
            clicks = [("click", float(x), float(y)) for pair in points for x, y in pair]
            if any(len(pair) != 2 for pair in points):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise TranslatedError("bad_points") from None
        return self._picture(request, progress, ("mark", "clear_points"), *clicks, ("start",))

    @_told
    def photo(
        self,
        photo: dict | None,
        edit: str,
        strength: float,
        preset: str,
        face: int | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> tuple[str, dict]:
        check_edit(edit, strength)  # before the face is looked for, which takes a while
        first = [("require_photo",)]
        if photo is not None:
            file = self.handlers.sessions.sent(photo.get("path") if isinstance(photo, dict) else photo)
            sent = ("change_photo", "open", file, file.name, True)
            first = [sent, ("change_photo", "choose", 0 if face is None else face), ("bring_in", str(preset))]
        session, view = self._do(request, progress, *first, ("choose_edit", edit, strength, True))
        return str(session.stage.save_photo()), report_of(view)

    def lay_out(self) -> None:
        """Inside a gr.Blocks: the endpoints with the types of what they take and return."""
        with gr.Row(visible=False):
            seed = gr.Number(0, precision=0, label="seed")
            psi = gr.Number(DEFAULT_PSI, label="psi")
            model = gr.Textbox("", label="model")
            edit = gr.Dropdown(list(EDITS), value="smile", label="edit")
            strength = gr.Number(1.0, label="strength")
            points = Api([], {"type": "array", "items": PAIR}, label="points")
            photo = gr.File(label="photo")
            preset = gr.Dropdown(list(PRESETS), value="fast", label="preset")
            face = gr.Number(0, precision=0, label="face")
            whole = gr.File(label="photo")
            picture = gr.Image(type="filepath", format="png", label="picture")
            report = Api({}, {"type": "object", "properties": REPORT}, label="report")
        for name, inputs, output in (
            ("generate", [seed, psi, model], picture),
            ("edit", [edit, strength], picture),
            ("drag", [points], picture),
            ("photo", [photo, edit, strength, preset, face], whole),
        ):
            function = getattr(self, name)
            gr.on(
                [], function, inputs, [output, report], api_name=name, concurrency_limit=16,
                show_progress="hidden", preprocess=False,
            )  # fmt: skip


def report_of(view: View) -> dict:
    key, values = view.message
    return {
        "ok": key in ("ready", "ready_no_face", "photo_ready", "done", "done_at_once", "points_done"),
        "steps": view.step,
        "mean_distance_px": view.distance,
        "share": values.get("share"),
        "seed": view.seed,
        "model": view.model,
        "note": view.message.text(),
    }
