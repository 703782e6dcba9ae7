"""Bad pictures and pairs, pipes, devices, loops and bombs in a data set: each is read right or named, none hangs.

400 more are tried by `make torture`.
"""

import os
import subprocess

import accelerate  # noqa: F401  (loaded once, before the trials are forked)
import numpy as np
import pytest
from bad_pictures import CASES
from damaged_pictures import damaged
from picture_trials import trial
from PIL import Image
from segmentation_data import make_pairs

import training.data  # noqa: F401
from common.commandline import UserError
from pix2pix_dataset import PairDataset
from training.pictures import open_picture
from training.samples import MIDDLE, sample_of
from training.sizes import Scaling
from training.survey import survey


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some cases change it
    yield tmp_path / "set"
    os.chdir("/")
    subprocess.run(["rm", "-rf", tmp_path / "set"], check=True)  # deeper than Python's own removal goes


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_made_by_hand(place, case):
    assert trial(case, place)[0] == ""


@pytest.mark.parametrize("case", list(damaged(33, seed=1)), ids=lambda case: case.name)
def test_damaged(place, case):
    assert trial(case, place)[0] == ""


@pytest.mark.parametrize("case", [CASES[0], *damaged(11, seed=2)], ids=lambda case: case.name)
def test_left_out_with_skip_broken(place, case):
    broke, done = trial(case, place, "--skip-broken", "--cache-mb", "0")
    assert done.code == 0, broke


def test_a_picture_that_would_be_enlarged_beyond_measure_is_named(tmp_path):
    make_pairs(tmp_path)
    Image.new("RGB", (60_000, 1)).save(tmp_path / "train/x.png")
    scaling = Scaling("short", (256, 256), (256, 256))
    for cache_mb in (0, 100):
        with pytest.raises(UserError, match=r"x.png is 30000 x 1 and would be enlarged to 7680000 x 256"):
            PairDataset(tmp_path, "train", scaling=scaling, cache_mb=cache_mb)


def test_pictures_that_all_break_later_end_in_one_line(tmp_path):
    make_pairs(tmp_path)
    data = PairDataset(tmp_path, "train", cache_mb=0, skip_broken=True)
    for path in (tmp_path / "train").iterdir():
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=r"none of the 6 pictures .* can be read any more"):
        data[0]


def test_no_other_program_is_started_for_a_picture(tmp_path, monkeypatch):
    """Pillow gives PostScript to Ghostscript, whatever the file is called."""
    drawing = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 32\n%%EndComments\nshowpage\n"
    (tmp_path / "x.png").write_bytes(drawing)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    with pytest.raises(UserError, match="no picture of a known kind"):
        open_picture(tmp_path / "x.png")


def test_of_large_labels_the_middle_is_looked_at_and_all_is_counted(tmp_path):
    side = MIDDLE + 200
    label = np.zeros((side, side, 3), np.uint8)
    label[:, : side // 2] = (128, 0, 0)
    label[:2, :2] = (0, 0, 128)  # far from the middle
    make_pairs(tmp_path, train=1, val=1)
    Image.fromarray(np.hstack([label, label])).save(tmp_path / "train/large.png")
    pairs = PairDataset(tmp_path, "train", cache_mb=0).pairs
    assert max(stored.values.shape[0] for stored in sample_of(pairs, "b", 8)) == MIDDLE
    found = survey(pairs, [], "b")
    assert found.kind == "colours"
    assert found.train[(0, 0, 128)] == 4
    assert found.train[(128, 0, 0)] >= side * (side // 2) - 4


def test_an_epoch_with_a_worker_names_what_broke(tmp_path):
    """The error comes out of another process."""
    from torch.utils.data import DataLoader

    make_pairs(tmp_path)
    data = PairDataset(tmp_path, "train", cache_mb=0)
    path = tmp_path / "train/train_2.png"
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(UserError, match=r"train_2.png cannot be read"):
        list(DataLoader(data, batch_size=2, num_workers=1))
