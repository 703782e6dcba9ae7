"""Edits of one's own: what a TOML file makes, and what is said of one that is wrong."""

import os
import subprocess
import sys

import numpy as np
import pytest

from draggan import edits
from draggan.app.texts import EN, ZH
from draggan.drag import with_settings
from draggan.edit import EditError
from draggan.edit_toml import MORE_EDITS, read_edit, read_folder
from draggan.editor import EditTask, edit_settings
from draggan.edits import EDITS, OWN, plan_edit, share
from draggan.frame import MIRROR, frame

GOOD = """
title = "Narrow mouth"
title_zh = "窄嘴"
signed = true
mirror = true
hold = [33]
[move]
48 = [0.1, 0.02]
[[region]]
about = [48, 54]
size = [0.5, 0.4]
[[region]]
about = [48]
shift = [-0.1, 0.0]
size = [0.2, 0.2]
feather = 0.4
[shows]
distances = [[48, 54]]
measures = ["mouth_width"]
goal = 0.4
[drag]
lr = 0.004
max_steps = 20
"""


def written(folder, text, name="narrow-mouth.toml"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture
def points(faces):
    return np.asarray(faces[0].points, np.float64)


@pytest.fixture
def edit(tmp_path, monkeypatch):
    edit = read_edit(written(tmp_path, GOOD))
    monkeypatch.setitem(EDITS, edit.name, edit)
    return edit


def test_a_file_is_an_edit(edit, points):
    plan, face = plan_edit("narrow-mouth", points, 0.5), frame(points)
    moved = dict(zip(plan.indices, plan.targets - plan.handles, strict=True))
    assert sorted(moved) == [33, 48, 54]
    assert moved[48] == pytest.approx(face.pixels(0.05, 0.01))
    assert moved[54] == pytest.approx(face.pixels(-0.05, 0.01))
    assert moved[33] == pytest.approx((0, 0))
    # The second region has a mirror image, the first is its own.
    centres = [ellipse.centre for ellipse in plan.region]
    assert len(centres) == 3
    assert centres[0] == pytest.approx(points[[48, 54]].mean(axis=0))
    assert centres[1] - points[48] == pytest.approx(face.pixels(-0.1, 0))
    assert centres[2] - points[54] == pytest.approx(face.pixels(0.1, 0))
    assert plan.region[1].half_axes == pytest.approx((0.2 * face.unit, 0.2 * face.unit))
    assert (edit.title, edit.title_zh, edit.signed, edit.goal) == ("Narrow mouth", "窄嘴", True, 0.4)
    assert edit.drag == {"lr": 0.004, "max_steps": 20}


def test_it_shows_what_it_says(edit, points):
    start = points
    plan = plan_edit("narrow-mouth", start)
    now = start.copy()
    assert share("narrow-mouth", plan, start, now) == pytest.approx(0)
    now[list(plan.indices)] += 0.5 * (plan.targets - plan.handles)
    assert share("narrow-mouth", plan, start, now) == pytest.approx(0.5, abs=1e-3)
    now[8] += 20  # elsewhere
    assert share("narrow-mouth", plan, start, now) == pytest.approx(0.5, abs=1e-3)


WRONG = {
    "[move": "no TOML: .*line",
    b"title = '\xff'": "no text in UTF-8",
    GOOD.replace('title = "Narrow mouth"', ""): "title: missing; write a few words",
    GOOD.replace('"Narrow mouth"', "7"): "title: 7 is not a few words",
    GOOD.replace('"Narrow mouth"', '"{no}"'): "title: '{no}' is not a few words",
    GOOD.replace("signed = true", 'signed = "yes"'): "signed: 'yes' is not true or false",
    GOOD.replace("signed", "sined"): "sined: unknown; known here: drag, hold",
    GOOD.replace("48 = [0.1, 0.02]", "68 = [0.1, 0.02]"): "move.68: is no landmark; they are 0 to 67",
    GOOD.replace("48 = [0.1, 0.02]", "lips = [0.1, 0.02]"): "move.lips: is no landmark",
    GOOD.replace("48 = [0.1, 0.02]", ""): "move: nothing is moved",
    GOOD.replace("48 = [0.1, 0.02]", "48 = [0.1]"): r"move.48: \[0.1\] is not \[across, down\]",
    GOOD.replace("48 = [0.1, 0.02]", "48 = [9, 0.02]"): "each from -0.5 to 0.5",
    GOOD.replace("48 = [0.1, 0.02]", "48 = [nan, 0.02]"): "move.48",
    GOOD.replace("48 = [0.1, 0.02]", "8 = [0.1, 0.02]"): "move.8: lies in the middle",
    GOOD.replace("48 = [0.1, 0.02]", "48 = [0.1, 0.0]\n54 = [0.1, 0.0]"): "mirror images; give one of them",
    GOOD.replace("hold = [33]", "hold = [48]"): "hold: 48 is moved, too",
    GOOD.replace("hold = [33]", "hold = [true]"): "hold: .*is not a list of landmarks",
    GOOD[: GOOD.index("[[region]]")]: "region: missing; write one or more tables",
    GOOD.replace("about = [48]", "about = []"): r"region 2.about: \[\] is not a list of landmarks",
    GOOD.replace("size = [0.2, 0.2]", "size = [0.2, 0]"): "region 2.size: .*half axes in face units, above 0",
    GOOD.replace("feather = 0.4", "feather = 4"): "region 2.feather: 4 is not a share",
    GOOD.replace('["mouth_width"]', '["mouth"]'): "shows.measures: .*a list of jaw_width",
    GOOD.replace("[[48, 54]]", "[[48]]"): "shows.distances: .*pairs of landmarks",
    GOOD.replace("[[48, 54]]", "[[31, 35]]"): "neither 31 nor 35 is moved",
    GOOD.replace("goal = 0.4", "goal = 0"): "shows.goal: 0 is not a share",
    GOOD.replace("lr = 0.004", "lr = 1"): "drag.lr: 1 is not a number from 0.0001 to 0.02",
    GOOD.replace("lr = 0.004", "speed = 1"): "drag.speed: unknown; known here: lr, mask_weight, max_steps",
    "#" * 70_000: "more than 64 kB",
    "x = " + "[" * 5000: "no TOML|no text",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=WRONG.values())
def test_a_wrong_file_is_one_line_that_says_where(tmp_path, text):
    path = written(tmp_path, text)
    with pytest.raises(EditError, match=WRONG[text]) as error:
        read_edit(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_folder_with_wrong_files_gives_the_others(tmp_path):
    for name in ("b-good.toml", "a-good.toml", "Bad Name.toml", "smile.toml"):
        written(tmp_path, GOOD, name)
    written(tmp_path, "nothing", "broken.toml")
    written(tmp_path, GOOD, "notes.txt")
    found, problems = read_folder(tmp_path, {"smile"})
    assert list(found) == ["a-good", "b-good"]
    assert [problem[len(f"{tmp_path}/") :].partition(":")[0] for problem in problems] == [
        "Bad Name.toml",
        "broken.toml",
        "smile.toml",
    ]
    assert "there is an edit smile already" in problems[2]
    assert read_folder(tmp_path / "nowhere", ()) == ({}, [])


def test_what_is_left_out_is_said_on_stderr(monkeypatch, capsys):
    monkeypatch.setattr(edits, "PROBLEMS", ["a.toml: wrong", "b.toml: wrong, too"])
    edits.report_problems()
    assert capsys.readouterr().err == "left out: a.toml: wrong\nleft out: b.toml: wrong, too\n"


def test_a_broken_file_stops_nothing(tmp_path):
    """The whole of it, as a command meets it: the folder is read when edits.py is imported."""
    written(tmp_path, GOOD, "mine.toml")
    written(tmp_path, "oh", "broken.toml")
    script = (
        f"import pathlib, draggan.edit_toml as t; t.MORE_EDITS = pathlib.Path({str(tmp_path)!r})\n"
        "from draggan.edits import EDITS, report_problems; report_problems(); print('mine' in EDITS, 'smile' in EDITS)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=MORE_EDITS.parents[1], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "True True\n"
    assert done.stderr.startswith("left out: ")
    assert done.stderr.count("\n") == 1


def test_those_that_ship_are_whole_and_have_both_titles(points):
    assert {"pout", "small-nose"} <= OWN.keys() <= EDITS.keys()
    assert read_folder(MORE_EDITS, ())[1] == []
    for name, edit in OWN.items():
        assert (EN[name], ZH[name]) == (edit.title, edit.title_zh)
        assert any("\u4e00" <= letter <= "\u9fff" for letter in ZH[name])
        plan = plan_edit(name, points)
        assert {int(MIRROR[i]) for i in plan.indices} == set(plan.indices)
        assert plan.mask(1024, 64).any()


@pytest.mark.parametrize("name", ["pout", "small-nose"])
def test_those_that_ship_work(faces, name):
    settings = with_settings(edit_settings(faces[1].subject, [name]), max_steps=16)
    task = EditTask(faces[1], name, settings=settings)
    for _ in task:
        pass
    assert task.result.share > 0.15
    assert np.isfinite(task.face.points).all()


@pytest.mark.parametrize("digits", [400, 5000])
def test_endless_numbers_are_one_line(tmp_path, digits):
    with pytest.raises(EditError) as caught:
        read_edit(written(tmp_path, GOOD.replace("goal = 0.4", f"goal = {'9' * digits}")))
    assert len(str(caught.value)) < 500


def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(EditError, match="no file"):
        read_edit(tmp_path / "pipe.toml")
