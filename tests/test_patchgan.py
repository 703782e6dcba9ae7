"""The discriminators: what one logit sees, and what it says."""

import pytest
import torch
import torch.nn.functional as F

from FCN_network2 import Generator, GeneratorParams, chosen
from losses import GAN_LOSSES
from patchgan import LAYOUTS, PatchDiscriminator, PixelDiscriminator, receptive_field
from train_cgan import same_colour


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


@pytest.mark.parametrize("norm", [False, True])
def test_features_are_those_behind_the_logits(norm):
    torch.manual_seed(0)
    critic = PatchDiscriminator(70, width=4, norm=norm)
    photo, label = torch.rand(2, 2, 3, 64, 48)
    logits, features = critic.features(photo, label)
    assert torch.equal(logits, critic(photo, label))
    assert [each.shape[1] for each in features] == [4, 8, 16]
    last = critic.layers[-1]
    assert torch.equal(last(features[-1]), logits)


def test_a_norm_judges_no_contrast():
    """With it, what the later layers see of a picture does not depend on how strong its features are."""
    torch.manual_seed(0)
    photo, label = torch.rand(2, 1, 3, 64, 64)
    for norm in (False, True):
        critic = PatchDiscriminator(70, width=4, norm=norm)
        one = critic.features(photo, label)[1][-1]
        with torch.no_grad():
            critic.layers[0].weight.mul_(3)
            critic.layers[0].bias.mul_(3)
        other = critic.features(photo, label)[1][-1]
        assert torch.allclose(one, other, atol=1e-3) == norm


@pytest.mark.parametrize("size", [(64, 64), (50, 46)])
def test_a_pixel_discriminator_judges_what_the_generator_gives(size):
    """One logit a pixel, at any even size; its gradient goes to the generator through what it painted alone."""
    torch.manual_seed(0)
    generator = Generator(GeneratorParams(((0, 0, 0), (255, 0, 0), (0, 0, 255)), width=64))
    painted = generator(torch.rand(2, 3, *size) * 2 - 1, with_choice=True)
    critic = PixelDiscriminator(3, features=32, width=16).requires_grad_(False)
    fake = chosen(painted.choice)
    logits, features = critic.features(painted.features.detach(), fake)
    assert logits.shape == (2, 1, *size)
    assert torch.equal(logits, critic(painted.features.detach(), fake))
    assert [each.shape[1] for each in features] == [16, 16, 16]
    GAN_LOSSES["bce"].generator(logits).backward()
    assert sum(p.grad.abs().sum() for p in generator.parameters() if p.grad is not None) > 0


def test_a_pixel_discriminator_learns_which_pixels_are_wrong():
    """On pictures it has not seen, of flat areas with a tenth of the pixels spoilt; nothing tells it where but they."""
    torch.manual_seed(0)

    def pictures() -> tuple[torch.Tensor, torch.Tensor]:
        """Real and fake, (8, 3, 32, 32)."""
        truth = F.interpolate(torch.randint(3, (8, 1, 4, 4)).float(), size=(32, 32)).long()
        spoilt = torch.where(torch.rand(truth.shape) < 0.1, (truth + 1) % 3, truth)
        return tuple(F.one_hot(x[:, 0], 3).permute(0, 3, 1, 2).float() for x in (truth, spoilt))

    critic = PixelDiscriminator(3, features=4, width=32)
    adam = torch.optim.Adam(critic.parameters(), lr=5e-3, betas=(0.5, 0.999))
    given = torch.zeros(8, 4, 8, 8)  # a generator that knows nothing
    for _ in range(350):
        real, fake = pictures()
        right = same_colour(real, fake)
        loss = GAN_LOSSES["bce"].discriminator(critic(given, real), critic(given, fake), right=right)
        adam.zero_grad()
        loss.backward()
        adam.step()
    real, fake = pictures()
    with torch.no_grad():
        says, right = critic(given, fake) > 0, same_colour(real, fake) > 0
        assert says[right].float().mean() > 0.85
        assert says[~right].float().mean() < 0.15
        assert (critic(given, real) > 0).float().mean() > 0.95
