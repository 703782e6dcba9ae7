"""What the page's events call: each handler finds its visitor's session, does one thing to it and shows it.

A handler returns one value for each name of SHOWN; the page has a component of each name.
"""

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr

from common.commandline import UserError
from draggan.app import projects
from draggan.app.fetches import Fetches
from draggan.app.page_state import ANY_CLASS, SHOWN, Props, advanced, canvas, loaded_again, page_state
from draggan.app.requests import chosen_index, favourites_of, language_of, refusal
from draggan.app.session import Session
from draggan.app.sessions import Sessions
from draggan.app.settings import is_number, setting, whole_number
from draggan.app.texts import Message, TranslatedError, error_message
from draggan.app.view import View
from draggan.generators import class_name

ERRORS = (UserError, ValueError, RuntimeError)  # what a person is told; anything else is a fault
MOST_FAVOURITES = 100
Values = list  # one for each of SHOWN


def values(updates: dict) -> Values:
    """Updates by name as a list; what is not named stays as it is."""
    assert updates.keys() <= set(SHOWN), updates.keys() - set(SHOWN)
    given = {name: gr.update(**each) if isinstance(each, Props) else each for name, each in updates.items()}
    return [given.get(name, gr.skip()) for name in SHOWN]


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

    def shown(
        self,
        view: View,
        request: gr.Request,
        all_of_it: bool = False,
        again: bool = False,
        more: dict | None = None,
        **how,
    ) -> Values:
        """What a view looks like. A seed is not said again: somebody may be typing the next.

        all_of_it: also what the page had before. again: the page was loaded.
        more: other updates by name.
        """
        updates = page_state(view, language_of(request), all_of_it=all_of_it, **how) | (more or {})
        session = self.sessions.known(request.session_hash)
        if again and session:
            updates |= loaded_again(view, session.seed, session.settings)
        if session and "seed" in updates:
            if not all_of_it and session.screen.seed == view.seed:
                updates["seed"].pop("value", None)
            session.screen.seed = view.seed
        return values(updates)

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
                return self.shown(session.view(), request)
            except ERRORS as error:
                return self.error(error, request)

        return handler

    def act_on_chosen(self, name: str, request: gr.Request, event: gr.EventData, *fixed) -> Values:
        """The same for what was chosen of a gallery; its index comes last."""
        try:
            index = chosen_index(event)
        except ERRORS as error:
            return self.error(error, request)
        return self.act(name, *fixed, index)(request)

    def drag(self, name: str, *fixed) -> Callable[..., Iterator[Values]]:
        """The same for a method that may begin a drag: the session is shown until that is over."""

        def handler(request: gr.Request, *inputs):
            try:
                session = self.session(request)
                getattr(session, name)(*fixed, *inputs)
                for view in session.watch():
                    yield self.shown(view, request)
            except ERRORS as error:
                yield self.error(error, request)

        return handler

    def open(self, request: gr.Request, visitor: str | None) -> Iterator[Values]:
        """The page was loaded, perhaps once more; see scripts.VISITOR. It shows what the session is at."""
        try:
            session = self.sessions.open(request.session_hash, str(visitor or "")[:64])
            # A new visitor's page has nothing to be reminded of, and may be in use before this answer comes.
            forgotten = session.face is not None
            session.begin(self.seed)
            for view in session.watch():
                shown = self.shown(view, request, all_of_it=True, again=forgotten)
                forgotten = False
                # Models may have come since the page was laid out.
                choices = self.fetches.choices()
                shown[SHOWN.index("model")] = gr.update(choices=choices, value=view.base_model)
                yield shown
        except ERRORS as error:
            yield self.error(error, request)

    def mark(self, request: gr.Request, event: gr.EventData) -> Values:
        """Operations on the picture: {"ops": [...], "seq": number of the last one}; see canvas.js.

        Or {"seen": the view that the page shows}: it is told where it does not show the newest one.
        """
        data = event._data if isinstance(event._data, dict) else {}
        if "seen" in data:
            try:
                session = self.sessions.known(request.session_hash)
                if session is None or session.face is None or session.version == data["seen"]:
                    return values({})
                return self.shown(session.view(), request, all_of_it=True, sliders=session.sliders.resting)
            except ERRORS:  # it has just ended; nobody asked for anything
                return values({})
        operations, number = data.get("ops"), data.get("seq")
        if not isinstance(operations, list) or not isinstance(number, int):
            return self.error(TranslatedError("bad_operation"), request)
        shown = self.act("change_marks", operations, number)(request)
        if (
            shown[SHOWN.index("picture")] == gr.skip()
        ):  # an error: the page must know what has come all the same
            with contextlib.suppress(*ERRORS):
                view = self.session(request).view()
                shown[SHOWN.index("picture")] = canvas(view, language_of(request))
        return shown

    def place(self, request: gr.Request, x: float | None, y: float | None) -> Values:
        missing = float("nan")
        shown = self.act("click", *(v if is_number(v) else missing for v in (x, y)))(request)
        for name in ("x", "y"):  # what was typed stays, and what is being typed by now
            shown[SHOWN.index(name)] = gr.skip()
        return shown

    def show_landmarks(self, request: gr.Request, wanted: bool) -> Values:
        shown = self.act("show_landmarks", bool(wanted))(request)
        if (
            shown[SHOWN.index("landmarks")] == gr.skip()
        ):  # refused, or a task is at work: the box says what is so
            session = self.sessions.known(request.session_hash)
            shown[SHOWN.index("landmarks")] = bool(session and session.screen.landmarks_shown)
        return shown

    def return_to(self, request: gr.Request, event: gr.EventData) -> Values:
        return self.act_on_chosen("go_to", request, event)

    def write(self, name: str) -> Callable[..., str]:
        """A handler that writes a file by a method of the stage, for the page to download."""

        def handler(request: gr.Request, *inputs) -> str:
            try:
                return str(getattr(self.session(request).stage, name)(*inputs))
            except ERRORS as error:
                raise refusal(error_message(error), language_of(request)) from None

        return handler

    def write_project(self, request: gr.Request) -> str:
        try:
            return str(projects.write(self.session(request)))
        except ERRORS as error:
            raise refusal(error_message(error), language_of(request)) from None

    def open_project(self, request: gr.Request, path: str | None) -> Iterator[Values]:
        """Open a project, or a file of latents."""
        if not path:
            return
        try:
            session = self.session(request)
            yield values({"note": Message("opening").text(language_of(request))})
            projects.open_file(session, self.sessions.sent(path), Path(path).name)
            yield self.shown(session.view(), request, all_of_it=True, more=advanced(session.settings))
        except ERRORS as error:
            yield self.error(error, request)

    def favourite(self, request: gr.Request, known: list | None) -> tuple[list, str]:
        """Keep the shown face as a favourite, or no longer: the favourites of this browser, and the note."""
        language = language_of(request)
        try:
            subject = self.session(request).face.subject
            if subject.seed is None:
                raise TranslatedError("no_seed")
        except ERRORS as error:
            return gr.skip(), f"⚠️ {error_message(error).text(language)}"
        mine = [subject.generator.name, subject.seed]
        known = favourites_of(known)
        kept = mine not in known
        known = [*known, mine][-MOST_FAVOURITES:] if kept else [one for one in known if one != mine]
        return known, Message("favourite_kept" if kept else "favourite_gone").text(language)

    def offer_favourites(self, request: gr.Request, known: list | None) -> Values:
        return self.act("offer_faces")(request, [tuple(one) for one in favourites_of(known)])

    def choose_offered(self, request: gr.Request, event: gr.EventData) -> Values:
        return self.act_on_chosen("choose_offered", request, event)

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
                yield self.shown(view, request, sliders=view.message.key == "slid_short")  # they go back
        except ERRORS as error:
            yield self.error(error, request)

    def seed_typed(self, request: gr.Request, text: str | None) -> Values:
        """A seed was typed, and Enter or Tab pressed. None: it had been in the field before."""
        if text is None:
            return values({})
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
            try:
                session = self.session(request)
                session.photo.ask_whether_meant(session.face)
            except ERRORS as error:
                yield self.error(error, request)
                return
            yield from drag(request, strength, not points_first)

        return handler

    def random(self, request: gr.Request) -> Values:
        return self.act("generate", random.randrange(2**31))(request)

    def choose_model(self, request: gr.Request, name: str) -> Values:
        """Go to the model, or offer to fetch it."""
        name = str(name)
        if size := self.fetches.missing().get(name):
            note = Message("not_here", {"model": name, "size": size}).text(language_of(request))
            return values({"note": note, "fetch": gr.update(visible=True)})
        try:
            session = self.session(request)
            known = name == session.face.subject.generator.base_name  # a list may report one choice twice
        except ERRORS as error:
            return self.error(error, request)
        if known:
            return self.act("view")(request)
        return self.act("generate")(request, session.seed, None, name)

    def choose_class(self, request: gr.Request, label) -> Values:
        """Draw one class of a conditional model, or none that is chosen."""
        try:
            session = self.session(request)
            generator = session.face.subject.generator
        except ERRORS as error:
            return self.error(error, request)
        if type(label) is not int or not ANY_CLASS <= label < max(generator.classes, 1):
            return self.error(TranslatedError("bad_class"), request)
        wanted = None if label == ANY_CLASS else label
        if wanted == generator.label:  # a list may report one choice twice
            return self.act("view")(request)
        return self.act("generate")(request, session.seed, None, class_name(generator.base_name, wanted))

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

    def defaults(self) -> Values:
        return values(advanced({}))
