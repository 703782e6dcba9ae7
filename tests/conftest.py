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

# These take longest, from 400 seconds down to 40: one that is begun last would run alone at the end.
LONG = (
    "test_docs test_page_photos test_own_photo test_page_sliders test_page test_ranks test_page_access "
    "test_page_results test_page_points test_instant test_sessions test_run test_export test_photo_batch test_fuzz "
    "test_fake_devices"
).split()


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
