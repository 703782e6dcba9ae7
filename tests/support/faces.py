"""The default generator, the detector and faces made with them, loaded once for all tests of a run.

Nobody may change them: a test that needs a generator to change takes a copy (``generator.copy_with``).
"""

import sys

import pytest


@pytest.fixture(scope="session")
def generator():
    from draggan.generators import load_generator

    return load_generator()


@pytest.fixture(scope="session")
def detector():
    from draggan.landmarks import DlibDetector

    return DlibDetector()


@pytest.fixture(scope="session")
def editor(generator, detector):
    from draggan.editor import FaceEditor
    from draggan.generators import load_directions

    return FaceEditor(generator, detector, load_directions(generator))


@pytest.fixture(scope="session")
def faces(editor):
    return [editor.look(editor.generator.seed_styles(seed)) for seed in (0, 5)]


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a script in this process: (exit code, stdout, stderr)."""
    from common.commandline import run

    def call(script, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [script.__file__, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(script.main)
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return call
