"""The live sessions, one for each visitor.

sessions = Sessions(Models(device))
session = sessions.get("somebody")            # opened on the first call
sessions.drop("somebody")
sessions.close()
"""

import shutil
import tempfile
import threading
import time
from pathlib import Path

from draggan.app.models import Models
from draggan.app.queue import Queue
from draggan.app.session import Session
from draggan.app.texts import TranslatedError

LIVE_SESSIONS = 32
IDLE_SECONDS = 30 * 60
CHECK_EVERY = 60  # seconds; how often idle sessions are looked for when nobody comes


class Sessions:
    """May be used from any thread. `close` ends all."""

    def __init__(self, models: Models | None = None, waiting: int = 8):
        """waiting: how many tasks may wait for their turn on the device."""
        self.models, self.queue = models or Models(), Queue(waiting)
        self.folder = Path(tempfile.mkdtemp(prefix="draggan-"))
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._ended = threading.Event()
        threading.Thread(target=self._clean_always, name="idle sessions", daemon=True).start()

    def get(self, key: str) -> Session:
        """The session of that key, opened if need be. TranslatedError if too many are live."""
        if self.live >= LIVE_SESSIONS:
            self.clean()
        with self._lock:
            if key not in self._sessions:
                if len(self._sessions) >= LIVE_SESSIONS:
                    raise TranslatedError("full")
                self._sessions[key] = Session(self.models, self.queue, self.folder)
            session = self._sessions[key]
            session.used = time.monotonic()
            return session

    def known(self, key: str) -> Session | None:
        """The session of that key, if there is one."""
        with self._lock:
            return self._sessions.get(key)

    def drop(self, key: str) -> None:
        """End a session: its task stops, its memory and files go. Nothing happens for an unknown one."""
        with self._lock:
            session = self._sessions.pop(key, None)
        if session:
            session.close()

    def clean(self, idle: float | None = None) -> None:
        """End the sessions that nobody has used for so many seconds and that have nothing running."""
        idle = IDLE_SECONDS if idle is None else idle
        now = time.monotonic()
        with self._lock:
            old = [key for key, one in self._sessions.items() if now - one.used > idle and not one.running]
        for key in old:
            self.drop(key)

    def _clean_always(self) -> None:
        while not self._ended.wait(CHECK_EVERY):
            self.clean()

    @property
    def live(self) -> int:
        with self._lock:
            return len(self._sessions)

    def close(self) -> None:
        """End all sessions and remove what they left."""
        self._ended.set()
        for key in list(self._sessions):
            self.drop(key)
        self.queue.close()
        shutil.rmtree(self.folder, ignore_errors=True)
