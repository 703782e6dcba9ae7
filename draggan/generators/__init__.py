"""Generators behind one interface: `load_generator` gives one by name, `Generator` says what it can do."""

import contextlib
import ctypes
import re
import sys
from pathlib import Path

import torch

from . import mobile_stylegan, weights
from .base import DEFAULT_PSI, Generator, ModelError
from .directions import Direction, Directions, directions_file, read_directions, save_directions
from .region import ContinuedGenerator, RegionGenerator
from .stylegan2 import fast_dtype

__all__ = [
    "CHECKPOINTS",
    "DEFAULT_MODEL",
    "DEFAULT_PSI",
    "ContinuedGenerator",
    "Direction",
    "Directions",
    "Generator",
    "ModelError",
    "RegionGenerator",
    "class_name",
    "load_directions",
    "load_generator",
    "models",
    "save_directions",
    "split_class",
    "survey",
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


def survey() -> dict[str, weights.Verdict]:
    """The same but for the default model, with the number of classes, and with files that cannot be used, and why."""
    return {k: v for k, v in weights.survey(CHECKPOINTS).items() if k != DEFAULT_MODEL}


def class_name(model: str, label: int | None) -> str:
    """The name under which `load_generator` gives a conditional model that draws one class: "cars" and 3 → "cars@3"."""
    return model if label is None else f"{model}@{label}"


def split_class(name: str) -> tuple[str, int | None]:
    """The inverse: "cars@3" → ("cars", 3). A file may be called so; its name is the first that counts."""
    found = re.fullmatch(r"(.+)@(\d{1,5})", name)
    if found is None or weights.find_file(CHECKPOINTS, name):
        return name, None
    return found[1], int(found[2])


def load_generator(name: str = DEFAULT_MODEL, device: torch.device | str = "cpu") -> Generator:
    """The generator of that name, weights frozen, ready on the device. Other files are not opened.

    Raises ModelError for an unknown name, a file that is not there and a file that is broken.
    """
    base, label = split_class(name)
    default = base == DEFAULT_MODEL
    path = CHECKPOINTS / f"{DEFAULT_MODEL}.safetensors" if default else weights.find_file(CHECKPOINTS, base)
    if path is None:
        raise ModelError(
            f"no model {base!r} in {CHECKPOINTS}; there: {', '.join(models())}; what can be fetched: "
            "python download_models.py --list"
        )
    if torch.device(device).type == "cpu":
        keep_freed_memory()
    if not default:
        model = weights.load(path, base, device)
        model.feature_dtype = fast_dtype(device)
        return model if label is None else model.of_class(label)
    if label is not None:
        raise ModelError(f"{base} has no class {label}; its classes: none")
    if not path.is_file():
        raise ModelError(f"{path} is not there; fetch it with: python download_models.py {base}")
    try:
        return mobile_stylegan.load(path, device)
    except Exception as error:  # whatever is met in a file that is not trusted
        raise ModelError(
            f"{path} is broken ({weights.reason(error)}); delete it and fetch it again: "
            f"python download_models.py {base}"
        ) from None


def load_directions(generator: Generator) -> Directions | None:
    """The learned directions of a generator; None where there are none. ModelError for a broken or foreign file."""
    name, _ = split_class(generator.name)
    path = directions_file(generator.name, CHECKPOINTS) or directions_file(name, CHECKPOINTS)
    return read_directions(path, generator) if path else None


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for all threads to reuse, instead of handing it back to the system at once.

    Every step frees and takes activations of 8-64 MiB. Taken anew from the system each time, their pages
    are zeroed again, and a 1024x1024 image takes more than twice as long. Without the last setting each thread
    that ever drew would keep some for itself: gigabytes, where many people use an app. Does nothing without glibc.
    Threads that have memory of their own already go on using it.
    """
    if sys.platform != "linux":
        return
    trim_threshold, mmap_max, arena_max = -1, -4, -8  # M_TRIM_THRESHOLD, ... of <malloc.h>
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 1 << 30)
    mallopt(arena_max, 1)


def hand_back_memory() -> None:
    """Give what was kept back to the system, when nothing is going on. The next image takes a little longer."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # without glibc
            ctypes.CDLL(None).malloc_trim(0)
