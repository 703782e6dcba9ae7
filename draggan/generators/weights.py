"""StyleGAN2 files in, weights out: recognised by content, read as plain data, converted once.

Known files: NVIDIA's pickles (stylegan2-ada-pytorch, stylegan3 and the models that DragGAN lists, and the
older TensorFlow ones), checkpoints of rosinality's stylegan2-pytorch and its many relatives (a state dict,
most often under ``g_ema``), and our own safetensors.

Pickles are read by plain_pickle.py, where no code in a file can run. For a checkpoint it checks what is
claimed, and torch.load(weights_only=True) reads it then. The result is written beside the file, as
``NAME.stylegan2.safetensors``, which opens in a fraction of the time; it is made anew when the file changes.
"""

import hashlib
import json
import os
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .base import ModelError
from .nvidia import from_nvidia, from_tensorflow
from .plain_objects import Instance, Persistent, Refused
from .plain_pickle import Machine, outline, texts
from .rosinality import averaged, from_rosinality
from .stylegan2 import StyleGAN2, mean_w
from .stylegan2_layers import Config
from .tensor_table import State, file_kind

NOT_MODELS = (".part", ".json", ".md", ".txt", ".lock")
CONVERTED = ".stylegan2.safetensors"
FORMAT = "stylegan2-1"  # of our safetensors


# --- which files are models -------------------------------------------------------------------------------


def find_models(folder: Path) -> dict[str, Path]:
    """Names and files of the StyleGAN2 models in a folder, by their content: any file name will do.

    The name is the file's without its ending; where two files share it, the later one keeps its ending.
    A converted copy stands for its source where that is gone.
    """
    found: dict[str, Path] = {}
    try:
        paths = [p for p in sorted(folder.iterdir()) if p.suffix not in NOT_MODELS and p.name[0] != "."]
    except OSError:
        return found
    for path in sorted(paths, key=lambda p: p.name.endswith(CONVERTED)):
        is_copy = path.name.endswith(CONVERTED)
        name = Path(path.name.removesuffix(CONVERTED)).stem
        if is_copy and path.with_name(path.name.removesuffix(CONVERTED)).exists():
            continue
        if recognise(path):
            found[path.name if name in found else name] = path
    return found


def find_file(folder: Path, name: str) -> Path | None:
    """A file of that name, with or without its ending, be it a model or not."""
    if not folder.is_dir():
        return None
    paths = [p for p in sorted(folder.iterdir()) if p.suffix not in NOT_MODELS and p.is_file()]
    return next((p for p in paths if name in (p.name, p.stem)), None)


_recognised: dict[tuple[Path, int, int], bool] = {}


def recognise(path: Path) -> bool:
    """True for a StyleGAN2 file. Only its beginning is read; the answer is kept until the file changes."""
    try:
        status = path.stat()
        key = (path, status.st_size, status.st_mtime_ns)
        if key not in _recognised:
            _recognised[key] = path.is_file() and _recognise(path)
        return _recognised[key]
    except (Refused, OSError, SafetensorError, MemoryError):
        return False


def _recognise(path: Path) -> bool:
    kind, start = file_kind(path)
    if kind == "safetensors":
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("format") == FORMAT
    if kind == "pickle":
        words = texts(start)
        old = {"dnnlib.tflib.network Network", "dnnlib.tflib.network"} & words
        return bool(old) or "SynthesisBlock" in words  # a class of StyleGAN2, not of StyleGAN3
    return kind == "checkpoint" and averaged(outline(path)) is not None


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
            except (Refused, SafetensorError, OSError, RuntimeError):
                if copy == path:
                    raise
        if model is None:
            config, state = read(path)
            model = build(config, state, name)
            try:
                write_ours(copy, config, model.state_dict(), source=path)
            except (OSError, SafetensorError) as error:
                warnings.warn(f"{copy} cannot be written ({error}): {path.name} is read anew", stacklevel=2)
    except Refused as error:
        raise ModelError(f"{path}: {error}; take another file, or fetch this one again") from None
    except (OSError, SafetensorError, RuntimeError, MemoryError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path} cannot be read ({reason}); fetch it again") from None
    return model.to(device, memory_format=torch.channels_last).eval()


def build(config: Config, state: State, name: str) -> StyleGAN2:
    """The generator with these weights; Refused where a shape is not what the configuration needs."""
    with torch.device("meta"):
        model = StyleGAN2(config, name)
    for key, wanted in model.state_dict().items():
        if key not in state and key != "mean_w":
            raise Refused(f"{key} is missing")
        if key in state and state[key].shape != wanted.shape:
            raise Refused(f"{key} has the shape {tuple(state[key].shape)} instead of {tuple(wanted.shape)}")
        if key in state and not state[key].isfinite().all():
            raise Refused(f"{key} has values that are not numbers")
    model.load_state_dict(state | {"mean_w": state.get("mean_w", torch.zeros(model.w_dim))}, assign=True)
    model.requires_grad_(False)
    if "mean_w" not in state:
        model.mean_w = mean_w(model)
    return model


def read(path: Path) -> tuple[Config, State]:
    """Configuration and weights of a StyleGAN2 file of any known kind; Refused or OSError if it is none."""
    try:
        return _read(path)
    except Refused:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
        raise Refused("the objects in it are not laid out as in any known StyleGAN2 file") from None


def _read(path: Path) -> tuple[Config, State]:
    kind, _ = file_kind(path)
    if kind == "unknown":
        raise Refused("it is neither a pickle, nor a PyTorch checkpoint, nor a safetensors file")
    if kind == "safetensors":
        return read_ours(path)
    if kind == "checkpoint":
        return from_rosinality(path)
    with open(path, "rb") as stream:
        content = Machine().load(stream)
    network, dataset = content, None
    if isinstance(content, dict):
        network = content.get("G_ema")
        options = content.get("training_set_kwargs")
        dataset = options.get("path") if isinstance(options, dict) else None
    elif isinstance(content, tuple) and len(content) == 3:  # TensorFlow: G, D, and G averaged
        network = content[2]
    size = path.stat().st_size
    if isinstance(network, Instance) and network.kind == "network":
        return from_tensorflow(network, size, path.stem)
    if isinstance(network, Persistent):
        return from_nvidia(network, size, f"{path.stem} {dataset if isinstance(dataset, str) else ''}")
    raise Refused("there is no generator in it that is known (G_ema)")


# --- our safetensors --------------------------------------------------------------------------------------


def read_ours(path: Path) -> tuple[Config, State]:
    """Configuration and weights from a converted copy. Refused or SafetensorError if it is none."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise Refused(f"it is not a {FORMAT} file")
        try:
            config = Config.from_dict(json.loads(metadata["config"]))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise Refused(f"its configuration is unreadable ({error})") from None
        with torch.device("meta"):
            wanted = StyleGAN2(config).state_dict()
        if wrong := wanted.keys() ^ set(file.keys()):
            raise Refused(f"{min(wrong)} is missing or not known")
        for key, tensor in wanted.items():
            if (met := file.get_slice(key).get_shape()) != [*tensor.shape]:
                raise Refused(f"{key} has the shape {tuple(met)} instead of {tuple(tensor.shape)}")
        return config, {key: file.get_tensor(key).to(torch.float32, copy=True) for key in wanted}


def write_ours(path: Path, config: Config, state: State, source: Path | None = None) -> None:
    """The weights as safetensors, in place in one step; where they came from is noted inside."""
    metadata = {"format": FORMAT, "config": json.dumps(config.as_dict())}
    if source is not None:
        digest = hashlib.sha256()
        with open(source, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        metadata |= {"source": source.name, "source_sha256": digest.hexdigest()} | _stamp(source)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, part, metadata)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _stamp(path: Path) -> dict[str, str]:
    status = path.stat()
    return {"source_size": str(status.st_size), "source_mtime": str(status.st_mtime_ns)}


def _is_copy_of(copy: Path, source: Path) -> bool:
    """True if the converted copy was made of the source as it is now."""
    try:
        with safe_open(copy, "pt") as file:
            metadata = file.metadata() or {}
        return metadata.items() >= (_stamp(source) | {"format": FORMAT, "source": source.name}).items()
    except (OSError, SafetensorError):
        return False
