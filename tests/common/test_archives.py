"""Archives that nobody should unpack: one line each, nothing outside the folder, no half data set, nothing recorded."""

import numpy as np
import pytest
from bad_archives import BAD
from download_trials import try_archive
from lying_server import Liar

from common import fetching
from common.fetching import File
from common.whole import unopenable
from download_dataset import DataSet, Source, install, move_splits


@pytest.fixture
def liar(isolated):
    server = Liar()
    yield server
    server.close()


@pytest.mark.parametrize("by_hand", [False, True], ids=["fetched", "put by hand"])
@pytest.mark.parametrize("name", BAD)
def test_archive(isolated, tmp_path, name, by_hand):
    assert try_archive(name, by_hand, tmp_path) == ""


def test_a_wrong_mirror_is_no_end(liar, tmp_path):
    good, broken = BAD["a hard link inside"][0](), BAD["cut in the middle"][0]()
    liar.answer = lambda request: request.give(broken if request.path == "/first" else good)
    urls = (f"{liar.address}/first", f"{liar.address}/second")
    install(DataSet("toy", "none", (Source(File("toy.tar.gz", urls=urls), move_splits),), {}), tmp_path)
    assert (tmp_path / "toy/train").is_dir()
    assert fetching.read_records(tmp_path).keys() == {"toy.tar.gz"}


def test_what_is_whole_and_what_is_not(tmp_path):
    import pickle

    import torch
    from safetensors.numpy import save

    numbers = {"w": np.arange(5000.0)}
    torch.save({"w": torch.arange(5000.0)}, tmp_path / "new")
    torch.save({"w": torch.arange(5000.0)}, tmp_path / "old", _use_new_zipfile_serialization=False)
    files = {
        "x.pt": (tmp_path / "new").read_bytes(),
        "x.pth": (tmp_path / "old").read_bytes(),
        "x.pkl": pickle.dumps(numbers),
        "y.pkl": pickle.dumps(numbers, protocol=2),
        "x.safetensors": save(numbers),
        "x.tar": BAD["a pipe"][0](),
    }
    for name, data in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert unopenable(path, name) is None, name
        # one of before 2020 does not say how many numbers follow its pickles
        for cut in (1, 20, 300) if name == "x.pth" else (1, 20, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:cut])
            assert unopenable(path, name), f"{name} cut after {cut}"
        path.write_bytes(b"")
        assert unopenable(path, name) == "it is empty"
        if name != "x.pth":
            path.write_bytes(data + b"more")
            assert unopenable(path, name), name
