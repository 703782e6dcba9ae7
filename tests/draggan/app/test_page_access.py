"""The page for everybody: axe-core's rules, fingers, keys, narrow and wide windows. Pictures: test-output/."""

import pytest
from app_server import SLOW, STILL, note_says, wait_until
from browser import OUTPUT
from canvas import draw

SMALL = """() => [...document.querySelectorAll('button, input:not([type=file]), [role=tab]')]
    .filter(each => each.offsetParent && !each.closest('label')?.offsetHeight)
    .map(each => [each, each.getBoundingClientRect()]).filter(([, box]) => box.height < 44)
    .map(([each, box]) => `${each.tagName} ${each.id || each.className} ${box.height}`)"""

# What the bar at the bottom lies over, once it was brought into sight as the keyboard does, or at the page's end.
COVERED = """() => {
    const bar = document.querySelector('#go'), top = () => bar.getBoundingClientRect().top
    const bottom = each => Math.ceil(each.getBoundingClientRect().bottom - 1)
    const show = each => each.scrollIntoView({block: 'nearest', behavior: 'instant'})
    const all = [...document.querySelectorAll('button, a, input:not([type=file]), [role=tab]')]
        .filter(each => each.offsetParent && !bar.contains(each))
    const covered = all.filter(each => (show(each), bottom(each) > top()))
    scrollTo({top: document.body.scrollHeight, behavior: 'instant'})
    covered.push(...all.filter(each => bottom(each) > top()))
    return covered.map(each => `${each.tagName} ${each.id || each.className} ${bottom(each)} > ${top()}`)
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit, app, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(width=390, height=844, scheme=scheme)
    for state in ("fresh", "edited"):
        if state == "edited":
            page.click("#edit-smile")
            note_says(page, "Done|ended")
            page.wait_for_selector("#compare img", timeout=SLOW)
            page.click("#by-hand button")
            page.click("#advanced button")
            page.wait_for_timeout(500)  # accordions move while they open
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            page.wait_for_function(STILL, polling=150, timeout=SLOW)
            found = Axe().run(page).response["violations"]
            page.screenshot(path=OUTPUT / f"axe-{scheme}-{width}-{state}.png", full_page=True)
            serious = [rule for rule in found if rule["impact"] in ("critical", "serious")]
            nodes = [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in serious]
            assert nodes == [], (width, state)


def test_a_phone_has_all_in_reach(visit, app):
    page = visit(width=390, height=844, touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(SMALL) == []
    page.evaluate("window.scrollTo(0, 0)")
    for name in ("#start", "#stop", "#undo"):  # without scrolling, above what lies there
        box = page.locator(name).bounding_box()
        assert box["y"] + box["height"] <= 844
        middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
        assert page.evaluate("([x, y]) => document.elementFromPoint(x, y).closest('#go') !== null", middle)
    box = page.locator("#picture .stage").bounding_box()
    page.touchscreen.tap(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"])
    note_says(page, "where this point")
    page.touchscreen.tap(box["x"] + 0.5 * box["width"], box["y"] + 0.6 * box["height"])
    note_says(page, "Press Start")
    assert len(app.only_session().marks.targets) == 1
    page.screenshot(path=OUTPUT / "phone-points.png")
    for name in ("#by-hand", "#advanced", "#keys"):
        page.click(f"{name} button")
    page.locator("#tolerance input").first.wait_for()
    for width, height in ((390, 844), (360, 640)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(COVERED) == []
        page.screenshot(path=OUTPUT / f"phone-end-{width}.png")


def test_the_face_and_what_is_said_fit_into_a_window(visit, app):
    page = visit(width=1280, height=800)
    for name in ("#picture .viewport", "#note", "#start", "[data-tool=before]"):
        box = page.locator(name).bounding_box()
        assert box["y"] + box["height"] <= 800, name
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.wait_for_timeout(300)
    left, right = page.locator("#left").bounding_box(), page.locator("#right").bounding_box()
    assert abs(left["x"] - (1920 - right["x"] - right["width"])) < 30  # in the middle


def test_keys_press_the_buttons(visit, app, long_drags):
    page, session = visit(), app.only_session()
    seed = session.seed
    page.click("#tagline")  # no field has the focus
    page.keyboard.press("n")
    wait_until(lambda: session.seed != seed)
    wait_until(lambda: page.is_enabled("#edit-smile"))
    page.click("#edit-smile")
    note_says(page, "Done|ended")
    wait_until(lambda: page.is_enabled("#undo"))
    page.keyboard.press("z")
    note_says(page, "Back at")
    assert session.history.place == 1
    wait_until(lambda: page.is_enabled("#redo"))
    page.keyboard.press("y")
    wait_until(lambda: session.history.place == 2)
    wait_until(lambda: page.is_enabled("#undo"))
    assert not page.is_visible("#picture .before")
    page.wait_for_function("document.querySelector('#picture .before').naturalWidth > 0", timeout=SLOW)
    page.keyboard.down("b")
    assert page.is_visible("#picture .before")
    page.keyboard.up("b")
    assert not page.is_visible("#picture .before")
    draw(page, (0.4, 0.7), (0.4, 0.55))
    note_says(page, "Press Start")
    page.keyboard.press("Enter")
    note_says(page, "step [2-9]", "#progress")
    page.keyboard.press("Escape")
    note_says(page, "Stopped after")
    page.keyboard.press("?")
    page.wait_for_selector("#keys strong", timeout=SLOW)
    page.fill("#seed input", "")
    page.focus("#seed input")
    page.keyboard.type("9n")  # typed, not pressed
    assert page.input_value("#seed input") == "9n"
    assert session.history.place == 3
