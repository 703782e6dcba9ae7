"""Fetching a model from the page."""

import sys

import pytest

import common.models
from draggan import generators
from draggan.app.fetches import Fetches, _here
from draggan.app.texts import TranslatedError, error_message


def test_fetching_counts_its_own_file_and_says_why_it_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(generators, "CHECKPOINTS", tmp_path)
    model = common.models.Model("lions", "", "", (common.models.File("lions.pkl", 1000, urls=("x",)),))
    monkeypatch.setattr(common.models, "MODELS", [model])
    (tmp_path / "lions.pkl.part").write_bytes(b"x" * 300)
    (tmp_path / "horses.pkl.part").write_bytes(b"x" * 5000)
    assert _here(model) == 300
    failing = "import sys; print('error: no way there', file=sys.stderr); sys.exit(2)"
    with pytest.raises(TranslatedError) as raised:
        list(Fetches((sys.executable, "-c", failing)).fetch("lions"))
    assert error_message(raised.value).text() == "That did not work: no way there"
    assert list(Fetches().fetch("unknown")) == []
