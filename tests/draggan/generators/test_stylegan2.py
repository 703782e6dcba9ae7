"""The StyleGAN2 network against the paper's formulas, written here in the most direct way, with autograd."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import warm

import draggan.generators as generators
from draggan.generators import load_generator, weights
from draggan.generators.stylegan2 import StyleGAN2, fast_dtype, random_generator
from draggan.generators.stylegan2_layers import Config, config_f

ROOT = Path(__file__).resolve().parents[3]
TINY = Path(__file__).resolve().parents[2] / "fixtures" / "stylegan2_tiny.pkl"
CONFIGS = {
    "skip": Config(16, (16, 12, 8), (20, 20, 28), clamp=3.0),
    "resnet": Config(16, (16, 12, 8), (20, 20, 28), "resnet", clamp=3.0),
    "orig": Config(16, (16, 12, 8), (20, 20, 28), "orig"),
    "half width": Config(16, (16, 12, 8), (20, 20, 28), half_width=True),
}


def fir(x: torch.Tensor, gain: float) -> torch.Tensor:
    """The binomial filter over every channel; x is padded already."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps) / 64 * gain
    return F.conv2d(x.flatten(0, 1)[:, None], kernel[None, None]).view(*x.shape[:2], x.shape[2] - 3, -1)


def upsampled(x: torch.Tensor) -> torch.Tensor:
    """Zeros between the pixels, then the filter (paper, appendix B; gain 4)."""
    n, c, h, w = x.shape
    zeros = torch.zeros(n, c, 2 * h, 2 * w)
    zeros[:, :, ::2, ::2] = x
    return fir(F.pad(zeros, (2, 1, 2, 1)), 4)


def styled_conv(layer, x, w, clamp, gain=1.0):
    """Equations 1-4: modulate the weights, demodulate them, convolve, add noise and bias, leaky ReLU."""
    style = F.linear(w, layer.modulation.weight, layer.modulation.bias)
    weight = layer.weight.transpose(0, 1) if layer.up else layer.weight
    out = []
    for sample, s in zip(x, style, strict=True):
        modulated = weight * s[None, :, None, None]
        modulated = modulated / (modulated.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.up:
            y = F.conv_transpose2d(sample[None], modulated.transpose(0, 1), stride=2)
            out.append(fir(F.pad(y, (1, 1, 1, 1)), 4))
        else:
            out.append(F.conv2d(sample[None], modulated, padding=1))
    y = F.leaky_relu(torch.cat(out) + layer.noise + layer.bias[:, None, None], 0.2) * 2**0.5 * gain
    return y if clamp is None else y.clamp(-clamp * gain, clamp * gain)


def direct(model: StyleGAN2, styles: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Image and feature maps."""
    clamp, kind = model.config.clamp, model.config.architecture
    x = model.constant.repeat(len(styles), 1, 1, 1)
    maps, image = [], None
    for i, block in enumerate(model.blocks):
        before = x
        if i:
            x = styled_conv(block.conv0, x, styles[:, 2 * i - 1], clamp)
        gain = 0.5**0.5 if i and kind == "resnet" else 1.0
        x = styled_conv(block.conv1, x, styles[:, 2 * i], clamp, gain)
        if i and kind == "resnet":
            x = x + upsampled(F.conv2d(before, block.skip.weight)) * 0.5**0.5
        maps.append(x)
        if block.to_rgb is not None:
            layer = block.to_rgb
            style = F.linear(styles[:, 2 * i + 1], layer.modulation.weight, layer.modulation.bias)
            rgb = F.conv2d(x * style[:, :, None, None], layer.weight, layer.bias)
            rgb = rgb if clamp is None else rgb.clamp(-clamp, clamp)
            image = rgb if image is None else upsampled(image) + rgb
    return image, maps


def some_styles(model: StyleGAN2, n: int) -> torch.Tensor:
    """W+: every row another w."""
    z = torch.randn(n * model.num_rows, model.z_dim, generator=torch.Generator().manual_seed(5))
    return model.map(z).view(n, model.num_rows, model.w_dim)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("n", [1, 2])
def test_images_features_and_gradients_are_those_of_the_paper(name, n):
    model = random_generator(CONFIGS[name], seed=1)
    for key, tensor in model.state_dict().items():
        if key.endswith("bias"):
            tensor.add_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(2)) * 0.2)
    styles = some_styles(model, n)
    image, maps = direct(model, ours := styles.clone().requires_grad_())
    width = image.shape[-1]
    crop = slice((model.resolution - width) // 2, (model.resolution + width) // 2)
    torch.testing.assert_close(model.image(styles)[..., crop], image.detach(), atol=1e-4, rtol=1e-4)
    for size, wanted in zip(model.feature_resolutions, maps, strict=True):
        columns = slice((size - wanted.shape[-1]) // 2, (size + wanted.shape[-1]) // 2)
        features = model.features(again := styles.clone().requires_grad_(), size)
        assert features.shape == (n, wanted.shape[1], size, size)
        torch.testing.assert_close(features[..., columns], wanted, atol=1e-4, rtol=1e-4)
        towards = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(3))
        (expected,) = torch.autograd.grad((wanted * towards).sum(), ours, retain_graph=True)
        (gradient,) = torch.autograd.grad((features[..., columns] * towards).sum(), again)
        torch.testing.assert_close(gradient, expected, atol=2e-3, rtol=1e-3)
    (expected,) = torch.autograd.grad(image.square().sum(), ours)
    picture = model.image(again := styles.clone().requires_grad_())[..., crop]
    (gradient,) = torch.autograd.grad(picture.square().sum(), again)
    torch.testing.assert_close(gradient, expected, atol=2e-3 * float(expected.abs().max()), rtol=1e-3)


def test_half_width_is_padded_to_a_square():
    model = random_generator(CONFIGS["half width"])
    image, features = model.image(some_styles(model, 1)), model.features(some_styles(model, 1), 16)
    assert image.shape == (1, 3, 16, 16)
    assert bool((image[..., :4] == 1).all() and (image[..., -4:] == 1).all())
    assert features.shape == (1, 8, 16, 16)
    assert bool((features[..., :4] == 0).all())


def test_no_gradient_reaches_the_weights():
    model = random_generator(CONFIGS["skip"])
    model.features(some_styles(model, 1).requires_grad_(), 16).sum().backward()
    assert all(not p.requires_grad and p.grad is None for p in model.parameters())


def test_reduced_precision_keeps_the_direction():
    model = random_generator(Config(64, (64,) * 5, (64, 64)))
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        model.feature_dtype = dtype
        styles = some_styles(model, 1).requires_grad_()
        features = model.features(styles)
        assert features.dtype == torch.float32
        (gradient,) = torch.autograd.grad(features[:, :, 10:20, 30:40].abs().sum(), styles)
        results.append((features.detach().flatten(), gradient.flatten()))
    for exact, fast in zip(*results, strict=True):
        assert float(F.cosine_similarity(exact, fast, 0)) > 0.99


def test_features_at_half_precision_follow_a_device_change():
    model = random_generator(CONFIGS["skip"])
    model.feature_dtype = torch.bfloat16
    before = model.features(styles := some_styles(model, 1))
    model.double().float()
    assert torch.equal(model.features(styles), before)
    assert fast_dtype("cpu") in (torch.float32, torch.bfloat16)


def test_interface():
    model = random_generator(config_f(256))
    assert (model.num_rows, model.z_dim, model.w_dim) == (14, 512, 512)
    assert model.feature_resolutions == (4, 8, 16, 32, 64, 128, 256)
    assert (model.feature_resolution, model.free_rows, model.is_face) == (128, 6, False)
    assert config_f(1024).channels == (512, 512, 512, 512, 512, 256, 128, 64, 32)
    assert StyleGAN2(Config(32, (8,) * 4, (8, 8), is_face=True)).is_face
    w = model.map(torch.randn(3, 512))
    torch.testing.assert_close(model.truncate(w, 0.0), model.mean_w.expand(3, -1))
    with pytest.raises(ValueError, match="styles must be"):
        model.features(torch.zeros(1, 13, 512))
    with pytest.raises(ValueError, match="not at 100"):
        model.features(torch.zeros(1, 14, 512), 100)


@pytest.mark.parametrize(
    "change",
    [
        {"resolution": 48},
        {"channels": (0, 8)},
        {"channels": (8, 5000)},
        {"channels": (8, True)},
        {"mapping": (8,)},
        {"mapping": (8,) * 99},
        {"architecture": "x"},
        {"clamp": -1.0},
    ],
)
def test_impossible_configurations(change):
    with pytest.raises(ValueError, match=r"."):
        Config(**{"resolution": 8, "channels": (8, 8), "mapping": (8, 8)} | change)


def test_mean_w_is_the_mean_of_w():
    model = random_generator(CONFIGS["skip"])
    w = model.map(torch.randn(20_000, model.z_dim))
    np.testing.assert_allclose(model.mean_w, w.mean(0), atol=0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(generators, "CHECKPOINTS", tmp_path)
    config = Config(64, (64,) * 5, (64, 64))
    weights.write_ours(tmp_path / "x.safetensors", config, random_generator(config).state_dict())
    here, there = load_generator("x", "cpu"), load_generator("x", "cuda")
    assert there.device.type == "cuda"
    assert there.feature_dtype == fast_dtype("cuda")
    styles = here.seed_styles(0)
    torch.testing.assert_close(there.image(styles.cuda()).cpu(), here.image(styles), atol=2e-2, rtol=2e-2)
    features = there.features(styles.cuda()).cpu().flatten()
    assert float(F.cosine_similarity(features, here.features(styles).flatten(), 0)) > 0.99


def test_a_drag_does_not_know_which_generator_it_holds(tmp_path, monkeypatch):
    from draggan.drag import Drag, Settings

    monkeypatch.setattr(generators, "CHECKPOINTS", tmp_path)
    shutil.copy(TINY, tmp_path / "tiny.pkl")
    generator = load_generator("tiny")
    start = generator.seed_styles(1)
    drag = Drag(generator, start, np.array([[20, 30]]), np.array([[40, 30]]), settings=Settings(max_steps=4))
    steps = list(drag.run())
    assert [step.number for step in steps] == [1, 2, 3, 4]
    assert all(np.isfinite(step.loss) for step in steps)
    changed = (drag.styles != start).any(-1)[0]
    assert bool(changed[: generator.free_rows].all())
    assert not bool(changed[generator.free_rows :].any())
    assert generator.picture(drag.styles).shape == (64, 64, 3)


def test_benchmark_runs():
    """A real drag on a random network, in the processes that the benchmark starts."""
    script = ROOT / "benchmarks" / "drag_step.py"
    command = [sys.executable, str(script), "--resolution", "32", "--points", "2", "--steps", "1"]
    command += ["--device", "cpu", "--official", str(ROOT)]
    run = warm.run(command, timeout=600)
    assert run.returncode == 0, run.stderr
    assert "is not a checkout of DragGAN" in run.stdout
    assert "gradient toward w" in run.stdout


def test_config_travels_as_json():
    config = CONFIGS["resnet"]
    assert Config.from_dict(json.loads(json.dumps(config.as_dict()))) == config
