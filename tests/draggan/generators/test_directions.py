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
from draggan.generators.directions import FORMAT, SHIPPED, read_directions


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


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (DEEP, "nested too deeply"),
        ("[" * 40 + "]" * 40, "nested too deeply"),
        ('{"a": ' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ('{"a": NaN}', "NaN where a number belongs"),
        ('{"a": -Infinity}', "-Infinity where a number belongs"),
        ('{"a": 1e999}', "a number that is too large"),
        ('{"a": ' + "9" * 5000 + "}", "a number that is too large"),
        ('{"a": ' + "9" * 300 + "}", "a number that is too large"),
        ("[]", "does not say how it was made"),
        ("{", "not readable as JSON"),
    ],
)
def test_how_it_was_made_is_bounded(generator, tmp_path, made, words):
    tensors = {"mean_w": generator.mean_w.clone(), "smile.mean": torch.zeros(13, 512)}
    save_file(tensors, tmp_path / "d", {"format": FORMAT, "made": made})
    with pytest.raises(ModelError, match=words) as error:
        read_directions(tmp_path / "d", generator)
    assert "\n" not in str(error.value)
    assert "delete it, or learn it anew" in str(error.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 3e38, -2e6])
@pytest.mark.parametrize("part", ["mean", "components", "coefficients"])
def test_numbers_that_are_none_or_too_large(generator, tmp_path, number, part):
    shapes = {"mean": (13, 512), "components": (2, 13, 512), "coefficients": (2, 512)}
    parts = {name: torch.zeros(shape) for name, shape in shapes.items()}
    parts[part].view(-1)[7] = number
    save_directions(tmp_path / "d", Directions({"smile": Direction(**parts)}, generator.mean_w))
    with pytest.raises(ModelError, match=r"not numbers|numbers above 1,000,000"):
        read_directions(tmp_path / "d", generator)
    parts[part].view(-1)[7] = 5.0
    save_directions(tmp_path / "d", Directions({"smile": Direction(**parts)}, generator.mean_w))
    assert "smile" in read_directions(tmp_path / "d", generator)


def test_a_list_of_tensors_longer_than_any(generator, tmp_path):
    for length, text in ((1 << 62, b"{"), (5 << 20, b"{" + b" " * (6 << 20)), (2, b"{")):
        (tmp_path / "d").write_bytes(length.to_bytes(8, "little") + text)
        with pytest.raises(ModelError, match="is broken"):
            read_directions(tmp_path / "d", generator)
