"""Train the FCN generator on photo -> label pairs against a PatchGAN, with GAN + L1 (1 : 50).

    python train_cgan.py --dataset camvid --output output/cgan
    python train_cgan.py --dataset datasets/faces --max-minutes 15 --lambda-gan 1 --lambda-l1 50
    python train_cgan.py --dataset camvid --output output/cgan --resume
    accelerate launch --num_processes 2 train_cgan.py --dataset cityscapes --output output/cgan

The step is that of pix2pix (Isola et al. 2017, arXiv 1611.07004): one step of the discriminator, one of the
generator. The L1 term is that of train_l1.py. The gradient of the GAN term reaches the generator through the
picture that it paints.

The discriminator must not tell real from fake for a wrong reason. Some pixels of a label are void, or have
colours that JPEG invented at a border. There the real picture is replaced by the fake one.

Pictures, numbers and checkpoints go to the run folder under output/ (see training/run_folder.py).
"""

from common import interrupts  # noqa: F401  isort: skip  (first: Ctrl-C while the others load)

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from common.commandline import UserError, option, parse, run
from FCN_network2 import chosen
from losses import GAN_LOSSES, feature_matching_loss, l1_loss
from patchgan import LAYOUTS, PatchDiscriminator
from training.data import Batch
from training.loop import Training, quiet_libraries
from training.options import TrainOptions

# What the options that are left open mean where the targets are label maps, and where they are pictures such as photos.
LABEL_MAPS = {"lambda_features": 0.0, "gan_start": 0.6, "gan_ramp": 0.1, "d_every": 4, "d_width": 32}
PICTURES = {"lambda_features": 10.0, "gan_start": 0.05, "gan_ramp": 0.05, "d_every": 1, "d_width": 64}


@dataclass
class Options(TrainOptions):
    """The GAN's options, and those that both scripts have."""

    lambda_gan: float = option(
        1.0, "weight of the adversarial loss; 0 trains as train_l1.py", range=(0, math.inf)
    )
    lambda_l1: float = option(50.0, "weight of the L1 loss", range=(0, math.inf))
    lambda_features: float | None = option(
        None,
        "weight of the GAN's feature matching loss, which rises with the GAN's (label maps: 0, pictures: 10)",
        range=(0, math.inf),
    )
    gan_start: float | None = option(
        None,
        "fraction of the training after which the GAN term reaches the generator (label maps: 0.6, since it only "
        "disturbs before; pictures: 0.05)",
        range=(0, 1),
    )
    gan_ramp: float | None = option(
        None,
        "fraction of the training over which --lambda-gan then rises from 0 (label maps: 0.1, pictures: 0.05)",
        range=(0, 1),
    )
    d_every: int | None = option(
        None,
        "until then the discriminator learns at every so many steps of the generator (label maps: 4, pictures: 1)",
        range=(1, math.inf),
    )
    gan_loss: str = option("bce", "adversarial loss", tuple(GAN_LOSSES))
    receptive_field: int = option(
        70, "side of the patch that one logit of the discriminator sees", tuple(LAYOUTS)
    )
    d_width: int | None = option(
        None, "channels of the discriminator's first layer (label maps: 32, pictures: 64)", range=(1, 4096)
    )
    d_lr: float = option(
        4e-4, "peak learning rate of the discriminator (Adam, beta1 0.5)", range=(0, math.inf)
    )

    def settle(self, pictures: bool) -> None:
        if pictures and self.patience and self.lambda_gan:
            raise UserError("--patience goes by L1, which a GAN makes worse on photos; use --max-minutes")
        super().settle(pictures)
        self.fill_in(PICTURES if pictures else LABEL_MAPS)


def real_and_fake(batch: Batch, fake: Tensor, choice: Tensor | None) -> tuple[Tensor, Tensor]:
    """What the discriminator judges: which colour each pixel has, or the pictures with an RGB head.

    Args:
        fake: the generator's picture (N, 3, H, W).
        choice: its log-probabilities (N, H/2, W/2, 4, K), or None with an RGB head.

    Returns:
        two (N, K, H, W), or (N, 3, H, W) with an RGB head. The second carries the generator's gradient.
    """
    if choice is None or batch.colour is None:
        return batch.label, fake
    shown = chosen(choice)
    return as_channels(batch.colour, shown.detach()), shown


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

    Let w(y) weigh the loss at a label y, for real and fake alike. Then the best generator paints
    p(y | photo) w(y) and no longer p(y | photo): this is the optimum of Goodfellow et al. 2014, section 4, with
    weights. The weighted L1 has the same optimum. Without weights here, the GAN would take back the rare
    classes that the weights of the L1 brought. It is the largest and not the mean, because a pole is thinner
    than a cell.
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

    training = Training(options, "train_cgan")
    networks = training.networks
    label_channels = len(training.labels.colours) or 3
    pictures = training.data.survey.kind == "picture"
    critic = PatchDiscriminator(options.receptive_field, options.d_width, label_channels, norm=pictures)
    adam = torch.optim.Adam(critic.parameters(), lr=options.d_lr, betas=(0.5, 0.999), fused=networks.fused)
    networks.add("discriminator", critic, adam)
    generator, discriminator = networks["generator"], networks["discriminator"]
    d_loss, g_loss = GAN_LOSSES[options.gan_loss]
    # The two lambdas are a ratio. Scaled like this, the larger is 1: Adam's epsilon and the clipping of the
    # gradient then mean what they mean in train_l1.py.
    scale = 1 / max(options.lambda_l1, options.lambda_gan, 1e-12)

    def step(batch: Batch) -> dict[str, Tensor]:
        photo = batch.photo  # (N, 3, H, W)
        with networks.autocast():
            fake, choice = generator(photo, with_choice=True)  # (N, 3, H, W), (N, H/2, W/2, 4, K)
            loss_l1 = training.reconstruction(fake, choice, batch)
        losses = {"l1": l1_loss(fake.detach(), batch.label, batch.counted)}

        progress = training.progress
        lambda_gan = options.lambda_gan * risen(progress.fraction, options.gan_start, options.gan_ramp)
        # before the GAN term starts, the discriminator learns at some steps, to be ready then
        resting = not lambda_gan and progress.step_of_epoch % options.d_every
        if resting or not options.lambda_gan:
            networks.update("generator", options.lambda_l1 * scale * loss_l1)
            return losses

        real, shown = real_and_fake(batch, fake, choice)  # (N, K, H, W) each

        # Discriminator step: D(photo, real) up, D(photo, fake) down. The fake is detached: nothing of this loss
        # reaches the generator. Both go through in one call, for the sake of a network shared between ranks.
        discriminator.requires_grad_(True)
        with networks.autocast():
            logits = discriminator(torch.cat([photo, photo]), torch.cat([real, shown.detach()]))
            real_logits, fake_logits = logits.float().chunk(2)  # (N, 1, h, w) each
            weight = patch_weight(batch.weight, real_logits)  # (N, 1, h, w)
            loss_d = d_loss(real_logits, fake_logits, weight)
        networks.update("discriminator", loss_d)

        # Generator step: D(photo, fake) up, and L1. The fake is not detached: the gradient goes through the
        # discriminator, whose own weights rest, into the generator.
        loss, loss_gan = options.lambda_l1 * loss_l1, torch.zeros_like(loss_l1)
        if lambda_gan:
            frozen = networks.bare("discriminator").requires_grad_(False)
            with networks.autocast():
                fake_logits_now, fake_features = frozen.features(photo, shown)
                loss_gan = g_loss(fake_logits_now.float(), weight)
            loss = loss + lambda_gan * loss_gan
            if options.lambda_features:
                with networks.autocast(), torch.no_grad():
                    real_features = frozen.features(photo, real)[1]
                alike = feature_matching_loss(fake_features, real_features)
                loss = loss + options.lambda_features * lambda_gan / options.lambda_gan * alike
                losses["features"] = alike.detach()
        networks.update("generator", scale * loss)

        scores = {"d_real": real_logits.sigmoid().mean(), "d_fake": fake_logits.sigmoid().mean()}
        return losses | {"gan": loss_gan, "d": loss_d} | scores

    # L1, PSNR and SSIM are best for the blurred pictures of before the GAN (Blau and Michaeli 2018).
    training.fit(step, newest_is_best=pictures and options.lambda_gan > 0)


if __name__ == "__main__":
    run(main)
