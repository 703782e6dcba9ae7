"""How like real photos are what generators paint: folders of pictures against a folder of the real ones.

    python benchmarks/likeness.py REAL PAINTED [PAINTED ...]

The pictures of a folder are matched with the real ones by name. For each folder it prints L1, PSNR and SSIM (what
the training logs), the sharpness (mean length of the grey gradient, as a fraction of the real one's), and the Fréchet
distance of Heusel et al. 2017 with other features than theirs: those of MobileNetV2 (ImageNet) at strides 4, 8, 16 and
32. Inception's would need more pictures than a small validation split has; here every place of the feature map is a
sample, up to stride 16, and the distance compares textures and parts rather than whole scenes. Smaller is better.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from common.commandline import UserError, option, parse, run
from FCN_network2 import ENCODER_WEIGHTS, IMAGENET_MEAN, IMAGENET_STD, TAPS, folded_mobilenet
from training.metrics import likeness
from training.pairs import pictures_below
from training.pictures import read_photo

STRIDES = dict(zip(TAPS, (2, 4, 8, 16, 32), strict=True))
EACH = 400  # places of a feature map that are samples
SEED = 0


@dataclass
class Options:
    """The options of likeness.py."""

    folders: tuple[str, ...] = option((), "the folder of the real photos, then those of painted ones")


def as_batch(picture: Image.Image) -> Tensor:
    """(1, 3, H, W) uint8."""
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None]


def sharpness(picture: Tensor) -> float:
    """Mean length of the gradient of the grey values, on [0, 255]."""
    grey = picture.float().mean(dim=1)
    across, down = grey[:, :-1, 1:] - grey[:, :-1, :-1], grey[:, 1:, :-1] - grey[:, :-1, :-1]
    return torch.hypot(across, down).mean().item()


class Features:
    """Samples of MobileNetV2's features at several strides, collected over pictures."""

    def __init__(self) -> None:
        self.encoder = folded_mobilenet(ENCODER_WEIGHTS).eval()
        self.mean, self.std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))

    @torch.no_grad()
    def __call__(self, pictures: list[Tensor]) -> dict[int, np.ndarray]:
        """Stride -> (samples, channels). The places that are taken are the same for every folder."""
        found: dict[int, list[Tensor]] = {stride: [] for stride in STRIDES.values() if stride > 2}
        generator = torch.Generator().manual_seed(SEED)
        for picture in pictures:
            x = (picture.float() / 255 - self.mean) / self.std
            for index, block in enumerate(self.encoder):
                x = block(x)
                stride = STRIDES.get(index)
                if stride in found:
                    places = x[0].flatten(1).T
                    chosen = torch.randperm(len(places), generator=generator)[:EACH]
                    found[stride].append(places[chosen])
        return {stride: torch.cat(rows).double().numpy() for stride, rows in found.items()}


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    """Fréchet distance of two Gaussians fitted to samples (n, channels) (Heusel et al. 2017, equation 6)."""
    shift = np.square(one.mean(axis=0) - other.mean(axis=0)).sum()
    a, b = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(a @ b).real.clip(0))  # their sum is the trace of the root of a b
    return float(shift + np.trace(a) + np.trace(b) - 2 * roots.sum())


def read(folder: Path, names: list[str] | None = None) -> dict[str, Tensor]:
    """Name -> (1, 3, H, W) uint8. UserError if a name is missing."""
    files = pictures_below(folder)
    missing = [name for name in names or [] if name not in files]
    if not files or missing:
        raise UserError(f"{folder} has no picture {missing[0] if missing else ''}; it needs one of each name")
    return {name: as_batch(read_photo(files[name])) for name in names or files}


def main() -> None:
    options = parse(Options, __doc__)
    if len(options.folders) < 2:
        raise UserError("name the folder of the real photos and at least one of painted ones")
    real = read(Path(options.folders[0]))
    features = Features()
    truth = features(list(real.values()))
    clear = np.mean([sharpness(picture) for picture in real.values()])
    heads = "".join(f"{f'stride {stride}':>11}" for stride in truth)
    width = max(len(name) for name in options.folders[1:]) + 2
    print(f"{len(real)} pictures of {options.folders[0]}; Fréchet distance by stride")
    print(f"{'':{width}}{'L1':>8}{'PSNR':>8}{'SSIM':>8}{'sharp':>8}{heads}")
    for name in options.folders[1:]:
        painted = read(Path(name), list(real))
        sums = np.zeros(4)
        for key, picture in painted.items():
            if picture.shape != real[key].shape:
                raise UserError(f"{name}/{key} is not of the size of the real photo")
            error = (picture.float() - real[key].float()).abs().mean().item() / 255
            sums += [error, *likeness(picture, real[key]), sharpness(picture) / clear]
        l1, psnr, ssim, sharp = sums / len(painted)
        distances = {
            stride: frechet(rows, truth[stride]) for stride, rows in features(list(painted.values())).items()
        }
        values = "".join(f"{value:11.3f}" for value in distances.values())
        print(f"{name:{width}}{l1:8.4f}{psnr:8.2f}{ssim:8.3f}{sharp:8.2f}{values}")


if __name__ == "__main__":
    run(main)
