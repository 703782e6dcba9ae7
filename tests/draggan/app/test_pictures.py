"""What is drawn for the page: marks over the picture, previews, and files that say that they are AI-made."""

from types import SimpleNamespace

import numpy as np
from PIL import Image

from draggan.app import files
from draggan.app.previews import Previews


def test_previews_take_a_small_share_of_the_time(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("draggan.app.previews.time", SimpleNamespace(perf_counter=lambda: clock.now))
    for cost in (0.05, 0.5):  # a fast and a slow machine
        previews, drawn = Previews(share=0.12), []
        for number in range(40):
            if previews.due(0.1):
                drawn.append(number)
                with previews.drawing():
                    clock.now += cost
        assert previews.spent <= 0.12 * previews.dragged + cost
        assert drawn[0] == 1  # the first one at once
        assert len(drawn) == (9 if cost == 0.05 else 1)


def test_all_files_say_that_they_are_ai_made(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    with Image.open(files.write_png(tmp_path / "a.png", picture, {"edit": "smile"})) as image:
        assert image.text["Comment"].startswith("AI-made")
        assert '"smile"' in image.text["Edit"]
    with Image.open(files.write_jpeg(tmp_path / "a.jpg", picture, 32)) as image:
        assert image.getexif()[0x010E].startswith("AI-made")
        assert image.size == (32, 32)
    frames = [files.frame(picture // part) for part in (1, 2, 3)]
    with Image.open(files.write_animation(tmp_path / "a.webp", frames)) as image:
        assert image.getexif()[0x010E].startswith("AI-made")
        assert image.n_frames == 3
