"""What support/warm.py starts runs and ends as what Python starts."""

import os
import subprocess
import sys
import time

import pytest
import warm

SCRIPTS = {
    "code": "import sys; print('out'); print('error', file=sys.stderr); sys.exit(3)",
    "words": "import sys; sys.exit('no good')",
    "exception": "print('out'); raise ValueError('no good')",
    "ctrl-c": "raise KeyboardInterrupt",
    "signal": "import os; print('out', flush=True); os.kill(os.getpid(), 15)",
    "ending": "import atexit, threading, time\natexit.register(print, 'last')\n"
    "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()\nprint('first')",
    "place": "import os, sys, tempfile\n"
    "print(__name__, __file__, sys.argv, sys.path[0], os.getcwd(), os.environ['WISH'], tempfile.gettempdir())",
    "modules": "import sys; print([name for name in sys.modules if name.split('.')[0] in ('common', 'warm')])",
    "input": "print(repr(input()))",
    "signals": "import signal; print([signal.getsignal(n) for n in (1, 2, 13, 15)])",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_ends_as_it_would(tmp_path, name):
    script = tmp_path / "script.py"
    script.write_text(SCRIPTS[name])
    words = [sys.executable, str(script), "--flag", "with space"]
    how = {"env": os.environ | {"WISH": "ü", "TMPDIR": str(tmp_path)}, "cwd": tmp_path}
    results = []
    for kind in (subprocess.Popen, warm.Process):
        reader, writer = os.pipe()
        os.write(writer, b"a line\n")
        os.close(writer)
        pipes = {"stdin": reader, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with kind(words, **pipes, **how) as process:
            os.close(reader)
            out, error = process.communicate(timeout=600)
        results.append((process.returncode, out, error.splitlines()[-1:]))
    assert results[0] == results[1]


def test_it_is_waited_for_and_killed_like_any_other(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import time; print('up', flush=True); time.sleep(600)")
    with warm.Process([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.05)
        process.kill()
        assert process.wait(600) == process.poll() == -9
    began = time.monotonic()
    with pytest.raises(ZeroDivisionError), warm.Process([sys.executable, script]):
        1 / 0  # noqa: B018  a test that fails
    assert time.monotonic() - began < 300
