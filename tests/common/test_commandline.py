"""Files are written whole or not at all."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from common.commandline import UserError, option, parse, parse_seeds, write_atomically


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"No space left on device.*free some space"):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["9" * 5000, f"0-{'9' * 5000}", "0-4294967295", "0-999999,1000000-1999999"])
def test_seeds_without_end_are_one_line(text):
    with pytest.raises(UserError, match="--seeds") as caught:
        parse_seeds(text)
    assert len(str(caught.value)) < 500


@dataclass
class Options:
    seed: int = option(0, "a seed")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**400])
def test_numbers_that_no_library_takes_are_refused(number):
    with pytest.raises(UserError, match="--seed .*too large"):
        parse(Options, None, ["--seed", str(number)])
