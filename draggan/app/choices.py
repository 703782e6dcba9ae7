"""Faces to choose from: a page of random ones, or a visitor's favourites, small and soon there."""

import random
from collections.abc import Sequence
from pathlib import Path

from draggan.app import files
from draggan.app.folder import Folder
from draggan.app.models import Models
from draggan.app.texts import TranslatedError

MOST = 12  # at a time
SIDE = 128  # pixels


class Choices:
    """Methods raise TranslatedError for what a person can mend."""

    def __init__(self, folder: Folder, models: Models):
        self._folder, self._models = folder, models
        self.faces: list[tuple[str, int]] = []  # model and seed
        self.pictures: list[Path] = []

    def offer(self, model: str, psi: float, wanted: Sequence[tuple[str, int]] | None = None) -> None:
        """Draw some faces: those that are wanted, the last ones first, or random ones of a model."""
        chosen = (
            [(model, random.randrange(2**32)) for _ in range(MOST)]
            if wanted is None
            else wanted[-MOST:][::-1]
        )
        if not chosen:
            raise TranslatedError("no_favourites")
        self.close()
        for name, seed in chosen:
            small = self._models.plain_face(name, seed, psi).preview(SIDE)
            self.faces.append((name, seed))
            self.pictures.append(files.write_jpeg(self._folder.new("choice.jpg"), small))

    def get(self, index: int) -> tuple[str, int]:
        """Model and seed of one of them."""
        if not 0 <= index < len(self.faces):
            raise TranslatedError("no_such_result")
        return self.faces[index]

    def close(self) -> None:
        for path in self.pictures:
            path.unlink(missing_ok=True)
        self.faces, self.pictures = [], []
