"""The files of one session, in a folder of their own that goes with it."""

import secrets
import shutil
import threading
from pathlib import Path

import numpy as np

from draggan.app import files
from draggan.app.texts import TranslatedError

OLD_IMAGES = 8  # drawn images that stay, because a slow browser may still be asking for them


class Folder:
    """May be used from any thread."""

    def __init__(self, parent: Path):
        self.path = parent / secrets.token_hex(8)
        self.path.mkdir(parents=True)
        self._lock, self._files, self._drawn, self._removed = threading.Lock(), 0, [], False
        self.alone = threading.RLock()  # for who puts several files in the place of others

    def new(self, kind: str) -> Path:
        """A path that was not given before. TranslatedError where the session has ended."""
        with self._lock:
            if self._removed:
                raise TranslatedError("closed")
            self._files += 1
            return self.path / f"{self._files:05d}.{kind}"

    def draw(self, image: np.ndarray, note: str = files.AI_MADE) -> Path:
        """An image (H, W, 3) uint8 to look at: a JPEG that is gone when some more were drawn."""
        path = files.write_jpeg(self.new("jpg"), files.enlarged(image), note=note)
        with self._lock:
            self._drawn.append(path)
            old, self._drawn = self._drawn[:-OLD_IMAGES], self._drawn[-OLD_IMAGES:]
        for each in old:
            each.unlink(missing_ok=True)
        return path

    def remove(self) -> None:
        with self._lock:
            self._removed = True
        shutil.rmtree(self.path, ignore_errors=True)
