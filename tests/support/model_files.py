"""Files of StyleGAN2 models as other programs write them, and as an attacker would."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import draggan.generators as generators
from draggan.generators import ModelError, weights
from draggan.generators.stylegan2 import StyleGAN2
from draggan.generators.stylegan2_layers import FILTER

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "fixtures" / "stylegan2_tiny.pkl"
REFERENCE = TINY.with_name("stylegan2_tiny_reference.npz")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty checkpoints folder."""
    monkeypatch.setattr(generators, "CHECKPOINTS", tmp_path)
    return tmp_path


def load_file(path: Path) -> StyleGAN2:
    return weights.load(path, path.stem)


def images(model: StyleGAN2) -> torch.Tensor:
    with torch.no_grad():
        return model.image(torch.cat([model.seed_styles(seed) for seed in range(2)]))


# --- files of other programs, made from our weights -------------------------------------------------------


def rosinality(model: StyleGAN2) -> dict:
    """The state dict that rosinality's Generator would have with these weights."""
    ours, theirs = model.state_dict(), {}
    w_dim = model.w_dim

    def modulation(name: str, path: str):
        theirs[f"{path}.modulation.weight"] = ours[f"{name}.modulation.weight"] * w_dim**0.5
        theirs[f"{path}.modulation.bias"] = ours[f"{name}.modulation.bias"]

    def layer(name: str, path: str, index: int, up: bool):
        weight = ours[f"{name}.weight"].transpose(0, 1) if up else ours[f"{name}.weight"]
        theirs[f"{path}.conv.weight"] = weight[None] * (9 * weight.shape[1]) ** 0.5
        modulation(name, f"{path}.conv")
        theirs[f"{path}.noise.weight"] = torch.tensor([0.5])
        theirs[f"noises.noise_{index}"] = ours[f"{name}.noise"] * 2
        theirs[f"{path}.activate.bias"] = ours[f"{name}.bias"]
        if up:
            taps = torch.tensor(FILTER)
            theirs[f"{path}.conv.blur.kernel"] = torch.outer(taps, taps) / 16

    for i in range(len(model.mapping)):
        weight = ours[f"mapping.{i}.weight"]
        theirs[f"style.{i + 1}.weight"] = weight * weight.shape[1] ** 0.5 / 0.01
        theirs[f"style.{i + 1}.bias"] = ours[f"mapping.{i}.bias"] / 0.01
    theirs["input.input"] = ours["constant"]
    for i in range(len(model.blocks)):
        if i:
            layer(f"blocks.{i}.conv0", f"convs.{2 * i - 2}", 2 * i - 1, up=True)
        layer(f"blocks.{i}.conv1", f"convs.{2 * i - 1}" if i else "conv1", 2 * i, up=False)
        rgb = f"to_rgbs.{i - 1}" if i else "to_rgb1"
        weight = ours[f"blocks.{i}.to_rgb.weight"]
        theirs[f"{rgb}.conv.weight"] = weight[None] * weight.shape[1] ** 0.5
        modulation(f"blocks.{i}.to_rgb", f"{rgb}.conv")
        theirs[f"{rgb}.bias"] = ours[f"blocks.{i}.to_rgb.bias"].reshape(1, 3, 1, 1)
    return theirs


class Named:
    """Pickles as a class or function of any name, and with any arguments: what an attacker writes."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.parts


def stub(monkeypatch, module: str, name: str, value):
    """Make ``module.name`` importable while a file is written."""
    parts = module.split(".")
    for i in range(len(parts)):
        path = ".".join(parts[: i + 1])
        if path not in sys.modules:
            monkeypatch.setitem(sys.modules, path, type(sys)(path))
    value.__module__, value.__qualname__, value.__name__ = module, name, name
    monkeypatch.setattr(sys.modules[module], name, value, raising=False)
    return value


def tensorflow(model: StyleGAN2, monkeypatch, more=None) -> bytes:
    """A pickle as NVIDIA's first release wrote them: three networks of NumPy arrays.

    more: tensors of the mapping network beside the model's own, or instead of them.
    """

    class Network:
        pass

    stub(monkeypatch, "dnnlib.tflib.network", "Network", Network)
    ours, mapping, synthesis = model.state_dict(), {}, {}

    def put(name: str, path: str, up: bool = False):
        weight = ours[f"{name}.weight"]
        weight = weight.permute(2, 3, 0, 1).flip(0, 1) if up else weight.permute(2, 3, 1, 0)
        if path.endswith("ToRGB"):
            weight = weight * weight.shape[2] ** 0.5
        synthesis[f"{path}/weight"] = weight
        synthesis[f"{path}/mod_weight"] = ours[f"{name}.modulation.weight"].T * model.w_dim**0.5
        synthesis[f"{path}/mod_bias"] = ours[f"{name}.modulation.bias"] - 1
        synthesis[f"{path}/bias"] = ours[f"{name}.bias"]

    for i in range(len(model.mapping)):
        weight = ours[f"mapping.{i}.weight"]
        mapping[f"Dense{i}/weight"] = weight.T * weight.shape[1] ** 0.5 / 0.01
        mapping[f"Dense{i}/bias"] = ours[f"mapping.{i}.bias"] / 0.01
    synthesis["4x4/Const/const"] = ours["constant"]
    for i in range(len(model.blocks)):
        path = f"{4 << i}x{4 << i}"
        for conv, name, noise in (
            ("conv0", "Conv0_up", 2 * i - 1),
            ("conv1", "Conv1" if i else "Conv", 2 * i),
        ):
            if i or conv == "conv1":
                put(f"blocks.{i}.{conv}", f"{path}/{name}", up=conv == "conv0")
                synthesis[f"noise{noise}"] = ours[f"blocks.{i}.{conv}.noise"]
                synthesis[f"{path}/{name}/noise_strength"] = torch.tensor(1.0)
        put(f"blocks.{i}.to_rgb", f"{path}/ToRGB")

    def network(variables: dict, **components):
        made = Network()
        arrays = [(key, np.array(value.numpy(), order="C")) for key, value in variables.items()]
        made.__dict__.update(version=4, static_kwargs={"architecture": "skip"}, variables=arrays)
        made.__dict__["components"] = components
        return made

    parts = {"mapping": network(mapping | (more or {})), "synthesis": network(synthesis)}
    averaged = network({"dlatent_avg": ours["mean_w"]}, **parts)
    return pickle.dumps((None, None, averaged), protocol=3).replace(b"numpy._core", b"numpy.core")


# --- hostile files ----------------------------------------------------------------------------------------


@pytest.fixture
def trap(tmp_path):
    """A path that no test may bring into being."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists(), "code in a file was executed"


def refused(path: Path, *words: str) -> str:
    """The one line that the file ends in."""
    with pytest.raises(ModelError) as caught:
        load_file(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    assert str(path) in message
    for word in words:
        assert word in message, message
    return message


def in_generator(payload) -> dict:
    """The payload where a network pickle has its weights."""
    return {"training_set_kwargs": None, "G": None, "D": None, "G_ema": payload, "augment_pipe": None}


def copy_tiny(folder: Path) -> Path:
    (path := folder / "tiny.pkl").write_bytes(TINY.read_bytes())
    return path
