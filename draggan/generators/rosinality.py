"""Generators in checkpoints of rosinality's stylegan2-pytorch and its relatives: a state dict."""

import argparse
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .plain_objects import Refused
from .plain_pickle import ZIP_MAGIC, outline
from .stylegan2_layers import Config
from .tensor_table import FACES, State, Weights, file_kind, make_config, prefixed


def averaged(content: Any) -> dict | None:
    """The generator's state dict in a checkpoint, or None."""
    for state in (content.get("g_ema"), content) if isinstance(content, dict) else ():
        if isinstance(state, dict) and {"input.input", "conv1.conv.weight", "to_rgb1.bias"} <= state.keys():
            return state
    return None


def from_rosinality(path: Path) -> tuple[Config, State]:
    """From a state dict of rosinality's stylegan2-pytorch: what it claims is checked, then it is read."""
    if averaged(outline(path)) is None:
        raise Refused("there is no generator in it that is known (g_ema, or its state dict)")
    with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mmap = file_kind(path)[1].startswith(ZIP_MAGIC)  # the discriminator stays on the disk
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
        except Exception as error:  # whatever its reader meets in a file that was made by hand
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise Refused(f"not a readable checkpoint ({reason[:100]})") from None
    tensors = {"latent_avg": content.get("latent_avg"), **averaged(content)}

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
    config = make_config(
        resolution=2 << len(channels),
        channels=tuple(channels),
        mapping=(weights.shape("style.1.weight", 2)[1], *fully),
        is_face=bool(FACES.search(path.stem)),
    )
    w_dim = config.mapping[-1]

    def modulation(path: str, n: int) -> State:
        return {
            "modulation.weight": weights.read(f"{path}.modulation.weight", n, w_dim) / w_dim**0.5,
            "modulation.bias": weights.read(f"{path}.modulation.bias", n),
        }

    def layer(path: str, index: int, n_in: int, n_out: int, r: int, up: bool) -> State:
        weight = weights.read(f"{path}.conv.weight", 1, n_out, n_in, 3, 3)[0] / (9 * n_in) ** 0.5
        noise = torch.zeros(1, 1, r, r)
        if f"noises.noise_{index}" in weights:  # the oldest checkpoints bring none
            noise = weights.read(f"noises.noise_{index}", 1, 1, r, r)
        return {
            **modulation(f"{path}.conv", n_in),
            "weight": weight.transpose(0, 1).contiguous() if up else weight,
            "noise": noise * weights.read(f"{path}.noise.weight", 1),
            "bias": weights.read(f"{path}.activate.bias", n_out),
        }

    state: State = {"constant": weights.read("input.input", 1, channels[0], 4, 4)}
    if shape("latent_avg") == (w_dim,):
        state["mean_w"] = weights.read("latent_avg", w_dim)
    for i, (n, m) in enumerate(zip(config.mapping, config.mapping[1:], strict=False)):
        state[f"mapping.{i}.weight"] = weights.read(f"style.{i + 1}.weight", m, n) * (0.01 / n**0.5)
        state[f"mapping.{i}.bias"] = weights.read(f"style.{i + 1}.bias", m) * 0.01
    for i, n_out in enumerate(channels):
        r, n_in = 4 << i, channels[i - 1]
        if i:
            up, conv, rgb = f"convs.{2 * i - 2}", f"convs.{2 * i - 1}", f"to_rgbs.{i - 1}"
            state |= prefixed(f"blocks.{i}.conv0", layer(up, 2 * i - 1, n_in, n_out, r, up=True))
        else:
            conv, rgb = "conv1", "to_rgb1"
        state |= prefixed(f"blocks.{i}.conv1", layer(conv, 2 * i, n_out, n_out, r, up=False))
        weight = weights.read(f"{rgb}.conv.weight", 1, 3, n_out, 1, 1)[0] / n_out**0.5
        state |= prefixed(
            f"blocks.{i}.to_rgb",
            {
                **modulation(f"{rgb}.conv", n_out),
                "weight": weight,
                "bias": weights.read(f"{rgb}.bias", 1, 3, 1, 1).reshape(3),
            },
        )
    return config, state
