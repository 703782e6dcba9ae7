"""Where a run computes: its device, its precision and, under ``accelerate launch``, its processes."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import psutil
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch.distributed import DistError, TCPStore

from common import signals
from common.commandline import UserError, choose_device

FIRST = 1.0  # seconds for a failed rank, or the process that started it, to say why

_kept: list[object] = []


def start_cpu_ranks() -> None:
    """Make ``accelerate launch --cpu --num_processes N`` start N processes, as it does with GPUs.

    Without MPI accelerate starts one and says nothing (huggingface/accelerate, issue 2741): it sets the
    address where ranks would meet, but no ranks. Seeing that, this process starts them, waits, and exits
    with their code. In every other case it returns at once.
    """
    if os.environ.get("ACCELERATE_USE_CPU") != "True" or "MASTER_ADDR" not in os.environ:
        return
    if {"LOCAL_RANK", "WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"} & os.environ.keys():
        return
    launcher = " ".join(psutil.Process().parent().cmdline())  # N is passed on nowhere else
    found = re.search(r"--num[_-]processes[ =](\d+)", launcher)
    if not found or int(found[1]) < 2:
        return
    # The ranks meet in a store of this process. A port that is only looked up here could be another's by the time
    # that rank 0 listens on it, and ranks of two runs would then wait for each other.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    meeting = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "WORLD_SIZE": found[1],
        "LOCAL_WORLD_SIZE": found[1],
    }
    voice, token = os.pipe()  # of all ranks the first one that ends early says why
    os.write(token, b"1")
    os.set_blocking(voice, False)
    meeting[signals.VOICE] = os.environ[signals.VOICE] = str(voice)
    noted = signals.note()
    with signals.held_back():  # no rank gets one before it has a handler
        ranks = [
            subprocess.Popen(
                [sys.executable, *sys.argv],
                env=os.environ | meeting | {"RANK": str(k), "LOCAL_RANK": str(k)},
                pass_fds=[voice],
            )
            for k in range(int(found[1]))
        ]
    code = wait_for_ranks(ranks, noted)
    if noted:  # a terminal sends it to the ranks as well, `kill` to this process alone
        for rank in ranks:
            rank.send_signal(noted[0])
    elif code < 0:
        signals.say(
            f"error: a process of this run was killed ({signal.Signals(-code).name}), most often because the memory is "
            "full; end other programs, or lower --batch-size, and go on with --resume"
        )
    end_ranks(ranks)
    if noted:
        signals.say(signals.stopped_by(noted[0]))
        code = signals.exit_code(noted[0])
    sys.exit(code if code >= 0 else 2)


def wait_for_ranks(ranks: list[subprocess.Popen], noted: Sequence[int] = ()) -> int:
    """Wait until all have ended, one has failed, or a signal is noted.

    Returns:
        the exit code of the rank that failed, 0 if none did. A rank that misses another fails as well (``together``).
    """
    while None in (codes := [rank.poll() for rank in ranks]) and not any(codes) and not noted:
        time.sleep(0.1)
    return next((code for code in codes if code), 0)


def end_ranks(ranks: list[subprocess.Popen], patience: float = 10) -> None:
    """End what still runs: a rank waits in vain for one that has ended.

    Args:
        patience: seconds for each of three steps: it ends by itself, after SIGTERM, after SIGKILL.
    """
    for step in (None, signal.SIGTERM, signal.SIGKILL):
        running = [rank for rank in ranks if rank.poll() is None]
        for rank in running:
            if step is not None:
                rank.send_signal(step)
        end = time.monotonic() + patience
        while any(rank.poll() is None for rank in running) and time.monotonic() < end:
            time.sleep(0.05)


def on_main(accelerator: Accelerator, do: Callable[[], object]) -> None:
    """Let the main rank alone do something, while the others wait for it.

    Raises:
        UserError: what ``do`` raises. The other ranks then end without a word of their own: nobody waits for ever in
            a collective that the main rank does not reach.
    """
    error: list[str | None] = [None]
    if accelerator.is_main_process:
        try:
            do()
        except UserError as found:
            error = [str(found)]
    if accelerator.num_processes > 1:
        broadcast_object_list(error)
    if error[0] is not None:
        if accelerator.is_main_process:
            raise UserError(error[0])
        sys.exit(2)


@contextlib.contextmanager
def together(training: object) -> Iterator[None]:
    """Say in one line that another rank has ended, where this one cannot go on without it.

    Args:
        training: kept until the process ends: a rank does not take its networks down (``signals.leave``).
    """
    if signals.several():
        _kept.append(training)
    try:
        yield
    except RuntimeError as error:
        if not signals.several() or not _another_rank(error):
            raise
        if signals.VOICE in os.environ:  # whoever knows better speaks first
            time.sleep(FIRST)
        raise UserError(
            "another process of this run has ended or cannot be reached; if no other line says why, look at its "
            "memory and the network, and go on with --resume"
        ) from error


def _another_rank(error: RuntimeError) -> bool:
    """Whether a collective failed for want of a partner. Gloo's errors have no class of their own."""
    return isinstance(error, DistError) or any(sign in str(error) for sign in ("gloo/", "NCCL", "connection"))


def make_accelerator(device: str, precision: str) -> Accelerator:
    """The Accelerator for ``--device`` and ``--precision``, in each of the processes that were launched.

    Raises:
        UserError: for a device that is not there or cannot compute in that precision.
    """
    start_cpu_ranks()
    chosen = choose_device(device)
    if chosen.index is not None and signals.several():
        raise UserError(
            f"--device {device}: several processes take a GPU each; choose them with CUDA_VISIBLE_DEVICES"
        )
    on_cpu = chosen.type == "cpu"
    if precision == "auto":
        bf16 = not on_cpu and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        precision = "bf16" if bf16 else "fp32"
    if precision == "fp16" and on_cpu:
        raise UserError("--precision fp16 needs a GPU; use fp32 or bf16")
    if chosen.index is not None:
        os.environ["ACCELERATE_TORCH_DEVICE"] = str(chosen)  # it would take the first GPU
    return Accelerator(cpu=on_cpu, mixed_precision="no" if precision == "fp32" else precision)


def resources(error: RuntimeError, device: torch.device) -> Exception:
    """What to say where memory ran out in the middle of a training; any other error as it is."""
    if isinstance(error, torch.OutOfMemoryError) or "t allocate memory" in str(error):
        return UserError(
            f"the memory of {device} is too small for this --batch-size and size of picture; lower one of them, or end "
            "other programs that use this GPU"
        )
    if "DataLoader worker" in str(error):
        return UserError(
            "a process that prepares pictures was killed, most often because the memory is full; lower --workers or "
            "--cache-mb and go on with --resume"
        )
    return error
