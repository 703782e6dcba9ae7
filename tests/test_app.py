"""The real page in headless Chromium, and the app's endpoints through gradio_client. Pictures: test-output/."""

import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from browser import ARGUMENTS, CHROMIUM

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "test-output"
PORT = 7000 + os.getpid() % 800
URL = f"http://127.0.0.1:{PORT}"
SLOW = 60_000  # ms; what a person waits for is printed, this only ends a hanging test


@pytest.fixture(scope="module")
def server():
    """The app as a user starts it."""
    command = [sys.executable, str(ROOT / "draggan/gragan_modify.py"), "--port", str(PORT), "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(URL, timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, process.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield process
        process.terminate()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (Debian and Ubuntu: apt install chromium)")
    from playwright.sync_api import sync_playwright

    OUTPUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(server, browser):
    """Open the page; fails at the end if it logged an error or asked another machine for something."""
    contexts, wrong = [], []

    def open_page(locale: str = "en-US", width: int = 1280, height: int = 1000):
        context = browser.new_context(locale=locale, viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        allowed = (URL, "data:", "blob:")
        page.on("request", lambda r: r.url.startswith(allowed) or wrong.append(f"outside: {r.url}"))
        began = time.monotonic()
        page.goto(URL)
        page.wait_for_selector("#picture img", timeout=SLOW)
        said(page, "Choose|选择")
        print(f"page ready after {time.monotonic() - began:.2f} s")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def said(page, pattern: str, element: str = "#note") -> float:
    """Wait until the note matches; seconds that took."""
    began = time.monotonic()
    page.wait_for_function(
        "([e, p]) => new RegExp(p).test(document.querySelector(e)?.innerText ?? '')",
        arg=[element, pattern],
        timeout=SLOW,
    )
    return time.monotonic() - began


def click_picture(page, x: float, y: float) -> None:
    """At a share of the picture's width and height."""
    box = page.locator("#picture img").bounding_box()
    side = min(box["width"], box["height"])
    left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    page.mouse.click(left + x * side, top + y * side)


def test_smile_from_click_to_result(visit):
    page = visit()
    page.click("#edit-smile")
    took = said(page, "Press Start")
    print(f"points shown after {took:.2f} s")
    assert took < 15
    page.screenshot(path=OUTPUT / "edit.png")
    page.click("#start")
    print(f"first step shown after {said(page, 'step [1-9]', '#progress'):.2f} s")
    said(page, "Done after")
    page.wait_for_selector("#compare img", timeout=SLOW)
    page.wait_for_selector("#animation img", timeout=SLOW)
    page.wait_for_timeout(500)
    page.screenshot(path=OUTPUT / "done.png")
    if os.environ.get("DRAGGAN_SCREENSHOT"):  # how pics/app.png is made
        page.screenshot(path=ROOT / "pics" / "app.png")
    with page.expect_download() as download:
        page.click("#download")
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    page.click("#undo")
    said(page, "Back at")
    page.click("#undo")
    said(page, "Nothing to undo")
    page.click("#redo")
    said(page, "Back at")
    page.click("#redo")
    said(page, "Nothing to redo")
    page.locator("#history button img").nth(1).click()
    said(page, "Back at")


def test_points_by_hand_stop_and_clear(visit):
    page = visit()
    page.click("#start")
    said(page, "Nothing is marked")
    click_picture(page, 0.40, 0.60)
    said(page, "where this point")
    click_picture(page, 0.55, 0.60)
    said(page, "Press Start")
    page.screenshot(path=OUTPUT / "points.png")
    page.click("#start")
    said(page, "step [2-9]", "#progress")
    page.click("#stop")
    said(page, "Stopped after")
    page.screenshot(path=OUTPUT / "stopped.png")
    page.click("#clear-points")
    said(page, "Click a point")


def test_settings_go_back_to_defaults(visit):
    page = visit()
    page.locator("#advanced button").first.click()
    number = page.locator("#max_steps input[type=number]")
    number.wait_for()
    default = number.input_value()
    number.fill("7")
    number.press("Tab")
    page.click("#defaults")
    page.wait_for_function(
        "v => document.querySelector('#max_steps input[type=number]').value == v", arg=default, timeout=SLOW
    )


def test_chinese_labels_at_a_phones_width_by_keyboard(visit):
    page = visit("zh-CN", 390, 844)
    assert page.inner_text("#start") == "开始"
    assert page.inner_text("#edit-smile") == "微笑"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.focus("#edit-smile")
    page.keyboard.press("Enter")
    said(page, "开始")
    page.screenshot(path=OUTPUT / "phone.png", full_page=True)


# --- scripts ----------------------------------------------------------------------------------------------


def test_clients_get_their_own_results_and_the_third_waits(server):
    from gradio_client import Client

    clients = [Client(URL, verbose=False) for _ in range(3)]
    order, results = [], {}

    def use(i: int) -> None:
        clients[i].predict(i, 0.7, api_name="/generate")
        results[i] = clients[i].predict("smile", 1.0, api_name="/edit")
        order.append(i)

    threads = [threading.Thread(target=use, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(order) == [0, 1, 2]
    files = {Path(path).read_bytes() for path, _ in results.values()}
    assert len(files) == 3
    assert [results[i][1]["seed"] for i in range(3)] == [0, 1, 2]
    assert all(report["steps"] > 0 for _, report in results.values())
    with pytest.raises(Exception, match="outside the picture"):
        clients[0].predict([[[5000, 0], [0, 0]]], api_name="/drag")


def test_files_of_the_machine_are_not_served(server):
    for path in (ROOT / "README.md", Path("/etc/passwd")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{URL}/gradio_api/file={path}", timeout=10)
        assert refused.value.code in (403, 404)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [(["--auth", "me"], "USER:PASSWORD"), (["--port", "0"], "--port 0"), (["--model", "none"], "no model")],
)
def test_mistakes_on_the_command_line(arguments, error):
    command = [sys.executable, str(ROOT / "draggan/gragan_modify.py"), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert re.fullmatch(r"error: .*\n", ended.stderr.splitlines(keepends=True)[-1])
    assert error in ended.stderr
    assert "Traceback" not in ended.stderr
