"""Runs one job of the plan (``python -m benchmarks.workflow.job ID`` in the results folder), writes what became of it.

It stands between Snakemake and the job's command so that
* the job's output goes to its log and its fate to the events file;
* a stop reaches the command as one SIGTERM, and it gets time to save;
* nothing goes on alone: when Snakemake is gone (killed, say), the command is told to save and end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from benchmarks.workflow.damage import set_aside
from benchmarks.workflow.devices import held_devices
from benchmarks.workflow.events import FAILED, FINISHED, STARTED, STOPPED, Event, EventLog, now
from benchmarks.workflow.lifeline import ENGINE_PID
from benchmarks.workflow.plan import PLAN_FILE, THEN, Job, read_plan
from scenebench.exit_codes import SAYS

GPU_SLOTS = "SCENEBENCH_GPU_SLOTS"
"""Environment variable: how many GPUs of this machine the jobs share; 0 or unset: whoever starts us gives them out."""
SAVE_SECONDS = 120.0
"""How long a command may take to save and end before it is killed."""
_POLL_SECONDS = 0.3

# One thread a process: two single-threaded processes use two cores better than one process with two threads.
_ENVIRONMENT = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB", "BLIS")},
    "PYTHONUNBUFFERED": "1",
    "MPLBACKEND": "Agg",
}


def main(job_id: str) -> int:
    """Run the job ``job_id`` of the plan in the working directory; returns 0 when its outputs exist afterwards."""
    out = Path()
    job = read_plan(out / PLAN_FILE).job(job_id)
    events, pid, start = EventLog(out), os.getpid(), now()
    events.append(Event(job.id, STARTED, pid, start))
    slots = int(os.environ.get(GPU_SLOTS, "0"))
    if slots and job.gpus:
        with held_devices(out, job.gpus, slots) as devices:
            visible = {"CUDA_VISIBLE_DEVICES": ",".join(devices.names)}
            code, was_stopped = _Process(job, out, visible, devices.locks).run()
    else:
        code, was_stopped = _Process(job, out, {}, []).run()
    seconds = round(now() - start, 2)
    damages = set_aside(job, out)
    if damages:
        events.append(Event(job.id, FAILED, pid, now(), seconds, f"wrote garbage: {damages[0]}"))
        return 1
    if job.is_done(out):  # the output is written last and by rename: whatever came after it took nothing from it
        events.append(Event(job.id, FINISHED, pid, now(), seconds))
        return 0
    if was_stopped:
        events.append(Event(job.id, STOPPED, pid, now(), seconds, "stopped"))
        return 1
    events.append(Event(job.id, FAILED, pid, now(), seconds, _reason(code, out / job.log)))
    return 1


class _Process:
    """The command of a job, watched over."""

    def __init__(self, job: Job, out: Path, environment: dict[str, str], keep_open: list[int]) -> None:
        self._parent = int(os.environ.get(ENGINE_PID, os.getppid()))
        self._asked_to_stop = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        log = out / job.log
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as file:
            file.write(f"$ {subprocess.list2cmdline(job.command)}\n".encode())
            file.flush()
            self._process = subprocess.Popen(
                _executable(job),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=out,
                env=os.environ | _ENVIRONMENT | environment,
                pass_fds=keep_open,
                start_new_session=True,  # Ctrl-C in the terminal reaches it once, through us
            )

    def run(self) -> tuple[int, bool]:
        """Wait for the end; returns the exit code (negative: the signal that killed it) and whether it was stopped."""
        told_at: float | None = None
        while True:
            try:
                code = self._process.wait(timeout=_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                pass
            stop = self._asked_to_stop or os.getppid() != self._parent
            if stop and told_at is None:
                told_at = now()
                # Slurm signals every process of a job itself, and a second SIGTERM means: do not save.
                if not (self._asked_to_stop and "SLURM_JOB_ID" in os.environ):
                    self._process.send_signal(signal.SIGTERM)
            elif told_at is not None and now() - told_at > SAVE_SECONDS:
                self._kill_group()
        self._kill_group()  # whatever the command may have left behind
        return code, told_at is not None or self._asked_to_stop

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._asked_to_stop = True

    def _kill_group(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return  # nobody is left in it


def _executable(job: Job) -> list[str]:
    """The command line with this installation's Python; a pretraining on several GPUs starts by torchrun."""
    if job.command[0] != "scenebench":
        return job.command
    if job.gpus > 1 and job.kind == "pretrain":
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={job.gpus}"]
        return [sys.executable, "-P", *launcher, "-m", "scenebench.cli", *job.command[1:]]
    if THEN in job.command:
        return [sys.executable, "-P", "-m", "scenebench.several", *job.command]
    return [sys.executable, "-P", "-m", "scenebench.cli", *job.command[1:]]


def _reason(code: int, log: Path) -> str:
    """Why a command failed, in one line: the last one of its log, or the signal that killed it."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    last = (tail(log, 1) or ["$ "])[0].strip()
    return f"exit code {code}, nothing printed" if last.startswith("$ ") else last[:300]


def refusal(log: Path) -> str:
    """The line with which a command refused its input, as it stands at the end of its log; "" where it did not."""
    last = (tail(log, 1) or [""])[0]
    return last.removeprefix(SAYS) if last.startswith(SAYS) else ""


def tail(log: Path, lines: int) -> list[str]:
    """The last ``lines`` lines of a log that say something (of its last 64 KiB; as a terminal would show them)."""
    if not log.is_file():
        return []
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 65536))
        content = file.read().decode(errors="replace")
    return [line.rstrip("\r").rpartition("\r")[2] for line in content.split("\n") if line.strip()][-lines:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
