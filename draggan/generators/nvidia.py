"""Generators in NVIDIA's network pickles: those of PyTorch, and the older ones of TensorFlow."""

import math
from typing import Any

import torch

from .plain_objects import ArrayClaim, Instance, Persistent, Refused
from .stylegan2_layers import FILTER, Config
from .tensor_table import (
    FACES,
    State,
    Weights,
    as_rgb,
    joined_class,
    make_config,
    numbers,
    prefixed,
    sizes,
)

# --- NVIDIA's pickles -------------------------------------------------------------------------------------


def from_nvidia(generator: Persistent, size: int, about: str, check: bool = False) -> tuple[Config, State]:
    """From the object tree of stylegan2-ada-pytorch and stylegan3 (its StyleGAN2 part).

    size: of the file in bytes. about: names that may tell faces. check: as for `Weights`.
    """

    def node(path: str) -> Any:
        value = generator
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Persistent) else None
        return value

    def number(path: str) -> float:
        value = node(path)
        value = value.state if isinstance(value, Instance) else value
        if isinstance(value, ArrayClaim) and value.shape == ():
            value = numbers(value).item()
        if type(value) not in (int, float) or not math.isfinite(value):
            raise Refused(f"{path} is {type(value).__name__} instead of a number")
        return float(value)

    weights = Weights(node, size, check)
    if "synthesis.b4.const" not in weights:
        raise Refused("its generator is not a StyleGAN2 (no synthesis.b4.const)")
    channels = sizes(weights, "synthesis.b{r}.conv1.bias")
    fully = sizes(weights, "mapping.fc{i}.bias")
    z_dim = int(number("mapping.z_dim"))
    clamp = node("synthesis.b4.conv1.conv_clamp")
    const = weights.shape("synthesis.b4.const", 3)
    classes = int(number("mapping.c_dim"))
    config = make_config(
        resolution=2 << len(channels),
        channels=tuple(channels),
        mapping=(z_dim, *fully),
        architecture=node("synthesis.b8.architecture") or "skip",
        classes=classes,
        clamp=None if clamp is None else number("synthesis.b4.conv1.conv_clamp"),
        half_width=const[2] * 2 == const[1],
        is_face=bool(FACES.search(about)),
    )
    w_dim = config.mapping[-1]

    def linear(path: str, n_out: int, n_in: int) -> State:
        return {
            "weight": weights.read(f"{path}.weight", n_out, n_in) * number(f"{path}.weight_gain"),
            "bias": weights.read(f"{path}.bias", n_out) * number(f"{path}.bias_gain"),
        }

    def layer(path: str, n_in: int, n_out: int, r: int, up: bool) -> State:
        if node(f"{path}.activation") != "lrelu" or node(f"{path}.conv_clamp") != clamp:
            raise Refused(f"{path} has an activation or a clamp of its own")
        if f"{path}.resample_filter" in weights and up:
            taps = torch.tensor(FILTER)
            taken = weights.read(f"{path}.resample_filter", 4, 4)
            if not check and not torch.allclose(taken, torch.outer(taps, taps) / taps.sum() ** 2):
                raise Refused(f"{path} has a filter of its own")
        weight = weights.read(f"{path}.weight", n_out, n_in, 3, 3)
        width = r // 2 if config.half_width else r
        noise = weights.zeros(r, width)
        if f"{path}.noise_const" in weights:
            noise = weights.read(f"{path}.noise_const", r, width) * weights.read(f"{path}.noise_strength")
        return {
            **prefixed("modulation", linear(f"{path}.affine", n_in, w_dim)),
            "weight": weight.transpose(0, 1).contiguous() if up else weight,
            "noise": noise[None, None],
            "bias": weights.read(f"{path}.bias", n_out),
        }

    state: State = {"constant": weights.read("synthesis.b4.const", channels[0], *const[1:])[None]}
    if "mapping.w_avg" in weights:
        state["mean_w"] = weights.read("mapping.w_avg", w_dim)
    for i, (n, m) in enumerate(zip(config.mapping, config.mapping[1:], strict=False)):
        if node(f"mapping.fc{i}.activation") != "lrelu":
            raise Refused(f"mapping.fc{i} has an activation of its own")
        if i == 0 and classes:
            joined = weights.shape("mapping.fc0.weight", 2)[1] - z_dim
            embed = weights.read("mapping.embed.weight", joined, classes) * number(
                "mapping.embed.weight_gain"
            )
            bias = weights.read("mapping.embed.bias", joined) * number("mapping.embed.bias_gain")
            state |= joined_class(linear("mapping.fc0", m, z_dim + joined), z_dim, embed.T, bias)
            continue
        state |= prefixed(f"mapping.{i}", linear(f"mapping.fc{i}", m, n))
    for i, n_out in enumerate(channels):
        r, n_in = 4 << i, channels[i - 1]
        block = f"synthesis.b{r}"
        if i:
            state |= prefixed(f"blocks.{i}.conv0", layer(f"{block}.conv0", n_in, n_out, r, up=True))
        state |= prefixed(f"blocks.{i}.conv1", layer(f"{block}.conv1", n_out, n_out, r, up=False))
        if f"{block}.torgb.weight" in weights:
            gain, colours = number(f"{block}.torgb.weight_gain"), weights.shape(f"{block}.torgb.bias", 1)
            weight = weights.read(f"{block}.torgb.weight", *colours, n_out, 1, 1) * gain
            state |= prefixed(
                f"blocks.{i}.to_rgb",
                {
                    **prefixed("modulation", linear(f"{block}.torgb.affine", n_out, w_dim)),
                    **as_rgb(weight, weights.read(f"{block}.torgb.bias", *colours)),
                },
            )
        if f"{block}.skip.weight" in weights:
            gain = number(f"{block}.skip.weight_gain")
            state[f"blocks.{i}.skip.weight"] = weights.read(f"{block}.skip.weight", n_out, n_in, 1, 1) * gain
    return config, state


# --- TensorFlow's pickles ---------------------------------------------------------------------------------


def from_tensorflow(network: Instance, size: int, about: str, check: bool = False) -> tuple[Config, State]:
    """From the first release (2019-12): variables by name, kernels as (height, width, in, out)."""
    arrays: dict[str, Any] = {}
    options = (network.state or {}).get("static_kwargs")
    parts = {"": network, **((network.state or {}).get("components") or {})}
    for prefix, part in parts.items():
        for name, array in part.state["variables"] if isinstance(part, Instance) else ():
            arrays[f"{prefix}/{name}".lstrip("/")] = array

    weights = Weights(arrays.get, size, check)
    if "synthesis/4x4/Const/const" not in weights:
        raise Refused("it is not a StyleGAN2 (an older StyleGAN of TensorFlow?)")
    if "mapping/LabelConcat/weight" in weights:
        raise Refused(
            "it is a TensorFlow model that mixes classes into its latents (LabelConcat), not known here"
        )
    classes = 0
    if "mapping/LabelEmbed/weight" in weights:  # of stylegan2-ada
        classes, joined = weights.shape("mapping/LabelEmbed/weight", 2)
    channels = [weights.shape("synthesis/4x4/Conv/bias", 1)[0]]
    while (name := f"synthesis/{4 << len(channels)}x{4 << len(channels)}/Conv1/bias") in weights:
        channels.append(weights.shape(name, 1)[0])
    fully = sizes(weights, "mapping/Dense{i}/bias")
    options = options if isinstance(options, dict) else {}
    config = make_config(
        resolution=2 << len(channels),
        channels=tuple(channels),
        mapping=(weights.shape("mapping/Dense0/weight", 2)[0] - (joined if classes else 0), *fully),
        architecture=options.get("architecture", "skip"),
        classes=classes,
        is_face=bool(FACES.search(about)),
    )
    w_dim, rate = config.mapping[-1], options.get("mapping_lrmul", 0.01)
    if type(rate) is not float:
        raise Refused("mapping_lrmul is not a number")

    def modulation(path: str, n: int) -> State:
        return {
            "modulation.weight": weights.read(f"{path}/mod_weight", w_dim, n).T.contiguous() / w_dim**0.5,
            "modulation.bias": weights.read(f"{path}/mod_bias", n) + 1,
        }

    def layer(path: str, noise: str, n_in: int, n_out: int, r: int, up: bool) -> State:
        weight = weights.read(f"{path}/weight", 3, 3, n_in, n_out)
        weight = weight.flip(0, 1).permute(2, 3, 0, 1) if up else weight.permute(3, 2, 0, 1)
        strength = weights.read(f"{path}/noise_strength")
        return {
            **modulation(path, n_in),
            "weight": weight.contiguous(),
            "noise": weights.read(noise, 1, 1, r, r) * strength,
            "bias": weights.read(f"{path}/bias", n_out),
        }

    state: State = {
        "constant": weights.read("synthesis/4x4/Const/const", 1, channels[0], 4, 4),
        "mean_w": weights.read("dlatent_avg", w_dim),
    }
    for i, (n, m) in enumerate(zip(config.mapping, config.mapping[1:], strict=False)):
        width = n + joined if classes and not i else n
        weight = weights.read(f"mapping/Dense{i}/weight", width, m).T * (rate / width**0.5)
        bias = weights.read(f"mapping/Dense{i}/bias", m) * rate
        if width > n:
            embed = weights.read("mapping/LabelEmbed/weight", classes, joined) / classes**0.5
            state |= joined_class(
                {"weight": weight, "bias": bias}, n, embed, weights.read("mapping/LabelEmbed/bias", joined)
            )
        else:
            state[f"mapping.{i}.weight"], state[f"mapping.{i}.bias"] = weight, bias
    for i, n_out in enumerate(channels):
        r, n_in = 4 << i, channels[i - 1]
        path = f"synthesis/{r}x{r}"
        noise = f"synthesis/noise{2 * i}"
        if i:
            state |= prefixed(
                f"blocks.{i}.conv0",
                layer(f"{path}/Conv0_up", f"synthesis/noise{2 * i - 1}", n_in, n_out, r, up=True),
            )
        conv = f"{path}/Conv1" if i else f"{path}/Conv"
        state |= prefixed(f"blocks.{i}.conv1", layer(conv, noise, n_out, n_out, r, up=False))
        if f"{path}/ToRGB/weight" in weights:
            colours = weights.shape(f"{path}/ToRGB/bias", 1)
            weight = weights.read(f"{path}/ToRGB/weight", 1, 1, n_out, *colours).permute(3, 2, 0, 1)
            state |= prefixed(
                f"blocks.{i}.to_rgb",
                {
                    **modulation(f"{path}/ToRGB", n_out),
                    **as_rgb(weight / n_out**0.5, weights.read(f"{path}/ToRGB/bias", *colours)),
                },
            )
        if f"{path}/Skip/weight" in weights:
            weight = weights.read(f"{path}/Skip/weight", 1, 1, n_in, n_out).permute(3, 2, 0, 1)
            state[f"blocks.{i}.skip.weight"] = weight.contiguous() / n_in**0.5
    return config, {key: tensor.contiguous() for key, tensor in state.items()}
