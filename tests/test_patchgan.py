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
