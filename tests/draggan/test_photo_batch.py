"""The batch command on photos."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.commandline import run
from draggan import edit_faces, inversion
from draggan.inversion import Inversion, Preset


@pytest.fixture
def command(monkeypatch, capsys):
    """Run edit_faces.py in this process, with a very short inversion: (exit code, stdout, stderr)."""
    monkeypatch.setitem(inversion.PRESETS, "fast", Preset(5, 2))

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edit_faces.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(edit_faces.main)
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return call


def test_a_folder_of_photos(command, photo_path, tmp_path, monkeypatch):
    folder, output, kept = tmp_path / "in", tmp_path / "out", tmp_path / "kept"
    folder.mkdir()
    (folder / "anna.png").write_bytes(photo_path.read_bytes())
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not looked at")
    arguments = (
        "--image",
        folder,
        "--edit",
        "smile",
        "--max-steps",
        4,
        "--output",
        output,
        "--inversions",
        kept,
    )
    code, out, err = command(*arguments)
    assert code == 1
    anna, broken = (json.loads(line) for line in (output / "edits.jsonl").read_text().splitlines())
    assert (anna["id"], anna["edit"]) == ("anna.png", "smile")
    assert anna["inversion_error"] > 0
    assert anna["inversion_seconds"] > 0
    assert anna["inversion_identity"] > 0
    assert 0 < anna["identity_distance"] < 0.6
    assert anna["mouth_width_after"] != anna["mouth_width_before"]
    assert (broken["id"], broken["ok"]) == ("broken.jpg", False)
    assert "broken.jpg is not a picture" in broken["reason"]
    assert "broken.jpg is not a picture" in out
    photo = np.array(Image.open(photo_path))
    with Image.open(output / "anna_before.png") as before, Image.open(output / "anna_after.png") as after:
        assert (np.array(before) == photo).all()
        assert after.size == before.size
        assert after.text["Comment"].startswith("AI-edited")
        assert json.loads(after.text["Edit"])["id"] == "anna.png"
        changed = (np.array(after) != photo).any(axis=2)
    assert 0 < changed.mean() < 0.4
    assert (output / "contact_sheet.png").is_file()
    assert [p.name for p in kept.iterdir()] == ["anna.png.fast.0.safetensors"]

    # Again: skipped; and another edit takes the face that is kept.
    code, out, err = command(*arguments)
    assert code == 1
    assert "already" in err
    monkeypatch.setattr("draggan.photo_batch.PhotoTask", None)
    code, out, err = command(
        *arguments[:2], "--edit", "slim", *arguments[4:6], "--output", tmp_path / "slim", *arguments[8:]
    )
    slim = json.loads((tmp_path / "slim" / "edits.jsonl").read_text().splitlines()[0])
    assert slim["jaw_width_after"] < slim["jaw_width_before"]
    assert "inversion_seconds" not in slim


def test_ctrl_c_in_an_inversion(command, photo_path, tmp_path, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Inversion, "__iter__", interrupted)
    code, out, err = command("--image", photo_path, "--output", tmp_path / "o")
    assert code == 130
    assert not list((tmp_path / "o").glob("*.png"))
    assert (tmp_path / "o" / "edits.jsonl").read_text() == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--image", "nowhere.jpg"], "--image nowhere.jpg: there is no such file or folder"),
        (["--image", "."], "no photos in this folder; known endings: .jpg"),
        (["--image", "{photo}", "--face", "-1"], "0 is the largest face"),
        (["--image", "{photo}", "--inversion", "perfect"], "invalid choice: 'perfect'"),
    ],
)
def test_mistakes(command, tmp_path, monkeypatch, photo_path, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*(a.format(photo=photo_path) for a in arguments), "--output", "o")
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not Path("o").exists()


def test_a_face_that_is_not_there(command, photo_path, tmp_path):
    code, out, err = command("--image", photo_path, "--face", 3, "--output", tmp_path / "o")
    assert code == 1
    assert "anna.png has 1 faces, so there is no --face 3" in out
