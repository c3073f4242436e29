"""Peak memory of a piece of work: networks, their gradients, and what the step holds."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

import torch

from scenebench.resident_memory import resident_kib


def peak_memory(build: Callable[[], Callable[[], int]], device: torch.device, portions: int = 2) -> int:
    """Bytes that building some work and doing a few portions of it need at most, beyond what is in use before.

    Of a GPU, what torch has allocated; on the CPU, resident memory of a process forked for it, so that memory which
    this process has had and not given back does not count.

    Raises:
        RuntimeError: the process was killed, or the work failed in it (it says why on standard error).
    """
    if device.type == "cuda":
        gc.collect()
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        _do(build, portions)
        return torch.cuda.max_memory_allocated(device) - before
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_in_child, args=(sender, build, portions))
    child.start()
    sender.close()
    try:
        answer = receiver.recv()
    except EOFError as error:
        raise RuntimeError("the process that measures memory failed or was killed; is there enough of it?") from error
    finally:
        child.join()
    return int(answer)


def _in_child(sender: Connection, build: Callable[[], Callable[[], int]], portions: int) -> None:
    torch.set_num_threads(1)  # the threads of a forked process are gone
    gc.collect()  # garbage that came along would be given back meanwhile, and make room for what is measured
    before = resident_kib()
    _do(build, portions)
    sender.send((resident_kib(peak=True) - before) * 1024)


def _do(build: Callable[[], Callable[[], int]], portions: int) -> None:
    work = build()
    for _ in range(portions):
        work()
