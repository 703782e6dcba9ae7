"""What the drag, the edits, the app and the command know of a generator."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

DEFAULT_PSI = 0.7


class ModelError(ValueError):
    """A model is unknown, missing or broken; the message says which, and what to do."""


@dataclass(frozen=True)
class Partial:
    """A synthesis stopped on its way, to go on from: feature map, and the colours so far where those are summed.

    ``features`` (N, C, H, W); ``colours`` (N, 3, H, W) or None.
    """

    resolution: int
    features: Tensor
    colours: Tensor | None = None

    def blend(self, other: "Partial", mask: Tensor) -> "Partial":
        """This where the mask (1, 1, resolution, resolution) in [0, 1] is 0, the other where it is 1."""
        missing = mask.shape[3] - self.features.shape[3]  # maps half as wide as high lie in the middle
        mask = mask[..., missing // 2 : mask.shape[3] - missing // 2]
        both = [(self.features, other.features), (self.colours, other.colours)]
        return Partial(
            self.resolution, *(None if a is None else torch.lerp(a, b, mask.to(a.dtype)) for a, b in both)
        )

    def moved(self, start: "Partial", end: "Partial") -> "Partial":
        """This with what lies between two others added."""
        ours, first, last = ((each.features, each.colours) for each in (self, start, end))
        parts = zip(ours, first, last, strict=True)
        return Partial(self.resolution, *(None if a is None else a + (c - b) for a, b, c in parts))


class Generator(nn.Module):
    """A style-based generator: z → w → styles → image.

    ``styles`` are (N, num_rows, w_dim): one row for each layer that takes a style. In W mode all rows hold
    the same w; in W+ each has its own. Weights are frozen: gradients reach the styles only, but in a copy for tuning.

    A subclass sets the attributes below and implements :meth:`map`, :meth:`partial`, :meth:`features`,
    :meth:`image` and :meth:`tunable`.
    """

    name: str
    resolution: int  # of the image, in pixels, square
    num_rows: int  # style rows
    z_dim: int
    w_dim: int
    feature_resolutions: tuple[int, ...]  # what `features` can stop at
    feature_resolution: int  # the default for dragging
    free_rows: int  # rows that a drag changes by default; the others keep colours and texture
    is_face: bool  # landmark edits make sense
    mean_w: Tensor  # (w_dim,), the truncation centre
    classes: int = 0  # that a conditional model knows
    label: int | None = None  # the class that is drawn, see `of_class`

    def map(self, z: Tensor) -> Tensor:
        """Map latents z (N, z_dim), standard normal, to w (N, w_dim)."""
        raise NotImplementedError

    def features(self, styles: Tensor, resolution: int | None = None, start: Partial | None = None) -> Tensor:
        """Feature map (N, C, resolution, resolution); the synthesis stops there.

        ``resolution`` is one of ``feature_resolutions``, by default ``feature_resolution``. ``start``: go on
        from there, with the styles of the rows above it; its resolution is at most the one asked for.
        """
        raise NotImplementedError

    def partial(self, styles: Tensor, resolution: int, start: Partial | None = None) -> Partial:
        """The synthesis stopped at one of ``feature_resolutions``, for `features` and `image` to go on from."""
        raise NotImplementedError

    def image(self, styles: Tensor, start: Partial | None = None) -> Tensor:
        """Image (N, 3, resolution, resolution), RGB in [-1, 1] (a little beyond is possible)."""
        raise NotImplementedError

    def preview(self, styles: Tensor, size: int, start: Partial | None = None) -> Tensor:
        """The image at a power of two below the resolution: drawn so small where the generator can."""
        return F.adaptive_avg_pool2d(self.image(styles, start), size)

    def tunable(self) -> dict[str, nn.Parameter]:
        """The weights that may be tuned to one photo, by name: those that draw, not those that read the styles."""
        raise NotImplementedError

    def copy_with(self, weights: dict[str, Tensor]) -> "Generator":
        """A generator that shares all weights with this one but those given, which become its own.

        Raises ValueError for a name or shape that `tunable` does not have.
        """
        mine = self.tunable()
        for name, tensor in weights.items():
            if name not in mine or mine[name].shape != tensor.shape:
                raise ValueError(
                    f"{self.name} has no weight {name} of the shape {tuple(tensor.shape)} to tune"
                )
        # What the memo of a deep copy holds is not copied: every tensor is shared, every module is new.
        tensors = (*self.parameters(), *self.buffers())
        twin = copy.deepcopy(self, {id(tensor): tensor for tensor in tensors})
        for name, tensor in weights.items():
            module, _, attribute = name.rpartition(".")
            own = nn.Parameter(tensor.detach().to(self.device, self.dtype).clone(), requires_grad=False)
            setattr(twin.get_submodule(module), attribute, own)
        twin.forget()
        return twin

    @property
    def base_name(self) -> str:
        """The name without the class."""
        return self.name if self.label is None else self.name.removesuffix(f"@{self.label}")

    def of_class(self, label: int) -> "Generator":
        """A generator that shares all weights with this one and draws one class; its name is "NAME@3".

        Raises ModelError for a class that is not there.
        """
        if not 0 <= label < self.classes:
            there = f"0 to {self.classes - 1}" if self.classes else "none"
            raise ModelError(f"{self.base_name} has no class {label}; its classes: {there}")
        twin = self.copy_with({})
        twin.label, twin.name = label, f"{self.base_name}@{label}"
        return twin

    def forget(self) -> None:
        """Drop what was computed from the weights alone; to be called where they have changed."""

    def truncate(self, w: Tensor, psi: float = DEFAULT_PSI) -> Tensor:
        """Truncation trick: pull w (N, w_dim) toward the mean w; psi 1 leaves it, 0 gives the mean."""
        return self.mean_w + psi * (w - self.mean_w)

    def styles(self, w: Tensor) -> Tensor:
        """The same w (N, w_dim) in every row: (N, num_rows, w_dim)."""
        return w[:, None, :].repeat(1, self.num_rows, 1)

    @torch.no_grad()
    def seed_styles(self, seed: int, psi: float = DEFAULT_PSI) -> Tensor:
        """Styles (1, num_rows, w_dim) of a seed, as DragGAN's users know it: RandomState(seed).randn(1, z)."""
        z = np.random.RandomState(seed).randn(1, self.z_dim).astype(np.float32)
        w = self.map(torch.from_numpy(z).to(self.device, self.dtype))
        return self.styles(self.truncate(w, psi))

    @torch.no_grad()
    def picture(self, styles: Tensor, size: int | None = None) -> np.ndarray:
        """The image of styles (1, num_rows, w_dim) as (size, size, 3) uint8 RGB; None: at the resolution."""
        small = size is not None and size < self.resolution
        image = self.preview(styles, size) if small else self.image(styles)
        image = image[0].float().clamp(-1, 1)
        return image.add(1).mul(127.5).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()

    @property
    def device(self) -> torch.device:
        return self.mean_w.device

    @property
    def dtype(self) -> torch.dtype:
        return self.mean_w.dtype

    def _check(self, styles: Tensor, resolution: int | None = None, start: Partial | None = None) -> None:
        """Raise ValueError for styles, a feature resolution or a start that this generator does not have."""
        if styles.ndim != 3 or tuple(styles.shape[1:]) != (self.num_rows, self.w_dim):
            raise ValueError(
                f"styles must be (N, {self.num_rows}, {self.w_dim}) for {self.name}, got {tuple(styles.shape)}"
            )
        if resolution is not None and resolution not in self.feature_resolutions:
            raise ValueError(
                f"{self.name} has feature maps at {', '.join(map(str, self.feature_resolutions))} pixels, "
                f"not at {resolution}"
            )
        if start is not None and start.resolution > (resolution or self.resolution):
            raise ValueError(f"cannot go from features at {start.resolution} back to {resolution}")
