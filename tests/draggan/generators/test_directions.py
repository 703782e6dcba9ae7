"""The file of learned directions: as it was, small, and refused where it is broken or another's."""

import pytest
import torch
from safetensors.torch import save_file

from common.commandline import parse_seeds
from draggan import edit_faces, generators
from draggan.generators import (
    Direction,
    Directions,
    ModelError,
    load_directions,
    save_directions,
)
from draggan.generators.directions import SHIPPED, read_directions


def test_a_file_comes_back_as_it_was(generator, tmp_path):
    direction = Direction(torch.randn(13, 512), torch.randn(2, 13, 512), torch.randn(2, 512))
    save_directions(tmp_path / "d", Directions({"smile": direction}, generator.mean_w, {"seeds": "1000"}))
    found = read_directions(tmp_path / "d", generator)
    assert found.made == {"seeds": "1000"}
    styles = generator.seed_styles(3)
    expected = direction.mean + torch.einsum(
        "k,krw->rw", direction.coefficients @ (styles[0, 0] - generator.mean_w), direction.components
    )
    change = found.change("smile", styles)
    torch.testing.assert_close(change[0, :13], expected)
    assert change[0, 13:].abs().max() == 0


def test_the_shipped_file_is_small_and_says_how_it_was_made(generator):
    path = SHIPPED / "mobile-ffhq-directions.safetensors"
    assert path.stat().st_size < 2e6
    made = load_directions(generator).made
    assert made["model"] == "mobile-ffhq"
    assert min(parse_seeds(made["seeds"])) >= 1000  # those below are for judging


def test_broken_and_foreign_files_are_refused_in_one_line(generator, command, tmp_path, monkeypatch):
    foreign = Directions({"smile": Direction(torch.zeros(13, 512))}, torch.ones(512))
    short = Directions({"smile": Direction(torch.zeros(13, 64))}, generator.mean_w)
    wide = Directions({"smile": Direction(torch.zeros(99, 512))}, generator.mean_w)
    for name, directions in (("foreign", foreign), ("short", short), ("wide", wide)):
        save_directions(tmp_path / name, directions)
        with pytest.raises(ModelError, match="another generator"):
            read_directions(tmp_path / name, generator)
    save_file({"x": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(ModelError, match="no directions"):
        read_directions(tmp_path / "other", generator)

    monkeypatch.setattr(edit_faces, "load_generator", lambda *_: generator)
    monkeypatch.setattr(generators, "CHECKPOINTS", tmp_path)
    broken = tmp_path / "mobile-ffhq-directions.safetensors"
    broken.write_bytes((SHIPPED / broken.name).read_bytes()[:1000])
    code, _, err = command(edit_faces, "--seeds", "0", "--output", tmp_path / "o")
    assert code == 2
    assert err.count("\n") == 1
    assert f"{broken} is broken" in err
    assert "learn_directions.py" in err
