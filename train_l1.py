"""Train the FCN generator on photo -> label pairs with L1 alone.

    python train_l1.py --dataset camvid --output output/l1
    python train_l1.py --dataset datasets/faces --max-minutes 15
    python train_l1.py --dataset camvid --output output/l1 --resume
    accelerate launch --num_processes 2 train_l1.py --dataset cityscapes --output output/l1

Where the labels are flat colours, the generator chooses between them. The L1 of a choice is its negative
log-likelihood under a mixture of Laplace distributions (``laplace_mixture_loss`` in losses.py). ``--head rgb``
paints freely, and its loss is the L1 of the picture. There is no other loss in either case. The L1 in the log
is always that of the pictures.

Pictures, numbers and checkpoints go to the run folder under output/ (see training/run_folder.py).
"""

from common import interrupts  # noqa: F401  isort: skip  (first: Ctrl-C while the others load)

from dataclasses import dataclass

from torch import Tensor

from common.commandline import parse, run
from losses import l1_loss
from training.data import Batch
from training.loop import Training, quiet_libraries
from training.options import TrainOptions


@dataclass
class Options(TrainOptions):
    """Nothing beyond what both scripts have."""


def main() -> None:
    quiet_libraries()
    training = Training(parse(Options, __doc__), "train_l1")
    networks = training.networks
    generator = networks["generator"]

    def step(batch: Batch) -> dict[str, Tensor]:
        with networks.autocast():
            fake, choice, _ = generator(batch.photo, with_choice=True)  # (N, 3, H, W), (N, H/2, W/2, 4, K)
            loss = training.reconstruction(fake, choice, batch)
        networks.update("generator", loss)
        return {"l1": l1_loss(fake.detach(), batch.label, batch.counted)}

    training.fit(step)


if __name__ == "__main__":
    run(main)
