"""Everything under results/ that is made of the records there is what the records give."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from setuptools import find_packages

from benchmarks.report.metrics import metric_label
from benchmarks.report.publish import COSTS, DIAGNOSTICS, RECORDS
from docs.generate.boards import BOARDS
from docs.generate.mini_settings import search_page
from docs.generate.results import build_results
from scenebench.cli import parse

RESULTS = Path(__file__).resolve().parents[2] / "results"


def test_the_page_says_of_each_board_without_records_how_to_run_it() -> None:
    page = (RESULTS / "README.md").read_text(encoding="utf-8")
    for board in BOARDS:
        assert f"| `{board.name}` |" in page
        has_records = (RESULTS / RECORDS / f"{board.name}.jsonl").is_file()
        assert (f"**not yet run**: `{board.command}`" in page) != has_records
        assert parse(shlex.split(board.command.replace("FOLDER", "photos"))[1:]) is not None


def test_make_tables_writes_what_is_committed(tmp_path: Path) -> None:
    """To the byte: page, tables and figures."""
    copy = tmp_path / "results"
    for name in (RECORDS, DIAGNOSTICS, COSTS):
        if (RESULTS / name).is_dir():
            shutil.copytree(RESULTS / name, copy / name)
    copy.mkdir(exist_ok=True)
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
    assert links or not (RESULTS / RECORDS).is_dir()
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
