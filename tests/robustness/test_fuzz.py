"""Two hundred damaged files of every format, in under a minute; and that the fuzzer sees what it looks for."""

import importlib.util
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import fuzz_audit
import fuzz_formats
import fuzz_mutations
import pytest

SCRIPT = Path(__file__).with_name("fuzz.py")
ROOT = SCRIPT.parents[2]
spec = importlib.util.spec_from_file_location("fuzz", SCRIPT)
fuzz = importlib.util.module_from_spec(spec)
sys.modules["fuzz"] = fuzz  # its dataclasses look for it there
spec.loader.exec_module(fuzz)


def test_two_hundred_files_of_every_format_break_nothing():
    command = [sys.executable, str(SCRIPT), "--count", "200", "--seed", "19"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-2000:]
    lines = run.stdout.splitlines()
    assert lines[-1] == f"{200 * len(fuzz.FORMATS)} files, 0 breaks"
    for name, line in zip(fuzz.FORMATS, lines, strict=False):
        assert line.split()[0] == name
        opened, refused = int(line.split()[1]), int(line.split()[3])
        assert opened + refused == 200
        assert min(opened, refused) >= 5, line  # damage is neither always deadly nor without effect


WATCHED = """
import json, pickle, subprocess, sys, time
from pathlib import Path
sys.path[:0] = [{root!r}, {support!r}]
import fuzz_audit
class Evil:
    def __reduce__(self):
        import os
        return os.system, ("true",)
evil, code = pickle.dumps(Evil()), compile("1 + 1", "a file", "eval")
def three_gigabytes(): return bytearray(3 << 30)
def slow():
    start = time.process_time()
    while time.process_time() - start < 0.4: pass
def fine(): return pickle.dumps([1]), open({scratch!r} + "/own", "w").close()
tries = {{
    "fine": fine, "pickle": lambda: pickle.loads(evil), "find": lambda: pickle.loads(pickle.dumps(Path("x"))),
    "eval": lambda: eval(code), "process": lambda: subprocess.run(["true"]), "memory": three_gigabytes, "slow": slow,
    "writes": lambda: open("/tmp/not-allowed-here", "a").close(),
    "trap": lambda: open({scratch!r} + "/TRAP", "w").close(),
}}
fuzz_audit.warm_up()
watch = fuzz_audit.Watch(Path({scratch!r}), 1 << 30, 0.3)
for name, action in tries.items():
    kind, text = "opened", ""
    watch.begin()
    try:
        action()
    except BaseException as error:
        kind, text = "broke", watch.where(error)
    print(json.dumps([name, *watch.end(kind, text)]))
watch.begin(); print(json.dumps(["lines", *watch.end("refused", "a\\nb")]))
"""


def test_the_watch_sees_what_code_could_do(tmp_path):
    support = str(Path(fuzz_audit.__file__).parent)
    code = WATCHED.format(root=str(ROOT), support=support, scratch=str(tmp_path))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    found = {name: (kind, text) for name, kind, text, _ in map(json.loads, run.stdout.splitlines())}
    Path("/tmp/not-allowed-here").unlink(missing_ok=True)
    assert found["fine"][0] == "opened"
    for name, words in {
        "pickle": "ran code: pickle.find_class", "find": "ran code: pickle.find_class",
        "eval": "ran code: exec of a file",
        "process": "ran code: subprocess.Popen", "memory": "too much memory", "slow": "slow, 0.",
        "writes": "ran code: writes /tmp/not-allowed-here", "trap": "the trap exists",
    }.items():  # fmt: skip
        assert found[name][0] == "broke", (name, found[name])
        assert words in found[name][1], (name, found[name])
    # After the trap everything counts as broken, which is right: nothing that follows can be trusted.
    assert found["lines"][0] == "broke"


def test_a_process_that_ends_or_hangs_is_a_break_and_the_next_file_gets_another(tmp_path, monkeypatch):
    worker = fuzz.Worker(fuzz.Options(), ["npy"], tmp_path)
    begin = "import sys, time; sys.stdin.readline(); print('0', flush=True); "
    monkeypatch.setattr(fuzz, "READY", 0)
    ends = begin + "sys.stdin.readline(); sys.exit('bad luck')"
    worker.command = [sys.executable, "-c", ends]
    assert worker.open("npy", 0) == ["broke", "the process ended: 1, bad luck", 0.0]
    monkeypatch.setattr(fuzz, "HANG", 0.5)
    hangs = begin + "time.sleep(100)"
    worker.command = [sys.executable, "-c", hangs]
    assert worker.open("npy", 1)[1] == "hangs"
    answers = begin + "sys.stdin.readline(); print('[1, 2, 3]', flush=True); time.sleep(100)"
    worker.command = [sys.executable, "-c", answers]
    monkeypatch.setattr(fuzz, "HANG", 20)
    assert worker.open("npy", 2) == [1, 2, 3]
    worker.close()


@pytest.mark.parametrize("name", fuzz.FORMATS)
def test_the_same_seed_gives_the_same_files_and_each_is_damaged(name):
    form = fuzz_formats.FORMATS[name]
    whole = form.files()
    same = [fuzz.damaged(form, name, 7, number, whole) for number in range(12)]
    assert same == [fuzz.damaged(form, name, 7, number, whole) for number in range(12)]
    assert sum(files not in whole for files in same) >= 10
    others = [fuzz.damaged(form, name, 8, number, whole) for number in range(12)]
    assert same != others


def test_whole_files_are_the_same_in_every_process_and_order():
    paths = [str(ROOT), str(Path(fuzz_formats.__file__).parent)]
    code = (
        f"import sys; sys.path[:0] = {paths}; import json, fuzz_formats as f; print(json.dumps(f.hashes(-1)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == fuzz_formats.hashes(1)


def test_every_kind_of_change_is_made_in_the_parts_of_a_file():
    """A changed pickle still has instructions, a changed list of tensors is still there: not noise alone."""
    (files, *_) = fuzz_formats.FORMATS["directions"].files()
    (data,) = files.values()
    readable = 0
    for number in range(200):
        changed = fuzz_mutations._safetensors(data, random.Random(number))
        size = int.from_bytes(changed[:8], "little")
        try:
            json.loads(changed[8 : 8 + size])
        except (ValueError, RecursionError):
            continue
        readable += 1
    assert 120 < readable < 200
    start = time.process_time()
    for number in range(50):
        fuzz_mutations.mutate("pickle", b"\x80\x04}.", random.Random(number))
    assert time.process_time() - start < 5


def test_the_command(tmp_path):
    run = subprocess.run([sys.executable, str(SCRIPT), "--list"], capture_output=True, text=True, timeout=60)
    assert tuple(run.stdout.split()) == fuzz.FORMATS == tuple(fuzz_formats.FORMATS)
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--format", "x"], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 2
    assert run.stderr.startswith("error: --format x: unknown; there are nvidia,")
    command = [
        sys.executable,
        str(SCRIPT),
        "--format",
        "npy",
        "--only",
        "3",
        "--keep",
        str(tmp_path / "kept"),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.name == "npy-0-3-a.npy"
    form = fuzz_formats.FORMATS["npy"]
    assert kept.read_bytes() == fuzz.damaged(form, "npy", 0, 3, form.files())["a.npy"]
