"""A generator that changes a picture inside a region only: outside it stays the picture it was.

    canvas = RegionGenerator.over(generator, styles, mask)      # mask (H, W), 1 where it may change
    canvas.picture(other_styles)                                # like the generator's, but for the region

The two faces are blended where the synthesis has made their shape, as feature maps, and drawn to the end as
one. What is drawn there is in tune with what stays around it, so that no seam shows.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .base import Generator, Partial

BLEND_RESOLUTION = 64  # of the maps that are blended; 16 pixels a cell in a picture of 1024


class RegionGenerator(Generator):
    """`generator`, but wherever the mask is 0 its features are those of `base`.

    `base` and `mask` (1, 1, H, W) have the same resolution. Styles of rows below it work in the region only;
    those above it, which make colours and texture, everywhere: keep them as `base` was made.
    """

    def __init__(self, generator: Generator, base: Partial, mask: Tensor):
        super().__init__()
        self.generator, self.base, self.mask = generator, base, mask
        for name in ("name", "resolution", "num_rows", "z_dim", "w_dim", "feature_resolutions", "is_face"):
            setattr(self, name, getattr(generator, name))
        self.feature_resolution, self.free_rows = generator.feature_resolution, generator.free_rows
        self.mean_w = generator.mean_w

    @classmethod
    def over(cls, generator: Generator, styles: Tensor, mask: np.ndarray) -> "RegionGenerator":
        """Over the picture of styles (1, num_rows, w_dim), whatever generator draws it, also one of these."""
        return cls(root(generator), blend_base(generator, styles), blend_mask(generator, mask))

    def map(self, z: Tensor) -> Tensor:
        return self.generator.map(z)

    def features(self, styles: Tensor, resolution: int | None = None, start: Partial | None = None) -> Tensor:
        resolution = resolution or self.feature_resolution
        if resolution < self.base.resolution:  # below the blend nothing is mixed yet
            return self.generator.features(styles, resolution, start)
        return self.generator.features(styles, resolution, self._blended(styles, start))

    def partial(self, styles: Tensor, resolution: int, start: Partial | None = None) -> Partial:
        if resolution < self.base.resolution:
            return self.generator.partial(styles, resolution, start)
        return self.generator.partial(styles, resolution, self._blended(styles, start))

    def image(self, styles: Tensor, start: Partial | None = None) -> Tensor:
        return self.generator.image(styles, self._blended(styles, start))

    def preview(self, styles: Tensor, size: int, start: Partial | None = None) -> Tensor:
        return self.generator.preview(styles, size, self._blended(styles, start))

    def _blended(self, styles: Tensor, start: Partial | None) -> Partial:
        if start is not None and start.resolution >= self.base.resolution:
            return start  # of this generator, and blended when it was made
        return self.base.blend(self.generator.partial(styles, self.base.resolution, start), self.mask)


def root(generator: Generator) -> Generator:
    """The generator below any regions."""
    return generator.generator if isinstance(generator, RegionGenerator) else generator


@torch.no_grad()
def blend_base(generator: Generator, styles: Tensor) -> Partial:
    """The synthesis of styles (1, num_rows, w_dim) at the resolution where regions are blended."""
    return generator.partial(styles, min(BLEND_RESOLUTION, generator.resolution))


def blend_mask(generator: Generator, mask: np.ndarray) -> Tensor:
    """A mask (H, W) in [0, 1] as (1, 1, R, R) at the resolution where regions are blended."""
    mask = np.asarray(mask, np.float32)
    if mask.ndim != 2:
        raise ValueError(f"the mask must be (H, W), got {mask.shape}")
    size = min(BLEND_RESOLUTION, generator.resolution)
    tensor = torch.from_numpy(mask).to(generator.device)[None, None].clamp(0, 1)
    return F.interpolate(tensor, size=(size, size), mode="area").to(generator.dtype)
