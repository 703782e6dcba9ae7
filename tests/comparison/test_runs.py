"""Folders become data: logs, status, what is marked as best, what differs."""

import json
import os
from pathlib import Path

import pytest
from comparison_data import make_run

from comparison.runs import (
    Run,
    best_marks,
    differing,
    group,
    ranges,
    read_json,
    read_log,
    read_run,
    status_of,
    unique_names,
)

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


def test_json_that_is_nested_without_end_is_none(tmp_path):
    (tmp_path / "config.json").write_text("[" * 100_000)
    assert read_json(tmp_path / "config.json") is None
