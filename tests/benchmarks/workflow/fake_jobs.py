"""Plans whose jobs are small scripts, so that running, failing, stopping and killing can be tested in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.workflow.plan import PLAN_FILE, Job, Plan

# Writes each attempt into ledger.txt; told to stop, it notes so; the output comes last and by rename.
FAKE_JOB = """
import os, pathlib, signal, sys, time
name, output, seconds, end = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
def note(text):
    with open("ledger.txt", "a") as file:
        file.write(f"{name} {text}\\n")
def stop(number, frame):
    note("saved")
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, stop)
note("start " + os.environ["OMP_NUM_THREADS"])
print("working on", name, flush=True)
time.sleep(seconds)
if end == "crash":
    sys.exit("ValueError: this job was made to fail")
if end == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
part = output.with_name(output.name + ".part")
part.write_text(name)
part.rename(output)
note("end")
if end == "late-crash":
    sys.exit("after the output")
"""

MakeJob = Callable[..., Job]


def job_maker(script: Path) -> MakeJob:
    """Makes jobs that run :data:`FAKE_JOB`, which lies at ``script``."""

    def make(
        name: str, needs: list[Job] | None = None, seconds: float = 0.0, end: str = "ok", priority: int = 0
    ) -> Job:
        output = f"cells/evaluate/{name}/result.txt"
        return Job(
            id=f"cells/evaluate/{name}",
            kind="evaluate",
            label=name,
            command=[sys.executable, str(script), name, output, str(seconds), end],
            inputs=[need.outputs[0] for need in needs or []],
            outputs=[output],
            log=f"logs/evaluate/{name}.log",
            seconds=max(seconds, 0.1),
            priority=priority,
        )

    return make


def plan_of(jobs: list[Job], out: Path) -> Plan:
    """A plan of these jobs, written into ``out``."""
    plan = Plan("fake", "fake", "Fake suite", "a", ["a"], ["p"], jobs)
    plan.write(out / PLAN_FILE)
    return plan


def ledger(out: Path) -> list[str]:
    """What the fake jobs noted."""
    file = out / "ledger.txt"
    return file.read_text().splitlines() if file.is_file() else []
