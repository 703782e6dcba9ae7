"""Ctrl-C, SIGTERM and SIGHUP: one line, and exit code 130, 143 or 129, whatever the process is doing.

``common.interrupts`` calls ``install`` before a script loads anything else. A signal then ends the process from within
its handler: what ``last_step`` registered is done, unfinished files are removed, the line is written. No exception is
raised. One that comes at any moment is swallowed by a library, or printed from a destructor.

So whatever a script writes must bear ``kill -9`` at any moment. A signal is the same with a last word.

Several processes of one run (ranks) have one voice: a pipe with one byte in it. Whoever reads the byte may speak.
"""

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

# What each is called, where the system has it.
NAMES = {
    getattr(signal, name): text
    for name, text in (("SIGINT", "Ctrl-C"), ("SIGTERM", "SIGTERM"), ("SIGHUP", "SIGHUP"))
    if hasattr(signal, name)
}
VOICE = "RUN_VOICE"  # environment variable: the number of the pipe's end for reading
PATIENCE = 5.0  # seconds for code that is not Python to come back, as a rank that waits for another

advice = ""  # behind "stopped by ..."
unfinished: set[str] = set()  # files that nobody needs after this process

_last_steps: list[Callable[[str], object]] = []
_ending = threading.Lock()  # held by the one that ends the process


def install() -> None:
    """End this process by the signals; not by one that was to be ignored, as SIGHUP under nohup."""
    for number in NAMES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    atexit.register(_too_late)  # the first that is registered is the last that is called
    if not hasattr(os, "register_at_fork"):  # Windows
        return
    # Python calls a handler only between two of its own instructions. This pipe is written to at once.
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(ours,), daemon=True, name="signals").start()
    os.register_at_fork(after_in_child=_by_default)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NAMES)  # a parent may have held them back until now


def note() -> list[int]:
    """From now on signals are only noted; the list that they are noted in."""
    noted: list[int] = []
    if threading.current_thread() is threading.main_thread():
        for number in NAMES:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _: noted.append(number))
        signal.set_wakeup_fd(-1)
    return noted


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Signals wait until the body is done. A process that is started in it gets them when it calls ``install``."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NAMES)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def last_step(do: Callable[[str], object]) -> Iterator[None]:
    """While the body runs, a signal calls ``do`` with its name before the process ends."""
    _last_steps.append(do)
    try:
        yield
    finally:
        _last_steps.remove(do)


def exit_code(number: int) -> int:
    """What a shell gives for a process that a signal ended."""
    return 128 + number


def stopped_by(number: int) -> str:
    """The line for the user."""
    return f"stopped by {NAMES[number]}{advice}"


def say(line: str) -> None:
    """Write a line to stderr, unless another process of this run has spoken."""
    if _may_speak():
        with contextlib.suppress(OSError):  # a full disk takes no errors either
            sys.stderr.write(_on_its_own(line))
            sys.stderr.flush()


def _on_its_own(line: str) -> str:
    """The line with its end, and with a beginning where the cursor stands behind a progress bar."""
    bar = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if getattr(bar, "_instances", None) or VOICE in os.environ:
        line = ("\r\033[K" if os.isatty(2) else "\n") + line
    return line + "\n"


def _may_speak() -> bool:
    if VOICE not in os.environ:
        return True
    with contextlib.suppress(OSError, ValueError):  # no byte: somebody has spoken
        return bool(os.read(int(os.environ[VOICE]), 1))
    return False


def several() -> bool:
    """Whether this process is a rank of several, as its launcher says."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


def leave(code: int) -> NoReturn:
    """End the script.

    One rank of several ends without taking anything down. A process group's destruction waits for its
    thread, and that for Python's lock to free its last tensors, which whoever destroys the group may hold. A rank that
    failed may also hold half a collective that the others never finish.
    """
    if not several():
        sys.exit(code)
    try:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        _end_children()
    finally:
        os._exit(code)


def _end(number: int, _: object = None) -> None:
    """The handler. Whatever goes wrong in it, the process ends."""
    if not _ending.acquire(blocking=False):
        return
    try:
        with contextlib.suppress(
            Exception
        ):  # a data loader's workers die of the same signal: that is no error
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for do in reversed(_last_steps):
            with contextlib.suppress(BaseException):
                do(NAMES[number])
        for path in tuple(unfinished):
            with contextlib.suppress(OSError):
                os.unlink(path)
        with contextlib.suppress(Exception):  # it may be in the middle of a write
            sys.stdout.flush()
        # launched by others, ranks have no pipe: the first one speaks
        if (VOICE in os.environ or os.environ.get("RANK", "0") == "0") and _may_speak():
            os.write(2, _on_its_own(stopped_by(number)).encode(errors="replace"))  # past Python's buffers
        _end_children()
    finally:
        os._exit(exit_code(number))


def _too_late() -> None:
    """All is done. Python now takes its handlers away before its modules, which with torch takes a while.

    A signal in that time would end a finished script without a word.
    """
    for number in NAMES:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_IGN)


def _end_children() -> None:
    """A data loader's workers would notice only seconds later that nobody needs them."""
    with contextlib.suppress(Exception):
        for child in sys.modules["multiprocessing"].active_children():
            child.kill()


def _watch(pipe: int) -> None:
    """End the process for a handler that is not called because the main thread waits in foreign code."""
    while (number := os.read(pipe, 1)[0]) not in NAMES:
        pass  # other signals have handlers, too
    time.sleep(PATIENCE)
    if signal.getsignal(number) is _end:
        _end(number)
        time.sleep(PATIENCE)  # the main thread is at it: a disk that does not answer
        os._exit(exit_code(number))


def _by_default() -> None:
    """In a forked child, as a data loader's worker: it ends without a word, and tells nobody of its signals."""
    with contextlib.suppress(ValueError):
        signal.set_wakeup_fd(-1)
        for number in NAMES:
            if signal.getsignal(number) is _end:
                signal.signal(number, signal.SIG_DFL)
