"""Training and prediction on a fake device; see tests/draggan/test_fake_devices.py."""

import numpy as np
import pytest
import torch
from fake_devices import DEVICE, move, outside
from segmentation_data import SMALL, make_pairs

import predict
import train_cgan
import train_l1
from FCN_network2 import Generator, GeneratorParams


@pytest.mark.parametrize("head", ["colours", "rgb"])
@pytest.mark.parametrize("script", [train_l1, train_cgan])
def test_training_steps(tmp_path, monkeypatch, request, script, head):
    """The scripts as they are, up to their loop; its steps are then taken on the device."""
    pairs, kept = make_pairs(tmp_path / "pairs"), {}
    monkeypatch.setattr(script.Training, "fit", lambda self, step, **_: kept.update(training=self, step=step))
    words = [
        "x",
        "--dataset",
        str(pairs),
        "--output",
        str(tmp_path / "run"),
        "--head",
        head,
        *map(str, SMALL),
    ]
    words += ["--gan-start", "0", "--gan-ramp", "0"] if script is train_cgan else []
    monkeypatch.setattr("sys.argv", words)
    script.main()
    training, step = kept["training"], kept["step"]
    batches = list(training.data.train_loader)
    photos = next(iter(training.data.val_loader))["photo"]

    reads = request.getfixturevalue("reads")
    networks, accelerator = training.networks, training.accelerator
    monkeypatch.setattr(type(accelerator), "device", property(lambda self: DEVICE))
    to_the_device(training)
    training.progress.fraction = 0.5
    for number, pairs in enumerate(batches[:3]):
        batch = training.to_batch(pairs)
        assert {tensor.device for tensor in batch if tensor is not None} == {DEVICE}
        networks.set_rates(1.0)
        losses = step(batch)
        networks.average(number)
        training.progress.step_of_epoch += 1
        assert {loss.device for loss in losses.values()} == {DEVICE}
        assert {loss.shape for loss in losses.values()} == {()}
    assert reads() == 0
    assert ("gan" in losses) == (script is train_cgan)
    painted = training.predict(photos)
    assert painted.device == DEVICE
    assert painted.dtype == torch.uint8
    assert reads() == 0


def to_the_device(training) -> None:
    """What `Training` has made is moved where it would have been made, and the optimisers follow."""
    networks = training.networks
    for name, module in networks.modules.items():
        before = list(module.parameters())
        move(module, DEVICE)
        new = dict(zip(map(id, before), module.parameters(), strict=True))
        for group in networks.optimisers[name].param_groups:
            group["params"] = [new[id(parameter)] for parameter in group["params"]]
    move(networks.ema, DEVICE)
    tables = {name: getattr(training.labels, name) for name in ("weights", "nearest", "codes")}
    for name, table in tables.items():
        if table is not None:
            object.__setattr__(training.labels, name, table.to(DEVICE))


@pytest.mark.parametrize("colours", [(), ((0, 0, 0), (255, 0, 0), (0, 255, 0))])
@pytest.mark.parametrize("size", [None, (64, 64)])
def test_predict(reads, colours, size):
    generator = outside(Generator)(GeneratorParams(colours)).eval().requires_grad_(False)
    move(generator, DEVICE)
    photo = np.zeros((70, 90, 3), np.uint8)
    assert predict.paint(generator, photo, size).shape == photo.shape
    assert reads() == 1
