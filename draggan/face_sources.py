"""Where the faces of the batch command come from: seeds here, latents of a file, too; photos in photo_batch.py.

    source = SeedSource(generator, detector, directions, psi=0.7)
    face = source.open(5, record, print)
    source.write(face, Path("0005_before.png"), None)

Each has the same three methods. A key is what the command counts: a seed, a latent's name, a photo. A part is one face
of it, which has a line in edits.jsonl; only a photo has several.
"""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from common.commandline import UserError
from draggan.edit_files import picture_path, write_picture
from draggan.face import Face, NoFaceError, Subject
from draggan.generators import Directions, Generator
from draggan.landmarks import LandmarkDetector
from draggan.latents import LatentError, read_latents, write_latent

LATENT_ENDINGS = {
    "no": (),
    "npz": (".npz",),
    "safetensors": (".safetensors",),
    "both": (".npz", ".safetensors"),
}


class SeedSource:
    """Faces of seeds."""

    def __init__(
        self, generator: Generator, detector: LandmarkDetector, directions: Directions | None, psi: float
    ):
        if not generator.is_face:
            raise NoFaceError(f"one-click edits need a face model, and {generator.name} is none")
        self.model, self.psi = (generator, detector, directions), psi

    def parts(self, key: int | str) -> list[int | str]:
        """The faces of a key."""
        return [key]

    def open(self, seed: int, record: dict, say: Callable[[str], None]) -> Face:
        """The face of a seed."""
        return Subject(*self.model, seed, self.psi).face()

    def write(self, face: Face, path: Path, record: dict | None) -> None:
        """The face's picture. record: what its metadata says of the edit; None: it is not edited."""
        write_picture(path, face.picture, record)


class LatentSource(SeedSource):
    """Faces of latents (1, num_rows, w_dim) by name, as read_latents gives them."""

    def __init__(
        self,
        generator: Generator,
        detector: LandmarkDetector,
        directions: Directions | None,
        latents: dict[str, Tensor],
    ):
        super().__init__(generator, detector, directions, psi=1.0)
        self.latents = latents

    def open(self, name: str, record: dict, say: Callable[[str], None]) -> Face:
        return Face(Subject(*self.model), self.latents[name])


def open_latents(file: str, generator: Generator) -> dict[str, Tensor]:
    """The latents of --latent. UserError where the file holds none for this generator."""
    path = Path(file)
    if not path.is_file():
        raise UserError(f"--latent {file}: there is no such file")
    try:
        return read_latents(path, generator)
    except LatentError as error:
        raise UserError(f"--latent: {error}") from None


def save_latents(face: Face, output: Path, record: dict, kinds: str) -> None:
    """W+ of an edited face beside its pictures, as --save-latent says: NNNN_latent.npz, or NAME_2_latent.npz of the
    third of several faces of a photo."""
    stem = picture_path(output, record, "latent").stem
    if "photo" in record:
        stem = f"{stem.removesuffix('_latent')}_{record['face']}_latent"
    for ending in LATENT_ENDINGS[kinds]:
        write_latent(output / f"{stem}{ending}", face.styles, face.generator.name)
