"""A fake device: tensors without numbers, which complain where one of the CPU is mixed in, and count what is read."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily

from draggan.drag import Drag

DEVICE = torch.device("lazy", 0)


class Reads:
    """Counts how often a value of the device is read, since the last look."""

    def __init__(self):
        self.count = 0

    def __call__(self) -> int:
        count, self.count = self.count, 0
        return count


def move(module: nn.Module, device: torch.device | str | None = None, **_) -> nn.Module:
    """`Module.to` for fake tensors, which torch's own cannot swap. Optimisers must be made afterwards."""
    for each in module.modules():
        for name, tensor in each._parameters.items():
            if tensor is not None:
                each._parameters[name] = nn.Parameter(tensor.detach().to(device), tensor.requires_grad)
        for name, tensor in each._buffers.items():
            each._buffers[name] = tensor.to(device)
    return module


@pytest.fixture
def reads(monkeypatch) -> Reads:
    """Inside this fixture everything is fake. Values that are read are 1, and count where they lie on the device."""
    reads = Reads()
    copy = FakeTensor.cpu

    def cpu(self: FakeTensor) -> Tensor:
        reads.count += self.device == DEVICE
        return copy(self)

    def ones(self: FakeTensor) -> np.ndarray:
        assert self.device.type == "cpu", "numpy of a tensor on the device"
        return _ones(self)

    def value(self: FakeTensor):
        reads.count += self.device == DEVICE
        return 1.0

    for name in ("item", "__float__"):
        monkeypatch.setattr(FakeTensor, name, value, raising=False)
    monkeypatch.setattr(FakeTensor, "__bool__", lambda self: bool(value(self)), raising=False)
    monkeypatch.setattr(FakeTensor, "__int__", lambda self: int(value(self)), raising=False)
    monkeypatch.setattr(FakeTensor, "tolist", lambda self: (value(self), _ones(self).tolist())[1])
    monkeypatch.setattr(FakeTensor, "cpu", cpu, raising=False)
    monkeypatch.setattr(FakeTensor, "numpy", ones, raising=False)
    monkeypatch.setattr(nn.Module, "to", move)
    monkeypatch.setattr(Drag, "_offsets_disc", outside(Drag._offsets_disc))  # chooses by values, on the CPU
    monkeypatch.setattr(torch, "cov", lambda x: x @ x.T)  # asks for a value, once for each photo
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield reads


def outside(function):
    """The function as it is without the mode, with real tensors."""

    def real(*arguments, **_):
        with unset_fake_temporarily():
            return function(*arguments)

    return real


def _ones(tensor: Tensor) -> np.ndarray:
    kind = str(tensor.dtype).removeprefix("torch.")
    return np.ones(tuple(tensor.shape), kind)
