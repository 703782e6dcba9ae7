"""The models of checkpoints/ as a list: those that can be used, and those that cannot, each with its reason.

print(table())                    # what --list-models prints
generator = open_model("mobile-ffhq", device)
"""

import torch

from common.commandline import UserError
from draggan import generators
from draggan.generators import DEFAULT_MODEL, Generator, ModelError, class_name, load_generator, survey

MOST_CLASSES = 100_000


def unusable() -> dict[str, str]:
    """Files in checkpoints/ that look like models and cannot be used: name → why, in one line."""
    return {name: verdict.problem for name, verdict in survey().items() if verdict.problem is not None}


def table() -> str:
    """A line for each model."""
    default = generators.CHECKPOINTS / f"{DEFAULT_MODEL}.safetensors"
    rows = [(DEFAULT_MODEL, "" if default.is_file() else "not here; python download_models.py fetches it")]
    for name, verdict in survey().items():
        words = f"classes 0 to {verdict.classes - 1}: --class N" if verdict.classes else ""
        rows.append((name, words if verdict.problem is None else f"cannot be used: {verdict.problem}"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {words}".rstrip() for name, words in rows)


def model_name(model: str, label: int | None) -> str:
    """The name of a model that draws one class, of --model and --class. UserError for a class that cannot be."""
    if label is not None and not 0 <= label < MOST_CLASSES:
        raise UserError(f"--class {label}: classes are counted from 0")
    return class_name(model, label)


def open_model(name: str, device: torch.device) -> Generator:
    """A generator by name. UserError where it cannot be used."""
    try:
        return load_generator(name, device)
    except ModelError as error:
        raise UserError(str(error)) from None
