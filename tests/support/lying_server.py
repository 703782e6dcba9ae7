"""A web server that answers byte by byte as a function says, so that it can misbehave; lying_rows.py has the ways."""

import contextlib
import io
import re
import socket
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

BLOCK = 50_000


def archive(seed: int) -> bytes:
    """A zip archive; all of them are of one length."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as pack:
        pack.writestr(zipfile.ZipInfo("net"), bytes((k * seed) % 251 for k in range(3 * BLOCK)))
    return stream.getvalue()


DATA, OTHER = archive(1), archive(2)
HALF = len(DATA) // 2


@dataclass
class Request:
    """One request and the means to answer it."""

    socket: socket.socket
    path: str
    headers: dict[str, str]
    number: int

    @property
    def start(self) -> int:
        """Where the asked range begins; 0 without one."""
        span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(span[1]) if span else 0

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def head(self, status: str = "200 OK", **headers: object) -> None:
        """Status and headers; an underscore in a name stands for a hyphen, and None leaves the header out."""
        given = {"Content_Type": "application/octet-stream", "Connection": "close"} | headers
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in given.items() if value is not None]
        self.send("\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1"))

    def give(self, data: bytes, etag: str = '"1"', most: int | None = None, **headers: object) -> None:
        """As a good server: the rest where that is asked for of this version; ``most`` bytes of it."""
        start = self.start if self.headers.get("if-range", etag) == etag else 0
        body = data[start:]
        tag = {"ETag": etag} if etag else {}
        if start:
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self.head(
                "206 Partial Content", **{"Content_Range": span, "Content_Length": len(body)} | tag | headers
            )
        else:
            self.head(**{"Content_Length": len(body)} | tag | headers)
        self.send(body[:most])

    def rest(self, data: bytes, **headers: object) -> None:
        """The rest of ``data`` from where it is asked for, whatever else is asked for; all of it at first."""
        if not self.start:
            return self.give(data, most=HALF if self.number == 0 else None)
        body = data[self.start :]
        span = {
            "Content_Range": f"bytes {self.start}-{len(data) - 1}/{len(data)}",
            "Content_Length": len(body),
        }
        self.head("206 Partial Content", **span | headers)
        self.send(body)

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%b\r\n" % (len(data), data))


class Liar:
    """The server; ``answer`` may be changed while it runs."""

    def __init__(self, answer: Callable[[Request], object] = lambda request: None):
        self.answer, self.number = answer, 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                self.open.append(connection)
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(10)
            text = b""
            while b"\r\n\r\n" not in text:
                block = connection.recv(4096)
                if not block:
                    return
                text += block
            first, *lines = text.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            number, self.number = self.number, self.number + 1
            self.answer(Request(connection, first.split(" ")[1], headers, number))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listening.shutdown(
                socket.SHUT_RDWR
            )  # closing alone does not wake the thread that waits in accept
        self.listening.close()
        for each in self.open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
