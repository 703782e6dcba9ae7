"""Learned directions of a generator: what an edit changes in W+, in one step instead of a drag.

    directions = load_directions(generator)       # None where none were learned
    change = directions.change("smile", styles)   # (1, num_rows, w_dim), of the edit at its default strength

One small safetensors file a generator, made by learn_directions.py. That of the default generator lies beside
this module; others are in checkpoints/, where one of the default generator would go before ours.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from .base import Generator, ModelError
from .plain_objects import Refused, one_line, shown
from .tensor_table import MAX_NUMBERS, check_header, check_numbers, read_json, reason

SHIPPED = Path(__file__).resolve().parent
ENDING = "-directions.safetensors"
FORMAT = "draggan-directions 1"
MOST_TENSORS = 3_000
LARGEST = 1e6  # of the numbers: with larger ones what an edit adds would be none any more


@dataclass(frozen=True)
class Direction:
    """change = mean + Σ_k (coefficients[k] · (w - mean_w)) components[k]; without components the mean alone."""

    mean: Tensor  # (rows, w_dim), the first rows of W+
    components: Tensor | None = None  # (K, rows, w_dim)
    coefficients: Tensor | None = None  # (K, w_dim)

    def change(self, w: Tensor, num_rows: int) -> Tensor:
        """The change (1, num_rows, w_dim) for a face at w (w_dim,), given as its distance to the mean w."""
        change = self.mean
        if self.components is not None:
            change = change + torch.einsum("k,krw->rw", self.coefficients @ w, self.components)
        full = torch.zeros(1, num_rows, change.shape[1], dtype=w.dtype, device=w.device)
        full[0, : len(change)] = change
        return full


@dataclass(frozen=True)
class Directions:
    """All directions of one generator, and how they were made."""

    edits: dict[str, Direction]
    mean_w: Tensor  # (w_dim,) of the generator they were learned on
    made: dict = field(default_factory=dict)

    def __contains__(self, edit: str) -> bool:
        return edit in self.edits

    def change(self, edit: str, styles: Tensor) -> Tensor:
        """What an edit at its default strength adds to styles (1, num_rows, w_dim)."""
        w = styles[0, : len(self.edits[edit].mean)].mean(dim=0) - self.mean_w
        return self.edits[edit].change(w, styles.shape[1])


def directions_file(name: str, checkpoints: Path) -> Path | None:
    """Where the directions of a generator of that name are: in checkpoints/, else beside this module, else None."""
    paths = [folder / f"{name}{ENDING}" for folder in (checkpoints, SHIPPED)]
    return next((path for path in paths if path.is_file()), None)


def save_directions(path: Path, directions: Directions) -> None:
    """Write a file that `read_directions` reads; how it was made goes into its metadata."""
    tensors = {"mean_w": directions.mean_w}
    for edit, direction in directions.edits.items():
        for part in ("mean", "components", "coefficients"):
            if getattr(direction, part) is not None:
                tensors[f"{edit}.{part}"] = getattr(direction, part)
    tensors = {name: tensor.detach().cpu().float().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, path, {"format": FORMAT, "made": json.dumps(directions.made)})


def read_directions(path: Path, generator: Generator) -> Directions:
    """The directions in a file, for this generator.

    Raises ModelError for a file that is broken, is something else, or was made for another generator.
    """
    again = f"delete it, or learn it anew: python draggan/learn_directions.py --model {generator.base_name}"
    try:
        metadata, tensors = _read(path)
        if metadata.get("format") != FORMAT:
            raise ModelError(f"{path} holds no directions; {again}")
        made, mean_w = read_json(metadata["made"]), tensors.pop("mean_w")
        if not isinstance(made, dict):
            raise Refused("it does not say how it was made")
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            edit, _, part = name.rpartition(".")
            parts.setdefault(edit, {})[part] = tensor.to(generator.device, generator.dtype)
        edits = {edit: Direction(**tensors) for edit, tensors in parts.items()}
    except ModelError:
        raise
    except Exception as error:  # whatever is met in a file that is not trusted
        raise ModelError(f"{one_line(path)} is broken ({reason(error)}); {again}") from None
    mean_w = mean_w.to(generator.device, generator.dtype)
    same = mean_w.shape == generator.mean_w.shape and torch.allclose(mean_w, generator.mean_w, atol=1e-3)
    if not same or any(not _fits(direction, generator) for direction in edits.values()):
        raise ModelError(f"{path} was made for another generator than {generator.name}; {again}")
    return Directions(edits, mean_w, made)


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors, float32. Refused for tensors that no directions have."""
    check_header(path)
    with safe_open(path, "pt") as file:
        names = list(file.keys())
        sizes = [math.prod(file.get_slice(name).get_shape()) for name in names]
        if len(names) > MOST_TENSORS or sum(sizes) > MAX_NUMBERS:
            raise Refused("it has more numbers than any directions")
        tensors = {name: file.get_tensor(name).float() for name in names}
        metadata = file.metadata() or {}
    check_numbers(tensors)
    for name, tensor in tensors.items():
        if tensor.numel() and float(tensor.abs().max()) > LARGEST:
            raise Refused(f"{shown(name)} has numbers above {LARGEST:,.0f}")
    return metadata, tensors


def _fits(direction: Direction, generator: Generator) -> bool:
    rows, width = direction.mean.shape if direction.mean.ndim == 2 else (0, 0)
    if not (0 < rows <= generator.num_rows and width == generator.w_dim):
        return False
    if (direction.components is None) != (direction.coefficients is None):
        return False
    if direction.components is None:
        return True
    k = len(direction.components)
    return direction.components.shape == (k, rows, width) and direction.coefficients.shape == (k, width)
