"""What comes in a request, before a session sees it. What the page would not send is refused in a sentence.

Gradio looks at a request itself first: whether it has all inputs, whether a value is one of a list's, whether a file
was sent. What it finds it raises as a fault of ours, with a traceback in the log, and often without a word to who asks.
"""

import logging
from contextvars import ContextVar
from typing import Any

import gradio as gr

from draggan.app.texts import Message, TranslatedError

_LANGUAGE = ContextVar("language", default="en")  # of the request at work


def refusal(message: Message, language: str = "en") -> gr.Error:
    """What a caller is told; Gradio would also write each into the log as a fault of ours."""
    return gr.Error(message.text(language), print_exception=False)


def language_of(request: gr.Request | None) -> str:
    return (request.headers.get("accept-language") or "en") if request else "en"


class Page(gr.Blocks):
    """Blocks whose inputs are refused in the caller's language where Gradio cannot take them."""

    async def process_api(self, *args, request: gr.Request | None = None, **how) -> dict[str, Any]:
        _LANGUAGE.set(language_of(request))
        try:
            return await super().process_api(*args, request=request, **how)
        except gr.Error as error:
            if error.print_exception:  # Gradio's own, of what came with an event
                raise _unfit() from None
            raise

    async def preprocess_data(self, *args, **how) -> list:
        try:
            return await super().preprocess_data(*args, **how)
        except Exception:  # whatever Gradio and its components meet in values that are not theirs
            # Seen with logging.DEBUG alone: whoever sends rubbish does not fill the log.
            logging.getLogger(__name__).debug("refused what came with an event", exc_info=True)
            raise _unfit() from None


def _unfit() -> gr.Error:
    return refusal(Message("bad_request"), _LANGUAGE.get())


def chosen_index(event: gr.EventData) -> int:
    """Which of a gallery was chosen. TranslatedError for what no gallery sends."""
    index = event._data.get("index") if isinstance(event._data, dict) else None
    if type(index) is not int:
        raise TranslatedError("bad_operation")
    return index


def favourites_of(known: Any) -> list[list]:
    """What a browser has kept, without what is none: [model, seed] each."""
    known = known if isinstance(known, list) else []
    return [one for one in known if isinstance(one, list) and [type(v) for v in one] == [str, int]]
