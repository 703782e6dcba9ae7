"""Fixtures of the tests of model files."""

from model_files import folder, trap  # noqa: F401
