"""One drag at a time on a device: a bounded line of jobs that one thread works off.

turns = Turns(waiting=8)
ticket = turns.submit(job)        # BusyError if the line is full
turns.place(ticket)               # 0 at work, 1 next, ...; None once it is done
"""

import threading
from collections.abc import Callable


class BusyError(RuntimeError):
    """The line is full."""


class Turns:
    """Jobs are callables without arguments that keep their own errors; they run in the order they came."""

    def __init__(self, waiting: int = 8):
        self.waiting = waiting
        self._line: list[Callable[[], None]] = []  # the first is at work
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, job: Callable[[], None]) -> Callable[[], None]:
        """Put a job at the end of the line; it is its own ticket. BusyError if too many wait already."""
        with self._changed:
            if len(self._line) > self.waiting:
                raise BusyError(f"{self.waiting} drags are waiting already")
            self._line.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="drags", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return job

    def place(self, ticket: Callable[[], None]) -> int | None:
        """0 while at work, otherwise how many are before it; None for one that is done or was withdrawn."""
        with self._changed:
            return self._line.index(ticket) if ticket in self._line else None

    def withdraw(self, ticket: Callable[[], None]) -> bool:
        """Take a job out of the line; False if it is at work or done."""
        with self._changed:
            if ticket not in self._line[1:]:
                return False
            self._line.remove(ticket)
            return True

    def close(self, seconds: float = 10.0) -> None:
        """Take no more jobs up; wait so long at most for the one at work, which should be told to stop before."""
        with self._changed:
            self._closed = True
            del self._line[1:]
            self._changed.notify_all()
        if self._thread:
            self._thread.join(seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._line or self._closed)
                if not self._line:
                    return
                job = self._line[0]
            try:
                job()
            finally:
                with self._changed:
                    self._line.remove(job)
                del job  # or it would keep its session alive until the next one
