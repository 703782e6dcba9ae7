"""Train the FCN generator on photo -> label pairs against a PatchGAN, with GAN + L1 (1 : 50).

    python train_cgan.py --dataset camvid --output output/cgan
    python train_cgan.py --dataset datasets/faces --max-minutes 15 --lambda-gan 1 --lambda-l1 50
    python train_cgan.py --dataset camvid --output output/cgan --resume
    accelerate launch --num_processes 2 train_cgan.py --dataset cityscapes --output output/cgan

The L1 term is that of train_l1.py. The GAN term reaches the generator through the picture it paints.
Pictures, numbers and checkpoints go to the run folder under output/ (see run_folder.py).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from commandline import UserError, option, parse, run
from patchgan import GAN_LOSSES, LAYOUTS, PatchDiscriminator, l1_loss
from training import Training, TrainOptions, quiet_libraries


@dataclass
class Options(TrainOptions):
    """The GAN's options beside those both scripts have."""

    lambda_gan: float = option(1.0, "weight of the adversarial loss; 0 trains as train_l1.py")
    lambda_l1: float = option(50.0, "weight of the L1 loss")
    gan_ramp: float = option(
        0.4, "fraction of the training over which --lambda-gan rises from 0; early on the GAN only disturbs"
    )
    gan_loss: str = option("bce", "adversarial loss", tuple(GAN_LOSSES))
    receptive_field: int = option(
        70, "side of the patch that one logit of the discriminator sees", tuple(LAYOUTS)
    )
    d_width: int = option(32, "channels of the discriminator's first layer")
    d_lr: float = option(4e-4, "peak learning rate of the discriminator (Adam, beta1 0.5)")


def main() -> None:
    quiet_libraries()
    options = parse(Options, __doc__)
    if options.lambda_gan < 0 or options.lambda_l1 < 0:
        raise UserError("--lambda-gan and --lambda-l1 must not be negative")
    training = Training(options, "train_cgan")
    generator = training.modules["generator"]
    network = PatchDiscriminator(options.receptive_field, options.d_width)
    optimiser = torch.optim.Adam(network.parameters(), lr=options.d_lr, betas=(0.5, 0.999))
    discriminator = training.add("discriminator", network, optimiser)
    d_loss, g_loss = GAN_LOSSES[options.gan_loss]
    # lambda : lambda' is a ratio; dividing by the sum would change nothing but Adam's epsilon and clipping
    scale = 1 / max(options.lambda_l1, options.lambda_gan, 1e-12)

    def step(photo: Tensor, label: Tensor, weight: Tensor | None) -> dict[str, Tensor]:
        with training.accelerator.autocast():
            fake, choice = generator(photo, with_choice=True)
            loss_l1 = training.reconstruction(fake, choice, label, weight)

        if not options.lambda_gan:
            training.update("generator", options.lambda_l1 * scale * loss_l1)
            return {"l1": l1_loss(fake.detach(), label)}

        # The discriminator's step. The fake is detached: nothing of this loss reaches the generator.
        # Real and fake go through together, one call for a network shared between ranks.
        discriminator.requires_grad_(True)
        with training.accelerator.autocast():
            logits = discriminator(torch.cat([photo, photo]), torch.cat([label, fake.detach()]))
            real, false = logits.float().chunk(2)
            loss_d = d_loss(real, false)
        training.update("discriminator", loss_d)

        # The generator's step. The fake is not detached: the gradient goes through the discriminator,
        # whose own weights rest, into the generator.
        critic = training.bare("discriminator").requires_grad_(False)
        with training.accelerator.autocast():
            loss_gan = g_loss(critic(photo, fake).float())
            lambda_gan = options.lambda_gan * min(training.progress / max(options.gan_ramp, 1e-9), 1.0)
            loss = lambda_gan * loss_gan + options.lambda_l1 * loss_l1
        training.update("generator", scale * loss)
        return {
            "l1": l1_loss(fake.detach(), label),
            "gan": loss_gan,
            "d": loss_d,
            "d_real": real.sigmoid().mean(),
            "d_fake": false.sigmoid().mean(),
        }

    training.fit(step)


if __name__ == "__main__":
    run(main)
