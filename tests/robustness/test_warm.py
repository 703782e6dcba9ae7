"""What support/warm.py starts runs and ends as what Python starts."""

import ast
import json
import os
import subprocess
import sys
import time
from pathlib import Path

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
    words = [sys.executable, script.name, "--flag", "with space"]
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


def torch_names(path: Path) -> set[str]:
    """Names such as torch.nn.functional.relu that a file reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and (name := ast.unparse(node)).startswith("torch.")
        if name.replace(".", "").isidentifier()
    }


def test_what_the_commands_take_from_torch_comes_with_it():
    """Where torch._dynamo is loaded, parts of torch are there that a user's command would have to import."""
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=warm.ROOT, capture_output=True, text=True).stdout
    files = [name for name in listed.splitlines() if not name.startswith("tests/")]
    assert len(files) > 50
    code = """
import functools, json, sys, torch
missing = []
for name in json.load(sys.stdin):
    try:
        functools.reduce(getattr, name.split(".")[1:], torch)
    except AttributeError:
        missing.append(name)
print(missing)"""
    names = sorted(set().union(*(torch_names(warm.ROOT / name) for name in files)))
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(names), capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stdout + done.stderr


def test_where_torch_alone_is_loaded_nothing_else_is(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys; print(sorted({'torch', 'cv2', 'dlib', 'torchvision', 'PIL'} & sys.modules.keys()))"
    )
    for torch_only, loaded in ((True, ["torch"]), (False, ["PIL", "cv2", "dlib", "torch", "torchvision"])):
        done = warm.run([sys.executable, script], timeout=600, torch_only=torch_only)
        assert done.stdout == f"{loaded}\n", done.stderr
