"""A script imports this before anything else: signals end it in one line while its libraries load, as later.

Torch alone takes seconds. Where not a script but a library or a test imports it, it does nothing.
"""

import os
import sys

from common import signals

_script = getattr(sys.modules["__main__"], "__file__", None) or ""
if _script and os.path.dirname(os.path.abspath(_script)) == os.path.dirname(
    os.path.dirname(os.path.abspath(__file__))
):
    for number in range(3):  # or a file of the run would take the number of a stream that was closed
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    signals.install()
