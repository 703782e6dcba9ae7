"""compare_runs.py: folders become data, the table, and errors; the page itself is tested in test_compare_page.py."""

import base64
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from comparison_data import COLOURS, make_edits, make_grid, make_run
from PIL import Image
from segmentation_data import ROOT, SMALL, command, error_of, make_pairs

import compare_runs
from comparison import pictures
from comparison.edits import read_edits
from comparison.runs import (
    Run,
    best_marks,
    differing,
    group,
    ranges,
    read_log,
    read_run,
    status_of,
    unique_names,
)


def compare(*arguments, **options):
    return command(*arguments, script="compare_runs.py", **options)


# --- reading ----------------------------------------------------------------------------------------------


def test_log_with_broken_repeated_and_missing_lines():
    rows, notes = read_log(
        "epoch=1 val_l1=0.2\nepoch=2 val_l1=0.1 val_miou=nan\nrubbish\nepoch=x\n\n"
        "epoch=5 val_l1=0.3\nepoch=5 val_l1=0.4\n"
    )
    assert [row["epoch"] for row in rows] == [1, 2, 5]
    assert rows[1]["val_miou"] is None
    assert rows[2]["val_l1"] == 0.4
    assert notes == [
        "training_log.txt: lines 3, 4 are broken and left out",
        "training_log.txt: epochs 5 occur twice; the later line counts",
        "epochs 3-4 are missing from its log",
    ]


def test_empty_log_and_one_without_validation():
    assert read_log("") == ([], ["no epoch is logged yet"])
    assert read_log("epoch=1 train_l1=0.1\n")[1] == ["it was never validated"]


def test_best_epoch_is_the_first_best_by_miou_else_by_l1():
    rows, _ = read_log(
        "epoch=1 val_l1=0.3 val_miou=0.5\nepoch=2 val_l1=0.1 val_miou=0.5\nepoch=3 val_l1=0.2 val_miou=0.4\n"
    )
    assert Run(Path("a"), rows=rows).best["epoch"] == 1
    rows, _ = read_log("epoch=1 val_l1=0.3\nepoch=2 val_l1=0.1\nepoch=3\n")
    assert Run(Path("a"), rows=rows).best["epoch"] == 2
    assert Run(Path("a")).best is None


@pytest.mark.parametrize(
    ("written", "age", "status"),
    [
        ({"status": "failed", "reason": "the loss is nan"}, 0, "failed"),
        ({"status": "running", "host": "elsewhere"}, 10, "running"),
        ({"status": "running", "host": "elsewhere"}, 1000, "stopped"),
        ({"status": "running", "host": None, "pid": os.getpid()}, 1000, "running"),
        ({"status": "running", "host": None, "pid": 2**22 + 1}, 0, "stopped"),  # above Linux's largest pid
        (None, 10, "running"),  # a run of before status.json was written
        (None, 1000, "stopped"),
    ],
)
def test_status(tmp_path, monkeypatch, written, age, status):
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    run = read_run(make_run(tmp_path / "run", status=None))
    run.options["epochs"] = 100
    if written:
        written = {k: "here" if k == "host" and v is None else v for k, v in written.items()}
        (run.path / "status.json").write_text(json.dumps(written))
    changed = (run.path / "training_log.txt").stat().st_mtime
    assert status_of(run, changed + age)[0] == status


def test_a_run_without_status_that_did_all_its_epochs_or_minutes_is_finished(tmp_path):
    assert read_run(make_run(tmp_path / "a", status=None), now=1e12).status == "finished"
    timed = make_run(tmp_path / "b", status=None)
    config = json.loads((timed / "config.json").read_text())
    config["options"] |= {"epochs": 100, "max_minutes": 2.0}  # 6 epochs of 20 s are logged
    (timed / "config.json").write_text(json.dumps(config))
    assert read_run(timed, now=1e12).status == "finished"


# --- comparing --------------------------------------------------------------------------------------------


def test_best_values_are_marked_within_a_set_and_ties_twice():
    rows = [{"l1": 0.2, "miou": 0.5}, {"l1": 0.1, "miou": 0.5}, {"l1": 0.05, "miou": None}]
    columns = {"l1": False, "miou": True}
    assert best_marks(rows, columns, [0, 0, 0]) == [["miou"], ["miou"], ["l1"]]
    assert best_marks(rows, columns, [0, 0, 1]) == [["miou"], ["l1", "miou"], []]


def test_only_settings_that_differ():
    found = differing([{"lr": 1, "seed": 0, "output": "a"}, {"lr": 2, "seed": 0, "output": "b", "clip": 1}])
    assert found == {"lr": [1, 2], "clip": [None, 1]}


def test_runs_on_other_data_are_told_apart_and_said(tmp_path):
    runs = [
        read_run(make_run(tmp_path / "a")),
        read_run(make_run(tmp_path / "b", found_val_fingerprint="cccccccccccc")),
        read_run(make_run(tmp_path / "c", found_train_fingerprint="dddddddddddd")),
    ]
    for run in runs:
        run.name = run.path.name
    groups, notes = group(runs)
    assert groups == [0, 1, 0]
    assert "not validated on the same data: a, c on datasets/camvid" in notes[0]
    groups, notes = group([runs[0], runs[2]])
    assert groups == [0, 0]
    assert notes == ["validated on the same pictures, but trained on different ones"]
    del runs[1].found["val_fingerprint"]  # as runs were before: name and number decide
    groups, notes = group(runs)
    assert groups == [0, 0, 0]
    assert "b: the log holds no fingerprint" in notes[0]


def test_names_and_ranges():
    assert unique_names([Path("/x/a/run"), Path("/x/b/run"), Path("/x/c")]) == ["a/run", "b/run", "x/c"]
    assert ranges({1, 2, 3, 7, 9, 10}) == "1-3, 7, 9-10"


# --- pictures ---------------------------------------------------------------------------------------------


def test_chosen_epochs_have_last_and_best_and_are_shared():
    chosen = pictures.choose_epochs(
        [list(range(2, 201, 2)), list(range(2, 101, 2)), []], [150, None, None], 20
    )
    assert chosen[0][:2] == [200, 150]
    assert chosen[1][0] == 100
    assert chosen[2] == []
    assert all(len(epochs) <= 10 for epochs in chosen)
    assert len({*chosen[0]} & {*chosen[1]}) >= 4
    assert pictures.choose_epochs([[1, 2]] * 500, [1] * 500, 20) == [[2]] * 500  # at least the last of each


def test_strips_of_a_grid_are_exact(tmp_path):
    grid = make_grid(64, 2, 0, 0.0)
    strip = pictures.read_column(grid, "truth")
    assert strip.size == (64, 128)
    assert strip.getpixel((5, 5)) == tuple(COLOURS[0])
    assert strip.getpixel((63, 127)) == tuple(COLOURS[3])
    large = pictures.read_column(make_grid(512, 2, 0, 0.0), "truth")
    assert large.size == (256, 512)
    assert large.getcolors(5) is not None  # no mixtures of labels


def test_samples_are_sorted_by_disagreement(tmp_path):
    runs = [read_run(make_run(tmp_path / name, seed=seed)) for name, seed in (("a", 0), ("b", 3))]
    (found,), notes = pictures.samples(runs, [0, 0])
    assert [sample["name"] for sample in found["samples"]] == ["street_2", "street_1", "street_0"]
    assert found["samples"][2]["disagreement"] < found["samples"][0]["disagreement"]
    assert list(found["runs"][0]["epochs"]) == [2, 4, 6]
    assert notes == []


def test_unreadable_pictures_are_said(tmp_path):
    run = read_run(make_run(tmp_path / "a"))
    run.name = "a"
    (tmp_path / "a/val_results/epoch_0004.png").write_bytes(b"no picture")
    (found,), notes = pictures.samples([run], [0])
    assert list(found["runs"][0]["epochs"]) == [2, 6]
    assert notes == ["pictures that cannot be read: a epoch 4"]


def test_a_photo_is_found_by_its_name_and_keeps_its_shape(tmp_path):
    folder = make_edits(tmp_path / "me", "smile", range(1))
    record = json.loads((folder / "edits.jsonl").read_text()) | {"id": "holiday/me.jpg", "name": "me"}
    (folder / "edits.jsonl").write_text(json.dumps(record) + "\n")
    for state in ("before", "after"):
        Image.new("RGB", (400, 200), (200, 30, 30)).save(folder / f"me_{state}.png")
    found, notes = pictures.faces([read_edits(folder)])
    assert notes == []
    uri = found["pictures"][found["faces"][0]["folders"][0]["before"]]
    shown = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")
    assert shown.size == (256, 256)
    assert [shown.getpixel((128, y)) for y in (20, 128)] == [(128, 128, 128), (200, 30, 30)]


# --- the command ------------------------------------------------------------------------------------------


def test_table_json_and_page_of_a_mixture(tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", seed=5, lr=0.004, status="failed")
    make_edits(tmp_path / "smile", "smile", range(4), failed=(2,))
    make_edits(tmp_path / "slim", "slim", range(1, 5))
    out = tmp_path / "report.html"
    done = compare(tmp_path / "a", tmp_path / "b", tmp_path / "smile", tmp_path / "slim", "--out", out)
    assert done.returncode == 0, done.stderr
    header, first, second = done.stdout.splitlines()[:3]
    assert header.split()[:3] == ["run", "status", "epochs"]
    assert first.split()[:3] == ["a", "finished", "6/6"]
    assert second.split()[:2] == ["b", "failed"]
    assert "*" in second.split()[7]
    assert "*" not in first
    assert "3/4" in done.stdout
    assert "they share no numbers" in done.stdout
    assert "smile: faces 0 are not in every folder" in done.stdout
    assert out.stat().st_size > 50_000

    done = compare(tmp_path / "a", tmp_path / "b", "--out", out, "--classes")
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    assert lines["IoU"] == ["a", "b"]
    assert lines["sign"][1] == "-"
    assert any(value.endswith("*") for value in lines["sky"])

    done = compare(tmp_path, "--out", out, "--json")  # the folder that holds them
    data = json.loads(done.stdout)
    assert [run["name"] for run in data["training"]["runs"]] == ["a", "b"]
    assert data["training"]["settings"] == {"lr": [0.002, 0.004]}
    assert data["training"]["runs"][1]["iou"]["sign"] is None
    assert data["edits"]["folders"][1]["success"] == 0.75
    assert not any("data:" in line for line in done.stdout.splitlines())


def test_what_is_no_run_is_left_out_and_said(tmp_path):
    make_run(tmp_path / "a")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("x")
    out = tmp_path / "report.html"
    done = compare(tmp_path / "a", tmp_path / "empty", tmp_path / "other", tmp_path / "a/../a", "--out", out)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/empty is empty and was left out" in done.stdout
    assert f"{tmp_path}/other is no output folder and was left out" in done.stdout
    assert "was named twice and is shown once" in done.stdout
    assert len([line for line in done.stdout.splitlines() if line.startswith("a ")]) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "name the folders"),
        (("nowhere",), "there is no folder"),
        (("empty",), "is or holds an output folder"),
        (("empty/file.txt",), "is or holds an output folder"),
        (("run", "--out", "empty"), "is a folder; name the file"),
        (("run", "--out", "empty/file.txt/report.html"), "could not be written"),
        (("run", "--fast"), "unrecognized arguments"),
    ],
)
def test_mistakes_end_with_one_line_and_leave_nothing(tmp_path, arguments, text):
    make_run(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/file.txt").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    paths = [a if a.startswith("--") else tmp_path / a for a in arguments]
    out = () if "--out" in arguments else ("--out", tmp_path / "report.html")
    assert text in error_of(compare(*paths, *out))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    make_run(tmp_path / "a")
    program = [sys.executable, ROOT / "compare_runs.py", tmp_path / "a", "--out", tmp_path / "report.html"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(writer)
    assert done.returncode == 141
    assert "Error" not in done.stderr


def test_runs_that_have_only_begun(tmp_path):
    begun = make_run(tmp_path / "begun", epochs=0, status="running")
    (begun / "training_log.txt").unlink()
    half = make_run(tmp_path / "half")
    (half / "config.json").write_text('{"options": {')
    data = compare_runs.collect([begun, half])
    assert data["training"]["runs"][0]["epochs"] == 0
    assert "begun: no epoch is logged yet" in data["notes"]
    assert "half: config.json is missing or broken: its settings are unknown" in data["notes"]
    compare_runs.terminal_table(data)
    compare_runs.render(data)


def test_names_cannot_break_the_page(tmp_path):
    run = make_run(tmp_path / "a", dataset="</script><script>alert(1)</script>")
    page = compare_runs.render(compare_runs.collect([run, make_run(tmp_path / "b")]))
    assert "alert(1)" in page
    assert "<script>alert(1)" not in page


def test_a_real_run_says_its_status_and_split(tmp_path):
    pairs = make_pairs(tmp_path / "pairs")
    for name in ("a", "b"):
        done = command("--dataset", pairs, "--output", tmp_path / name, "--epochs", "1", *SMALL)
        assert done.returncode == 0, done.stderr
    make_pairs(tmp_path / "more", val=4)
    done = command("--dataset", tmp_path / "more", "--output", tmp_path / "c", "--epochs", "1", *SMALL)
    data = compare_runs.collect([tmp_path / name for name in "abc"])
    assert [run["status"] for run in data["training"]["runs"]] == ["finished"] * 3
    assert [run["set"] for run in data["training"]["runs"]] == [0, 0, 1]
    assert data["training"]["samples"][0]["samples"][0]["name"].startswith("val_")
    done = command("--dataset", pairs, "--output", tmp_path / "d", "--epochs", "2", "--lr", "1e30", *SMALL)
    assert done.returncode == 2
    failed = read_run(tmp_path / "d")
    assert failed.status == "failed"
    assert "became" in failed.reason


def test_fifty_runs_of_two_hundred_epochs(tmp_path):
    first = make_run(tmp_path / "runs/run_00", epochs=8, every=1, side=256, samples=6)
    for k in range(1, 50):
        make_run(tmp_path / f"runs/run_{k:02d}", seed=k, epochs=200, link=first, samples=6, side=256)
    out = tmp_path / "report.html"
    began, cpu = time.perf_counter(), os.times()
    done = compare(tmp_path / "runs", "--out", out)
    took, used = time.perf_counter() - began, os.times()
    assert done.returncode == 0, done.stderr
    cpu = used.children_user + used.children_system - cpu.children_user - cpu.children_system
    print(f"50 runs: {took:.1f} s, {cpu:.1f} s of CPU time, {out.stat().st_size / 1e6:.1f} MB")
    assert min(took, cpu) <= 5  # on a busy machine the clock says little
    assert out.stat().st_size <= 20e6
    assert "small; last and best" in done.stdout


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [(KeyboardInterrupt(), "stopped", "Ctrl-C"), (ValueError("disk gone"), "failed", "disk gone")],
)
def test_status_of_a_run_that_ends_early(tmp_path, error, status, reason):
    from training.run_folder import RunFolder  # here, because it imports torch

    def end() -> None:
        with RunFolder(tmp_path).status():
            assert json.loads((tmp_path / "status.json").read_text())["status"] == "running"
            raise error

    with pytest.raises(type(error)):
        end()
    written = json.loads((tmp_path / "status.json").read_text())
    assert (written["status"], written["reason"]) == (status, reason)
