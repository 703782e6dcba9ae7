"""A binary file that is not trusted, read in order: no length that it announces is believed before it is there."""

import io
from typing import IO

from .plain_objects import Refused, Stored

MAX_LINE = 1 << 12  # bytes of a name
BLOCK = 1 << 16


class Reader:
    """A part of a binary stream, from where it stands to ``end``. Refused where there is less than is announced."""

    def __init__(self, stream: IO[bytes], end: int | None = None):
        self.stream, self._at, self._block = stream, 0, b""
        self._next = stream.tell()  # behind the block
        self.end = stream.seek(0, io.SEEK_END) if end is None else end

    @property
    def position(self) -> int:
        return self._next - len(self._block) + self._at

    def take(self, n: int) -> bytes:
        at = self._at
        if n > len(self._block) - at:
            self._need(n)
            self.stream.seek(self._next)
            more = self.stream.read(min(max(n, BLOCK), self.end - self._next))
            self._block, self._next, at = self._block[at:] + more, self._next + len(more), 0
            if n > len(self._block):
                raise Refused("cut short while it was read")
        self._at = at + n
        return self._block[at : at + n]

    def keep(self, n: int, text: bool = False) -> Stored:
        """So many bytes, left where they are."""
        self._need(n)
        stored = Stored(self.stream, self.position, n, text)
        self._next, self._block, self._at = stored.offset + n, b"", 0
        return stored

    def line(self) -> str:
        line = bytearray()
        while (byte := self.take(1)) != b"\n":
            line += byte
            if len(line) > MAX_LINE:
                raise Refused("a name without an end")
        return line.decode()

    def _need(self, n: int) -> None:
        if n > self.end - self.position:
            raise Refused(f"cut short: {n:,} bytes announced, {self.end - self.position:,} left")
