"""How a picture is drawn, in little memory: styles, and what stays of the picture before it.

    look = Look(styles)                                 # drawn by the generator as it is
    look = look.then(others, region_generator, root)    # of an edit that was kept to a region
    look.generator(root).picture(look.styles)

Edits that keep to a region are drawn by a RegionGenerator, which holds feature maps of some megabytes. A history
of them would fill the memory, so a look remembers what they are computed from.
"""

from dataclasses import dataclass

from torch import Tensor

from draggan.generators import ContinuedGenerator, Generator, RegionGenerator
from draggan.generators.region import blend_base


@dataclass(frozen=True, eq=False)
class Look:
    """Styles (1, rows, w_dim), and how they are drawn.

    before: what is shown where the mask (1, 1, R, R) in [0, 1] is 0; None: nothing else than the styles. Without
    a mask the change of the styles is added to it.
    """

    styles: Tensor
    before: "Look | None" = None
    mask: Tensor | None = None

    def generator(self, root: Generator) -> Generator:
        """What draws the styles; root: the generator without regions."""
        if self.before is None:
            return root
        base = blend_base(self.before.generator(root), self.before.styles)
        if self.mask is None:
            return ContinuedGenerator(root, base, blend_base(root, self.before.styles))
        return RegionGenerator(root, base, self.mask)

    def then(self, styles: Tensor, drawn_by: Generator, mine: Generator | None) -> "Look":
        """What has become of this look; `mine` drew it, `drawn_by` draws what it has become."""
        styles = styles.detach()
        if drawn_by is mine:
            return Look(styles, self.before, self.mask)
        if isinstance(drawn_by, RegionGenerator):
            return Look(styles, self, None if isinstance(drawn_by, ContinuedGenerator) else drawn_by.mask)
        return Look(styles)
