"""What is asked of Slurm beside Snakemake's plug-in: partitions, accounting, the jobs of a killed front end.

Snakemake does not take up the jobs of an earlier front end, and would submit them a second time while they still run.
So they are cancelled first: Slurm's SIGTERM lets each one save, and the next run goes on from there.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from scenebench.errors import UserError, did_you_mean

PLUGIN = "snakemake_executor_plugin_slurm"
_RUN_ID = re.compile(r"SLURM run ID: (\S+)")
_TIMEOUT = 60.0
_CANCEL_SECONDS = 300.0
_POLL_SECONDS = 1.0
_STATUS_SECONDS = 20  # of the profile


def check_cluster(partition: str) -> None:
    """Pass where Slurm answers and knows ``partition`` (empty: its default).

    Raises:
        UserError: no Slurm here, no answer, no such partition (with the nearest name), no plug-in.
    """
    if shutil.which("sbatch") is None:
        raise UserError("--executor slurm: there is no 'sbatch' here; run it on the cluster's login node")
    if importlib.util.find_spec(PLUGIN) is None:
        raise UserError(f"--executor slurm: the package {PLUGIN.replace('_', '-')} is not installed; run 'make setup'")
    known = _ask("sinfo", "-h", "-o", "%R").split()
    if partition and partition not in known:
        raise UserError(f"--partition: the cluster has no partition '{partition}'{did_you_mean(partition, known)}")


def accounting_arguments() -> list[str]:
    """Arguments for the plug-in where the cluster has no accounting database: states come from ``squeue``.

    A finished job must stay in the queue's list for three times the plug-in's waits, or the plug-in turns to ``sacct``
    without a word.
    """
    settings = dict(re.findall(r"(?m)^(\w+)\s*=\s*(.*?)\s*$", _ask("scontrol", "show", "config")))
    if settings.get("AccountingStorageType", "").rpartition("/")[2] not in ("none", "(null)", ""):
        return []
    kept = re.match(r"\d+", settings.get("MinJobAge", "300"))
    seconds = int(kept.group() if kept else 300) // 3
    arguments = ["--slurm-status-command", "squeue", "--slurm-no-account"]
    if seconds < _STATUS_SECONDS:
        arguments += ["--slurm-init-seconds-before-status-checks", str(max(1, seconds))]
    return arguments


def run_ids(log: Path) -> list[str]:
    """The ids of the runs that an engine's log tells of, the latest last; Slurm's jobs of a run have its id as name."""
    if not log.is_file():
        return []
    return list(dict.fromkeys(_RUN_ID.findall(log.read_text(encoding="utf-8", errors="replace"))))


def cancel_jobs(log: Path, say: Callable[[str], object], wait: bool = True) -> int:
    """Cancel every Slurm job of the runs in ``log`` that is still there, and wait until none is; returns their number.

    ``wait``: False returns once they were told.

    Raises:
        UserError: Slurm does not answer, or they do not end.
    """
    names = run_ids(log)
    if not names or shutil.which("squeue") is None:
        return 0
    found = _jobs_of(names)
    if not found:
        return 0
    say(f"cancelling {len(found)} Slurm jobs (they save first): {' '.join(found)}")
    for name in names:
        _ask("scancel", f"--name={name}")
    give_up = time.monotonic() + _CANCEL_SECONDS
    while wait and (left := _jobs_of(names)):
        if time.monotonic() > give_up:
            raise UserError(f"Slurm jobs {' '.join(left)} do not end; cancel them (scancel) and call again")
        time.sleep(_POLL_SECONDS)
    return len(found)


def _jobs_of(names: list[str]) -> list[str]:
    return _ask("squeue", "-h", "-o", "%i", f"--name={','.join(names)}").split()


def _ask(*command: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{command[0]}: no answer from Slurm ({error})") from error
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"{command[0]}: {last}")
    return answer.stdout
