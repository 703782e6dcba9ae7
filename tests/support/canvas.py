"""What a hand does on the app's page."""


def click_picture(page, x: float, y: float) -> None:
    """At a share of the picture's width and height."""
    page.mouse.click(*place(page, x, y))


def place(page, x: float, y: float) -> tuple[float, float]:
    """A share of the picture's width and height in pixels of the window."""
    page.evaluate("document.querySelector('#picture').scrollIntoView({block: 'center'})")
    box = page.locator("#picture .stage").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def draw(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press on the picture, move, and let go; shares of its width and height."""
    first, last = place(page, *start), place(page, *end)
    page.mouse.move(*first)
    page.mouse.down()
    page.mouse.move(*last, steps=8)
    page.mouse.up()


def fill(page, element: str, value) -> None:
    field = page.locator(f"{element} input[type=number]")
    field.fill(str(value))
    field.press("Tab")
