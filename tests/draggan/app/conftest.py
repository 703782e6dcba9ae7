"""Fixtures of the app's tests."""

import pytest
from app_photos import photo_path, short  # noqa: F401
from app_sessions import session, sessions  # noqa: F401


@pytest.fixture
def long_drags(monkeypatch):
    """Drags go on, also where the face has become another one: for what can be done meanwhile."""
    monkeypatch.setattr("draggan.points.LOOK_EVERY", 10**6)
