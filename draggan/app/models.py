"""What all sessions on one device share: the models, their directions, and what finds landmarks.

models = Models("cuda")
models.face("mobile-ffhq", seed=5).picture
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch

from draggan.app.settings import is_number
from draggan.app.texts import TranslatedError
from draggan.face import Face, Subject
from draggan.generators import (
    DEFAULT_MODEL,
    DEFAULT_PSI,
    Directions,
    Generator,
    ModelError,
    load_directions,
    load_generator,
    split_class,
)
from draggan.landmarks import Detection, LandmarkDetector, landmark_detector
from draggan.perceptual import Perceptual

LOADED_MODELS = 2
FACES_KEPT = 4
T = TypeVar("T")


class SharedDetector:
    """A landmark detector, made on its first use; one picture at a time, because detectors keep a state.

    It has the methods that the detector has. TranslatedError where the detector's weights are missing or broken.
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
                    raise TranslatedError("no_landmarks", reason=str(error)) from None
            return self._detector

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Faces in an image, largest first."""
        detector = self._made()
        with self._lock:
            return detector.detect(image)

    def __getattr__(self, name: str):
        """What not every detector has: methods as detect_all, limits as certain."""
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self._made(), name)
        if not callable(method):
            return method

        def one_at_a_time(*inputs):
            with self._lock:
                return method(*inputs)

        return one_at_a_time


class Models:
    """May be used from any thread."""

    def __init__(self, device: torch.device | str = "cpu", default: str = DEFAULT_MODEL):
        """default: the model that a session begins with."""
        self.device, self.default = torch.device(device), default
        self.detector = SharedDetector(self.device)
        self._lock, self._drawing = threading.RLock(), threading.Lock()
        self._generators: OrderedDict[str, Generator] = OrderedDict()
        self._directions: OrderedDict[str, tuple[Directions | None, str | None]] = OrderedDict()
        self._faces: OrderedDict[tuple, Face] = OrderedDict()
        self._perceptual: Perceptual | None = None

    def generator(self, name: str) -> Generator:
        """The model of that name, loaded once; the last few stay. TranslatedError if it is missing or broken."""

        def load() -> Generator:
            base, label = split_class(name)
            try:
                return (
                    load_generator(name, self.device)
                    if label is None
                    else self.generator(base).of_class(label)
                )
            except ModelError as error:
                raise TranslatedError("bad_model", model=name, reason=str(error)) from None

        return self._kept(self._generators, name, load, LOADED_MODELS)

    def directions(self, name: str) -> tuple[Directions | None, str | None]:
        """What was learned for that model, and what is wrong where it cannot be used."""

        def load() -> tuple[Directions | None, str | None]:
            try:
                return load_directions(self.generator(name)), None
            except ModelError as error:
                return None, str(error)

        return self._kept(self._directions, name, load, 100)

    def face(self, name: str, seed: int | None, psi: float = DEFAULT_PSI) -> Face:
        """The face of a seed, with its picture. The last few are kept, as everybody begins with the same.

        TranslatedError for a seed that is not in 0 to 2^32 - 1, and a psi that is not in 0 to 2.
        """
        key = name, *_seed_and_psi(seed, psi)
        face = self._kept(self._faces, key, lambda: self.plain_face(*key), FACES_KEPT)
        with self._drawing:  # one at a time: each takes hundreds of MiB, and one keeps all cores busy
            picture = face.picture
        return replace(face).remember(picture)  # its own, to forget what it has computed

    def plain_face(self, name: str, seed: int | None, psi: float = DEFAULT_PSI) -> Face:
        """The same, not drawn and not kept."""
        seed, psi = _seed_and_psi(seed, psi)
        directions, _ = self.directions(name)
        return Subject(self.generator(name), self.detector, directions, seed, psi).face()

    def perceptual(self) -> Perceptual:
        """What photos are compared by, read once. TranslatedError where its weights are missing or broken."""
        with self._lock:
            if self._perceptual is None:
                try:
                    self._perceptual = Perceptual(self.device)
                except ModelError as error:
                    raise TranslatedError("failed", reason=str(error)) from None
            return self._perceptual

    def _kept(self, known: OrderedDict, key, make: Callable[[], T], most: int) -> T:
        with self._lock:
            if key not in known:
                known[key] = make()
                while len(known) > most:
                    known.popitem(last=False)
            known.move_to_end(key)
            return known[key]


def _seed_and_psi(seed: object, psi: object) -> tuple[int, float]:
    """Both as what they must be. TranslatedError for anything else."""
    if not is_number(seed) or seed != int(seed) or not 0 <= seed < 2**32:
        raise TranslatedError("bad_seed")
    if not is_number(psi) or not 0 <= psi <= 2:
        raise TranslatedError("bad_psi")
    return int(seed), float(psi)
