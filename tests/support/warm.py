"""Scripts as a user starts them, without the seconds in which their libraries load.

    process = Process([sys.executable, "train_l1.py", "--help"], stdout=subprocess.PIPE)   # as subprocess.Popen
    done = run([sys.executable, "train_l1.py", "--help"], timeout=60)                      # as subprocess.run

Beside each test process stands one that has loaded the libraries, and nothing of this project. A script is a fork of
it: with its own arguments, environment, folder and streams, as ``__main__``, from its first line until Python has
taken everything down.

A second one has loaded torch and nothing else (``torch_only``), for a script that is to import by itself whatever it
needs. tests/test_docs.py starts each command so, and some of them where nothing at all is loaded.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    *(
        "torch",
        "torch._dynamo",
        "torchvision.transforms.v2",
        "torch.utils.tensorboard",
        "accelerate.tracking",
    ),
    *("numpy", "cv2", "dlib", "PIL.Image", "psutil", "safetensors.torch", "tqdm"),
)
TORCH = (
    "torch",
    "torch._dynamo",
)  # the second is what torch itself loads when an optimiser makes its first step
MORE = {"gragan_modify.py": ("gradio",)}  # what one script alone needs
LIBRARY_PATH = os.environ.get("PYTHONPATH")
FORKS = sys.platform == "linux"  # elsewhere libraries do not bear it
MESSAGE = 1 << 17  # bytes at most

# --- in a test process ------------------------------------------------------------------------------------


class Process(subprocess.Popen):
    """A script in a fork of the process that has the libraries.

    With ``preexec_fn``, or where Python is to look for libraries elsewhere, in a process of its own.
    """

    _report: int | None = None  # what its keeper tells: its number, then its exit code

    def __init__(self, *rest, torch_only: bool = False, **more):
        self._torch_only = torch_only
        super().__init__(*rest, **more)

    def _execute_child(self, args, executable, preexec_fn, *rest) -> None:
        _, _, folder, environment, _, _, shell, *pipes = rest[:13]
        environment = dict(os.environ if environment is None else environment)
        if preexec_fn or not FORKS or environment.get("PYTHONPATH") != LIBRARY_PATH:
            super()._execute_child(args, executable, preexec_fn, *rest)
            return
        assert not shell
        given = (pipes[0], pipes[3], pipes[5])
        what = {
            "arguments": [os.fspath(argument) for argument in args[1:]],
            "folder": os.path.abspath(folder or "."),
            "environment": environment,
            "session": rest[18],
        }
        self._report, theirs = os.pipe()
        with self._waitpid_lock:
            streams = [number if each == -1 else each for number, each in enumerate(given)]
            connection = _libraries()[self._torch_only]
            socket.send_fds(connection, [json.dumps(what).encode()], [*streams, theirs])
        os.close(theirs)
        self._close_pipe_fds(*pipes)
        self.pid = int(self._told())
        self._child_created = True

    def __exit__(self, kind, *rest) -> None:
        """Where a test has failed, nobody will end what it started."""
        if kind is not None and self.poll() is None:
            self.kill()
        super().__exit__(kind, *rest)

    def _told(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._report, 1)
            assert byte, "the process that has the libraries is gone"
            line += byte
        return line.decode()

    def _try_wait(self, wait_flags) -> tuple[int, int]:
        if self._report is None:
            return super()._try_wait(wait_flags)
        if wait_flags & os.WNOHANG and not select.select([self._report], [], [], 0)[0]:
            return 0, 0
        status = int(self._told())
        os.close(self._report)
        return self.pid, status

    def _internal_poll(self, *rest, **more) -> int | None:
        if self._report is None:
            return super()._internal_poll(*rest, **more)
        if self.returncode is None and self._waitpid_lock.acquire(False):
            try:
                pid, status = self._try_wait(os.WNOHANG) if self.returncode is None else (0, 0)
                if pid:
                    self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode


def run(arguments: list, timeout: float, **more) -> subprocess.CompletedProcess:
    """What the script wrote, as text, and its exit code; it is killed where it takes longer."""
    with Process(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more) as process:
        out, error = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(arguments, process.returncode, out, error)


@functools.cache
def _libraries() -> list[socket.socket]:
    """Start the process that has them, and the one that has torch. They end with this one."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
    numbers = [theirs.fileno() for _, theirs in pairs]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment |= {"GRADIO_ANALYTICS_ENABLED": "False"}
    # Of its launcher a training script reads how many processes there are to be, where it is told to use several.
    command = [sys.executable, __file__, *map(str, numbers), "--num_processes=2"]
    subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, pass_fds=numbers)
    for _, theirs in pairs:
        theirs.close()
    return [ours for ours, _ in pairs]


# --- in the process that has the libraries ----------------------------------------------------------------


def serve(requests: socket.socket, more: dict[str, tuple[str, ...]]) -> list[str]:
    """Fork for each request; returns in the fork, with the script and its arguments.

    Args:
        more: what a script by that name alone needs, loaded before its first fork.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, it comes to all that run in it
    while True:
        message, streams, *_ = socket.recv_fds(requests, MESSAGE, 4)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not message:
            os._exit(0)
        what = json.loads(message)
        load(more.get(os.path.basename(what["arguments"][0]), ()))
        if not os.fork():
            requests.close()
            return become(what, streams)
        for stream in streams:
            os.close(stream)


def become(what: dict, streams: list[int]) -> list[str]:
    """Fork again: one waits for the other and says how it ended. The other is as if it had just been started."""
    *streams, report = streams
    if script := os.fork():
        for stream in streams:
            os.close(stream)
        os.write(report, b"%d\n" % script)
        os.write(report, b"%d\n" % os.waitpid(script, 0)[1])
        os._exit(0)
    os.close(report)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = open(number, "w" if number else "r", encoding="utf-8", errors="strict", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    if what["session"]:
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(what["folder"])
    os.environ.clear()
    os.environ.update(what["environment"])
    tempfile.tempdir = None  # asked for again: a library may have asked before
    return what["arguments"]


def load(libraries: tuple[str, ...]) -> None:
    for name in libraries:
        importlib.import_module(name)
    gc.freeze()  # or the first collection of every fork would write to all that it shares with the others
    assert threading.active_count() == 1, threading.enumerate()


def load_all() -> list:
    """Load the libraries, and forget what of this project helped; what must live on."""
    sys.path.insert(0, str(ROOT))
    operators = importlib.import_module("common.torchvision_ops")
    load(LIBRARIES)
    for name in [name for name in sys.modules if name.partition(".")[0] == "common"]:
        del sys.modules[name]
    sys.path.remove(str(ROOT))
    return [operators]


def run_script(path: str) -> None:
    """As ``__main__``, whose file has its whole path while ``sys.argv`` keeps what was given (runpy has them alike)."""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__file__ = os.path.abspath(path)
    exec(compile(Path(path).read_bytes(), main.__file__, "exec"), vars(main))


class Ending:
    """Registered before all others, this is the last that Python calls. It leaves the libraries standing."""

    code: int | None = None

    def __call__(self) -> None:
        if self.code is not None:
            gc.collect()
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(AttributeError, OSError, ValueError):
                    stream.flush()
            os._exit(self.code)

    def __enter__(self) -> None:
        self.code = 0

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, SystemExit):
            self.code = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error:
            self.code = None if isinstance(error, KeyboardInterrupt) else 1


if __name__ == "__main__":
    atexit.register(ending := Ending())
    connections = [socket.socket(fileno=int(number)) for number in sys.argv[1:3]]
    load(TORCH)
    torch_only = not os.fork()
    connections.pop(not torch_only).close()
    kept = [] if torch_only else load_all()
    with connections[0] as connection:
        sys.argv = serve(connection, {} if torch_only else MORE)
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    with ending:
        run_script(sys.argv[0])
