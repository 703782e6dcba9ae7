"""The page: what is on it and where. Each component has a name, which is its element's id, too.

gragan_modify.py wires them; page_state.py says what they show.
"""

from pathlib import Path

import gradio as gr

from draggan.app.handlers import Handlers
from draggan.app.page_state import (
    ANY_CLASS,
    BUTTONS_TAB,
    GENERATED_TAB,
    PHOTO_TAB,
    SLIDERS_TAB,
    class_choices,
)
from draggan.app.settings import DEFAULTS, RANGES
from draggan.app.texts import EN, ZH
from draggan.edits import EDITS, MAX_STRENGTH
from draggan.generators import split_class
from draggan.inversion import PRESETS

I18N = gr.I18n(en=EN, zh=ZH, **{"zh-CN": ZH, "zh-TW": ZH})
# The theme's own font, from the app itself; its 600 weight as Gradio brings it has few letters.
FONT = (gr.themes.utils.fonts.LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif")
APP = Path(__file__).parent
STYLE = APP / "page.css"
CANVAS, *SCRIPT = (
    (APP / name).read_text(encoding="utf-8") for name in ("canvas.html", "region.js", "canvas.js")
)


def components(handlers: Handlers) -> dict:
    """Inside a gr.Blocks: all of the page's components by name."""
    parts: dict = {}
    parts["visitor"] = gr.Textbox(visible=False)
    parts["known"] = gr.BrowserState([], storage_key="draggan-favourites", secret="draggan")
    with gr.Row(elem_id="head"):
        gr.Markdown(I18N("title"), elem_id="title")
        gr.Markdown(I18N("tagline"), elem_id="tagline")
    with gr.Row(elem_id="body"):
        with gr.Column(scale=7, min_width=320, elem_id="left"):
            picture_part(parts)
            parts["history"] = gr.Gallery(
                label=I18N("history"), allow_preview=False, buttons=[], elem_id="history",
            )  # fmt: skip
            with gr.Row(elem_id="results-row"):
                button(parts, "pin", size="sm")
                button(parts, "delete", size="sm", interactive=False)
        with gr.Column(scale=5, min_width=320, elem_id="right"):
            source_part(parts, handlers)
            edits_part(parts)
            result_part(parts)
            advanced_part(parts)
    return parts


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
    with gr.Tabs(elem_id="source-tabs", selected=GENERATED_TAB) as parts["source_tabs"]:
        with gr.Tab(I18N("generated"), id=GENERATED_TAB):
            generated_part(parts, handlers)
        with gr.Tab(I18N("my_photo"), elem_id="my-photo", id=PHOTO_TAB):
            photo_part(parts)


def generated_part(parts: dict, handlers: Handlers) -> None:
    with gr.Row(elem_id="source"):
        models = handlers.fetches.choices()
        default, _ = split_class(handlers.sessions.models.default)
        parts["model"] = gr.Dropdown(
            models, value=default, label=I18N("model"), elem_id="model", scale=3, min_width=160,
        )  # fmt: skip
        parts["class"] = gr.Dropdown(
            class_choices(0), value=ANY_CLASS, label=I18N("class"), elem_id="class", visible=False, scale=1,
            min_width=90,
        )  # fmt: skip
        parts["seed"] = gr.Textbox(
            str(handlers.seed), label=I18N("seed"), max_lines=1, elem_id="seed", scale=2, min_width=90,
        )  # fmt: skip
    with gr.Row(elem_id="choosing"):
        button(parts, "random", size="sm")
        button(parts, "more_faces", size="sm")
        button(parts, "favourites", size="sm")
        button(parts, "favourite", size="sm")
    parts["choices"] = gr.Gallery(
        show_label=False, allow_preview=False, buttons=[], visible=False, elem_id="choices",
    )  # fmt: skip
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
    with gr.Tabs(elem_id="edit-tabs", selected=BUTTONS_TAB) as parts["edit_tabs"]:
        with gr.Tab(I18N("one_click"), id=BUTTONS_TAB):
            one_click_part(parts)
        with gr.Tab(I18N("sliders"), elem_id="sliders-tab", id=SLIDERS_TAB):
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
        button(parts, "download_animation", interactive=False, size="sm", min_width=120)
        parts["kind"] = gr.Dropdown(
            [("MP4", "mp4"), ("GIF", "gif"), ("WebP", "webp")], value="mp4", show_label=False, container=False,
            elem_id="kind", min_width=70, scale=0,
        )  # fmt: skip
        button(parts, "download_all", size="sm", min_width=120)
    with gr.Row(elem_id="project"):
        button(parts, "save_project", size="sm", min_width=120)
        button(parts, "save_latent", size="sm", min_width=120)
        parts["open_project"] = gr.UploadButton(
            I18N("open_project"), elem_id="open-project", size="sm", min_width=120, type="filepath"
        )
    with gr.Column(visible=False, elem_id="results") as parts["results"], gr.Tabs():
        with gr.Tab(I18N("compare"), elem_id="compare-tab"):
            parts["halves"] = gr.HTML(elem_id="halves", elem_classes="halves", apply_default_css=False)
            parts["compare"] = gr.ImageSlider(
                type="filepath", interactive=False, show_label=False, elem_id="compare", buttons=[],
            )  # fmt: skip
        with gr.Tab(I18N("whole"), visible=False, elem_id="whole-tab") as parts["whole_tab"]:
            parts["whole_halves"] = gr.HTML(elem_classes="halves", apply_default_css=False)
            parts["whole"] = gr.ImageSlider(
                type="filepath", interactive=False, show_label=False, elem_id="whole", buttons=[],
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


def theme() -> gr.themes.Base:
    """Gradio's own with colours that people with weak eyes can read: contrasts of at least 4.5 to 1 (WCAG 2.1)."""
    pressed = {"button_primary_background_fill": "#c2410c", "button_primary_background_fill_hover": "#9a3412"}
    faint = {"body_text_color_subdued": "#52525b", "body_text_color_subdued_dark": "#c4c4cc"}
    dark = {f"{name}_dark": value for name, value in pressed.items()}
    return gr.themes.Default(font=FONT).set(**pressed, **dark, **faint)
