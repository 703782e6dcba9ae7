"""A session's work as one file, and back: results, marks and settings. The file itself is draggan/project.py.

path = projects.write(session)
projects.open_file(session, path, name)  # its results are added to the history, and the marks are as they were

A file of latents is opened in the same way: its faces are added to the history.
"""

from pathlib import Path

from draggan import project
from draggan.app.jobs import UNEDITED
from draggan.app.marks import Marks
from draggan.app.session import Session
from draggan.app.settings import SETTINGS, setting
from draggan.app.texts import Message, TranslatedError
from draggan.face import Face, Subject
from draggan.latents import LatentError, read_latents
from draggan.photo_editor import PhotoSubject
from draggan.project import Project, ProjectError, Result

MOST_LATENTS = 12  # faces of a file that are opened: each is drawn


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


def open_file(session: Session, path: Path | str, name: str) -> Message:
    """Open a project or a file of latents. It is deleted. TranslatedError as for both."""
    is_project = Path(name).suffix == project.SUFFIX or project.is_project(Path(path))
    return (take_in if is_project else open_latents)(session, path, name)


def open_latents(session: Session, path: Path | str, name: str) -> Message:
    """The faces of a file of latents, drawn by the session's model, as results; the first is shown.

    The file is deleted. TranslatedError where it holds none for that model, or something runs.
    """
    path, models = Path(path), session.models
    try:
        session.require_idle()
        generator = models.generator(session.model)
        latents = list(read_latents(path, generator, name[:80]).values())
    except LatentError as error:
        raise TranslatedError(f"latents_{error.kind}", **error.values) from None
    finally:
        path.unlink(missing_ok=True)
    stage, subject = session.stage, Subject(generator, models.detector, models.directions(session.model)[0])
    entries = [
        stage.entry(Face(subject, styles), "latent") for styles in latents[:MOST_LATENTS]
    ]  # drawn here
    with session.lock:
        session.require_idle()
        session.mark("clear_points")
        for entry in entries:
            stage.add(entry)
        session.go_to(stage.history.entries.index(entries[0]))
        message = Message("latents_opened", {"count": len(entries), "all": len(latents)})
        session.screen.say(message)
        stage.draw()
    return message


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
        chosen = {name: setting(name, value) for name, value in work.settings.items() if name in SETTINGS}
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
