"""The engine for real: Snakemake over fake jobs, with failures, stops and kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from fake_jobs import MakeJob, ledger, plan_of

from benchmarks.workflow.engine import Outcome
from benchmarks.workflow.engine_options import EngineOptions
from benchmarks.workflow.events import EventLog, last_by_job
from benchmarks.workflow.plan import Plan
from benchmarks.workflow.runner import run_plan
from scenebench.errors import UserError
from scenebench.locking import only_process

FRONT_END = """
import sys
from pathlib import Path
from benchmarks.workflow.engine_options import EngineOptions
from benchmarks.workflow.plan import read_plan
from benchmarks.workflow.runner import run_plan
from scenebench.locking import only_process
out = Path(sys.argv[1])
with only_process(out) as lock:
    outcome = run_plan(read_plan(out / "plan.json"), out, EngineOptions(), lock)
sys.exit(outcome.signal or (1 if outcome.failed else 0))
"""


def run(plan: Plan, out: Path, cores: int = 2) -> Outcome:
    with only_process(out) as lock:
        return run_plan(plan, out, EngineOptions(cores=cores), lock)


def start_front_end(out: Path) -> subprocess.Popen[bytes]:
    # In a session of its own, so that a signal to its group cannot reach the test.
    return subprocess.Popen([sys.executable, "-c", FRONT_END, str(out)], start_new_session=True)


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "timed out"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def processes_of(out: Path) -> list[int]:
    """Every live process whose working directory is ``out``, or whose command line names it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            here = (folder / "cwd").resolve() == out.resolve() or str(out) in (folder / "cmdline").read_text()
        except (OSError, UnicodeDecodeError):
            continue
        if here and alive(int(folder.name)) and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def test_jobs_run_after_what_they_need_longest_first_and_only_once(
    out: Path, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    data = make_job("data")
    short, long = make_job("short", [data], priority=1), make_job("long", [data], priority=9)
    plan = plan_of([data, short, long], out)
    assert run(plan, out, cores=1) == Outcome({})
    starts = [line.split()[0] for line in ledger(out) if " start" in line]
    assert starts == ["data", "long", "short"]
    assert "data start 1" in ledger(out), "a job must see one thread"
    before = ledger(out)
    assert run(plan, out) == Outcome({})
    assert ledger(out) == before
    (out / long.outputs[0]).unlink()
    (out / data.outputs[0]).unlink()  # needed again by 'long', but no reason to repeat 'short'
    run(plan, out)
    assert [line.split()[0] for line in ledger(out)[len(before) :] if " start" in line] == ["data", "long"]


def test_a_failure_stops_only_what_depends_on_it(
    out: Path, make_job: MakeJob, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, killed = make_job("bad", end="crash"), make_job("killed", end="kill")
    after, other = make_job("after", [bad]), make_job("other")
    late = make_job("late", end="late-crash")
    plan = plan_of([bad, after, killed, other, late], out)
    outcome = run(plan, out)
    assert outcome.failed == {
        bad.id: "ValueError: this job was made to fail",
        killed.id: "killed by SIGKILL (out of memory?)",
    }
    assert other.is_done(out)
    assert late.is_done(out), "what fails after its output was renamed into place has lost nothing"
    assert not any(line.startswith("after") for line in ledger(out))
    shown = capsys.readouterr().out
    assert "FAILED  bad: ValueError: this job was made to fail" in shown
    assert "| working on bad" in shown, "the log's tail"
    assert "done    other" in shown
    # Mended, only what is missing runs.
    before = len(ledger(out))
    mended = plan_of([make_job("bad"), after, make_job("killed"), other, late], out)
    assert run(mended, out) == Outcome({})
    started = sorted(line.split()[0] for line in ledger(out)[before:] if " start" in line)
    assert started == ["after", "bad", "killed"]


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stop_lets_jobs_save_and_the_next_call_goes_on(out: Path, make_job: MakeJob, number: signal.Signals) -> None:
    quick = make_job("quick", priority=9)
    plan = plan_of([quick, make_job("one", seconds=60), make_job("two", seconds=60)], out)
    front_end = start_front_end(out)
    wait_until(lambda: len([line for line in ledger(out) if " start" in line]) == 3)
    front_end.send_signal(number)
    assert front_end.wait(timeout=20) == number
    assert sorted(line for line in ledger(out) if "saved" in line) == ["one saved", "two saved"]
    assert {event.state for event in last_by_job(EventLog(out).read_new()).values()} == {"finished", "stopped"}
    wait_until(lambda: not processes_of(out))
    again = plan_of([quick, make_job("one"), make_job("two")], out)
    before = len(ledger(out))
    assert run(again, out) == Outcome({})
    assert plan.jobs[0] == quick
    assert sorted(line.split()[0] for line in ledger(out)[before:] if " start" in line) == ["one", "two"]


@pytest.mark.parametrize("whole_group", [False, True])
def test_kill_9_of_the_front_end_leaves_nothing_running_and_loses_nothing(
    out: Path, make_job: MakeJob, whole_group: bool
) -> None:
    quick = make_job("quick", priority=9)
    plan_of([quick, make_job("one", seconds=60), make_job("two", seconds=60)], out)
    front_end = start_front_end(out)
    wait_until(lambda: len([line for line in ledger(out) if " start" in line]) == 3)
    if whole_group:
        os.killpg(front_end.pid, signal.SIGKILL)
    else:
        front_end.kill()
    front_end.wait()
    # The same command at once: it may not run into its predecessor's leavings.
    again = plan_of([quick, make_job("one"), make_job("two")], out)
    before = len(ledger(out))
    assert run(again, out) == Outcome({})
    started = sorted(line.split()[0] for line in ledger(out)[before:] if " start" in line)
    assert started == ["one", "two"], "the finished job is kept, the others run again"
    wait_until(lambda: not processes_of(out))
    assert [line for line in ledger(out) if "saved" in line], "the orphans were told to save and end"


@pytest.mark.slow
def test_kill_9_of_snakemake_is_reported_and_can_be_repeated(out: Path, make_job: MakeJob) -> None:
    plan_of([make_job("one", seconds=60)], out)
    front_end = start_front_end(out)
    wait_until(lambda: bool(ledger(out)))
    engines = [pid for pid in processes_of(out) if "lifeline" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(engines[0], signal.SIGKILL)
    assert front_end.wait(timeout=20) == 1
    wait_until(lambda: ledger(out)[-1:] == ["one saved"])
    assert run(plan_of([make_job("one")], out), out) == Outcome({})


def test_one_folder_serves_one_run_at_a_time(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.workflow.runner._LOCK_SECONDS", 0.2)

    def claimed() -> AbstractContextManager[int]:
        return only_process(out, patience=0.2, busy="another 'scenebench run' is at work there")

    with (
        claimed(),
        pytest.raises(UserError, match=rf"'scenebench run' is at work there \(process {os.getpid()}\)"),
        claimed(),
    ):
        raise AssertionError("two runs hold one folder")
    with only_process(out):
        assert True  # released
