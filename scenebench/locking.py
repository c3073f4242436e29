"""Locks between processes: no two write one folder or use one device. The kernel frees them, however a holder ends.

Taken by filelock on descriptors of our own, because a process started by the holder must be able to hold them on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import lock_descriptor

from scenebench.errors import UserError

LOCK_FILE = ".lock"
_POLL_SECONDS = 0.1


@contextmanager
def only_process(
    folder: Path,
    say: Callable[[str], object] | None = None,
    patience: float | None = None,
    busy: str = "another process is at work there",
) -> Iterator[int]:
    """Hold a folder's lock (the file ``.lock`` in it), which names the process; yields its descriptor.

    A process that outlived the command that started it still holds a lock that it inherited, and is waited for.

    Args:
        say: told which process is waited for.
        patience: seconds to wait; None: until the other one ends.
        busy: what is said after that.

    Raises:
        UserError: the folder cannot be made or written, or is still in use after ``patience``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"{folder}: cannot write there ({error.strerror}); choose another folder") from error
    try:
        if not lock_descriptor(descriptor, blocking=False):
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "?"
            if say is not None:
                say(f"{folder}: process {holder} works here; waiting until it ends")
            _wait(descriptor, patience, f"{folder}: {busy} (process {holder}); wait for it or stop it")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock of a file, made where it is missing; None while another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if lock_descriptor(descriptor, blocking=False):
        return descriptor
    os.close(descriptor)
    return None


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a file; false where the file cannot be opened."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not lock_descriptor(descriptor, blocking=False)
    finally:
        os.close(descriptor)


def _wait(descriptor: int, patience: float | None, busy: str) -> None:
    if patience is None:
        lock_descriptor(descriptor, poll_interval=_POLL_SECONDS)
        return
    give_up = time.monotonic() + patience
    while not lock_descriptor(descriptor, blocking=False):
        if time.monotonic() > give_up:
            raise UserError(busy)
        time.sleep(_POLL_SECONDS)
