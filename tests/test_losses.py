"""The losses: analytic values, and where their gradients go."""

import math

import pytest
import torch
import torch.nn.functional as F

from FCN_network2 import Generator, GeneratorParams
from losses import (
    GAN_LOSSES,
    feature_matching_loss,
    jaccard_loss,
    l1_loss,
    laplace_mixture_loss,
)
from patchgan import PatchDiscriminator

COLOURS = ((0.0, 0.0, 0.0), (255.0, 0.0, 0.0), (0.0, 0.0, 255.0))


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorParams(COLOURS, width=64))


def test_laplace_mixture_loss_is_l1_where_one_colour_is_certain():
    """With all probability on one colour the likelihood is that of one Laplace: the L1 distance to it."""
    colours = torch.tensor([[-1.0, -1, -1], [1, 1, 1]])
    label = torch.full((1, 3, 4, 4), -0.8)
    certain = torch.log(torch.tensor([1.0, 1e-30])).expand(1, 2, 2, 4, 2)
    picture = torch.full((1, 3, 4, 4), -1.0)
    assert laplace_mixture_loss(certain, colours, label).item() == pytest.approx(
        l1_loss(picture, label).item(), rel=1e-4
    )
    half = torch.log(torch.tensor([0.5, 0.5])).expand(1, 2, 2, 4, 2)
    exact = laplace_mixture_loss(half, colours, torch.full((1, 3, 4, 4), -1.0), spread=0.02).item()
    assert exact == pytest.approx(math.log(2), rel=1e-4)  # these two colours are 1 apart


def test_laplace_mixture_loss_is_the_l1_of_the_mean_colour_near_certainty():
    colours = torch.tensor(COLOURS) / 127.5 - 1
    label = colours[0].view(1, 3, 1, 1).expand(1, 3, 4, 4)
    choice = torch.log(torch.tensor([0.998, 0.001, 0.001]))
    mean = (choice.exp() @ colours).view(1, 3, 1, 1)
    distances = (colours[1:] - colours[0]).abs().mean(dim=1) / 2
    loss = laplace_mixture_loss(choice.expand(1, 2, 2, 4, 3), colours, label).item()
    apart = torch.pdist(colours, p=1).mean().item() / 6
    assert l1_loss(mean.expand_as(label), label).item() == pytest.approx(
        0.001 * distances.sum().item(), rel=1e-3
    )
    assert loss == pytest.approx(0.002 * apart, rel=2e-3)


def test_laplace_mixture_loss_reads_sub_pixels_in_the_heads_order(generator):
    """Labels painted by the head itself cost next to nothing; the same ones mirrored do not."""
    torch.manual_seed(5)
    picture, choice = generator.head(torch.randn(1, 12, 4, 4) * 100)
    assert laplace_mixture_loss(choice, generator.colours, picture).item() < 2e-3
    assert laplace_mixture_loss(choice, generator.colours, picture.flip(3)).item() > 0.1
    weight = torch.zeros(1, 1, 8, 8)
    weight[..., 0, 1] = 64.0  # only this pixel counts
    wrong = picture.clone()
    wrong[..., 0, 1] = -picture[..., 0, 1]
    assert laplace_mixture_loss(choice, generator.colours, picture, weight).item() < 2e-3
    assert laplace_mixture_loss(choice, generator.colours, wrong, weight).item() > 0.1


def test_jaccard_loss_is_the_l1_of_each_colour_over_its_union():
    """Beside the definition, on whole pictures. Void pixels and colours that are not there do not count."""
    torch.manual_seed(6)
    choice = torch.log_softmax(torch.randn(2, 8, 8, 4, 4), dim=-1)
    colour = torch.randint(-1, 3, (2, 16, 16))  # the fourth colour is nowhere
    probability = F.pixel_shuffle(choice.exp().transpose(3, 4).flatten(3).permute(0, 3, 1, 2), 2)
    known, distances = colour >= 0, []
    for k in range(3):
        truth, given = (colour == k)[known].float(), probability[:, k][known]
        both = torch.minimum(truth, given).sum()
        distances.append(1 - (both + 1) / (torch.maximum(truth, given).sum() + 1))
    assert jaccard_loss(choice, colour).item() == pytest.approx(sum(distances).item() / 3, rel=1e-5)
    assert jaccard_loss(choice, torch.full_like(colour, -1)).item() == 0


def test_jaccard_loss_counts_a_rare_colour_as_much_as_a_common_one():
    """One of two colours has 4 of 1024 pixels. To miss it costs half of all, and each of its pixels pulls hardest."""
    colour = torch.zeros(1, 32, 32, dtype=torch.long)
    colour[0, :2, :2] = 1
    choice = torch.tensor([5.0, 0.0]).repeat(1, 16, 16, 4, 1).requires_grad_()
    loss = jaccard_loss(torch.log_softmax(choice, dim=-1), colour)
    loss.backward()
    assert 0.4 < loss.item() < 0.5
    pull = -choice.grad[..., 1]
    assert pull[0, 0, 0].min() > 10 * pull[0, 1:].abs().max() > 0


@pytest.mark.parametrize("name", sorted(GAN_LOSSES))
def test_the_gan_term_alone_moves_the_generator(name, generator):
    """The flaw of an earlier solution: it detached the fake here, and no gradient came through."""
    torch.manual_seed(0)
    photo = torch.rand(2, 3, 64, 64) * 2 - 1
    critic = PatchDiscriminator(16, width=8).requires_grad_(False)
    generator.zero_grad()
    GAN_LOSSES[name].generator(critic(photo, generator(photo))).backward()
    for parameters in (generator.encoder_parameters(), generator.decoder_parameters()):
        assert sum(p.grad.abs().sum() for p in parameters if p.grad is not None) > 0
    assert all(p.grad is None for p in critic.parameters())


def test_the_discriminators_step_leaves_the_generator_untouched(generator):
    photo, label = torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(2, 3, 64, 64) * 2 - 1
    network = PatchDiscriminator(16, width=8)
    generator.zero_grad()
    fake = generator(photo)
    real, false = network(torch.cat([photo, photo]), torch.cat([label, fake.detach()])).chunk(2)
    GAN_LOSSES["bce"].discriminator(real, false).backward()
    assert all(p.grad is None for p in generator.parameters())
    assert sum(p.grad.abs().sum() for p in network.parameters()) > 0


@pytest.mark.parametrize("name", sorted(GAN_LOSSES))
def test_losses_reward_the_right_side(name):
    loss = GAN_LOSSES[name]
    high, low = torch.full((4,), 0.9), torch.full((4,), -0.9)
    assert loss.discriminator(high, low) < loss.discriminator(low, high)
    assert loss.generator(high) < loss.generator(low)
    # where the fake is right, it counts as real
    right = torch.tensor([1.0, 0.0, 1.0, 0.0])
    assert loss.discriminator(high, torch.where(right > 0, high, low), right=right) < loss.discriminator(
        high, low, right=right
    )


def test_losses_have_their_analytic_values():
    zero, one = torch.zeros(4), torch.ones(4)
    assert GAN_LOSSES["bce"].discriminator(zero, zero).item() == pytest.approx(math.log(2))
    assert GAN_LOSSES["bce"].generator(zero).item() == pytest.approx(math.log(2))
    assert GAN_LOSSES["lsgan"].discriminator(one, zero).item() == 0
    assert GAN_LOSSES["hinge"].discriminator(one, -one).item() == 0
    assert l1_loss(-torch.ones(1, 3, 2, 2), torch.ones(1, 3, 2, 2)).item() == 1  # black against white
    weight = torch.tensor([2.0, 0.0]).view(1, 1, 1, 2)
    assert l1_loss(-torch.ones(1, 3, 1, 2), torch.ones(1, 3, 1, 2), weight).item() == 1


def test_feature_matching_is_the_mean_over_the_layers():
    """However many numbers a layer has."""
    one, other = (
        [torch.zeros(1, 2, 8, 8), torch.zeros(1, 4, 2, 2)],
        [torch.ones(1, 2, 8, 8), torch.zeros(1, 4, 2, 2)],
    )
    assert feature_matching_loss(one, other).item() == 0.5
    assert feature_matching_loss(one, one).item() == 0
