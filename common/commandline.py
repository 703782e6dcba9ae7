"""What every script needs of a command line: options from a dataclass, clean endings.

One dataclass field is one flag; its ``help`` text and default show in ``--help``. A user error is raised
as ``UserError`` anywhere below; it ends the script with one line on stderr and exit code 2. Ctrl-C ends it with 130.
"""

import argparse
import contextlib
import dataclasses
import errno
import hashlib
import os
import re
import select
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from common import signals

if TYPE_CHECKING:
    import torch

# Errors of the machine, and what to do about each.
OF_THE_MACHINE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EROFS: "choose another place",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "end other programs",
    errno.EIO: "check the disk",
    errno.ESTALE: "check the network's disk",
    errno.EAGAIN: "allow more processes (ulimit -u)",
}
MOST_SEEDS = 1_000_000  # at once
DEVICES = "auto, cpu, cuda, cuda:N or mps"  # what choose_device knows, for a help text


class UserError(Exception):
    """An error that the user can correct. The text is one line: what is wrong, where, and what to do."""


class _Parser(argparse.ArgumentParser):
    """argparse prints its usage before the error; here an error is one line like any other."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:300]}; `python {self.prog} --help` lists the options")


def option(default: Any, help: str, choices: tuple = (), range: tuple[float, float] | None = None) -> Any:
    """A dataclass field with its text for ``--help``; least and most of a number are for who checks them."""
    return dataclasses.field(
        default=default, metadata={"help": help, "choices": choices or None, "range": range}
    )


def parse(options: type, docstring: str | None, argv: list[str] | None = None) -> Any:
    """Read ``argv`` (default: the command line) into an instance of the dataclass ``options``.

    Supported field types: str, int, float, bool (``--name`` / ``--no-name``) and each of them ``| None``;
    ``tuple[str, ...]`` holds the arguments without a flag. ``class_`` is ``--class``, a word that Python keeps.

    Raises:
        UserError: for an unknown flag or a value of the wrong kind.
    """
    parser = _Parser(
        description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    hints = typing.get_type_hints(options)
    for field in dataclasses.fields(options):
        kind = hints[field.name]
        if kind == tuple[str, ...]:
            name = field.name.upper().removesuffix("S")
            text = field.metadata["help"]
            parser.add_argument(field.name, nargs="*", default=field.default, metavar=name, help=text)
            continue
        if isinstance(kind, types.UnionType):  # "int | None" reads as int
            kind = next(part for part in typing.get_args(kind) if part is not type(None))
        default = "" if field.default in (None, "") else f" (default: {field.default})"
        text = field.metadata["help"] + default
        flag = "--" + field.name.removesuffix("_").replace("_", "-")
        if kind is bool:
            action: Any = argparse.BooleanOptionalAction
            parser.add_argument(flag, dest=field.name, action=action, default=field.default, help=text)
        else:
            parser.add_argument(
                flag,
                dest=field.name,
                type=kind,
                default=field.default,
                choices=field.metadata["choices"],
                metavar=None if field.metadata["choices"] else flag.split("-")[-1].upper(),
                help=text.replace("%", "%%"),
            )
    values = vars(parser.parse_args(argv))
    for name, value in values.items():
        if isinstance(value, int) and not -(2**63) <= value < 2**63:  # no library takes it
            raise UserError(
                f"--{name.removesuffix('_').replace('_', '-')} {str(value)[:20]}...: too large a number"
            )
    return options(**values)


def parse_seeds(text: str) -> list[int]:
    """ "0-3,7" → [0, 1, 2, 3, 7]: each once, in the order given. UserError for anything else."""
    seeds: dict[int, None] = {}
    parts = text.split(",")
    text = text if len(text) < 200 else f"{text[:200]}..."
    for part in parts:
        first, dash, last = part.strip().partition("-")
        if not _is_seed(first) or (dash and not _is_seed(last)):
            raise UserError(
                f"--seeds {text}: {part.strip()[:80]!r} is no seed or range; write 0-7 or 1,5,10-19"
            )
        start, end = int(first), int(last or first)
        if end < start or end >= 2**32:
            raise UserError(f"--seeds {text}: {part.strip()!r} must go upward, from 0 to at most {2**32 - 1}")
        if end - start + len(seeds) >= MOST_SEEDS:
            raise UserError(f"--seeds {text}: more than {MOST_SEEDS:,} at once; give fewer")
        seeds |= dict.fromkeys(range(start, end + 1))
    return list(seeds)


def _is_seed(text: str) -> bool:
    return text.isdecimal() and len(text) <= 10


def run(main: Callable[[], None]) -> NoReturn:
    """Call ``main`` and exit: 0, 2 after a ``UserError`` (one line on stderr), 130 after Ctrl-C.

    A GPU whose memory is full ends like a ``UserError``, for scripts that know no better advice.
    141, without a message, where nobody reads the output any more, as in ``| head``.
    A rank of several leaves in every case as ``signals.leave`` says, and of all ranks the first speaks.
    """
    code = 0
    try:
        _open_streams()
        main()
        sys.stdout.flush()
    except UserError as error:
        # A data loader's worker re-raises with its own traceback before our text; the last line is ours.
        text = str(error).strip().splitlines()[-1].removeprefix(f"{UserError.__module__}.UserError: ")
        code = _failed(text)
    except KeyboardInterrupt:
        signals.say("stopped by Ctrl-C")
        code = 130
    except BrokenPipeError:
        if _reader_gone():
            _forget_output()
            code = 141
        else:
            code = _unexpected()
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        code = end.code or 0
    except BaseException as error:
        text = of_the_machine(error)
        code = _failed(text) if text else _unexpected()
    signals.leave(code)


def _open_streams() -> None:
    """Streams that were closed lead nowhere, and none fails for a name that is no UTF-8."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  (to the end)
        elif hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")


def of_the_machine(error: BaseException) -> str | None:
    """What to say of an error that is the machine's: memory or disk full, a file that cannot be had. Else None."""
    text = (str(error).splitlines() or [""])[0]
    if isinstance(error, RuntimeError) and "out of memory" in text:  # CUDA's and Apple's own words
        return f"{text[:160]}; end other programs that use this GPU, or choose another --device"
    no_memory = isinstance(error, RuntimeError) and "t allocate memory" in text  # PyTorch's
    if no_memory or isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return "the memory of this machine is full; end other programs, or compute less at once"
    if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
        what = error.filename if isinstance(error.filename, str) else "a file or the output"
        return f"{what}: {error.strerror}; {OF_THE_MACHINE[error.errno]}, and run it again"
    return None


def _failed(text: str) -> int:
    """Say what the user can correct, if no other rank did; the exit code."""
    signals.say(f"error: {text}")
    try:
        sys.stdout.flush()
    except OSError:
        _forget_output()
    return 2


def _forget_output() -> None:
    """What nobody takes would be tried again when Python ends, and fail with a message of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unexpected() -> int:
    """What no user can correct ends with a traceback. A rank leaves here, before its networks are taken down."""
    if not signals.several():
        raise
    sys.excepthook(*sys.exc_info())
    return 1


def _reader_gone() -> bool:
    """Whether stdout is a pipe that nobody reads any more."""
    state = select.poll()
    state.register(sys.stdout, 0)  # errors are always reported
    return any(event & select.POLLERR for _, event in state.poll(0))


def choose_device(name: str) -> "torch.device":
    """The device called auto, cpu, cuda, cuda:N or mps; auto takes a GPU where there is one.

    A GPU given by its number becomes the current one, for whatever says "cuda" and no number.

    Raises:
        UserError: for any other name, and if the device is not there.
    """
    import torch  # here, so that scripts without networks start at once

    kind, colon, number = name.partition(":")
    if name not in ("auto", "cpu", "cuda", "mps") and not (kind == "cuda" and re.fullmatch("[0-9]+", number)):
        raise UserError(f"--device {name}: unknown; use {DEVICES}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device {name}: this PyTorch sees no CUDA GPU; use --device auto or cpu")
    if colon:
        count = torch.cuda.device_count()
        if int(number) >= count:
            there = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
            raise UserError(f"--device {name}: there is no such GPU; use {there}, or --device auto")
        torch.cuda.set_device(int(number))
        return torch.device("cuda", int(number))
    if name == "mps" and not torch.backends.mps.is_available():
        raise UserError("--device mps: this machine has no Apple GPU; use --device auto or cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return torch.device(name)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to disk and rename it into place.

    A reader, or a run killed at any moment, finds either the old file or the whole new one.

    Raises:
        UserError: if the file cannot be written (disk full, no permission); ``path`` is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    if len(os.fsencode(temporary.name)) > 255:  # the longest that file systems know
        temporary = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        signals.unfinished.add(str(temporary))
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # torch.save reports a full disk as a RuntimeError
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        if "unexpected pos" in reason:  # torch's word for a write that ended early
            reason = "the disk took only a part of it"
        misplaced = isinstance(
            error, PermissionError | NotADirectoryError | FileExistsError | IsADirectoryError
        ) or getattr(error, "errno", None) in (errno.EROFS, errno.ENAMETOOLONG)
        advice = "choose another place" if misplaced else "free some space"
        again = signals.advice or " and run it again"
        raise UserError(f"{path} could not be written ({reason}); {advice}{again}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        signals.unfinished.discard(str(temporary))
