"""One trial of a misbehaving server or of a bad archive: what broke in words, "" if nothing did."""

import contextlib
import io
import json
import resource
import stat
import time
from pathlib import Path

from bad_archives import BAD, PICTURES
from download_site import sha256
from lying_rows import Row
from lying_server import DATA, OTHER, Liar

import download_models
from common import fetching, receiving
from common.commandline import UserError
from common.fetching import File
from common.models import Model
from download_dataset import DataSet, Source, install, move_splits

SECONDS = 20  # at most, with these limits:
IMPATIENT = {
    fetching: {"TIMEOUT": 0.7, "PAUSE": 0.01, "MOST": 10_000_000},
    receiving: {"ANSWER": 1.0, "WINDOW": 0.3, "MOST": 10_000_000},
}


@contextlib.contextmanager
def impatient():
    """Limits of a second and of 10 MB instead of minutes and gigabytes."""
    before = {(module, name): getattr(module, name) for module, names in IMPATIENT.items() for name in names}
    try:
        for module, names in IMPATIENT.items():
            for name, value in names.items():
                setattr(module, name, value)
        yield
    finally:
        for (module, name), value in before.items():
            setattr(module, name, value)


def fetch(models: list[Model], folder: Path, *arguments: str) -> tuple[int, str]:
    """download_models.py with these models: exit code and what it wrote to stderr."""
    known, download_models.MODELS = download_models.MODELS, models
    err = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
            code = download_models.main(["--dir", str(folder), *arguments])
    finally:
        download_models.MODELS = known
    return code, err.getvalue()


def try_server(row: Row, checked: bool, folder: Path) -> str:
    """A file from a server of this kind, with or without a known sha256.

    Broken is: an end without our one line, a file or a record of what is not a whole version, and taking too long.
    """
    server = Liar(row.answer)
    file = File(
        f"net.{row.ending}",
        len(DATA) if checked else 0,
        sha256(DATA) if checked else None,
        urls=(f"{server.address}/net",),
    )
    began = time.monotonic()
    try:
        with impatient():
            code, err = fetch([Model("net", "a test", "MIT", (file,), default=True)], folder)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        server.close()
    target, records = folder / file.name, folder / "checksums.json"
    if time.monotonic() - began > SECONDS:
        return f"took {time.monotonic() - began:.0f} s"
    if (row.known if checked else row.unknown) == "refused":
        if code != 2 or not err.startswith("error: net: ") or len(err.splitlines()) != 1:
            return f"code {code}: {err}"
        left = [path.name for path in (target, records) if path.exists()]
        return f"left {left}" if left else ""
    if code:
        return f"code {code}: {err}"
    if target.read_bytes() != (DATA if (row.known if checked else row.unknown) == "whole" else OTHER):
        return "another file"
    wanted = None if checked else {file.name: sha256(target.read_bytes())}
    if (json.loads(records.read_text()) if records.exists() else None) != wanted:
        return "another record"
    return "an unfinished file is left" if list(folder.glob("*.part*")) else ""


def try_archive(name: str, by_hand: bool, place: Path) -> str:
    """A data set out of an archive of ``BAD``, fetched, or put by hand where it is looked for."""
    build, says = BAD[name]
    data = build()
    server = Liar(lambda request: request.give(data))
    folder = place / "deep" / "datasets"
    folder.mkdir(parents=True)
    (place / "secret").write_text("mine")
    if by_hand:
        (folder / "toy.tar.gz").write_bytes(data)
    entry = DataSet(
        "toy", "none", (Source(File("toy.tar.gz", urls=(f"{server.address}/x",)), move_splits),), {}
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with contextlib.redirect_stdout(io.StringIO()), impatient():
            install(entry, folder)
        said = ""
    except UserError as error:
        said = str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        server.close()
    if bool(said) != bool(says) or says not in said or len(said.splitlines()) > 1:
        return f"said {said!r}, not {says!r}"
    left = {path.name for path in folder.iterdir()} - {".download.lock", "toy.tar.gz"}
    if said and left:
        return f"left {left}"
    for path in (folder / "toy/train").iterdir() if not said else ():
        if not stat.S_ISREG(path.lstat().st_mode) or path.stat().st_mode & 0o7022:
            return f"{path.name} is no file, or others may write it"
    if not said and not {Path(each).name for each in PICTURES} <= {
        p.name for p in (folder / "toy/train").iterdir()
    }:
        return "pictures are missing"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if grown > 300:
        return f"took {grown:.0f} MiB"
    outside = [path for path in place.rglob("*climb*")] + [p for p in [Path("/absolute_climb")] if p.exists()]
    if outside or {path.name for path in place.iterdir()} != {"deep", "secret"}:
        return f"wrote outside: {outside}"
    return "" if (place / "secret").read_text() == "mine" else "wrote through a link"
