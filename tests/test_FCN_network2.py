"""The generator: any size, its encoder, its two heads, and how it starts."""

import pytest
import torch
import torch.nn.functional as F

from common.commandline import UserError
from FCN_network2 import Generator, GeneratorParams, folded_mobilenet

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
    gradient = torch.randn(1, 3, 4, 4)
    (generator.head(logits)[0] * gradient).sum().backward()
    straight_through = logits.grad.clone()
    logits.grad = None
    mean = generator.head(logits)[1].exp() @ generator.colours  # (1, 2, 2, 4, 3)
    mean = mean.permute(0, 4, 1, 2, 3).reshape(1, 3, 2, 2, 2, 2).permute(0, 1, 2, 4, 3, 5).reshape(1, 3, 4, 4)
    (mean * gradient).sum().backward()
    assert torch.allclose(logits.grad, straight_through, atol=1e-5)


@pytest.mark.parametrize("colours", [COLOURS, ()], ids=["colours", "rgb"])
def test_a_trained_network_looks_at_a_larger_photo(colours):
    """With a zoom the picture is that of the enlarged photo, brought back to the photo's size; training has none."""
    torch.manual_seed(0)
    plain = Generator(GeneratorParams(colours, width=64)).eval().requires_grad_(False)
    zoomed = Generator(GeneratorParams(colours, width=64, zoom=2.0)).eval().requires_grad_(False)
    zoomed.load_state_dict(plain.state_dict())
    photo = torch.rand(2, 3, 64, 96) * 2 - 1
    large = F.interpolate(photo, scale_factor=2.0, mode="bilinear")
    picture, choice, features = zoomed(photo, with_choice=True)
    assert picture.shape == photo.shape
    assert features is None
    if colours:
        chances = F.avg_pool2d(chosen_chances(plain(large, with_choice=True).choice), 2)
        assert torch.allclose(chosen_chances(choice), chances, atol=1e-5)
        assert torch.equal(picture.unique(), zoomed.colours.unique())  # no colour in between
    else:
        assert torch.allclose(picture, F.avg_pool2d(plain(large), 2), atol=1e-5)
    assert torch.equal(zoomed.train()(photo), plain.train()(photo))
    assert zoomed.eval()(photo[:, :, :50, :45]).shape == (2, 3, 50, 45)


def chosen_chances(choice: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (N, h, w, 4, K) -> probabilities (N, K, 2h, 2w)."""
    return F.pixel_shuffle(choice.exp().transpose(3, 4).flatten(3).permute(0, 3, 1, 2), 2)


def test_a_zoom_that_cannot_be():
    for zoom in (0.5, 1.1, 5.0, float("nan")):
        with pytest.raises(ValueError, match="zoom must be from 1 to 4"):
            GeneratorParams(COLOURS, zoom=zoom)
