"""Who may make the app act, and how much they may send.

Any page that a browser has open can send requests to 127.0.0.1, and a foreign name can be made to point there (DNS
rebinding). So the host that a request names must be this app's, and a page that sends something must come from it. A
script sends no origin and is served. Behind a proxy the public name must be told with --allowed-hosts.

No request may be larger than anything that the page sends, and what visitors send may fill the disk only so far.

With --auth, nothing but the page's own parts and the login is served before the login. Gradio asks for it on most of
its routes, but not on all.
"""

import contextlib
import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.commandline import UserError
from draggan.photos import MAX_BYTES

# What the login page is made of, and what Gradio asks itself when it starts. No route that holds a session.
OPEN = {"/", "/login", "/theme.css", "/manifest.json", "/robots.txt", "/favicon.ico"}
OPEN |= {f"/gradio_api/{name}" for name in ("startup-events", "theme.css", "login_check", "user", "token")}
OPEN_FOLDERS = ("/assets/", "/static/", "/svelte/")
MOST_BODY = 16 * 2**20  # bytes of a request that is no upload: a painted mask is the largest
MOST_UPLOAD = MAX_BYTES + 2**20  # bytes: the file, and what is around it
MOST_SENT = 8 * 2**30  # bytes of files that wait in the temporary folder, of all visitors
TOO_LARGE = "That is too large: a file may have {mb} MB.\n文件过大：最多 {mb} MB。\n".format(
    mb=MAX_BYTES // 10**6
)
NO_SPACE = "There are too many files here that were sent. Try again in an hour.\n已上传的文件过多。请一小时后再试。\n"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
FRAMES = {"iframe", "frame", "embed", "object", "fencedframe"}
SHARED = ".gradio.live"  # what --share makes ends so, and nobody else is given such a name
REFUSAL = (
    "This app does not answer requests to or from {what}. If that name is yours: start it with --allowed-hosts NAME\n"
    "本应用不回应发给或来自 {what} 的请求。如果这是您自己的名称：请用 --allowed-hosts NAME 启动\n"
)


def host_names(hosts: str) -> frozenset[str]:
    """The names of a list as in "faces.example.org,lab", in small letters. UserError for what is more than a name."""
    names = {host.strip().lower() for host in hosts.split(",") if host.strip()}
    for name in names:
        if bare_host(name) != name:
            raise UserError(f"--allowed-hosts {name}: write names alone, as in faces.example.org,lab")
    return frozenset(names)


def own_names(host: str) -> frozenset[str]:
    """The names under which this machine is reached, ``host`` (what the app listens on) among them."""
    own = socket.gethostname().lower()
    return frozenset({"localhost", own, own.split(".")[0], host.lower().strip("[]")})


def bare_host(host: str) -> str | None:
    """The name or address of a Host header without its port and brackets; None for what is no host."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018  (raises for what is no port)
    except ValueError:
        return None
    name = (parts.hostname or "").rstrip(".")
    whole = parts.netloc == host and "@" not in host
    return name if whole and re.fullmatch(r"[a-z0-9._:%-]+", name) else None


class Guard:
    """ASGI middleware that refuses what a foreign page or name asks for, with 403 and a sentence."""

    def __init__(
        self,
        app: ASGIApp,
        own: Iterable[str],
        sent: Path,
        allowed: Iterable[str] = (),
        share: bool = False,
        login: bool = False,
    ) -> None:
        """
        Args:
            own: this machine's names, see ``own_names``. Addresses need not be named: a browser asks for one only
                where somebody typed it, or a page of that address does.
            sent: the folder of what visitors send.
            allowed: more names, in small letters, under which a proxy shows the app.
            share: serve the public link of --share, too.
            login: serve those alone who have given the name and word of --auth.
        """
        self.app, self.own, self.allowed = app, frozenset(own), frozenset(allowed)
        self.sent, self.share, self.login = sent, share, login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        foreign = self.foreign(headers, scope.get("method", "GET"))
        if foreign is not None:
            answer = PlainTextResponse(REFUSAL.format(what=foreign), 403)
        elif self.login and not _open(scope) and not _logged_in(scope):
            answer = JSONResponse({"detail": "Not authenticated"}, 401)  # as Gradio says it
        else:
            is_upload = scope["path"].rstrip("/").endswith("/gradio_api/upload")
            limit = MOST_UPLOAD if is_upload else MOST_BODY
            receive = _at_most(limit, receive)
            answer = self.app
            if int(headers.get("content-length", 0)) > limit:  # uvicorn has seen to it that it is a number
                answer = PlainTextResponse(TOO_LARGE, 413)
            elif is_upload and _bytes_in(self.sent) > MOST_SENT:
                answer = PlainTextResponse(NO_SPACE, 507)
        await answer(scope, receive, send)

    def foreign(self, headers: Headers, method: str) -> str | None:
        """What is foreign about a request, as a word for the refusal; None where nothing is."""
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._ours(bare_host(host)):
            return _shown(host)
        origin = headers.get("origin")
        if origin is not None:
            sender = origin.partition("://")[2]
            # Another port of this machine is another program, so the whole origin must be the host's. A proxy may
            # pass on another host than its visitors see, so an allowed name will do.
            if sender != host and bare_host(sender) not in self.allowed:
                return _shown(sender or origin)
        # A browser says where a request comes from: other pages may link to the app and no more.
        elsewhere = headers.get("sec-fetch-site", "none") in ("cross-site", "same-site")
        link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") not in FRAMES
        if elsewhere and not (link and method in SAFE_METHODS):
            return _shown(urlsplit(headers.get("referer", "")).netloc)
        return None

    def _ours(self, name: str | None) -> bool:
        if name is None:
            return False
        known = name in self.own or name in self.allowed or _is_address(name)
        return known or (self.share and name.endswith(SHARED))


def _at_most(limit: int, receive: Receive) -> Receive:
    """``receive`` until ``limit`` bytes have come; then the client is treated as gone."""
    got = 0

    async def counted() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        return message if got <= limit else {"type": "http.disconnect"}

    return counted


def _bytes_in(folder: Path) -> int:
    sizes = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # gone meanwhile
                sizes += os.path.getsize(os.path.join(place, name))
    return sizes


def _open(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return (path.rstrip("/") or "/") in OPEN or path.startswith(OPEN_FOLDERS)


def _logged_in(scope: Scope) -> bool:
    """Whether a request carries the cookie that Gradio gives at the login."""
    gradio, cookies = scope["app"], HTTPConnection(scope).cookies
    names = (f"access-token-{gradio.cookie_id}", f"access-token-unsecure-{gradio.cookie_id}")
    return any(cookies.get(name) in gradio.tokens for name in names)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _shown(text: str) -> str:
    """Foreign text that can be shown in a sentence: short, and letters that names have."""
    return "".join(letter for letter in text[:80] if letter.isalnum() or letter in ".-_:[]") or "?"
