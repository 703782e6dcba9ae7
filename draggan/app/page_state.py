"""What each part of the page shows of a session: {name of a part: its value, or Props}. Knows no Gradio."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

from draggan.app import regions
from draggan.app.settings import DEFAULTS, SETTINGS
from draggan.app.texts import Message, say
from draggan.app.view import View
from draggan.edits import EDITS

SHOWN = (
    *("picture", "note", "progress", "results", "compare", "halves", "whole_halves", "animation", "download"),
    *("download_animation", "source_tabs", "edit_tabs", "landmarks", "photo", "preset"),
    *("history", "start", "stop", "undo", "redo", "seed", "random", "model", "class", "fetch", "why_not"),
    *("x", "y", "place", "undo_point", "move_last_point", "clear_points"),
    *("delete", "pin", "choices", "more_faces", "open_project"),
    *("faces", "bring_in", "whole", "whole_tab", "download_photo"),
    *(f"edit_{name}" for name in EDITS),
    *("about_sliders", *(f"slide_{name}" for name in EDITS)),
    *SETTINGS,
)
# Of canvas.html, by name: those of the toolbar, and what else has words there.
TOOLS = (
    *("picture", "points", "paint", "erase", "brush-size", "invert", "clear", "hide", "load", "save"),
    *("before", "zoom-out", "zoom-in", "full"),
)
# What can be pressed while nothing runs.
IDLE = (
    *("start", "random", "more_faces", "seed", "bring_in", "open_project"),
    *("undo_point", "move_last_point", "clear_points", "place"),
)


GENERATED_TAB, PHOTO_TAB, BUTTONS_TAB, SLIDERS_TAB = "generated", "photo", "buttons", "sliders"
ANY_CLASS = -1  # in the list of classes: none is chosen


def class_choices(classes: int) -> list[tuple[str, int]]:
    """What the list of a conditional model's classes shows: (label, class)."""
    return [("–", ANY_CLASS), *((str(label), label) for label in range(classes))]


class Props(dict):
    """Properties of a part, as {"interactive": True}, where it is not its value alone."""


def file_data(path: Path) -> dict:
    """A file for the page; Gradio copies it to where it serves files from, and adds the address."""
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def page_state(view: View, language: str, sliders: bool = True, all_of_it: bool = False) -> dict:
    """What the page shows.

    sliders: how they stand, too; not while somebody moves them. all_of_it: also what stays as it is while a
    task is at work.
    """
    message = Message("waiting", {"place": view.place}) if view.place else view.message
    updates = {
        "picture": canvas(view, language),
        "note": message.text(language),
        "progress": view.progress.text(language) if view.progress else "",
        "stop": Props(interactive=view.running),
        **{name: Props(interactive=not view.running) for name in IDLE},
        **{f"edit_{name}": Props(interactive=view.is_face and not view.running) for name in EDITS},
        "undo": Props(interactive=view.can_undo and not view.running),
        "redo": Props(interactive=view.can_redo and not view.running),
    }
    if not view.running or all_of_it:
        updates |= at_rest(view, language)
        if sliders:
            updates |= {
                f"slide_{name}": Props(value=view.strengths.get(name, 0), visible=name in view.sliders)
                for name in EDITS
            }
    return updates


def canvas(view: View, language: str) -> dict:
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
        "version": view.version,
        "running": view.running,
        "words": {name: say(f"tool_{name}", language) for name in TOOLS},
    }


def advanced(settings: Mapping[str, float | bool]) -> dict:
    """The advanced settings, of which those that differ from the defaults are given."""
    return {name: Props(value=settings.get(name, DEFAULTS[name])) for name in SETTINGS}


def loaded_again(view: View, seed: int, settings: Mapping[str, float | bool]) -> dict:
    """What a page that was loaded again has forgotten, and nothing else may put there while somebody is at it.

    seed: that was generated last. settings: see `advanced`.
    """
    is_photo = view.photo.after is not None
    return advanced(settings) | {
        # As properties: Gradio changes a bare value of a file in place when the next answer does not name it.
        "photo": Props(value=str(view.photo.shown) if view.photo.shown else None),
        "preset": Props(value=view.photo.preset),
        "source_tabs": Props(selected=PHOTO_TAB if is_photo else GENERATED_TAB),
        "edit_tabs": Props(selected=SLIDERS_TAB if view.strengths else BUTTONS_TAB),
        "seed": Props(value=str(seed if view.seed is None else view.seed), interactive=not view.running),
    }


def halves(compared: tuple[Message, ...], language: str) -> str:
    """HTML: what the halves of a picture are called, the left one first."""
    names = "".join(f"<span>{escape(one.text(language).strip())}</span>" for one in compared)
    return f"<div>{names}</div>" if names else ""


def at_rest(view: View, language: str) -> dict:
    """What does not change while a drag runs."""
    dragged = view.before is not None and view.before != view.result
    pair = (str(view.before), str(view.result)) if dragged else None
    animation = str(view.animation) if view.animation else None
    photo = view.photo
    last = dict(zip("xy", map(round, view.last_point), strict=True)) if view.last_point else {}
    return {
        "results": Props(visible=dragged),
        "compare": pair,
        "halves": halves(view.compared, language) if dragged else "",
        "whole_halves": halves(photo.compared, language),
        "landmarks": view.landmarks_shown,
        "animation": animation,
        "download": Props(value=str(view.result)),
        "download_animation": Props(interactive=animation is not None),
        "delete": Props(interactive=len(view.gallery) > 1 and not view.running),
        "pin": Props(value=say("unpin" if view.pinned else "pin", language), interactive=not view.running),
        "choices": Props(
            value=[str(path) for path in view.choices], visible=bool(view.choices), selected_index=None
        ),
        "history": Props(
            value=[(str(path), title.text(language)) for path, title in view.gallery],
            selected_index=view.at if view.at >= 0 else None,
        ),
        "seed": Props(
            interactive=not view.running, **({} if view.seed is None else {"value": str(view.seed)})
        ),
        "model": Props(value=view.base_model, interactive=True),
        "class": Props(
            choices=class_choices(view.classes),
            value=ANY_CLASS if view.label is None else view.label,
            visible=view.classes > 0,
        ),
        "fetch": Props(visible=False),
        "faces": Props(
            value=[str(path) for path in photo.faces],
            selected_index=photo.chosen if photo.faces else None,
            visible=len(photo.faces) > 1,
        ),
        "whole": (str(photo.before), str(photo.after)) if photo.after else None,
        "whole_tab": Props(visible=photo.after is not None),
        "download_photo": Props(visible=photo.after is not None),
        "why_not": Props(visible=not view.is_face),
        "about_sliders": view.about_sliders.text(language),
        **last,
    }
