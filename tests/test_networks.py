"""Generator, discriminator and losses: shapes, gradients, receptive fields, analytic values."""

import math

import pytest
import torch

from common.commandline import UserError
from FCN_network2 import Generator, GeneratorParams, folded_mobilenet
from losses import GAN_LOSSES, bce_generator_loss, l1_loss, laplace_mixture_loss
from patchgan import LAYOUTS, PatchDiscriminator, receptive_field
from training.label_colours import label_colours

COLOURS = ((0.0, 0.0, 0.0), (255.0, 0.0, 0.0), (0.0, 0.0, 255.0))


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorParams(COLOURS, width=64))


@pytest.mark.parametrize("size", [(64, 64), (33, 47), (1, 1), (96, 50)])
@pytest.mark.parametrize("colours", [COLOURS, ()])
def test_any_size_comes_out_as_it_went_in(size, colours):
    torch.manual_seed(0)
    out = Generator(GeneratorParams(colours, width=64)).eval()(torch.rand(2, 3, *size) * 2 - 1)
    assert out.shape == (2, 3, *size)
    assert out.abs().max() <= 1 + 1e-6


def test_a_picture_does_not_depend_on_its_neighbours_nor_on_train_mode(generator):
    photo = torch.rand(3, 3, 64, 64) * 2 - 1
    together = generator.train()(photo)
    alone = generator.eval()(photo[1:2])
    assert torch.allclose(together[1:2], alone, atol=1e-5)


def test_folding_keeps_what_the_batch_norms_computed(tmp_path):
    from torchvision.models import mobilenet_v2

    torch.manual_seed(0)
    network = mobilenet_v2()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    x = torch.rand(1, 3, 64, 64)
    want = network.eval().features[:18](x)
    assert torch.allclose(folded_mobilenet(tmp_path / "weights.pth")(x), want, atol=1e-4)


def test_missing_or_wrong_encoder_weights_say_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"python download_models.py mobilenet_v2.*--encoder scratch"):
        folded_mobilenet(tmp_path / "none.pth")
    (tmp_path / "broken.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"python download_models.py mobilenet_v2"):
        folded_mobilenet(tmp_path / "broken.pth")


def test_upsampling_starts_without_a_checkerboard(generator):
    """ICNR: every 2 x 2 block of outputs is flat before training."""
    torch.manual_seed(3)
    out = Generator(GeneratorParams(COLOURS, width=64)).eval()(torch.rand(1, 3, 64, 64) * 2 - 1)
    blocks = out.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert (blocks.amax(-1) - blocks.amin(-1)).max() < 1e-5


def test_colours_head_paints_only_the_given_colours(generator):
    """The logits that prefer one colour paint exactly it, sub-pixel by sub-pixel."""
    logits = torch.zeros(1, 4, 3, 1, 1)  # sub-pixel, colour
    for sub_pixel, colour in enumerate([0, 1, 2, 1]):
        logits[0, sub_pixel, colour] = 0.1
    out, choice = generator.head(logits.reshape(1, 12, 1, 1))
    want = torch.tensor(COLOURS)[torch.tensor([0, 1, 2, 1])].T.reshape(1, 3, 2, 2) / 127.5 - 1
    assert torch.allclose(out, want, atol=1e-5)
    assert choice.shape == (1, 1, 1, 4, 3)
    assert choice[0, 0, 0].argmax(-1).tolist() == [0, 1, 2, 1]


def test_gradient_of_the_picture_is_that_of_the_mean_colour(generator):
    logits = torch.randn(1, 12, 2, 2, requires_grad=True)
    pull = torch.randn(1, 3, 4, 4)
    (generator.head(logits)[0] * pull).sum().backward()
    straight_through = logits.grad.clone()
    logits.grad = None
    mean = generator.head(logits)[1].exp() @ generator.colours  # (1, 2, 2, 4, 3)
    mean = mean.permute(0, 4, 1, 2, 3).reshape(1, 3, 2, 2, 2, 2).permute(0, 1, 2, 4, 3, 5).reshape(1, 3, 4, 4)
    (mean * pull).sum().backward()
    assert torch.allclose(logits.grad, straight_through, atol=1e-5)


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


def test_label_colours_finds_flat_colours_through_jpeg_noise():
    rng = torch.Generator().manual_seed(0)
    colours = torch.tensor([[20, 20, 20], [200, 30, 30], [30, 90, 200]])
    labels = colours[torch.randint(0, 3, (4, 32, 32), generator=rng)].permute(0, 3, 1, 2)
    noisy = (labels + torch.randint(-3, 4, labels.shape, generator=rng)).clamp(0, 255).to(torch.uint8)
    found = torch.tensor(label_colours(noisy)).float()
    assert len(found) == 3
    assert torch.cdist(colours.float(), found).min(dim=1).values.max() < 6
    assert label_colours(torch.randint(0, 256, (4, 3, 32, 32), generator=rng).to(torch.uint8)) == []


@pytest.mark.parametrize("field", sorted(LAYOUTS))
def test_receptive_field_is_what_it_says(field):
    """By the gradient of one logit: the patch of the picture that it depends on."""
    torch.manual_seed(0)
    assert receptive_field(LAYOUTS[field]) == field
    side = 2 * field + 64
    label = torch.zeros(1, 3, side, side, requires_grad=True)
    logits = PatchDiscriminator(field, width=4)(torch.rand(1, 3, side, side), label)
    assert logits.shape[1] == 1
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    touched = label.grad.abs().sum(dim=(0, 1)).nonzero()
    extent = touched.amax(0) - touched.amin(0) + 1
    assert extent.tolist() == [field, field]


def test_unknown_receptive_field_is_refused():
    with pytest.raises(ValueError, match=r"got 34"):
        PatchDiscriminator(34)


@pytest.mark.parametrize("name", sorted(GAN_LOSSES))
def test_the_gan_term_alone_moves_the_generator(name, generator):
    """The flaw of an earlier solution: it detached the fake here, and no gradient came through."""
    torch.manual_seed(0)
    photo = torch.rand(2, 3, 64, 64) * 2 - 1
    critic = PatchDiscriminator(16, width=8).requires_grad_(False)
    generator.zero_grad()
    GAN_LOSSES[name][1](critic(photo, generator(photo))).backward()
    for parameters in (generator.encoder_parameters(), generator.decoder_parameters()):
        assert sum(p.grad.abs().sum() for p in parameters if p.grad is not None) > 0
    assert all(p.grad is None for p in critic.parameters())


def test_the_discriminators_step_leaves_the_generator_untouched(generator):
    photo, label = torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(2, 3, 64, 64) * 2 - 1
    network = PatchDiscriminator(16, width=8)
    generator.zero_grad()
    fake = generator(photo)
    real, false = network(torch.cat([photo, photo]), torch.cat([label, fake.detach()])).chunk(2)
    GAN_LOSSES["bce"][0](real, false).backward()
    assert all(p.grad is None for p in generator.parameters())
    assert sum(p.grad.abs().sum() for p in network.parameters()) > 0


@pytest.mark.parametrize("name", sorted(GAN_LOSSES))
def test_losses_reward_the_right_side(name):
    d_loss, g_loss = GAN_LOSSES[name]
    high, low = torch.full((4,), 0.9), torch.full((4,), -0.9)
    assert d_loss(high, low) < d_loss(low, high)
    assert g_loss(high) < g_loss(low)


def test_losses_have_their_analytic_values():
    zero, one = torch.zeros(4), torch.ones(4)
    assert GAN_LOSSES["bce"][0](zero, zero).item() == pytest.approx(math.log(2))
    assert bce_generator_loss(zero).item() == pytest.approx(math.log(2))
    assert GAN_LOSSES["lsgan"][0](one, zero).item() == 0
    assert GAN_LOSSES["hinge"][0](one, -one).item() == 0
    assert l1_loss(-torch.ones(1, 3, 2, 2), torch.ones(1, 3, 2, 2)).item() == 1  # black against white
    weight = torch.tensor([2.0, 0.0]).view(1, 1, 1, 2)
    assert l1_loss(-torch.ones(1, 3, 1, 2), torch.ones(1, 3, 1, 2), weight).item() == 1
