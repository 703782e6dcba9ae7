"""The size at which a network sees a picture: how it is scaled, and what is cut out of it in training."""

import re
from dataclasses import dataclass

from common.commandline import UserError

RESIZES = ("squash", "short", "fit", "none")
LEAST = 32  # pixels of a side: the encoder's stride


def parse_size(text: str | int, flag: str) -> tuple[int, int]:
    """ "256" or 256 -> (256, 256), "360x480" -> (360, 480): height and width.

    Raises:
        UserError: for anything else, for less than ``LEAST`` and for odd sides: the head paints 2 x 2 pixels at once.
    """
    found = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", str(text).strip().lower())
    if not found:
        raise UserError(f"{flag} {text} is no size; write a side, as 256, or HEIGHTxWIDTH, as 360x480")
    size = int(found[1]), int(found[2] or found[1])
    if min(size) < LEAST or any(side % 2 for side in size):
        raise UserError(f"{flag} {text}: sides must be even numbers of at least {LEAST}")
    return size


@dataclass(frozen=True)
class Scaling:
    """How a picture comes to the size at which the network sees it.

    squash scales it to ``size`` whatever its shape, as pix2pix does. The others keep its shape: short makes it just
    cover ``size``, fit makes it fit into ``size``, none leaves it. The network then learns from crops of size ``crop``,
    and whatever would be smaller than one in short or none is enlarged to cover it.
    """

    resize: str = "squash"
    size: tuple[int, int] = (256, 256)  # height and width in pixels
    crop: tuple[int, int] = (256, 256)

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width to which a picture of this height and width is scaled."""
        if self.resize == "squash":
            return self.size
        ratios = self.size[0] / height, self.size[1] / width
        if self.resize == "fit":
            factor = min(ratios)
        else:
            factor = max(ratios) if self.resize == "short" else 1.0
            factor = max(factor, self.crop[0] / height, self.crop[1] / width)
        return max(round(height * factor), 1), max(round(width * factor), 1)

    def __str__(self) -> str:
        size, crop = (" x ".join(map(str, each)) for each in (self.size, self.crop))
        return {
            "squash": f"scaled to {size}",
            "short": f"scaled to cover {size}, crops of {crop}",
            "fit": f"scaled to fit into {size}",
            "none": f"at their own scale, crops of {crop}",
        }[self.resize]


def square(side: int) -> Scaling:
    """Squashed to a square of this side."""
    return Scaling("squash", (side, side), (side, side))


def scaling_of(options: dict) -> Scaling:
    """That of a run's options; older runs have ``image_size`` only.

    Raises:
        UserError: for sizes that cannot be, or a crop that nothing is cut by or that is larger than the picture.
    """
    size = parse_size(options["image_size"], "--image-size")
    resize = options.get("resize", "squash")
    if not options.get("crop_size"):
        return Scaling(resize, size, size)
    if resize not in ("short", "none"):
        raise UserError(f"--crop-size is for --resize short or none; --resize {resize} shows whole pictures")
    crop = parse_size(options["crop_size"], "--crop-size")
    if resize == "short" and (crop[0] > size[0] or crop[1] > size[1]):
        raise UserError("--crop-size must not be larger than --image-size, to which the pictures are scaled")
    return Scaling(resize, size, crop)
