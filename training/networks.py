"""The networks of a run: each with its optimiser, and the moving average of the generator.

train_l1.py trains the generator alone; train_cgan.py adds its discriminator with ``Networks.add``.
"""

import copy
import math
from contextlib import AbstractContextManager

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from FCN_network2 import ENCODER_WEIGHTS, Generator, GeneratorParams
from training.options import TrainOptions


class Networks:
    """Networks and optimisers by name, all on the run's device. The first is "generator"."""

    def __init__(
        self, accelerator: Accelerator, options: TrainOptions, params: GeneratorParams, new: bool = True
    ):
        """
        Args:
            new: start from ``--encoder``'s weights; False where a checkpoint is loaded next.

        Raises:
            UserError: if the encoder's weights are missing.
        """
        self.accelerator, self.options, self.params = accelerator, options, params
        self.modules: dict[str, nn.Module] = {}
        self.optimisers: dict[str, Optimizer] = {}
        self.peaks: dict[str, list[float]] = {}  # peak learning rate of each parameter group

        imagenet = options.encoder == "imagenet" and new
        generator = Generator(params, ENCODER_WEIGHTS if imagenet else None)
        generator = generator.to(accelerator.device, memory_format=torch.channels_last)
        self.ema = copy.deepcopy(generator).eval().requires_grad_(False)
        # Edges and colours are ImageNet's. Without them the backward pass ends before the largest maps.
        generator.encoder[: options.freeze].requires_grad_(False)
        groups = [
            {"params": generator.encoder_parameters(), "lr": options.lr * options.encoder_lr},
            {"params": generator.decoder_parameters(), "lr": options.lr},
        ]
        adam = torch.optim.AdamW(groups, weight_decay=options.weight_decay, fused=self.fused)
        self.add("generator", generator, adam)

    def add(self, name: str, module: nn.Module, optimiser: Optimizer) -> nn.Module:
        """Put a network and its optimiser under the run's care: device, ranks, schedule, checkpoint."""
        device, compiling = self.accelerator.device, self.options.compile
        self.peaks[name] = [group["lr"] for group in optimiser.param_groups]
        module = module.to(device, memory_format=torch.channels_last)
        if name == "generator" and (compiling == "on" or (compiling == "auto" and device.type == "cuda")):
            torch._dynamo.config.suppress_errors = True  # a graph that does not compile runs as it is
            module = torch.compile(module)
        self.modules[name], self.optimisers[name] = self.accelerator.prepare(module, optimiser)
        return self.modules[name]

    @property
    def fused(self) -> bool | None:
        """For an optimiser: a GPU updates all weights at once, or its launches take longer than its work."""
        return True if self.accelerator.device.type == "cuda" else None

    def __getitem__(self, name: str) -> nn.Module:
        """The network to train with, in the wrappers of ranks and compiler."""
        return self.modules[name]

    def bare(self, name: str) -> nn.Module:
        """The network itself, without the wrappers of ranks and compiler."""
        module = self.accelerator.unwrap_model(self.modules[name])
        return getattr(module, "_orig_mod", module)

    def autocast(self) -> AbstractContextManager:
        """Where forward passes and losses are computed in the run's precision."""
        return self.accelerator.autocast()

    def train(self) -> None:
        for module in self.modules.values():
            module.train()

    def set_rates(self, factor: float) -> None:
        """Set every learning rate to its peak times ``factor``."""
        for name, optimiser in self.optimisers.items():
            for group, peak in zip(optimiser.param_groups, self.peaks[name], strict=True):
                group["lr"] = peak * factor

    def update(self, name: str, loss: Tensor) -> None:
        """Backward, clip the generator's gradient, one step of this network's optimiser."""
        self.accelerator.backward(loss)
        if name == "generator" and self.options.clip:
            self.accelerator.clip_grad_norm_(self.modules[name].parameters(), self.options.clip)
        self.optimisers[name].step()
        self.optimisers[name].zero_grad(set_to_none=True)

    @torch.no_grad()
    def average(self, step: int) -> None:
        """Move the average towards the generator after the step of this number, from 0.

        Early on it follows closely: the decay is (1 + n) / (10 + n), as TensorFlow's ExponentialMovingAverage.
        """
        decay = min(self.options.ema, (1 + step) / (10 + step)) if self.options.ema else 0.0
        new = [p.detach() for p in self.bare("generator").parameters()]
        torch._foreach_lerp_(list(self.ema.parameters()), new, 1 - decay)


def rate(progress: float, schedule: str, warmup: float) -> float:
    """Factor on the learning rates after the fraction ``progress`` of the training: up, then down to 0."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    rest = min((progress - warmup) / max(1 - warmup, 1e-9), 1.0)
    return 1 - rest if schedule == "linear" else (1 + math.cos(math.pi * rest)) / 2
