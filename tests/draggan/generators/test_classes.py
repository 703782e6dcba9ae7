"""Conditional models: one class is drawn, or none is chosen; in Python and on the command line."""

import sys

import pytest
import torch
import warm
from model_files import images, refused, tensorflow
from nvidia_files import conditional, mapped, network_pickle, save_whole

from common.commandline import UserError
from draggan import edit_faces, gragan_modify
from draggan.generators import (
    Direction,
    Directions,
    ModelError,
    class_name,
    load_directions,
    load_generator,
    save_directions,
    split_class,
    survey,
    weights,
)
from draggan.generators.directions import ENDING
from draggan.generators.stylegan2 import random_generator
from draggan.generators.stylegan2_layers import Config
from draggan.model_list import model_name, table

CLASSES = 5
PLAIN = random_generator(Config(resolution=16, channels=(12, 12, 8), mapping=(16, 20, 16), clamp=256.0))


@pytest.fixture
def cars(folder):
    generator = conditional(PLAIN, CLASSES)
    (folder / "cars.pkl").write_bytes(network_pickle(generator))
    return generator


def test_w_is_that_of_the_class(cars):
    z = torch.randn(4, 16, generator=torch.Generator().manual_seed(1))
    seen = []
    for label in (None, *range(CLASSES)):
        model = load_generator(class_name("cars", label))
        torch.testing.assert_close(model.map(z), mapped(cars, z, label), atol=1e-5, rtol=1e-4)
        assert (model.classes, model.label, model.base_name) == (CLASSES, label, "cars")
        seen.append(model.map(z))
    assert all((a - b).abs().max() > 0.01 for i, a in enumerate(seen) for b in seen[:i])  # no two alike


def test_the_converted_copy_keeps_the_classes(cars, folder, monkeypatch):
    first = images(load_generator("cars@3"))
    (folder / "whole.pt").touch()
    save_whole(cars, folder / "whole.pt")
    torch.testing.assert_close(images(load_generator("whole@3")), first)
    monkeypatch.setattr(weights, "read", None)  # not called again
    assert torch.equal(images(load_generator("cars@3")), first)
    (folder / "cars.pkl").unlink()  # the copy stands for it
    assert survey()["cars"].classes == CLASSES
    assert torch.equal(images(load_generator("cars@3")), first)


def test_classes_share_their_weights(cars):
    model = load_generator("cars")
    twin = model.of_class(2)
    assert twin.blocks[0].conv1.weight is model.blocks[0].conv1.weight
    assert (twin.name, model.name, model.label) == ("cars@2", "cars", None)
    assert twin.of_class(4).name == "cars@4"
    torch.testing.assert_close(images(twin.of_class(4)), images(load_generator("cars@4")))


@pytest.mark.parametrize("label", [5, 99999])
def test_a_class_that_is_not_there(cars, label):
    with pytest.raises(ModelError, match=f"cars has no class {label}; its classes: 0 to 4"):
        load_generator(f"cars@{label}")


def test_a_model_without_classes(folder):
    (folder / "plain.pkl").write_bytes(network_pickle(conditional(PLAIN, 1)))
    weights.write_ours(folder / "none.safetensors", PLAIN.config, PLAIN.state_dict())
    with pytest.raises(ModelError, match="none has no class 0; its classes: none"):
        load_generator("none@0")
    with pytest.raises(ModelError, match="mobile-ffhq has no class 0"):
        load_generator("mobile-ffhq@0")
    assert load_generator("plain@0").classes == 1


def test_a_file_may_be_called_like_a_class(cars, folder):
    weights.write_ours(folder / "cars@3.safetensors", PLAIN.config, PLAIN.state_dict())
    assert split_class("cars@3") == ("cars@3", None)
    assert split_class("cars@2") == ("cars", 2)
    assert load_generator("cars@3").classes == 0


def test_directions_of_the_model_serve_its_classes(cars, folder):
    model = load_generator("cars@1")
    learned = Directions({"smile": Direction(torch.ones(3, 16))}, model.mean_w, {})
    save_directions(folder / f"cars{ENDING}", learned)
    assert "smile" in load_directions(model)
    save_directions(
        folder / f"cars@1{ENDING}", Directions({"slim": Direction(torch.ones(3, 16))}, model.mean_w)
    )
    assert "slim" in load_directions(model)  # its own come first
    assert "smile" in load_directions(load_generator("cars@2"))


def test_embeddings_that_do_not_fit(folder):
    generator = conditional(PLAIN, CLASSES)
    generator.state["_modules"]["mapping"].state["c_dim"] = 7
    (path := folder / "a.pkl").write_bytes(network_pickle(generator))
    refused(path, "mapping.embed.weight has the shape (6, 5) instead of (6, 7)")


def test_tensorflow_with_classes(folder, monkeypatch):
    """stylegan2-ada of TensorFlow: the same network, its arrays under other names."""
    plain = random_generator(Config(resolution=16, channels=(12, 12, 8), mapping=(16, 20, 16)))
    random = torch.Generator().manual_seed(0)
    own = plain.mapping[0].weight.T * 22**0.5 / 0.01
    mixed = torch.randn(6, 20, generator=random) * 100
    embed, bias = torch.randn(CLASSES, 6, generator=random), torch.randn(6, generator=random)
    more = {"Dense0/weight": torch.cat([own, mixed]), "LabelEmbed/weight": embed, "LabelEmbed/bias": bias}
    (folder / "tf.pkl").write_bytes(tensorflow(plain, monkeypatch, more))
    monkeypatch.undo()
    monkeypatch.setattr("draggan.generators.CHECKPOINTS", folder)

    def normalised(x):
        return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()

    z = torch.randn(3, 16)
    for label in (None, 0, 4):
        c = torch.zeros(3, CLASSES)
        if label is not None:
            c[:, label] = 1
        x = torch.cat([normalised(z), normalised(c @ embed / CLASSES**0.5 + bias)], 1)
        first = x @ more["Dense0/weight"] * (0.01 / 22**0.5) + plain.mapping[0].bias
        x = torch.nn.functional.leaky_relu(first, 0.2) * 2**0.5
        x = torch.nn.functional.leaky_relu(plain.mapping[1](x), 0.2) * 2**0.5
        model = load_generator(class_name("tf", label))
        torch.testing.assert_close(model.map(z), x, atol=1e-4, rtol=1e-3)


# --- the commands -----------------------------------------------------------------------------------------


def test_names_on_the_command_line(cars):
    assert model_name("cars", None) == "cars"
    assert model_name("cars", 3) == "cars@3"
    with pytest.raises(UserError, match="--class -1: classes are counted from 0"):
        model_name("cars", -1)
    assert "cars         classes 0 to 4: --class N" in table()


@pytest.mark.parametrize("script", [edit_faces, gragan_modify])
def test_the_option_is_there_and_its_errors_are_one_line(script, tmp_path):
    command = [sys.executable, script.__file__]
    listed = warm.run([*command, "--help"], cwd=tmp_path, timeout=600)
    assert "--class CLASS" in listed.stdout
    for value, words in (
        ("x", "invalid int value: 'x'"),
        ("-3", "classes are counted from 0"),
        ("0", "no class 0"),
    ):
        run = warm.run([*command, "--class", value], cwd=tmp_path, timeout=600)
        assert run.returncode == 2
        assert words in run.stderr
        assert len(run.stderr.strip().splitlines()) == 1


def test_faces_of_a_class_are_drawn_by_the_batch_command(cars, folder, monkeypatch, tmp_path):
    """The name that its settings and records hold says the class, so that another one does not go on there."""
    opened = {}

    def stop(name, device):
        opened["name"] = name
        raise ModelError("far enough")

    monkeypatch.setattr(edit_faces, "load_generator", stop)
    arguments = [
        "edit_faces.py",
        "--model",
        "cars",
        "--class",
        "2",
        "--output",
        str(tmp_path / "out"),
        "--seeds",
        "0",
    ]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(UserError, match="far enough"):
        edit_faces.main()
    assert opened["name"] == "cars@2"
