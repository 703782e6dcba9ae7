"""The batch command with and without learned directions."""

import json

import pytest

from draggan import edit_faces


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
            ["--instant", "--edit", "small-nose"],
            "has no direction for small-nose; leave --instant away, or",
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
