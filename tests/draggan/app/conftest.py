"""Fixtures of the app's tests."""

from app_photos import photo_path, short  # noqa: F401
from app_sessions import session, sessions  # noqa: F401
