"""The job of a session in the queue: begun, stopped, and looked at until it is over.

work = Work(Worker(queue), screen, done=...)
work.begin(job, Message("dragging"), if_withdrawn=Message("ready"))
for view in work.watch(session.view): ...
"""

from collections.abc import Callable, Iterator

from draggan.app.jobs import Outcome
from draggan.app.queue import QueueFullError, Worker
from draggan.app.screen import Screen
from draggan.app.texts import Message, TranslatedError, error_message
from draggan.app.view import View


class Work:
    def __init__(self, worker: Worker, screen: Screen, done: Callable[[Outcome], None]):
        """done: is given what came of each job, in the queue's thread and under the lock."""
        self._worker, self._screen, self._done = worker, screen, done
        self._if_withdrawn = Message("ready")

    def begin(self, job: Callable[[], Outcome], message: Message, if_withdrawn: Message) -> None:
        """Have a job done, and say the message meanwhile.

        if_withdrawn: what to say where it is stopped before it has begun.
        TranslatedError while another one runs, and where too many wait already.
        """
        with self._worker.lock:
            if self._worker.running:
                raise TranslatedError("running")
            self._screen.distance = self._screen.progress = None
            try:
                self._worker.begin(job, self._ended)
            except QueueFullError:
                raise TranslatedError("busy", waiting=self._worker.waiting) from None
            self._if_withdrawn = if_withdrawn
            self._screen.say(message)

    def _ended(self, outcome: Outcome | Exception) -> None:
        if isinstance(outcome, Exception):
            outcome = Outcome(error_message(outcome), failed=True)
        if not self._screen.step:  # done at once: points that have not moved say nothing
            self._screen.progress = None
        self._done(outcome)

    def stop(self) -> bool:
        """Stop after the step at work, and say so at once. True where the job had not begun: then it is over."""
        withdrawn = self._worker.stop()
        with self._worker.lock:
            if withdrawn:
                self._screen.say(self._if_withdrawn)
            elif self._worker.running:
                self._screen.say(Message("stopping"))
        return withdrawn

    def watch(self, view: Callable[[], View], every: float) -> Iterator[View]:
        """The view now, and then until nothing runs: pictures and the end at once, numbers every so many seconds."""
        screen, shown = self._screen, None
        while True:
            now = view()
            if (now.version, now.place) != shown:
                shown = (now.version, now.place)
                yield now
            if not now.running:
                return
            self._worker.wait(
                lambda drawn=now.image: screen.image != drawn or not self._worker.running, every
            )
