"""Latents of faces as files: W and W+ as other programs write them, and ours for them to read.

    latents = read_latents(Path("projected_w.npz"), generator)    # {"projected_w": (1, num_rows, w_dim)}
    write_latent(Path("0003_latent.npz"), face.styles, generator.name)

NVIDIA's projector writes npz with `w`, PTI and e4e write tensors with torch.save, pSp dictionaries of file names and
npy, rosinality's projector dictionaries of dictionaries. Nothing in such a file is run: numpy reads without pickle, and
of torch's files only tensors are read, after the outline of the file was checked (generators/plain_pickle.py).
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from common.commandline import write_atomically
from draggan.generators import Generator
from draggan.generators.plain_objects import one_line
from draggan.generators.plain_pickle import outline
from draggan.generators.tensor_table import file_kind

# Names that latents have in files, the most telling one first.
KEYS = ("w_plus", "wp", "ws", "w", "projected_w", "latents", "latent", "latent_in", "styles", "dlatents")
ENDINGS = (".npz", ".safetensors")  # of what we write
FORMAT = "draggan-latent 1"
MAX_BYTES = 1 << 28  # of the numbers in a file, as float32: 100,000 faces in W, 5,000 in W+
MAX_FACES = 100_000
MAX_HEADER = 10_000  # bytes that say what an array is; NumPy's own limit
MOST_NAMES = 10_000  # that are looked through
# StyleGAN2 at 1024 pixels has 18 rows. The default generator learned to draw what it draws from the same w, and has
# a row for each of its own layers: these are the rows of StyleGAN2's layers at the same resolution.
ROWS_OF_STYLEGAN2 = 18
MOBILE_ROWS = (0, *(row for i in range(7) for row in (2 * i + 1, 2 * i + 1, 2 * i + 2)), 17)


_WANTED = "wanted are W (N, 512) or W+ (N, rows, 512) as npz, npy, safetensors or pt"
MESSAGES = {
    "unreadable": "{name} cannot be read as latents ({reason}); " + _WANTED,
    "empty": "{name} holds no numbers that are latents; " + _WANTED,
    "many": "{name} holds more than {most} faces; give fewer at once",
    "shape": "{name} has the shape {shape}; " + _WANTED,
    "rows": "{name} is W+ of {rows} rows, and {model} has {own}; give the model that it was made with, or W of one row",
    "not_finite": "{name} has values that are no numbers; make it again",
}


class LatentError(ValueError):
    """A file holds no latents that can be used; one sentence that says which, why and what to do, of a kind of
    MESSAGES."""

    def __init__(self, kind: str, **values):
        super().__init__(MESSAGES[kind].format(**values))
        self.kind, self.values = kind, values


def read_latents(path: Path | str, generator: Generator, name: str | None = None) -> dict[str, Tensor]:
    """The faces of a file as styles (1, num_rows, w_dim) each, by name.

    W (512,) and (N, 512), W+ (rows, 512), (1, rows, 512) and (N, rows, 512). (rows, 512) with as many rows as the
    generator has is one face in W+, not several in W. name: what to call the file in messages. LatentError for what
    cannot be used.
    """
    path = Path(path)
    name, stem = name or path.name, Path(name or path.name).stem
    try:
        found = _arrays(path)
    except Exception as error:  # whatever is met in a file that is not trusted
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        raise LatentError("unreadable", name=name, reason=one_line(reason)[:120]) from None
    if not found:
        raise LatentError("empty", name=name)
    faces: dict[str, Tensor] = {}
    for part, array in found.items():
        styles = _styles(array, generator, name)
        if len(faces) + len(styles) > MAX_FACES:
            raise LatentError("many", name=name, most=MAX_FACES)
        for number, one in enumerate(styles):
            words = [
                stem,
                *([part] if len(found) > 1 else []),
                *([f"{number:04d}"] if len(styles) > 1 else []),
            ]
            key = "_".join("".join(c if c.isalnum() or c in "-." else "_" for c in word) for word in words)[
                :150
            ]
            while key in faces:  # of names that differ in odd letters only
                key += "_"
            faces[key] = one[None]
    return faces


def _styles(array: np.ndarray, generator: Generator, name: str) -> Tensor:
    """(N, num_rows, w_dim) of one array. LatentError for one of another shape, or with values that are no numbers."""
    rows, width, shape = generator.num_rows, generator.w_dim, tuple(array.shape)
    if array.ndim == 1:
        array = array[None]
    if array.ndim == 2 and array.shape[0] in _plus_rows(generator):
        array = array[None]
    if array.ndim not in (2, 3) or array.shape[-1] != width or 0 in array.shape:
        raise LatentError("shape", name=name, shape=str(shape))
    if array.ndim == 3 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 3 and array.shape[1] not in _plus_rows(generator):
        raise LatentError("rows", name=name, rows=array.shape[1], model=generator.name, own=rows)
    if not np.isfinite(array).all():
        raise LatentError("not_finite", name=name)
    tensor = torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(generator.device, generator.dtype)
    if tensor.ndim == 2:
        return tensor[:, None].expand(-1, rows, -1)  # no copies: there may be many faces
    return tensor if tensor.shape[1] == rows else tensor[:, MOBILE_ROWS, :]


def _plus_rows(generator: Generator) -> tuple[int, ...]:
    """How many rows W+ may have for a generator."""
    if generator.num_rows == len(MOBILE_ROWS):
        return (generator.num_rows, ROWS_OF_STYLEGAN2)
    return (generator.num_rows,)


# --- files ------------------------------------------------------------------------------------------------


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that are latents, by name: those of the most telling key, or all of a table of faces."""
    with open(path, "rb") as stream:
        start = stream.read(8)
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES >> 20} MiB")
    if start[:6] == b"\x93NUMPY":
        found: dict[str, Any] = {"": _read_npy(path)}
    elif start[:4] == b"PK\x03\x04" and _is_npz(path):
        found = _read_npz(path)
    elif (kind := file_kind(path)[0]) == "safetensors":
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    elif kind == "checkpoint":
        outline(path)  # refuses what claims more than there is, and what no such file needs
        content = torch.load(path, map_location="cpu", weights_only=True)
        found = content if isinstance(content, dict) else {"": content}
    else:
        raise ValueError("no file of these kinds")
    return dict(_latents_of(found))


def _latents_of(found: dict) -> Iterator[tuple[str, np.ndarray]]:
    for key in KEYS:
        if (array := _as_array(found.get(key))) is not None:
            yield "", array
            return
    numbers = 0
    for number, (name, value) in enumerate(found.items()):
        if number >= MOST_NAMES:
            return
        if isinstance(value, dict):  # of one picture, by its file's name
            value = next((value[key] for key in KEYS if key in value), None)
        array = _as_array(value)
        if array is not None and array.ndim and array.shape[-1] >= 32:  # no noise, no settings
            numbers += array.size
            _check_count(numbers)
            yield Path(str(name)).stem[:80], array


def _as_array(value: Any) -> np.ndarray | None:
    """Numbers of a tensor, an array, or a list of equal ones; None for anything else."""
    if isinstance(value, list | tuple) and value and all(isinstance(one, Tensor) for one in value):
        if len({one.shape for one in value}) > 1:
            return None
        _check_count(sum(one.numel() for one in value))  # one tensor may be listed a million times
        value = torch.stack(list(value)).squeeze(1)
    if isinstance(value, Tensor) and value.is_floating_point():
        _check_count(value.numel())  # a tensor may show one number a million times
        value = value.detach().float().numpy()
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return None
    _check_count(value.size)
    return value.astype(np.float32)


def _check_count(numbers: int) -> None:
    if 4 * numbers > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES >> 20} MiB of numbers")


def _is_npz(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(".npy") for name in archive.namelist())


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:  # a small file may claim a size that fills the memory
        members = archive.infolist()
        if sum(member.file_size for member in members) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES >> 20} MiB when unpacked")
        found = {}
        for member in members[:MOST_NAMES]:
            if member.filename.endswith(".npy"):
                with archive.open(member) as stream:
                    found[member.filename.removesuffix(".npy")] = _npy(stream, member.file_size)
    return found


def _read_npy(path: Path) -> np.ndarray:
    with open(path, "rb") as stream:
        return _npy(stream, path.stat().st_size)


def _npy(stream: Any, size: int) -> np.ndarray | None:
    """An array of numbers; None for one of Python objects or of words. ValueError where it is cut off."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError("an unknown version of npy")
    width = 2 if version == (1, 0) else 4
    length = stream.read(width)
    if len(length) < width or (announced := int.from_bytes(length, "little")) > MAX_HEADER:
        raise ValueError("a header without an end")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read(io.BytesIO(length + stream.read(announced)))
    if dtype.kind != "f":
        return None
    count = int(np.prod(shape, dtype=object)) if shape else 1
    if count * dtype.itemsize > size:
        raise ValueError("cut off")
    values = np.frombuffer(stream.read(count * dtype.itemsize), dtype)
    return values.reshape(shape, order="F" if columns_first else "C")


def write_latent(path: Path, styles: Tensor, model: str) -> None:
    """Styles (1, num_rows, w_dim) as `w`, by the path's ending: npz or safetensors. UserError where it cannot."""
    tensor = styles.detach().float().cpu().contiguous().clone()
    if path.suffix == ".safetensors":
        metadata = {"format": FORMAT, "model": model}
        write_atomically(path, lambda part: save_file({"w": tensor}, part, metadata=metadata))
        return
    stream = io.BytesIO()
    np.savez(stream, w=tensor.numpy(), model=np.array(model))
    write_atomically(path, lambda part: part.write_bytes(stream.getvalue()))
