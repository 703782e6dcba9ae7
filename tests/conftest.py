"""Fixtures of all tests. pyproject.toml puts the repository and tests/support/ on the import path.

`make test` runs files side by side (pytest-xdist). Each process, and what it starts, then computes on one core.
"""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch and numpy when they are imported

from app_server import app, visit  # noqa: F401
from browser import browser  # noqa: F401
from download_site import download, isolated, shelf, site  # noqa: F401
from faces import command, detector, directions, faces, generator  # noqa: F401
from fake_devices import reads  # noqa: F401
from segmentation_data import pairs, trained  # noqa: F401

FIRST = "test_docs.py"  # takes longest: begun last, it would run alone at the end


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name != FIRST)
