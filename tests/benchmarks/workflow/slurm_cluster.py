"""A Slurm cluster of one node in a folder of its own, with two pretended GPUs; for the tests of the workflow."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ETC = Path("/etc/slurm")
FILES = ("slurm.conf", "gres.conf")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo")

# Preemption: a job of 'high' takes the place of those of 'low', which are queued again.
_CONF = """\
ClusterName=scenebenchtest
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=200
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,requeue_delay=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MinJobAge=600
KillWait=5
GresTypes=gpu
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 Boards=1 SocketsPerBoard=1 CoresPerSocket=8 ThreadsPerCore=1 \
RealMemory=8000 Gres=gpu:2
PartitionName=low Nodes={host} Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes={host} State=UP PriorityTier=10 PreemptMode=OFF
"""
_GRES = "NodeName={host} Name=gpu File=/dev/null\nNodeName={host} Name=gpu File=/dev/zero\n"


def why_not() -> str:
    """Why no cluster can be set up here; "" where one can."""
    if os.geteuid() != 0:
        return "a test cluster needs root"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"no {', '.join(lacking)} here (Debian: apt-get install slurm-wlm munge)"
    there = [str(ETC / name) for name in FILES if (ETC / name).exists()]
    return f"{there[0]} is there: this machine has a Slurm of its own" if there else ""


@contextmanager
def cluster() -> Iterator[Path]:
    """A running cluster; yields its folder, and takes everything down at the end."""
    folder = Path(tempfile.mkdtemp(prefix="slurm"))  # short: a socket's path has 108 characters at most
    links: list[Path] = []
    try:
        host = socket.gethostname().partition(".")[0]
        values = {"host": host, "folder": folder, "controller_port": _free_port(), "node_port": _free_port()}
        (folder / "slurm.conf").write_text(_CONF.format(**values))
        (folder / "gres.conf").write_text(_GRES.format(**values))
        for name in ("state", "spool"):
            (folder / name).mkdir()
        ETC.mkdir(exist_ok=True)
        for (
            name
        ) in FILES:  # a job step drops SLURM_CONF before its own srun: the files must lie where they are looked for
            (ETC / name).symlink_to(folder / name)
            links.append(ETC / name)
        folder.chmod(0o755)
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o600)
        paths = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid", "seed-file": "munge.seed"}
        options = [f"--{option}={folder / name}" for option, name in {**paths, "log-file": "munged.log"}.items()]
        _call("munged", "--force", *options)
        _call("slurmctld", "-c")
        _call("slurmd", "-c")
        _wait_for_node()
        yield folder
    finally:
        for name in ("slurmd", "slurmctld", "munged"):
            _stop(folder / f"{name}.pid")
        for link in links:
            link.unlink()
        shutil.rmtree(folder, ignore_errors=True)


def ask(*command: str) -> str:
    """What a command of Slurm answers."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def _wait_for_node() -> None:
    give_up = time.monotonic() + 30
    state = ""
    while not state.startswith("idle"):
        assert time.monotonic() < give_up, f"the node does not come up: '{state}'"
        time.sleep(0.3)
        done = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, timeout=20, check=False)
        state = done.stdout.strip()


def _stop(pid_file: Path) -> None:
    """End the daemon that wrote the file, and wait until it has ended."""
    if not pid_file.is_file():
        return
    pid = int(pid_file.read_text())
    for number in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(100):
            try:
                os.kill(pid, number if _ == 0 else 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
