"""The engine: Snakemake over the unfinished jobs of a plan, started, followed and stopped.

Snakemake orders the jobs, starts as many as there are cores, devices or a cluster's places, and tries them again. Its
lock is not used: its files outlive a killed process, whose jobs run on, and the next call then asks for another option.
The kernel frees ours (:mod:`scenebench.locking`), which the jobs' own processes hold too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workflow.display import Display
from benchmarks.workflow.engine_options import PARTITION, EngineOptions
from benchmarks.workflow.events import STARTED, EventLog
from benchmarks.workflow.job import GPU_SLOTS, SAVE_SECONDS, tail
from benchmarks.workflow.plan import Plan
from benchmarks.workflow.slurm import accounting_arguments, cancel_jobs
from benchmarks.workflow.status_page import StatusPage
from scenebench.errors import UserError
from scenebench.processors import environment_of_commands

SNAKEFILE = Path(__file__).parent / "Snakefile"
ENGINE_LOG = "logs/snakemake.log"
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Outcome:
    """``failed``: reason by job id; ``signal``: the number of the signal that stopped the run, if one did."""

    failed: dict[str, str]
    signal: int = 0


def execute(plan: Plan, out: Path, options: EngineOptions, lock: int) -> Outcome:
    """Run the unfinished jobs of ``plan``, which stands in ``out``, here or on a cluster.

    Args:
        lock: file descriptor of the lock on ``out``; the engine holds it too, until it has ended.

    Raises:
        UserError: Snakemake itself failed; its log is named.
    """
    jobs = plan.unfinished(out)
    events, display, page = EventLog(out), Display(jobs, out, options.cores), StatusPage(out)
    events.skip_to_end()
    cancel_jobs(out / ENGINE_LOG, display.message)  # of a front end that was killed
    engine = _start(out, options, lock)
    pids: dict[str, int] = {}
    stop = _StopSignals()
    with stop:
        told: set[int] = set()
        deadline = 0.0
        while True:
            ended = engine.poll() is not None  # before reading, so that the last events are read after the end
            for event in events.read_new():
                display.show(event)
                page.is_due = True
                if event.state == STARTED and not options.on_cluster:
                    pids[event.job] = event.pid
                else:
                    pids.pop(event.job, None)
            if ended:
                break
            display.tick()
            page.tick()
            if stop.received:
                if not told:
                    display.message("stopping: the running jobs save and end (again Ctrl-C: do not wait for them)")
                    engine.terminate()  # it starts nothing more, and waits for what runs
                    if options.on_cluster:
                        cancel_jobs(out / ENGINE_LOG, display.message, wait=False)
                    told.add(engine.pid)
                    deadline = time.monotonic() + SAVE_SECONDS + 10
                for pid in set(pids.values()) - told:
                    _signal(pid, signal.SIGTERM)
                    told.add(pid)
                if stop.count > 1 or time.monotonic() > deadline:
                    engine.kill()
            time.sleep(_POLL_SECONDS)
    if stop.received:
        return Outcome({}, stop.received)
    failed = {name: event.reason for name, event in display.failed.items()}
    if engine.returncode != 0 and not failed:
        last = next((line for line in reversed(tail(out / ENGINE_LOG, 40)) if "Error" in line), "see there")
        raise UserError(f"{out / ENGINE_LOG}: Snakemake ended with exit code {engine.returncode}: {last}")
    return Outcome(failed)


def _start(out: Path, options: EngineOptions, lock: int) -> subprocess.Popen[bytes]:
    arguments = ["--snakefile", str(SNAKEFILE), "--directory", str(out), "--workflow-profile", "none"]
    arguments += ["--keep-going", "--scheduler", "greedy"]
    if options.on_cluster:
        arguments += ["--profile", str(options.profile.resolve()), "--executor", "slurm", *accounting_arguments()]
    else:
        arguments += ["--profile", "none", "--cores", str(options.cores), "--latency-wait", "0"]
        if options.slots:
            arguments += ["--resources", f"gpu={options.slots}"]
    if options.retries is not None:
        arguments += ["--retries", str(options.retries)]
    # A job is done when its outputs exist (see plan.py): Snakemake's own bookkeeping of times, parameters and
    # incomplete files would only add reasons to repeat work, and what is there under its final name is whole. Its lock
    # is replaced by ours, which no kill leaves behind.
    arguments += ["--rerun-triggers", "mtime", "--ignore-incomplete", "--keep-incomplete", "--drop-metadata"]
    arguments += ["--nolock", "--nocolor"]
    cache = out / ".snakemake" / "cache"
    environment = {"XDG_CACHE_HOME": str(cache), GPU_SLOTS: str(options.slots), PARTITION: options.partition}
    log = out / ENGINE_LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as file:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "benchmarks.workflow.lifeline", str(os.getpid()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment_of_commands() | environment,
            start_new_session=True,
            pass_fds=[lock],
        )


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended in the meantime


class _StopSignals:
    """While entered, Ctrl-C and SIGTERM are counted instead of raised."""

    def __init__(self) -> None:
        self.received = 0
        self.count = 0

    def __enter__(self) -> None:
        self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: object) -> None:
        self.received = self.received or number
        self.count += 1
