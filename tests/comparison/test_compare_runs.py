"""compare_runs.py as a command: the table, the page's file, and errors; the page itself: test_page.py."""

import json
import os
import subprocess
import sys
import time

import pytest
from comparison_data import make_edits, make_run
from segmentation_data import ROOT, SMALL, command, error_of, make_pairs

import compare_runs
from comparison.runs import (
    read_run,
)


def compare(*arguments, **options):
    return command(*arguments, script="compare_runs.py", **options)


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
    seconds = []
    for _ in range(
        3
    ):  # the best of three, and CPU time where that is less: on a busy machine the clock says little
        began, cpu = time.perf_counter(), os.times()
        done = compare(tmp_path / "runs", "--out", out)
        took, used = time.perf_counter() - began, os.times()
        assert done.returncode == 0, done.stderr
        cpu = used.children_user + used.children_system - cpu.children_user - cpu.children_system
        print(f"50 runs: {took:.1f} s, {cpu:.1f} s of CPU time, {out.stat().st_size / 1e6:.1f} MB")
        seconds.append(min(took, cpu))
        if seconds[-1] <= 5:
            break
    assert min(seconds) <= 5
    assert out.stat().st_size <= 20e6
    assert "small; last and best" in done.stdout


def test_a_pipe_is_no_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(compare_runs.UserError, match="none of"):
        compare_runs.find_folders([tmp_path / "pipe"])
