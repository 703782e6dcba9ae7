"""benchmarks/landmark_manipulation.py: the published protocol, on our generator and on a StyleGAN2."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from app_server import SMALL
from PIL import Image

from benchmarks import landmark_manipulation
from benchmarks.landmark_manipulation import AT, POINTS, main, mean_distance
from common.commandline import UserError
from draggan.generators.stylegan2 import random_generator
from draggan.landmarks import Detection


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Run the benchmark in this process with drags of three steps; what it printed."""
    short = {
        name: settings and replace(settings, max_steps=3)
        for name, settings in landmark_manipulation.WAYS.items()
    }
    monkeypatch.setattr(landmark_manipulation, "WAYS", short)

    def call(*arguments: object) -> str:
        flags = ("--output", tmp_path / "out", "--device", "cpu", *arguments)
        monkeypatch.setattr(sys, "argv", ["landmark_manipulation.py", *map(str, flags)])
        main()
        return capsys.readouterr().out

    return call


def test_distances_are_in_pixels_at_512():
    assert mean_distance(np.zeros((2, 2)), np.array([[6.0, 8.0], [0.0, 0.0]]), 1024) == 5 * AT / 1024


def test_pairs_are_dragged_resumed_and_tabled(command, tmp_path):
    out = tmp_path / "out"
    printed = command("--pairs", 2, "--points", "5", "--ways", "no edit,default")
    lines = (out / "pairs.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [(record["pair"], record["way"]) for record in records] == [
        (pair, way) for pair in (6000, 6002) for way in ("no edit", "default")
    ]
    still, dragged = records[:2]
    assert still["distance"] == pytest.approx(still["start"])
    assert dragged["steps"] == 3
    assert dragged["distance"] < still["distance"]
    assert Image.open(out / dragged["edited"]).size == (AT, AT)
    assert "2 pairs, 0 without a face" in printed
    rows = [line.split() for line in printed.splitlines()[2:]]
    assert [row[0] for row in rows] == ["5", "5"]
    assert float(rows[1][2]) == pytest.approx(
        np.mean([record["distance"] for record in records if record["way"] == "default"]), abs=0.006
    )
    # the last line was cut by a kill: that drag alone is done again
    (out / "pairs.jsonl").write_text("\n".join(lines)[:-9])
    before = (out / "6000_5_default.png").stat().st_mtime_ns
    command("--pairs", 2, "--points", "5", "--ways", "no edit,default")
    again = [
        json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines() if line.endswith("}")
    ]
    assert [record["distance"] for record in again] == [record["distance"] for record in records]
    assert (out / "6000_5_default.png").stat().st_mtime_ns == before
    report = command("--report").splitlines()
    assert report[0].endswith("2 pairs, 0 without a face, pixels at 512")
    assert command("--report", "--ways", "default").splitlines() == [*report[:2], report[3]]


def test_a_stylegan2_goes_the_same_way(command, monkeypatch, tmp_path):
    """Random weights make no face, so the landmarks are given: 68 places that are those of no picture."""
    generator = random_generator(replace(SMALL, is_face=True), name="ffhq")
    size = generator.resolution

    class Given:
        def detect(self, image):
            rng = np.random.default_rng(int(np.asarray(image, np.int64).sum()) % 2**32)
            return [Detection(rng.uniform(2, size - 3, (68, 2)).astype(np.float32), (0, 0, size, size), 1.0)]

    monkeypatch.setattr(landmark_manipulation, "load_generator", lambda name, device: generator)
    monkeypatch.setattr(landmark_manipulation, "landmark_detector", lambda name, device: Given())
    printed = command("--pairs", 2, "--model", "any")
    records = [json.loads(line) for line in (tmp_path / "out/pairs.jsonl").read_text().splitlines()]
    assert len(records) == 2 * len(POINTS) * len(landmark_manipulation.WAYS)
    assert all(record["steps"] == 3 for record in records if record["way"] != "no edit")
    assert printed.count("draggan-paper") == 3
    monkeypatch.setattr(landmark_manipulation, "load_generator", lambda name, device: random_generator(SMALL))
    with pytest.raises(UserError, match=r"random makes no faces"):
        command("--pairs", 2, "--model", "random")


@pytest.mark.parametrize(("flag", "value"), [("--points", "2"), ("--ways", "magic"), ("--points", "")])
def test_unknown_points_and_ways(command, flag, value):
    with pytest.raises(UserError, match=f"{flag} {value}: known are"):
        command(flag, value)
    with pytest.raises(UserError, match=r"has no pairs.jsonl"):
        command("--report")
