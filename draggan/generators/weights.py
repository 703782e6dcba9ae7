"""StyleGAN2 files in, weights out: recognised by content, read as plain data, converted once.

Known files: NVIDIA's pickles (stylegan2-ada-pytorch, stylegan3 and the models that DragGAN lists, and the
older TensorFlow ones), whole modules that torch.save wrote (pivotal tuning's), checkpoints of rosinality's
stylegan2-pytorch and its many relatives (a state dict under a name of found.py), and our own safetensors.

All are read by plain_pickle.py, where no code in a file can run. The result is written beside the file, as
``NAME.stylegan2.safetensors``, which opens in a fraction of the time; it is made anew when the file changes.

`survey` looks into every file of a folder, whatever is in it: a model, something else, or a file that is broken,
hostile or of a network that cannot be used here, with the reason.
"""

import hashlib
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .base import ModelError
from .found import STYLEGAN3, find_generator
from .nvidia import from_nvidia, from_tensorflow
from .plain_objects import Refused, one_line, shown
from .plain_pickle import Foreign, outline
from .rosinality import from_rosinality
from .stylegan2 import StyleGAN2, mean_w
from .stylegan2_layers import Config
from .tensor_table import State, check_header, check_numbers, file_kind, read_json, read_tensors, reason

NOT_MODELS = (".part", ".json", ".md", ".txt", ".lock", ".npz", ".npy", ".draggan")
# Of a file with such an ending, or with none, one wants to know why it is not in the list.
MODELS = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".tar", ".bin", ".safetensors", "")
CONVERTED = ".stylegan2.safetensors"
DIRECTIONS = "-directions.safetensors"
FORMATS = ("stylegan2-1", "stylegan2-2")  # of our safetensors; the second one may know classes
FORMAT = FORMATS[-1]


# --- which files are models -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What a file is: a model, with the number of its classes, or one that cannot be used, and why."""

    path: Path
    problem: str | None = None
    classes: int = 0


def survey(folder: Path) -> dict[str, Verdict]:
    """The StyleGAN2 models in a folder by name, and files that look like models and cannot be used.

    Their content tells: any file name will do. The name is the file's without its ending; where two files share
    it, the later one keeps its ending, and so does one that cannot be used. A converted copy stands for its source
    where that is gone.
    """
    found: dict[str, Verdict] = {}
    verdicts = [(path, verdict) for path in _files(folder) if (verdict := inspect(path)) is not None]
    for path, verdict in sorted(verdicts, key=lambda each: each[1].problem is not None):
        name, full = _stem(path), one_line(path.name)
        found[full if name in found else name] = verdict
    return found


def find_models(folder: Path) -> dict[str, Path]:
    """Names and files of the StyleGAN2 models in a folder that can be used."""
    return {name: verdict.path for name, verdict in survey(folder).items() if verdict.problem is None}


def find_file(folder: Path, name: str) -> Path | None:
    """The file of that name, with or without its ending: a model, or one that cannot be used. Others are not opened."""
    paths = _files(folder)
    alike = [path for path in paths if one_line(path.name) == name] or [p for p in paths if _stem(p) == name]
    if len(alike) > 1:
        alike.sort(key=lambda path: (verdict := inspect(path)) is None or verdict.problem is not None)
    return alike[0] if alike else None


def _files(folder: Path) -> list[Path]:
    """The files that may be models, copies last."""
    try:
        paths = [p for p in sorted(folder.iterdir()) if p.suffix not in NOT_MODELS and p.name[0] != "."]
    except OSError:
        return []

    def counts(path: Path) -> bool:
        source = path.with_name(path.name.removesuffix(CONVERTED))
        try:
            return path.is_file() and (source == path or not source.exists())
        except OSError:
            return False

    return sorted(filter(counts, paths), key=lambda path: path.name.endswith(CONVERTED))


def _stem(path: Path) -> str:
    return one_line(Path(path.name.removesuffix(CONVERTED)).stem)


_inspected: dict[tuple[Path, int, int], Verdict | None] = {}


def recognise(path: Path) -> bool:
    """True for a StyleGAN2 file that can be used."""
    verdict = inspect(path)
    return verdict is not None and verdict.problem is None


def inspect(path: Path) -> Verdict | None:
    """What a file is; None for something else than a model. Its numbers are not read.

    The answer is kept until the file changes. Nothing is raised, whatever is in the file.
    """
    try:
        status = path.stat()
        key = (path, status.st_size, status.st_mtime_ns)
        if key not in _inspected:
            _inspected[key] = _inspect(path) if path.is_file() else None
        return _inspected[key]
    except OSError:
        return None


def _inspect(path: Path) -> Verdict | None:
    named = path.suffix.lower() in MODELS and not path.name.endswith(DIRECTIONS)
    try:
        kind = file_kind(path)[0]
        if kind == "safetensors":
            return _inspect_ours(path)
        if kind == "unknown" and not named:
            return None
        config, state = read(path, check=True)
        _check_shapes(StyleGAN2, config, state)
        return Verdict(path, classes=config.classes)
    except Foreign:
        return None
    except Exception as error:  # no file may keep the others from being listed
        return Verdict(path, reason(error)) if named else None


def _inspect_ours(path: Path) -> Verdict | None:
    check_header(path)
    with safe_open(path, "pt") as file:
        if not str((file.metadata() or {}).get("format")).startswith("stylegan2-"):
            return None
    return Verdict(path, classes=read_ours(path, check=True)[0].classes)


# --- loading ----------------------------------------------------------------------------------------------


def load(path: Path, name: str, device: torch.device | str = "cpu") -> StyleGAN2:
    """The generator in a file, weights frozen, on the device; a converted copy is used or made.

    Raises ModelError, in one line, for a file that is not a readable StyleGAN2.
    """
    copy = path.with_name(path.name + CONVERTED)
    try:
        model = None
        if file_kind(path)[0] == "safetensors":
            copy = path
        if copy == path or _is_copy_of(copy, path):
            try:
                model = build(*read_ours(copy), name)
            except Exception:  # a broken copy is made anew
                if copy == path:
                    raise
        if model is None:
            config, state = read(path)
            model = build(config, state, name)
            try:
                write_ours(copy, config, model.state_dict(), source=path)
            except (OSError, SafetensorError) as error:
                warnings.warn(f"{copy} cannot be written ({error}): {path.name} is read anew", stacklevel=2)
    except Exception as error:  # whatever is met in a file that is not trusted
        raise ModelError(
            f"{one_line(path)}: {reason(error)}; take another file, or fetch this one again"
        ) from None
    return model.to(device, memory_format=torch.channels_last).eval()


def build(config: Config, state: State, name: str) -> StyleGAN2:
    """The generator with these weights; Refused where a shape is not what the configuration needs."""
    model = _check_shapes(lambda config: StyleGAN2(config, name), config, state)
    check_numbers(state)
    model.load_state_dict(state | {"mean_w": state.get("mean_w", torch.zeros(model.w_dim))}, assign=True)
    model.requires_grad_(False)
    if "mean_w" not in state:
        model.mean_w = mean_w(model)
        check_numbers({"mean_w": model.mean_w})
    return model


def _check_shapes(make, config: Config, state: State) -> StyleGAN2:
    """A model without numbers. Refused where the state is not what it needs."""
    with torch.device("meta"):
        model = make(config)
    wanted = model.state_dict()
    for key in wanted:
        if key not in state and key != "mean_w":
            raise Refused(f"{key} is missing")
        if key in state and state[key].shape != wanted[key].shape:
            raise Refused(
                f"{key} has the shape {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
            )
    if unknown := state.keys() - wanted.keys():
        raise Refused(f"{min(unknown)} belongs to no layer")
    return model


def read(path: Path, check: bool = False) -> tuple[Config, State]:
    """Configuration and weights of a StyleGAN2 file of any known kind; Refused or OSError if it is none.

    check: everything but the numbers is read; the weights are without numbers (blank.py).
    """
    kind, start = file_kind(path)
    if kind == "unknown":
        raise Refused("it is neither a pickle, nor a PyTorch checkpoint, nor a safetensors file")
    if kind == "safetensors":
        return read_ours(path, check)
    try:
        found = find_generator(outline(path))
        if found is None:
            raise Foreign("there is no generator in it that is known (G_ema, g_ema, state_dict and others)")
        about = " ".join([path.stem, *found.about])
        convert = {"nvidia": from_nvidia, "tensorflow": from_tensorflow}.get(found.kind)
        if convert:
            return convert(found.node, path.stat().st_size, about, check)
        return from_rosinality(found, path.stat().st_size, about, check)
    except Refused as error:
        # A part of it that cannot be read is not what matters then.
        raise (Refused(STYLEGAN3) if b"SynthesisInput" in start else error) from None
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
        raise Refused("the objects in it are not laid out as in any known StyleGAN2 file") from None


# --- our safetensors --------------------------------------------------------------------------------------


def read_ours(path: Path, check: bool = False) -> tuple[Config, State]:
    """Configuration and weights from a converted copy. Refused or SafetensorError if it is none."""
    check_header(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    if metadata.get("format") not in FORMATS:
        raise Refused(f"it is not a {FORMAT} file")
    try:
        config = Config.from_dict(read_json(metadata["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"its configuration is unreadable ({shown(error, 200)})") from None
    with torch.device("meta"):
        wanted = StyleGAN2(config).state_dict()
    return config, read_tensors(path, wanted, check)


def write_ours(path: Path, config: Config, state: State, source: Path | None = None) -> None:
    """The weights as safetensors, in place in one step; where they came from is noted inside."""
    metadata = {"format": FORMAT, "config": json.dumps(config.as_dict())}
    if source is not None:
        digest = hashlib.sha256()
        with open(source, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        metadata |= {"source": one_line(source.name), "source_sha256": digest.hexdigest()} | _stamp(source)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as stream:
            _write_safetensors(stream, state, metadata)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _write_safetensors(stream, state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """float32 tensors one after the other: the library's own function holds all of them twice."""
    header, at = {"__metadata__": metadata}, 0
    for key, tensor in state.items():
        size = 4 * tensor.numel()
        header[key] = {"dtype": "F32", "shape": [*tensor.shape], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    stream.write(len(text).to_bytes(8, "little") + text)
    for tensor in state.values():
        stream.write(tensor.detach().cpu().float().contiguous().numpy().astype("<f4", copy=False).tobytes())


def _stamp(path: Path) -> dict[str, str]:
    status = path.stat()
    return {"source_size": str(status.st_size), "source_mtime": str(status.st_mtime_ns)}


def _is_copy_of(copy: Path, source: Path) -> bool:
    """True if the converted copy was made of the source as it is now."""
    try:
        check_header(copy)
        with safe_open(copy, "pt") as file:
            metadata = file.metadata() or {}
        return (
            metadata.items() >= (_stamp(source) | {"format": FORMAT, "source": one_line(source.name)}).items()
        )
    except (OSError, Refused, SafetensorError):
        return False
