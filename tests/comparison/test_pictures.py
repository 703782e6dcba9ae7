"""The pictures of a run: epochs and samples that are chosen, strips, photos."""

import base64
import io
import json

from comparison_data import COLOURS, make_edits, make_grid, make_run
from PIL import Image

from comparison import pictures
from comparison.edits import read_edits
from comparison.runs import (
    read_run,
)


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
