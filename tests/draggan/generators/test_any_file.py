"""No file in checkpoints/ can harm another: listing and loading survive any file, in bounded time and memory."""

import json
import subprocess
import sys

import pytest
import torch
from hostile_files import FILES, write_all
from model_files import ROOT, copy_tiny, images, load_file, refused, rosinality

from draggan import edit_faces, generators
from draggan.app.fetches import Fetches
from draggan.generators import ModelError, load_generator, models, survey, weights
from draggan.generators.stylegan2 import random_generator
from draggan.generators.stylegan2_layers import Config
from draggan.model_list import table, unusable

SECONDS, BYTES = 2.0, 1 << 30  # for each file
# Whole, and something else: not listed, and not called broken either.
NO_MODELS = {"options", "other", "pipe", "loop", "nowhere", "a folder", "emoji", "self", "deep", "keys"}


@pytest.fixture
def crowded(folder):
    """A folder with one good model among files that are none."""
    write_all(folder)
    copy_tiny(folder)
    return folder


def test_each_file_is_listed_with_its_reason_in_bounded_time_and_memory(crowded):
    code = """
import json, resource, sys, time
from pathlib import Path
from draggan.generators import weights
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[2]),) * 2)
def clock(do, path):
    start = time.process_time()
    try:
        said = do(path)
    except weights.ModelError as error:
        said = str(error)
    return getattr(said, "problem", said), time.process_time() - start
for path in sorted(Path(sys.argv[1]).iterdir()):
    if path.is_file() and path.stem != "tiny":
        listed, first = clock(weights.inspect, path)
        loaded, second = clock(lambda path: weights.load(path, "any"), path)
        print(json.dumps([path.name.encode("utf-8", "replace").decode(), listed, loaded, first, second]))
"""
    command = [sys.executable, "-c", code, str(crowded), str(BYTES)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr[-2000:]
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert {name for name, *_ in lines} >= {*FILES, "ten gigabytes.pkl", "module in itself.pt"}
    for name, listed, loaded, first, second in lines:
        assert max(first, second) < SECONDS, (name, first, second)
        assert "\n" not in loaded, name
        assert "take another file" in loaded, (name, loaded)
        if name.rpartition(".")[0] in NO_MODELS:
            assert listed is None, name
        else:
            assert listed, name
            assert "\n" not in listed, name
            assert len(listed) < 320, name


def test_the_good_model_is_listed_and_loads(crowded, monkeypatch):
    alone = images(load_file(crowded / "tiny.pkl"))
    assert set(models()) == {"mobile-ffhq", "tiny"}
    monkeypatch.setattr(weights, "_inspect", None)  # the others are not even looked at
    assert torch.equal(images(load_generator("tiny")), alone)


def test_what_cannot_be_used_is_listed_everywhere(crowded, monkeypatch, capsys):
    broken = unusable()
    assert "tiny" not in broken
    assert not NO_MODELS & broken.keys()
    assert {"hash bomb", "dict as key", "bad name", "\\udcff\\udcfe", "two\\nlines"} <= broken.keys()
    assert survey()["tiny"].problem is None
    shown = table()
    assert shown.encode()  # also names that are no text
    assert f"hash bomb{' ' * 20}"[:12] in shown
    assert "cannot be used: a checkpoint whose storages are not those it names" in shown
    labels = {name: label for label, name in Fetches().choices()}
    assert labels["hash bomb"].startswith("✗ hash bomb: a checkpoint whose storages")
    assert labels["tiny"] == "tiny"
    json.dumps(Fetches().choices(), ensure_ascii=False).encode()
    for name in broken:
        with pytest.raises(ModelError) as caught:
            load_generator(name)
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(sys, "argv", ["edit_faces.py", "--list-models"])
    edit_faces.main()
    assert capsys.readouterr().out == shown + "\n"


def test_a_model_that_cannot_be_read_is_listed_before_it_is_tried(folder):
    tiny = copy_tiny(folder).read_bytes()
    (folder / "cut.pkl").write_bytes(tiny[: len(tiny) // 2])
    state = rosinality(random_generator(Config(8, (8, 8), (8, 8))))
    torch.save({"g_ema": state | {"convs.0.conv.weight": torch.zeros(3, 5)}}, folder / "shapes.pt")
    torch.save({"g_ema": state}, folder / "dogs.pt")
    assert "cut short" in unusable()["cut"]
    assert "convs.0.conv.weight has the shape (3, 5)" in unusable()["shapes"]
    assert "dogs" in models()


def test_a_good_model_keeps_its_name_beside_a_broken_one(folder):
    (folder / "lions.ckpt").write_bytes(b"\x80\x02")  # comes first
    (folder / "lions.pkl").write_bytes(copy_tiny(folder).read_bytes())
    assert models()["lions"] == folder / "lions.pkl"
    assert set(unusable()) == {"lions.ckpt"}
    assert load_generator("lions").resolution == 64
    with pytest.raises(ModelError, match="cut short"):
        load_generator("lions.ckpt")


def test_files_that_are_there_for_something_else_are_no_broken_models():
    """Those that download_models.py fetches."""
    here = {path.name for path in generators.CHECKPOINTS.iterdir()}
    assert {"mobile-ffhq.safetensors", "shape_predictor_68_face_landmarks.dat"} <= here
    listed = {verdict.path.name for verdict in survey().values()}
    assert not listed & (here - {name for name in here if "stylegan2" in name})


def test_messages_show_odd_names_in_one_line(folder):
    (path := folder / "x.pkl").write_bytes(b"\x80\x04ca\x1b[31m\xc3\xa4\nb\xc2\x85c\n.")
    assert "a\\x1b[31m\\xe4.b\\x85c" in refused(path)
