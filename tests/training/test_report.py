"""What a run says at its start."""

from types import SimpleNamespace

import pytest

from training.palettes import CAMVID, class_shares, id_palette, ignored_share
from training.report import of_training, show
from training.survey import Survey

FOUND = {
    **{"train_pairs": 6, "val_pairs": 3, "broken": [], "labels": "ids", "why": "for a test"},
    **{"input": "picture", "scaling": "32 x 32", "palette": "own", "classes": ["0", "1", "9"], "void": ()},
    **{"outside_palette": 0.0, "class_weights": {"0": 0.74, "1": 1.5, "9": 17.09}},
    **{"device": "cpu", "precision": "no"},
}


def shown(capsys, **other) -> str:
    seen = Survey("ids", "for a test", True, {0: 90, 1: 10}, {0: 90, 9: 10})
    data = SimpleNamespace(root="set", survey=seen, palette=id_palette([0, 1, 9]), label_sample=[None] * 6)
    show(FOUND | other, data, "output/run")
    return capsys.readouterr().out


def test_a_class_that_training_does_not_have_weighs_nothing(capsys):
    said = shown(capsys)
    assert "in the loss a pixel counts from 0.74 (0) to 1.50 (1), see" in said
    assert "only in validation, so not learned: 9" in said


def test_weights_of_a_known_palette_are_of_the_colours_that_occur():
    sky, road = CAMVID.classes["sky"], CAMVID.classes["road"]
    seen = Survey("colours", "for a test", True, {sky: 1, road: 2}, {CAMVID.classes["car"]: 3})
    assert of_training(dict.fromkeys(CAMVID.classes, 1.0), seen, CAMVID.exact()).keys() == {"sky", "road"}


@pytest.mark.parametrize(("precision", "words"), [("no", "fp32"), ("bf16", "bf16")])
def test_the_precision_has_its_name(capsys, precision, words):
    assert shown(capsys, precision=precision).endswith(f"run folder output/run, on cpu, {words} precision\n")


def test_what_rounding_leaves_is_not_below_zero():
    pixels = dict(zip(range(5), (574745, 79814, 362631, 627606, 885891), strict=True))
    palette = id_palette([*pixels])
    shares = class_shares({palette.ids[key]: each for key, each in pixels.items()}, palette)
    assert 1 - sum(shares.values()) < 0
    assert f"{ignored_share(shares):.4%}" == "0.0000%"
    assert ignored_share({"0": 0.75}) == 0.25
