"""Reading StyleGAN2 files: every format gives the same images."""

import argparse
import collections
import os

import numpy as np
import pytest
import torch
from model_files import REFERENCE, TINY, images, load_file, rosinality, tensorflow
from safetensors.torch import save_file

from draggan.generators import ModelError, load_generator, models, tensor_table, weights
from draggan.generators.stylegan2 import random_generator
from draggan.generators.stylegan2_layers import Config


def test_tiny_pickle_matches_the_reference():
    reference, model = np.load(REFERENCE), weights.build(*weights.read(TINY), "tiny")
    assert (model.resolution, model.num_rows, model.z_dim, model.w_dim) == (64, 10, 64, 64)
    with torch.no_grad():
        styles = model.styles(model.truncate(model.map(torch.from_numpy(reference["z"])), 0.7))
        np.testing.assert_allclose(styles, reference["ws"], atol=1e-3)
        np.testing.assert_allclose(model.image(styles), reference["img"], atol=1e-3)
        for size in (4, 8, 16, 32, 64):
            np.testing.assert_allclose(
                model.features(styles[:2], size), reference[f"feature_{size}"], atol=1e-3
            )


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("bare", [True, False])
def test_rosinality_round_trip(tmp_path, zipped, bare):
    config = Config(resolution=32, channels=(24, 24, 16, 8), mapping=(32, 40, 24))
    model = random_generator(config)
    content = rosinality(model) | ({"latent_avg": model.mean_w} if bare else {})
    if not bare:  # as train.py writes it: the averaged generator among much else
        other = collections.OrderedDict(weight=torch.zeros(3))
        content = {
            "g": other,
            "g_ema": content,
            "args": argparse.Namespace(size=32, path="x"),
            "ada_aug_p": 0.2,
        }
        content["latent_avg"] = model.mean_w
    path = tmp_path / "someone's model.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert weights.recognise(path)
    loaded = load_file(path)
    assert loaded.config == config
    torch.testing.assert_close(images(loaded), images(model), atol=2e-5, rtol=1e-4)


def test_rosinality_without_a_mean_computes_it(tmp_path):
    model = random_generator(Config(resolution=8, channels=(8, 8), mapping=(8, 8)))
    torch.save({"g_ema": rosinality(model)}, path := tmp_path / "a.pt")
    torch.testing.assert_close(load_file(path).mean_w, model.mean_w, atol=1e-5, rtol=1e-4)


def test_tensorflow_pickle(tmp_path, monkeypatch):
    model = random_generator(Config(resolution=16, channels=(12, 12, 8), mapping=(16, 16, 16)))
    (path := tmp_path / "old-ffhq.pkl").write_bytes(tensorflow(model, monkeypatch))
    monkeypatch.undo()
    assert weights.recognise(path)
    loaded = load_file(path)
    assert loaded.is_face
    torch.testing.assert_close(images(loaded), images(model), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_our_own_file_round_trip(tmp_path, architecture):
    config = Config(16, (8, 8, 4), (8, 8), architecture, clamp=4.0, half_width=True, is_face=True)
    model = random_generator(config)
    weights.write_ours(path := tmp_path / "x.safetensors", config, model.state_dict())
    assert weights.recognise(path)
    loaded = load_file(path)
    assert loaded.config == config
    torch.testing.assert_close(images(loaded), images(model))
    assert not list(tmp_path.glob("*.part"))


def test_models_are_found_by_content(folder):
    model = random_generator(Config(resolution=8, channels=(8, 8), mapping=(8, 8)))
    (folder / "lions.pkl").write_bytes(TINY.read_bytes())
    (folder / "no ending").write_bytes(TINY.read_bytes())
    torch.save({"g_ema": rosinality(model)}, folder / "dogs.pt")
    torch.save({"features.0.weight": torch.zeros(3)}, folder / "mobilenet_v2.pth")
    torch.save(torch.zeros(3), folder / "tensor.pt", _use_new_zipfile_serialization=False)
    save_file({"x": torch.zeros(3)}, folder / "other.safetensors")
    (folder / "shape.dat").write_bytes(os.urandom(1000))
    (folder / "lions2.pkl.part").write_bytes(TINY.read_bytes())
    (folder / "empty.pkl").touch()
    (folder / "a folder.pkl").mkdir()
    (folder / "README.md").write_text("hello")
    assert set(models()) == {"mobile-ffhq", "lions", "dogs", "no ending"}
    assert models()["lions"] == folder / "lions.pkl"


def test_second_start_reads_the_copy(folder, monkeypatch):
    (folder / "lions.pkl").write_bytes(TINY.read_bytes())
    first = images(load_generator("lions"))
    copy = folder / "lions.pkl.stylegan2.safetensors"
    assert copy.is_file()
    assert set(models()) == {"mobile-ffhq", "lions"}
    with monkeypatch.context() as patch:
        patch.setattr(weights, "read", None)  # not called again
        assert torch.equal(images(load_generator("lions")), first)

    (folder / "lions.pkl").write_bytes(
        b"\x80\x04something else."
    )  # changed: the copy no longer stands for it
    with pytest.raises(ModelError):
        load_generator("lions")
    (folder / "lions.pkl").unlink()  # gone: it does
    assert set(models()) == {"mobile-ffhq", "lions"}
    assert torch.equal(images(load_generator("lions")), first)


def test_broken_copy_is_made_again(folder):
    (folder / "lions.pkl").write_bytes(TINY.read_bytes())
    load_generator("lions")
    copy = folder / "lions.pkl.stylegan2.safetensors"
    size = copy.stat().st_size
    copy.write_bytes(copy.read_bytes()[: size // 2])
    load_generator("lions")
    assert copy.stat().st_size == size


def test_names_tell_faces(folder):
    for name in ("ffhq-512", "stylegan2-celebahq-256x256", "metfaces", "my face", "human_faces"):
        assert tensor_table.FACES.search(name), name
    for name in ("afhqcat", "lions", "stylegan_human_v2", "typeface", "surfaces", "car-config-f"):
        assert not tensor_table.FACES.search(name), name
