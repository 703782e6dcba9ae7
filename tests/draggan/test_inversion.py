"""A face into the generator: weights that can be tuned, and the search for styles and weights."""

import cv2
import pytest
import torch
import torch.nn.functional as F

from draggan import inversion
from draggan.generators import load_generator
from draggan.generators.mobile_stylegan import SLOPE, SeparableConv
from draggan.generators.stylegan2 import random_generator
from draggan.generators.stylegan2_layers import Config, config_f
from draggan.inversion import Inversion, Preset, principal_axes

# --- weights that can be tuned ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2])
def test_gradients_of_the_separable_convolution(n):
    """Against the same operations one by one, which autograd differentiates."""
    torch.manual_seed(0)
    x, style = torch.randn(n, 6, 8, 8), torch.randn(n, 6)
    depthwise, weight = torch.randn(6, 1, 3, 3), torch.randn(5, 6, 1, 1)
    bias, noise = torch.randn(5), torch.randn(1, 1, 8, 8)
    free = [t.double().requires_grad_() for t in (x, style, weight, bias)]
    x, style, weight, bias = free
    depthwise, noise = depthwise.double(), noise.double()
    ours = SeparableConv.apply(x, style, depthwise, weight, bias, noise)
    plain = F.conv2d(x * style[:, :, None, None], depthwise, padding=1, groups=6)
    plain = F.leaky_relu(F.conv2d(plain, weight, bias) + noise, SLOPE)
    assert torch.allclose(ours, plain)
    push = torch.randn_like(plain)
    for a, b in zip(
        torch.autograd.grad((ours * push).sum(), free),
        torch.autograd.grad((plain * push).sum(), free),
        strict=True,
    ):
        assert torch.allclose(a, b)


def test_stylegan2_draws_the_same_while_its_weights_are_free():
    model = random_generator(config_f(32, is_face=True))
    styles = model.seed_styles(1)
    own = model.copy_with(model.tunable())
    for weight in own.tunable().values():
        weight.requires_grad_(True)
    image = own.image(styles)
    assert torch.allclose(image, model.image(styles), atol=1e-4)
    gradients = torch.autograd.grad(image.square().mean(), list(own.tunable().values()))
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_a_copy_owns_what_is_tuned_and_shares_the_rest(generator):
    weights = generator.tunable()
    assert weights
    assert not any("modulation" in name or "mapping" in name for name in weights)
    twin = generator.copy_with({"to_img.bias": weights["to_img.bias"] + 0.5})
    styles = generator.seed_styles(0)
    before = generator.picture(styles)
    assert twin.picture(styles).mean() > before.mean() + 20
    assert (generator.picture(styles) == before).all()
    theirs = dict(generator.named_parameters())
    own = [name for name, weight in twin.named_parameters() if weight is not theirs[name]]
    assert own == ["to_img.bias"]
    assert twin.mean_w is generator.mean_w
    with pytest.raises(ValueError, match="no weight mapping.0.weight"):
        generator.copy_with({"mapping.0.weight": torch.zeros(512, 512)})
    with pytest.raises(ValueError, match="no weight to_img.bias of the shape"):
        generator.copy_with({"to_img.bias": torch.zeros(3)})


# --- inversion --------------------------------------------------------------------------------------------


def test_principal_axes_make_w(generator):
    """Normal coordinates along them have W's covariance."""
    axes = principal_axes(generator)
    with torch.no_grad():
        w = generator.map(torch.randn(4000, 512, generator=torch.Generator().manual_seed(5)))
    wanted = torch.cov(w.T)
    assert torch.linalg.norm(axes.T @ axes - wanted) < 0.35 * torch.linalg.norm(wanted)
    assert torch.allclose(axes @ axes.T, torch.diag((axes**2).sum(1)), atol=1e-3)


def test_an_inversion_comes_nearer_and_shows_itself(found, cut_out, generator):
    search, steps = found
    assert [p.step for p in steps] == list(range(1, 13))
    assert [p.stage for p in steps] == ["styles"] * 8 + ["weights"] * 4
    assert steps[7].loss < 0.8 * steps[0].loss
    assert steps[-1].loss < steps[8].loss
    shown = [p for p in steps if p.preview is not None]
    assert shown[0].step <= 5  # a preview after a few seconds
    assert steps[-1].preview.shape == (1024, 1024, 3)
    result = search.inversion.result
    assert cut_out.error(result.generator.picture(result.styles)) < 0.6 * cut_out.error(
        generator.picture(generator.styles(generator.mean_w[None]))
    )
    assert result.generator is not generator
    assert set(result.weights) == set(generator.tunable())
    # The generator that everybody uses is untouched, and nothing is left open in the other.
    again = load_generator()
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), generator.parameters(), strict=True))
    assert not any(weight.requires_grad for weight in result.generator.parameters())


def test_an_inversion_can_be_left_at_any_time(cut_out, generator, perceptual):
    search = Inversion(generator, cut_out.aligned, cut_out.points, Preset(4, 2), perceptual)
    assert search.result.styles.shape == (1, 23, 512)  # even before it began
    losses = []
    for progress in search:
        losses.append(progress.loss)
        if progress.step == 3:
            break
    wanted = inversion.Wanted(cut_out.aligned, cut_out.points, perceptual, generator.device)
    with torch.no_grad():
        best = float(wanted.loss(generator.image(search.result.styles), inversion.PIXEL_WEIGHT))
    assert best == pytest.approx(min(losses), rel=1e-3)
    assert search.result.generator is generator


def test_other_generators_can_be_inverted(perceptual, cut_out):
    model = random_generator(Config(64, (128,) * 5, (128,) * 3, is_face=True))
    aligned = cv2.resize(cut_out.aligned, (64, 64), interpolation=cv2.INTER_AREA)
    search = Inversion(model, aligned, (cut_out.points + 0.5) / 16 - 0.5, Preset(12, 6), perceptual)
    losses = [progress.loss for progress in search]
    assert losses[11] < 0.9 * losses[0]
    assert losses[17] < losses[12]
    with pytest.raises(ValueError, match="unknown preset 'perfect'; known: fast, best"):
        Inversion(model, aligned, cut_out.points, "perfect", perceptual)
    with pytest.raises(ValueError, match="expected an aligned picture"):
        Inversion(model, cut_out.aligned, cut_out.points, "fast", perceptual)
