"""Train the FCN generator on photo -> label pairs against a discriminator, with GAN + L1 (1 : 50).

    python train_cgan.py --dataset camvid --output output/cgan
    python train_cgan.py --dataset datasets/faces --max-minutes 15 --lambda-gan 1 --lambda-l1 50
    python train_cgan.py --dataset camvid --output output/cgan --resume
    python train_cgan.py --dataset camvid --discriminator pixels --output output/pixels
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
from FCN_network2 import Painted, chosen
from losses import GAN_LOSSES, feature_matching_loss, l1_loss
from patchgan import LAYOUTS, PatchDiscriminator, PixelDiscriminator
from training.data import Batch
from training.loop import Training, quiet_libraries
from training.options import TrainOptions

DISCRIMINATORS = ("patches", "pixels")
# What the options that are left open mean with each discriminator, and the PatchGAN's where the targets are label maps
# and where they are pictures such as photos.
PIXELS = {
    "lambda_l1": 1.0,
    "lambda_features": 0.0,
    "gan_start": 0.5,
    "gan_ramp": 0.1,
    "d_every": 0,
    "d_width": 64,
    "d_lr": 1.5e-3,
}
PATCHES = {"lambda_l1": 50.0, "d_lr": 4e-4}
LABEL_MAPS = {"lambda_features": 0.0, "gan_start": 0.6, "gan_ramp": 0.1, "d_every": 4, "d_width": 32}
PICTURES = {"lambda_features": 10.0, "gan_start": 0.05, "gan_ramp": 0.05, "d_every": 1, "d_width": 64}


@dataclass
class Options(TrainOptions):
    """The GAN's options, and those that both scripts have."""

    lambda_gan: float = option(
        1.0, "weight of the adversarial loss; 0 trains as train_l1.py", range=(0, math.inf)
    )
    lambda_l1: float | None = option(
        None, "weight of the L1 loss (pixels: 1, patches: 50)", range=(0, math.inf)
    )
    discriminator: str = option(
        "patches",
        "patches: the PatchGAN of pix2pix; pixels: one that says which pixels of a label map have a wrong colour",
        DISCRIMINATORS,
    )
    lambda_features: float | None = option(
        None,
        "weight of the PatchGAN's feature matching loss, which rises with the GAN's (label maps: 0, pictures: 10)",
        range=(0, math.inf),
    )
    gan_start: float | None = option(
        None,
        "fraction of the training after which the GAN term reaches the generator (pixels: 0.5; patches: 0.6 on label "
        "maps, since it only disturbs before, and 0.05 on pictures)",
        range=(0, 1),
    )
    gan_ramp: float | None = option(
        None,
        "fraction of the training over which --lambda-gan then rises from 0 (label maps: 0.1, pictures: 0.05)",
        range=(0, 1),
    )
    d_every: int | None = option(
        None,
        "until then the discriminator learns at every so many steps of the generator, with 0 at none (pixels: 0; "
        "patches: 4 on label maps, 1 on pictures)",
        range=(0, math.inf),
    )
    gan_loss: str = option("bce", "adversarial loss", tuple(GAN_LOSSES))
    receptive_field: int = option(70, "side of the patch that one logit of the PatchGAN sees", tuple(LAYOUTS))
    d_width: int | None = option(
        None,
        "channels of the discriminator's first layer (pixels: 64; patches: 32 on label maps, 64 on pictures)",
        range=(1, 4096),
    )
    d_lr: float | None = option(
        None,
        "peak learning rate of the discriminator (Adam, beta1 0.5; pixels: 0.0015, patches: 0.0004)",
        range=(0, math.inf),
    )

    def settle(self, pictures: bool) -> None:
        if pictures and self.patience and self.lambda_gan:
            raise UserError("--patience goes by L1, which a GAN makes worse on photos; use --max-minutes")
        if self.discriminator == "pixels" and (pictures or self.head == "rgb"):
            raise UserError(
                "--discriminator pixels needs label maps and the colours head; use --discriminator patches"
            )
        super().settle(pictures)
        if self.discriminator == "pixels":
            self.fill_in(PIXELS)
        self.fill_in(PATCHES | (PICTURES if pictures else LABEL_MAPS))


def new_discriminator(options: Options, colours: int, pictures: bool) -> torch.nn.Module:
    """What ``--discriminator`` names, for labels of so many colours; 0: they are pictures, or the head is RGB."""
    if options.discriminator == "pixels":
        return PixelDiscriminator(colours, options.width // 2, options.d_width)
    return PatchDiscriminator(options.receptive_field, options.d_width, colours or 3, norm=pictures)


def real_and_fake(batch: Batch, painted: Painted) -> tuple[Tensor, Tensor]:
    """What the discriminator judges: which colour each pixel has, or the pictures with an RGB head.

    Returns:
        two (N, K, H, W), or (N, 3, H, W) with an RGB head. The second carries the generator's gradient.
    """
    if painted.choice is None or batch.colour is None:
        return batch.label, painted.picture
    fake = chosen(painted.choice)
    return as_channels(batch.colour, fake.detach()), fake


def same_colour(real: Tensor, fake: Tensor) -> Tensor:
    """1 where both (N, K, H, W) show the same colour, else 0: (N, 1, H, W)."""
    return (real.argmax(dim=1, keepdim=True) == fake.argmax(dim=1, keepdim=True)).to(real.dtype)


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
    pictures = training.data.survey.kind == "picture"
    critic = new_discriminator(options, len(training.labels.colours), pictures)
    adam = torch.optim.Adam(critic.parameters(), lr=options.d_lr, betas=(0.5, 0.999), fused=networks.fused)
    networks.add("discriminator", critic, adam)
    generator, discriminator = networks["generator"], networks["discriminator"]
    gan_loss, by_pixel = GAN_LOSSES[options.gan_loss], options.discriminator == "pixels"
    # The two lambdas are a ratio. Scaled like this, the larger is 1: Adam's epsilon and the clipping of the
    # gradient then mean what they mean in train_l1.py.
    scale = 1 / max(options.lambda_l1, options.lambda_gan, 1e-12)

    def step(batch: Batch) -> dict[str, Tensor]:
        with networks.autocast():
            painted = generator(batch.photo, with_choice=True)
            loss_l1 = training.reconstruction(painted.picture, painted.choice, batch)
        losses = {"l1": l1_loss(painted.picture.detach(), batch.label, batch.counted)}

        progress = training.progress
        lambda_gan = options.lambda_gan * risen(progress.fraction, options.gan_start, options.gan_ramp)
        # before the GAN term starts, the discriminator learns at some steps, to be ready then
        waiting = progress.fraction < options.gan_start
        resting = waiting and (not options.d_every or progress.step_of_epoch % options.d_every)
        if resting or not options.lambda_gan:
            networks.update("generator", options.lambda_l1 * scale * loss_l1)
            return losses

        # What is judged, real and fake, (N, K, H, W) each, and what it is compared with: the photo (N, 3, H, W),
        # or what the generator found in it (N, F, H/4, W/4).
        real, fake = real_and_fake(batch, painted)
        given = painted.features.detach() if by_pixel else batch.photo

        # Discriminator step: D(given, real) up, D(given, fake) down where it is wrong. The fake is detached: nothing of
        # this loss reaches the generator. Both go through in one call, for the sake of a network shared between ranks.
        discriminator.requires_grad_(True)
        with networks.autocast():
            logits = discriminator(torch.cat([given, given]), torch.cat([real, fake.detach()]))
            real_logits, fake_logits = logits.float().chunk(2)  # (N, 1, h, w) each
            weight = patch_weight(batch.weight, real_logits)  # (N, 1, h, w)
            right = same_colour(real, fake) if by_pixel else None
            loss_d = gan_loss.discriminator(real_logits, fake_logits, weight, right)
        networks.update("discriminator", loss_d)

        # Generator step: D(given, fake) up, and L1. The fake is not detached: the gradient goes through the
        # discriminator, whose own weights rest, into the generator.
        loss, loss_gan = options.lambda_l1 * loss_l1, torch.zeros_like(loss_l1)
        if lambda_gan:
            frozen = networks.bare("discriminator").requires_grad_(False)
            with networks.autocast():
                fake_logits_now, fake_features = frozen.features(given, fake)
                loss_gan = gan_loss.generator(fake_logits_now.float(), weight)
            loss = loss + lambda_gan * loss_gan
            if options.lambda_features:
                with networks.autocast(), torch.no_grad():
                    real_features = frozen.features(given, real)[1]
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
