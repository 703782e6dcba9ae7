"""What all tests share: the scripts are imported from the root of the repository; the app's fixtures."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app_server import app, visit  # noqa: F401
from browser import browser  # noqa: F401
