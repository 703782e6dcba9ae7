"""Files of commit 2522f66 still open: a saved inversion, and a folder of edits.

tests/fixtures/old_faces/README.md says how they were made.
"""

import json
import shutil
from pathlib import Path

import pytest

from draggan import edit_faces

OLD = Path(__file__).resolve().parents[1] / "fixtures/old_faces"


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_saved_inversion_is_the_same_face(command, tmp_path):
    """It is drawn as before: as far from the photo, and its landmarks lie where they lay."""
    code, _, err = command(
        edit_faces,
        *("--edit", "smile", "--image", OLD / "photo.jpg", "--inversions", OLD, "--instant"),
        *("--output", tmp_path / "out", "--device", "cpu"),
    )
    assert code == 0, err
    (old,), (new,) = records(OLD / "photo_edits.jsonl"), records(tmp_path / "out/edits.jsonl")
    assert set(old) <= set(new)
    assert "inversion_seconds" not in new  # it was not inverted again
    for name in old:
        if name.endswith("_before") or name.startswith("inversion_"):
            assert new[name] == pytest.approx(old[name], abs=0.002), name
    assert sorted(path.name for path in OLD.glob("*.safetensors")) == ["photo.jpg.fast.0.safetensors"]


def test_a_folder_of_edits_is_reported_and_goes_on(command, tmp_path):
    folder = tmp_path / "faces"
    shutil.copytree(OLD / "faces", folder)
    code, out, err = command(edit_faces, "--report", "--output", folder)
    assert code == 0, err
    assert "0.35" in out  # the median identity distance of 0.288 and 0.418
    before = records(folder / "edits.jsonl")
    arguments = ("--edit", "smile", "--instant", "--output", folder, "--device", "cpu")
    code, _, err = command(edit_faces, *arguments, "--seeds", "0-2")
    assert code == 0, err
    after = records(folder / "edits.jsonl")
    assert after[:2] == before
    assert [record["id"] for record in after] == [0, 1, 2]
    assert set(before[0]) <= set(after[2])
