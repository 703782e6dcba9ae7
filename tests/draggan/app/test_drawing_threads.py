"""Many threads of the app draw: how much memory they may take between them."""

import platform
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from app_server import ROOT

from draggan.app.models import Models
from draggan.face import Subject

# How many arenas glibc has after eight threads have taken and freed memory at once.
COUNT_ARENAS = """
import ctypes, sys, tempfile, threading
from draggan.generators import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
together = threading.Barrier(8)

def draw():
    together.wait()
    bytearray(100_000)
    together.wait()

threads = [threading.Thread(target=draw) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(file.read().count(b"<heap "))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc")
def test_threads_keep_no_memory_each_for_itself():
    def arenas(how: str) -> int:
        command = [sys.executable, "-c", COUNT_ARENAS, how]
        return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    assert arenas("not") > 1
    assert arenas("kept") == 1


def test_faces_for_many_visitors_are_drawn_one_at_a_time(monkeypatch):
    now, most = set(), []

    def draw(subject, face, size=None):
        now.add(subject.seed)
        most.append(len(now))
        time.sleep(0.05)
        now.discard(subject.seed)
        return np.full((4, 4, 3), subject.seed, np.uint8)

    monkeypatch.setattr(Subject, "draw", draw)
    models, shown = Models(), {}
    models.generator(models.default)

    def visit(seed: int) -> None:
        shown[seed] = models.face(models.default, seed).picture

    threads = [threading.Thread(target=visit, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 6
    assert all((shown[seed] == seed).all() for seed in range(6))
