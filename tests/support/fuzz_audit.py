"""Watches a process that opens files which are not trusted: what it does, how long it takes, and how much it needs."""

import ast
import codecs
import collections
import dataclasses
import os
import resource
import sys
import time
import traceback
from pathlib import Path

# What nothing but code in a file could want here.
FORBIDDEN = (
    "os.system os.exec os.posix_spawn os.spawn os.fork os.forkpty os.kill os.putenv os.startfile os.chmod os.chown "
    "subprocess.Popen socket.connect socket.bind socket.getaddrinfo ctypes.dlopen pty.spawn shutil.move "
    "pickle.find_class builtins.input urllib.Request webbrowser.open ftplib.connect"
).split()
MEMORY = ("memory is needed", "not enough memory", "allocate memory", "Unable to allocate", "MemoryError")


def warm_up() -> None:
    """Import what errors and codecs import on their first use, so that it is not taken for code of a file."""
    for name in ("utf-8", "latin-1", "ascii", "utf-16", "utf-32", "cp437", "unicode_escape", "idna"):
        codecs.lookup(name)
    for _ in range(2):
        try:
            ast.literal_eval("{'a': (1, 2), 'b': False")
        except SyntaxError:
            traceback.format_exc()


class Watch:
    """From now on the process may need so many bytes more; each file so many seconds of the processor."""

    def __init__(self, scratch: Path, spare: int, seconds: float):
        self.scratch, self.most, self.seen = scratch, seconds, []
        self.allowed = tuple(str(Path(p).resolve()) for p in {*sys.path, sys.prefix, sys.base_prefix} if p)
        self.active = False
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + spare,) * 2)
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple) -> None:
        if not self.active:
            return
        if event in FORBIDDEN:
            self.seen.append(f"{event} {arguments!r}"[:200])
        elif event == "exec":
            source = getattr(arguments[0], "co_filename", "")
            frame = sys._getframe(1)
            ours = frame.f_code.co_filename in (
                collections.__file__,
                dataclasses.__file__,
            )  # they write classes
            # What is imported from where programs lie is ours, too.
            if not ours and not source.startswith(("<frozen", *self.allowed)):
                by = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                self.seen.append(f"exec of {source} {getattr(arguments[0], 'co_names', '')!r} by {by}"[:200])
        elif event == "open":
            path, mode, flags = arguments
            writes = isinstance(mode, str) and set(mode) & set("wax+")
            writes = writes or (mode is None and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            if writes and isinstance(path, str | bytes):
                place = os.path.abspath(os.fsdecode(path))
                if not place.startswith((str(self.scratch), "/dev/null", "/dev/shm", "/proc")):
                    self.seen.append(f"writes {place}"[:200])

    def begin(self) -> None:
        self.seen.clear()
        self.start = time.process_time()
        self.active = True

    def where(self, error: BaseException) -> str:
        last = traceback.extract_tb(error.__traceback__)[-3:]
        places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(last))
        return f"{type(error).__name__}: {str(error)[:200]} ({places})"

    def end(self, kind: str, text: str) -> tuple[str, str, float]:
        """What came of it: kind, text and seconds."""
        self.active = False
        seconds = time.process_time() - self.start
        if self.seen:
            return "broke", f"ran code: {self.seen[0]}", seconds
        if (self.scratch / "TRAP").exists():
            return "broke", "ran code: the trap exists", seconds
        if kind == "refused" and ("\n" in text or not text.isprintable()):
            return "broke", f"not one line: {text!r}"[:300], seconds
        if any(word in text for word in MEMORY):
            return "broke", f"too much memory: {text[:300]}", seconds
        if seconds > self.most:
            return "broke", f"slow, {seconds:.1f} s: {text[:200]}", seconds
        return kind, text[:300], seconds
