"""Parts of the loop: learning rates, the average."""

import copy
import itertools

import pytest
import torch
from segmentation_data import options

from training.loop import Training, rate
from training.means import Means


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_rate_rises_then_falls_to_zero(schedule):
    values = [rate(k / 1000, schedule, 0.1) for k in range(1001)]
    assert values[100] == pytest.approx(1)
    assert all(a <= b for a, b in itertools.pairwise(values[:101]))
    assert all(a >= b for a, b in itertools.pairwise(values[100:]))
    assert values[-1] == pytest.approx(0, abs=1e-9)
    assert values[550] == pytest.approx(0.5, abs=1e-6)


def test_frozen_blocks_keep_imagenets_weights(pairs, tmp_path):
    """Those nearest to the photo; the rest of the encoder learns, and the average has both."""
    training = Training(
        options(pairs, tmp_path / "run", "--freeze", "4", "--encoder", "imagenet"), "train_l1"
    )
    generator, before = training.networks.bare("generator"), copy.deepcopy(training.networks.ema.encoder)
    batch = training.to_batch(next(iter(training.data.train_loader)))
    training.networks.set_rates(1.0)
    fake, choice, _ = training.networks["generator"](batch.photo, with_choice=True)
    training.networks.update("generator", training.reconstruction(fake, choice, batch))
    training.networks.average(10**6)
    for index, (block, old) in enumerate(zip(generator.encoder, before, strict=True)):
        same = all(torch.equal(a, b) for a, b in zip(block.parameters(), old.parameters(), strict=True))
        assert same == (index < 4), index
    assert all(
        torch.equal(a, b)
        for a, b in zip(training.networks.ema.encoder[0].parameters(), before[0].parameters(), strict=True)
    )


def test_average_follows_the_weights(pairs, tmp_path):
    networks = Training(options(pairs, tmp_path / "run", "--ema", "0.5"), "train_l1").networks
    start_value = next(networks.ema.parameters()).clone()
    with torch.no_grad():
        next(networks.bare("generator").parameters()).add_(1.0)
    networks.average(10**6)
    assert torch.allclose(next(networks.ema.parameters()), start_value + 0.5, atol=1e-6)


def test_a_mean_is_over_the_steps_that_have_the_loss():
    means = Means()
    for losses in ({"l1": 1.0, "gan": 4.0}, {"l1": 3.0}):
        means.add({name: torch.tensor(value) for name, value in losses.items()})
    assert means.values() == {"l1": 2.0, "gan": 4.0}
