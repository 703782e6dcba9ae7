"""What the page's events call: each handler finds its visitor's session, does one thing to it and shows it.

A handler returns one value for each name of SHOWN; the page has a component of each name.
"""

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr

from common.commandline import UserError
from draggan.app import regions
from draggan.app.fetches import Fetches
from draggan.app.session import Session
from draggan.app.sessions import Sessions
from draggan.app.settings import DEFAULTS, RANGES, is_number, setting, whole_number
from draggan.app.texts import Message, TranslatedError, error_message, say
from draggan.app.view import View
from draggan.edits import EDITS

SHOWN = (
    *("picture", "note", "progress", "results", "compare", "animation", "download", "download_animation"),
    *("history", "start", "stop", "undo", "redo", "seed", "random", "model", "fetch", "why_not"),
    *("x", "y", "place", "undo_point", "move_last_point", "clear_points"),
    *("faces", "bring_in", "whole", "whole_tab", "download_photo"),
    *(f"edit_{name}" for name in EDITS),
    *("about_sliders", *(f"slide_{name}" for name in EDITS)),
)
# Of canvas.html, by name: those of the toolbar, and what else has words there.
TOOLS = (
    *("picture", "points", "paint", "erase", "brush-size", "invert", "clear", "hide", "load", "save"),
    *("before", "zoom-out", "zoom-in", "full"),
)
# What can be pressed while nothing runs.
IDLE = (
    *("start", "random", "seed", "bring_in"),
    *("undo_point", "move_last_point", "clear_points", "place"),
)
ERRORS = (UserError, ValueError, RuntimeError)  # what a person is told; anything else is a fault
Values = list  # one for each of SHOWN


def language_of(request: gr.Request | None) -> str:
    return (request.headers.get("accept-language") or "en") if request else "en"


def values(updates: dict) -> Values:
    """Updates by name as a list; what is not named stays as it is."""
    assert updates.keys() <= set(SHOWN), updates.keys() - set(SHOWN)
    return [updates.get(name, gr.skip()) for name in SHOWN]


def file_data(path: Path) -> dict:
    """A file for the page; Gradio copies it to where it serves files from, and adds the address."""
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


class Handlers:
    def __init__(self, sessions: Sessions, seed: int, fetches: Fetches | None = None):
        """seed: the face that a visitor begins with."""
        self.sessions, self.seed, self.fetches = sessions, seed, fetches or Fetches()

    def session(self, request: gr.Request) -> Session:
        session = self.sessions.get(request.session_hash)
        session.begin(self.seed)
        return session

    def leave(self, request: gr.Request) -> None:
        self.sessions.leave(request.session_hash)

    # --- showing a session ----------------------------------------------------------------------------------

    def shown(self, view: View, language: str, sliders: bool = True, all_of_it: bool = False) -> Values:
        """What the page shows.

        sliders: how they stand, too; not while somebody moves them. all_of_it: also what stays as it is while a
        task is at work.
        """
        message = Message("waiting", {"place": view.place}) if view.place else view.message
        updates = {
            "picture": self.picture(view, language),
            "note": message.text(language),
            "progress": view.progress.text(language) if view.progress else "",
            "stop": gr.update(interactive=view.running),
            **{name: gr.update(interactive=not view.running) for name in IDLE},
            **{f"edit_{name}": gr.update(interactive=view.is_face and not view.running) for name in EDITS},
            "undo": gr.update(interactive=view.can_undo and not view.running),
            "redo": gr.update(interactive=view.can_redo and not view.running),
        }
        if not view.running or all_of_it:
            updates |= self._at_rest(view, language)
            if sliders:
                updates |= {
                    f"slide_{name}": gr.update(
                        value=view.strengths.get(name, 0), visible=name in view.sliders
                    )
                    for name in EDITS
                }
        return values(updates)

    def picture(self, view: View, language: str) -> dict:
        """What canvas.js draws."""
        points = view.landmarks
        return {
            "image": file_data(view.image),
            "before": file_data(view.earlier) if view.earlier and not view.running else None,
            "size": view.resolution,
            "handles": view.handles,
            "targets": view.targets,
            "edit": view.of_an_edit and not view.running,
            "moving": view.moving,
            "region": regions.to_url(view.region),
            "landmarks": None if points is None else points.round(1).tolist(),
            "ack": view.acknowledged,
            "words": {name: say(f"tool_{name}", language) for name in TOOLS},
        }

    def _at_rest(self, view: View, language: str) -> dict:
        """What does not change while a drag runs."""
        dragged = view.before is not None and view.before != view.result
        pair = (str(view.before), str(view.result)) if dragged else None
        animation = str(view.animation) if view.animation else None
        photo = view.photo
        x, y = (round(v) for v in view.last_point) if view.last_point else (gr.skip(), gr.skip())
        return {
            "results": gr.update(visible=dragged),
            "compare": pair,
            "animation": animation,
            "download": gr.update(value=str(view.result)),
            "download_animation": gr.update(value=animation, interactive=animation is not None),
            "history": gr.update(
                value=[str(path) for path in view.gallery],
                selected_index=view.at if view.at >= 0 else None,
            ),
            "seed": gr.skip() if view.seed is None else str(view.seed),
            "model": gr.update(value=view.model, interactive=True),
            "fetch": gr.update(visible=False),
            "faces": gr.update(
                value=[str(path) for path in photo.faces],
                selected_index=photo.chosen if photo.faces else None,
                visible=len(photo.faces) > 1,
            ),
            "whole": (str(photo.before), str(photo.after)) if photo.after else None,
            "whole_tab": gr.update(visible=photo.after is not None),
            "download_photo": gr.update(visible=photo.after is not None),
            "why_not": gr.update(visible=not view.is_face),
            "about_sliders": view.about_sliders.text(language),
            "x": x,
            "y": y,
        }

    def error(self, error: Exception, request: gr.Request) -> Values:
        """The error where the person looks, everything else as it is."""
        message = error_message(error)
        if session := self.sessions.known(request.session_hash):
            session.warn(message)
        return values({"note": f"⚠️ {message.text(language_of(request))}"})

    # --- events ---------------------------------------------------------------------------------------------

    def act(self, name: str, *fixed) -> Callable[..., Values]:
        """A handler that calls a method of the session with the event's inputs and shows the result.

        name: of the method; fixed: its first arguments.
        """

        def handler(request: gr.Request, *inputs):
            try:
                session = self.session(request)
                getattr(session, name)(*fixed, *inputs)
                return self.shown(session.view(), language_of(request))
            except ERRORS as error:
                return self.error(error, request)

        return handler

    def drag(self, name: str, *fixed) -> Callable[..., Iterator[Values]]:
        """The same for a method that may begin a drag: the session is shown until that is over."""

        def handler(request: gr.Request, *inputs):
            try:
                session = self.session(request)
                getattr(session, name)(*fixed, *inputs)
                for view in session.watch():
                    yield self.shown(view, language_of(request))
            except ERRORS as error:
                yield self.error(error, request)

        return handler

    def open(self, request: gr.Request, visitor: str | None) -> Iterator[Values]:
        """The page was loaded, perhaps once more; see scripts.VISITOR. It shows what the session is at."""
        try:
            session = self.sessions.open(request.session_hash, str(visitor or "")[:64])
            session.settings.clear()  # the page shows the defaults
            session.begin(self.seed)
            for view in session.watch():
                shown = self.shown(view, language_of(request), all_of_it=True)
                # Models may have come since the page was laid out.
                choices = self.fetches.choices()
                shown[SHOWN.index("model")] = gr.update(choices=choices, value=view.model)
                yield shown
        except ERRORS as error:
            yield self.error(error, request)

    def mark(self, request: gr.Request, event: gr.EventData) -> Values:
        """Operations on the picture: {"ops": [...], "seq": number of the last one}; see canvas.js."""
        data = event._data if isinstance(event._data, dict) else {}
        operations, number = data.get("ops"), data.get("seq")
        if not isinstance(operations, list) or not isinstance(number, int):
            return self.error(TranslatedError("bad_operation"), request)
        shown = self.act("change_marks", operations, number)(request)
        if (
            shown[SHOWN.index("picture")] == gr.skip()
        ):  # an error: the page must know what has come all the same
            with contextlib.suppress(*ERRORS):
                view = self.session(request).view()
                shown[SHOWN.index("picture")] = self.picture(view, language_of(request))
        return shown

    def place(self, request: gr.Request, x: float | None, y: float | None) -> Values:
        missing = float("nan")
        shown = self.act("click", *(v if is_number(v) else missing for v in (x, y)))(request)
        for name in ("x", "y"):  # what was typed stays, and what is being typed by now
            shown[SHOWN.index(name)] = gr.skip()
        return shown

    def return_to(self, request: gr.Request, event: gr.SelectData) -> Values:
        return self.act("go_to", event.index)(request)

    def open_photo(self, request: gr.Request, sent: dict | None) -> Values:
        """sent: as the component has it, before Gradio has looked into the file."""
        if sent is None:
            return self.act("close_photo")(request)
        shown = self.act("open_photo", sent["path"], sent.get("orig_name") or "image", True)(request)
        if not self.session(request).photo.faces:
            shown[SHOWN.index("faces")] = gr.update(visible=False)
        return shown

    def choose_face(self, request: gr.Request, event: gr.SelectData) -> Values:
        return self.act("choose_face", event.index)(request)

    def write_photo(self, request: gr.Request) -> str:
        """The file of the whole photo."""
        try:
            return str(self.session(request).save_photo())
        except ERRORS as error:
            raise gr.Error(error_message(error).text(language_of(request))) from None

    def slide(self, name: str, released: bool) -> Callable[..., Values]:
        """A slider was moved, or released; `follow` shows what comes of it."""

        def handler(request: gr.Request, strength: float | None) -> Values:
            try:
                session = self.session(request)
                session.move_slider(name, strength if is_number(strength) else 0.0)
                if released:
                    session.release_slider()
                return values({})
            except ERRORS as error:
                return self.error(error, request)

        return handler

    def follow(self, request: gr.Request) -> Iterator[Values]:
        try:
            for view in self.session(request).watch():
                yield self.shown(view, language_of(request), sliders=False)
        except ERRORS as error:
            yield self.error(error, request)

    def seed_typed(self, request: gr.Request, text: str) -> Values:
        """A seed was typed, and Enter or Tab pressed."""
        try:
            session = self.session(request)
            seed = whole_number(text)
            if session.face.subject.seed == seed:
                return values({})
        except ERRORS as error:
            return self.error(error, request)
        return self.act("generate", seed)(request)

    def choose_edit(self, name: str) -> Callable[..., Iterator[Values]]:
        """An edit's button: it does the edit, or shows the points first."""
        drag = self.drag("choose_edit", name)

        def handler(request: gr.Request, strength, points_first: bool):
            yield from drag(request, strength, not points_first)

        return handler

    def random(self, request: gr.Request) -> Values:
        return self.act("generate", random.randrange(2**31))(request)

    def choose_model(self, request: gr.Request, name: str) -> Values:
        """Go to the model, or offer to fetch it."""
        if size := self.fetches.missing().get(name):
            note = Message("not_here", {"model": name, "size": size}).text(language_of(request))
            return values({"note": note, "fetch": gr.update(visible=True)})
        session = self.session(request)
        if name == session.face.generator.name:  # a list may report one choice twice
            return self.act("view")(request)
        return self.act("generate")(request, session.seed, None, name)

    def fetch(self, request: gr.Request, name: str) -> Iterator[Values]:
        language = language_of(request)
        try:
            for done, total in self.fetches.fetch(name):
                note = Message("fetching", {"model": name, "done": done / 1e6, "total": total / 1e6})
                yield values({"note": note.text(language), "fetch": gr.update(interactive=False)})
        except ERRORS as error:
            shown = self.error(error, request)
        else:
            shown = self.choose_model(request, name)
            shown[SHOWN.index("model")] = gr.update(choices=self.fetches.choices(), value=name)
        shown[SHOWN.index("fetch")] = gr.update(interactive=True, visible=name in self.fetches.missing())
        yield shown

    def set(self, name: str) -> Callable[..., str]:
        """A setting was moved or typed; the note where it cannot be that."""

        def handler(request: gr.Request, value):
            try:
                self.session(request).set(name, setting(name, value))
                return gr.skip()
            except ERRORS as error:
                return f"⚠️ {error_message(error).text(language_of(request))}"

        return handler

    def defaults(self) -> list:
        return [DEFAULTS["w_plus"], *(DEFAULTS[name] for name in RANGES)]
