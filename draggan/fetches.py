"""Models of download_models.py for the app: which are not here yet, and fetching one with its progress."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import download_models
from draggan.generators import CHECKPOINTS, DEFAULT_MODEL, models

ROOT = Path(download_models.__file__).resolve().parent


def fetchable() -> dict[str, str]:
    """Generators that can be fetched and are not here: name → size in words."""
    here = models()
    found = {}
    for model in download_models.MODELS:
        name = model.name
        if name in here and here[name].is_file():
            continue
        if name == DEFAULT_MODEL or any(file.name.endswith(".pkl") for file in model.files):
            megabytes = sum(file.size / 1e6 or file.about for file in model.files)
            found[name] = f"{megabytes:.0f} MB" if megabytes else "?"
    return found


def choices() -> list[tuple[str, str]]:
    """What the model list shows: (label, name), those that are here first."""
    here = [(name, name) for name, path in models().items() if path.is_file()]
    return here + [(f"{name} ↓ {size}", name) for name, size in fetchable().items()]


class Fetches:
    """Fetches one model at a time, in a process of its own."""

    def fetch(self, name: str) -> Iterator[tuple[str, dict]]:
        """Keys and values of texts, until the model is here or it failed."""
        if name not in fetchable():
            yield "fetched", {"model": name}
            return
        command = [sys.executable, str(ROOT / "download_models.py"), name]
        process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        while process.poll() is None:
            parts = (*CHECKPOINTS.glob("*.part"), *CHECKPOINTS.glob(".download-*/**/*"))
            size = sum(part.stat().st_size for part in parts if part.is_file())
            yield "fetching", {"model": name, "megabytes": size / 1e6}
            time.sleep(0.5)
        if process.returncode:
            lines = process.stderr.read().strip().splitlines() or ["unknown"]
            yield "failed", {"reason": lines[-1].removeprefix("error: ")}
        else:
            yield "fetched", {"model": name}
