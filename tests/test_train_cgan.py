"""The GAN's step: when the discriminator learns, when the generator hears of it, what each is shown."""

import math

import pytest
import torch
import torch.nn.functional as F
from segmentation_data import SMALL, command, log_rows

from train_cgan import as_channels, patch_weight, risen, same_colour


def test_the_gan_term_rises_after_its_start():
    assert [risen(t, 0.5, 0.2) for t in (0.0, 0.5, 0.6, 0.7, 1.0)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert [risen(t, 0.0, 0.0) for t in (0.0, 0.1)] == [0.0, 1.0]


def test_before_the_gan_term_the_discriminator_learns_at_some_steps_or_none(pairs, tmp_path):
    def steps_of(start: float, every: int) -> tuple[int, int]:
        """(steps, the discriminator's steps) of one epoch whose GAN term starts so late."""
        run = tmp_path / f"start-{start}-{every}"
        more = ["--epochs", 1, "--batch-size", 1, "--gan-start", start, "--gan-ramp", 0, "--d-every", every]
        done = command("--dataset", pairs, *SMALL, *more, "--output", run, script="train_cgan.py")
        assert done.returncode == 0, done.stderr
        assert math.isfinite(float(log_rows(run)[0]["train_d"]))
        saved = torch.load(run / "checkpoints/last.pt", weights_only=True)
        return saved["step"], int(saved["optimisers"]["discriminator"]["state"][0]["step"])

    all_steps, learned = steps_of(1.0, 3)
    assert learned == math.ceil(all_steps / 3) < all_steps
    all_steps, learned = steps_of(0.5, 0)
    assert learned == all_steps - math.ceil(all_steps / 2) > 0
    all_steps, learned = steps_of(0.0, 3)
    assert learned == all_steps


def test_lambda_gan_0_trains_as_l1_alone(pairs, tmp_path):
    more = ["--epochs", "2", "--clip", "0"]
    l1 = command("--dataset", pairs, *SMALL, *more, "--output", tmp_path / "l1")
    off = command(
        *("--dataset", pairs, *SMALL, *more, "--output", tmp_path / "off", "--lambda-gan", 0),
        script="train_cgan.py",
    )
    assert (l1.returncode, off.returncode) == (0, 0), l1.stderr + off.stderr
    for one, other in zip(log_rows(tmp_path / "l1"), log_rows(tmp_path / "off"), strict=True):
        assert float(one["val_l1"]) == pytest.approx(float(other["val_l1"]), abs=1e-5)


def test_the_real_picture_shows_the_fake_where_it_has_no_colour():
    """Void and JPEG borders must not give away which picture is real."""
    fake = torch.tensor([[0.25, 0.75], [1.0, 0.0]]).T.reshape(1, 2, 1, 2)
    real = as_channels(torch.tensor([[[-1, 1]]]), fake)
    assert real[0, :, 0, 0].tolist() == [0.25, 0.75]
    assert real[0, :, 0, 1].tolist() == [0.0, 1.0]


def test_a_patch_counts_as_its_rarest_pixel():
    weight = torch.ones(1, 1, 8, 8)
    weight[0, 0, 1, 6] = 5.0
    cells = patch_weight(weight, torch.zeros(1, 1, 2, 2))
    assert cells.mean().item() == pytest.approx(1.0)
    assert (cells[0, 0, 0, 1] / cells[0, 0, 1, 1]).item() == pytest.approx(5.0)
    assert patch_weight(None, torch.zeros(1, 1, 2, 2)) == 1.0


def test_real_and_fake_show_the_same_colour_or_not():
    real, fake = (F.one_hot(torch.tensor(x), 3).float().T.reshape(1, 3, 1, 3) for x in ([0, 1, 2], [0, 2, 2]))
    assert same_colour(real, fake).flatten().tolist() == [1.0, 0.0, 1.0]


def test_which_discriminator_suits_what(pairs, tmp_path):
    """The PatchGAN any; the one of pixels, which is asked for, has settings of its own and needs colours."""
    found = {}
    for name, more in (
        ("pixels", ["--discriminator", "pixels"]),
        ("patches", []),
        ("rgb", ["--head", "rgb"]),
    ):
        run = tmp_path / name
        done = command(
            *("--dataset", pairs, *SMALL, "--epochs", 1, *more, "--output", run), script="train_cgan.py"
        )
        assert done.returncode == 0, done.stderr
        saved = torch.load(run / "checkpoints/last.pt", weights_only=True)
        options = saved["options"]
        found[name] = (
            options["discriminator"],
            options["d_lr"],
            "seen.weight" in saved["networks"]["discriminator"],
        )
    assert found == {
        "pixels": ("pixels", 0.0015, True),
        "patches": ("patches", 0.0004, False),
        "rgb": ("patches", 0.0004, False),
    }
    more = ["--head", "rgb", "--discriminator", "pixels"]
    done = command("--dataset", pairs, *SMALL, *more, "--output", tmp_path / "no", script="train_cgan.py")
    assert done.returncode == 2
    assert not (tmp_path / "no").exists()
    assert "error: --discriminator pixels needs label maps and the colours head" in done.stderr
