"""pix2pix pairs: A|B pictures side by side, or folders A/ and B/, as tensors with paired augmentation.

Layouts (SPLIT is train, val or test):

    DIR/SPLIT/name.jpg                    photo and label side by side, any even width
    DIR/SPLIT/A/name.* DIR/SPLIT/B/name.* or DIR/A/SPLIT/ and DIR/B/SPLIT/: one file each, the same stem

Run it to count and check the pictures of a data set: ``python pix2pix_dataset.py datasets/facades``.
"""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from tqdm import tqdm

from common import torchvision_ops  # noqa: F401  (before torchvision)
from common.commandline import UserError, run

from torchvision import tv_tensors  # isort: skip
from torchvision.transforms import v2  # isort: skip

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
DATASETS = Path(__file__).resolve().parent / "datasets"
DOWNLOADS = ("facades", "cityscapes", "camvid", "faces", "maps", "night2day", "edges2shoes", "edges2handbags")
DIRECTIONS = ("AtoB", "BtoA")


@dataclass(frozen=True)
class Pair:
    """Where one photo and its label lie. ``b`` is None where both halves are in the file ``a``."""

    name: str
    a: Path
    b: Path | None = None


def resolve(dataset: str) -> Path:
    """The folder of a data set given as a folder or as a name under ``datasets/``.

    Raises:
        UserError: if there is none; the text says how to get it.
    """
    for folder in (Path(dataset), DATASETS / dataset):
        if folder.is_dir():
            return folder
    name = Path(dataset).name
    if name in DOWNLOADS:
        raise UserError(f"the data set {dataset} is not here; run `bash download_dataset.sh {name}`")
    raise UserError(
        f"there is no data set folder {dataset}; give a folder with train/ and val/, or a name that "
        f"`bash download_dataset.sh NAME` knows: {', '.join(DOWNLOADS)}"
    )


def pictures(folder: Path) -> list[Path]:
    """The picture files right in ``folder``, sorted by name; hidden files are left out."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def find_pairs(root: Path, split: str) -> list[Pair]:
    """All pairs of a split, sorted by name.

    Raises:
        UserError: for an empty or missing split, or a picture in A/ or B/ without its partner.
    """
    for a, b in ((root / split / "A", root / split / "B"), (root / "A" / split, root / "B" / split)):
        if not a.is_dir() and not b.is_dir():
            continue
        left, right = {p.stem: p for p in pictures(a)}, {p.stem: p for p in pictures(b)}
        lonely = sorted(left.keys() ^ right.keys())
        if lonely:
            side, other = (a, b) if lonely[0] in left else (b, a)
            raise UserError(
                f"{len(lonely)} pictures have no partner: {side / lonely[0]}.* is missing in {other}; "
                "add or remove them so that both folders hold the same names"
            )
        pairs = [Pair(stem, left[stem], right[stem]) for stem in sorted(left)]
        break
    else:
        pairs = [Pair(p.stem, p) for p in pictures(root / split)]
    if not pairs:
        raise UserError(
            f"{root / split} holds no pictures; expected A|B files in {root / split}/ or two folders "
            f"{root / split}/A and {root / split}/B"
        )
    return pairs


def fingerprint(pairs: list[Pair]) -> str:
    """12 hex digits of the names and file sizes of a split; its place does not count."""
    files = ((pair.name, pair.a.stat().st_size, pair.b.stat().st_size if pair.b else 0) for pair in pairs)
    return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()[:12]


def read_picture(path: Path) -> Image.Image:
    """A picture file as 8-bit RGB.

    A photo is turned upright as its EXIF says. Grey is repeated to RGB, palette files are
    painted in their palette's colours, 16-bit grey keeps its upper 8 bits, an opaque alpha channel is dropped.

    Raises:
        UserError: naming the file, if it is broken or of another kind (CMYK, float, transparent).
    """
    try:
        picture = Image.open(path)
        picture.load()
        picture = ImageOps.exif_transpose(picture)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path} cannot be read as a picture ({str(error).splitlines()[0]}); replace or remove it, "
            "or leave broken files out with --skip-broken"
        ) from error
    if picture.mode.startswith("I"):  # 16-bit grey
        return Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode == "P" and "transparency" not in picture.info:
        return picture.convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "P"):
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema()[0] < 255:
            raise UserError(f"{path} is partly transparent; save it without an alpha channel")
        return picture.convert("RGB")
    if picture.mode in ("RGB", "L", "1"):
        return picture.convert("RGB")
    raise UserError(f"{path} is a {picture.mode} picture; save it as 8-bit RGB")


def read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Both halves as uint8 (H, W, 3), A first, of one size.

    Raises:
        UserError: for a broken file, an odd width, or two files of different sizes.
    """
    first = read_picture(pair.a)
    if pair.b is not None:
        second = read_picture(pair.b)
        if first.size != second.size:
            raise UserError(
                f"{pair.a} is {first.width} x {first.height} but {pair.b} is {second.width} x "
                f"{second.height}; the two must be of one size"
            )
        return np.asarray(first), np.asarray(second)
    if first.width % 2:
        raise UserError(
            f"{pair.a} is {first.width} pixels wide: an A|B pair has an even width, two halves of one size"
        )
    both = np.asarray(first)
    half = first.width // 2
    return both[:, :half], both[:, half:]


class Augment(v2.Transform):
    """Random crop and flip, the same for photo and label; random light and colour, for the photo alone."""

    def __init__(self, size: int, crop: float, jitter: float):
        """
        Args:
            size: side of the square that comes out, in pixels.
            crop: least fraction of the area that a crop keeps; 1 always keeps the whole picture.
            jitter: strength of the photo's changes in brightness, contrast and saturation, 0 to 1.
        """
        super().__init__()
        # A Mask goes through every geometric transform by nearest neighbour and past every colour one.
        self.both = v2.Compose(
            [
                v2.RandomResizedCrop(size, scale=(crop, 1.0), ratio=(3 / 4, 4 / 3), antialias=True)
                if crop < 1
                else v2.Resize((size, size), antialias=True),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(jitter, jitter, jitter),
                v2.RandomApply([v2.ColorJitter(hue=0.08 * jitter)], p=0.2),
                v2.RandomGrayscale(p=0.1 * jitter),
            ]
        )

    def forward(self, photo: tv_tensors.Image, label: tv_tensors.Mask) -> tuple[Tensor, Tensor]:
        return self.both(photo, label)


class PairDataset(Dataset):
    """Pairs as dicts of ``photo`` and ``label`` uint8 (3, size, size), and ``index``.

    The key of an item is (epoch, index). Its augmentation depends on the seed, the epoch and the index alone,
    not on the worker that makes it or on what was made before. So a resumed run goes on exactly.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        *,
        size: int = 256,
        direction: str = "AtoB",
        augment: Augment | None = None,
        seed: int = 0,
        skip_broken: bool = False,
        cache_mb: int = 2048,
        quiet: bool = True,
    ):
        """
        Args:
            cache_mb: keep the decoded pictures in memory if they need at most this many MiB; 0 never does.

        Raises:
            UserError: as ``find_pairs`` and ``read_pair``; without a cache a broken file shows up later.
        """
        if direction not in DIRECTIONS:
            raise UserError(f"--direction {direction} is unknown; choose from {', '.join(DIRECTIONS)}")
        self.pairs = find_pairs(root, split)
        self.size, self.direction, self.augment, self.seed = size, direction, augment, seed
        self.skip_broken = skip_broken
        self.broken: list[str] = []
        self.resize = v2.Resize((size, size), antialias=True)
        self.cache: list[tuple[np.ndarray, np.ndarray]] | None = None
        self._survey(cache_mb, quiet)

    def _survey(self, cache_mb: int, quiet: bool) -> None:
        """Open every file once; keep the decoded pictures if they fit; leave broken ones out if asked."""
        bytes_one = sum(half.nbytes for half in self._try(self.pairs[0]) or ())
        keep = bytes_one * len(self.pairs) <= cache_mb * 2**20
        good, cache = [], []
        for pair in tqdm(self.pairs, desc="reading pictures", disable=quiet, leave=False):
            halves = self._try(pair) if keep else self._try_header(pair)
            if halves is not None:
                good.append(pair)
                cache.append(halves)
        if not good:
            raise UserError(f"none of the {len(self.pairs)} pictures beside {self.pairs[0].a} can be used")
        self.pairs, self.cache = good, cache if keep else None

    def _try(self, pair: Pair) -> tuple[np.ndarray, np.ndarray] | None:
        try:
            return read_pair(pair)
        except UserError as error:
            if not self.skip_broken:
                raise
            self.broken.append(str(error))
            return None

    def _try_header(self, pair: Pair) -> tuple | None:
        """Check what the header shows, without decoding."""
        try:
            with Image.open(pair.a) as picture:
                if pair.b is None and picture.width % 2:
                    return self._try(pair)
            return ()
        except (UnidentifiedImageError, OSError):
            return self._try(pair)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Tensor | int]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        if self.cache is not None:
            a, b = self.cache[index]
        else:
            found = self._try(self.pairs[index])
            if found is None:  # broken beyond its header: the next pair replaces it
                return self[epoch, (index + 1) % len(self)]
            a, b = found
        if self.direction == "BtoA":
            a, b = b, a
        photo = tv_tensors.Image(torch.from_numpy(a.copy()).permute(2, 0, 1))
        label = tv_tensors.Mask(torch.from_numpy(b.copy()).permute(2, 0, 1))
        if self.augment is None:
            photo, label = self.resize(photo, label)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed((self.seed * 1_000_003 + epoch) * 1_000_003 + index)
                photo, label = self.augment(photo, label)
        return {"photo": photo.as_subclass(Tensor), "label": label.as_subclass(Tensor), "index": index}


class EpochSampler(Sampler):
    """Yields (epoch, index), each rank its own share of the split.

    Shuffled: a permutation by seed and epoch, cut so that every rank has the same number of whole batches
    (no rank waits for another; what is cut differs from epoch to epoch). A split smaller than one batch of
    all ranks is repeated to fill it. Not shuffled: every index once over all ranks.
    """

    def __init__(
        self, length: int, batch: int, *, shuffle: bool, seed: int = 0, rank: int = 0, ranks: int = 1
    ):
        self.length, self.batch, self.shuffle, self.seed = length, batch, shuffle, seed
        self.rank, self.ranks = rank, ranks
        self.epoch = 0

    def __len__(self) -> int:
        """Items of this rank."""
        if not self.shuffle:
            return len(range(self.rank, self.length, self.ranks))
        return max(self.length // (self.batch * self.ranks), 1) * self.batch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        if not self.shuffle:
            yield from ((0, index) for index in range(self.rank, self.length, self.ranks))
            return
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.length, generator=generator).tolist()
        total = len(self) * self.ranks
        order = (order * (total // self.length + 1))[:total]
        yield from ((self.epoch, index) for index in order[self.rank :: self.ranks])


def to_unit(pictures: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) -> float on [-1, 1], channels last."""
    return (pictures.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def to_bytes(pictures: Tensor) -> Tensor:
    """float (N, 3, H, W) on [-1, 1] -> uint8, rounded."""
    return ((pictures.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: python pix2pix_dataset.py DIR_OR_NAME\n\n" + (__doc__ or ""))
        return
    root = resolve(sys.argv[1])
    for split in ("train", "val", "test"):
        try:
            data = PairDataset(root, split, skip_broken=True)
        except UserError as error:
            print(f"{split}: {error}")
            continue
        print(f"{split}: {len(data)} pairs, {len(data.broken)} broken")
        print("\n".join(f"  {text}" for text in data.broken))


if __name__ == "__main__":
    run(main)
