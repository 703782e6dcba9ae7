"""The generator interface and MobileStyleGAN: parity with OpenVINO, gradients, batches, broken files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from draggan import generators
from draggan.generators import CHECKPOINTS, DEFAULT_MODEL, ModelError, load_generator
from draggan.generators.mobile_stylegan import InverseHaar, SeparableConv, convert
from draggan.generators.openvino_ir import IRError, read_ir

REFERENCE = Path(__file__).resolve().parents[2] / "fixtures" / "mobile_stylegan_reference.npz"


@pytest.fixture(scope="module")
def generator():
    return load_generator()


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE) as file:
        return {name: file[name] for name in file.files}


def test_mapping_and_mean_equal_openvino(generator, reference):
    w = generator.map(torch.from_numpy(reference["z"]))
    assert np.abs(w.numpy() - reference["w"]).max() <= 1e-3
    assert np.abs(generator.mean_w.numpy() - reference["w_mean"]).max() <= 1e-3
    truncated = generator.truncate(w, 0.7)
    assert np.abs(truncated.numpy() - reference["w_psi07"]).max() <= 1e-3


def test_images_equal_openvino(generator, reference):
    for w, rows, blocks in zip(
        reference["w_psi07"], reference["image_rows"], reference["image_mean"], strict=True
    ):
        image = generator.image(generator.styles(torch.from_numpy(w[None])))[0].numpy()
        assert image.shape == (3, 1024, 1024)
        assert np.abs(image[:, ::16] - rows).max() <= 1e-3
        assert np.abs(image.reshape(3, 64, 16, 64, 16).mean((2, 4)) - blocks).max() <= 1e-3


def test_a_seed_is_what_draggan_users_know(generator):
    z = torch.from_numpy(np.random.RandomState(5).randn(1, 512).astype(np.float32))
    w = generator.mean_w + 0.7 * (generator.map(z) - generator.mean_w)
    styles = generator.seed_styles(5)
    assert styles.shape == (1, generator.num_rows, 512)
    torch.testing.assert_close(styles, w[:, None].expand_as(styles))
    assert torch.equal(generator.image(styles), generator.image(generator.seed_styles(5)))


def test_a_batch_gives_the_images_of_one_by_one(generator):
    styles = torch.cat([generator.seed_styles(seed) for seed in (1, 2)])
    together = generator.image(styles)
    alone = torch.cat([generator.image(styles[i : i + 1]) for i in range(2)])
    assert (together - alone).abs().max() <= 1e-3
    assert (together[0] - together[1]).abs().mean() > 0.05  # two faces, not one


def test_w_plus_rows_act_where_they_should(generator):
    styles = generator.seed_styles(0)
    late = styles.clone()
    late[:, 13:] = generator.seed_styles(1)[:, 13:]  # the rows of the 128x128 block and later
    assert torch.equal(generator.features(styles, 64), generator.features(late, 64))
    assert not torch.equal(generator.features(styles, 128), generator.features(late, 128))


def test_features_stop_at_the_wanted_resolution(generator):
    styles = generator.seed_styles(0)
    for resolution, channels in ((4, 512), (64, 512), (128, 256), (256, 128)):
        assert generator.features(styles, resolution).shape == (1, channels, resolution, resolution)
    with pytest.raises(ValueError, match="not at 100"):
        generator.features(styles, 100)
    with pytest.raises(ValueError, match=r"styles must be \(N, 23, 512\)"):
        generator.image(styles[:, :5])


def test_own_backward_passes_are_right():
    torch.manual_seed(0)
    x = torch.randn(2, 8, 4, 6, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(InverseHaar.apply, (x,))
    for n in (1, 2):  # one sample takes the path that folds the style into the weights
        x = torch.randn(n, 3, 5, 5, dtype=torch.double, requires_grad=True)
        style = torch.randn(n, 3, dtype=torch.double, requires_grad=True)
        weights = [
            torch.randn(*s, dtype=torch.double) for s in ((3, 1, 3, 3), (4, 3, 1, 1), (4,), (1, 1, 5, 5))
        ]
        assert torch.autograd.gradcheck(lambda x, s, w=weights: SeparableConv.apply(x, s, *w), (x, style))


def test_the_gradient_reaches_the_styles_and_no_weight(generator):
    styles = generator.seed_styles(0).requires_grad_()
    generator.features(styles, 32).square().mean().backward()
    rows = styles.grad.abs().sum(dim=(0, 2))
    assert (rows[:10] > 0).all()
    assert (rows[10:] == 0).all()
    assert all(p.grad is None for p in generator.parameters())


def test_missing_unknown_and_broken_models_are_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr(generators, "CHECKPOINTS", tmp_path)
    with pytest.raises(ModelError, match="no model 'elsa'"):
        load_generator("elsa")
    with pytest.raises(ModelError, match="python download_models.py mobile-ffhq"):
        load_generator()
    whole = (CHECKPOINTS / f"{DEFAULT_MODEL}.safetensors").read_bytes()
    for content in (b"", b"no model", whole[: len(whole) // 2]):
        (tmp_path / f"{DEFAULT_MODEL}.safetensors").write_bytes(content)
        with pytest.raises(ModelError, match="is broken") as error:
            load_generator()
        assert "\n" not in str(error.value)
    tensors = load_file(CHECKPOINTS / f"{DEFAULT_MODEL}.safetensors")
    tensors["constant"] = tensors["constant"][:, :5].clone()
    save_file(tensors, tmp_path / f"{DEFAULT_MODEL}.safetensors")
    with pytest.raises(ModelError, match="is broken"):
        load_generator()


IR = """<?xml version="1.0"?><net name="n" version="{version}"><layers>
<layer id="0" name="c" type="{type}" version="opset1"><data element_type="{kind}" shape="{shape}" offset="{offset}"
size="{size}"/></layer></layers><edges>{edges}</edges></net>"""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": "11"}, "IR version 10"),
        ({"type": "Loop"}, "unknown layer type 'Loop'"),
        ({"kind": "f16"}, "unknown element type 'f16'"),
        ({"shape": "2, 3"}, "do not hold the shape"),
        ({"offset": "4"}, "outside the weights"),
        ({"offset": "x"}, "unreadable"),
        ({"edges": '<edge from-layer="0" to-layer="7"/>'}, "not in the file"),
    ],
)
def test_the_ir_reader_says_what_it_met(tmp_path, changes, says):
    fields = {"version": "10", "type": "Const", "kind": "f32", "shape": "4", "offset": "0", "size": "16"}
    fields |= {"edges": ""}
    (tmp_path / "n.bin").write_bytes(np.arange(4, dtype="<f4").tobytes())
    (tmp_path / "n.xml").write_text(IR.format(**fields))
    assert read_ir(tmp_path / "n.xml", tmp_path / "n.bin")[0].value.tolist() == [0, 1, 2, 3]
    (tmp_path / "n.xml").write_text(IR.format(**(fields | changes)))
    with pytest.raises(IRError, match=says):
        read_ir(tmp_path / "n.xml", tmp_path / "n.bin")


@pytest.mark.parametrize("version", ["\u202e", "\u2028", "9" * 100_000])
def test_what_a_file_says_stays_in_one_short_line(tmp_path, version):
    fields = {"version": version, "type": "Const", "kind": "f32", "shape": "4", "offset": "0", "size": "16"}
    (tmp_path / "n.xml").write_text(IR.format(edges="", **fields), encoding="utf-8")
    with pytest.raises(IRError, match="expected OpenVINO IR version 10") as error:
        read_ir(tmp_path / "n.xml", tmp_path / "n.bin")
    assert str(error.value).isprintable()
    assert len(str(error.value)) <= 1000


def test_another_network_is_refused(tmp_path):
    for name in ("MappingNetwork", "SynthesisNetwork"):
        fields = {"version": "10", "type": "Const", "kind": "f32", "shape": "4", "offset": "0", "size": "16"}
        (tmp_path / f"{name}.xml").write_text(IR.format(edges="", **fields))
        (tmp_path / f"{name}.bin").write_bytes(bytes(16))
    with pytest.raises(IRError, match=r"no constant 'm\.input\.input'"):
        convert(tmp_path)
    shutil.rmtree(tmp_path)
