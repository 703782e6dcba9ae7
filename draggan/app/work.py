"""The job of a session in the queue: begun, stopped, and looked at until it is over.

work = Work(Worker(queue), screen)
work.begin(job, Message("dragging"), if_withdrawn=Message("ready"), done=...)
for view in work.watch(session.view): ...
"""

from collections.abc import Callable, Iterator

from draggan.app.jobs import Outcome
from draggan.app.queue import QueueFullError, Worker
from draggan.app.screen import Screen
from draggan.app.texts import Message, TranslatedError
from draggan.app.view import View


class Work:
    def __init__(self, worker: Worker, screen: Screen):
        self._worker, self._screen = worker, screen
        self._if_withdrawn = Message("ready")

    def begin(
        self,
        job: Callable[[], Outcome],
        message: Message,
        if_withdrawn: Message,
        done: Callable[[Outcome | Exception], None],
    ) -> None:
        """Have a job done, and say the message meanwhile. TranslatedError where too many wait already.

        if_withdrawn: what to say where it is stopped before it has begun.
        done: is given what the job returned or raised, in the queue's thread and under the lock.
        """
        self._screen.distance = self._screen.progress = None
        try:
            self._worker.begin(job, done)
        except QueueFullError:
            raise TranslatedError("busy", waiting=self._worker.waiting) from None
        self._if_withdrawn = if_withdrawn
        self._screen.say(message)

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
