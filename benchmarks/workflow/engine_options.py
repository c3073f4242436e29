"""How the jobs are run: here or on a Slurm cluster, with how many cores and GPUs; and Snakemake's arguments for it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.workflow.devices import count_gpus
from benchmarks.workflow.plan import Job, Plan
from scenebench.errors import UserError, require_choice

PARTITION = "SCENEBENCH_PARTITION"
"""Environment variable: the cluster's partition for every job; empty: its default."""
EXECUTORS = ("local", "slurm")
SLURM_PROFILE = Path(__file__).parent / "profiles" / "slurm"
TIME_LIMIT_FACTOR = 2.0
"""A cluster's time limit over the expected time; a cell that reaches it has saved, and a retry goes on from there."""
SHORTEST_LIMIT_MINUTES = 30


@dataclass(frozen=True)
class EngineOptions:
    """How to run.

    Attributes:
        executor: ``local`` or ``slurm``.
        cores: jobs at a time on this machine; not of a cluster.
        gpus: local: GPU slots; every cell takes at least one where there are any. slurm: most GPUs of one cell.
            None: as many as this machine has; as many as the suite says.
        partition: of the cluster; empty: its default.
        retries: how often a failed job is tried again at once; None: 0 here, the profile's on a cluster.
        profile: folder of the Snakemake profile for the cluster.
    """

    executor: str = "local"
    cores: int = 2
    gpus: int | None = None
    partition: str = ""
    retries: int | None = None
    profile: Path = SLURM_PROFILE

    def __post_init__(self) -> None:
        require_choice("--executor", self.executor, EXECUTORS)
        if self.cores < 1:
            raise UserError(f"--cores: {self.cores} is not a positive number")
        if self.gpus is not None and self.gpus < 0:
            raise UserError(f"--gpus: {self.gpus} is negative")
        if self.retries is not None and self.retries < 0:
            raise UserError(f"--retries: {self.retries} is negative")
        if self.partition and not self.on_cluster:
            raise UserError(f"--partition: '{self.partition}' is of a cluster; add --executor slurm (EXECUTOR=slurm)")
        if not (self.profile / "config.yaml").is_file():
            raise UserError(f"--profile: {self.profile} holds no config.yaml; copy {SLURM_PROFILE} and change it")

    @property
    def on_cluster(self) -> bool:
        """Whether jobs run elsewhere."""
        return self.executor == "slurm"

    @property
    def slots(self) -> int:
        """GPU slots of this machine; 0 on a cluster, which has its own."""
        if self.on_cluster:
            return 0
        return count_gpus() if self.gpus is None else self.gpus


def with_gpus(plan: Plan, options: EngineOptions) -> Plan:
    """``plan`` with the GPUs that each job gets: never more than there are, and one at least where there are slots.

    A pretraining on fewer processes is the same run: they share the batch.
    """

    def given(job: Job) -> int:
        if options.on_cluster:
            return job.gpus if options.gpus is None else min(job.gpus, options.gpus)
        return min(max(job.gpus, 1), options.slots) if job.kind != "data" else 0

    return replace(plan, jobs=[replace(job, gpus=given(job)) for job in plan.jobs])


def job_resources(job: Job) -> dict[str, int | str]:
    """What Snakemake is told that a job needs: ``runtime`` in minutes, ``gpu`` where it takes any, the partition."""
    hours = job.gpu_hours / max(job.gpus, 1) if job.gpu_hours else job.seconds / 3600
    minutes = max(SHORTEST_LIMIT_MINUTES, math.ceil(hours * 60 * TIME_LIMIT_FACTOR))
    needs: dict[str, int | str] = {"runtime": minutes}
    if job.gpus:
        needs["gpu"] = job.gpus
    if os.environ.get(PARTITION):
        needs["slurm_partition"] = os.environ[PARTITION]
    return needs
