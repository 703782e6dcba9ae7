"""Pictures and animations as files. In their metadata they say that they are AI-made, or made from a photo."""

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageSequence
from PIL.PngImagePlugin import PngInfo

from draggan.face import AI_MADE
from draggan.photos import MAX_PIXELS

CUT_OUT = "The face of a photo, cut out; not edited"
IMAGE_DESCRIPTION = 0x010E  # EXIF tag
ANIMATION_SIDE, ANIMATION_MS = 512, 120
MP4_RATE = 25  # frames a second
SHOWN_SIDE = 1024  # of a picture on the page, at least
THUMBNAIL_SIDE = 192
WHOLE_SIDE = 1600  # of a whole photo on the page


def limit_pixels(most: int = MAX_PIXELS) -> None:
    """From here on Pillow opens no larger picture: a small file can claim a size that fills the memory."""
    Image.MAX_IMAGE_PIXELS = most // 2  # Pillow warns from here and refuses from twice as many


def exif(note: str) -> bytes:
    tags = Image.Exif()
    tags[IMAGE_DESCRIPTION] = note
    return tags.tobytes()


def enlarged(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 of at least SHOWN_SIDE pixels: JPEG would blur the colours of a small one."""
    times = -(-SHOWN_SIDE // len(picture))
    if times == 1:
        return picture
    side = (picture.shape[1] * times, len(picture) * times)
    return cv2.resize(picture, side, interpolation=cv2.INTER_CUBIC)


def write_jpeg(path: Path, picture: np.ndarray, side: int | None = None, note: str = AI_MADE) -> Path:
    """A JPEG for the eye, made smaller than `side` if given."""
    image = Image.fromarray(picture)
    if side:
        image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2)
    image.save(path, "JPEG", quality=88, exif=exif(note))
    return path


def write_png(path: Path, picture: np.ndarray, how: dict, note: str = AI_MADE) -> Path:
    """A PNG that also says how it was made."""
    texts = PngInfo()
    texts.add_text("Comment", note)
    texts.add_text("Edit", json.dumps(how))
    Image.fromarray(picture).save(path, "PNG", pnginfo=texts, compress_level=1)
    return path


def read_png(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def frame(picture: np.ndarray) -> Image.Image:
    """A frame of an animation."""
    image = Image.fromarray(picture)
    image.thumbnail((ANIMATION_SIDE, ANIMATION_SIDE), Image.Resampling.BILINEAR)
    return image


def write_animation(path: Path, frames: list[Image.Image], note: str = AI_MADE) -> Path:
    """An animated WebP that every browser plays: there, a pause, and from the start again."""
    times = [600] + [ANIMATION_MS] * (len(frames) - 2) + [1500] if len(frames) > 1 else 1500
    options = {"save_all": True, "append_images": frames[1:], "duration": times, "loop": 0}
    frames[0].save(path, "WEBP", quality=82, method=1, exif=exif(note), **options)
    return path


def convert_animation(source: Path, path: Path, note: str = AI_MADE) -> Path:
    """An animation of `write_animation` as another kind of file, by the ending of `path`: .mp4 (H.264) or .gif."""
    with Image.open(source) as animation:
        frames, times = [], []
        for image in ImageSequence.Iterator(animation):
            frames.append(image.convert("RGB"))
            times.append(image.info.get("duration", ANIMATION_MS))
    if path.suffix == ".gif":
        frames[0].save(
            path,
            "GIF",
            save_all=True,
            append_images=frames[1:],
            duration=times,
            loop=0,
            comment=note.encode(),
        )
        return path
    with av.open(str(path), "w") as film:
        film.metadata["comment"] = note
        stream = film.add_stream("libx264", rate=MP4_RATE, options={"crf": "18"})
        stream.width, stream.height = (side // 2 * 2 for side in frames[0].size)
        stream.pix_fmt = "yuv420p"  # what every browser and phone plays
        for image, ms in zip(frames, times, strict=True):
            shown = av.VideoFrame.from_image(image)
            for _ in range(max(1, round(ms * MP4_RATE / 1000))):
                shown.pts = None
                film.mux(stream.encode(shown))
        film.mux(stream.encode())
    return path


def write_zip(path: Path, members: Iterable[tuple[str, Path]]) -> Path:
    """A ZIP of files, each under a name. They are pictures and films already, so nothing is compressed."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members:
            archive.write(member, name)
    return path
