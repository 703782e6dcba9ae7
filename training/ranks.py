"""Where a run computes: its device, its precision and, under ``accelerate launch``, its processes."""

import os
import re
import socket
import subprocess
import sys
import time

import psutil
import torch
from accelerate import Accelerator

from common.commandline import UserError, choose_device


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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {
            "MASTER_PORT": str(free.getsockname()[1]),
            "WORLD_SIZE": found[1],
            "LOCAL_WORLD_SIZE": found[1],
        }
    ranks = [
        subprocess.Popen(
            [sys.executable, *sys.argv], env=os.environ | meeting | {"RANK": str(k), "LOCAL_RANK": str(k)}
        )
        for k in range(int(found[1]))
    ]
    try:
        while any(rank.poll() is None for rank in ranks) and not any(rank.returncode for rank in ranks):
            time.sleep(0.1)
    except KeyboardInterrupt:
        pass  # the terminal sends Ctrl-C to the ranks as well
    failed = next((rank.returncode for rank in ranks if rank.returncode), 0)
    for rank in ranks:
        if failed:
            rank.terminate()  # it would wait for a rank that has ended
    sys.exit(failed or max(rank.wait() for rank in ranks))


def make_accelerator(device: str, precision: str) -> Accelerator:
    """The Accelerator for ``--device`` and ``--precision``, in each of the processes that were launched.

    Raises:
        UserError: for a device that is not there or cannot compute in that precision.
    """
    start_cpu_ranks()
    chosen = choose_device(device)
    if chosen.index is not None and int(os.environ.get("WORLD_SIZE", 1)) > 1:
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
