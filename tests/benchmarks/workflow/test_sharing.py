"""What suites share, what a size says to a suite, and how many runs a protocol gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from made_up_records import make_record
from test_plan import SUITE

from benchmarks.protocols.protocol import load_protocol
from benchmarks.records.record import read_record, write_record
from benchmarks.report.after_run import PICTURES_FOLDER, show_pictures, write_expected_cells
from benchmarks.suites.group import load_suites
from benchmarks.suites.suite import BackboneRow, ProtocolColumn
from benchmarks.workflow.events import FAILED, Event, EventLog
from benchmarks.workflow.job import _executable
from benchmarks.workflow.plan import THEN
from benchmarks.workflow.plan_from_suite import seeds_of_runs
from benchmarks.workflow.work import prepare
from scenebench.config import config_hash
from scenebench.several import main as several
from scenebench.several import split

ASKING = ("faster_rcnn_r50_c4_24k", "psanet_r50_d8_40k", "pspnet_r50_d8_40k")


def test_a_size_lays_its_values_under_the_suites_own() -> None:
    mini, demo = (load_suites("mls_table8", size)[0] for size in ("mini", "demo"))
    assert mini == load_suites("mls_table8_demo")[0]
    assert (len(mini.backbones[0].seeds), demo.backbones[0].seeds) == (3, [0])
    assert (mini.data.images, demo.data.images, demo.data.seed) == (2400, 1200, mini.data.seed)
    random, moco = demo.backbones[:2]
    assert random.overrides == [], "nothing is trained there"
    assert moco.overrides == ["schedule.epochs=2"]
    assert moco.seconds < mini.backbones[1].seconds
    (detector,) = load_suites("mls_table1", "demo")[0].protocols
    assert detector.overrides == ["settings.iterations=60"]
    assert load_suites("mls_table1", "paper")[0] == load_suites("mls_table1")[0]


def test_a_protocol_gets_the_runs_that_it_asks_for(tmp_path: Path) -> None:
    def seeds(name: str, row: str) -> list[int]:
        cells = [job.cell for job in prepare(name, data=tmp_path).plan.jobs if job.cell]
        return sorted(cell["seed"] for cell in cells if cell["label"] == row and cell["protocol"] in ASKING)

    assert seeds("mls_table4", "MLS") == [0, 1, 2], "three, as the paper says"
    assert seeds("mls_table3", "MLS") == [0, 0, 1, 1], "two of each network"
    row, column = BackboneRow("mls_demo", "a", seeds=[4, 5]), ProtocolColumn("faster_rcnn_r50_c4_24k")
    protocol = load_protocol(column.protocol)
    assert [seeds_of_runs(row, seed, column, protocol) for seed in row.seeds] == [[4, 0], [5]], "three in all"
    assert seeds_of_runs(row, 4, replace(column, seeds=[5]), protocol) == []


def test_what_suites_share_is_judged_once_and_filed_under_each(tmp_path: Path) -> None:
    probes = [{"protocol": "multilabel_knn"}, {"protocol": "multilabel_linear"}]
    for name, label in (("one", "mls"), ("two", "k {mls.k}")):
        rows = [{"label": label, "recipe": "mls_demo", **({"sweep": {"mls.k": [5, 6]}} if name == "two" else {})}]
        content = {
            **SUITE,
            "references": [],
            "backbones": rows,
            "size": "small",
            "protocols": probes if name == "two" else probes[1:],
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "both.yaml").write_text("suites: [one.yaml, two.yaml]\n")
    work = prepare(str(tmp_path / "both.yaml"))
    judging = [job for job in work.plan.jobs if job.kind == "evaluate"]
    assert sorted(len(job.outputs) for job in judging) == [2, 2], "two backbones, both probes in one process"
    shared = next(job for job in judging if len(job.more_cells) == 2)
    assert {cell["label"] for cell in (shared.cell, *shared.more_cells)} == {"mls", "k 5"}
    assert shared.command.count(THEN) == 1
    assert _executable(shared)[1:4] == ["-P", "-m", "scenebench.several"]
    assert [command[0] for command in split(shared.command)] == ["evaluate", "evaluate"]
    assert "--suite" not in shared.command

    out, (one, two) = tmp_path / "out", work.plans
    for plan in (one, two):
        for job in (job for job in plan.jobs if job.kind == "evaluate"):
            record = make_record("mls_demo", job.cell["protocol"], seed=0, metrics={"mAP": 20.0})
            write_record(out / job.outputs[0], record)
    assert write_expected_cells(two, out, out / "two", work.plan) == 0
    filed = {record.backbone.label: record for record in map(read_record, (out / "two").rglob("record.json"))}
    assert sorted(filed) == ["k 5", "k 6"]
    for record in filed.values():
        assert record.suite_resolved == two.values
        assert record.suite_hash == config_hash(two.values)
        assert record.metrics == {"mAP": 20.0}

    gone = out / two.targets[0].outputs[0]
    gone.unlink()
    maker = next(job for job in work.plan.jobs if two.targets[0].outputs[0] in job.outputs)
    EventLog(out).append(Event(maker.id, FAILED, 1, 0.0, 1.0, "made to fail"))
    assert write_expected_cells(two, out, out / "two", work.plan) == 1
    assert f"failed: made to fail (log: {maker.log})" in (out / "two/expected.json").read_text()


def test_several_commands_in_one_process_are_all_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert several(["scenebench", "run", "nowhere", THEN, "scenebench", "protocol", "list"]) == 2
    shown = capsys.readouterr()
    assert "multilabel_knn" in shown.out
    assert shown.err.splitlines()[-1] == "'run nowhere ...' ended with exit code 2 (its own words are above)"
    assert several(["scenebench", "protocol", "list"]) == 0


def test_a_suite_of_pictures_shows_them_and_counts_missing_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = prepare("mls_fig4", size="demo").plan
    assert [job.kind for job in plan.targets] == ["pretrain"]
    ((name, source),) = plan.pictures.items()
    assert name == "mls-pseudo_positives.png"
    assert show_pictures(plan, tmp_path, tmp_path / "shown") == 1
    assert "missing" in capsys.readouterr().out
    (tmp_path / source).parent.mkdir(parents=True)
    (tmp_path / source).write_bytes(b"picture")
    assert show_pictures(plan, tmp_path, tmp_path / "shown") == 0
    assert (tmp_path / "shown" / PICTURES_FOLDER / name).read_bytes() == b"picture"
