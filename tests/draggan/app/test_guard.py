"""Who may make the app act: foreign hosts, foreign pages, files that nobody has sent, and requests without a login."""

import http.client
import http.server
import json
import os
import secrets
import subprocess
import sys
import threading
import urllib.request
from urllib.parse import urlsplit

import gradio as gr
import pytest
import warm
from app_server import ROOT, free_port, wait_until
from gradio.routes import App
from starlette.datastructures import Headers

from common.commandline import UserError
from draggan.app import guard
from draggan.app.guard import Guard, host_names
from draggan.app.sessions import LIVE_SESSIONS

COMMAND = (sys.executable, str(ROOT / "draggan/gragan_modify.py"), "--device", "cpu")
ADDRESS = "127.0.0.1:7860"


def foreign(method="POST", allowed=(), share=False, **headers) -> str | None:
    one = Guard(None, own={"localhost", "lab"}, sent=None, allowed=allowed, share=share)
    return one.foreign(Headers({name.replace("_", "-"): value for name, value in headers.items()}), method)


@pytest.mark.parametrize("host", [ADDRESS, "localhost:7860", "LAB", "[::1]:7860", "192.168.1.3", "lab.:80"])
def test_hosts_of_this_machine(host):
    assert foreign(host=host) is None
    assert foreign(host=host, origin=f"http://{host}") is None


@pytest.mark.parametrize(
    "host",
    ["evil.com", "evil.com:7860", "localhost.evil.com", "127.0.0.1.evil.com", "me@evil.com", "", "a b", "x:y"]
    + ["lab/evil.com", "127.0.0.1@evil.com", "[::1", "abc.gradio.live", "0x7f.1", "faces.example.org"],
)
def test_other_hosts(host):
    assert foreign(host=host) is not None
    assert foreign("GET", host=host) is not None


def test_names_that_are_allowed():
    allowed = host_names(" Faces.Example.org, lab2 ")
    assert foreign(host="faces.example.org", allowed=allowed) is None
    assert foreign(host=ADDRESS, origin="https://faces.example.org", allowed=allowed) is None
    assert foreign(host=ADDRESS, origin="https://faces.example.org.evil.com", allowed=allowed) is not None
    assert foreign(host="abc.gradio.live", share=True) is None
    assert foreign(host="gradio.live.evil.com", share=True) is not None
    for wrong in ("http://faces.example.org", "faces.example.org:80", "a/b", "me@lab", "a b"):
        with pytest.raises(UserError, match="--allowed-hosts"):
            host_names(wrong)


@pytest.mark.parametrize(
    "origin", ["http://evil.com", "null", "http://127.0.0.1:8000", "http://localhost:7860", "", "file://"]
)
def test_other_origins(origin):
    """Another port of this machine is another program, and another name of it another page."""
    assert foreign(host=ADDRESS, origin=origin) is not None


def test_what_a_browser_says_of_the_page():
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    for site in ("cross-site", "same-site"):
        assert foreign("GET", host=ADDRESS, **link | {"sec_fetch_site": site}) is None
        assert foreign("POST", host=ADDRESS, **link | {"sec_fetch_site": site}) is not None
    for change in ({"sec_fetch_dest": "iframe"}, {"sec_fetch_mode": "no-cors"}):
        assert foreign("GET", host=ADDRESS, **link | change) is not None
    assert foreign("GET", host=ADDRESS, sec_fetch_site="same-origin", sec_fetch_mode="cors") is None
    assert foreign("GET", host=ADDRESS, sec_fetch_site="none", sec_fetch_mode="navigate") is None


def ask(url: str, path: str, method="GET", body=None, **headers) -> tuple[int, bytes]:
    """The status and body of an answer; of one that streams, its first part."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    chunked = "transfer-encoding" in named
    connection.request(
        method, path, body, {"content-type": "application/json"} | named, encode_chunked=chunked
    )
    answer = connection.getresponse()
    found = answer.status, answer.read(300)
    connection.close()
    return found


def test_the_running_app_refuses(app):
    assert ask(app.url, "/config")[0] == 200
    status, text = ask(app.url, "/config", host="evil.com")
    assert status == 403
    assert "evil.com" in text.decode()
    assert "本应用" in text.decode()
    join = "/gradio_api/queue/join"
    assert ask(app.url, join, "POST", "{}")[0] == 422  # it was let in
    assert ask(app.url, join, "POST", "{}", origin=app.url)[0] == 422
    for origin in ("http://evil.com", "null", "http://127.0.0.1:1"):
        assert ask(app.url, join, "POST", "{}", origin=origin, content_type="text/plain")[0] == 403


def test_requests_have_a_largest_size(app, monkeypatch):
    monkeypatch.setattr(guard, "MOST_BODY", 1000)
    join = "/gradio_api/queue/join"
    assert ask(app.url, join, "POST", "1" * 900)[0] == 422
    assert ask(app.url, join, "POST", "1" * 1100)[0] == 413
    chunks = iter([b"1" * 600] * 3)
    assert ask(app.url, join, "POST", chunks, transfer_encoding="chunked")[0] == 400
    monkeypatch.setattr(guard, "MOST_SENT", -1)
    form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nb\r\n--x--\r\n'
    send = {"content_type": "multipart/form-data; boundary=x"}
    assert ask(app.url, "/gradio_api/upload", "POST", form, **send)[0] == 507
    monkeypatch.undo()
    assert ask(app.url, "/gradio_api/upload", "POST", form, **send)[0] == 200


class Page(http.server.BaseHTTPRequestHandler):
    """A page of somebody else, that tries to make the app act."""

    app = ""

    def do_GET(self):
        body = f"""<!doctype html><img src="{self.app}/config"><iframe src="{self.app}/"></iframe>
            <form method="post" enctype="text/plain" target="there" action="{self.app}/gradio_api/queue/join">
            <input name="x" value="y"></form><iframe name="there"></iframe><script>
            fetch("{self.app}/gradio_api/queue/join", {{method: "POST", mode: "no-cors", body: "{{}}"}})
            fetch("{self.app}/gradio_api/reset", {{method: "POST", mode: "no-cors", body: "{{}}"}})
            document.forms[0].submit()</script>""".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_foreign_page_in_a_browser(app, browser):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Mine", (Page,), {"app": app.url}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    seen: dict[str, int] = {}
    page.on("response", lambda r: seen.update({f"{r.request.method} {urlsplit(r.url).path}": r.status}))
    try:
        page.goto(f"http://localhost:{server.server_port}/", wait_until="networkidle")
        asked = {"GET /config", "GET /", "POST /gradio_api/queue/join", "POST /gradio_api/reset"}
        statuses = {name: status for name, status in seen.items() if name in asked}
        assert statuses.pop("GET /") in (200, 403)  # its own page has that path, too
        assert statuses == dict.fromkeys(asked - {"GET /"}, 403)
        assert not app.sessions._sessions
    finally:
        page.close()
        server.shutdown()


def handlers_of(app) -> list[dict]:
    return json.loads(urllib.request.urlopen(f"{app.url}/config", timeout=600).read())["dependencies"]


def test_a_file_that_nobody_has_sent_is_not_opened_and_stays(app, tmp_path, photo_path):
    """Whatever a request says: a path of the machine is neither opened nor deleted."""
    victim = tmp_path / "mine.png"
    victim.write_bytes(photo_path.read_bytes())
    before = victim.read_bytes()
    named = {dependency["api_name"]: dependency for dependency in handlers_of(app)}
    for name, *more in (
        ("put_in",),
        ("bring_in", "fast"),
        ("open_project",),
        ("photo", "smile", 1, "fast", 0),
    ):
        for sent in ({"path": str(victim), "orig_name": "a.png"}, str(victim), [{"path": str(victim)}]):
            session = secrets.token_hex(6)
            dependency = named[name]
            call = {"data": [sent, *more], "fn_index": dependency["id"], "session_hash": session}
            for _ in range(2):  # a photo that is put in deletes the one before
                assert ask(app.url, "/gradio_api/queue/join", "POST", json.dumps(call))[0] == 200
                answer = urllib.request.urlopen(
                    f"{app.url}/gradio_api/queue/data?session_hash={session}", timeout=60
                )
                for line in answer:
                    if b"process_completed" in line:
                        break
            known = app.sessions.known(session)
            assert known is None or known.photo.photo is None
            app.sessions.drop(session)
            assert victim.read_bytes() == before


def all_routes() -> set[tuple[str, str]]:
    """(method, path) of all routes that Gradio lays out, with something in place of what may stand there."""
    with gr.Blocks() as page:
        gr.Textbox()

    def of(each, before=""):
        for route in each:
            if hasattr(route, "original_router"):
                yield from of(route.original_router.routes, before + route.include_context.prefix)
            elif hasattr(route, "path"):
                path = "/".join("x" if "{" in part else part for part in (before + route.path).split("/"))
                yield from ((method, path) for method in getattr(route, "methods", None) or ["GET"])

    known = set(of(App.create_app(page.queue()).routes))
    assert ("POST", "/gradio_api/queue/join") in known
    assert len(known) > 50
    return known


OPEN_BEFORE_LOGIN = guard.OPEN | {f"{path}/" for path in guard.OPEN}


def test_the_command_with_a_password(tmp_path):
    """Only who gives it gets in; SIGTERM ends the app and takes its files along."""
    from gradio_client import Client

    port = free_port()
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    arguments = [*COMMAND, "--port", str(port), "--auth", "me:secret"]
    with warm.Process(arguments, stdout=subprocess.PIPE, text=True, env=environment) as process:
        lines: list[str] = []
        threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True).start()
        wait_until(lambda: any("Running on" in line for line in lines) or process.poll() is not None)
        url = f"http://127.0.0.1:{port}"
        for method, path in sorted(all_routes()):
            if path not in OPEN_BEFORE_LOGIN and not path.startswith(guard.OPEN_FOLDERS):
                status, body = ask(url, path, method, "{}" if method == "POST" else None)
                assert status == 401, (method, path, status, body)
        assert ask(url, "/config", cookie="access-token-x=1; access-token-unsecure-x=1")[0] == 401
        with pytest.raises(Exception, match=r"(?i)credentials|login|auth"):
            Client(url, auth=("me", "wrong"), verbose=False)
        client = Client(url, auth=("me", "secret"), verbose=False)
        _, report = client.predict(1, 0.7, api_name="/generate")
        assert report["seed"] == 1
        assert list(tmp_path.glob("draggan-*"))
        process.terminate()
        process.wait(600)
    assert not list(tmp_path.glob("draggan-*"))


def test_what_pages_show_is_not_kept_for_ever(app):
    """By Gradio, of each page that has ever been open; it keeps 10,000 where nobody says otherwise."""
    kept = app.page.app.state_holder
    for k in range(3):
        kept[f"passer-by {k}"]
    assert len(kept.session_data) >= 3
    assert kept.capacity <= 2 * LIVE_SESSIONS
