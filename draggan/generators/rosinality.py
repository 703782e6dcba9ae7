"""Generators in state dicts of rosinality's stylegan2-pytorch and its relatives."""

import math

from .found import Found
from .stylegan2_layers import Config
from .tensor_table import FACES, State, Weights, as_rgb, make_config, prefixed


def from_rosinality(found: Found, size: int, about: str, check: bool = False) -> tuple[Config, State]:
    """From a state dict. size: of the file in bytes. about: names that may tell faces. check: as for `Weights`."""
    weights = Weights(found.node.get, size, check)
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
        is_face=bool(FACES.search(about)),
    )
    w_dim = config.mapping[-1]

    def modulation(path: str, n: int) -> State:
        return {
            "modulation.weight": weights.read(f"{path}.modulation.weight", n, w_dim) / w_dim**0.5,
            "modulation.bias": weights.read(f"{path}.modulation.bias", n),
        }

    def layer(path: str, index: int, n_in: int, n_out: int, r: int, up: bool) -> State:
        weight = weights.read(f"{path}.conv.weight", 1, n_out, n_in, 3, 3)[0] / (9 * n_in) ** 0.5
        noise = weights.zeros(1, 1, r, r)
        if f"noises.noise_{index}" in weights:  # the oldest checkpoints bring none
            noise = weights.read(f"noises.noise_{index}", 1, 1, r, r)
        return {
            **modulation(f"{path}.conv", n_in),
            "weight": weight.transpose(0, 1).contiguous() if up else weight,
            "noise": noise * weights.read(f"{path}.noise.weight", 1),
            "bias": weights.read(f"{path}.activate.bias", n_out),
        }

    state: State = {"constant": weights.read("input.input", 1, channels[0], 4, 4)}
    if found.mean is not None:
        mean = Weights({"mean": found.mean}.get, size, check)
        shape = mean.claim("mean").shape
        if shape and shape[-1] == w_dim and math.prod(shape) <= 64 * w_dim:  # one row, or one for each layer
            state["mean_w"] = mean.read("mean", *shape).reshape(-1, w_dim).mean(dim=0)
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
        colours = weights.shape(f"{rgb}.bias", 4)[1]
        weight = weights.read(f"{rgb}.conv.weight", 1, colours, n_out, 1, 1)[0] / n_out**0.5
        state |= prefixed(
            f"blocks.{i}.to_rgb",
            {
                **modulation(f"{rgb}.conv", n_out),
                **as_rgb(weight, weights.read(f"{rgb}.bias", 1, colours, 1, 1).reshape(-1)),
            },
        )
    return config, state
