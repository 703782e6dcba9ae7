"""Train the FCN generator on photo -> label pairs with L1 alone.

    python train_l1.py --dataset camvid --output output/l1
    python train_l1.py --dataset datasets/faces --max-minutes 15
    python train_l1.py --dataset camvid --output output/l1 --resume
    accelerate launch --num_processes 2 train_l1.py --dataset cityscapes --output output/l1

Where labels are flat colours the generator chooses between them, and L1 is taken as what it is for a choice:
the negative log-likelihood of a mixture of Laplace distributions (``laplace_mixture_loss`` in losses.py).
``--head rgb`` paints freely and takes the L1 of the picture. No other loss is there in either case, and the
L1 that is logged is that of the pictures.

Pictures, numbers and checkpoints go to the run folder under output/ (see run_folder.py).
"""

from dataclasses import dataclass

from torch import Tensor

from common.commandline import parse, run
from losses import l1_loss
from training.loop import Batch, Training, quiet_libraries
from training.options import TrainOptions


@dataclass
class Options(TrainOptions):
    """Nothing beyond what both scripts have."""


def main() -> None:
    quiet_libraries()
    training = Training(parse(Options, __doc__), "train_l1")
    generator = training.modules["generator"]

    def step(batch: Batch) -> dict[str, Tensor]:
        with training.accelerator.autocast():
            fake, choice = generator(batch.photo, with_choice=True)
            loss = training.reconstruction(fake, choice, batch)
        training.update("generator", loss)
        return {"l1": l1_loss(fake.detach(), batch.label)}

    training.fit(step)


if __name__ == "__main__":
    run(main)
