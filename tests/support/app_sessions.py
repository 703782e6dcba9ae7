"""Sessions of the app without a page."""

import pytest


@pytest.fixture(scope="module")
def studio():
    from draggan.app.studio import Studio

    studio = Studio()
    yield studio
    studio.close()
    assert not studio.folder.exists()


@pytest.fixture
def session(studio, request):
    session = studio.session(request.node.name)
    session.generate(5)
    yield session
    studio.drop(request.node.name)


def finish(session, stop_at: int | None = None) -> list:
    """Watch the drag to its end, or stop it at a step: all views of it."""
    views = []
    for view in session.watch():
        views.append(view)
        if stop_at and view.step >= stop_at:
            session.stop()
    return views
