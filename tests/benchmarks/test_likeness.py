"""benchmarks/likeness.py: numbers that are right for pictures of which one knows them."""

import numpy as np
from PIL import Image, ImageFilter
from segmentation_data import command, error_of, picture_pair

from benchmarks.likeness import frechet


def test_the_distance_of_gaussians():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(20000, 4))
    assert abs(frechet(one, one)) < 1e-9
    # moved by 2 along one axis, and twice as wide along another: 4 + (2 - 1) ** 2
    other = rng.normal(size=(20000, 4)) * [1, 2, 1, 1] + [2, 0, 0, 0]
    assert abs(frechet(one, other) - 5) < 0.25


def test_blurred_pictures_are_farther_and_less_sharp(tmp_path):
    for k in range(3):
        picture = Image.fromarray(picture_pair(k, side=96)[0])
        for name, shown in (
            ("real", picture),
            ("soft", picture.filter(ImageFilter.GaussianBlur(1))),
            ("softer", picture.filter(ImageFilter.GaussianBlur(4))),
        ):
            (tmp_path / name).mkdir(exist_ok=True)
            shown.save(tmp_path / name / f"{k}.png")
    names = ("real", "real", "soft", "softer")
    done = command(*(tmp_path / name for name in names), script="benchmarks/likeness.py")
    assert done.returncode == 0, done.stderr
    rows = [[float(v) for v in line.split()[1:]] for line in done.stdout.splitlines()[2:]]
    assert rows[0][0] == 0
    assert rows[0][4:] == [0, 0, 0, 0]
    for column, sign in ((0, 1), (1, -1), (2, -1), (3, -1), (4, 1), (5, 1), (6, 1), (7, 1)):
        values = [sign * row[column] for row in rows]
        assert values == sorted(values), column
    (tmp_path / "soft/1.png").unlink()
    done = command(tmp_path / "real", tmp_path / "soft", script="benchmarks/likeness.py")
    assert "has no picture 1" in error_of(done)
