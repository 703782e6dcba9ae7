"""Whether two runs of the same training are the same: every bit that does not depend on the clock or the place."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

CLOCK = {"seconds", "images_per_s", "elapsed", "output", "resume"}  # columns of the log, keys of a checkpoint

# It says of each run that was gone on with what it leaves out.
logging.getLogger("tensorboard").setLevel(logging.ERROR)


def differences(ours: Path, theirs: Path) -> list[str]:
    """What is not the same in two run folders, in words; [] where all of it is."""
    found = [f"left behind: {path.name}" for path in ours.rglob(".*.tmp")]
    if status(ours) != "finished":
        found.append(f"status is {status(ours)}")
    names = [
        {
            str(path.relative_to(run))
            for path in run.rglob("*")
            if path.is_file() and "tfevents" not in path.name
        }
        for run in (ours, theirs)
    ]
    if names[0] != names[1]:
        return [*found, f"files: {sorted(names[0] ^ names[1])}"]
    for name in sorted(names[0]):
        if name.endswith(".pt"):
            pair = (torch.load(run / name, map_location="cpu", weights_only=True) for run in (ours, theirs))
            found += [f"{name}: {where}" for where in unequal(*pair)]
        elif name.endswith(".png") and (ours / name).read_bytes() != (theirs / name).read_bytes():
            found.append(name)
    if log_text(ours) != log_text(theirs):
        found.append("training_log.txt")
    return found + [f"TensorBoard: {where}" for where in unequal(points(ours), points(theirs))]


def unequal(ours: object, theirs: object, where: str = "") -> Iterator[str]:
    """The places where two nests of dicts, lists, tensors and plain values differ in a bit."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        for key in ours.keys() - CLOCK:
            yield from unequal(ours[key], theirs[key], f"{where}/{key}")
    elif isinstance(ours, list | tuple) and type(ours) is type(theirs) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from unequal(one, other, f"{where}/{number}")
    elif torch.is_tensor(ours) and torch.is_tensor(theirs):
        if ours.dtype != theirs.dtype or ours.shape != theirs.shape or bits(ours) != bits(theirs):
            yield where
    elif type(ours) is not type(theirs) or repr(ours) != repr(theirs):  # so that a NaN is one
        yield where


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()


def log_text(run: Path) -> str:
    """training_log.txt without the columns of the clock."""
    lines = (run / "training_log.txt").read_text().splitlines()
    return "\n".join(
        " ".join(word for word in line.split(" ") if word.split("=")[0] not in CLOCK) for line in lines
    )


def points(run: Path) -> dict[str, list]:
    """What TensorBoard shows: {name: [(step, value)]} of all scalars, and of all pictures with their bytes."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0}).Reload()
    names = events.Tags()
    scalars = {
        name: [(point.step, point.value) for point in events.Scalars(name)]
        for name in names["scalars"]
        if name not in CLOCK and name.replace("/", "_") not in CLOCK
    }
    pictures = {
        name: [(point.step, point.encoded_image_string) for point in events.Images(name)]
        for name in names["images"]
    }
    return scalars | pictures


def status(run: Path) -> str:
    """Of status.json; "" where there is none."""
    try:
        return json.loads((run / "status.json").read_text())["status"]
    except FileNotFoundError:
        return ""
