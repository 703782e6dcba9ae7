"""A session's work as one file, and back: results, marks and settings. The file itself is draggan/project.py.

path = projects.write(session)
projects.take_in(session, path)          # its results are added to the history, and the marks are as they were
"""

from pathlib import Path

from draggan import project
from draggan.app.jobs import UNEDITED
from draggan.app.marks import Marks
from draggan.app.session import Session
from draggan.app.settings import RANGES, setting
from draggan.app.texts import Message, TranslatedError
from draggan.photo_editor import PhotoSubject
from draggan.project import Project, ProjectError, Result


def write(session: Session) -> Path:
    """The project of a session as a file of its folder. UserError if it cannot be written."""
    with session.lock:
        history, marks = session.history, session.marks
        entries = history.entries if history.place >= 0 else [*history.entries[1:], history.now]
        results = [Result(entry.face, entry.title) for entry in entries]
        points = [[list(point) for point in each] for each in (marks.handles, marks.targets)]
        work = Project(results, entries.index(history.now), *points, marks.region, dict(session.settings))
    path = session.stage.folder.path / f"work{project.SUFFIX}"
    project.save(path, work)  # not under the lock: a photo takes a while
    return path


def take_in(session: Session, path: Path | str, name: str) -> Message:
    """Open a project. Its file is deleted.

    Raises:
        TranslatedError: if it is none, a model of it is missing, or something runs.
    """
    path, models = Path(path), session.models

    def tools(model: str) -> tuple:
        return models.generator(model), models.detector, models.directions(model)[0]

    try:
        session.require_idle()
        work = project.open_project(path, tools)
        # what a person could have set here, and no more: the queue is everybody's
        chosen = {
            name: setting(name, value) for name, value in work.settings.items() if name in ("w_plus", *RANGES)
        }
    except ProjectError:
        raise TranslatedError("bad_project", name=name[:80]) from None
    finally:
        path.unlink(missing_ok=True)
    stage = session.stage
    entries = [stage.entry(one.face, one.title) for one in work.results]  # drawn here
    with session.lock:
        session.require_idle()
        session.mark("clear_points")
        for entry in entries:
            stage.add(entry)
        photo = next((e.face.subject for e in entries if isinstance(e.face.subject, PhotoSubject)), None)
        if photo:  # the results of another photo go, and with them its generator
            stage.history.keep(lambda one: one in entries or not isinstance(one.face.subject, PhotoSubject))
            stage.original = stage.whole(photo.cut_out.photo.pixels, UNEDITED)
        session.go_to(stage.history.entries.index(entries[work.at]))
        session.screen.marks = Marks(
            work.handles, work.targets, work.region, size=work.shown.generator.resolution
        )
        session.settings = {name: value for name, value in chosen.items() if value is not None}
        session.model = work.shown.generator.name
        session.stage.draw()
        message = Message("project_opened", {"count": len(entries)})
        session.screen.say(message)
    return message
