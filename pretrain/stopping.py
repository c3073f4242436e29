"""SIGTERM and Ctrl-C ask a run to finish its step, save, and leave."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any


class Stopped(SystemExit):
    """The run was asked to stop and has saved; the exit code is 128 + the signal's number (130, 143)."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)


class StopRequest:
    """A context in which the first SIGINT or SIGTERM only sets :attr:`signal_number`; a second one acts at once.

    Not so in a Slurm job: Slurm sends SIGTERM twice when it preempts, and SIGKILL where the patience of the site ends.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        # Python lets only the main thread take signals; elsewhere (a notebook's worker) they stay as they are.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.signal_number is not None
        self.signal_number = number
        if number == signal.SIGTERM and "SLURM_JOB_ID" in os.environ:
            if not again:
                print("SIGTERM: finishing the step, then saving", flush=True)
            return
        self._restore()
        print(f"{signal.Signals(number).name}: finishing the step, then saving (once more: stop at once)", flush=True)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
