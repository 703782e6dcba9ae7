"""What the crowd finds in the app's log. The crowd itself: `make torture`."""

import importlib.util
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("crowd.py")
spec = importlib.util.spec_from_file_location("crowd", SCRIPT)
crowd = importlib.util.module_from_spec(spec)
sys.modules["crowd"] = crowd  # its dataclasses look for it there
spec.loader.exec_module(crowd)

LOG = """\
Running on http://127.0.0.1:7860
this went wrong
Traceback (most recent call last):
  File "a.py", line 1, in f
    g()
    ^^^

ValueError: no such face

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 2, in h
    raise Wrong
Wrong
somebody has come
"""


def test_each_traceback_is_found_with_its_error():
    assert crowd.tracebacks(LOG) == ["ValueError: no such face", "Wrong"]
    assert crowd.tracebacks("Running on http://127.0.0.1:7860\nsomebody has come\n") == []
