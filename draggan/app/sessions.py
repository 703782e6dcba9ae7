"""The live sessions, one for each visitor. One whose page was closed waits some time for its page to come back.

sessions = Sessions(Models(device))
session = sessions.get("page 1")              # opened on the first call
sessions.open("page 1", "visitor"); sessions.leave("page 1")
sessions.open("page 2", "visitor")            # the same session again
sessions.drop("page 2")
sessions.close()
"""

import contextlib
import shutil
import tempfile
import threading
import time
from pathlib import Path

from draggan.app.models import Models
from draggan.app.queue import Queue
from draggan.app.session import Session
from draggan.app.texts import TranslatedError
from draggan.generators import hand_back_memory

LIVE_SESSIONS = 32  # at most, with those that wait for their page
AWAY = 8  # at most of those that wait
IDLE_SECONDS = 30 * 60  # until a session goes that nobody uses, or whose page does not come back
SCRIPT_SECONDS = 5 * 60  # the same for a session that never had a page: nothing says when a script has ended
CHECK_EVERY = 60  # seconds; how often idle sessions are looked for when nobody comes


class Sessions:
    """May be used from any thread. `close` ends all."""

    def __init__(self, models: Models | None = None, waiting: int = 8, most: int | None = None):
        """waiting: how many tasks may wait in the queue. most: how many sessions there may be."""
        self.models, self.queue = models or Models(), Queue(waiting)
        self.most = most
        self.folder = Path(tempfile.mkdtemp(prefix="draggan-")).resolve()
        self.served = self.folder / "served"  # what visitors have sent, and copies of what they were shown
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._visitors: dict[str, str] = {}  # of a page: who says to be its visitor
        self._away: dict[str, Session] = {}  # by visitor, the one who left first comes first
        self._ended = threading.Event()
        threading.Thread(target=self._clean_always, name="idle sessions", daemon=True).start()

    def get(self, key: str) -> Session:
        """The session of that key, opened if need be. TranslatedError if too many are live."""
        most = self.most or LIVE_SESSIONS
        if self.live + len(self._away) >= most:
            self.clean()
        old = None
        with self._lock:
            if key not in self._sessions:
                if self._count() >= most and self._away:
                    old = self._away.pop(next(iter(self._away)))
                if self._count() >= most:
                    raise TranslatedError("full")
                self._sessions[key] = Session(self.models, self.queue, self.folder)
            session = self._sessions[key]
            session.used = time.monotonic()
        if old:
            old.close()
        return session

    def open(self, key: str, visitor: str = "") -> Session:
        """The session of a page that was loaded: the visitor's own where there is one, else a new one.

        visitor: what the page calls itself, the same after it was loaded again; only it may know that.
        TranslatedError if too many are live.
        """
        with self._lock:
            if visitor and key not in self._sessions:
                before = next((k for k, name in self._visitors.items() if name == visitor), None)
                if visitor in self._away:
                    self._sessions[key] = self._away.pop(visitor)
                elif before in self._sessions:  # that it has gone will be heard later
                    self._sessions[key] = self._sessions.pop(before)
                    del self._visitors[before]
            if visitor:
                self._visitors[key] = visitor
        return self.get(key)

    def leave(self, key: str) -> None:
        """A page was closed: its session waits, if it may come back."""
        with self._lock:
            session, visitor = self._sessions.pop(key, None), self._visitors.pop(key, None)
            old = [session]
            if session and visitor:
                old = [self._away.pop(visitor, None)]
                self._away[visitor] = session
                session.used = time.monotonic()
                if len(self._away) > AWAY:
                    old.append(self._away.pop(next(iter(self._away))))
        for one in filter(None, old):
            one.close()

    def known(self, key: str) -> Session | None:
        """The session of that key, if there is one."""
        with self._lock:
            return self._sessions.get(key)

    def sent(self, path: object) -> Path:
        """The file of a path that came in a request. TranslatedError for what no visitor has sent."""
        with contextlib.suppress(TypeError, ValueError, OSError, RuntimeError):
            file = Path(path).resolve()
            if file.is_relative_to(self.served) and file.is_file():
                return file
        raise TranslatedError("not_sent")

    def drop(self, key: str) -> None:
        """End a session: its task stops, its memory and files go. Nothing happens for an unknown one."""
        with self._lock:
            session, _ = self._sessions.pop(key, None), self._visitors.pop(key, None)
        if session:
            session.close()

    def clean(self, idle: float | None = None) -> None:
        """End the sessions that nobody has used for so many seconds and that have nothing running."""
        now = time.monotonic()

        def is_old(session: Session, has_page: bool) -> bool:
            limit = (
                idle if idle is not None else IDLE_SECONDS if has_page else min(SCRIPT_SECONDS, IDLE_SECONDS)
            )
            return now - session.used > limit and not session.running

        with self._lock:
            old = [key for key, one in self._sessions.items() if is_old(one, key in self._visitors)]
            gone = [visitor for visitor, one in self._away.items() if is_old(one, True)]
            away = [self._away.pop(visitor) for visitor in gone]
        for key in old:
            self.drop(key)
        for session in away:
            session.close()

    def _clean_always(self) -> None:
        while not self._ended.wait(CHECK_EVERY):
            self.clean()
            with self._lock:
                used = max((one.used for one in self._sessions.values()), default=0.0)
                running = any(one.running for one in self._sessions.values())
            if not running and time.monotonic() - used > CHECK_EVERY:
                hand_back_memory()

    def _count(self) -> int:
        return len(self._sessions) + len(self._away)

    @property
    def live(self) -> int:
        """How many have a page, or a script that uses them."""
        with self._lock:
            return len(self._sessions)

    def close(self) -> None:
        """End all sessions and remove what they left."""
        self._ended.set()
        for key in list(self._sessions):
            self.drop(key)
        for visitor in list(self._away):
            self._away.pop(visitor).close()
        self.queue.close()
        shutil.rmtree(self.folder, ignore_errors=True)
