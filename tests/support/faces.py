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
def directions(generator):
    from draggan.generators import load_directions

    return load_directions(generator)


@pytest.fixture(scope="session")
def faces(generator, detector, directions):
    from draggan.face import Subject

    return [Subject(generator, detector, directions, seed).face() for seed in (0, 5)]


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
