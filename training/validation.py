"""The generator on the validation split: the numbers, and pictures of the same samples every time."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from torch.utils.data import DataLoader

from pix2pix_dataset import PairDataset
from training.metrics import Palette, SplitMeter
from training.run_folder import RunFolder, save_png


def evenly(data: PairDataset, count: int) -> list[int]:
    """Indices of up to ``count`` samples, evenly over the split and the same every time."""
    return sorted({int(i) for i in np.linspace(0, len(data) - 1, min(count, len(data)))})


class Validation:
    """Everything that validating takes; the same on every rank, and only rank 0 writes."""

    def __init__(
        self,
        accelerator: Accelerator,
        folder: RunFolder,
        loader: DataLoader,
        train_set: PairDataset,
        palette: Palette | None,
        pictures: int,
    ):
        """``loader`` gives this rank's share of the validation split."""
        self.accelerator, self.folder, self.loader, self.palette = accelerator, folder, loader, palette
        self.data, self.shown = loader.dataset, evenly(loader.dataset, pictures)
        self.plain = copy.copy(train_set)
        self.plain.augment = None
        self.shown_of_train = evenly(train_set, pictures)

    @torch.no_grad()
    def __call__(self, epoch: int, predict: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """The numbers of the whole split, summed over all ranks; writes the pictures of both splits.

        Args:
            predict: photos (N, 3, H, W) uint8 -> pictures (N, 3, H, W) uint8.
        """
        meter = SplitMeter(self.palette)
        shown: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        for batch in self.loader:
            found = predict(batch["photo"]).cpu()
            meter.update(found, batch["label"])
            for k, index in enumerate(batch["index"].tolist()):
                if index in self.shown:
                    shown[index] = (batch["photo"][k], found[k], batch["label"][k])
        if self.accelerator.num_processes > 1:
            meters = gather_object([(meter.matrix, meter.sums)])
            meter.matrix = sum(matrix for matrix, _ in meters)
            meter.sums = sum(sums for _, sums in meters)
            shown = {k: v for part in gather_object([shown]) for k, v in part.items()}
        if self.accelerator.is_main_process:
            self.folder.save_grid("val_results", epoch, [shown[k] for k in sorted(shown)])
            for index, (_, found, _) in shown.items():
                save_png(self.folder.path / "val_results" / f"{self.data.pairs[index].name}.png", found)
            items = [self.plain[i] for i in self.shown_of_train]
            found = predict(torch.stack([item["photo"] for item in items])).cpu() if items else []
            rows = [
                (item["photo"], picture, item["label"]) for item, picture in zip(items, found, strict=True)
            ]
            self.folder.save_grid("train_results", epoch, rows)
        return meter.result()
