"""Batches that worker processes fill and the training reads, in memory that is allocated once an epoch.

The memory is an anonymous shared mapping: forked workers inherit it, so that a batch reaches the training without a
copy, nothing lies in /dev/shm (64 MB in a container unless asked for more), and nothing is left behind by a kill. For a
GPU its pages are locked, so that copies to the device need not be waited for.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from pretrain.data.views import Batch

_ALIGNMENT = 64  # bytes: a cache line, and more than any vector load wants


class BatchRing:
    """``slots`` batches of one shape, used in turn.

    Args:
        slots: how many.
        make: makes a batch, given a function ``(shape, dtype) -> Tensor`` that allocates.
    """

    def __init__(self, slots: int, make: Callable[[Callable[..., Tensor]], Batch]) -> None:
        sizes: list[int] = []

        def measure(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            tensor = torch.empty(*shape, dtype=dtype, device="meta")
            sizes.append(_rounded_up(tensor.nbytes))
            return tensor

        make(measure)
        self._memory = mmap.mmap(-1, slots * sum(sizes))
        self._used = 0
        self.batches = [make(self._allocate) for _ in range(slots)]

    @property
    def nbytes(self) -> int:
        """Of all batches together."""
        return len(self._memory)

    def __len__(self) -> int:
        return len(self.batches)

    def _allocate(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        count = torch.Size(shape).numel()
        tensor = torch.frombuffer(self._memory, dtype=dtype, count=count, offset=self._used).view(shape)
        self._used += _rounded_up(tensor.nbytes)
        return tensor

    @contextmanager
    def page_locked(self, wanted: bool) -> Iterator[None]:
        """Within it the memory is page-locked, if ``wanted``. Only after the workers were forked.

        Where the system refuses (a limit on locked memory), that is said, and copies are slower.
        """
        if not wanted:
            yield
            return
        runtime: Any = torch.cuda.cudart()
        address = torch.frombuffer(self._memory, dtype=torch.uint8).data_ptr()
        status = runtime.cudaHostRegister(address, len(self._memory), 0)
        if int(status) != 0:
            print(f"note: batches are not page-locked ({status}); copies to the GPU wait", file=sys.stderr, flush=True)
        try:
            yield
        finally:
            if int(status) == 0:
                torch.cuda.synchronize()  # a copy may still read
                runtime.cudaHostUnregister(address)


def _rounded_up(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
