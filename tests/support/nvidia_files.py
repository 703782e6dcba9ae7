"""Network files as NVIDIA's programs and those that build on them write them, made from our weights."""

import contextlib
import io
import pickle
import sys

import numpy as np
import torch

from draggan.generators.stylegan2 import StyleGAN2
from draggan.generators.stylegan2_layers import FILTER


def rebuilt(meta):
    """Stands for `torch_utils.persistence._reconstruct_persistent_obj` while a file is written."""


@contextlib.contextmanager
def importable(module: str, **values):
    """Names of a module that is not installed, so that files can be written that ask for them."""
    parts = module.split(".")
    paths = [".".join(parts[: i + 1]) for i in range(len(parts))]
    new = [path for path in paths if path not in sys.modules]
    try:
        for path in new:
            sys.modules[path] = type(sys)(path)
        for name, value in values.items():
            value.__module__, value.__qualname__, value.__name__ = module, name, name
            setattr(sys.modules[module], name, value)
        yield
    finally:
        for path in new:
            del sys.modules[path]


class Module:
    """What `torch_utils.persistence` saves of a module: a dict with the name of its class, its source and its state."""

    def __init__(self, class_name: str, parts=None, tensors=None, **attributes):
        state = {
            "training": False,
            "_parameters": {},
            "_buffers": {
                name: torch.nn.Parameter(value) if name == "weight" else value
                for name, value in (tensors or {}).items()
            },
            "_modules": parts or {},
            "_non_persistent_buffers_set": set(),
        }
        self.meta = {"type": "class", "version": 6, "module_src": "import os\n" * 10}
        self.meta |= {"class_name": class_name, "state": state | attributes}

    @property
    def state(self) -> dict:
        return self.meta["state"]

    def __reduce__(self):
        return rebuilt, (self.meta,)


def nvidia(model: StyleGAN2, number=float, dtype=torch.float32) -> Module:
    """The generator with these weights. number: what its attributes are; dtype: of the tensors."""
    ours, w_dim = model.state_dict(), model.w_dim

    def fully(weight, bias, gain: float, bias_gain: float = 1.0, **more) -> Module:
        tensors = {"weight": (weight / gain).to(dtype), "bias": (bias / bias_gain).to(dtype)}
        gains = {"weight_gain": number(gain), "bias_gain": number(bias_gain)}
        return Module("FullyConnectedLayer", tensors=tensors, **gains, **more)

    def affine(name: str) -> Module:
        return fully(ours[f"{name}.modulation.weight"], ours[f"{name}.modulation.bias"], w_dim**-0.5)

    def layer(name: str, up: bool) -> Module:
        weight = ours[f"{name}.weight"]
        taps = torch.tensor(FILTER)
        tensors = {
            "weight": (weight.transpose(0, 1) if up else weight).to(dtype),  # not contiguous
            "bias": ours[f"{name}.bias"].to(dtype),
            "noise_const": (ours[f"{name}.noise"][0, 0] * 2).to(dtype),
            "noise_strength": torch.tensor(0.5, dtype=dtype),
            "resample_filter": torch.outer(taps, taps) / taps.sum() ** 2,
        }
        clamp = {"conv_clamp": model.config.clamp, "activation": "lrelu"}
        return Module("SynthesisLayer", {"affine": affine(name)}, tensors, **clamp)

    def block(i: int) -> Module:
        name = f"blocks.{i}.to_rgb"
        weight = ours[f"{name}.weight"]
        gain = weight.shape[1] ** -0.5
        rgb = {"weight": (weight / gain).to(dtype), "bias": ours[f"{name}.bias"].to(dtype)}
        parts = {"conv1": layer(f"blocks.{i}.conv1", up=False)}
        if i:
            parts["conv0"] = layer(f"blocks.{i}.conv0", up=True)
        parts["torgb"] = Module("ToRGBLayer", {"affine": affine(name)}, rgb, weight_gain=number(gain))
        const = {} if i else {"const": ours["constant"][0].to(dtype)}
        return Module("SynthesisBlock", parts, const, architecture="skip")

    mapping = {}
    for i in range(len(model.mapping)):
        weight, bias = ours[f"mapping.{i}.weight"], ours[f"mapping.{i}.bias"]
        mapping[f"fc{i}"] = fully(weight, bias, 0.01 * weight.shape[1] ** -0.5, 0.01, activation="lrelu")
    mean = {"w_avg": ours["mean_w"].to(dtype)}
    mapping = Module("MappingNetwork", mapping, mean, z_dim=model.z_dim, c_dim=0)
    blocks = {f"b{4 << i}": block(i) for i in range(len(model.blocks))}
    return Module("Generator", {"mapping": mapping, "synthesis": Module("SynthesisNetwork", blocks)})


def with_colours(generator: Module, colours: int) -> Module:
    """The same with pictures of so many channels: grey of the mean colour, or RGB and a transparency."""
    for block in generator.state["_modules"]["synthesis"].state["_modules"].values():
        tensors = block.state["_modules"]["torgb"].state["_buffers"]
        for name, value in tensors.items():
            value = value.detach()
            tensors[name] = value.mean(0, keepdim=True) if colours == 1 else torch.cat([value, value[:1] + 1])
    return generator


def stylegan3(number=float) -> Module:
    """The outline of a StyleGAN3 generator."""
    layer = Module("SynthesisLayer", tensors={"weight": torch.zeros(3, 3)}, in_cutoff=number(2.0))
    blocks = {"input": Module("SynthesisInput"), "L0_36_512": layer, "L14_256_3": layer}
    mapping = Module("MappingNetwork", z_dim=512, c_dim=0)
    return Module("Generator", {"mapping": mapping, "synthesis": Module("SynthesisNetwork", blocks)})


def network_pickle(generator: Module, protocol: int = 4, numpy: int = 2, **beside) -> bytes:
    """The file of a network as a training writes it, by NumPy 1 or 2."""
    content = {"G": None, "D": None, "G_ema": generator, "training_set_kwargs": {"path": "x"}, **beside}
    with importable("torch_utils.persistence", _reconstruct_persistent_obj=rebuilt):
        if numpy == 1:
            return _as_numpy_1(content, protocol)
        return pickle.dumps(content, protocol)


def _as_numpy_1(content, protocol: int) -> bytes:
    """NumPy's own functions under the names that they had."""
    from numpy._core import multiarray, numeric

    functions = (multiarray.scalar, multiarray._reconstruct, numeric._frombuffer)

    class Pickler(pickle._Pickler):
        def save_global(self, obj, name=None):
            if not any(obj is function for function in functions):
                return super().save_global(obj, name)
            module = f"numpy.core.{'numeric' if obj is functions[2] else 'multiarray'}"
            if self.proto >= 4:
                self.save(module)
                self.save(obj.__name__)
                self.write(pickle.STACK_GLOBAL)
            else:
                self.write(b"c" + f"{module}\n{obj.__name__}\n".encode())
            return self.memoize(obj)

    stream = io.BytesIO()
    Pickler.dispatch = {**pickle._Pickler.dispatch, type(rebuilt): Pickler.save_global}
    Pickler(stream, protocol).dump(content)
    return stream.getvalue()


def save_whole(generator: Module, path, zipped: bool = True, **how) -> None:
    """As pivotal tuning saves its generators: torch.save of the module itself."""
    with importable("torch_utils.persistence", _reconstruct_persistent_obj=rebuilt):
        torch.save(generator, path, _use_new_zipfile_serialization=zipped, **how)


def beside_the_weights() -> dict:
    """NumPy's numbers and arrays of all sorts, as programs keep them in a file."""
    return {
        "kimg": np.int64(25000),
        "loss": np.float32(0.5),
        "name": np.str_("ffhq"),
        "done": np.bool_(True),
        "history": np.arange(6, dtype=np.float64).reshape(2, 3),
        "columns": np.asfortranarray(np.ones((3, 2), np.float32)),
        "half": np.ones(3, np.float16),
        "big end": np.arange(3, dtype=">f4"),
        "none": np.zeros((0, 4)),
        "alone": np.array(1.5),
        "words": np.array(["a", "bc"]),
        "long": np.zeros(100_000, np.float32),
        "sliced": np.arange(12).reshape(3, 4)[:, ::2],
    }


def conditional(model: StyleGAN2, classes: int, seed: int = 0) -> Module:
    """The generator with a mapping network that takes classes, too; the weights that read them are random."""
    random = torch.Generator().manual_seed(seed)
    generator = nvidia(model)
    mapping = generator.state["_modules"]["mapping"]
    fc0 = mapping.state["_modules"]["fc0"]
    size = 6  # of an embedding
    gain = 0.01 * (model.z_dim + size) ** -0.5
    mixed = torch.randn(model.config.mapping[1], size, generator=random)
    own = fc0.state["_buffers"]["weight"].detach() * (fc0.state["weight_gain"] / gain)
    fc0.state["_buffers"]["weight"] = torch.cat([own, mixed / gain * 0.2], 1)
    fc0.state["weight_gain"] = gain
    embed = {
        "weight": torch.randn(size, classes, generator=random),
        "bias": torch.randn(size, generator=random),
    }
    mapping.state["_modules"]["embed"] = Module(
        "FullyConnectedLayer", tensors=embed, weight_gain=classes**-0.5, bias_gain=1.0
    )
    mapping.state["c_dim"] = classes
    return generator


def mapped(generator: Module, z: torch.Tensor, label: int | None) -> torch.Tensor:
    """w of NVIDIA's mapping network, from its layers as they are saved."""
    mapping = generator.state["_modules"]["mapping"]
    layers = mapping.state["_modules"]

    def fully(layer: Module, x: torch.Tensor) -> torch.Tensor:
        state = layer.state
        weight, bias = (state["_buffers"][name].detach() for name in ("weight", "bias"))
        return x @ (weight * state["weight_gain"]).T + bias * state["bias_gain"]

    def normalised(x: torch.Tensor) -> torch.Tensor:
        return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()

    c = torch.zeros(len(z), mapping.state["c_dim"])
    if label is not None:
        c[:, label] = 1
    x = torch.cat([normalised(z), normalised(fully(layers["embed"], c))], 1)
    for name in sorted(name for name in layers if name.startswith("fc")):
        x = torch.nn.functional.leaky_relu(fully(layers[name], x), 0.2) * 2**0.5
    return x
