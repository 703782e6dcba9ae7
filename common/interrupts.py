"""Ctrl-C while a script still loads its libraries: one line and exit code 130, as later.

A script imports this first. ``common.commandline.run`` cares for Ctrl-C only once ``main`` runs, and torch takes
seconds before that.
"""

import os
import sys
from types import TracebackType


def _one_line(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    sys.stderr.write("stopped by Ctrl-C\n")
    sys.stderr.flush()
    os._exit(130)  # half-loaded libraries do not end cleanly


sys.excepthook = _one_line
