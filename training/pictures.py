"""Reading the files of a pair: photos as RGB, label maps as the numbers or colours that they hold."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from common.commandline import UserError
from training.pairs import Pair

# What is read, whatever a file is called. Pillow knows more: for some it starts other programs, or has no end.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
MOST_PIXELS = 50_000_000  # of a picture to learn from; larger ones are scaled down to much less in any case
UNKNOWN = (
    1,
    1,
    1,
)  # what a number without a colour is painted in: no id's colour, so that it is void in scores
MOST_OF_A_PHOTO = 178_000_000  # of a photo to predict, at Pillow's own limit

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # there are limits


def open_picture(path: Path, most: int = MOST_PIXELS) -> Image.Image:
    """A decoded picture file, turned upright as its EXIF says; of an animation or of pages the first.

    Raises:
        UserError: naming the file, if it is broken, or has more pixels than ``most``.
    """
    try:
        picture = open_header(path, most)
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
        return picture
    except UserError:
        raise
    except Exception as error:  # a broken file fails in many ways
        raise _unreadable(path, error) from error


def open_header(path: Path, most: int = MOST_PIXELS) -> Image.Image:
    """A picture file of which only the header is read. UserError as ``open_picture``."""
    try:
        if not path.stat().st_size:
            raise ValueError("it is empty")
        picture = Image.open(path, formats=FORMATS)
        width, height = picture.size
        if width * height > most:
            raise Image.DecompressionBombError
        if not width * height:
            raise ValueError("it has no pixels")
    except Image.DecompressionBombError as error:
        raise UserError(
            f"{path} has more pixels than the {most / 1e6:.0f} million that are read; scale it down or remove it"
        ) from error
    except Exception as error:
        raise _unreadable(path, error) from error
    return picture


def _unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, UnidentifiedImageError):
        reason = "no picture of a known kind"
    else:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return UserError(
        f"{path} cannot be read as a picture ({reason.splitlines()[0][:200]}); replace or remove it"
    )


def read_picture(path: Path) -> Image.Image:
    """A picture file as 8-bit RGB.

    A photo is turned upright as its EXIF says. Grey is repeated to RGB, palette files are painted in their
    palette's colours, also those that it calls transparent, 16-bit grey keeps its upper 8 bits, an opaque alpha
    channel is dropped.

    Raises:
        UserError: naming the file, if it is broken or of another kind (CMYK, float, transparent).
    """
    return _as_rgb(open_picture(path), path)


def read_photo(path: Path, most: int = MOST_OF_A_PHOTO) -> Image.Image:
    """As ``read_picture``, for a photo that is no label: transparent parts are shown on white, CMYK becomes RGB."""
    picture = open_picture(path, most)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    if picture.mode in ("CMYK", "YCbCr", "HSV", "LAB"):
        return picture.convert("RGB")
    return _as_rgb(picture, path)


def _as_rgb(picture: Image.Image, path: Path) -> Image.Image:
    if picture.mode.startswith("I"):  # 16-bit grey
        return Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode == "P":
        picture.info.pop("transparency", None)  # each number has its colour, transparent or not
        return picture.convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA"):
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema()[0] < 255:
            raise UserError(f"{path} is partly transparent; save it without an alpha channel")
        return picture.convert("RGB")
    if picture.mode in ("RGB", "L", "1"):
        return picture.convert("RGB")
    if picture.mode == "F":
        raise UserError(
            f"{path} holds numbers with fractions; save ids as whole numbers, pictures with 8 bits"
        )
    raise UserError(f"{path} is a {picture.mode} picture; save it as 8-bit RGB")


@dataclass(frozen=True)
class Stored:
    """What a label file holds before anything is made of it."""

    values: np.ndarray  # (H, W) whole numbers of a one-channel file, or (H, W, 3) uint8
    lossy: bool  # JPEG and the like: colours are not exact
    mode: str  # Pillow's name: 1, L, I;16, P, RGB, ...
    ignored: tuple[int, int, int] | None = None  # the colour of index 255 in a palette file that uses it

    @property
    def deep(self) -> bool:
        """Whether the file holds whole numbers of 16 or 32 bits."""
        return self.mode.startswith("I")

    @property
    def numbers(self) -> np.ndarray | None:
        """(H, W) of a one-channel file, or of a colour file in which everything is grey; else None."""
        if self.values.ndim == 2:
            return self.values
        red, green, blue = self.values[..., 0], self.values[..., 1], self.values[..., 2]
        return red if np.array_equal(red, green) and np.array_equal(red, blue) else None


def read_stored(path: Path, indices: bool = False) -> Stored:
    """A label file as it is stored.

    A palette file gives its colours, unless two of the numbers in it have one colour: then they are numbers.

    Args:
        indices: a palette file gives its numbers in any case.

    Raises:
        UserError: as ``read_picture``.
    """
    picture = open_picture(path)
    lossy = path.suffix.lower() in (".jpg", ".jpeg") or picture.format in ("JPEG", "WEBP", "MPO")
    mode = picture.mode
    if mode == "P":
        numbers = np.asarray(picture)
        used = np.unique(numbers)
        table = np.array(picture.getpalette() or [], np.uint8).reshape(-1, 3)
        known = used[used < len(table)]
        if indices or len(known) < len(used) or len(np.unique(table[known], axis=0)) < len(known):
            return Stored(numbers, lossy, mode)
        last = tuple(map(int, table[255])) if len(used) > 2 and used[-1] == 255 else None
        return Stored(np.asarray(_as_rgb(picture, path)), lossy, mode, last)
    if mode in ("L", "1") and not lossy:
        return Stored(np.asarray(picture.convert("L")), lossy, mode)
    if mode.startswith("I"):
        return Stored(np.asarray(picture).astype(np.int32), lossy, mode)
    return Stored(np.asarray(_as_rgb(picture, path)), lossy, mode)


@dataclass(frozen=True)
class Reader:
    """How the files of one side become RGB pictures: as they are, or numbers painted in colours."""

    ids: tuple[tuple[int, tuple[int, int, int]], ...] = ()  # (number, its colour); (): the files hold colours
    photo: bool = False  # no labels: as ``read_photo``

    def __call__(self, path: Path) -> Image.Image:
        """An 8-bit RGB picture; a number without a colour is ``UNKNOWN``.

        Raises:
            UserError: as ``read_picture``, or for a colour file where numbers are wanted.
        """
        if not self.ids:
            return read_photo(path, MOST_PIXELS) if self.photo else read_picture(path)
        numbers = read_stored(path, indices=True).numbers
        if numbers is None:
            raise UserError(f"{path} holds colours, and the other label files hold ids; mend or remove it")
        ordered = sorted(self.ids)
        known = np.array([number for number, _ in ordered])
        colours = np.array([colour for _, colour in ordered] + [UNKNOWN], np.uint8)
        if known[0] >= 0 and numbers.dtype == np.uint8:  # quick: one look-up in a small table
            table = np.full((256, 3), UNKNOWN, np.uint8)
            table[known[known < 256]] = colours[:-1][known < 256]
            return Image.fromarray(table[numbers])
        place = np.searchsorted(known, numbers).clip(max=len(known) - 1)
        return Image.fromarray(colours[np.where(known[place] == numbers, place, len(known))])


PICTURE, PHOTO = Reader(), Reader(photo=True)


def read_pair(
    pair: Pair, readers: tuple[Reader, Reader] = (PICTURE, PICTURE)
) -> tuple[np.ndarray, np.ndarray]:
    """Both halves as uint8 (H, W, 3), A first, of one size.

    Args:
        readers: of A and of B.

    Raises:
        UserError: for a broken file, an odd width, or two files of different sizes.
    """
    first = readers[0](pair.a)
    if pair.b is not None:
        second = readers[1](pair.b)
        if first.size != second.size:
            raise UserError(
                f"{pair.a} is {first.width} x {first.height} but {pair.b} is {second.width} x "
                f"{second.height}; the two must be of one size"
            )
        return np.asarray(first), np.asarray(second)
    both = np.asarray(first)
    left, right = in_halves(both, pair.a)
    if readers[0] != readers[1]:
        right = in_halves(np.asarray(readers[1](pair.a)), pair.a)[1]
    return left, right


def in_halves(both: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The two halves of an A|B picture (H, W, …).

    Raises:
        UserError: for an odd width.
    """
    width = both.shape[1]
    if width % 2:
        raise UserError(
            f"{path} is {width} pixels wide: an A|B pair has an even width, two halves of one size"
        )
    return both[:, : width // 2], both[:, width // 2 :]


def read_side(pair: Pair, side: str, indices: bool = False) -> Stored:
    """What the file of one side of a pair holds, for an A|B file its half.

    Args:
        side: "a" or "b".

    Raises:
        UserError: as ``read_picture`` and ``in_halves``.
    """
    if pair.b is not None:
        return read_stored(pair.a if side == "a" else pair.b, indices)
    stored = read_stored(pair.a, indices)
    half = in_halves(stored.values, pair.a)[0 if side == "a" else 1]
    return Stored(half, stored.lossy, stored.mode, stored.ignored)
