"""The losses of an epoch: their running means, and the refusal to go on with one that is not finite."""

import math
from collections import Counter

import torch
from torch import Tensor

from common.commandline import UserError
from training.checkpoint import Progress
from training.run_folder import RunFolder


class Means:
    """Running means of the losses of one epoch. A loss need not come with every step."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: Counter[str] = Counter()

    def add(self, losses: dict[str, Tensor]) -> None:
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0) + value.detach()
            self.counts[name] += 1

    def values(self) -> dict[str, float]:
        """{name: mean}; waits for the device once."""
        if not self.sums:
            return {}
        means = torch.stack([value / self.counts[name] for name, value in self.sums.items()])
        return dict(zip(self.sums, means.tolist(), strict=True))


def check_finite(values: dict[str, float], progress: Progress, folder: RunFolder) -> None:
    """Raise UserError for a value, of the epoch that is under way, that is not finite."""
    wrong = [name for name, value in values.items() if not math.isfinite(value)]
    if wrong:
        kept = (
            f"the last good checkpoint is {folder.last}"
            if folder.last.exists()
            else "there is no checkpoint yet"
        )
        raise UserError(
            f"the loss {wrong[0]} became {values[wrong[0]]} in epoch {progress.epoch + 1}, step "
            f"{progress.step_of_epoch}; {kept}; start a new run with a lower --lr or --precision fp32"
        )


def since_best(log: list[dict[str, float]]) -> int:
    """How many validations in a row have not been better than the best before them, at the end of a log."""
    key, sign = ("val_miou", 1) if any("val_miou" in row for row in log) else ("val_l1", -1)
    values = [-math.inf if math.isnan(row[key]) else sign * row[key] for row in log if key in row]
    best = max(range(len(values)), key=lambda k: (values[k], -k), default=0) if values else 0
    return max(len(values) - 1 - best, 0)
