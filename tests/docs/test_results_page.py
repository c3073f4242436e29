"""The page of results: what stands in it, what a missing record is told as, and what is kept of a run."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas
import pytest
from made_up_records import fill, make_record

from benchmarks.records.adding import add_records, admit_all
from benchmarks.records.record import write_record
from benchmarks.report.diagnostics_table import (
    causes_table,
    diagnostics_table,
    draw_by_category,
    draw_causes,
    draw_diagnostics,
    read_diagnostics,
)
from benchmarks.report.kept_diagnostics import read_kept
from benchmarks.report.publish import publish, run_cost
from benchmarks.suites.suite import load_suite
from benchmarks.workflow.events import FINISHED, Event, EventLog
from benchmarks.workflow.plan import Job, Plan
from docs.generate import results as results_page
from docs.generate.boards import BOARDS, estimated_hours
from docs.generate.mini_settings import chosen_rate, search_page
from docs.generate.results import Page, build_results
from scenebench.cli import main
from scenebench.errors import UserError


def records_of(suite: str, rows: list[str], protocols: tuple[str, ...], seeds: int = 3) -> list:
    return [
        make_record(label, protocol, seed, {"mAP": 10.0 + 3 * number + seed % 2 + number * seed / 10}, suite=suite)
        for number, label in enumerate(rows)
        for protocol in protocols
        for seed in range(seeds)
    ]


def results_of(folder: Path, suite: str = "own") -> Path:
    rows = ["random", "moco", "byol", "densecl", "mls"]
    fill(folder / "records" / suite, records_of(suite, rows, ("multilabel_knn", "multilabel_linear")))
    return folder


def template(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    path = folder / "template.md"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(results_page, "TEMPLATE", path)


def test_numbers_are_those_of_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = results_of(tmp_path / "results")
    text = '{{ page.value("own", "multilabel_knn", "mls") }}\n{{ page.gain("own", "multilabel_knn", "mls", "moco") }}\n'
    template(monkeypatch, tmp_path, text + '{{ page.agreement("own") }}')
    made = build_results(results)
    page = (results / "README.md").read_text(encoding="utf-8")
    # mls: 22.0, 23.4, 22.8; moco: 13.0, 14.1, 13.2
    assert page.startswith('[22.7 ± 0.7 (3)](tables/own/tables.md "own: mls; multilabel_knn, mAP")\n')
    assert "[+9.3 (+8.6 to +10.0; p 0.00035, n 3)](tables/own/tables.md" in page
    assert "n 4)" in page
    assert (results / "tables/own/tables.md") in made
    before = {path: path.read_bytes() for path in made}
    (results / "tables/gone").mkdir()
    assert {path: path.read_bytes() for path in build_results(results)} == before
    assert not (results / "tables/gone").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{{ page.value("own", "multilabel_knn", "soco") }}', "no record of row 'soco', protocol multilabel_knn"),
        ('{{ page.value("own", "fcn_demo", "mls", "mIoU") }}', "protocol fcn_demo, metric mIoU"),
        ('{{ page.findings("other", "moco") }}', "there are no records of suite 'other'"),
        ('{{ page.diagnostics("own", "mls") }}', "holds no diagnostics"),
    ],
)
def test_a_missing_record_is_an_error_that_names_it(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = results_of(tmp_path / "results")
    template(monkeypatch, tmp_path, text)
    with pytest.raises(UserError, match=message):
        build_results(results)
    assert not (results / "README.md").exists()


def test_without_a_record_the_page_says_what_is_not_yet_run(tmp_path: Path) -> None:
    assert build_results(tmp_path) == [tmp_path / "README.md"]
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    for board in BOARDS:
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{board.name}` |")]
        assert f"**not yet run**: `{board.command}`, about {estimated_hours(board.name):.1f} core-hours" in line
    assert "All in all on scenes: not known: it is not measured yet." in page
    assert "![" not in page, "there is nothing to draw"


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert results_page.main([str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err


# --- publishing ------------------------------------------------------------------------------------------------------


def finished_run(folder: Path) -> Path:
    """A run of two pretrainings and two evaluations, as ``scenebench run`` leaves it."""
    jobs = []
    for seed in (0, 1):
        pretrain = f"cells/pretrain/mls_demo-s{seed}-abc"
        record = f"cells/evaluate/mls-s{seed}/record.json"
        write_record(folder / record, make_record("mls", seed=seed))
        jobs += [Job(pretrain, "pretrain", "p", [], [], [f"{pretrain}/b"], "log", 60.0, cell={})]
        jobs += [Job(f"cells/evaluate/mls-s{seed}", "evaluate", "e", [], [], [record], "log", 9.0, cell={})]
        diagnostics = folder / pretrain / "diagnostics"
        diagnostics.mkdir(parents=True)
        about = {"method": "saliency", "seed": seed, "epochs": 2, "settings": {"beta": 1.0}}
        (diagnostics / "about.json").write_text(json.dumps(about))
        lines = [f"{epoch},{epoch},{0.2 + 0.1 * epoch + 0.01 * seed},0.2,0.2,0.5,0.4,0.4" for epoch in (0, 1, 2)]
        head = "epoch,step,iou,other_iou,chance_iou,pointing,other_pointing,chance_pointing"
        (diagnostics / "saliency.csv").write_text("\n".join([head, *lines]) + "\n")
    Plan("own", "mini", "Own", "mls", ["mls"], ["multilabel_knn"], jobs).write(folder / "plan.json")
    log = EventLog(folder)
    for job in jobs:
        log.append(Event(job.id, FINISHED, 1, 1.0, 90.0 if job.kind == "pretrain" else 10.0))
    return folder


def test_what_is_kept_of_a_run(tmp_path: Path) -> None:
    run, results = finished_run(tmp_path / "run"), tmp_path / "results"
    written = publish(run, results)
    kept = admit_all(results / "records/own.jsonl")
    assert [one.record.seed for one in kept] == [0, 1]
    assert {json.dumps(one.content, sort_keys=True) for one in kept} == {
        json.dumps(json.loads(path.read_text()), sort_keys=True) for path in run.rglob("record.json")
    }
    frame = pandas.read_csv(results / "diagnostics/own/saliency.csv")
    assert sorted(frame["run"].unique()) == ["mls_demo-s0-abc", "mls_demo-s1-abc"]
    assert frame.groupby("run")["iou"].last().tolist() == pytest.approx([0.4, 0.41])
    for seed in (0, 1):
        folder = run / f"cells/pretrain/mls_demo-s{seed}-abc/diagnostics"
        assert read_kept(results / "diagnostics/own")[f"mls_demo-s{seed}-abc"] == read_kept(folder)["diagnostics"]
    cost = json.loads((results / "costs/own.json").read_text())
    assert cost == run_cost(run)
    assert (cost["jobs"], cost["core_hours"]) == (4, pytest.approx(200 / 3600, abs=1e-3))
    assert results / "costs/own.json" in written
    assert {path for path in results.rglob("*") if path.is_file()} == {*written, results / "records/.lock"}
    assert Page(results).cost("own").endswith("core-hours (4 jobs)")
    assert Page(results).total_cost() == "0.1 core-hours"


def test_publishing_again_adds_and_never_replaces_unasked(tmp_path: Path) -> None:
    run, results = finished_run(tmp_path / "run"), tmp_path / "results"
    publish(run, results)
    store = results / "records/own.jsonl"
    first = store.read_bytes()
    publish(run, results)
    assert store.read_bytes() == first
    again = run / "cells/evaluate/mls-s1/record.json"
    write_record(again, make_record("mls", seed=1, metrics={"mAP": 12.0}))
    with pytest.raises(UserError, match=r"seed 1\) is there with other values: .*own\.jsonl:2; .*--replace"):
        publish(run, results)
    assert store.read_bytes() == first
    write_record(again, make_record("mls", seed=2))
    publish(run, results)
    assert [one.record.seed for one in admit_all(store)] == [0, 1, 2]
    assert set(first.splitlines()) < set(store.read_bytes().splitlines())
    publish(run, results, replace=True)
    assert [one.record.seed for one in admit_all(store)] == [0, 2]


def test_a_run_on_other_data_has_a_name_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told apart from the suite's own run, and is still known as a run of that suite."""
    run, results = finished_run(tmp_path / "run"), tmp_path / "results"
    publish(run, results)
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    assert main(["records", "publish", str(run), "--to", str(results), "--name", "own_photos"]) == 0
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(admit_all(results / "records/own_photos.jsonl")) == 2
    assert len(read_kept(results / "diagnostics/own_photos")) == 2
    assert Page(results).cost("own_photos").endswith("core-hours (4 jobs)")
    capsys.readouterr()
    for name in ("../mini", ".", "a/b", "-x"):
        assert main(["records", "publish", str(run), "--to", str(results), f"--name={name}"]) == 2
        assert "letters, digits" in capsys.readouterr().err
    assert main(["records", "publish", str(run), str(run), "--to", str(results), "--name", "two"]) == 2
    assert "names one run, 2 are given" in capsys.readouterr().err


def test_a_run_on_other_data_does_not_replace_the_suites_own(tmp_path: Path) -> None:
    run, results = finished_run(tmp_path / "run"), tmp_path / "results"
    record = make_record("mls")
    photos = record.dataset.model_copy(update={"name": "photos"})
    one = write_record(tmp_path / "photos/record.json", record.model_copy(update={"dataset": photos}))
    add_records([tmp_path / "photos"], results / "records")
    path = results / "records/own.jsonl"
    (results / f"records/{one.suite}.jsonl").rename(path)
    (results / f"records/{one.suite}.shared.jsonl").rename(results / "records/own.shared.jsonl")
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"holds records on photos, and .* is on scenes; give it a name of its own"):
        publish(run, results)
    assert path.read_bytes() == before
    publish(run, results, "own_scenes")


def test_records_tell_their_suite_whatever_they_are_kept_as(tmp_path: Path) -> None:
    records = [make_record(label, seed=seed, suite="mini") for label in ("moco", "random") for seed in (0, 1)]
    photos = records[0].dataset.model_copy(update={"name": "photos"})
    fill(tmp_path / "records/mini_photos", [one.model_copy(update={"dataset": photos}) for one in records])
    results = Page(tmp_path).suite("mini_photos").results
    assert (results.title, results.baseline) == ("mini on photos", "random")


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no results of 'scenebench run'"):
        publish(tmp_path, tmp_path / "results")


def test_diagnostics_over_seeds(tmp_path: Path) -> None:
    publish(finished_run(tmp_path / "run"), tmp_path / "results")
    rows = read_diagnostics(tmp_path / "results/diagnostics/own")
    assert [(row.method, row.name, sorted(row.runs)) for row in rows] == [("saliency", "saliency", [0, 1])]
    table = diagnostics_table(rows, "saliency")
    assert "| saliency | 0.405 ± 0.007 (2) | 0.200 ± 0.000 (2) |" in table, "of the last epoch"
    pictures = draw_diagnostics(rows, tmp_path)
    first = [path.read_bytes() for path in pictures]
    assert [path.read_bytes() for path in draw_diagnostics(rows, tmp_path)] == first


def test_causes_over_seeds_and_settings(tmp_path: Path) -> None:
    for epochs in (2, 4):
        for seed in (0, 1):
            run = tmp_path / "results/diagnostics/own" / f"e{epochs}-s{seed}"
            run.mkdir(parents=True)
            about = {"method": "mls", "seed": seed, "epochs": epochs, "settings": {"k": 5}}
            (run / "about.json").write_text(json.dumps(about))
            picks = [f"{epoch},{epoch},{k},0.4{seed},0.3,0.1,0.1" for epoch in (1, epochs) for k in (1, 5)]
            head = "epoch,step,k,precision,chance_precision,recall,chance_recall"
            (run / "pseudo_labels.csv").write_text("\n".join([head, *picks]) + "\n")
            if epochs == 4:
                lines = [f"4,4,{k},0.35,0.{k},0.5{seed},0.6" for k in (1, 5)]
                head = "epoch,step,k,chance_precision,fresh_precision,uncoloured_precision,whole_precision"
                (run / "causes.csv").write_text("\n".join([head, *lines]) + "\n")
    rows = read_diagnostics(tmp_path / "results/diagnostics/own")
    assert [row.name for row in rows] == ["mls, epochs 2", "mls, epochs 4"]
    cells = "0.405 ± 0.007 (2) | 0.500 ± 0.000 (2) | 0.505 ± 0.007 (2) | 0.600 ± 0.000 (2) | 0.300 ± 0.000 (2)"
    assert causes_table(rows).splitlines()[-1] == f"| mls, epochs 4 | 5 | 4 | {cells} |", "chance is that of training"
    assert {path.name for path in draw_causes(rows, tmp_path)} == {"causes.png", "causes.svg"}
    assert draw_causes(rows[:1], tmp_path) == []
    with pytest.raises(UserError, match="diagnostics.causes=true"):
        causes_table(rows[:1])


def test_categories_over_seeds(tmp_path: Path) -> None:
    for seed in (0, 1):
        run = tmp_path / f"s{seed}"
        run.mkdir()
        (run / "about.json").write_text(json.dumps({"method": "mls", "seed": seed, "epochs": 2, "settings": {"k": 5}}))
        lines = [f"{epoch},{c},{100 * c + 50},0.{epoch}{seed},0.1" for epoch in (1, 2) for c in (1, 0)]
        head = "epoch,category,images,precision,chance_precision"
        (run / "by_category.csv").write_text("\n".join([head, *lines, "2,2,0,nan,nan"]) + "\n")
    (row,) = read_diagnostics(tmp_path)
    assert [(line["category"], line["precision"]) for line in row.by_category[1][:2]] == [(1.0, 0.21), (0.0, 0.21)]
    assert {path.name for path in draw_by_category([row], tmp_path)} == {"by_category.png", "by_category.svg"}
    assert draw_by_category([row] * 5, tmp_path) == []


# --- settings --------------------------------------------------------------------------------------------------------


def search_records(folder: Path, split: str = "val") -> Path:
    records = []
    for method, by_rate in {
        "moco": {1e-3: 17.0, 2e-3: 18.0, 4e-3: 18.9},
        "mls": {1e-3: 19.5, 2e-3: 18.0},
        "byol": {2e-3: 9.0, 4e-3: 8.5},
    }.items():
        for rate, value in by_rate.items():
            for probe, metric in (("multilabel_linear", "mAP"), ("region_linear", "object_acc")):
                recipe = {"name": f"{method}_demo", "seed": 0, "optimiser": {"lr": rate}}
                record = make_record(f"{method} {rate}", probe, metrics={metric: value}, method=method, recipe=recipe)
                data = record.dataset.model_copy(update={"test_split": split})
                records.append(record.model_copy(update={"dataset": data}))
    return fill(folder / "records/mini_search", records).parents[1]


def test_the_page_of_settings_follows_the_rule(tmp_path: Path) -> None:
    page = search_page(search_records(tmp_path))
    assert "| moco | 0.002 | 18.0 | 18.0 | 18.0 | taken |" in page, "4e-3 is better by .9, within the margin"
    assert "| mls | 0.001 | 19.5 | 19.5 | 19.5 | taken |" in page
    assert "| byol | 0.004 | 8.5 | 8.5 | 8.5 | taken |" in page, "BYOL stands at 4e-3"
    assert "has not been run" not in page
    assert "has not been run" in search_page(tmp_path / "nothing")
    with pytest.raises(UserError, match="the standing rate 0.002 was not tried"):
        chosen_rate({0.001: [1.0]}, 0.002)
    with pytest.raises(UserError, match="a record of split 'test' is among those of the search"):
        search_page(search_records(tmp_path / "test", split="test"))


def test_the_search_reads_neither_the_test_split_nor_minis_scenes() -> None:
    search, mini = load_suite("mini_search"), load_suite("mini")
    assert search.data.seed not in (0, mini.data.seed)
    assert all("data.test_split=val" in column.overrides for column in search.protocols)
    assert mini.data.seed == 7


def test_values_csv_has_the_same_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = results_of(tmp_path / "results")
    template(monkeypatch, tmp_path, "{{ page.total_cost() }}")
    build_results(results)
    assert "without the pretraining of own" in (results / "README.md").read_text(encoding="utf-8")
    with open(results / "tables/own/values.csv", encoding="utf-8", newline="") as file:
        (line,) = [one for one in csv.DictReader(file) if (one["row"], one["protocol"]) == ("mls", "multilabel_knn")]
    assert float(line["mean"]) == pytest.approx((22.0 + 23.4 + 22.8) / 3, abs=1e-6)
