"""The batch command on photos."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from common.commandline import UserError, run
from draggan import edit_faces, inversion
from draggan.inversion import Inversion, Preset
from draggan.photo_batch import parse_faces
from draggan.photo_editor import open_saved
from draggan.photos import open_photo


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
    assert slim["identity_distance"] > 0
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


# --- several faces of one photo ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def group_path(generator, tmp_path_factory):
    """Two drawn faces side by side, the left one larger, 900 x 500."""
    canvas = np.full((500, 900, 3), (150, 130, 110), np.uint8)
    for seed, side, left, top in ((6, 480, 5, 10), (0, 400, 490, 60)):
        picture = cv2.resize(
            generator.picture(generator.seed_styles(seed)), (side, side), interpolation=cv2.INTER_AREA
        )
        canvas[top : top + side, left : left + side] = picture
    path = tmp_path_factory.mktemp("group") / "two.png"
    Image.fromarray(canvas).save(path)
    return path


def records_of(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "edits.jsonl").read_text().splitlines()]


def test_everybody_in_a_photo(command, group_path, tmp_path, monkeypatch, generator, detector):
    monkeypatch.setitem(inversion.PRESETS, "fast", Preset(1, 1))
    output = tmp_path / "out"
    arguments = ("--image", group_path, "--edit", "smile", "--instant", "--output", output)
    arguments += ("--inversions", tmp_path / "kept", "--save-latent", "npz")
    code, out, err = command(*arguments, "--face", "all")
    records = records_of(output)
    assert [(r["id"], r["photo"], r["face"], r["faces"]) for r in records] == [
        ("two.png#0", "two.png", 0, 2),
        ("two.png#1", "two.png", 1, 2),
    ]
    assert all(record["identity_distance"] > 0 for record in records)
    names = ["config.json", "contact_sheet.png", "edits.jsonl", "two_0_latent.npz", "two_1_latent.npz"]
    assert sorted(p.name for p in output.iterdir()) == [*names, "two_after.png", "two_before.png"]
    photo = np.array(Image.open(group_path))
    before, after = (np.array(Image.open(output / f"two_{state}.png")) for state in ("before", "after"))
    assert np.array_equal(before, photo)
    changed = (after != photo).any(axis=2)
    assert changed[:, :480].mean() > 0.01  # the changes of the first face are still there
    assert changed[:, 500:].mean() > 0.01
    assert not changed[:, 486:489].any()
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == [
        f"two.png.fast.{n}.safetensors" for n in (0, 1)
    ]

    # What was kept of each face is of the photo as it came, so that another edit takes it.
    kept = open_saved(
        tmp_path / "kept/two.png.fast.1.safetensors", open_photo(group_path), generator, detector
    )
    assert kept.cut_out.face.points[:, 0].min() > 490

    # A run that was killed between two faces begins that photo again.
    lines, again = (output / "edits.jsonl").read_text().splitlines(keepends=True), []
    (output / "edits.jsonl").write_text(lines[0])

    def edit_face(source, identity, part, *others):
        again.append(part)
        return records[len(again) - 1]

    monkeypatch.setattr(edit_faces, "edit_face", edit_face)
    for _ in range(2):
        command(*arguments, "--face", "all")
        assert again == ["two.png#0", "two.png#1"]
        assert (output / "edits.jsonl").read_text() == "".join(lines)


def test_faces_that_are_not_there_are_a_line_each(command, group_path, tmp_path):
    output = tmp_path / "out"
    code, out, err = command("--image", group_path, "--face", "7,9", "--output", output)
    assert code == 1
    assert [(record["id"], record["reason"]) for record in records_of(output)] == [
        ("two.png#7", "two.png has 2 faces, so there is no --face 7"),
        ("two.png#9", "two.png has 2 faces, so there is no --face 9"),
    ]
    assert json.loads((output / "config.json").read_text())["face"] == "7,9"


def test_faces_are_chosen():
    assert parse_faces("0") == (0,)
    assert parse_faces("2, 0,2") == (2, 0)
    assert parse_faces("all") is None
    for wrong in ("-1", "", "one", "0-3", "0,,1"):
        with pytest.raises(UserError, match="0 is the largest face"):
            parse_faces(wrong)
