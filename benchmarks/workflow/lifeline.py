"""Starts Snakemake so that it ends with the front end, however that ends (``python -m benchmarks.workflow.lifeline``).

Snakemake runs in a session of its own: Ctrl-C must reach the front end alone, which stops jobs in order. That would
also let it live on when the front end is killed with SIGKILL; so it watches its parent, and the jobs watch Snakemake.
Snakemake has nothing for this: killed, it leaves the commands that it started running.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

ENGINE_PID = "SCENEBENCH_ENGINE_PID"
"""Environment variable: the process id of Snakemake, for the jobs."""
_POLL_SECONDS = 0.2


def main(parent: int, arguments: list[str]) -> None:
    """Run Snakemake's command line with ``arguments`` for as long as our parent is the process ``parent``."""
    os.environ.pop(ENGINE_PID, None)
    if "slurm" not in arguments:  # a cluster's jobs watch the Snakemake of their own node
        os.environ[ENGINE_PID] = str(os.getpid())
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    from snakemake.cli import main as snakemake

    snakemake(arguments)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    # Nobody is left to follow an orderly end; the jobs are told by their own watch over this process.
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
