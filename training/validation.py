"""The generator on the validation split: the numbers, and pictures of the same samples every time."""

from collections.abc import Callable

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from training.data import Data, evenly, without_augmentation
from training.metrics import SplitMeter
from training.palettes import Palette
from training.run_folder import RunFolder, save_png


class Validation:
    """Validates a run. It is the same on every rank, and only rank 0 writes."""

    def __init__(
        self, accelerator: Accelerator, folder: RunFolder, data: Data, palette: Palette | None, pictures: int
    ):
        """``pictures``: how many samples of each split are shown."""
        self.accelerator, self.folder, self.palette = accelerator, folder, palette
        self.loader, self.pairs = data.val_loader, data.val.pairs
        self.shown = evenly(data.val, pictures)
        self.train = without_augmentation(data.train)
        self.shown_of_train = evenly(data.train, pictures)

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
                save_png(self.folder.path / "val_results" / f"{self.pairs[index].name}.png", found)
            items = [self.train[i] for i in self.shown_of_train]
            rows = [(item["photo"], predict(item["photo"][None])[0].cpu(), item["label"]) for item in items]
            self.folder.save_grid("train_results", epoch, rows)
        return meter.result()
