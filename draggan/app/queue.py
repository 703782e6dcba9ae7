"""Threads, locks and the queue: one long job at a time on a device. Knows no faces.

queue = Queue(waiting=8)
worker = Worker(queue)            # one for each session
worker.begin(job, done)           # QueueFullError where too many wait; returns at once
worker.running, worker.place      # 0 at work, 1 next, ...
worker.stop()                     # the job asks worker.stopping(), and comes to its end
"""

import threading
from collections.abc import Callable
from typing import Any


class QueueFullError(RuntimeError):
    """Too many jobs wait already."""


class Queue:
    """Jobs are callables without arguments that raise nothing; one thread does them in the order they came."""

    def __init__(self, waiting: int = 8):
        """waiting: how many may wait for the one at work."""
        self.waiting = waiting
        self._jobs: list[Callable[[], None]] = []  # the first is at work
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, job: Callable[[], None]) -> None:
        """Put a job at the end. QueueFullError if too many wait already."""
        with self._changed:
            if len(self._jobs) > self.waiting:
                raise QueueFullError(f"{self.waiting} jobs are waiting already")
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="queue", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def place(self, job: Callable[[], None]) -> int | None:
        """0 while at work, otherwise how many are before it; None for one that is done or was withdrawn."""
        with self._changed:
            return self._jobs.index(job) if job in self._jobs else None

    def withdraw(self, job: Callable[[], None]) -> bool:
        """Take a job out of the queue; False if it is at work or done."""
        with self._changed:
            if job not in self._jobs[1:]:
                return False
            self._jobs.remove(job)
            return True

    def close(self, seconds: float = 10.0) -> None:
        """Begin no more jobs. Waits so long at most for the one at work, which should be stopped before."""
        with self._changed:
            self._closed = True
            del self._jobs[1:]
            self._changed.notify_all()
        if self._thread:
            self._thread.join(seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    return
                job = self._jobs[0]
            try:
                job()
            finally:
                with self._changed:
                    self._jobs.remove(job)
                del job  # or it would keep its session alive until the next one


class Worker:
    """One owner's place in the queue, with the lock of all that it owns and a signal that something changed."""

    def __init__(self, queue: Queue):
        self._queue, self._stop = queue, threading.Event()
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._job: Callable[[], None] | None = None
        self.version = 0  # counts the changes

    @property
    def running(self) -> bool:
        """A job is at work or waits."""
        return self._job is not None

    @property
    def place(self) -> int | None:
        """In the queue: 0 at work; None without a job."""
        job = self._job
        return self._queue.place(job) if job else None

    @property
    def waiting(self) -> int:
        """How many jobs of all owners may wait."""
        return self._queue.waiting

    def stopping(self) -> bool:
        """The job at work shall come to its end."""
        return self._stop.is_set()

    def begin(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Have work done in the queue's thread.

        done: is given what the work returned, or the exception that it raised; in the queue's thread, under the
        lock, when nothing runs any more.
        """

        def job() -> None:
            try:
                outcome = work()
            except Exception as problem:  # the thread must live on
                outcome = problem
            with self._changed:
                self._job = None
                done(outcome)
                self.changed()

        self._stop.clear()
        self._queue.submit(job)
        self._job = job

    def stop(self) -> bool:
        """Ask the job to come to its end. True where it still waited: then it is withdrawn, and over at once."""
        self._stop.set()  # before the lock: whoever holds that may need a while
        with self.lock:
            if self._job and self._queue.withdraw(self._job):
                self._job = None
                return True
            return False

    def changed(self) -> None:
        """Wake those who wait."""
        with self._changed:
            self.version += 1
            self._changed.notify_all()

    def wait(self, until: Callable[[], bool], seconds: float) -> None:
        """Wait until that holds after a change, so many seconds at most."""
        with self._changed:
            self._changed.wait_for(until, seconds)
