"""One process writes a run folder: a lock that the operating system frees when that process ends.

The lock is a record lock (POSIX, ``fcntl.lockf``) on the file ``.lock`` of the folder. However a process ends, the
lock ends with it, so none is ever stale: not after a kill, nor after the end of a container or of another machine that
shares the folder. A data loader's workers do not inherit it. The file says who holds the lock, for the message alone.
"""

import errno
import fcntl
import json
import os
import socket
from pathlib import Path
from typing import IO

from common.commandline import UserError

NAME = ".lock"


def lock(folder: Path) -> IO[str] | None:
    """Hold the lock of ``folder``, which is made where it is not there.

    Returns:
        the open file: the lock is free again when it is closed. None where the file system knows no locks; then it
        says so, and nothing is locked.

    Raises:
        UserError: if another process holds it, named with its host, or the folder cannot be written.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115  (it stays open)
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror or error}); choose another --output"
        ) from error
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            who = _holder(file)
            file.close()
            raise UserError(
                f"{who} is writing {folder}; wait for it, end it, or choose another --output"
            ) from None
        file.close()
        print(f"{folder} is on a file system without locks: do not start a second run in it")
        return None
    try:
        file.truncate(0)
        json.dump({"host": socket.gethostname(), "pid": os.getpid()}, file)
        file.flush()
    except OSError:  # the disk is full: the lock holds, and the first file of the run will say so
        pass
    return file


def _holder(file: IO[str]) -> str:
    """ "process 123 on host", as the file of a held lock says."""
    try:
        file.seek(0)
        values = json.load(file)
        return f"process {values['pid']} on {values['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
