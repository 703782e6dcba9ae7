"""What learns the directions: the fit, what it learns from, and the command."""

from pathlib import Path

import numpy as np
import pytest
import torch

from common.commandline import UserError
from draggan import learn_directions
from draggan.generators.directions import read_directions


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


def test_learning_goes_on_and_makes_a_file_that_works(generator, directions, command, tmp_path, monkeypatch):
    monkeypatch.setattr(learn_directions, "TRIED_ON", 2)
    known, mean_w = directions.edits["smile"].mean, generator.mean_w
    options = ["--edits", "smile", "--seeds", "1000-1004", "--work", tmp_path, "--output", tmp_path / "d"]
    options += ["--max-steps", 3, "--landmarks", "dlib"]
    random = np.random.RandomState(0)
    made = learn_directions._made(learn_directions.Options(max_steps=3, landmarks="dlib"))
    for seed in range(1001, 1005):  # as if dragged before; the first is dragged now
        noise = 0.3 * known.std().item() * random.randn(2, *known.shape)
        drag = {
            "changes": (np.array([0.3, 0.6])[:, None, None] * (known.numpy() + noise)).astype(np.float32),
            "shares": np.array([0.3, 0.6]),
            "identity": np.array([0.1, 0.2]),
            "outside": np.zeros(2),
            "reached": np.array([0.0, 1.0]),
            "w": generator.seed_styles(seed)[0, 0].numpy(),
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
    learned = read_directions(tmp_path / "d", generator)
    found = learned.edits["smile"].mean
    assert torch.cosine_similarity(found.flatten(), known.flatten(), dim=0) > 0.9
    assert learned.made["drags"] == {"smile": 4}  # three steps are too few for the one dragged here
    torch.testing.assert_close(learned.mean_w, mean_w)
    kept = set(directions.edits) - {"smile"}  # what was known of other edits stays
    assert kept
    assert set(learned.made["kept"]) == kept
    for name in kept:
        torch.testing.assert_close(learned.edits[name].mean, directions.edits[name].mean)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--edits", "wink"], "unknown edit 'wink'"),
        (["--edits", "wink-left"], "direction of close-eyes"),
        (["--psi", "0"], "above 0"),
        (["--model", "elsa"], "elsa"),
        (["--seeds", "7-3"], "must go upward"),
        (["--max-steps", "-1"], "--max-steps -1: at least 1"),
        (["--max-minutes", "nan"], "--max-minutes nan: at least 0"),
        (["--work", __file__], "cannot be used"),
    ],
)
def test_learning_says_mistakes_in_one_line(command, tmp_path, arguments, says):
    code, _, err = command(learn_directions, "--work", tmp_path, *arguments)
    assert code == 2
    assert err.count("\n") == 1
    assert says in err


def test_too_few_good_drags_are_said(generator, detector, tmp_path, monkeypatch):
    options = learn_directions.Options(landmarks="dlib")
    nothing = {k: np.zeros(0) for k in ("reached", "identity", "shares")}
    monkeypatch.setattr(learn_directions, "read_drag", lambda *_: nothing)
    with pytest.raises(UserError, match="only 0 of 1 drags succeeded"):
        learn_directions.learn((generator, detector), [1000], ["smile"], options, Path(tmp_path))
