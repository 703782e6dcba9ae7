"""Every format of file that the programs open: small real files of it, and what opens them.

    form = FORMATS["legacy"]
    form.files()[0]                 # a whole file, or several that belong together: {name: bytes}
    form.read(folder, tools)        # does all that a person's click would do: list, open, draw

What cannot be opened ends in one of OURS.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzz_work import (
    Files,
    latent_files,
    latents_of_torch,
    model,
    photo_files,
    project_files,
    read_latent,
    read_photo,
    read_project,
    read_training,
    saved,
    training_files,
    written,
)
from model_files import rosinality, tensorflow
from nvidia_files import (
    beside_the_weights,
    conditional,
    network_pickle,
    nvidia,
    save_whole,
    stylegan3,
    with_colours,
)

from common.commandline import UserError
from draggan.generators import Direction, Directions, ModelError, save_directions, weights
from draggan.generators.directions import ENDING, read_directions
from draggan.generators.mobile_stylegan import convert
from draggan.generators.openvino_ir import IRError
from draggan.generators.stylegan2 import random_generator
from draggan.generators.stylegan2_layers import Config
from draggan.latents import LatentError
from draggan.photos import PhotoError
from draggan.project import ProjectError

OURS = (ModelError, UserError, IRError, LatentError, PhotoError, ProjectError)


@dataclass(frozen=True)
class Format:
    kind: str  # of fuzz_mutations.py
    make: Callable[[], list[Files]]
    read: Callable[[Path], None]

    def files(self) -> list[Files]:
        """The whole files, the same ones in every process and whatever was made before."""
        with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patch:
            torch.manual_seed(0)
            patch.setattr(torch.serialization, "_legacy_save", numbered(torch.serialization._legacy_save))
            return self.make()


def numbered(save: Callable[..., None]) -> Callable[..., None]:
    """PyTorch's older way to save: it names, and orders, the storages by where they lie in memory; here in turn."""

    def saves(*arguments) -> None:
        place, known = torch.UntypedStorage._cdata, {}
        with pytest.MonkeyPatch.context() as patch:
            number = property(lambda storage: known.setdefault(place.__get__(storage), 10**14 + len(known)))
            patch.setattr(torch.UntypedStorage, "_cdata", number)
            save(*arguments)

    return saves


@cache
def plain():
    return random_generator(Config(16, (12, 12, 8), (16, 16)), name="tiny")


# --- models -----------------------------------------------------------------------------------------------


class Inconsistent(Exception):
    """A file is listed as one thing and opened as another."""


def draw_models(folder: Path) -> None:
    """List the folder; load what is in it, and draw a face."""
    for path in sorted(folder.iterdir()):
        verdict = weights.inspect(path)
        listed = verdict is not None and verdict.problem is None
        try:
            generator = weights.load(path, "x")
        except ModelError as error:
            # Numbers are looked at only when they are read.
            if listed and not re.search("not numbers|strewn|a filter of its own|array of", str(error)):
                raise Inconsistent(f"listed as a model, and then: {error}") from None
            raise
        if not listed:
            raise Inconsistent(f"opened, and not listed: {verdict}")
        generator.picture(generator.seed_styles(0))


def nvidia_files() -> list[Files]:
    beside = beside_the_weights() | {"long": np.zeros(20_000, np.float32)}
    return [
        {"a.pkl": network_pickle(nvidia(model()))},
        {"a.pkl": network_pickle(nvidia(model(), np.float64), 2, 1, **beside)},
        {"a.pkl": network_pickle(with_colours(nvidia(model()), 4), 5, 2, **beside)},
        {"a.pkl": network_pickle(conditional(model(), 3), 3)},
        {"a.pkl": network_pickle(stylegan3(np.float64))},
    ]


def tensorflow_files() -> list[Files]:
    with pytest.MonkeyPatch.context() as patch:
        more = {"Dense0/weight": torch.zeros(20, 16), "LabelEmbed/weight": torch.ones(3, 4)}
        more["LabelEmbed/bias"] = torch.zeros(4)
        return [{"a.pkl": tensorflow(plain(), patch)}, {"a.pkl": tensorflow(plain(), patch, more)}]


def checkpoints_of_others(zipped: bool) -> list[Files]:
    how = {"_use_new_zipfile_serialization": zipped}
    state = rosinality(plain())
    decoder = {f"decoder.{name}": tensor for name, tensor in state.items()}
    training = {
        "g": state,
        "g_ema": state,
        "g_optim": {"state": {0: {"step": 3}}},
        "latent_avg": plain().mean_w,
    }
    whole = written("a.pt", lambda path: save_whole(nvidia(model(), np.float64), path, zipped))
    return [
        {"a.pt": saved(training, **how)},
        {"a.pt": saved({"state_dict": decoder, "latent_avg": torch.zeros(6, 16), **beside_the_weights()}, **how)},
        {"a.pt": whole},
    ]  # fmt: skip


def own_files() -> list[Files]:
    def own(generator) -> Files:
        state = generator.state_dict()
        name = "a.safetensors"
        return {name: written(name, lambda path: weights.write_ours(path, generator.config, state))}

    return [own(plain()), own(random_generator(Config(8, (8, 8), (8, 8), "resnet", 4.0, classes=3)))]


# --- what else is beside the models -----------------------------------------------------------------------


class Graph:
    """A network as OpenVINO writes it: layers and edges as XML, numbers beside them."""

    def __init__(self):
        self.numbers, self.layers, self.edges = bytearray(), [], []

    def layer(self, kind: str, name: str, *inputs: int, value: np.ndarray | None = None) -> int:
        number, data = len(self.layers), ""
        if value is not None:
            shape, kind_of = (
                ",".join(map(str, value.shape)),
                {"float32": "f32", "int64": "i64"}[str(value.dtype)],
            )
            place = f'offset="{len(self.numbers)}" size="{value.nbytes}"'
            data = f'<data element_type="{kind_of}" shape="{shape}" {place}/>'
            self.numbers.extend(value.tobytes())
        self.layers.append(
            f'<layer id="{number}" name="{name}" type="{kind}" version="opset1">{data}</layer>'
        )
        for port, source in enumerate(inputs):
            ends = f'from-layer="{source}" from-port="0" to-layer="{number}" to-port="{port}"'
            self.edges.append(f"<edge {ends}/>")
        return number

    def constant(self, name: str, *shape: int, number: float = 0.5) -> int:
        return self.layer("Const", name, value=np.full(shape, number, np.float32))

    def files(self, name: str) -> Files:
        body = f"<layers>{''.join(self.layers)}</layers><edges>{''.join(self.edges)}</edges>"
        xml = f'<?xml version="1.0"?><net name="n" version="10">{body}</net>'
        return {f"{name}.xml": xml.encode(), f"{name}.bin": bytes(self.numbers)}


def openvino_files() -> list[Files]:
    """A mapping network with three small layers, and the first piece of a synthesis network."""
    mapping = Graph()
    at = mapping.layer("Parameter", "z")
    for i in range(3):
        at = mapping.layer("MatMul", f"fc{i}", at, mapping.constant(f"m.style.{i}.weight", 8, 8))
        shape = mapping.layer("Const", f"shape{i}", value=np.array([1, 8]))
        bias = mapping.layer("Reshape", f"bias{i}", mapping.constant(f"m.style.{i}.bias", 1, 8), shape)
        at = mapping.layer("Add", f"add{i}", at, bias)
        at = mapping.layer("PReLU", f"act{i}", at, mapping.constant(f"slope{i}", 1, number=0.2))
        at = mapping.layer("Multiply", f"gain{i}", at, mapping.constant(f"gain{i}.value", 1, number=2**0.5))
    net, name = Graph(), "m.conv1"
    style = net.layer("Parameter", "w")
    style = net.layer("MatMul", "style", style, net.constant(f"{name}.conv.modulation.weight", 8, 8))
    style = net.layer("Add", "style.add", style, net.constant(f"{name}.conv.modulation.bias", 1, 8))
    style = net.layer("Reshape", "style.shape", style, net.layer("Const", "s", value=np.array([1, 8])))
    style = net.layer("Multiply", "style.gain", style, net.constant("g", 1))
    x = net.layer("Multiply", "x", net.constant("m.input.input", 1, 8, 4, 4), style)
    x = net.layer("GroupConvolution", "depth", x, net.constant("depth.weight", 8, 1, 1, 3, 3))
    x = net.layer("Convolution", "conv", x, net.constant("conv.weight", 8, 8, 1, 1))
    x = net.layer("Add", "noise", x, net.constant("noise.value", 1, 1, 4, 4))
    x = net.layer("Add", "add", x, net.constant(f"{name}.bias", 1, 8, 1, 1))
    net.layer("Result", "out", net.layer("PReLU", "act", x, net.constant("slope", 1, number=0.2)))
    return [mapping.files("MappingNetwork") | net.files("SynthesisNetwork")]


def read_openvino(folder: Path) -> None:
    try:
        convert(folder)
    except IRError as error:  # the network is smaller than the one that is known
        if "has no constant 'm.layers.0.up" not in str(error):
            raise


def directions_files() -> list[Files]:
    generator, random = model(), torch.Generator().manual_seed(0)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random) * 0.1

    smile = Direction(numbers(3, 32), numbers(2, 3, 32), numbers(2, 32))
    learned = Directions(
        {"smile": smile, "slim": Direction(numbers(4, 32))}, generator.mean_w, {"drags": {"smile": 8}}
    )
    return [{f"tiny{ENDING}": in_order(written("a", lambda path: save_directions(path, learned)))}]


def in_order(data: bytes) -> bytes:
    """A safetensors file with what it says of itself in order, and not in that of a random hash."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[start:]


def read_directions_of(folder: Path) -> None:
    generator = model()
    learned = read_directions(folder / f"tiny{ENDING}", generator)
    for edit in learned.edits:
        styles = generator.seed_styles(1)
        assert (styles + learned.change(edit, styles)).isfinite().all()


FORMATS = {
    "nvidia": Format("pickle", nvidia_files, draw_models),
    "tensorflow": Format("pickle", tensorflow_files, draw_models),
    "zip": Format("zip", lambda: checkpoints_of_others(True), draw_models),
    "legacy": Format("legacy", lambda: checkpoints_of_others(False), draw_models),
    "safetensors": Format("safetensors", own_files, draw_models),
    "openvino": Format("xml", openvino_files, read_openvino),
    "directions": Format("safetensors", directions_files, read_directions_of),
    "training": Format("zip", training_files, read_training),
    "photo": Format("safetensors", photo_files, read_photo),
    "npz": Format("npz", lambda: latent_files("npz"), read_latent),
    "npy": Format("npy", lambda: latent_files("npy"), read_latent),
    "latent": Format("zip", latents_of_torch, read_latent),
    "project": Format("safetensors", project_files, read_project),
}


def hashes(step: int) -> dict[str, list[dict[str, str]]]:
    """Of the whole files of all formats, made in the order of FORMATS, or in the other one with -1."""
    digest = lambda data: hashlib.sha256(data).hexdigest()  # noqa: E731
    return {
        name: [{part: digest(data) for part, data in files.items()} for files in FORMATS[name].files()]
        for name in list(FORMATS)[::step]
    }
