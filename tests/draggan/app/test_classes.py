"""The classes of a conditional model in the app: a list beside the models, and what is kept of a choice."""

from types import SimpleNamespace

import numpy as np
import pytest
from app_sessions import finish  # noqa: F401
from model_files import folder  # noqa: F401
from nvidia_files import conditional, network_pickle

from draggan.app import projects
from draggan.app.handlers import Handlers
from draggan.app.models import Models
from draggan.app.page_state import ANY_CLASS, SHOWN, page_state
from draggan.app.sessions import Sessions
from draggan.generators.stylegan2 import random_generator
from draggan.generators.stylegan2_layers import Config

REQUEST = SimpleNamespace(session_hash="one", headers={})


@pytest.fixture
def handlers(folder):  # noqa: F811
    model = random_generator(Config(resolution=16, channels=(12, 12, 8), mapping=(16, 20, 16), clamp=256.0))
    (folder / "cars.pkl").write_bytes(network_pickle(conditional(model, 3)))
    (folder / "dogs.pkl").write_bytes(network_pickle(conditional(model, 2, seed=1)))
    sessions = Sessions(Models("cpu", "cars"))
    yield Handlers(sessions, 5)
    sessions.close()


def shown(values: list, name: str):
    return values[SHOWN.index(name)]


def test_a_class_is_chosen_from_the_list(handlers):
    session = handlers.session(REQUEST)
    state = page_state(session.view(), "en")
    assert state["model"]["value"] == "cars"
    assert state["class"]["visible"] is True
    assert [value for _, value in state["class"]["choices"]] == [ANY_CLASS, 0, 1, 2]
    assert state["class"]["value"] == ANY_CLASS
    pictures = [session.face.picture]
    for label in (1, 2):
        values = handlers.choose_class(REQUEST, label)
        assert session.face.generator.name == f"cars@{label}"
        assert shown(values, "class")["value"] == label
        assert shown(values, "model")["value"] == "cars"
        pictures.append(session.face.picture)
    assert all(np.abs(a.astype(int) - b).max() > 2 for i, a in enumerate(pictures) for b in pictures[:i])
    assert session.seed == 5
    handlers.random(REQUEST)
    assert session.face.generator.name == "cars@2"  # other seeds are of the class, too
    handlers.choose_model(REQUEST, "cars")  # a list may report one choice twice
    assert session.face.generator.name == "cars@2"
    handlers.choose_class(REQUEST, ANY_CLASS)
    assert session.face.generator.name == "cars"
    handlers.choose_class(REQUEST, 1)
    handlers.choose_model(REQUEST, "dogs")
    assert session.face.generator.name == "dogs"


@pytest.mark.parametrize("label", [3, -2, 10**30, "1", None, 1.0, True, [1], {}])
def test_a_class_that_is_not_in_the_list(handlers, label):
    session = handlers.session(REQUEST)
    values = handlers.choose_class(REQUEST, label)
    assert "no such class" in shown(values, "note")
    assert session.face.generator.name == "cars"


def test_a_project_and_a_favourite_keep_the_class(handlers):
    session = handlers.session(REQUEST)
    handlers.choose_class(REQUEST, 2)
    picture, path = session.face.picture, projects.write(session)
    known, _ = handlers.favourite(REQUEST, [])
    assert known == [["cars@2", 5]]
    handlers.choose_class(REQUEST, ANY_CLASS)
    projects.open_file(session, str(path), "work.draggan")
    assert session.face.generator.name == "cars@2"
    assert np.array_equal(session.face.picture, picture)


def test_classes_share_the_weights_of_the_model(handlers):
    models = handlers.sessions.models
    one, two = (models.generator(f"cars@{label}") for label in (0, 1))
    assert one.constant is two.constant
