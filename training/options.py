"""The options that train_l1.py and train_cgan.py share."""

import dataclasses
import math
from dataclasses import dataclass

from common.commandline import DEVICES, UserError, option
from pix2pix_dataset import DIRECTIONS
from training.sizes import RESIZES, scaling_of
from training.survey import WISHES

# What the options that are left open mean where the targets are label maps, and where they are pictures such as photos.
LABEL_MAPS = {"zoom": 1.5, "freeze": 4, "jaccard": 1.0}
PICTURES = {"zoom": 1.0, "freeze": 0, "jaccard": 0.0}
BATCH_SIZE = 4


@dataclass
class TrainOptions:
    """The options both scripts have."""

    dataset: str = option("datasets/faces", "folder of the data set, or its name under datasets/")
    direction: str = option("AtoB", "which half is the input", DIRECTIONS)
    image_size: str | int = option(256, "size of the training pictures in pixels: a side, or HEIGHTxWIDTH")
    resize: str = option(
        "squash",
        "how pictures come to that size: squash ignores their shape, short covers it, fit fits in; none: not scaled",
        RESIZES,
    )
    crop_size: str = option("", "with --resize short or none: size of the crops (default: --image-size)")
    epochs: int = option(
        80, "passes over the training split; with --max-minutes the most of them", range=(1, math.inf)
    )
    batch_size: int | None = option(None, "pictures a step and process (default: 4)", range=(1, math.inf))
    output: str | None = option(None, "run folder (default: output/<script>_<data set>_<date and time>)")
    resume: bool = option(False, "go on with the run in --output from its last checkpoint")
    init: str | None = option(None, "checkpoint to start from, of any run: fine-tune it on these data")
    max_minutes: float = option(
        0.0, "plan and end the training by the clock; 0 goes by --epochs", range=(0, math.inf)
    )
    precision: str = option(
        "auto", "auto: bf16 on a GPU that has it, else fp32", ("auto", "fp32", "bf16", "fp16")
    )
    workers: int = option(
        -1, "processes that prepare pictures; -1 half the cores, at most 8", range=(-1, 1024)
    )
    val_every: int = option(2, "validate every so many epochs, and after the last", range=(1, math.inf))
    patience: int = option(
        0, "stop after so many validations in a row that were no better; 0 does not", range=(0, math.inf)
    )
    tracker: str = option("none", "where to log beside TensorBoard", ("none", "wandb", "mlflow"))
    device: str = option("auto", f"where to compute: {DEVICES}")
    seed: int = option(0, "seed of weights, order and augmentation", range=(0, 2**32 - 1))
    encoder: str = option("imagenet", "weights the encoder starts from", ("imagenet", "scratch"))
    head: str = option(
        "auto", "auto: colours where labels are flat colours, else rgb", ("auto", "colours", "rgb")
    )
    labels: str = option("auto", "what the label files hold; auto looks at them", WISHES)
    palette: str = option(
        "auto", "classes of the labels: auto, none, cityscapes, camvid, facades, faces, or a file (see docs/)"
    )
    balance: float = option(
        0.5,
        "weight of a label colour in the L1 loss: its frequency to the power of minus this; 0: each pixel counts 1",
        range=(0, 10),
    )
    lr: float = option(2e-3, "peak learning rate of the decoder (Adam)", range=(0, math.inf))
    encoder_lr: float = option(0.25, "the encoder's learning rate as a fraction of --lr", range=(0, math.inf))
    weight_decay: float = option(1e-4, "decoupled weight decay of the generator", range=(0, math.inf))
    schedule: str = option("cosine", "decay of the learning rates", ("cosine", "linear"))
    warmup: float = option(0.03, "fraction of the training in which the learning rates rise", range=(0, 1))
    ema: float | None = option(
        None,
        "decay of the moving average of the generator that is evaluated; 0 is none (default: 0.9975 at a batch of 4, "
        "so that it looks back over as many pictures at any batch)",
        range=(0, 1),
    )
    clip: float = option(
        1.0, "largest norm of the generator's gradient; 0 does not clip", range=(0, math.inf)
    )
    crop: float = option(
        0.35, "least fraction of a whole picture's area that a random crop keeps; 1 does not crop"
    )
    jitter: float = option(
        0.4, "strength of the photo's random light and colour changes; 0 is none", range=(0, 5)
    )
    flip: bool = option(
        True, "mirror every second picture; --no-flip where left and right are different classes"
    )
    width: int = option(128, "channels of the decoder at stride 32", range=(64, 4096))
    zoom: float | None = option(
        None,
        "how many times larger than it is the network looks at a photo once it is trained, from 1 to 4 in steps of "
        "0.25; more finds thin things better and takes longer (1.5 for label maps whose crops are scaled up, else 1)",
        range=(1, 4),
    )
    freeze: int | None = option(
        None,
        "how many of the encoder's 18 blocks, from the photo on, keep ImageNet's weights; a step takes less time "
        "(label maps: 4, pictures and --encoder scratch: 0)",
        range=(0, 18),
    )
    jaccard: float | None = option(
        None,
        "weight of the L1 loss that counts each colour's error as a fraction of its area, with the colours head "
        "(label maps: 1, pictures: 0)",
        range=(0, math.inf),
    )
    skip_broken: bool = option(
        False,
        "leave a pair out where a file cannot be read as a picture or the two differ in size, instead of stopping; a "
        "picture without a partner, a link that leads nowhere and a pipe stop the training in any case",
    )
    cache_mb: int = option(
        2048, "keep the decoded pictures in memory up to so many MiB; 0 does not", range=(0, math.inf)
    )
    pictures: int = option(6, "samples in the progress pictures", range=(0, 1000))
    compile: str = option("auto", "torch.compile; auto: on a GPU", ("auto", "on", "off"))

    def settle(self, pictures: bool) -> None:
        """Decide on what was left open, by whether the targets are pictures or label maps."""
        if self.encoder == "scratch" and self.freeze is None:
            self.freeze = 0
        # A zoom suits those who learned from crops that were scaled up, see GeneratorParams.
        scaled_up = self.crop <= 0.5 and self.resize in ("squash", "fit")
        if self.zoom is None and not scaled_up:
            self.zoom = 1.0
        self.fill_in((PICTURES if pictures else LABEL_MAPS) | {"ema": max(1 - self.batch_size / 1600, 0.0)})

    def fill_in(self, values: dict[str, float]) -> None:
        """Give these values to the options that were left open."""
        for name, value in values.items():
            if getattr(self, name) is None:
                setattr(self, name, value)

    def check(self) -> None:
        """Raise UserError for values that no training can have."""
        for field in dataclasses.fields(self):
            least, most = field.metadata["range"] or (-math.inf, math.inf)
            value = getattr(self, field.name)
            flag = f"--{field.name.replace('_', '-')}"
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"{flag} {value} is no number to train with")
            if isinstance(value, int | float) and not least <= value <= most:
                limit = f"at least {least}" if most == math.inf else f"from {least} to {most}"
                raise UserError(f"{flag} must be {limit}")
        scaling_of(dataclasses.asdict(self))
        if str(self.image_size).isdecimal():  # a number in config.json, as ever
            self.image_size = int(self.image_size)
        if not 0 < self.crop <= 1:
            raise UserError("--crop must be more than 0 and at most 1")
        if self.zoom is not None and self.zoom % 0.25:
            raise UserError("--zoom must be a multiple of 0.25")
        if self.freeze and self.encoder == "scratch" and not self.init:
            raise UserError(
                "--freeze would keep random weights with --encoder scratch; leave one of them out"
            )
        if self.width % 64:
            raise UserError("--width must be a multiple of 64")
        if self.resume and self.output is None:
            raise UserError("--resume needs --output, the folder of the run to go on with")
