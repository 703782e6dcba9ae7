"""Going on with other settings, and starting from another run's weights."""

import json
import shutil

import pytest
import torch
from segmentation_data import LEARN, SMALL, command, error_of, log_rows, make_pairs, options

from common.commandline import UserError
from train_cgan import Options as CganOptions
from training.checkpoint import load_init, take_over
from training.loop import Training
from training.means import since_best
from training.networks import Networks


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the trained run, and of its data at another place."""
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def test_a_resume_with_another_rate_length_batch_and_place_goes_on_and_is_noted(run, pairs, tmp_path):
    shutil.copytree(pairs, tmp_path / "moved")
    changed = ["--epochs", 62, "--lr", 0.001, "--batch-size", 3, "--dataset", tmp_path / "moved"]
    done = command("--output", run, *SMALL, *LEARN, *changed, "--resume")
    assert done.returncode == 0, done.stderr
    assert "from epoch 61 on: --lr 0.001, not 0.003" in done.stdout
    rows = log_rows(run)
    assert len(rows) == 62
    marked = {name: float(value) for name, value in rows[60].items() if name.startswith("changed_")}
    assert marked == {"changed_epochs": 62, "changed_lr": 0.001, "changed_batch_size": 3}
    assert not any(name.startswith("changed_") for row in rows[:60] + rows[61:] for name in row)
    config = json.loads((run / "config.json").read_text())
    assert config["options"]["lr"] == 0.001
    assert config["changes"] == [
        {
            "from_epoch": 61,
            "epochs": [60, 62],
            "lr": [0.003, 0.001],
            "batch_size": [2, 3],
            "dataset": [str(pairs), str(tmp_path / "moved")],
        }
    ]
    saved = torch.load(run / "checkpoints/last.pt", weights_only=True)
    assert 0 < saved["optimisers"]["generator"]["param_groups"][1]["lr"] <= 0.001
    assert saved["step"] == 60 * 3 + 2 * 2

    again = command("--output", run, *SMALL, *LEARN, *changed, "--epochs", 63, "--resume")
    assert again.returncode == 0, again.stderr
    config = json.loads((run / "config.json").read_text())
    assert [change["from_epoch"] for change in config["changes"]] == [61, 63]


def test_other_data_are_another_experiment(run, tmp_path):
    other = make_pairs(tmp_path / "other", train=5)
    with pytest.raises(UserError, match=r"holds other train pictures than .*; start a new run with --init"):
        Training(options(other, run, *LEARN, "--resume"), "train_l1")


def test_init_takes_what_fits_and_lists_the_rest(trained, pairs, tmp_path):
    best = trained / "checkpoints/best.pt"
    arguments = ["--dataset", pairs, *SMALL, "--init", best, "--epochs", 1, "--lr", 1e-5]
    done = command(*arguments, "--output", tmp_path / "tuned", script="train_cgan.py")
    assert done.returncode == 0, done.stderr
    assert f"tensors taken from {best}; not taken: discriminator (the checkpoint has none)" in done.stdout
    assert float(log_rows(tmp_path / "tuned")[0]["val_miou"]) > 0.9  # it starts where the other ended
    error = error_of(command(*arguments, "--init", tmp_path / "none.pt"))
    assert "there is no such checkpoint" in error


def test_init_for_other_classes_keeps_the_colours_that_both_know(trained, pairs, tmp_path):
    saved = load_init(trained / "checkpoints/best.pt")
    run = Training(options(pairs, tmp_path / "run", "--palette", "none", kind=CganOptions), "train_cgan")
    assert len(run.labels.colours) == 3 < len(saved["generator"]["colours"])
    taken, left = take_over(saved, run.networks)
    assert left == []
    own, theirs = run.networks.bare("generator").state_dict(), saved["ema"]
    assert torch.equal(own["refine2.conv.weight"], theirs["refine2.conv.weight"])
    before = [tuple(colour) for colour in saved["generator"]["colours"]]
    for k, colour in enumerate(run.labels.colours):
        rows = own["paint.weight"].unflatten(0, (4, 3))[:, k]
        assert torch.equal(rows, theirs["paint.weight"].unflatten(0, (4, -1))[:, before.index(colour)])
    assert torch.equal(own["colours"], torch.tensor(run.labels.colours) / 127.5 - 1)
    assert all(torch.equal(value, own[name]) for name, value in run.networks.ema.state_dict().items())


def test_init_of_another_width_lists_the_layers(trained, pairs, tmp_path):
    run = Training(options(pairs, tmp_path / "run", "--width", "128"), "train_l1")
    wide: Networks = run.networks
    taken, left = take_over(load_init(trained / "checkpoints/best.pt"), wide)
    assert taken > 50  # the encoder
    assert "generator.paint.weight" in left
    assert not any(name.startswith("generator.encoder") for name in left)


def test_since_best_counts_validations():
    rows = [{"epoch": k, "train_l1": 1.0} for k in range(6)]
    assert since_best(rows) == 0
    for row, value in zip(rows[1::2], (0.3, 0.5, 0.5), strict=True):
        row["val_miou"] = value
    assert since_best(rows) == 1
    assert since_best([{"val_l1": 0.1}, {"val_l1": 0.2}, {"val_l1": 0.3}]) == 2
    assert since_best([{"val_miou": float("nan")}, {"val_miou": 0.2}]) == 0


def test_patience_ends_a_run_that_gets_no_better(pairs, tmp_path):
    arguments = ["--dataset", pairs, "--output", tmp_path / "run", *SMALL, "--epochs", 9, "--lr", 0]
    done = command(*arguments, "--patience", 2)
    assert done.returncode == 0, done.stderr
    assert "stopped early: the last 2 validations were no better" in done.stdout
    assert len(log_rows(tmp_path / "run")) == 3
    again = command(*arguments, "--patience", 2, "--resume")
    assert "is finished: 3 epochs" in again.stdout
    longer = command(*arguments, "--patience", 3, "--resume")
    assert longer.returncode == 0, longer.stderr
    assert len(log_rows(tmp_path / "run")) == 4


# A stand-in that writes what it is called with; the real packages are optional.
WANDB = """
import json, os
class Run:
    id = "remembered"
    def log(self, values, step=None): write("log", step, sorted(values))
    def finish(self): write("finish")
class config:
    def update(values, **_): write("config", values["epochs"])
class Image:
    def __init__(self, picture): pass
def write(*words):
    with open(os.environ["CALLS"], "a") as file:
        print(json.dumps(words), file=file)
def init(project, **more):
    write("init", project, more["id"], more["name"])
    return Run()
"""


def test_a_tracker_gets_every_epoch_and_goes_on_under_its_number(pairs, tmp_path, monkeypatch):
    (tmp_path / "site/wandb-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "site/wandb-1.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: wandb\nVersion: 1.0\n"
    )
    (tmp_path / "site/wandb.py").write_text(WANDB)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    arguments = ["--dataset", pairs, "--output", tmp_path / "run", *SMALL, "--tracker", "wandb"]
    for more in (["--epochs", 1], ["--epochs", 2, "--resume"]):
        done = command(*arguments, *more)
        assert done.returncode == 0, done.stderr
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert [call[2] for call in calls if call[0] == "init"] == [None, "remembered"]
    assert {call[1] for call in calls if call[0] == "log"} == {1, 2}
    names = {name for call in calls if call[0] == "log" for name in call[2]}
    assert {"train/l1", "val/miou", "lr", "val", "train"} <= names
    assert calls[-1] == ["finish"]


def test_a_tracker_that_is_not_installed_is_one_line(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--tracker mlflow: .* run `python -m pip install mlflow`"):
        Training(options(pairs, tmp_path / "run", "--tracker", "mlflow"), "train_l1")
