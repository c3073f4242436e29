"""GPU slots on one machine: each job holds devices of its own, by locks that the kernel drops with its processes.

Snakemake's resource ``gpu`` counts devices, and is used for that; which of them a job takes it does not say.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scenebench.locking import try_lock

SLOTS_FOLDER = ".gpus"
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Devices:
    """``names``: as CUDA_VISIBLE_DEVICES takes them; ``locks``: descriptors that hold them while they are open."""

    names: list[str]
    locks: list[int]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use: what CUDA_VISIBLE_DEVICES names, or what the driver lists. Without torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() and name.strip() != "-1"]
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in listed.splitlines()))]


def count_gpus() -> int:
    """Their number."""
    return len(visible_gpus())


@contextmanager
def held_devices(out: Path, wanted: int, slots: int) -> Iterator[Devices]:
    """Hold ``wanted`` of the ``slots`` devices of this machine; waits while others hold them.

    Snakemake starts no more jobs than there are slots; the wait is for what a killed run leaves behind for a moment.
    A command that inherits ``locks`` keeps its devices even when whoever watches over it is gone.
    """
    visible = visible_gpus()
    names = visible[:slots] if len(visible) >= slots else [str(number) for number in range(slots)]
    folder = out / SLOTS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    held: dict[str, int] = {}
    try:
        while len(held) < wanted:
            for name in names:
                if name not in held and len(held) < wanted:
                    descriptor = try_lock(folder / name)
                    if descriptor is not None:
                        held[name] = descriptor
            if len(held) < wanted:  # all or none, so that two jobs do not wait for each other's
                for descriptor in held.values():
                    os.close(descriptor)
                held.clear()
                time.sleep(_POLL_SECONDS)
        yield Devices(list(held), list(held.values()))
    finally:
        for descriptor in held.values():
            os.close(descriptor)
