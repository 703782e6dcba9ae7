"""Learned directions, the region they are drawn in, sliders, and what learns them."""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from common.commandline import UserError, parse_seeds, run
from draggan import edit_faces, generators, learn_directions
from draggan.editor import EditRun, FaceEditor
from draggan.edits import EDITS, measures, plan_edit, plan_edits, reached, share
from draggan.generators import (
    Direction,
    Directions,
    ModelError,
    RegionGenerator,
    load_directions,
    load_generator,
    save_directions,
)
from draggan.generators.directions import SHIPPED, read_directions
from draggan.generators.stylegan2 import Config, random_generator
from draggan.instant import Sliders
from draggan.landmarks import DlibDetector

ALL = {"smile": 1.0, "slim": 0.5, "close-eyes": 0.7}


@pytest.fixture(scope="module")
def generator():
    return load_generator()


@pytest.fixture(scope="module")
def editor(generator):
    return FaceEditor(generator, DlibDetector(), load_directions(generator))


@pytest.fixture(scope="module")
def faces(editor):
    return [editor.look(editor.generator.seed_styles(seed)) for seed in (0, 5)]


@pytest.fixture(scope="module")
def sliders(editor, faces):
    return Sliders(editor, faces[0])


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a script in this process: (exit code, stdout, stderr)."""

    def call(script, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [script.__file__, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(script.main)
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return call


# --- the region -----------------------------------------------------------------------------------------------

CONFIGS = {
    "skip": Config(128, (16, 16, 16, 12, 12, 8), (20, 20, 28)),
    "resnet": Config(128, (16, 16, 16, 12, 12, 8), (20, 20, 28), "resnet"),
    "half width": Config(128, (16, 16, 16, 12, 12, 8), (20, 20, 28), half_width=True),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_region_is_drawn_by_the_other_styles_and_only_it(kind):
    generator = random_generator(CONFIGS[kind])
    a, b = generator.seed_styles(0), generator.seed_styles(1)
    b[:, generator.free_rows :] = a[:, generator.free_rows :]
    nothing, everything, right = np.zeros((128, 128)), np.ones((128, 128)), np.zeros((128, 128))
    right[:, 64:] = 1
    before, after = generator.picture(a).astype(int), generator.picture(b).astype(int)
    assert np.abs(before - after).mean() > 2  # so that the rest can fail
    with torch.no_grad():
        for mask, expected in ((nothing, before), (everything, after)):
            canvas = RegionGenerator.over(generator, a, mask)
            assert np.abs(canvas.picture(b) - expected).max() <= 1
            plain = generator.features(a if expected is before else b, 64)
            torch.testing.assert_close(canvas.features(b, 64), plain, atol=1e-4, rtol=1e-4)
        canvas = RegionGenerator.over(generator, a, right)
        mixed = canvas.picture(b)
        assert np.abs(mixed[:, :50] - before[:, :50]).max() <= 1
        assert np.abs(mixed[:, 78:] - after[:, 78:]).mean() < 0.2 * np.abs(before - after)[:, 78:].mean() + 1
        # A region over a region keeps what the first one drew.
        left = right[:, ::-1]
        both = RegionGenerator.over(canvas, b, left).picture(a)
        assert np.abs(both - mixed)[:, 78:].max() <= 1


def test_features_and_image_go_on_from_a_partial_synthesis(generator):
    styles = generator.seed_styles(0)
    with torch.no_grad():
        half = generator.partial(styles, 64)
        torch.testing.assert_close(generator.features(styles, 128, half), generator.features(styles, 128))
        torch.testing.assert_close(generator.image(styles, half), generator.image(styles))
        with pytest.raises(ValueError, match="back to 32"):
            generator.features(styles, 32, half)
    assert generator.picture(styles, size=256).shape == (256, 256, 3)


def test_the_gradient_of_a_region_comes_from_inside():
    generator = random_generator(CONFIGS["skip"])
    styles = generator.seed_styles(0).requires_grad_()
    canvas = RegionGenerator.over(generator, styles, np.zeros((128, 128)))
    assert torch.autograd.grad(canvas.features(styles, 128).sum(), styles)[0][:, :6].abs().max() == 0
    canvas = RegionGenerator.over(generator, styles, np.ones((128, 128)))
    assert torch.autograd.grad(canvas.features(styles, 128).sum(), styles)[0][:, :6].abs().max() > 0


# --- plans ----------------------------------------------------------------------------------------------------


def test_a_plan_of_several_edits_is_their_sum_in_any_order(faces):
    points = faces[0].points
    plan = plan_edits(ALL, points)
    again = plan_edits(dict(reversed(ALL.items())), points)
    np.testing.assert_array_equal(plan.targets, again.targets)
    at = dict(zip(plan.indices, plan.targets, strict=True))
    smile = plan_edit("smile", points, 1.0)
    for index, target in zip(smile.indices, smile.targets, strict=True):
        if index not in plan_edit("slim", points, 0.5).indices:
            np.testing.assert_allclose(at[index], target)
    assert len(plan.region) == 4
    soft, hard = plan.mask(1024, 128, soft=True), plan.mask(1024, 128)
    assert (soft <= hard).all()
    assert 0.3 < soft.sum() / hard.sum() < 0.95
    wanted = points.astype(float)
    wanted[list(smile.indices)] = smile.targets
    assert share("smile", smile, points, points) == 0
    assert share("smile", smile, points, wanted) == pytest.approx(1)


# --- sliders --------------------------------------------------------------------------------------------------


def test_the_shipped_directions_show_the_edits_without_a_drag(editor, faces):
    shown = {name: 0 for name in EDITS if name in editor.directions}
    assert list(shown) == ["slim", "smile", "close-eyes"]
    for face in faces:
        sliders = Sliders(editor, face)
        for name in shown:
            edited = sliders.look({name: 1.0})
            shown[name] += bool(reached(name, face.measures, edited.measures))
            fixed = plan_edit(name, face.points).mask(1024, 1024) == 0
            change = np.abs(edited.picture.astype(int) - face.picture)[fixed]
            assert change.mean() / 255 < 0.005  # the region is kept
            assert np.quantile(change, 0.99) <= 8
    assert shown == dict.fromkeys(shown, len(faces))


def test_sliders_combine_in_any_order(editor, faces, sliders):
    a = sliders.look(ALL)
    b = Sliders(editor, faces[0]).look(dict(reversed(ALL.items())))
    np.testing.assert_array_equal(a.picture, b.picture)
    np.testing.assert_array_equal(sliders.picture({}), faces[0].picture)
    np.testing.assert_array_equal(sliders.picture({"smile": 0.0}), faces[0].picture)


def test_three_edits_at_once_show_all_of_them(editor, faces):
    """On one face the directions do it alone, on the other the drag has to help."""
    all_three = dict.fromkeys(ALL, 1.0)
    for face, by_drag in zip(faces, (True, False), strict=True):
        edit_run = EditRun(editor, face, all_three)
        for _ in edit_run:
            pass
        found = edit_run.result
        assert found.ok
        assert (found.steps > 0) == by_drag
        for name in all_three:
            assert reached(name, face.measures, found.face.measures), name


@pytest.mark.parametrize("moved", ["smile", "close-eyes"])
def test_a_moving_slider_makes_no_jump(sliders, moved):
    others = {"slim": 1.0} if moved == "close-eyes" else {}
    frames = [sliders.picture({moved: s, **others}, size=256).astype(int) for s in np.linspace(0, 1, 17)]
    jumps = [np.abs(b - a).mean() for a, b in itertools.pairwise(frames)]
    assert max(jumps) <= 3 * np.median(jumps)
    assert sum(jumps) > 0.2  # it moves


def test_an_edit_on_an_edited_face_keeps_the_first(editor, sliders):
    smiling = sliders.look({"smile": 1.0})
    np.testing.assert_array_equal(Sliders(editor, smiling).picture({}), smiling.picture)
    blind = Sliders(editor, smiling).look({"close-eyes": 1.0})
    mouth = smiling.points[48:68].astype(int)
    (x0, y0), (x1, y1) = mouth.min(axis=0), mouth.max(axis=0)
    assert np.abs(blind.picture[y0:y1, x0:x1].astype(int) - smiling.picture[y0:y1, x0:x1]).mean() < 1.5


# --- direction, then drag -------------------------------------------------------------------------------------


def test_a_run_begins_with_the_direction_and_drags_from_there(editor, faces):
    edit_run = EditRun(editor, faces[1], {"smile": 1.0, "slim": 1.0}, goal=0.8)
    steps = []
    for progress in edit_run:
        steps.append(progress.step.number)
        if progress.step.number == 2:
            break
    assert steps == [0, 1, 2]
    assert edit_run.share(edit_run.result.face.points) > 0.3
    assert isinstance(edit_run.result.face.generator, RegionGenerator)
    alone = EditRun(editor, faces[1], "smile", instant=True)
    assert [progress.step.number for progress in alone] == [0]
    assert alone.result.ok
    assert alone.result.steps == 0


@pytest.mark.parametrize("name", ["smile", "close-eyes"])
def test_a_drag_goes_on_from_the_direction_only_where_that_is_good_for_the_edit(editor, faces, name):
    edit_run = EditRun(editor, faces[0], name, goal=0.95)
    steps = iter(edit_run)
    instant, first = next(steps), next(steps)
    assert (instant.step.number, first.step.number) == (0, 1)
    assert instant.share < 0.95
    assert isinstance(edit_run.generator, RegionGenerator) == EDITS[name].drag_on
    handles = faces[0].points if name == "close-eyes" else instant.face.points
    away = np.linalg.norm(first.step.points - handles[list(edit_run.plan.indices)], axis=1)
    assert np.median(away) < 6  # one step from there


def test_what_is_nearly_there_is_done_where_its_measures_show_it(editor, faces, monkeypatch):
    start = faces[0].points
    edit_run = EditRun(editor, faces[0], "slim")
    narrow = np.array(start, float)  # the jaw on the way to the plan's targets
    narrow[list(edit_run.plan.indices)] += 0.42 * (edit_run.plan.targets - edit_run.plan.handles)
    goal = EDITS["slim"].goal
    assert goal - 0.12 < edit_run.share(narrow) < goal
    assert reached("slim", measures(start), measures(narrow))
    assert edit_run._done(narrow)
    assert not EditRun(editor, faces[0], "slim", strength=1.5)._done(
        narrow
    )  # which wants more than the measures
    assert not EditRun(editor, faces[0], "slim", goal=goal)._done(narrow)
    monkeypatch.setattr("draggan.editor.reached", lambda *_: False)
    assert not edit_run._done(narrow)


@pytest.mark.parametrize("kind", ["none", "for another edit", "without effect"])
def test_without_a_direction_that_helps_the_drag_does_it_all(editor, faces, kind):
    generator = editor.generator
    still = Direction(torch.zeros(13, 512))
    directions = {
        "none": None,
        "for another edit": Directions({"slim": editor.directions.edits["slim"]}, generator.mean_w),
        "without effect": Directions({"smile": still}, generator.mean_w),
    }[kind]
    edit_run = EditRun(FaceEditor(generator, editor.detector, directions), faces[0], "smile")
    first = next(iter(edit_run))
    assert first.step.number == 1
    assert edit_run.generator is generator


# --- the file -------------------------------------------------------------------------------------------------


def test_a_file_comes_back_as_it_was(generator, tmp_path):
    direction = Direction(torch.randn(13, 512), torch.randn(2, 13, 512), torch.randn(2, 512))
    save_directions(tmp_path / "d", Directions({"smile": direction}, generator.mean_w, {"seeds": "1000"}))
    found = read_directions(tmp_path / "d", generator)
    assert found.made == {"seeds": "1000"}
    styles = generator.seed_styles(3)
    expected = direction.mean + torch.einsum(
        "k,krw->rw", direction.coefficients @ (styles[0, 0] - generator.mean_w), direction.components
    )
    change = found.change("smile", styles)
    torch.testing.assert_close(change[0, :13], expected)
    assert change[0, 13:].abs().max() == 0


def test_the_shipped_file_is_small_and_says_how_it_was_made(generator):
    path = SHIPPED / "mobile-ffhq-directions.safetensors"
    assert path.stat().st_size < 2e6
    made = load_directions(generator).made
    assert made["model"] == "mobile-ffhq"
    assert min(parse_seeds(made["seeds"])) >= 1000  # those below are for judging


def test_broken_and_foreign_files_are_refused_in_one_line(generator, command, tmp_path, monkeypatch):
    foreign = Directions({"smile": Direction(torch.zeros(13, 512))}, torch.ones(512))
    short = Directions({"smile": Direction(torch.zeros(13, 64))}, generator.mean_w)
    wide = Directions({"smile": Direction(torch.zeros(99, 512))}, generator.mean_w)
    for name, directions in (("foreign", foreign), ("short", short), ("wide", wide)):
        save_directions(tmp_path / name, directions)
        with pytest.raises(ModelError, match="another generator"):
            read_directions(tmp_path / name, generator)
    save_file({"x": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(ModelError, match="no directions"):
        read_directions(tmp_path / "other", generator)

    monkeypatch.setattr(edit_faces, "load_generator", lambda *_: generator)
    monkeypatch.setattr(generators, "CHECKPOINTS", tmp_path)
    broken = tmp_path / "mobile-ffhq-directions.safetensors"
    broken.write_bytes((SHIPPED / broken.name).read_bytes()[:1000])
    code, _, err = command(edit_faces, "--seeds", "0", "--output", tmp_path / "o")
    assert code == 2
    assert err.count("\n") == 1
    assert f"{broken} is broken" in err
    assert "learn_directions.py" in err


# --- the commands ---------------------------------------------------------------------------------------------


def test_the_command_with_the_direction_alone(command, tmp_path):
    output = tmp_path / "o"
    code, out, err = command(
        edit_faces, "--edit", "smile,close-eyes", "--seeds", "0", "--instant", "--output", output
    )
    assert code == 0, out + err
    (record,) = [json.loads(line) for line in (output / "edits.jsonl").read_text().splitlines()]
    assert (record["ok"], record["steps"]) == (True, 0)
    assert record["mean_distance_px"] == record["landmark_distance_px"] > 0
    assert record["outside_change"] < 0.005
    assert record["mouth_width_after"] >= 1.1 * record["mouth_width_before"]
    assert record["eye_opening_after"] <= 0.6 * record["eye_opening_before"]
    code, _, err = command(edit_faces, "--edit", "smile,close-eyes", "--seeds", "0", "--output", output)
    assert code == 2
    assert "instant True there, False now" in err


def test_the_command_without_the_direction(command, tmp_path):
    arguments = ("--edit", "slim", "--seeds", "0", "--no-direction", "--max-steps", 2, "--output")
    code, _, err = command(edit_faces, *arguments, tmp_path / "o")
    assert code in (0, 1), err
    record = json.loads((tmp_path / "o" / "edits.jsonl").read_text())
    assert record["steps"] == 2
    assert json.loads((tmp_path / "o" / "config.json").read_text())["direction"] is False


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--instant", "--no-direction"], "give one of them"),
        (
            ["--instant", "--edit", "raise-brows"],
            "has no direction for raise-brows; leave --instant away, or",
        ),
        (["--edit", "smile,smile"], "each edit once"),
    ],
)
def test_mistakes_are_one_line(command, tmp_path, arguments, says):
    code, _, err = command(edit_faces, "--seeds", "0", "--output", tmp_path / "o", *arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert says in err


# --- learning -------------------------------------------------------------------------------------------------


def test_fit_finds_what_changes_have_in_common():
    random = torch.Generator().manual_seed(0)
    mean, tilt, axis = (torch.randn(n, generator=random) for n in (40, 40, 8))
    faces = torch.randn(48, 8, generator=random)
    noise = 0.3 * torch.randn(48, 40, generator=random)
    direction, text = learn_directions.fit((mean + noise).reshape(48, 4, 10), faces)
    assert direction.components is None
    assert "the mean" in text
    assert torch.cosine_similarity(direction.mean.flatten(), mean, dim=0) > 0.99

    changes = mean + (faces @ axis)[:, None] * tilt + noise
    direction, text = learn_directions.fit(changes.reshape(48, 4, 10), faces)
    assert direction.components is not None
    unseen = torch.randn(8, generator=random)
    guess = direction.change(unseen, 4).flatten()
    assert torch.cosine_similarity(guess, mean + (unseen @ axis) * tilt, dim=0) > 0.95


def test_the_look_to_learn_from_is_the_farthest_good_one():
    drag = {
        "reached": np.array([0, 1, 1, 1.0]),
        "identity": np.array([0.1, 0.2, 0.35, 0.5]),
        "shares": np.array([0.2, 0.5, 0.6, 0.7]),
    }
    assert learn_directions.chosen_look(drag, "slim") == 2  # the last one is no longer the same person
    assert learn_directions.chosen_look(drag | {"reached": np.zeros(4)}, "slim") is None
    assert learn_directions.chosen_look({k: v[:0] for k, v in drag.items()}, "slim") is None


def test_learning_goes_on_and_makes_a_file_that_works(editor, command, tmp_path, monkeypatch):
    monkeypatch.setattr(learn_directions, "TRIED_ON", 2)
    known, mean_w = editor.directions.edits["smile"].mean, editor.generator.mean_w
    options = ["--edits", "smile", "--seeds", "1000-1004", "--work", tmp_path, "--output", tmp_path / "d"]
    options += ["--max-steps", 9, "--landmarks", "dlib"]
    random = np.random.RandomState(0)
    made = learn_directions._made(learn_directions.Options(max_steps=9, landmarks="dlib"))
    for seed in range(1001, 1005):  # as if dragged before; the first is dragged now
        noise = 0.3 * known.std().item() * random.randn(2, *known.shape)
        drag = {
            "changes": (np.array([0.3, 0.6])[:, None, None] * (known.numpy() + noise)).astype(np.float32),
            "shares": np.array([0.3, 0.6]),
            "identity": np.array([0.1, 0.2]),
            "outside": np.zeros(2),
            "reached": np.array([0.0, 1.0]),
            "w": editor.generator.seed_styles(seed)[0, 0].numpy(),
            "made": np.array(made),
        }
        path = tmp_path / "mobile-ffhq" / f"smile_{seed}.npz"
        path.parent.mkdir(exist_ok=True)
        learn_directions.write_npz(path, drag)
    code, out, err = command(learn_directions, *options, "--max-minutes", 0)
    assert code == 0
    assert "goes on" in err
    assert not (tmp_path / "d").exists()
    code, out, err = command(learn_directions, *options)
    assert code == 0, err
    with np.load(tmp_path / "mobile-ffhq" / "smile_1000.npz") as file:
        assert len(file["changes"]) >= 1
        assert file["changes"].shape[1:] == (13, 512)
    learned = read_directions(tmp_path / "d", editor.generator)
    found = learned.edits["smile"].mean
    assert torch.cosine_similarity(found.flatten(), known.flatten(), dim=0) > 0.9
    assert learned.made["drags"] == {"smile": 4}  # nine steps are too few for the one dragged here
    torch.testing.assert_close(learned.mean_w, mean_w)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--edits", "wink"], "unknown edit 'wink'"),
        (["--psi", "0"], "above 0"),
        (["--model", "elsa"], "elsa"),
        (["--seeds", "7-3"], "must go upward"),
    ],
)
def test_learning_says_mistakes_in_one_line(command, tmp_path, arguments, says):
    code, _, err = command(learn_directions, "--work", tmp_path, *arguments)
    assert code == 2
    assert err.count("\n") == 1
    assert says in err


def test_too_few_good_drags_are_said(editor, tmp_path, monkeypatch):
    options = learn_directions.Options(landmarks="dlib")
    nothing = {k: np.zeros(0) for k in ("reached", "identity", "shares")}
    monkeypatch.setattr(learn_directions, "read_drag", lambda *_: nothing)
    with pytest.raises(UserError, match="only 0 of 1 drags succeeded"):
        learn_directions.learn(editor, [1000], ["smile"], options, Path(tmp_path))
