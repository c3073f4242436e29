"""``run_suite`` around the engine: whose folder it is, bad input, and what is reported."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from fake_jobs import MakeJob, plan_of
from test_plan import coco, write

from benchmarks.report.after_run import picture_lines, write_expected_cells
from benchmarks.suites.source import coco_source, scenes_source
from benchmarks.suites.suite import load_suite
from benchmarks.workflow.display import Display
from benchmarks.workflow.events import FAILED, FINISHED, STARTED, Event, EventLog, last_by_job
from benchmarks.workflow.job import tail
from benchmarks.workflow.runner import _claim, run_suite
from scenebench.cli import main
from scenebench.errors import UserError


def test_a_folder_keeps_to_one_suite_and_one_data_set(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path))
    out, source = tmp_path / "out", scenes_source(suite.data)
    _claim(out, suite.name, source)
    _claim(out, suite.name, source)
    # other values of the same suite: finished jobs that still apply are kept
    other_values = load_suite(write(tmp_path, data={"images": 12, "size": 32, "seed": 5}))
    _claim(out, other_values.name, scenes_source(other_values.data))
    own = coco_source(tmp_path / "photos", coco(tmp_path), None, suite.user_data)
    with pytest.raises(UserError, match=rf"results of suite 'mine' on scenes, not of suite 'mine' on {own.place}"):
        _claim(out, suite.name, own)
    other = load_suite("smoke")
    with pytest.raises(UserError, match=r"holds results of suite 'mine' on scenes, not of suite 'smoke' on scenes"):
        _claim(out, other.name, scenes_source(other.data))


def test_the_same_data_elsewhere_is_the_same_data(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path))
    annotations = coco(tmp_path)
    _claim(tmp_path / "out", suite.name, coco_source(tmp_path / "photos", annotations, None, suite.user_data))
    (tmp_path / "moved").mkdir()
    (tmp_path / "photos").rename(tmp_path / "moved" / "photos")
    moved = coco_source(tmp_path / "moved" / "photos", annotations, None, suite.user_data)
    _claim(tmp_path / "out", suite.name, moved)


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path))
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("x")
    with pytest.raises(UserError, match="is not empty and holds no results"):
        _claim(tmp_path / "thesis", suite.name, scenes_source(suite.data))
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter1.tex"]
    with pytest.raises(UserError, match="is a file"):
        _claim(tmp_path / "thesis" / "chapter1.tex", suite.name, scenes_source(suite.data))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "photos"], "add --annotations JSON"),
        (["--annotations", "c.json"], "add --data FOLDER"),
        (["--data", "nowhere", "--annotations", "c.json"], "nowhere: no such folder"),
        (["--data", "photos", "--annotations", "no.json"], "no.json: no such annotation file"),
        (["--data", "photos", "--annotations", "text.json"], "text.json: not JSON"),
        (["--data", "photos", "--annotations", "list.json"], "list.json: not COCO"),
        (["--data", "photos", "--annotations", "c.json", "--test-annotations", "no.json"], "no.json: no such"),
        (["--data", "photos", "--annotations", "lost.json"], "3.jpg"),
        (["--cores", "0"], "--cores: 0 is not a positive number"),
    ],
)
def test_bad_input_is_one_line_before_any_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    content = json.loads(coco(tmp_path).read_text())
    content["images"].append({"id": 3, "file_name": "3.jpg", "width": 8, "height": 8})
    (tmp_path / "lost.json").write_text(json.dumps(content))
    (tmp_path / "text.json").write_text("hello")
    (tmp_path / "list.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "demo", "--out", "out", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists(), "bad input must leave nothing behind"


def test_missing_cells_name_the_first_cause(out: Path, make_job: MakeJob) -> None:
    cell = {"label": "a", "protocol": "p", "task": "classification", "metrics": ["mAP"], "seed": 0}
    pretraining = make_job("pretraining")
    jobs = []
    for name, needs in (("done", []), ("behind", [pretraining]), ("never", [])):
        job = make_job(name, needs)
        jobs.append(type(job)(**{**job.__dict__, "cell": {**cell, "is_reference": False, "record": job.outputs[0]}}))
    plan = plan_of([type(pretraining)(**{**pretraining.__dict__, "kind": "pretrain"}), *jobs], out)
    (out / jobs[0].outputs[0]).parent.mkdir(parents=True)
    (out / jobs[0].outputs[0]).touch()
    events = EventLog(out)
    events.append(Event(jobs[1].id, FAILED, 1, 0.0, 1.0, "an older reason"))
    events.append(Event(jobs[2].id, FAILED, 1, 0.0, 1.0, "an older reason"))
    events.append(Event(jobs[2].id, STARTED, 1, 0.0))
    events.append(Event(pretraining.id, FAILED, 1, 0.0, 1.0, "ValueError: no images"))
    assert write_expected_cells(plan, out) == 2
    cells = json.loads((out / "expected.json").read_text())["cells"]
    assert [cell["reason"] for cell in cells] == [
        "",
        "failed: ValueError: no images (log: logs/evaluate/pretraining.log)",
        "missing",
    ]


def test_events_survive_a_torn_line(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.append(Event("a", STARTED, 1, 1.0))
    with open(log.path, "ab") as file:
        file.write(b'{"job": "b", "sta')
    assert [event.job for event in log.read_new()] == ["a"]
    with open(log.path, "ab") as file:
        file.write(b'te": "started", "pid": 2, "time": 2.0}\nnot json\n')
    log.append(Event("a", FINISHED, 1, 3.0, 2.0))
    events = log.read_new()
    assert [(event.job, event.state) for event in events] == [("b", STARTED), ("a", FINISHED)]
    assert log.read_new() == []
    assert last_by_job(EventLog(tmp_path).read_new())["a"].seconds == 2.0


def test_the_display_says_what_happens_and_how_long_it_takes(out: Path, make_job: MakeJob) -> None:
    jobs = [make_job("one", seconds=60.0), make_job("two", seconds=60.0), make_job("three", seconds=60.0)]
    now = [0.0]
    stream = io.StringIO()
    display = Display(jobs, out, cores=2, stream=stream, clock=lambda: now[0])
    assert display.estimate() == pytest.approx(90.0)
    display.show(Event(jobs[0].id, STARTED, 1, 0.0))
    (out / jobs[0].log).parent.mkdir(parents=True)
    (out / jobs[0].log).write_text("$ scenebench pretrain\nepoch 1, 800 images/s\n")
    now[0] = 31.0
    display.tick()
    display.tick()
    now[0] = 60.0
    display.show(Event(jobs[0].id, FINISHED, 1, 60.0, 60.0))
    display.show(Event(jobs[1].id, STARTED, 1, 60.0))
    display.show(Event("an unknown job", FINISHED, 1, 60.0))
    now[0] = 90.0
    assert display.estimate() == pytest.approx((30 + 60) / 2)
    display.show(Event(jobs[1].id, FAILED, 1, 90.0, 30.0, "no space"))
    lines = stream.getvalue().splitlines()
    assert lines == [
        "[0/3] start   one",
        "          one: epoch 1, 800 images/s",
        "[1/3] done    one  60 s  (about 1:00 left)",
        "[1/3] start   two",
        "[2/3] FAILED  two: no space",
        f"          log: {out / jobs[1].log}",
    ]


def test_the_tail_of_a_log_is_what_a_terminal_would_show(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log, 3) == []
    log.write_bytes(b"first\n\n1/9\r2/9\r3/9\nlast \xff\n")
    assert tail(log, 2) == ["3/9", "last \ufffd"]
    log.write_text("x" * 100_000 + "\nend\n")
    assert tail(log, 1) == ["end"]


@pytest.mark.slow
def test_the_smoke_suite_runs_end_to_end_and_again_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "smoke"
    assert run_suite("smoke", out=out) == 0
    shown = capsys.readouterr().out
    for title in ("Multi-label classification", "Object detection", "Instance segmentation", "Semantic segmentation"):
        assert f"### {title}" in shown
    tables = {path.name: path.read_bytes() for path in (out / "tables").iterdir()}
    assert run_suite("smoke", out=out) == 0
    assert "0 jobs to run, 15 kept" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (out / "tables").iterdir()} == tables


def test_pictures_are_listed_one_by_one_until_they_are_many(tmp_path: Path, make_job: MakeJob) -> None:
    jobs = [make_job(f"cell{number:02d}") for number in range(13)]
    for number, job in enumerate(jobs):
        folder = tmp_path / job.id
        folder.mkdir(parents=True)
        (folder / "predictions.png").write_bytes(b"")
        lines = picture_lines(plan_of(jobs, tmp_path), tmp_path, "predictions.png")
        if number < 12:
            assert lines == [str(tmp_path / each.id / "predictions.png") for each in jobs[: number + 1]]
    assert lines == [f"{tmp_path}/cells/evaluate/*/predictions.png (13)"]
    assert picture_lines(plan_of(jobs, tmp_path), tmp_path, "figures/*.png") == []
