"""Train the FCN generator on photo -> label pairs against a PatchGAN, with GAN + L1 (1 : 50).

    python train_cgan.py --dataset camvid --output output/cgan
    python train_cgan.py --dataset datasets/faces --max-minutes 15 --lambda-gan 1 --lambda-l1 50
    python train_cgan.py --dataset camvid --output output/cgan --resume
    accelerate launch --num_processes 2 train_cgan.py --dataset cityscapes --output output/cgan

The L1 term is that of train_l1.py. The GAN term reaches the generator through the picture it paints.
The discriminator is shown nothing that would tell real from fake for a wrong reason: where a label has the
invented colours of a JPEG border, or is void, the real picture shows there what the fake one does.
Pictures, numbers and checkpoints go to the run folder under output/ (see run_folder.py).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from common.commandline import UserError, option, parse, run
from FCN_network2 import chosen
from losses import GAN_LOSSES, l1_loss
from patchgan import LAYOUTS, PatchDiscriminator
from training.loop import Batch, Training, quiet_libraries
from training.options import TrainOptions


@dataclass
class Options(TrainOptions):
    """The GAN's options beside those both scripts have."""

    lambda_gan: float = option(1.0, "weight of the adversarial loss; 0 trains as train_l1.py")
    lambda_l1: float = option(50.0, "weight of the L1 loss")
    gan_start: float = option(
        0.6,
        "fraction of the training after which the GAN term reaches the generator; earlier it only disturbs",
    )
    gan_ramp: float = option(0.1, "fraction of the training over which --lambda-gan then rises from 0")
    d_every: int = option(4, "until then the discriminator learns at every so many steps of the generator")
    gan_loss: str = option("bce", "adversarial loss", tuple(GAN_LOSSES))
    receptive_field: int = option(
        70, "side of the patch that one logit of the discriminator sees", tuple(LAYOUTS)
    )
    d_width: int = option(32, "channels of the discriminator's first layer")
    d_lr: float = option(4e-4, "peak learning rate of the discriminator (Adam, beta1 0.5)")


def as_channels(colour: Tensor, fake: Tensor) -> Tensor:
    """The real picture as the discriminator sees it: 1 for a pixel's colour, 0 for the others.

    Args:
        colour: (N, H, W), which colour; -1 where the label is void or has none of them.
        fake: (N, K, H, W), shown where the label has none.
    """
    real = F.one_hot(colour.clamp(min=0), fake.shape[1]).permute(0, 3, 1, 2).to(fake.dtype)
    return torch.where(colour.unsqueeze(1) < 0, fake, real)


def patch_weight(weight: Tensor | None, logits: Tensor) -> Tensor | float:
    """The pixel weights (N, 1, H, W) of the L1 loss for each logit (N, 1, h, w): the largest in its cell.

    With w(y) on the loss at a label y, for real and fake alike, the best generator paints p(y | photo) w(y)
    and no longer p(y | photo) (the optimum of Goodfellow et al. 2014, section 4, with weights). That is where
    the weighted L1 pulls too; without it the GAN takes back the rare classes that the weights brought. The
    largest and not the mean, because a pole is thinner than a cell.
    """
    if weight is None:
        return 1.0
    cells = F.adaptive_max_pool2d(weight, logits.shape[2:])
    return cells / cells.mean()


def risen(progress: float, start: float, ramp: float) -> float:
    """0 until the fraction ``start`` of the training, then up to 1 over the fraction ``ramp``."""
    return min(max((progress - start) / max(ramp, 1e-9), 0.0), 1.0)


def main() -> None:
    quiet_libraries()
    options = parse(Options, __doc__)
    if options.lambda_gan < 0 or options.lambda_l1 < 0:
        raise UserError("--lambda-gan and --lambda-l1 must not be negative")
    if options.d_every < 1:
        raise UserError("--d-every must be at least 1")
    training = Training(options, "train_cgan")
    generator = training.modules["generator"]
    network = PatchDiscriminator(options.receptive_field, options.d_width, len(training.params.colours) or 3)
    optimiser = torch.optim.Adam(network.parameters(), lr=options.d_lr, betas=(0.5, 0.999))
    discriminator = training.add("discriminator", network, optimiser)
    d_loss, g_loss = GAN_LOSSES[options.gan_loss]
    # lambda : lambda' is a ratio; dividing by the sum would change nothing but Adam's epsilon and clipping
    scale = 1 / max(options.lambda_l1, options.lambda_gan, 1e-12)

    def step(batch: Batch) -> dict[str, Tensor]:
        photo = batch.photo
        with training.accelerator.autocast():
            fake, choice = generator(photo, with_choice=True)
            loss_l1 = training.reconstruction(fake, choice, batch)

        lambda_gan = options.lambda_gan * risen(training.progress, options.gan_start, options.gan_ramp)
        resting = not lambda_gan and training.steps % options.d_every  # the generator goes on alone
        if resting or not options.lambda_gan:
            training.update("generator", options.lambda_l1 * scale * loss_l1)
            return {"l1": l1_loss(fake.detach(), batch.label)}

        # what the discriminator sees: which colour each pixel has, or the pictures themselves
        shown = fake if choice is None else chosen(choice)
        real = batch.label if choice is None else as_channels(batch.colour, shown.detach())

        # The discriminator's step. The fake is detached: nothing of this loss reaches the generator.
        # Real and fake go through together, one call for a network shared between ranks.
        discriminator.requires_grad_(True)
        with training.accelerator.autocast():
            logits = discriminator(torch.cat([photo, photo]), torch.cat([real, shown.detach()]))
            real_logits, fake_logits = logits.float().chunk(2)
            weight = patch_weight(batch.weight, real_logits)
            loss_d = d_loss(real_logits, fake_logits, weight)
        training.update("discriminator", loss_d)

        # The generator's step. The fake is not detached: the gradient goes through the discriminator,
        # whose own weights rest, into the generator.
        loss, loss_gan = options.lambda_l1 * loss_l1, torch.zeros_like(loss_l1)
        if lambda_gan:
            critic = training.bare("discriminator").requires_grad_(False)
            with training.accelerator.autocast():
                loss_gan = g_loss(critic(photo, shown).float(), weight)
            loss = loss + lambda_gan * loss_gan
        training.update("generator", scale * loss)
        return {
            "l1": l1_loss(fake.detach(), batch.label),
            "gan": loss_gan,
            "d": loss_d,
            "d_real": real_logits.sigmoid().mean(),
            "d_fake": fake_logits.sigmoid().mean(),
        }

    training.fit(step)


if __name__ == "__main__":
    run(main)
