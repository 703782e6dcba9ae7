"""Train the FCN generator on photo -> label pairs with L1 alone.

    python train_l1.py --dataset camvid --output output/l1
    python train_l1.py --dataset datasets/faces --max-minutes 15
    python train_l1.py --dataset camvid --output output/l1 --resume
    accelerate launch --num_processes 2 train_l1.py --dataset cityscapes --output output/l1

Pictures, numbers and checkpoints go to the run folder under output/ (see training.py).
"""

from dataclasses import dataclass

from torch import Tensor

from commandline import parse, run
from patchgan import l1_loss
from training import Training, TrainOptions, quiet_libraries


@dataclass
class Options(TrainOptions):
    """Nothing beyond what both scripts have."""


def main() -> None:
    quiet_libraries()
    training = Training(parse(Options, __doc__), "train_l1")
    generator = training.modules["generator"]

    def step(photo: Tensor, label: Tensor, weight: Tensor | None) -> dict[str, Tensor]:
        with training.accelerator.autocast():
            fake, choice = generator(photo, with_choice=True)
            loss = training.reconstruction(fake, choice, label, weight)
        training.update("generator", loss)
        return {"l1": l1_loss(fake.detach(), label)}

    training.fit(step)


if __name__ == "__main__":
    run(main)
