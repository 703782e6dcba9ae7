"""What scripts call, through gradio_client, and the app as a command. The page: test_app.py."""

import io
import json
import math
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import warm
from app_server import ROOT, wait_until
from pages import PAGES, read
from PIL import Image

COMMAND = (sys.executable, str(ROOT / "draggan/gragan_modify.py"), "--device", "cpu")


@pytest.fixture
def client(app):
    """Makes clients, and ends their sessions."""
    from gradio_client import Client

    yield lambda: Client(app.url, verbose=False)
    for key in list(app.sessions._sessions):
        app.sessions.drop(key)


def test_the_example_of_the_docs(app, client, capsys):
    """Of all pages; the other blocks of Python: tests/test_docs.py."""
    (example,) = (block for page in PAGES for block in read(page).scripts if "gradio_client" in block)
    assert "http://127.0.0.1:7860" in example
    names: dict = {}
    exec(example.replace("http://127.0.0.1:7860", app.url), names)
    assert names["report"]["ok"] is True
    assert names["report"]["share"] > 0.3
    assert Path(names["picture"]).read_bytes().startswith(b"\x89PNG")
    assert "True" in capsys.readouterr().out


def test_two_clients_get_their_own_results_and_the_third_waits(app, client):
    clients = [client() for _ in range(3)]
    for i, one in enumerate(clients):
        one.predict(i, 0.7, api_name="/generate")
    for session in app.sessions._sessions.values():
        session.set("max_steps", 8)  # long enough for the others to come and wait
    jobs = []
    for one in clients:
        jobs.append(one.submit("small-nose", 1.0, api_name="/edit"))
        wait_until(lambda: sum(session.running for session in app.sessions._sessions.values()) == len(jobs))
    places = set()
    while not jobs[2].done():
        if data := jobs[2].status().progress_data:
            places.add(data[0].desc)
        time.sleep(0.05)
    assert "Waiting: 2 before you." in places
    results = [job.result(120) for job in jobs]
    assert [report["seed"] for _, report in results] == [0, 1, 2]
    assert all(report["steps"] > 0 for _, report in results)
    assert len({Path(path).read_bytes() for path, _ in results}) == 3


def test_a_client_that_leaves_frees_its_session(app, client):
    one = client()
    one.predict(5, 0.7, api_name="/generate")
    (session,) = app.sessions._sessions.values()
    one.close()
    wait_until(lambda: app.sessions.live == 0)
    wait_until(lambda: not session.files.path.exists())


def test_endpoints_are_named_and_typed(app, client):
    api = client().view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(api) == {"/generate", "/edit", "/drag", "/photo"}
    for name, endpoint in api.items():
        picture = "photo" if name == "/photo" else "picture"
        assert [value["label"] for value in endpoint["returns"]] == [picture, "report"]
        assert "steps: int" in endpoint["returns"][1]["python_type"]["type"]
    assert "Literal['slim', 'smile'" in api["/edit"]["parameters"][0]["python_type"]["type"]


def test_mistakes_are_said_to_scripts_and_not_to_the_log(app, client, capfd, caplog):
    one = client()
    for endpoint, inputs, text in (
        ("/drag", ([[[5000, 0], [0, 0]]],), "outside the picture"),
        ("/drag", ([[1, 2]],), "points must be"),
        ("/drag", ([],), "Nothing is marked"),
        ("/edit", ("close-eyes", -1.0), "strength of Close eyes must be from 0 to 2"),
        ("/generate", (-1, 0.7), "seed must be"),
        ("/generate", (None, 0.7), "seed must be"),
        ("/generate", (1, 9.0), "truncation"),
        ("/generate", (1, 0.7, "none"), "model none cannot be used: no model"),
        ("/generate", (1, 0.7, "tiny-lions"), None),
        ("/edit", ("smile", 1.0), "tiny-lions does not make faces"),
    ):
        if text is None:
            one.predict(*inputs, api_name=endpoint)
            continue
        with pytest.raises(Exception, match=text):
            one.predict(*inputs, api_name=endpoint)
    assert "Traceback" not in capfd.readouterr().err
    assert "went wrong" not in caplog.text


HUGE = int("9" * 4000)  # JSON knows no largest number


def said(app, target: str | None, inputs: list, event: object = None, language: str = "en") -> str:
    """What is answered to a call of an endpoint, or of what a part of the page calls; no client has looked at it."""
    config = app.page.config
    part = next((one["id"] for one in config["components"] if one["props"].get("elem_id") == target), None)
    call = {"data": inputs, "event_data": event, "session_hash": "by hand", "trigger_id": part}
    for one in config["dependencies"]:
        if one["api_name"] == target or (part is not None and part in dict(one["targets"])):
            call["fn_index"] = one["id"]
    headers = {"content-type": "application/json", "accept-language": language}
    request = urllib.request.Request(f"{app.url}/gradio_api/run/predict", json.dumps(call).encode(), headers)
    try:
        answer = urllib.request.urlopen(request, timeout=600)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.read().decode()


UNFIT = [
    *(("generate", [seed, 0.7, ""], "seed must be") for seed in ("5", [], {}, 0.5, True, HUGE, math.nan)),
    *(("generate", [5, psi, ""], "truncation must be") for psi in ("1", [1], HUGE, math.inf)),
    ("generate", [5, 0.7, ["\ud800"]], "cannot be used: no model"),
    *(("edit", [name, 1.0], "There is no edit") for name in ("nod", None, [[]], "\ud800", HUGE)),
    *(("edit", ["smile", strength], "strength of Smile") for strength in ("1", None, {}, HUGE, math.nan)),
    ("drag", [[[[HUGE, 0], [0, 0]]]], "points must be"),
    ("photo", [None, "nod", 1.0, "fast", 0], "There is no edit"),
    *(("photo", [photo, "smile", 1.0, "fast", 0], "cannot take") for photo in ("/etc/passwd", {}, 5)),
    *((name, [], "cannot take") for name in ("generate", "edit", "drag", "photo")),
    ("generate", [5, 0.7], "cannot take"),
    ("model", ["none"], "cannot take"),
    ("model", [[]], "cannot be used: no model"),
    ("bring-in", [[]], "cannot take"),
    ("y", [HUGE, HUGE], "outside the picture"),
]


def test_what_no_client_sends_is_refused_in_a_sentence(app, client, capfd, caplog):
    for target, inputs, text in UNFIT:
        assert text in said(app, target, inputs)
    assert "Traceback" not in capfd.readouterr().err
    assert "went wrong" not in caplog.text


FOREIGN = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}


def test_an_event_that_no_gallery_sends_is_refused(app, client, capfd):
    for gallery in ("history", "faces", "choices"):
        for event in (None, 5, "5", [], {}, {"index": "0"}, {"index": [0]}, FOREIGN):
            answer = said(app, gallery, [], event)
            assert "Reload the page" in answer or "cannot take" in answer
    assert "Traceback" not in capfd.readouterr().err


def test_refusals_speak_the_callers_language(app, client):
    assert "没有名为 nod 的编辑" in json.loads(said(app, "edit", ["nod", 1.0], language="zh-CN"))["error"]
    assert "程序无法接受这些输入" in json.loads(said(app, "edit", [], language="zh-CN"))["error"]


def test_a_session_that_ends_meanwhile_is_a_sentence(app, client, capfd, caplog, monkeypatch):
    from draggan.app.session import Session

    one, click = client(), Session.click
    one.predict(5, 0.7, api_name="/generate")

    def ends(session, *values):
        (key,) = app.sessions._sessions
        app.sessions.drop(key)
        click(session, *values)

    monkeypatch.setattr(Session, "click", ends)
    with pytest.raises(Exception, match="This session has ended"):
        one.predict([[[400, 600], [400, 620]]], api_name="/drag")
    assert "Traceback" not in capfd.readouterr().err
    assert "went wrong" not in caplog.text


def test_files_of_the_machine_are_not_served(app):
    for path in (ROOT / "README.md", Path("/etc/passwd")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{app.url}/gradio_api/file={path}", timeout=600)
        assert refused.value.code in (403, 404)


def test_pictures_that_claim_too_many_pixels_are_not_opened(app):
    data = io.BytesIO()
    Image.new("1", (12_000, 9_000)).save(data, "PNG")  # 108 megapixels in 14 KB
    assert len(data.getvalue()) < 20_000
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data.getvalue())).load()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--allowed-hosts", "http://lab"], "names alone"),
        (["--auth", "me"], "USER:PASSWORD"),
        (["--port", "0"], "--port 0"),
        (["--model", "none"], "no model"),
    ],
)
def test_mistakes_on_the_command_line(arguments, error):
    ended = warm.run([*COMMAND, *arguments], timeout=600)
    assert ended.returncode == 2
    assert re.fullmatch(r"error: .*\n", ended.stderr.splitlines(keepends=True)[-1])
    assert error in ended.stderr
    assert "Traceback" not in ended.stderr
