"""Where in a file's content the generator is: among networks and options, in a module, or as a state dict.

    found = find_generator(outline(path))     # None: there is none of a known kind
    found.kind, found.node

The averaged generator is taken before the one in training, whatever it is called.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .plain_objects import ArrayClaim, Instance, Persistent, Refused, TensorClaim

# Names under which files keep a generator, the averaged one first.
NAMES = (
    *("G_ema", "g_ema", "params_ema", "netG_ema", "generator_ema", "ema", "g_running"),
    *("G", "g", "generator", "netG", "params", "state_dict", "model_state_dict", "model"),
)
MEANS = ("latent_avg", "mean_latent", "w_avg")  # names of the mean w
DEPTH = 4  # of dicts within dicts that are looked into
MOST_MODULES = 5_000
MODULE_DEPTH = 12
LONGEST_NAME = 1_000  # of a module, with those that it lies in
MOST_TENSORS = 20_000  # of a whole module; real ones have some hundred
MOST_GENERATORS = 100  # in one state dict
STYLEGAN3 = "it is a StyleGAN3, whose pictures cannot be dragged here; only StyleGAN2 models can"
_STYLEGAN3_LAYER = re.compile(r"L\d+_\d+_\d+(_\d+)?")


@dataclass(frozen=True)
class Found:
    """kind: "nvidia" (a Persistent), "tensorflow" (an Instance) or "state" (tensors by name)."""

    kind: str
    node: Any
    mean: TensorClaim | ArrayClaim | None = None  # of w, where a state dict has one beside it
    about: list[str] = field(default_factory=list)  # names in the file that may say what it draws


def find_generator(content: Any) -> Found | None:
    """The generator in a file's content. Refused for one that is known and cannot be used, as a StyleGAN3."""
    seen: set[int] = set()  # a file may hold the same dict in many places
    for node, around in _candidates(content, []):
        if id(node) in seen:
            continue
        seen.add(id(node))
        if found := _as_generator(node, around):
            options = content.get("training_set_kwargs") if isinstance(content, dict) else None
            path = options.get("path") if isinstance(options, dict) else None
            return Found(found.kind, found.node, found.mean, [path] if isinstance(path, str) else [])
    return None


def _candidates(node: Any, around: list[dict]) -> Iterator[tuple[Any, list[dict]]]:
    """What may be the generator, the likeliest first, with the dicts that it lies in."""
    yield node, around
    if isinstance(node, tuple) and len(node) == 3:  # TensorFlow: G, D, and G averaged
        yield node[2], around
    if isinstance(node, dict) and len(around) < DEPTH:
        for name in NAMES:
            if name in node:
                yield from _candidates(node[name], [*around, node])


def _as_generator(node: Any, around: list[dict]) -> Found | None:
    if isinstance(node, Instance) and node.kind == "network":
        return Found("tensorflow", node)
    if isinstance(node, Persistent):
        for _, module in _modules(node):
            if synthesis := module.parts.get("synthesis"):
                _refuse_stylegan3(synthesis.parts)
                return Found("nvidia", module) if "mapping" in module.parts else None
        node = _state_of(node)
    return _in_state(node, around) if isinstance(node, dict) else None


def _refuse_stylegan3(names) -> None:
    if "b4" not in names and any(_STYLEGAN3_LAYER.fullmatch(name) for name in names):
        raise Refused(STYLEGAN3)


def _in_state(state: dict, around: list[dict]) -> Found | None:
    """The generator among the tensors of a state dict, without what stands before its names."""
    tensors = {key: value for key, value in state.items() if isinstance(key, str) and _is_claim(value)}
    starts = [
        key.removesuffix(end)
        for key in tensors
        for end in ("input.input", "constant_input.weight")
        if key == end or key.endswith(f".{end}")
    ]
    for key in tensors:
        start, synthesis, rest = key.rpartition("synthesis.")
        if synthesis and (not start or start.endswith(".")):
            _refuse_stylegan3([rest.partition(".")[0]])
            if rest == "b4.const":
                raise Refused(
                    "it is a state dict of NVIDIA's StyleGAN2, without the settings of its layers; take the "
                    "network's pickle"
                )
    if len(starts) > MOST_GENERATORS:
        raise Refused(f"a state dict with more than {MOST_GENERATORS} generators")
    for start in sorted(starts, key=lambda start: ("ema" not in start, len(start))):
        own = {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}
        own = {_plain_name(key, value): value for key, value in own.items()}
        if {"input.input", "conv1.conv.weight", "to_rgb1.bias"} <= own.keys():
            means = (each[name] for each in (own, state, *reversed(around)) for name in MEANS if name in each)
            return Found("state", own, next(filter(_is_claim, means), None))
    return None


def _plain_name(key: str, value: TensorClaim | ArrayClaim) -> str:
    """rosinality's name for a tensor that BasicSR's port of it calls otherwise."""
    if key == "constant_input.weight":
        return "input.input"
    if re.fullmatch(r"style_conv(1|s\.\d+)\.weight", key) and value.shape == (1,):
        key = key.removesuffix("weight") + "noise.weight"
    for theirs, ours in (("style_mlp.", "style."), ("style_conv", "conv"), (".modulated_conv.", ".conv.")):
        key = key.replace(theirs, ours)
    return re.sub(r"^noises\.noise(?=\d)", "noises.noise_", key)


def _is_claim(value: Any) -> bool:
    return isinstance(value, TensorClaim) or (isinstance(value, Instance) and value.kind == "array")


def _modules(root: Persistent) -> Iterator[tuple[str, Persistent]]:
    """A module and those in it with their names, those near the root first. Refused for an endless nest."""
    waiting, count = [("", root, 0)], 0
    while waiting:
        name, module, depth = waiting.pop(0)
        count += 1
        if count + len(waiting) > MOST_MODULES or depth > MODULE_DEPTH:
            raise Refused("modules within modules without an end")
        if len(name) > LONGEST_NAME:
            raise Refused(f"a module's name has more than {LONGEST_NAME} letters")
        yield name, module
        waiting += [(f"{name}{part}.", inner, depth + 1) for part, inner in module.parts.items()]


def _state_of(root: Persistent) -> dict[str, Any]:
    """The tensors of a whole module by the names of its state dict. Refused for tensors without an end."""
    state, count = {}, 0
    for name, module in _modules(root):
        for kind in ("_parameters", "_buffers"):
            tensors = module.state.get(kind)
            tensors = tensors if isinstance(tensors, dict) else {}
            count += len(tensors)  # modules may share them
            if count > MOST_TENSORS:
                raise Refused(f"a module with more than {MOST_TENSORS:,} tensors")
            for key, value in tensors.items():
                state[f"{name}{key}"] = value
    return state
