"""Signals: one line and an exit code, wherever the process is; what it had to say and to clear away is done."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from segmentation_data import ROOT

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
READY = "print('ready', flush=True)\n"


def start(code: str, *arguments, ignored: tuple[int, ...] = (), **more) -> subprocess.Popen:
    """A process with our handlers that runs ``code``, after its line "ready"."""
    code = f"import sys, time; sys.path.insert(0, {str(ROOT)!r})\nfrom common import signals\n{code}"

    def before() -> None:
        for number in CODES:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], preexec_fn=before, **pipes, **more
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", CODES)
def test_one_line_and_the_code(number):
    process = start(f"signals.install()\n{READY}time.sleep(600)")
    process.send_signal(number)
    _, error = process.communicate(timeout=600)
    assert (process.returncode, error) == (CODES[number], f"stopped by {NAMES[number]}\n")


def test_no_library_swallows_it_and_the_last_steps_are_done(tmp_path):
    code = f"""
import pathlib
signals.install()
signals.advice = "; go on"
file, status = map(pathlib.Path, sys.argv[1:])
file.write_text("half")
signals.unfinished.add(str(file))
def fail(name):
    raise ValueError(name)
with signals.last_step(status.write_text), signals.last_step(fail):
    {READY}
    while True:
        try:
            time.sleep(0.001)
        except BaseException:
            pass
"""
    process = start(code, tmp_path / "file", tmp_path / "status")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=600)
    number = process.returncode - 128  # either of the two may be seen first
    assert error == f"stopped by {NAMES[number]}; go on\n"
    assert (tmp_path / "status").read_text() == NAMES[number]
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("number", CODES)
def test_a_script_that_is_done_ends_as_it_would_have(number):
    """While Python takes its modules down, it has no handlers any more."""
    code = f"""
import os
signals.install()
class Last:
    def __del__(self, kill=os.kill, sleep=time.sleep, pid=os.getpid()):
        kill(pid, {number:d})
        sleep(0.1)
last = Last()
{READY}"""
    process = start(code)
    _, error = process.communicate(timeout=600)
    assert (process.returncode, error) == (0, "")


def test_code_that_never_comes_back_to_python_is_ended():
    code = f"""
import ctypes
signals.PATIENCE = 0.3
signals.install()
lock = ctypes.create_string_buffer(64)
libc = ctypes.CDLL(None)
libc.pthread_mutex_lock(lock)
{READY}
libc.pthread_mutex_lock(lock)
"""
    process = start(code)
    process.send_signal(signal.SIGHUP)
    _, error = process.communicate(timeout=600)
    assert (process.returncode, error) == (129, "stopped by SIGHUP\n")


def test_what_was_to_be_ignored_is():
    process = start(f"signals.install()\n{READY}time.sleep(600)", ignored=(signal.SIGHUP,))
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=600)[1] == "stopped by SIGTERM\n"


def test_a_child_ends_silently_and_its_parent_goes_on():
    code = f"""
import os, signal
signals.PATIENCE = 0.2
signals.install()
child = os.fork()
if not child:
    time.sleep(600)
time.sleep(0.5)
os.kill(child, signal.SIGINT)
status = os.waitpid(child, 0)[1]
{READY}
time.sleep(1)
print(os.WTERMSIG(status))
"""
    out, error = start(code).communicate(timeout=600)
    assert (out, error) == (f"{signal.SIGINT:d}\n", "")


def test_a_signal_waits_for_a_process_that_is_being_started():
    """It has no handler yet, and its parent holds the signals back for it."""
    child = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from common import signals; signals.install()"
    code = f"""
import signal, subprocess
signals.install()
with signals.held_back():
    child = subprocess.Popen([sys.executable, "-c", {child!r}])
child.send_signal(signal.SIGTERM)
print("ready", flush=True)
print(child.wait())
"""
    assert start(code).communicate(timeout=600) == ("143\n", "stopped by SIGTERM\n")


def test_of_several_processes_one_speaks():
    code = """
import os, signal
signals.install()
if sys.argv[1:]:
    signals.say("error: " + sys.argv[1])
    os.kill(os.getpid(), signal.SIGINT)
print("ready", flush=True)
time.sleep(600)
"""
    voice, token = os.pipe()
    os.write(token, b"1")
    os.set_blocking(voice, False)
    environment = os.environ | {"RUN_VOICE": str(voice)}
    first = start(code, env=environment, pass_fds=[voice])
    script = f"import sys, time; sys.path.insert(0, {str(ROOT)!r})\nfrom common import signals\n{code}"
    second = subprocess.run(
        [sys.executable, "-c", script, "disk"],
        env=environment,
        pass_fds=[voice],
        stderr=subprocess.PIPE,
        text=True,
        timeout=600,
    )
    first.send_signal(signal.SIGTERM)
    assert first.communicate(timeout=600)[1] == ""
    os.close(voice)
    os.close(token)
    assert second.stderr.split() == ["error:", "disk"]
    assert (first.returncode, second.returncode) == (143, 130)


def test_a_library_that_imports_a_script_keeps_its_signals():
    code = f"import sys, signal; sys.path.insert(0, {str(ROOT)!r}); import common.interrupts"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(repr(signal.getsignal(15)))"], capture_output=True, text=True
    )
    assert "SIG_DFL" in done.stdout, done.stderr


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("script", ["train_l1.py", "train_cgan.py", "predict.py"])
def test_while_libraries_load(tmp_path: Path, script, number):
    (tmp_path / "torch.py").write_text(
        "import sys, time; print('ready', file=sys.stderr, flush=True)\nwhile True:\n"
        " try: time.sleep(0.001)\n except BaseException: pass"
    )
    process = subprocess.Popen(
        [sys.executable, ROOT / script, "--help"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in CODES],
    )
    assert process.stderr.readline() == "ready\n"
    process.send_signal(number)
    _, error = process.communicate(timeout=600)
    assert (process.returncode, error) == (CODES[number], f"stopped by {NAMES[number]}\n")
