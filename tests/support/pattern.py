"""A generator whose motion is known: for drags that do not need a face."""

import numpy as np
import torch

from draggan.generators import Generator
from draggan.generators.base import Partial

SPREAD = torch.tensor([1.0, 0.5, 0.25, 0.125])  # standard deviations of w
PIXELS = 20.0  # that the pattern moves with one unit of w


class Pattern(Generator):
    """A picture of one smooth pattern around (64, 64), which styles 0 and 1 move by (x, y) = 20 w.

    Styles 2 and 3 do nothing. So how far points move with the latent is known.
    """

    name, resolution, num_rows, z_dim, w_dim = "pattern", 128, 2, 4, 4
    feature_resolutions, feature_resolution, free_rows, is_face = (32, 64), 64, 1, False

    def __init__(self, wave=12.0):
        """wave: how wide the waves of the pattern are, in pixels of one radian."""
        super().__init__()
        self.wave = wave
        self.register_buffer("mean_w", torch.zeros(4))
        self.waves = torch.from_numpy(np.random.RandomState(0).randn(16, 2).astype(np.float32))

    def map(self, z):
        return z * SPREAD

    def features(self, styles, resolution=None, start=None):
        n = resolution or self.feature_resolution
        ticks = (torch.arange(n) + 0.5) * self.resolution / n - 0.5
        y, x = torch.meshgrid(ticks, ticks, indexing="ij")
        local = torch.stack((x, y), -1) - 64.0 - PIXELS * styles[0, 0, :2]
        window = torch.exp(-local.square().sum(-1) / (2 * 24.0**2))
        return (torch.sin(local @ self.waves.T / self.wave) * window[..., None]).permute(2, 0, 1)[None]

    def partial(self, styles, resolution, start=None):
        return Partial(resolution, self.features(styles, resolution))


def shift(styles: torch.Tensor) -> torch.Tensor:
    """Where the pattern is by its styles: the answer that is known."""
    return PIXELS * styles[0, 0, :2]
