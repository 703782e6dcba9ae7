"""A region drawn by other styles than the rest of the picture."""

import numpy as np
import pytest
import torch

from draggan.generators import (
    RegionGenerator,
)
from draggan.generators.stylegan2 import random_generator
from draggan.generators.stylegan2_layers import Config

# --- the region -----------------------------------------------------------------------------------------------

CONFIGS = {
    "skip": Config(128, (16, 16, 16, 12, 12, 8), (20, 20, 28)),
    "resnet": Config(128, (16, 16, 16, 12, 12, 8), (20, 20, 28), "resnet"),
    "half width": Config(128, (16, 16, 16, 12, 12, 8), (20, 20, 28), half_width=True),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_region_is_drawn_by_the_other_styles_and_only_it(kind):
    generator = random_generator(CONFIGS[kind])
    a, b = generator.seed_styles(0), generator.seed_styles(1)
    b[:, generator.free_rows :] = a[:, generator.free_rows :]
    nothing, everything, right = np.zeros((128, 128)), np.ones((128, 128)), np.zeros((128, 128))
    right[:, 64:] = 1
    before, after = generator.picture(a).astype(int), generator.picture(b).astype(int)
    assert np.abs(before - after).mean() > 2  # so that the rest can fail
    with torch.no_grad():
        for mask, expected in ((nothing, before), (everything, after)):
            canvas = RegionGenerator.over(generator, a, mask)
            assert np.abs(canvas.picture(b) - expected).max() <= 1
            plain = generator.features(a if expected is before else b, 64)
            torch.testing.assert_close(canvas.features(b, 64), plain, atol=1e-4, rtol=1e-4)
        canvas = RegionGenerator.over(generator, a, right)
        mixed = canvas.picture(b)
        assert np.abs(mixed[:, :50] - before[:, :50]).max() <= 1
        assert np.abs(mixed[:, 78:] - after[:, 78:]).mean() < 0.2 * np.abs(before - after)[:, 78:].mean() + 1
        # A region over a region keeps what the first one drew.
        left = right[:, ::-1]
        both = RegionGenerator.over(canvas, b, left).picture(a)
        assert np.abs(both - mixed)[:, 78:].max() <= 1


def test_features_and_image_go_on_from_a_partial_synthesis(generator):
    styles = generator.seed_styles(0)
    with torch.no_grad():
        half = generator.partial(styles, 64)
        torch.testing.assert_close(generator.features(styles, 128, half), generator.features(styles, 128))
        torch.testing.assert_close(generator.image(styles, half), generator.image(styles))
        with pytest.raises(ValueError, match="back to 32"):
            generator.features(styles, 32, half)
    assert generator.picture(styles, size=256).shape == (256, 256, 3)


def test_the_gradient_of_a_region_comes_from_inside():
    generator = random_generator(CONFIGS["skip"])
    styles = generator.seed_styles(0).requires_grad_()
    canvas = RegionGenerator.over(generator, styles, np.zeros((128, 128)))
    assert torch.autograd.grad(canvas.features(styles, 128).sum(), styles)[0][:, :6].abs().max() == 0
    canvas = RegionGenerator.over(generator, styles, np.ones((128, 128)))
    assert torch.autograd.grad(canvas.features(styles, 128).sum(), styles)[0][:, :6].abs().max() > 0
