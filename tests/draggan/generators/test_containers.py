"""All harmless containers are read: whatever wrote the file, the images are those of the weights in it."""

import argparse
import collections
import pathlib
import zipfile

import numpy as np
import pytest
import torch
from model_files import images, load_file, refused, rosinality, tensorflow
from nvidia_files import (
    beside_the_weights,
    importable,
    network_pickle,
    nvidia,
    save_whole,
    stylegan3,
    with_colours,
)
from torch import nn

from draggan.generators import weights
from draggan.generators.pickle_machine import Machine
from draggan.generators.plain_objects import ArrayClaim, Instance
from draggan.generators.stylegan2 import StyleGAN2, random_generator
from draggan.generators.stylegan2_layers import Config

CLOSE = {"atol": 2e-5, "rtol": 1e-4}
CONFIG = Config(resolution=16, channels=(12, 12, 8), mapping=(16, 20, 16), clamp=256.0)
PLAIN = Config(resolution=16, channels=(12, 12, 8), mapping=(16, 20, 16))


@pytest.fixture
def model() -> StyleGAN2:
    return random_generator(CONFIG)


@pytest.fixture
def plain() -> StyleGAN2:
    return random_generator(PLAIN)


def same(path, model: StyleGAN2, **tolerance) -> StyleGAN2:
    assert weights.recognise(path), weights.inspect(path)
    loaded = load_file(path)
    torch.testing.assert_close(images(loaded), images(model), **(tolerance or CLOSE))
    again = load_file(path)  # from the converted copy
    assert torch.equal(images(again), images(loaded))
    return loaded


# --- NVIDIA's networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("numpy", [1, 2])
def test_pickles_of_every_protocol_with_numbers_of_numpy_beside(tmp_path, model, protocol, numpy):
    data = network_pickle(nvidia(model, np.float64), protocol, numpy, **beside_the_weights())
    assert (b"numpy._core" in data) == (numpy == 2)
    assert (b"numpy.core" in data) == (numpy == 1)
    (path := tmp_path / "a.pkl").write_bytes(data)
    assert same(path, model).config == CONFIG


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("numpy", [1, 2])
def test_arrays_and_numbers_come_through(tmp_path, protocol, numpy):
    wanted = beside_the_weights()
    (path := tmp_path / "a.pkl").write_bytes(network_pickle(stylegan3(), protocol, numpy, **wanted))
    with open(path, "rb") as stream:
        content = Machine().load(stream)
        for name, value in wanted.items():
            met = content[name]
            if isinstance(value, np.ndarray):
                assert isinstance(met, Instance)
                assert isinstance(met.state, ArrayClaim)
                np.testing.assert_array_equal(met.state.array(), value)
            else:
                assert met == value.item()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_whole_networks_saved_by_torch(tmp_path, model, zipped, protocol):
    generator = nvidia(model, np.float64)
    generator.state["history"] = np.arange(5.0)
    save_whole(generator, path := tmp_path / "pti.pt", zipped, pickle_protocol=protocol)
    same(path, model)
    torch.manual_seed(0)
    save_whole({"epoch": 3, "G_ema": generator}, path := tmp_path / "run.pt", zipped)
    same(path, model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_weights(tmp_path, model, plain, dtype):
    tolerance = {"atol": 0.1, "rtol": 0.1} if dtype == torch.bfloat16 else {"atol": 0.02, "rtol": 0.02}
    (path := tmp_path / "a.pkl").write_bytes(network_pickle(nvidia(model, dtype=dtype)))
    same(path, model, **tolerance)
    state = {key: value.to(dtype) for key, value in rosinality(plain).items()}
    for zipped in (True, False):
        torch.save({"g_ema": state}, path := tmp_path / f"{zipped}.pt", _use_new_zipfile_serialization=zipped)
        same(path, plain, **tolerance)


@pytest.mark.parametrize("colours", [1, 4])
def test_grey_and_transparent_pictures_are_shown_as_rgb(tmp_path, model, plain, monkeypatch, colours):
    def looks(path, original):
        wanted = images(original)
        wanted = wanted.mean(1, keepdim=True).expand(-1, 3, -1, -1) if colours == 1 else wanted
        assert weights.recognise(path), weights.inspect(path)
        torch.testing.assert_close(images(load_file(path)), wanted, **CLOSE)

    unclamped = random_generator(PLAIN)
    (path := tmp_path / "a.pkl").write_bytes(network_pickle(with_colours(nvidia(unclamped), colours)))
    looks(path, unclamped)
    state = rosinality(plain)
    for key in state:
        if key.startswith("to_rgb") and key.endswith((".conv.weight", ".bias")) and "modulation" not in key:
            value = state[key]
            more = torch.cat([value, value[:, :1] + 1], 1)
            state[key] = value.mean(1, keepdim=True) if colours == 1 else more
    torch.save({"g_ema": state}, path := tmp_path / "b.pt")
    looks(path, plain)


def test_two_and_five_channels(tmp_path, model):
    generator = with_colours(with_colours(nvidia(model), 4), 4)
    (path := tmp_path / "a.pkl").write_bytes(network_pickle(generator))
    refused(path, "its pictures have 5 channels; grey, RGB and RGBA can be shown")


# --- state dicts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "g_ema", "g", "state_dict", "params_ema", "generator", "G_ema"])
@pytest.mark.parametrize("start", ["", "module.", "decoder.", "generator.", "module.decoder."])
def test_state_dicts_under_any_name(tmp_path, plain, key, start):
    state = {f"{start}{name}": value for name, value in rosinality(plain).items()}
    if start.endswith("decoder."):  # of an encoder that was trained for it
        state["encoder.input_layer.0.weight"] = torch.zeros(4, 3, 3, 3)
    mean = {"latent_avg": plain.mean_w.repeat(6, 1)}
    content = state | mean if key is None else {"epoch": np.int64(3), key: state, "d": {}} | mean
    torch.save(content, path := tmp_path / "a.pt")
    same(path, plain)


def test_the_averaged_generator_is_taken_before_the_one_in_training(tmp_path, plain):
    other = rosinality(random_generator(PLAIN, seed=3))
    torch.save({"g": other, "d": {}, "g_ema": rosinality(plain)}, path := tmp_path / "a.pt")
    same(path, plain)
    flat = {f"g.{k}": v for k, v in other.items()} | {f"g_ema.{k}": v for k, v in rosinality(plain).items()}
    torch.save({"state_dict": flat}, path := tmp_path / "b.pt")
    same(path, plain)


def test_names_of_basicsr(tmp_path, plain):
    state = {}
    for name, value in rosinality(plain).items():
        name = name.replace("style.", "style_mlp.") if name.startswith("style.") else name
        name = "constant_input.weight" if name == "input.input" else name
        if not name.startswith(("style_mlp", "to_rgb", "constant")):
            name = name.replace("noise.weight", "weight").replace("conv1.", "style_conv1.", 1)
            name = name.replace("convs.", "style_convs.", 1).replace("noises.noise_", "noises.noise")
        name = name.replace(".conv.", ".modulated_conv.")
        state[name] = value
    assert {"style_conv1.weight", "style_convs.0.modulated_conv.weight", "noises.noise0"} <= state.keys()
    assert "to_rgb1.modulated_conv.modulation.weight" in state
    torch.save({"params_ema": state, "latent_avg": plain.mean_w}, path := tmp_path / "a.pth")
    same(path, plain)


@pytest.mark.parametrize("rows", [(), (1,), (6,), (1, 6)])
def test_the_mean_w_may_have_one_row_or_many(tmp_path, plain, rows):
    plain.mean_w = plain.mean_w + 1
    mean = plain.mean_w.expand(*rows, -1).clone()
    if rows and rows[-1] == 6:  # the mean of the rows counts
        mean[..., 0, :] += 0.6
        mean[..., 1, :] -= 0.6
    for number, content in enumerate(
        (
            {"g_ema": rosinality(plain), "latent_avg": mean},
            {"state_dict": {"latent_avg": mean} | rosinality(plain)},
            {"state_dict": {f"decoder.{k}": v for k, v in rosinality(plain).items()}, "latent_avg": mean},
            {"g_ema": rosinality(plain), "latent_avg": mean.numpy()},
        )
    ):
        torch.save(content, path := tmp_path / f"{number}.pt")
        torch.testing.assert_close(load_file(path).mean_w, plain.mean_w)


def test_what_programs_keep_beside_the_weights(tmp_path, plain):
    content = {
        "g_ema": collections.OrderedDict(rosinality(plain)),
        "g_optim": {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1}]},
        "args": argparse.Namespace(path=pathlib.Path("/data"), device=torch.device("cpu"), dtype=torch.float32),
        "size": torch.Size([3, 4]),
        "seen": {1, 2},
        "known": frozenset([3]),
        "table": collections.defaultdict(list, a=[1]),
        **beside_the_weights(),
    }  # fmt: skip
    for zipped in (True, False):
        torch.save(content, path := tmp_path / f"{zipped}.pt", _use_new_zipfile_serialization=zipped)
        same(path, plain)


def test_whole_modules_of_other_programs(tmp_path, plain):
    """torch.save of a module: its class has a name that nothing here knows."""

    class Generator(nn.Module):
        pass

    def put(root: nn.Module, name: str, value: torch.Tensor):
        *path, last = name.split(".")
        for part in path:
            if part not in root._modules:
                root.add_module(part, nn.Sequential())
            root = root._modules[part]
        if last == "bias" or "weight" in last:
            root.register_parameter(last, nn.Parameter(value))
        else:
            root.register_buffer(last, value)

    with importable("models.stylegan2", Generator=Generator):
        generator = Generator()
        for name, value in rosinality(plain).items():
            put(generator, name, value)
        for zipped in (True, False):
            torch.save(generator, path := tmp_path / f"{zipped}.pt", _use_new_zipfile_serialization=zipped)
            same(path, plain)
            torch.save({"g_ema": nn.DataParallel(generator)}, path := tmp_path / f"parallel-{zipped}.pt",
                       _use_new_zipfile_serialization=zipped)  # fmt: skip
            same(path, plain)


def test_tensorflow_of_numpy_two(tmp_path, plain, monkeypatch):
    data = tensorflow(plain, monkeypatch)
    assert b"numpy.core" in data
    (path := tmp_path / "a.pkl").write_bytes(data.replace(b"numpy.core", b"numpy._core"))
    monkeypatch.undo()
    same(path, plain)


# --- what cannot be used ----------------------------------------------------------------------------------

SENTENCE = "it is a StyleGAN3, whose pictures cannot be dragged here; only StyleGAN2 models can"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("numpy", [1, 2])
def test_stylegan3_has_its_own_sentence(tmp_path, protocol, numpy):
    (path := tmp_path / "a.pkl").write_bytes(network_pickle(stylegan3(np.float64), protocol, numpy))
    refused(path, SENTENCE)
    assert weights.inspect(path).problem == SENTENCE


def test_stylegan3_in_other_containers(tmp_path):
    class Thing:
        def __reduce__(self):
            return print, ("x",)

    save_whole(stylegan3(), tmp_path / "whole.pt")
    save_whole(stylegan3(), tmp_path / "old.pt", zipped=False)
    state = {"synthesis.L0_36_512.weight": torch.zeros(3), "mapping.fc0.weight": torch.zeros(3)}
    torch.save({"g_ema": state}, tmp_path / "state.pt")
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "module.pt")
    # with something beside it that is not read here
    (tmp_path / "beside.pkl").write_bytes(network_pickle(stylegan3(), thing=Thing()))
    data = network_pickle(stylegan3())
    (tmp_path / "cut.pkl").write_bytes(data[:-20])
    for path in sorted(tmp_path.glob("*.p*")):
        refused(path, SENTENCE)


def test_no_sentence_that_is_not_true(tmp_path, plain):
    """A healthy StyleGAN2 with something beside it that is not read is refused for that, and by its name."""

    class Thing:
        def __reduce__(self):
            return print, ("x",)

    torch.save({"g_ema": rosinality(plain), "thing": Thing()}, path := tmp_path / "a.pt")
    message = refused(path, "the file asks for __builtin__.print, which is not read here")
    assert "no StyleGAN2" not in message
    names = {"synthesis.b4.const": torch.zeros(8, 4, 4)}
    torch.save(names, path := tmp_path / "b.pt")
    refused(path, "a state dict of NVIDIA's StyleGAN2, without the settings of its layers")
    torch.save({"a": torch.zeros(3)}, path := tmp_path / "c.pt")
    refused(path, "no generator in it that is known")
    with zipfile.ZipFile(
        path := tmp_path / "d.pt", "w", zipfile.ZIP_DEFLATED
    ) as archive:  # as TorchScript is
        for name in ("data.pkl", "code/__torch__/a.py", "constants.pkl", "version"):
            archive.writestr(f"d/{name}", b"a" * 100)
    refused(path, "a network with its code (TorchScript)")
    assert weights.inspect(path) is None  # something else, whole
