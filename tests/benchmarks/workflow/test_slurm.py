"""The workflow on a real Slurm of one node: GPUs, a killed front end, preemption, a partition that is not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fake_jobs import plan_of
from slurm_cluster import ask, cluster, why_not

from benchmarks.workflow.engine import ENGINE_LOG
from benchmarks.workflow.plan import Job
from benchmarks.workflow.slurm import check_cluster, run_ids
from scenebench.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not() or "none")]

# Counts; told to stop, it saves the count, and the next one goes on from there.
COUNTING_JOB = """
import os, pathlib, signal, sys, time
name, output, until = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
saved = pathlib.Path(f"saved-{name}.txt")
count = int(saved.read_text()) if saved.is_file() else 0
def note(text):
    with open("ledger.txt", "a") as file:
        file.write(f"{name} {text}\\n")
def stop(number, frame):
    saved.write_text(str(count))
    note(f"saved {count}")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as the pretraining does: a preemption tells it twice
    time.sleep(0.7)
    note("left in order")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
note(f"start {count} gpu {os.environ.get('CUDA_VISIBLE_DEVICES', 'none')}")
while count < until:
    time.sleep(0.1)
    count += 1
part = output.with_name(output.name + ".part")
part.write_text(name)
part.rename(output)
note(f"end {count}")
"""
FRONT_END = """
import sys
from pathlib import Path
from benchmarks.workflow.engine_options import EngineOptions
from benchmarks.workflow.plan import read_plan
from benchmarks.workflow.runner import run_plan
from scenebench.locking import only_process
out = Path(sys.argv[1])
options = EngineOptions(executor="slurm", partition="low", profile=Path(sys.argv[2]))
with only_process(out) as lock:
    outcome = run_plan(read_plan(out / "plan.json"), out, options, lock)
print("outcome:", outcome, flush=True)
sys.exit(outcome.signal or (1 if outcome.failed else 0))
"""
PROFILE = """\
jobs: 10
retries: 0
slurm-requeue: true
slurm-init-seconds-before-status-checks: 2
latency-wait: 10
default-resources: [nodes=1, cpus_per_gpu=1, mem_mb_per_cpu=200]
"""


@pytest.fixture(scope="module")
def running_cluster() -> Iterator[Path]:
    with cluster() as folder:
        yield folder


def job(script: Path, name: str, until: int, needs: list[Job], gpus: int = 1, kind: str = "evaluate") -> Job:
    output = f"cells/{name}/result.txt"
    command = [sys.executable, str(script), name, output, str(until)]
    inputs = [need.outputs[0] for need in needs]
    return Job(f"cells/{name}", kind, name, command, inputs, [output], f"logs/{name}.log", 10.0, gpus=gpus)


def ledger(out: Path, word: str) -> list[str]:
    file = out / "ledger.txt"
    lines = file.read_text().splitlines() if file.is_file() else []
    return [line for line in lines if line.split()[1] == word]


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"timed out: {what}"
        time.sleep(0.1)


def started(out: Path, name: str) -> int:
    return sum(line.split()[0] == name for line in ledger(out, "start"))


def test_a_killed_front_end_and_preempted_jobs_lose_nothing(running_cluster: Path, tmp_path: Path) -> None:
    out = tmp_path / "my results"
    out.mkdir()
    profile = tmp_path / "profile"
    profile.mkdir()
    (profile / "config.yaml").write_text(PROFILE)
    script = tmp_path / "counting.py"
    script.write_text(COUNTING_JOB)
    first = job(script, "first", 1, [], gpus=0, kind="data")
    one, two = job(script, "one", 150, [first]), job(script, "two", 150, [first])
    last = replace(job(script, "last", 1, [one, two]), gpus=0)
    plan_of([first, one, two, last], out)

    def front_end() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", FRONT_END, str(out), str(profile)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path[1:]))}
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=environment,
        )

    begun = time.monotonic()
    killed = front_end()
    wait_until(lambda: started(out, "one") == started(out, "two") == 1, "both jobs run")
    killed.kill()
    killed.wait()
    orphans = ask("squeue", "-h", "-o", "%i").split()
    assert len(orphans) == 2, "Slurm's jobs outlive the front end"
    assert len(run_ids(out / ENGINE_LOG)) == 1
    print(f"{time.monotonic() - begun:5.1f} s: front end killed, orphans {orphans}")

    again = front_end()
    wait_until(lambda: started(out, "one") == started(out, "two") == 2, "both jobs run again")
    saved = {line.split()[0]: line.split()[2] for line in ledger(out, "saved")}
    assert set(saved) == {"one", "two"}, "the orphans saved before they ended"
    assert not set(orphans) & set(ask("squeue", "-h", "-o", "%i").split())
    print(f"{time.monotonic() - begun:5.1f} s: orphans cancelled, both go on from {saved}")

    ask("sbatch", "--parsable", "-p", "high", "--gpus=2", "--output=/dev/null", "--wrap", "sleep 2")
    wait_until(lambda: len(ledger(out, "saved")) >= 4, "both jobs were preempted")
    print(f"{time.monotonic() - begun:5.1f} s: preempted: {ledger(out, 'saved')[2:]}")
    # Slurm lets a job that it queued again wait for two minutes; the test does not.
    reasons = ("squeue", "-h", "-p", "low", "-o", "%r")
    wait_until(lambda: ask(*reasons).split() == ["BeginTime"] * 2, "both are queued again")
    for number in ask("squeue", "-h", "-p", "low", "-o", "%i").split():
        ask("scontrol", "update", f"JobId={number}", "StartTime=now")
    try:
        output, _ = again.communicate(timeout=200)
    finally:
        again.kill()  # Snakemake goes with it
    print(f"{time.monotonic() - begun:5.1f} s: end\n{output}\n{(out / 'ledger.txt').read_text()}")

    assert again.returncode == 0, output
    assert "cancelling 2 Slurm jobs (they save first)" in output
    assert all(one_job.is_done(out) for one_job in (first, one, two, last))
    assert started(out, "first") == 1, "what was finished is kept"
    for name in ("one", "two"):
        counts = [int(line.split()[2]) for line in ledger(out, "start") if line.split()[0] == name]
        kept = [int(line.split()[2]) for line in ledger(out, "saved") if line.split()[0] == name]
        assert counts == [0, *kept], "each start goes on from what was saved"
        assert len(kept) == 2
        assert kept[0] > 0
    devices = [line.split()[4] for line in ledger(out, "start") if line.split()[0] in ("one", "two")]
    assert {frozenset(devices[at : at + 2]) for at in (0, 2, 4)} == {frozenset("01")}, "each has a device of its own"
    assert len(ledger(out, "left")) == len(ledger(out, "saved")) == 4, "everybody had the time to save"
    assert ask("squeue", "-h", "-o", "%i") == ""


def test_ctrl_c_cancels_the_clusters_jobs_which_save(running_cluster: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile"
    profile.mkdir()
    (profile / "config.yaml").write_text(PROFILE)
    script = tmp_path / "counting.py"
    script.write_text(COUNTING_JOB)
    plan_of([job(script, "one", 600, [])], tmp_path)
    command = [sys.executable, "-c", FRONT_END, str(tmp_path), str(profile)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path[1:]))}
    front_end = subprocess.Popen(command, start_new_session=True, env=environment)
    wait_until(lambda: started(tmp_path, "one") == 1, "it runs")
    front_end.send_signal(signal.SIGINT)
    assert front_end.wait(timeout=60) == signal.SIGINT
    assert len(ledger(tmp_path, "left")) == 1
    wait_until(lambda: ask("squeue", "-h", "-o", "%i") == "", "the queue is empty")


def test_a_partition_that_does_not_exist_is_one_line(running_cluster: Path) -> None:
    check_cluster("low")
    with pytest.raises(UserError, match=r"--partition: the cluster has no partition 'hihg' \(did you mean 'high'\?\)"):
        check_cluster("hihg")
