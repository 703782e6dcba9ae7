"""The one job of a session in the studio's line: begun, waited for, stopped.

work = Work(turns)
work.begin(job, ended, ("stopped", {}))     # BusyError if the line is full
work.running, work.place
work.stop()                                 # the job asks `work.stopping` and comes to its end
"""

import threading
from collections.abc import Callable

from draggan.app.texts import Mistake
from draggan.app.turns import Turns

Said = tuple[str, dict]  # key and values of a text


class Work:
    """Jobs are callables that return what to say at their end; they run in the studio's working thread."""

    def __init__(self, turns: Turns):
        self._turns, self._stop = turns, threading.Event()
        self._ticket: Callable[[], None] | None = None
        self._if_withdrawn: Said = ("ready", {})

    @property
    def running(self) -> bool:
        """A job is at work or waits."""
        return self._ticket is not None

    @property
    def place(self) -> int | None:
        """In the line: 0 at work."""
        ticket = self._ticket
        return self._turns.place(ticket) if ticket else None

    @property
    def stopping(self) -> bool:
        """The job at work shall come to its end."""
        return self._stop.is_set()

    @property
    def stop_asked(self) -> threading.Event:
        return self._stop

    def begin(self, job: Callable[[], Said], ended: Callable[[Said, bool], None], if_withdrawn: Said) -> None:
        """Put a job into the line.

        ended: told what to say at the end, and whether that is a failure, in the working thread, while the job
        still counts as running; it calls `over`. if_withdrawn: what to say where it is stopped before its turn.
        """

        def turn() -> None:
            try:
                said, failed = job(), False
            except Exception as problem:  # the thread must live on; the person is told
                lines, failed = str(problem).splitlines() or [type(problem).__name__], True
                mistake = isinstance(problem, Mistake)
                said = (problem.key, problem.values) if mistake else ("failed", {"reason": lines[0]})
            ended(said, failed)

        self._stop.clear()
        self._ticket, self._if_withdrawn = self._turns.submit(turn), if_withdrawn

    def stop(self) -> Said | None:
        """Ask the job to end; one that still waits is over at once: what to say of it."""
        self._stop.set()
        if self._ticket and self._turns.withdraw(self._ticket):
            self.over()
            return self._if_withdrawn
        return None

    def over(self) -> None:
        self._ticket = None
