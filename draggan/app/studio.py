"""What the people at one device share: models, landmarks, the line of drags, and the list of live sessions.

studio = Studio(device)
session = studio.session("somebody")          # opened on the first call
studio.drop("somebody")
studio.close()
"""

import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from draggan.app.session import Session
from draggan.app.texts import Mistake
from draggan.app.turns import Turns
from draggan.generators import (
    DEFAULT_MODEL,
    Directions,
    Generator,
    ModelError,
    load_directions,
    load_generator,
)
from draggan.landmarks import Face, LandmarkDetector, landmark_detector
from draggan.perceptual import Perceptual

LIVE_SESSIONS = 32
IDLE_SECONDS = 30 * 60
LOOK_AFTER_SECONDS = 60  # how often idle sessions are looked for when nobody comes
LOADED_MODELS = 2


class SharedDetector:
    """A landmark detector, made on its first use; one picture at a time, because detectors keep a state.

    It has the methods that the detector has. Mistake where the detector's weights are missing or broken.
    """

    def __init__(self, device: torch.device):
        self._device, self._lock, self._detector = device, threading.Lock(), None

    @property
    def name(self) -> str:
        return self._detector.name if self._detector else "landmarks"

    def _made(self) -> LandmarkDetector:
        with self._lock:
            if self._detector is None:
                try:
                    self._detector = landmark_detector("auto", self._device)
                except ModelError as error:
                    raise Mistake("no_landmarks", reason=str(error)) from None
            return self._detector

    def detect(self, image: np.ndarray) -> list[Face]:
        """Faces in an image, largest first."""
        detector = self._made()
        with self._lock:
            return detector.detect(image)

    def __getattr__(self, name: str):
        """Methods that not every detector has: detect_all, detect_in."""
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self._made(), name)

        def one_at_a_time(*inputs):
            with self._lock:
                return method(*inputs)

        return one_at_a_time


class Studio:
    """May be used from any thread. `close` ends it."""

    def __init__(self, device: torch.device | str = "cpu", model: str = DEFAULT_MODEL, waiting: int = 8):
        """model: what a session begins with; waiting: how many drags may wait for their turn."""
        self.device, self.model = torch.device(device), model
        self.turns = Turns(waiting)
        self.detector = SharedDetector(self.device)
        self.folder = Path(tempfile.mkdtemp(prefix="draggan-"))
        self._lock, self._loading = threading.Lock(), threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._generators: OrderedDict[str, Generator] = OrderedDict()
        self._directions: dict[str, tuple[Directions | None, str | None]] = {}
        self._perceptual: Perceptual | None = None
        self._starts: OrderedDict[tuple, tuple] = OrderedDict()
        self._ended = threading.Event()
        threading.Thread(target=self._look_after, name="idle sessions", daemon=True).start()

    # --- models ---------------------------------------------------------------------------------------------

    def generator(self, name: str) -> Generator:
        """The model of that name, loaded once; the last few stay. Mistake if it is missing or broken."""
        with self._loading:
            if name not in self._generators:
                try:
                    self._generators[name] = load_generator(name, self.device)
                except ModelError as error:
                    raise Mistake("bad_model", model=name, reason=str(error)) from None
                while len(self._generators) > LOADED_MODELS:
                    self._generators.popitem(last=False)
            self._generators.move_to_end(name)
            return self._generators[name]

    def directions(self, name: str) -> tuple[Directions | None, str | None]:
        """The learned directions of that model, and what is wrong where they cannot be used."""
        generator = self.generator(name)
        with self._loading:
            if name not in self._directions:
                try:
                    self._directions[name] = load_directions(generator), None
                except ModelError as error:
                    self._directions[name] = None, str(error)
            return self._directions[name]

    def start_of(self, model: str, seed: int, psi: float) -> tuple[torch.Tensor, np.ndarray]:
        """Styles and picture of a seed; the last few are remembered, as everybody begins with the same."""
        key = (model, seed, psi)
        with self._lock:
            if key in self._starts:
                self._starts.move_to_end(key)
                return self._starts[key]
        generator = self.generator(model)
        styles = generator.seed_styles(seed, psi)
        found = styles, generator.picture(styles)
        with self._lock:
            self._starts[key] = found
            while len(self._starts) > 4:
                self._starts.popitem(last=False)
        return found

    def perceptual(self) -> Perceptual:
        """The features that photos are compared by, read once. Mistake where their weights are missing or broken."""
        with self._loading:
            if self._perceptual is None:
                try:
                    self._perceptual = Perceptual(self.device)
                except ModelError as error:
                    raise Mistake("failed", reason=str(error)) from None
            return self._perceptual

    # --- sessions -------------------------------------------------------------------------------------------

    def session(self, key: str) -> Session:
        """The session of that key, opened if need be. Mistake if too many are live."""
        if self.live >= LIVE_SESSIONS:
            self.clean()
        with self._lock:
            if key not in self._sessions:
                if len(self._sessions) >= LIVE_SESSIONS:
                    raise Mistake("full")
                self._sessions[key] = Session(self)
            session = self._sessions[key]
            session.used = time.monotonic()
            return session

    def drop(self, key: str) -> None:
        """End a session: its drag stops, its memory and files go. Nothing happens for an unknown one."""
        with self._lock:
            session = self._sessions.pop(key, None)
        if session:
            session.close()

    def clean(self, idle: float | None = None) -> None:
        """End the sessions that nobody has used for so many seconds and that drag nothing."""
        idle = IDLE_SECONDS if idle is None else idle
        now = time.monotonic()
        with self._lock:
            old = [key for key, one in self._sessions.items() if now - one.used > idle and not one.running]
        for key in old:
            self.drop(key)

    def _look_after(self) -> None:
        while not self._ended.wait(LOOK_AFTER_SECONDS):
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
        self.turns.close()
        shutil.rmtree(self.folder, ignore_errors=True)
