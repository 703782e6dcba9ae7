"""Good pictures of every kind with some bytes changed, cut or swapped: any number of them, the same every time."""

import random
from collections.abc import Iterator
from pathlib import Path

from picture_files import EITHER, Case, encoded, pair
from PIL import Image
from segmentation_data import picture_pair

KINDS: dict[str, tuple[str, dict]] = {
    "png": ("PNG", {}),
    "palette.png": ("PNG", {}),
    "interlaced.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "deflate.tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "plain.tiff": ("TIFF", {}),
    "jpg": ("JPEG", {"quality": 90}),
    "progressive.jpeg": ("JPEG", {"progressive": True, "quality": 60}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "webp": ("WEBP", {"lossless": True}),
    "lossy.webp": ("WEBP", {"quality": 60}),
}


def damaged(count: int, seed: int = 0) -> Iterator[Case]:
    """So many cases; every kind in turn, in one file or as a partner."""
    rng = random.Random(seed)
    for number in range(count):
        ending, (kind, more) = list(KINDS.items())[number % len(KINDS)]
        apart = number % 3 == 2
        picture = Image.fromarray(picture_pair(number)[1]) if apart else pair(number)
        if ending.startswith("palette"):
            picture = picture.quantize(8)
        data = bytearray(encoded(picture, kind, **more))
        change = rng.choice(["cut", "bytes", "bytes", "head", "head", "zeros", "swap", "more"])
        if change == "cut":
            del data[rng.randrange(len(data)) :]
        elif change == "zeros":
            start = rng.randrange(len(data))
            data[start : start + 40] = bytes(len(data[start : start + 40]))
        elif change == "swap":
            one, two = sorted(rng.sample(range(len(data)), 2))
            data[one:two] = data[one:two][::-1]
        elif change == "more":
            start = rng.randrange(len(data))
            data[start:start] = rng.randbytes(rng.randrange(1, 200))
        else:
            reach = len(data) if change == "bytes" else min(len(data), 80)
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(reach)] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
        name = f"x.{ending.rsplit('.', 1)[-1]}"

        def place(train: Path, name=name, data=bytes(data), apart=apart) -> None:
            if apart:
                Image.new("RGB", (32, 32)).save(train / "A/x.png")
            (train / ("B" if apart else ".") / name).write_bytes(data)

        yield Case(f"{ending}, {change} {number}", place, EITHER, apart)
