"""A script's ``main`` in a forked process: hundreds of trials without loading torch for each."""

import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Ended:
    """How a trial ended. ``code`` is None where it did not end in time, negative where a signal ended it."""

    code: int | None
    out: str
    err: str
    seconds: float
    mib: float  # most memory that it had beyond that of this process
    cpu: float = 0.0  # seconds that it computed

    @property
    def error(self) -> str:
        """The one line of a user error; "" where there is not exactly one, or a traceback."""
        lines = [line for line in self.err.replace("\r", "\n").splitlines() if line.startswith("error: ")]
        return lines[0] if self.code == 2 and len(lines) == 1 and "Traceback" not in self.err else ""


def forked(
    main: Callable[[], None],
    *arguments: object,
    before: Callable[[], object] = lambda: None,
    seconds: float = 60,
) -> Ended:
    """Run ``main`` with these arguments, as a command line runs it.

    Args:
        before: called in the new process.
        seconds: after which it is killed.
    """
    from common.commandline import run

    with contextlib.ExitStack() as closed:
        out, err = (closed.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        began = time.monotonic()
        child = os.fork()
        if not child:
            try:
                os.setpgid(0, 0)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.stdin, sys.stdout, sys.stderr = None, open(1, "w"), open(2, "w")  # noqa: SIM115
                sys.argv = ["script.py", *map(os.fspath, map(_text, arguments))]
                before()
                run(main)
            except SystemExit as end:
                for stream in (sys.stdout, sys.stderr):
                    stream.flush()
                os._exit(end.code or 0)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(1)
        code, usage = _wait(child, began + seconds)
        taken = time.monotonic() - began
        for stream in (out, err):
            stream.seek(0)
        texts = [stream.read().decode(errors="replace") for stream in (out, err)]
    grown = (usage.ru_maxrss - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
    return Ended(code, *texts, taken, max(grown, 0.0), usage.ru_utime + usage.ru_stime)


def _text(value: object) -> str | Path:
    return value if isinstance(value, str | Path) else str(value)


def _wait(child: int, end: float) -> tuple[int | None, resource.struct_rusage]:
    while True:
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), usage
        if time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            return None, os.wait4(child, 0)[2]
        time.sleep(0.005)
