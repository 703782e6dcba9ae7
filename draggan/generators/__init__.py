"""Generators behind one interface: `load_generator` gives one by name, `Generator` says what it can do."""

import ctypes
import sys
from pathlib import Path

import torch
from safetensors import SafetensorError

from . import mobile_stylegan, weights
from .base import DEFAULT_PSI, Generator, ModelError
from .directions import Direction, Directions, directions_file, read_directions, save_directions
from .region import RegionGenerator
from .stylegan2 import fast_dtype

__all__ = [
    "CHECKPOINTS",
    "DEFAULT_MODEL",
    "DEFAULT_PSI",
    "Direction",
    "Directions",
    "Generator",
    "ModelError",
    "RegionGenerator",
    "load_directions",
    "load_generator",
    "models",
    "save_directions",
]

CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"
DEFAULT_MODEL = "mobile-ffhq"


def models() -> dict[str, Path]:
    """Names that `load_generator` knows, with the file that each is read from.

    The default model is listed whether its file is there or not, and besides it every StyleGAN2 file in
    checkpoints/, recognised by its content and named like the file without its ending.
    """
    default = {DEFAULT_MODEL: CHECKPOINTS / f"{DEFAULT_MODEL}.safetensors"}
    return default | {k: v for k, v in weights.find_models(CHECKPOINTS).items() if k not in default}


def load_generator(name: str = DEFAULT_MODEL, device: torch.device | str = "cpu") -> Generator:
    """The generator of that name, weights frozen, ready on the device.

    Raises ModelError for an unknown name, a file that is not there and a file that is broken.
    """
    known = models()
    path = known.get(name) or weights.find_file(CHECKPOINTS, name)  # the latter says what is wrong with it
    if path is None:
        raise ModelError(
            f"no model {name!r} in {CHECKPOINTS}; there: {', '.join(known)}; what can be fetched: "
            "python download_models.py --list"
        )
    if torch.device(device).type == "cpu":
        keep_freed_memory()
    if name != DEFAULT_MODEL:
        model = weights.load(path, name, device)
        model.feature_dtype = fast_dtype(device)
        return model
    if not path.is_file():
        raise ModelError(f"{path} is not there; fetch it with: python download_models.py {name}")
    try:
        return mobile_stylegan.load(path, device)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{path} is broken ({reason}); delete it and fetch it again: python download_models.py {name}"
        ) from None


def load_directions(generator: Generator) -> Directions | None:
    """The learned directions of a generator; None where there are none. ModelError for a broken or foreign file."""
    path = directions_file(generator.name, CHECKPOINTS)
    return read_directions(path, generator) if path else None


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for reuse instead of handing it back to the system at once.

    Every step frees and takes activations of 8-64 MiB. Taken anew from the system each time, their pages
    are zeroed again, and a 1024x1024 image takes more than twice as long. Does nothing without glibc.
    """
    if sys.platform != "linux":
        return
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of <malloc.h>
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 1 << 30)
