"""Everything under results/ that is made of the records there is what the records give."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from setuptools import find_packages

from benchmarks.records.adding import admit_all
from benchmarks.records.collect import collect
from benchmarks.records.record import write_record
from benchmarks.report.metrics import metric_label
from benchmarks.report.publish import COSTS, DIAGNOSTICS, RECORDS
from benchmarks.report.run_report import write_tables
from benchmarks.report.suite_table import make_tables
from docs.generate.mini_settings import search_page
from docs.generate.results import build_results
from scenebench.cli import main

RESULTS = Path(__file__).resolve().parents[2] / "results"


def test_the_commands_shown_there_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```\n(.*?)```", (RESULTS / "README.md").read_text(encoding="utf-8"), re.S)
    commands = [line.split() for block in blocks for line in block.splitlines()]
    assert commands
    monkeypatch.chdir(RESULTS.parent)
    for command in commands:
        assert command.pop(0) == "scenebench"
        assert command[-2:] == ["--out", "tables"]
        assert main([*command[:-1], str(tmp_path / "tables")]) == 0
    shown = capsys.readouterr().out
    assert "apart: scenes, size demo" in shown
    assert list((tmp_path / "tables").glob("*.tex"))


def test_tables_of_migrated_records_are_those_of_the_records(tmp_path: Path) -> None:
    """Written anew under the present schema they give the same bytes."""
    for number, one in enumerate(admit_all(RESULTS / "records/methods_demo.jsonl")):
        assert one.content["schema_version"] == 1
        write_record(tmp_path / "new" / str(number) / "record.json", one.record)
    for name, place in (("old", RESULTS / "records/methods_demo.jsonl"), ("new", tmp_path / "new")):
        results = collect(place)
        assert len(results.records) == 46
        write_tables(results, make_tables(results), tmp_path / f"{name}_tables")
    for made in (tmp_path / "old_tables").iterdir():
        assert made.read_bytes() == (tmp_path / "new_tables" / made.name).read_bytes()


def test_make_tables_writes_what_is_committed(tmp_path: Path) -> None:
    """To the byte: page, tables and figures."""
    copy = tmp_path / "results"
    for name in (RECORDS, DIAGNOSTICS, COSTS):
        if (RESULTS / name).is_dir():
            shutil.copytree(RESULTS / name, copy / name)
    made = build_results(copy)
    committed = {path.relative_to(RESULTS) for path in [*(RESULTS / "tables").rglob("*"), RESULTS / "README.md"]}
    assert {path.relative_to(copy) for path in made} == {path for path in committed if (RESULTS / path).is_file()}
    for path in made:
        assert path.read_bytes() == (RESULTS / path.relative_to(copy)).read_bytes(), f"{path.name}: run 'make tables'"
    page = (RESULTS.parent / "docs/mini-settings.md").read_text(encoding="utf-8")
    assert search_page(copy) == page, "docs/mini-settings.md: run 'make tables'"


def test_the_writers_of_pages_are_in_no_wheel() -> None:
    """Nor is the study's text: what is installed are the packages alone."""
    project = tomllib.loads((RESULTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    found = find_packages(str(RESULTS.parent), include=project["tool"]["setuptools"]["packages"]["find"]["include"])
    assert {name.partition(".")[0] for name in found} == {"scenebench", "pretrain", "transfer", "benchmarks"}
    assert not list(RESULTS.parent.glob("benchmarks/**/results.md"))


def test_the_makefile_calls_both() -> None:
    recipe = subprocess.run(
        ["make", "-n", "tables"], cwd=RESULTS.parent, capture_output=True, text=True, check=False
    ).stdout
    assert "docs.generate.results results" in recipe
    assert "docs.generate.mini_settings results docs/mini-settings.md" in recipe


def test_every_number_of_the_page_stands_in_the_table_it_links_to() -> None:
    page = (RESULTS / "README.md").read_text(encoding="utf-8")
    links = re.findall(r'\[([^\[\]]+)\]\((tables/[^ )]+) "([^:"]+): ([^;"]+); (\w+), ([^"]+)"\)', page)
    assert len(links) > 8
    values = {suite: csv_of(suite) for suite in {link[2] for link in links}}

    def cell(suite: str, *wanted: str) -> tuple[float, str]:
        """(mean, number of seeds) of (row, protocol, metric)."""
        (found,) = [
            (float(line["mean"]), line["n"])
            for line in values[suite]
            if (line["row"], line["protocol"], metric_label(line["metric"])) == wanted
        ]
        return found

    for text, file, suite, row, protocol, metric in links:
        assert file == f"tables/{suite}/tables.md"
        assert (RESULTS / file).is_file()
        pair = re.fullmatch("(.+) and (.+), paired by seed", row)
        if pair is None:
            assert text.startswith(f"{cell(suite, row, protocol, metric)[0]:.1f}")
            continue
        (mean, n), (other, m) = (cell(suite, one, protocol, metric) for one in pair.groups())
        assert n == m, f"{row}: seeds of one have no partner"
        shown = float(text.split()[0].replace("−", "-"))
        assert shown == pytest.approx(mean - other, abs=0.051), row


def csv_of(suite: str) -> list[dict[str, str]]:
    with open(RESULTS / "tables" / suite / "values.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
