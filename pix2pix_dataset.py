"""pix2pix pairs: A|B pictures side by side, or folders A/ and B/, as tensors with paired augmentation.

The layouts are in training/pairs.py, how a file is read in training/pictures.py.

    python pix2pix_dataset.py DATASET                        count and check the pictures, and say what the labels are
    python pix2pix_dataset.py DATASET --write-palette FILE   write the labels' colours or ids to a file, to be edited
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from tqdm import tqdm

from common import torchvision_ops  # noqa: F401  (before torchvision)
from common.commandline import UserError, run
from training.labels import choose_palette
from training.pairs import Pair, find_pairs, has_split, is_cityscapes, resolve, validation_split
from training.palette_files import write_palette
from training.palettes import class_shares, ignored_share
from training.pictures import MOST_PIXELS, PICTURE, Reader, open_header, read_pair
from training.sizes import Scaling, square
from training.survey import WISHES, Survey, kind_of_input, survey

from torchvision import tv_tensors  # isort: skip
from torchvision.transforms import v2  # isort: skip

DIRECTIONS = ("AtoB", "BtoA")
SQUARE = square(256)
LISTED = 40  # classes that the check shows


class Augment(v2.Transform):
    """Random crop and flip, the same for input and target; random light and colour for an input that is a photo.

    A Mask goes through every geometric transform by nearest neighbour, an Image is scaled with antialiasing.
    """

    def __init__(self, scaling: Scaling, crop: float, jitter: float, flip: bool = True):
        """
        Args:
            scaling: what comes out has the size ``scaling.crop``.
            crop: least fraction of the area that a random crop of a whole picture keeps before it is scaled; 1 always
                keeps all. Not for pictures that are cropped at their own scale.
            jitter: strength of the photo's changes in brightness, contrast and saturation, 0 to 1.
            flip: mirror every second picture; not where left and right are different classes.
        """
        super().__init__()
        self.scaling, self.crop = scaling, crop
        self.flip = v2.RandomHorizontalFlip(0.5 if flip else 0.0)
        self.light = v2.Compose(
            [
                v2.ColorJitter(jitter, jitter, jitter),
                v2.RandomApply([v2.ColorJitter(hue=0.08 * jitter)], p=0.2),
                v2.RandomGrayscale(p=0.1 * jitter),
            ]
        )

    def forward(self, photo: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        photo, label = self.flip(*self._cut(photo, label))
        return (photo if isinstance(photo, tv_tensors.Mask) else self.light(photo)), label

    def _cut(self, photo: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        height, width = photo.shape[-2:]
        size = self.scaling.of(height, width)
        if self.scaling.resize in ("short", "none"):
            if size != (height, width):
                photo, label = v2.Resize(size, antialias=True)(photo, label)
            return v2.RandomCrop(self.scaling.crop)(photo, label)
        if self.crop < 1:
            shape = width / height
            cut = v2.RandomResizedCrop(
                size, scale=(self.crop, 1.0), ratio=(3 / 4 * shape, 4 / 3 * shape), antialias=True
            )
        else:
            cut = v2.Resize(size, antialias=True)
        photo, label = cut(photo, label)
        missing = self.scaling.crop[0] - size[0], self.scaling.crop[1] - size[1]
        if any(missing):  # fit: its border is repeated, in the photo as in the label
            photo, label = v2.Pad([0, 0, missing[1], missing[0]], padding_mode="edge")(photo, label)
        return photo, label


class PairDataset(Dataset):
    """Pairs as dicts of ``photo`` (the input), ``label`` (the target), uint8 (3, H, W), and ``index``.

    H and W are those of ``scaling``, with an augmentation those of its crops.

    The key of an item is (epoch, index). Its augmentation depends on the seed, the epoch and the index alone,
    not on the worker that makes it or on what was made before. So a resumed run goes on exactly.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        *,
        pairs: Sequence[Pair] | None = None,
        readers: tuple[Reader, Reader] = (PICTURE, PICTURE),
        flat: tuple[bool, bool] = (False, True),
        scaling: Scaling = SQUARE,
        direction: str = "AtoB",
        augment: Augment | None = None,
        seed: int = 0,
        skip_broken: bool = False,
        cache_mb: int = 2048,
        quiet: bool = True,
    ):
        """
        Args:
            pairs: those of the split where they are known already; None looks for them.
            readers: of input and target.
            flat: whether input and target are label maps, which are scaled by nearest neighbour.
            cache_mb: keep the decoded pictures in memory if they need at most this many MiB; 0 never does.

        Raises:
            UserError: as ``find_pairs`` and ``read_pair``; without a cache a broken file shows up later.
        """
        if direction not in DIRECTIONS:
            raise UserError(f"--direction {direction} is unknown; choose from {', '.join(DIRECTIONS)}")
        self.pairs, self.flat = list(find_pairs(root, split) if pairs is None else pairs), flat
        self.readers = readers[::-1] if direction == "BtoA" else readers  # of A and of B
        self.scaling, self.direction, self.augment, self.seed = scaling, direction, augment, seed
        self.skip_broken = skip_broken
        self.broken: list[str] = []
        self.cache: list[tuple[np.ndarray, np.ndarray]] | None = None
        self._survey(cache_mb, quiet)

    def _survey(self, cache_mb: int, quiet: bool) -> None:
        """Open every file once; keep the decoded pictures if they fit; leave broken ones out if asked."""
        good, kept, left = [], [], cache_mb * 2**20
        for pair in tqdm(self.pairs, desc="reading pictures", disable=quiet, leave=False):
            halves = self._try(pair) if kept is not None else self._try_header(pair)
            if halves is None:
                continue
            good.append(pair)
            if kept is not None:
                kept.append(halves)
                left -= sum(half.nbytes for half in halves)
                if left < 0:  # the first ones say nothing about the others' sizes
                    kept = None
        if not good:
            raise UserError(f"none of the {len(self.pairs)} pictures beside {self.pairs[0].a} can be used")
        self.pairs, self.cache = good, kept

    def _try(self, pair: Pair) -> tuple[np.ndarray, np.ndarray] | None:
        try:
            halves = read_pair(pair, self.readers)
            self._check_scaled(pair, *halves[0].shape[:2])
            return halves
        except UserError as error:
            return self._broken(error)

    def _try_header(self, pair: Pair) -> tuple | None:
        """Check what the headers show, without decoding; two files of one size are seen to when they are decoded."""
        try:
            for path in (pair.a, pair.b or pair.a):
                with open_header(path) as picture:
                    width, height = picture.size
            if pair.b is None and width % 2:
                return self._try(pair)
            self._check_scaled(pair, height, width if pair.b else width // 2)
            return ()
        except UserError as error:
            return self._broken(error)

    def _broken(self, error: UserError) -> None:
        if not self.skip_broken:
            raise UserError(f"{error}, or leave broken files out with --skip-broken") from error
        self.broken.append(str(error))

    def _check_scaled(self, pair: Pair, height: int, width: int) -> None:
        """Raises UserError for a picture so long that it would be enlarged beyond all measure."""
        size = self.scaling.of(height, width)
        if size[0] * size[1] > max(MOST_PIXELS, height * width):
            raise UserError(
                f"{pair.a} is {width} x {height} and would be enlarged to {size[1]} x {size[0]} pixels; cut it, remove "
                "it, or use --resize squash"
            )

    def _whole(self, index: int) -> tuple[np.ndarray, np.ndarray, int]:
        """The halves of a pair and its index. One that is broken beyond its header is replaced by the next one."""
        if self.cache is not None:
            return *self.cache[index], index
        for other in (*range(index, len(self)), *range(index)):
            found = self._try(self.pairs[other])
            if found is not None:
                return *found, other
        raise UserError(f"none of the {len(self)} pictures beside {self.pairs[0].a} can be read any more")

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Tensor | int]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        a, b, index = self._whole(index)
        if self.direction == "BtoA":
            a, b = b, a
        photo, label = (
            (tv_tensors.Mask if flat else tv_tensors.Image)(torch.from_numpy(half.copy()).permute(2, 0, 1))
            for half, flat in zip((a, b), self.flat, strict=True)
        )
        if self.augment is None:
            photo, label = v2.Resize(self.scaling.of(*photo.shape[-2:]), antialias=True)(photo, label)
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


def describe(root: Path, options: argparse.Namespace) -> Survey:
    """Read every picture as a training would, and print how many pairs there are and what their labels are.

    Raises:
        UserError: if anything would stop a training; what it is has been printed before.
    """
    found, faults = {}, 0
    for split in ("train", "val", "test"):
        if split == "train" or has_split(root, split):
            try:
                found[split] = find_pairs(root, split, options.labels)
            except UserError as error:
                print(f"{split}: {error}")
                faults += 1
        else:
            print(f"{split}: none")
    if "train" not in found:
        raise UserError(f"{root}: mend what stands above and run this again; no picture was decoded yet")
    target, given = "ba" if options.direction == "AtoB" else "ab"
    seen = survey(found["train"], found.get(validation_split(root), []), target, options.labels, quiet=False)
    palette = choose_palette(seen, options.palette, is_cityscapes(found["train"]))
    readers = kind_of_input(found["train"], given).reader, seen.reader(palette)
    for split, pairs in found.items():
        broken = unreadable(pairs, readers if options.direction == "AtoB" else readers[::-1])
        print(f"{split}: {len(pairs)} pairs, {len(broken)} broken", *broken, sep="\n  ")
        faults += len(broken)
    print(f"labels: {seen.kind} ({seen.why})")
    if palette:
        shares = class_shares(seen.painted(palette), palette)
        lines = [f"{share:9.4%}  {name}" for name, share in shares.items()]
        lines[LISTED:] = [f"  and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
        lines.append(f"{ignored_share(shares):9.4%}  ignored, void or border")
        print(f"palette {palette.name}: {len(palette.classes)} classes", *lines, sep="\n  ")
        print(*seen.notes(palette), sep="\n", end="\n" if seen.notes(palette) else "")
    if faults:
        raise UserError(
            f"{root}: {faults} {'fault' if faults == 1 else 'faults'}, listed above; mend them, or remove these files "
            "(--skip-broken leaves broken pictures out of a training)"
        )
    if not {"val", "test"} & found.keys():
        raise UserError(f"{root} has no val/ and no test/; a training needs one of them to be judged on")
    return seen


def unreadable(pairs: Sequence[Pair], readers: tuple[Reader, Reader]) -> list[str]:
    """Decode all pairs, one after the other; what is wrong with those that cannot be used.

    Args:
        readers: of A and of B.
    """
    wrong = []
    for pair in tqdm(pairs, desc="reading pictures", leave=False, disable=None):
        try:
            read_pair(pair, readers)
        except UserError as error:
            wrong.append(str(error))
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", help="folder of the data set, or its name under datasets/")
    parser.add_argument(
        "--labels", choices=WISHES, default="auto", help="what the labels are (default: auto)"
    )
    parser.add_argument("--direction", choices=DIRECTIONS, default="AtoB", help="which half is the input")
    parser.add_argument("--palette", default="auto", help="as of a training: a name, a file, none or auto")
    parser.add_argument("--write-palette", type=Path, metavar="FILE", help="write the classes to a file")
    options = parser.parse_args()
    root = resolve(options.dataset)
    seen = describe(root, options)
    if options.write_palette is None:
        return
    if seen.kind == "picture":
        raise UserError(f"--write-palette: the labels of {root} are no label maps; see --labels")
    palette = seen.palette()
    shares = class_shares(seen.painted(palette), palette)
    write_palette(options.write_palette, palette, shares, ignored_share(shares), str(root))
    print(f"wrote {options.write_palette}: {len(palette.classes)} classes")


if __name__ == "__main__":
    run(main)
