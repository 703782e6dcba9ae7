"""The batch command on real faces, its files, and what it says when something is wrong."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import warm
from PIL import Image

from common.commandline import UserError, run
from draggan import edit_faces, edit_files, generators
from draggan.edit_faces import outside_change, parse_edits, parse_seeds, report
from draggan.editor import EditTask
from draggan.face import Subject
from draggan.generators import load_generator
from draggan.landmarks import DlibDetector

SCRIPT = Path(edit_faces.__file__)
ROOT = SCRIPT.parents[1]


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command in this process: (exit code, stdout, stderr)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(edit_faces.main)
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def smiles(tmp_path_factory):
    """The real command, on two seeds, as a user runs it."""
    folder = tmp_path_factory.mktemp("run") / "smile"
    arguments = [sys.executable, str(SCRIPT), "--edit", "smile", "--seeds", "0-1", "--output", str(folder)]
    ended = warm.run(arguments, cwd=folder.parent, timeout=600)
    return folder, ended


def test_two_real_faces_smile(smiles):
    folder, ended = smiles
    assert ended.returncode == 0, ended.stderr
    assert "landmarks by" in ended.stderr  # says which detector it took
    records = [json.loads(line) for line in (folder / "edits.jsonl").read_text().splitlines()]
    assert [r["id"] for r in records] == [0, 1]
    for record in records:
        assert record["ok"]
        assert record["edit"] == "smile"
        assert record["strength"] == 1.0
        assert record["mouth_width_after"] >= 1.1 * record["mouth_width_before"]
        assert record["mouth_lift_after"] - record["mouth_lift_before"] >= 0.02
        assert 0 < record["identity_distance"] < 0.6
        assert 0 <= record["outside_change"] < 0.03
        assert record["seconds"] > 0
        assert record["mean_distance_px"] > 0
        assert record["landmark_distance_px"] > 0
    # What the pictures show, not what the command says: found again in the files by another detector object.
    for record in records:
        before, after = (
            np.array(Image.open(folder / f"{record['id']:04d}_{state}.png")) for state in ("before", "after")
        )
        assert before.shape == after.shape == (1024, 1024, 3)
        (face,), (smiling,) = DlibDetector().detect(before), DlibDetector().detect(after)
        widths = [
            np.linalg.norm(p[54] - p[48]) / np.linalg.norm(p[45] - p[36])
            for p in (face.points, smiling.points)
        ]
        assert widths[1] >= 1.1 * widths[0]
        assert np.abs(before[:200].astype(int) - after[:200]).mean() / 255 < 0.03  # hair and background stay
    note = Image.open(folder / "0001_after.png").text
    assert note["Comment"].startswith("AI-made")
    assert json.loads(note["Edit"])["id"] == 1
    sheet = Image.open(folder / "contact_sheet.png")
    assert sheet.width > 2 * 2 * 200
    assert "success" in ended.stdout
    assert "2 (100%)" in ended.stdout


def test_the_same_command_again_skips_what_is_done(smiles, command, monkeypatch):
    folder, _ = smiles
    stamps = {p.name: p.stat().st_mtime_ns for p in folder.glob("*_after.png")}
    monkeypatch.setattr(edit_faces, "load_generator", None)  # not even the model is loaded
    code, out, err = command("--edit", "smile", "--seeds", "0-1", "--output", folder)
    assert code == 0
    assert "already" in err
    assert {p.name: p.stat().st_mtime_ns for p in folder.glob("*_after.png")} == stamps
    code, out, err = command("--report", "--output", f"{folder},{folder}")
    assert code == 0
    assert out.count("2 (100%)") >= 2  # a column each
    code, out, err = command("--edit", "slim", "--seeds", "0-1", "--output", folder)
    assert code == 2
    assert "other settings (edit 'smile' there, 'slim' now)" in err


def test_a_line_that_was_cut_off_is_done_again(smiles, tmp_path):
    folder, _ = smiles
    lines = (folder / "edits.jsonl").read_text().splitlines()
    (tmp_path / "edits.jsonl").write_text(lines[0] + "\n" + lines[1][:50])
    assert [r["id"] for r in edit_files.read_records(tmp_path)] == [0]
    (tmp_path / "edits.jsonl").write_text(lines[0][:50] + "\n" + lines[1])
    with pytest.raises(UserError, match="line 1 is broken"):
        edit_files.read_records(tmp_path)


def test_a_failed_face_is_reported_and_stops_nothing(command, tmp_path, monkeypatch):
    detect = Subject.detect
    monkeypatch.setattr(Subject, "detect", lambda self, picture: self.seed != 3 and detect(self, picture))
    arguments = ("--edit", "slim,big-eyes", "--seeds", "3,0", "--max-steps", 4, "--output", tmp_path / "o")
    code, out, err = command(*arguments)
    assert code == 1
    failed, other = (json.loads(line) for line in (tmp_path / "o" / "edits.jsonl").read_text().splitlines())
    assert (failed["id"], failed["ok"]) == (3, False)
    assert "no face found" in failed["reason"]
    assert f"{tmp_path / 'o'} 3: no face found" in out
    assert (other["id"], other["edit"], other["strength"]) == (0, "slim,big-eyes", [1.0, 1.0])
    assert other["steps"] <= 8
    assert (tmp_path / "o" / "0000_after.png").is_file()
    assert not (tmp_path / "o" / "0003_after.png").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--edit", "wink"], "unknown edit 'wink'; known: slim, smile"),
        (["--edit", "smile", "--strength", "3"], "strength of smile must be in -2 to 2, got 3"),
        (["--strength", "much"], "--strength much: not a number"),
        (["--edit", "smile,slim", "--strength", "1,1,1"], "one for each of 2 edits"),
        (["--seeds", "5-2"], "'5-2' must go upward"),
        (["--seeds", "a"], "'a' is no seed or range"),
        (["--seeds", "4294967296"], "at most 4294967295"),
        (["--psi", "9"], "the truncation is 0 to 2"),
        (["--max-steps", "0"], "at least 1"),
        (["--model", "elsa"], "elsa"),
        (["--landmarks", "magic"], "invalid choice: 'magic'"),
        (["--report", "--output", "nothing-here"], "no edits.jsonl"),
        (["--output", "/proc/nothing"], "cannot be used"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(command, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    if "--output" not in arguments:
        arguments = [*arguments, "--output", "o"]
    code, out, err = command(*arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert says in err
    assert not list(tmp_path.glob("o/*.png"))


def test_a_folder_with_other_things_is_left_alone(command, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    code, _, err = command("--output", tmp_path)
    assert code == 2
    assert "is not empty" in err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_broken_model_file_is_said(command, tmp_path, monkeypatch):
    (tmp_path / "mobile-ffhq.safetensors").write_bytes(b"half")
    monkeypatch.setattr(generators, "CHECKPOINTS", tmp_path)
    code, _, err = command("--seeds", "0", "--output", tmp_path / "o")
    assert code == 2
    assert "broken" in err or "not there" in err
    assert err.count("\n") == 1


def test_a_lost_face_never_becomes_the_result():
    generator = load_generator()
    start = Subject(generator, DlibDetector(), seed=0).face()
    assert len(start.points) == 68

    class Blind:
        name = "blind"

        def detect(self, image):
            return []

    start.subject.detector = Blind()
    task = EditTask(start, "smile")
    assert len(list(task)) >= 1
    assert task.result.face is start
    assert task.face is start
    assert not task.result.ok
    assert "the face was lost" in task.result.reason


def test_an_edit_left_early_keeps_its_state():
    generator = load_generator()
    task = EditTask(Subject(generator, DlibDetector(), seed=1).face(), "slim")
    for progress in task:
        if progress.face is not None:
            break
    assert task.result.face.picture.shape == (1024, 1024, 3)
    assert task.result.steps <= progress.step


def test_small_functions():
    assert parse_seeds("0-3, 7,2") == [0, 1, 2, 3, 7]
    assert parse_edits("smile, slim", "1,-0.5") == [("smile", 1.0), ("slim", -0.5)]
    before, after = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    after[0], after[3] = 51, 255
    free = np.zeros((4, 4))
    free[3] = 1
    assert outside_change(before, after, free) == pytest.approx(0.2 / 3)
    assert outside_change(before, after, np.ones((4, 4))) == 0


def test_the_report_counts_right(tmp_path):
    base = {"edit": "slim", "strength": 1.0, "reason": "", "steps": 10, "outside_change": 0.01}
    records = [
        base | {"id": 0, "ok": True, "seconds": 1.0, "identity_distance": 0.2},
        base | {"id": 1, "ok": True, "seconds": 3.0, "identity_distance": 0.5},  # beyond the limit of 0.40
        base | {"id": 2, "ok": True, "seconds": 2.0, "identity_distance": 0.3},
        {"id": 3, "edit": "slim", "ok": False, "reason": "no face found", "seconds": 9.0, "steps": 0},
    ]
    (tmp_path / "edits.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    rows = dict(line.rsplit("  ", 1) for line in report([tmp_path]).splitlines()[:10])
    rows = {name.strip(): value.strip() for name, value in rows.items()}
    assert rows["faces"] == "4"
    assert rows["success"] == "3 (75%)"
    assert rows["... within the limits"] == "2 (50%)"
    assert rows["identity distance"] == "0.300"
    assert rows["seconds"] == "2.500"
    assert f"{tmp_path} 3: no face found" in report([tmp_path])


@pytest.mark.parametrize("text", [b"[1]", b"[" * 100_000, b"\xff\xfe"])
def test_settings_that_are_none_are_one_line(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(UserError, match="is broken"):
        edit_files.open_output(tmp_path, {})


@pytest.mark.parametrize("line", [b"5", b'{"id": 1}', b"\xff", b"[" * 100_000])
def test_lines_that_are_no_records_are_named(tmp_path, line):
    (tmp_path / "edits.jsonl").write_bytes(line + b"\n{}\n")
    with pytest.raises(UserError, match="line 1 is broken"):
        report([tmp_path])


def test_a_run_that_cannot_begin_leaves_nothing(tmp_path):
    kept = tmp_path / "kept"
    edit_files.open_output(kept, {})
    edit_files.append_record(kept, {"id": 1})
    edit_files.leave_nothing(kept)
    assert (kept / "config.json").is_file()
    edit_files.open_output(tmp_path / "new", {})
    edit_files.leave_nothing(tmp_path / "new")
    assert not (tmp_path / "new").exists()
