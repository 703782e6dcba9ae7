"""What the page's events of one's own photo call. What is in the photo's box is what is used.

The box is the browser's: it holds a new photo at once, and an empty session does not empty it. So who presses "Use this
face" sends what the box holds, and a photo that was refused leaves it.
"""

from collections.abc import Iterator

import gradio as gr

from draggan.app.handlers import ERRORS, Handlers, Values, values
from draggan.app.page_state import SHOWN
from draggan.app.session import Session

MOST_NAME = 80  # letters of a photo's name that are kept


class PhotoEvents:
    """Photos are `sent` as the component has them, before Gradio has looked into the file."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers

    def put_in(self, request: gr.Request, sent: dict | None) -> Values:
        """A photo was put in or taken away, perhaps while a task is at work."""
        try:
            session = self.handlers.session(request)
            self._open(session, sent)
            shown = self.handlers.shown(session.view(), request)
            if not session.photo.faces:
                shown[SHOWN.index("faces")] = gr.update(visible=False)
            return shown
        except ERRORS as error:
            return self._refused(error, request)

    def choose(self, request: gr.Request, event: gr.EventData) -> Values:
        return self.handlers.act_on_chosen("change_photo", request, event, "choose")

    def choose_preset(self, request: gr.Request, preset: object) -> Values:
        """How a face is to be brought in was chosen: a page that is loaded again shows it."""
        try:
            self.handlers.session(request).photo.choose_preset(preset)
            return values({})
        except ERRORS as error:
            return self.handlers.error(error, request)

    def bring_in(self, request: gr.Request, sent: dict | None, preset: str) -> Iterator[Values]:
        """Show the chosen face of what the box holds."""
        session = None
        try:
            session = self.handlers.session(request)
            session.require_idle()
            self._open(session, sent, if_new=True)
            session.photo.ask_whether_to_replace(session.stage.photos)
        except ERRORS as error:
            empty = session is not None and session.photo.photo is None
            yield self._refused(error, request) if empty else self.handlers.error(error, request)
            return
        yield from self.handlers.drag("bring_in")(request, preset if isinstance(preset, str) else "")

    def _open(self, session: Session, sent: dict | None, if_new: bool = False) -> None:
        if sent is None:
            return session.change_photo("close")
        try:
            file = self.handlers.sessions.sent(_path(sent))
        except ERRORS:
            session.change_photo("close")  # what is not here cannot be used, nor what was here before
            raise
        if if_new and session.photo.holds(file):
            return None
        name = str(sent.get("orig_name") or "image")[:MOST_NAME]
        return session.change_photo("open", file, name, True)

    def _refused(self, error: Exception, request: gr.Request) -> Values:
        shown = self.handlers.error(error, request)
        shown[SHOWN.index("photo")] = None
        shown[SHOWN.index("faces")] = gr.update(visible=False)
        return shown


def _path(sent: object) -> object:
    return sent.get("path") if isinstance(sent, dict) else None
