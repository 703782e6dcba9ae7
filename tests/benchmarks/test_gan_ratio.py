"""benchmarks/gan_ratio.py on tiny pairs: the real runs, the tables over seeds, and going on after a stop."""

import json
import math
import re
import statistics

import pytest
import torch
from PIL import Image
from segmentation_data import command, error_of, log_rows, make_pairs

from benchmarks.gan_ratio import same_epochs, weights
from benchmarks.seed_tables import paired, spread, tables
from common.commandline import UserError
from training.checkpoint import load_generator


def test_two_ratios_of_two_seeds_are_trained_and_tabled_in_pieces(tmp_path):
    pairs, out = make_pairs(tmp_path / "pairs"), tmp_path / "out"
    arguments = ["--dataset", pairs, "--kept-back", pairs / "train", "--ratios", "off,1:1", "--seeds", "0-1"]
    arguments += ["--epochs", 2, "--image-size", 32, "--batch-size", 2, "--encoder", "scratch"]
    arguments += ["--pictures", 2, "--device", "cpu", "--output", out, "--rows", 2, "--jobs", 2]
    arguments += ["--extra", "--gan-start 0.4 --gan-ramp 0 --lr 0.02 --zoom 1.5"]
    done = command(*arguments, script="benchmarks/gan_ratio.py")
    assert done.returncode == 0, done.stderr
    table = (out / "table.md").read_text()
    assert table.strip() in done.stdout
    folders = {"off": out / "off/seed_0", "1:1": out / "1_to_1/seed_0"}
    assert sorted(out.glob("*/seed_*")) == sorted(folders.values())  # seed 1 is left for later
    # until the GAN term comes in, the runs of a seed are the same
    assert same_epochs(list(folders.values())) == 1
    assert "Seed 0: the runs are the same up to epoch 1." in table
    assert "train_gan" not in log_rows(folders["off"])[-1]
    for split in ("validation", "kept back"):
        text = table.split(f"\n{split}\n")[1]
        for ratio, folder in folders.items():
            place = pairs / ("val" if split == "validation" else "train")
            values = json.loads((folder / "scores.json").read_text())["scores"][str(place)]
            cells = re.search(rf"^\| {ratio} \| 1 \| (.*) \|$", text, re.M)[1].split(" | ")
            assert cells[3] == f"{values['miou']:.3f}"
            assert 0 <= values["boundary_f1"] <= 1
    assert load_generator(folders["off"] / "checkpoints/last.pt", torch.device("cpu"))[0].params.zoom == 1.5
    # what is scored is the generator after the last epoch, as the training itself scored it
    row, values = (
        log_rows(folders["off"])[-1],
        json.loads((folders["off"] / "scores.json").read_text())["scores"],
    )
    assert values[str(pairs / "val")]["miou"] == pytest.approx(float(row["val_miou"]), abs=1e-5)
    assert Image.open(out / "pictures.png").width == 4 * 36 + 4
    arguments[arguments.index("0-1")] = "0"
    again = command(*arguments, script="benchmarks/gan_ratio.py")
    assert "--- GAN : L1" not in again.stderr  # both are finished
    assert again.stdout.replace("seeds 0,", "seeds 0-1,").strip().endswith(table.strip())
    arguments[arguments.index("--epochs") + 1] = 3  # those that are finished have two
    other = command(*arguments, script="benchmarks/gan_ratio.py")
    assert "off/seed_0 was trained with other options" in error_of(other)


def test_the_table_has_means_spreads_and_paired_differences():
    iou = {"iou_sky": 0.9, "iou_pole": 0.1, "iou_sign": math.nan}
    off = [{"l1": 0.05, "miou": miou} | iou for miou in (0.50, 0.52, 0.54)]
    gan = [{"l1": 0.05, "miou": miou} | iou for miou in (0.56, 0.57, 0.61)]
    logs = [{"images_per_s": 8.0}] * 3
    text = tables({"off": off, "1:50": gan}, {"off": logs, "1:50": logs})
    assert (
        f"| off | 3 | 0.0500 ± 0.0000 | 0.520 ± {statistics.stdev((0.50, 0.52, 0.54)):.3f} | 0.100 ± 0.000 |"
        in text
    )
    # the differences are 0.06, 0.05 and 0.07: t = 0.06 / (0.01 / sqrt 3) = 10.4 with two degrees of freedom
    assert paired([0.56, 0.57, 0.61], [0.50, 0.52, 0.54]) == "+0.060, p 0.009, apart"
    assert "+0.060, p 0.009, apart" in text
    assert paired([0.53, 0.55], [0.50, 0.54]).endswith(", p 0.295")  # ranges that overlap
    assert spread([0.5]) == "0.500"


def test_ratios_and_seeds_are_checked_before_anything_runs(tmp_path):
    assert weights("off") == (0.0, 50.0)
    assert weights("1:100") == (1.0, 100.0)
    for wrong in ("1", "1:0", "a:b", "1:2:3"):
        with pytest.raises(UserError, match=r"neither 'off' nor like 1:50"):
            weights(wrong)
    done = command("--jobs", 0, "--output", tmp_path / "out", script="benchmarks/gan_ratio.py")
    assert "--jobs must be at least 1" in error_of(done)
    done = command("--ratios", "off,1;50", "--output", tmp_path / "out", script="benchmarks/gan_ratio.py")
    assert "'1;50' is neither" in error_of(done)
    assert not (tmp_path / "out").exists()
