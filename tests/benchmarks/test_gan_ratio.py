"""benchmarks/gan_ratio.py on tiny pairs: the real runs, the table, and going on after a stop."""

import re
import sys

import pytest
from PIL import Image
from segmentation_data import ROOT, command, error_of, log_rows, make_pairs

from common.commandline import UserError

sys.path.insert(0, str(ROOT / "benchmarks"))
from gan_ratio import weights


def test_two_ratios_are_trained_and_tabled(tmp_path):
    pairs, out = make_pairs(tmp_path / "pairs"), tmp_path / "out"
    arguments = [
        "--dataset",
        pairs,
        "--ratios",
        "off,1:1",
        "--epochs",
        1,
        "--image-size",
        32,
        "--batch-size",
        2,
    ]
    arguments += ["--encoder", "scratch", "--pictures", 2, "--device", "cpu", "--output", out]
    done = command(*arguments, script="benchmarks/gan_ratio.py")
    assert done.returncode == 0, done.stderr
    table = (out / "table.md").read_text()
    assert table.strip() in done.stdout
    for ratio, folder in (("off", "off"), ("1:1", "1_to_1")):
        row = log_rows(out / folder)[-1]
        cells = re.search(rf"^\| {ratio} \| 3 \| (.*) \|$", table, re.M)[1].split(" | ")
        assert cells[0] == f"{float(row['val_l1']):.4f}"
        assert cells[3] == f"{float(row['val_miou']):.3f}"
    assert "train_gan" in log_rows(out / "1_to_1")[-1]
    assert "train_gan" not in log_rows(out / "off")[-1]
    assert Image.open(out / "pictures.png").width == 4 * 36 + 4
    again = command(*arguments, script="benchmarks/gan_ratio.py")
    assert "is finished" in again.stderr
    assert again.stdout.strip().endswith(table.strip())


def test_ratios_are_checked_before_anything_runs(tmp_path):
    assert weights("off") == (0.0, 50.0)
    assert weights("1:100") == (1.0, 100.0)
    for wrong in ("1", "1:0", "a:b", "1:2:3"):
        with pytest.raises(UserError, match=r"neither 'off' nor like 1:50"):
            weights(wrong)
    done = command("--ratios", "off,1;50", "--output", tmp_path / "out", script="benchmarks/gan_ratio.py")
    assert "'1;50' is neither" in error_of(done)
    assert not (tmp_path / "out").exists()
