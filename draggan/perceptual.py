"""How alike two pictures look: distances of MobileNetV2's ImageNet features (in the manner of LPIPS, Zhang et al.
2018, arXiv 1801.03924, without its learned weights).

    perceptual = Perceptual(device)
    wanted = perceptual.features(photo)
    loss = perceptual.distance(perceptual.features(picture), wanted, weight)
"""

import pickle

import torch
import torch.nn.functional as F
from torch import Tensor

from common import torchvision_ops  # noqa: F401  must come before torchvision
from common.folding import fold_norms
from draggan.generators import CHECKPOINTS, ModelError

from torchvision.models import mobilenet_v2  # isort: skip

FILE = "mobilenet_v2-b0353104.pth"
# stages whose results are compared: at 1/2, 1/4, 1/8, 1/16, 1/16 of the picture's size
TAPS = (1, 3, 6, 10, 13)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures, RGB in [0, 1]


class Perceptual:
    """MobileNetV2 up to its last tap, frozen. Raises ModelError where its weights are missing or broken."""

    def __init__(self, device: torch.device | str = "cpu"):
        path = CHECKPOINTS / FILE
        if not path.is_file():
            raise ModelError(f"{path} is not there; fetch it with: python download_models.py mobilenet_v2")
        network = mobilenet_v2(weights=None)
        try:
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise ModelError(
                f"{path} is broken ({str(error).splitlines()[0][:80]}); delete it and fetch it again: "
                "python download_models.py mobilenet_v2"
            ) from None
        self.stages = fold_norms(network.features[: TAPS[-1] + 1].eval()).requires_grad_(False)
        self.stages = self.stages.to(device, memory_format=torch.channels_last)
        self.mean = torch.tensor(MEAN, device=device)[:, None, None]
        self.deviation = torch.tensor(DEVIATION, device=device)[:, None, None]

    def features(self, picture: Tensor) -> list[Tensor]:
        """Features (N, C, h, w) at each tap of pictures (N, 3, H, W), RGB in [-1, 1]; each place has unit length."""
        x = ((picture + 1) / 2 - self.mean) / self.deviation
        x = x.contiguous(memory_format=torch.channels_last)
        found = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAPS:
                found.append(F.normalize(x, dim=1, eps=1e-6))
        return found

    @staticmethod
    def distance(a: list[Tensor], b: list[Tensor], weight: Tensor) -> Tensor:
        """Mean over the taps of the squared distance, averaged with a weight (N, 1, H, W) on the pictures."""
        total = a[0].new_zeros(())
        for x, y in zip(a, b, strict=True):
            local = F.interpolate(weight, size=x.shape[-2:], mode="area")
            total = total + ((x - y).square().sum(dim=1, keepdim=True) * local).sum() / local.sum()
        return total / len(a)
