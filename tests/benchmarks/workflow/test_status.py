"""Where a run stands, how long it still takes, and what a bad folder is answered with."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from fake_jobs import MakeJob, plan_of

from benchmarks.workflow.events import FAILED, FINISHED, STARTED, Event, EventLog
from benchmarks.workflow.status import read_status, status_lines
from benchmarks.workflow.status_page import StatusPage
from scenebench.cli import main
from scenebench.locking import LOCK_FILE


def test_the_time_left_follows_what_was_measured(out: Path, make_job: MakeJob) -> None:
    data = make_job("data")
    jobs = [make_job(name, [data], seconds=100.0) for name in ("one", "two", "three", "four")]
    cell = {"protocol": "p"}
    jobs = [type(job)(**{**job.__dict__, "cell": cell}) for job in jobs]
    plan_of([data, *jobs], out)
    for job in (data, jobs[0]):
        (out / job.outputs[0]).parent.mkdir(parents=True)
        (out / job.outputs[0]).touch()
    log = EventLog(out)
    log.append(Event(jobs[0].id, FINISHED, 1, 50.0, 40.0))
    log.append(Event(jobs[1].id, STARTED, 1, 50.0))
    log.append(Event(jobs[2].id, FAILED, 1, 60.0, 5.0, "no space"))
    with open(out / LOCK_FILE, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status = read_status(out, now=60.0)
        lines = status_lines(status)
    states = {cell.label: (cell.state, cell.left) for cell in status.cells}
    # like 'one', which took 40 s: 'two' has been running for 10
    assert states == {
        "data": ("done", 0.0),
        "one": ("done", 0.0),
        "two": ("running", 30.0),
        "three": ("failed", 0.0),
        "four": ("waiting", 40.0),
    }
    assert status.left == 70.0
    assert lines == [
        "Fake suite: running; 2 done, 1 running, 1 failed, 1 waiting of 5; about 1:10 left",
        "  running  two: 0:10 so far, about 0:30 left",
        "  failed   three: no space",
        f"           log: {out / jobs[2].log}",
    ]
    # nobody holds the lock: what had started was interrupted, and waits
    assert [cell.state for cell in read_status(out, 60.0).cells] == ["done", "done", "waiting", "failed", "waiting"]


def test_the_page_is_written_when_something_happens_and_escapes_what_it_shows(out: Path, make_job: MakeJob) -> None:
    job = make_job("a<b>&c")
    plan_of([job], out)
    EventLog(out).append(Event(job.id, FAILED, 1, 0.0, 1.0, "<script>"))
    now = [100.0]
    page = StatusPage(out, clock=lambda: now[0])
    page.tick()
    text = (out / "status.html").read_text()
    assert "a&lt;b&gt;&amp;c" in text
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert "http:" not in text.replace("http-equiv", "")
    (out / "status.html").unlink()
    page.is_due = True
    page.tick()
    assert not (out / "status.html").exists(), "at most every two seconds"
    now[0] += 2.0
    page.tick()
    assert (out / "status.html").exists()


def test_status_of_a_folder_that_holds_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path)]) == 2
    assert "holds no results of 'scenebench run'" in capsys.readouterr().err
    (tmp_path / "plan.json").write_text('{"format_version": 99}')
    assert main(["status", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "plan format 99, this version reads" in error
    assert error.count("\n") == 1
