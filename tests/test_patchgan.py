"""The discriminator: what one logit sees."""

import pytest
import torch

from patchgan import LAYOUTS, PatchDiscriminator, receptive_field


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
