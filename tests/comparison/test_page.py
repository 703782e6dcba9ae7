"""The page of compare_runs.py in headless Chromium. Pictures of it: test-output/compare_*.png."""

from pathlib import Path

import pytest
from browser import OUTPUT
from comparison_data import COLOURS, make_edits, make_run

import compare_runs

SLOW = 60_000  # ms; only ends a hanging test


@pytest.fixture
def visit(browser, tmp_path):
    """Make the page of some folders and open it; fails at the end if it logged an error or asked for anything."""
    contexts, wrong = [], []

    def open_page(folders: list[Path], width: int = 1280, dark: bool = False):
        file = tmp_path / "report.html"
        file.write_text(compare_runs.render(compare_runs.collect(folders)), encoding="utf-8")
        scheme = "dark" if dark else "light"
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        allowed = (file.as_uri(), "data:")
        page.on("request", lambda r: r.url.startswith(allowed) or wrong.append(f"outside: {r.url[:100]}"))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=SLOW)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs that differ; the higher seed is better in all scores. b is the longer one."""
    root = tmp_path_factory.mktemp("runs")
    return [make_run(root / "a"), make_run(root / "b", seed=5, epochs=10, lr=0.004)]


def names(page, table: str = "#runs") -> list[str]:
    return [text.strip() for text in page.locator(f"{table} tbody th").all_inner_texts()]


def pixel(page, canvas: str, x: float, y: float) -> tuple[int, ...]:
    """RGB of the first canvas that the selector finds, at a share of its width and height."""
    script = """([selector, x, y]) => {
        const canvas = document.querySelector(selector);
        const at = [x * canvas.width, y * canvas.height, 1, 1];
        return [...canvas.getContext("2d").getImageData(...at).data];
    }"""
    return tuple(page.evaluate(script, [canvas, x, y])[:3])


def wait_for_pixel(page, canvas: str, x: float, y: float, wanted) -> None:
    """Pictures are decoded in the background: wait until one has come."""
    for _ in range(200):
        if pixel(page, canvas, x, y) == tuple(wanted):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{canvas} has {pixel(page, canvas, x, y)} at {x}, {y} and not {tuple(wanted)}")


def slide(page, selector: str, value: float) -> None:
    page.locator(selector).evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value
    )


def test_table_sorts_and_marks_the_best(visit, runs):
    page = visit(runs)
    assert names(page) == ["a", "b"]
    page.get_by_role("button", name="mIoU").click()  # the better end first
    assert names(page) == ["b", "a"]
    assert page.locator("#runs th[aria-sort=descending]").inner_text().startswith("mIoU")
    page.get_by_role("button", name="mIoU").click()
    assert names(page) == ["a", "b"]
    page.get_by_role("button", name="L1", exact=True).click()
    assert names(page) == ["b", "a"]
    best = page.locator("#runs td.best")
    assert best.count() == 5
    assert {cell.locator("..").locator("th").inner_text().strip() for cell in best.all()} == {"b"}
    assert page.locator("#settings thead").inner_text().split() == ["run", "epochs", "lr"]
    assert page.locator("#classes thead th").count() == 5  # the run and four classes
    page.screenshot(path=OUTPUT / "compare_light.png", full_page=True)


def test_curves_show_values_and_follow_the_choice_of_runs(visit, runs):
    page = visit(runs)
    assert page.locator("#curves .chart h3").first.inner_text() == "mIoU, validation"
    chart = page.locator("#curves .u-over").first
    chart.scroll_into_view_if_needed()
    chart.hover(position={"x": 200, "y": 60})
    tip = page.locator("#tip")
    tip.wait_for(state="visible")
    assert "mIoU, validation, epoch" in tip.inner_text()
    assert len(tip.locator("div").all()) == 2
    page.locator("#runs input").first.uncheck()
    assert page.evaluate("charts[0].series.map(s => s.show)") == [True, False, True]
    assert page.locator(".tiles thead th").count() == 4  # name, input, truth, b
    page.locator("#axis").select_option("seconds")
    assert page.evaluate("charts[0].data[0].at(-1)") == pytest.approx(10 * 20 / 60)


def test_epoch_slider_shows_the_epoch_of_every_run(visit, runs):
    page = visit(runs)
    heads = page.locator(".tiles thead th small")
    assert heads.all_inner_texts() == ["epoch 6", "epoch 10"]
    slide(page, ".epoch", 0)
    assert heads.all_inner_texts() == ["epoch 2", "epoch 2"]
    # sample street_2 of run a: shifted down by round(5/7 * 64/3) = 15 of 64 rows in epoch 2, by 3 in epoch 6
    a = ".tiles tbody tr:first-child td:nth-child(4) canvas"
    assert page.locator(".tiles tbody th").first.inner_text().startswith("street_2")
    wait_for_pixel(page, a, 0.5, 20 / 64, COLOURS[0])
    slide(page, ".epoch", 4)
    wait_for_pixel(page, a, 0.5, 20 / 64, COLOURS[1])
    slide(page, ".epoch", 0)
    page.locator(".at-best").check()
    assert heads.all_inner_texts() == ["epoch 6", "epoch 10"]


def test_wipe_between_two_runs_and_errors(visit, runs):
    page = visit(runs)
    slide(page, ".epoch", 0)
    page.locator(".wipe .left").select_option("truth")
    page.locator(".wipe .right").select_option("a")
    # at 3/10 of the height: truth is building, run a still sky
    left, right = (0.25, 0.3), (0.75, 0.3)
    wait_for_pixel(page, ".wipe canvas", *left, COLOURS[1])
    wait_for_pixel(page, ".wipe canvas", *right, COLOURS[0])
    slide(page, ".wipe input", 100)
    wait_for_pixel(page, ".wipe canvas", *right, COLOURS[1])
    slide(page, ".wipe input", 0)
    wait_for_pixel(page, ".wipe canvas", *left, COLOURS[0])
    page.locator(".wipe canvas").hover(position={"x": 300, "y": 20})  # the border follows the pointer
    wait_for_pixel(page, ".wipe canvas", *left, COLOURS[1])

    page.locator(".errors").check()
    a = ".tiles tbody tr:first-child td:nth-child(4) canvas"
    wait_for_pixel(page, a, 0.5, 0.97, (150, 170, 205))  # void
    red, green, blue = pixel(page, a, 0.5, 0.3)
    assert red > 180
    assert green < 120
    assert blue < 120
    red, green, blue = pixel(page, a, 0.5, 15.5 / 64)  # sky and sky
    assert abs(red - green) < 10


def test_order_of_samples(visit, runs):
    page = visit(runs)
    first = page.locator(".tiles tbody th").first
    assert first.inner_text().startswith("street_2")
    page.locator(".order").select_option("name")
    assert first.inner_text().startswith("street_0")


def test_dark(visit, runs):
    page = visit(runs, dark=True)
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(21, 24, 28)"
    assert page.inner_text("#theme") == "Light"
    page.screenshot(path=OUTPUT / "compare_dark.png", full_page=True)
    page.click("#theme")
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    assert page.inner_text("#theme") == "Dark"


def test_phone(visit, runs, tmp_path):
    page = visit([*runs, make_edits(tmp_path / "smile", "smile", range(3))], width=390)
    page.wait_for_timeout(500)
    page.screenshot(path=OUTPUT / "compare_phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_twelve_runs_of_which_two_saw_other_data(visit, tmp_path):
    folders = [make_run(tmp_path / f"run_{k:02d}", seed=k, epochs=20, lr=0.001 * k) for k in range(10)]
    folders += [
        make_run(tmp_path / f"other_{k}", seed=k, found_val_fingerprint="cccccccccccc", samples=2)
        for k in (1, 2)
    ]
    page = visit(folders, width=1600)
    assert "not validated on the same data" in page.inner_text("#notes")
    assert page.locator(".samples").count() == 2
    assert page.locator("#runs td.best").count() == 10  # five in each set
    page.get_by_role("button", name="Best 6").click()
    assert page.locator("#runs input:checked").count() == 6
    chart = page.locator("#curves .u-over").first
    chart.scroll_into_view_if_needed()
    chart.hover(position={"x": 200, "y": 60})
    page.wait_for_timeout(500)
    page.screenshot(path=OUTPUT / "compare_many.png", full_page=True)


def test_edited_faces(visit, tmp_path):
    folders = [
        make_edits(tmp_path / "mild", "smile", range(5), failed=(3,)),
        make_edits(tmp_path / "wide", "smile", range(1, 5)),
    ]
    page = visit(folders)
    assert page.locator("#training").is_hidden()
    table = page.locator("#folders tbody")
    assert "4 (80 %)" in table.inner_text()
    assert "4 (100 %)" in page.locator("#folders td.best").all_inner_texts()
    first = page.locator("#faces .tiles tbody tr").first
    assert "not in this folder" in first.inner_text()
    wait_for_pixel(
        page, "#faces .tiles tbody tr:nth-child(3) td:nth-child(2) canvas", 0.5, 0.5, (18, 120, 60)
    )
    page.locator("#faces .order").select_option("failed first")
    assert first.locator("th").inner_text() == "3"
    assert "smile: too little" in first.locator(".failed").inner_text()
    first.locator("canvas").nth(1).click()
    assert page.locator("#faces .item").input_value() == "3"
    wait_for_pixel(page, "#faces .wipe canvas", 0.25, 0.5, (27, 120, 60))
    page.screenshot(path=OUTPUT / "compare_faces.png", full_page=True)
