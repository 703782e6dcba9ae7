"""The lists of models and of their classes on the page."""

import re

from app_server import note_says, wait_until
from browser import OUTPUT


def choose(page, box: str, name: str):
    page.click(f"#{box} input")
    page.get_by_role("option", name=re.compile(rf"^\s*{re.escape(name)}")).click()


def test_a_class_is_chosen_beside_the_model(visit, app):
    page = visit()
    session = app.only_session()
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 1000})
        assert not page.is_visible("#class")
        choose(page, "model", "tiny-cars")
        wait_until(lambda: session.face.generator.name == "tiny-cars")
        note_says(page, "does not make faces")
        page.wait_for_selector("#class", state="visible")
        choose(page, "class", "11")
        page.wait_for_function("document.querySelector('#class input').value === '11'")
        # The note says the same of both classes: only the session tells when the second is there.
        wait_until(lambda: session.face.generator.name == "tiny-cars@11")
        note_says(page, "does not make faces")
        assert page.input_value("#model input") == "tiny-cars"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=OUTPUT / f"class-{width}.png")
        choose(page, "model", "tiny-lions")
        page.wait_for_selector("#class", state="hidden")
        wait_until(lambda: session.face.generator.name == "tiny-lions")


def test_a_damaged_model_is_listed_with_its_reason(visit, app):
    page = visit()
    choose(page, "model", "✗ half-a-tiger: cut short")
    note_says(page, "half-a-tiger cannot be used: .*cut short")
    assert app.only_session().face.generator.name == "mobile-ffhq"
