"""A piece of work in one file: what is opened is what was saved, and no file does harm."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from draggan import edit_faces
from draggan.drag import Settings
from draggan.face import Subject
from draggan.generators.region import blend_mask
from draggan.points import PointsTask
from draggan.project import FILE_KIND, Project, ProjectError, Result, open_project, save


@pytest.fixture
def tools(generator, detector):
    def by_name(model):
        if model != generator.name:
            raise ProjectError(f"there is no model {model}")
        return generator, detector, None

    return by_name


@pytest.fixture
def blind():
    """A detector that finds no face."""

    class Blind:
        name = "none"

        def detect(self, picture):
            return []

    return Blind()


@pytest.fixture(scope="module")
def work(generator, detector) -> Project:
    """A face, an edit of it in a region, and a point by hand over that."""
    face = Subject(generator, detector, seed=6).face()
    lower = np.zeros((64, 64), np.float32)
    lower[40:] = 1
    edited = face.inside(blend_mask(generator, lower), face.styles + 0.2, by_motion=True)
    drag = PointsTask(edited, [[512, 800]], [[512, 812]], None, Settings(max_steps=3))
    for _ in drag:
        pass
    region = np.zeros((64, 64), np.float32)
    region[20:40, 10:30] = 1
    results = [Result(face, "seed"), Result(edited, "smile 1"), Result(drag.face, "points")]
    return Project(results, 2, [[400.0, 600.5], [10.0, 20.0]], [[460.0, 600.0]], region, {"lr": 0.004})


def test_everything_comes_back(work, tools, tmp_path):
    save(tmp_path / "work.draggan", work)
    again = open_project(tmp_path / "work.draggan", tools)
    assert [one.title for one in again.results] == ["seed", "smile 1", "points"]
    for ours, theirs in zip(again.results, work.results, strict=True):
        assert (ours.face.picture == theirs.face.picture).all()
    assert not (again.results[0].face.picture == again.shown.picture).all()
    assert not (again.results[1].face.drawn() == again.results[1].face.picture).all()  # it is motion, still
    assert (again.at, again.handles, again.targets) == (work.at, work.handles, work.targets)
    assert (again.region == work.region).all()
    assert again.settings == work.settings
    assert again.shown.subject.seed == 6
    assert again.results[1].face.region.under is again.results[0].face  # they lie over one another as before


def test_an_opened_face_goes_on_the_same(work, tools, tmp_path):
    save(tmp_path / "work.draggan", work)
    ends = []
    for face in (work.shown, open_project(tmp_path / "work.draggan", tools).shown):
        task = PointsTask(face, [[500, 500]], [[515, 500]], None, Settings(max_steps=2))
        for _ in task:
            pass
        ends.append(task.face.picture)
    assert (ends[0] == ends[1]).all()


def test_the_command_line_draws_what_the_app_showed(work, command, tmp_path):
    save(tmp_path / "work.draggan", work)
    code, out, err = command(
        edit_faces, "--project", tmp_path / "work.draggan", "--output", tmp_path / "out", "--device", "cpu"
    )
    assert code == 0, err
    assert "work.png" in out
    assert (np.asarray(Image.open(tmp_path / "out/work.png")) == work.shown.picture).all()
    for path in (tmp_path / "none.draggan", tmp_path / "out/work.png"):
        code, out, err = command(edit_faces, "--project", path, "--output", tmp_path / "out")
        assert code == 2
        assert err.startswith("error: --project: ")
        assert err.count("\n") == 1


def test_a_photo_is_in_the_file(found, cut_out, tools, tmp_path, command):
    """Also its tuned weights; the photo itself need not be there any more."""
    face = found[0].face
    edited = face.with_styles(face.styles + 0.05).reaching(np.ones((64, 64)))
    save(tmp_path / "anna.draggan", Project([Result(face, "photo"), Result(edited, "points")], 1))
    again = open_project(tmp_path / "anna.draggan", tools)
    assert (again.results[0].face.picture == face.picture).all()
    assert (again.shown.picture == edited.picture).all()
    pasted = face.subject.paste(edited)
    assert (again.shown.subject.paste(again.shown) == pasted).all()
    assert not (pasted == cut_out.photo.pixels).all()
    code, _, err = command(
        edit_faces, "--project", tmp_path / "anna.draggan", "--output", tmp_path, "--device", "cpu"
    )
    assert code == 0, err
    assert (np.asarray(Image.open(tmp_path / "anna.png")) == pasted).all()


def changed(path, **changes) -> None:
    """The file with other values in its JSON, or other tensors."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["draggan"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, value in changes.items():
        if isinstance(value, torch.Tensor):
            tensors[name.replace("__", ".")] = value
        else:
            about[name] = value
    save_file(tensors, path, metadata={"draggan": json.dumps(about)})


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "other"},
        {"at": 3},
        {"at": -1},
        {"at": "0"},
        {"results": [{"face": 9, "title": "x"}]},
        {"results": 5},
        {"faces": [{"subject": 0, "under": 0}]},
        {"faces": []},
        {"subjects": [{"model": "mobile-ffhq", "seed": "five", "psi": 0.7}]},
        {"subjects": [{"model": "/etc/passwd", "seed": 1, "psi": 0.7}]},
        {"subjects": [{"model": "mobile-ffhq", "photo": "a.png", "grey": False}]},
        {"handles": [[1.0, float("nan")]], "targets": []},
        {"handles": [[5000.0, 1.0]], "targets": [[1.0, 1.0]]},
        {"handles": [], "targets": [[1.0, 1.0]]},
        {"settings": {"nonsense": 1}},
        {"settings": {"lr": -1}},
        {"face0__styles": torch.full((1, 3, 5), 1.0)},
        {"face1__mask": torch.ones(3, 3)},
        {"region": torch.zeros(4, 4, dtype=torch.uint8)},
    ],
)
def test_a_file_that_does_not_fit_is_refused(work, tools, tmp_path, changes):
    path = tmp_path / "work.draggan"
    save(path, work)
    changed(path, **changes)
    with pytest.raises(ProjectError):
        open_project(path, tools)


def test_other_files_are_refused(tools, tmp_path):
    path = tmp_path / "x.draggan"
    for content in (b"", b"x" * 100, b"\xff" * 8 + b"{}", b"\x80\x04N."):
        path.write_bytes(content)
        with pytest.raises(ProjectError, match="is no saved project"):
            open_project(path, tools)
    save_file({"a": torch.zeros(1)}, path, metadata={"draggan": json.dumps({"kind": FILE_KIND})})
    with pytest.raises(ProjectError, match="its parts do not fit"):
        open_project(path, tools)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "work.draggan")
    with pytest.raises(ProjectError, match="no file"):
        open_project(tmp_path / "work.draggan", None)


def test_a_moved_face_that_the_detector_at_hand_does_not_find_is_drawn(tmp_path, work, generator, blind):
    """A project may have been saved with another detector, or another face may lie in it."""
    save(tmp_path / "a.draggan", work)
    opened = open_project(tmp_path / "a.draggan", lambda model: (generator, blind, None))
    edited = opened.results[1].face
    assert edited.region.by_motion
    assert np.array_equal(edited.picture, edited.drawn())
