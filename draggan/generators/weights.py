"""StyleGAN2 files in, weights out: recognised by content, read as plain data, converted once.

Known files: NVIDIA's pickles (stylegan2-ada-pytorch, stylegan3 and the models that DragGAN lists, and the
older TensorFlow ones), checkpoints of rosinality's stylegan2-pytorch and its many relatives (a state dict,
most often under ``g_ema``), and our own safetensors.

Pickles are read by plain_pickle.py, where no code in a file can run. For a checkpoint it checks what is
claimed, and torch.load(weights_only=True) reads it then. The result is written beside the file, as
``NAME.stylegan2.safetensors``, which opens in a fraction of the time; it is made anew when the file changes.
"""

import argparse
import hashlib
import json
import math
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .base import ModelError
from .plain_pickle import (
    LEGACY_START,
    ZIP_MAGIC,
    Instance,
    Machine,
    Persistent,
    Refused,
    TensorClaim,
    outline,
    texts,
)
from .stylegan2 import FILTER, Config, StyleGAN2, mean_w

NOT_MODELS = (".part", ".json", ".md", ".txt", ".lock")
CONVERTED = ".stylegan2.safetensors"
FORMAT = "stylegan2-1"  # of our safetensors
PREFIX = 1 << 20  # bytes of a pickle that are looked at to recognise it
FACES = re.compile(r"ffhq|celeb|metface|(?<![a-z])(human)?faces?(?![a-z])", re.IGNORECASE)
State = dict[str, Tensor]


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
    kind, start = _kind(path)
    if kind == "safetensors":
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("format") == FORMAT
    if kind == "pickle":
        words = texts(start)
        old = {"dnnlib.tflib.network Network", "dnnlib.tflib.network"} & words
        return bool(old) or "SynthesisBlock" in words  # a class of StyleGAN2, not of StyleGAN3
    return kind == "checkpoint" and _g_ema(outline(path)) is not None


def _kind(path: Path) -> tuple[str, bytes]:
    """What sort of file it is, by its first bytes, and its beginning."""
    with open(path, "rb") as stream:
        start = stream.read(PREFIX)
    if start.startswith(ZIP_MAGIC) or start.startswith(LEGACY_START):
        return "checkpoint", start
    if start.startswith(b"\x80"):
        return "pickle", start
    return "safetensors" if start[8:9] == b"{" else "unknown", start


# --- loading ----------------------------------------------------------------------------------------------


def load(path: Path, name: str, device: torch.device | str = "cpu") -> StyleGAN2:
    """The generator in a file, weights frozen, on the device; a converted copy is used or made.

    Raises ModelError, in one line, for a file that is not a readable StyleGAN2.
    """
    copy = path.with_name(path.name + CONVERTED)
    try:
        model = None
        if _kind(path)[0] == "safetensors":
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
    kind, _ = _kind(path)
    if kind == "unknown":
        raise Refused("it is neither a pickle, nor a PyTorch checkpoint, nor a safetensors file")
    if kind == "safetensors":
        return read_ours(path)
    if kind == "checkpoint":
        return _from_rosinality(path)
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
        return _from_tensorflow(network, size, path.stem)
    if isinstance(network, Persistent):
        return _from_nvidia(network, size, f"{path.stem} {dataset if isinstance(dataset, str) else ''}")
    raise Refused("there is no generator in it that is known (G_ema)")


class Weights:
    """The tensors of a file: shapes at once, numbers when asked for, and never more than the file holds."""

    def __init__(self, shapes: Callable[[str], tuple | None], numbers: Callable[[str], Tensor], size: int):
        self.shapes, self.numbers, self.left = shapes, numbers, size

    def __contains__(self, name: str) -> bool:
        return self.shapes(name) is not None

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        """Shape of a tensor, of so many dimensions."""
        shape = self.shapes(name)
        if shape is None:
            raise Refused(f"{name} is missing")
        if len(shape) != dimensions:
            raise Refused(f"{name} has the shape {shape}")
        return shape

    def take(self, name: str, *shape: int) -> Tensor:
        """A copy of the tensor in float32; Refused unless it is there and has this shape."""
        if (met := self.shape(name, len(shape))) != shape:
            raise Refused(f"{name} has the shape {met} instead of {shape}")
        self.left -= math.prod(shape)  # at most as many numbers as the file has bytes
        if self.left < 0:
            raise Refused("the same numbers serve as many tensors")
        return self.numbers(name).float().clone(memory_format=torch.contiguous_format)


def _sizes(weights: Weights, name: str, dimensions: int = 1) -> list[int]:
    """First dimension of the tensors that ``name`` gives for 4, 8, 16, ... until one is missing."""
    sizes = []
    while (key := name.format(r=4 << len(sizes), i=len(sizes))) in weights:
        sizes.append(weights.shape(key, dimensions)[0])
    return sizes


def _config(**values) -> Config:
    try:
        return Config(**values)
    except ValueError as error:
        raise Refused(f"not a StyleGAN2 of a known kind: {error}") from None


# --- NVIDIA's pickles -------------------------------------------------------------------------------------


def _from_nvidia(generator: Persistent, size: int, about: str) -> tuple[Config, State]:
    """From the object tree of stylegan2-ada-pytorch and stylegan3 (its StyleGAN2 part)."""

    def node(path: str) -> Any:
        value = generator
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Persistent) else None
        return value

    def claim(path: str) -> TensorClaim | None:
        value = node(path)
        return value if isinstance(value, TensorClaim) else None

    def number(path: str) -> float:
        value = node(path)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise Refused(f"{path} is {type(value).__name__} instead of a number")
        return float(value)

    weights = Weights(lambda p: c.shape if (c := claim(p)) else None, lambda p: claim(p).tensor(), size)
    if "synthesis.b4.const" not in weights:
        raise Refused("it is not a StyleGAN2 (no synthesis.b4.const; StyleGAN3 files cannot be dragged here)")
    channels = _sizes(weights, "synthesis.b{r}.conv1.bias")
    fully = _sizes(weights, "mapping.fc{i}.bias")
    z_dim = int(number("mapping.z_dim"))
    clamp = node("synthesis.b4.conv1.conv_clamp")
    const = weights.shape("synthesis.b4.const", 3)
    config = _config(
        resolution=2 << len(channels),
        channels=tuple(channels),
        mapping=(z_dim, *fully),
        architecture=node("synthesis.b8.architecture") or "skip",
        clamp=None if clamp is None else number("synthesis.b4.conv1.conv_clamp"),
        half_width=const[2] * 2 == const[1],
        is_face=bool(FACES.search(about)),
    )
    w_dim = config.mapping[-1]

    def linear(path: str, n_out: int, n_in: int) -> State:
        return {
            "weight": weights.take(f"{path}.weight", n_out, n_in) * number(f"{path}.weight_gain"),
            "bias": weights.take(f"{path}.bias", n_out) * number(f"{path}.bias_gain"),
        }

    def layer(path: str, n_in: int, n_out: int, r: int, up: bool) -> State:
        if node(f"{path}.activation") != "lrelu" or node(f"{path}.conv_clamp") != clamp:
            raise Refused(f"{path} has an activation or a clamp of its own")
        if f"{path}.resample_filter" in weights and up:
            taps = torch.tensor(FILTER)
            if not torch.allclose(
                weights.take(f"{path}.resample_filter", 4, 4), torch.outer(taps, taps) / taps.sum() ** 2
            ):
                raise Refused(f"{path} has a filter of its own")
        weight = weights.take(f"{path}.weight", n_out, n_in, 3, 3)
        width = r // 2 if config.half_width else r
        noise = torch.zeros(r, width)
        if f"{path}.noise_const" in weights:
            noise = weights.take(f"{path}.noise_const", r, width) * weights.take(f"{path}.noise_strength")
        return {
            **_prefixed("modulation", linear(f"{path}.affine", n_in, w_dim)),
            "weight": weight.transpose(0, 1).contiguous() if up else weight,
            "noise": noise[None, None],
            "bias": weights.take(f"{path}.bias", n_out),
        }

    state: State = {"constant": weights.take("synthesis.b4.const", channels[0], *const[1:])[None]}
    if "mapping.w_avg" in weights:
        state["mean_w"] = weights.take("mapping.w_avg", w_dim)
    for i, (n, m) in enumerate(zip(config.mapping, config.mapping[1:], strict=False)):
        if node(f"mapping.fc{i}.activation") != "lrelu":
            raise Refused(f"mapping.fc{i} has an activation of its own")
        if i == 0 and int(number("mapping.c_dim")):
            # A conditional model, with no class chosen, as DragGAN uses it: a constant joins every z.
            joined = weights.shape("mapping.fc0.weight", 2)[1] - z_dim
            first = linear("mapping.fc0", m, z_dim + joined)
            label = weights.take("mapping.embed.bias", joined) * number("mapping.embed.bias_gain")
            label = label * (label.square().mean() + 1e-8).rsqrt()
            first["bias"] += first["weight"][:, z_dim:] @ label
            first["weight"] = first["weight"][:, :z_dim].contiguous()
            state |= _prefixed("mapping.0", first)
            continue
        state |= _prefixed(f"mapping.{i}", linear(f"mapping.fc{i}", m, n))
    for i, n_out in enumerate(channels):
        r, n_in = 4 << i, channels[i - 1]
        block = f"synthesis.b{r}"
        if i:
            state |= _prefixed(f"blocks.{i}.conv0", layer(f"{block}.conv0", n_in, n_out, r, up=True))
        state |= _prefixed(f"blocks.{i}.conv1", layer(f"{block}.conv1", n_out, n_out, r, up=False))
        if f"{block}.torgb.weight" in weights:
            gain = number(f"{block}.torgb.weight_gain")
            state |= _prefixed(
                f"blocks.{i}.to_rgb",
                {
                    **_prefixed("modulation", linear(f"{block}.torgb.affine", n_out, w_dim)),
                    "weight": weights.take(f"{block}.torgb.weight", 3, n_out, 1, 1) * gain,
                    "bias": weights.take(f"{block}.torgb.bias", 3),
                },
            )
        if f"{block}.skip.weight" in weights:
            gain = number(f"{block}.skip.weight_gain")
            state[f"blocks.{i}.skip.weight"] = weights.take(f"{block}.skip.weight", n_out, n_in, 1, 1) * gain
    return config, state


def _prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}.{key}": tensor for key, tensor in state.items()}


# --- TensorFlow's pickles ---------------------------------------------------------------------------------


def _from_tensorflow(network: Instance, size: int, about: str) -> tuple[Config, State]:
    """From the first release (2019-12): variables by name, kernels as (height, width, in, out)."""
    arrays: dict[str, np.ndarray] = {}
    options = (network.state or {}).get("static_kwargs")
    parts = {"": network, **((network.state or {}).get("components") or {})}
    for prefix, part in parts.items():
        for name, array in part.state["variables"] if isinstance(part, Instance) else ():
            if isinstance(array, Instance) and isinstance(array.state, np.ndarray):
                arrays[f"{prefix}/{name}".lstrip("/")] = array.state

    def numbers(name: str) -> Tensor:
        return torch.from_numpy(np.array(arrays[name], order="C"))

    weights = Weights(lambda n: a.shape if (a := arrays.get(n)) is not None else None, numbers, size)
    if "synthesis/4x4/Const/const" not in weights:
        raise Refused("it is not a StyleGAN2 (an older StyleGAN of TensorFlow?)")
    if "mapping/LabelEmbed/weight" in weights:
        raise Refused("it is a TensorFlow model with classes, which this reader does not know")
    channels = [weights.shape("synthesis/4x4/Conv/bias", 1)[0]]
    while (name := f"synthesis/{4 << len(channels)}x{4 << len(channels)}/Conv1/bias") in weights:
        channels.append(weights.shape(name, 1)[0])
    fully = _sizes(weights, "mapping/Dense{i}/bias")
    options = options if isinstance(options, dict) else {}
    config = _config(
        resolution=2 << len(channels),
        channels=tuple(channels),
        mapping=(weights.shape("mapping/Dense0/weight", 2)[0], *fully),
        architecture=options.get("architecture", "skip"),
        is_face=bool(FACES.search(about)),
    )
    w_dim, rate = config.mapping[-1], options.get("mapping_lrmul", 0.01)
    if type(rate) is not float:
        raise Refused("mapping_lrmul is not a number")

    def modulation(path: str, n: int) -> State:
        return {
            "modulation.weight": weights.take(f"{path}/mod_weight", w_dim, n).T.contiguous() / w_dim**0.5,
            "modulation.bias": weights.take(f"{path}/mod_bias", n) + 1,
        }

    def layer(path: str, noise: str, n_in: int, n_out: int, r: int, up: bool) -> State:
        weight = weights.take(f"{path}/weight", 3, 3, n_in, n_out)
        weight = weight.flip(0, 1).permute(2, 3, 0, 1) if up else weight.permute(3, 2, 0, 1)
        strength = weights.take(f"{path}/noise_strength")
        return {
            **modulation(path, n_in),
            "weight": weight.contiguous(),
            "noise": weights.take(noise, 1, 1, r, r) * strength,
            "bias": weights.take(f"{path}/bias", n_out),
        }

    state: State = {
        "constant": weights.take("synthesis/4x4/Const/const", 1, channels[0], 4, 4),
        "mean_w": weights.take("dlatent_avg", w_dim),
    }
    for i, (n, m) in enumerate(zip(config.mapping, config.mapping[1:], strict=False)):
        state[f"mapping.{i}.weight"] = weights.take(f"mapping/Dense{i}/weight", n, m).T * (rate / n**0.5)
        state[f"mapping.{i}.bias"] = weights.take(f"mapping/Dense{i}/bias", m) * rate
    for i, n_out in enumerate(channels):
        r, n_in = 4 << i, channels[i - 1]
        path = f"synthesis/{r}x{r}"
        noise = f"synthesis/noise{2 * i}"
        if i:
            state |= _prefixed(
                f"blocks.{i}.conv0",
                layer(f"{path}/Conv0_up", f"synthesis/noise{2 * i - 1}", n_in, n_out, r, up=True),
            )
        conv = f"{path}/Conv1" if i else f"{path}/Conv"
        state |= _prefixed(f"blocks.{i}.conv1", layer(conv, noise, n_out, n_out, r, up=False))
        if f"{path}/ToRGB/weight" in weights:
            weight = weights.take(f"{path}/ToRGB/weight", 1, 1, n_out, 3).permute(3, 2, 0, 1)
            state |= _prefixed(
                f"blocks.{i}.to_rgb",
                {
                    **modulation(f"{path}/ToRGB", n_out),
                    "weight": weight.contiguous() / n_out**0.5,
                    "bias": weights.take(f"{path}/ToRGB/bias", 3),
                },
            )
        if f"{path}/Skip/weight" in weights:
            weight = weights.take(f"{path}/Skip/weight", 1, 1, n_in, n_out).permute(3, 2, 0, 1)
            state[f"blocks.{i}.skip.weight"] = weight.contiguous() / n_in**0.5
    return config, {key: tensor.contiguous() for key, tensor in state.items()}


# --- rosinality's checkpoints -----------------------------------------------------------------------------


def _g_ema(content: Any) -> dict | None:
    """The generator's state dict in a checkpoint, or None."""
    for state in (content.get("g_ema"), content) if isinstance(content, dict) else ():
        if isinstance(state, dict) and {"input.input", "conv1.conv.weight", "to_rgb1.bias"} <= state.keys():
            return state
    return None


def _from_rosinality(path: Path) -> tuple[Config, State]:
    """From a state dict of rosinality's stylegan2-pytorch: what it claims is checked, then it is read."""
    if _g_ema(outline(path)) is None:
        raise Refused("there is no generator in it that is known (g_ema, or its state dict)")
    with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mmap = _kind(path)[1].startswith(ZIP_MAGIC)  # the discriminator stays on the disk
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
        except Exception as error:  # whatever its reader meets in a file that was made by hand
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise Refused(f"not a readable checkpoint ({reason[:100]})") from None
    tensors = {"latent_avg": content.get("latent_avg"), **_g_ema(content)}

    def shape(name: str) -> tuple | None:
        tensor = tensors.get(name)
        return tuple(tensor.shape) if isinstance(tensor, Tensor) else None

    weights = Weights(shape, lambda name: tensors[name], path.stat().st_size)
    channels = [weights.shape("conv1.activate.bias", 1)[0]]
    while (name := f"convs.{2 * len(channels) - 1}.activate.bias") in weights:
        channels.append(weights.shape(name, 1)[0])
    fully = []
    while (name := f"style.{len(fully) + 1}.bias") in weights:  # style.0 normalises
        fully.append(weights.shape(name, 1)[0])
    config = _config(
        resolution=2 << len(channels),
        channels=tuple(channels),
        mapping=(weights.shape("style.1.weight", 2)[1], *fully),
        is_face=bool(FACES.search(path.stem)),
    )
    w_dim = config.mapping[-1]

    def modulation(path: str, n: int) -> State:
        return {
            "modulation.weight": weights.take(f"{path}.modulation.weight", n, w_dim) / w_dim**0.5,
            "modulation.bias": weights.take(f"{path}.modulation.bias", n),
        }

    def layer(path: str, index: int, n_in: int, n_out: int, r: int, up: bool) -> State:
        weight = weights.take(f"{path}.conv.weight", 1, n_out, n_in, 3, 3)[0] / (9 * n_in) ** 0.5
        noise = torch.zeros(1, 1, r, r)
        if f"noises.noise_{index}" in weights:  # the oldest checkpoints bring none
            noise = weights.take(f"noises.noise_{index}", 1, 1, r, r)
        return {
            **modulation(f"{path}.conv", n_in),
            "weight": weight.transpose(0, 1).contiguous() if up else weight,
            "noise": noise * weights.take(f"{path}.noise.weight", 1),
            "bias": weights.take(f"{path}.activate.bias", n_out),
        }

    state: State = {"constant": weights.take("input.input", 1, channels[0], 4, 4)}
    if shape("latent_avg") == (w_dim,):
        state["mean_w"] = weights.take("latent_avg", w_dim)
    for i, (n, m) in enumerate(zip(config.mapping, config.mapping[1:], strict=False)):
        state[f"mapping.{i}.weight"] = weights.take(f"style.{i + 1}.weight", m, n) * (0.01 / n**0.5)
        state[f"mapping.{i}.bias"] = weights.take(f"style.{i + 1}.bias", m) * 0.01
    for i, n_out in enumerate(channels):
        r, n_in = 4 << i, channels[i - 1]
        if i:
            up, conv, rgb = f"convs.{2 * i - 2}", f"convs.{2 * i - 1}", f"to_rgbs.{i - 1}"
            state |= _prefixed(f"blocks.{i}.conv0", layer(up, 2 * i - 1, n_in, n_out, r, up=True))
        else:
            conv, rgb = "conv1", "to_rgb1"
        state |= _prefixed(f"blocks.{i}.conv1", layer(conv, 2 * i, n_out, n_out, r, up=False))
        weight = weights.take(f"{rgb}.conv.weight", 1, 3, n_out, 1, 1)[0] / n_out**0.5
        state |= _prefixed(
            f"blocks.{i}.to_rgb",
            {
                **modulation(f"{rgb}.conv", n_out),
                "weight": weight,
                "bias": weights.take(f"{rgb}.bias", 1, 3, 1, 1).reshape(3),
            },
        )
    return config, state


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
