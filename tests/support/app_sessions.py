"""Sessions of the app without a page."""

import pytest


@pytest.fixture(scope="module")
def sessions():
    from draggan.app.sessions import Sessions

    sessions = Sessions()
    yield sessions
    sessions.close()
    assert not sessions.folder.exists()


@pytest.fixture
def session(sessions, request):
    session = sessions.get(request.node.name)
    session.generate(5)
    yield session
    sessions.drop(request.node.name)


def finish(session, stop_at: int | None = None) -> list:
    """Watch the drag to its end, or stop it at a step: all views of it."""
    views = []
    for view in session.watch():
        views.append(view)
        if stop_at and view.step >= stop_at:
            session.stop()
    return views
