"""Fixtures of the app's tests."""

import pytest
from app_photos import photo_path, short  # noqa: F401
from app_sessions import session, sessions  # noqa: F401


@pytest.fixture
def long_drags(monkeypatch):
    """Drags go on, also where the face has become another one: for what can be done meanwhile."""
    monkeypatch.setattr("draggan.points.LOOK_EVERY", 10**6)


@pytest.fixture(scope="module", autouse=True)
def patience():
    """A session without a page is kept, however long a busy machine takes from one test to the next."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("draggan.app.sessions.SCRIPT_SECONDS", 10**6)
        yield
