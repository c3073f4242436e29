"""Everything under ``results/`` that is made of its records: tables, figures, and ``README.md``.

    python -m docs.generate.results results

The words of the page are in ``results.md`` beside this file; every number in it is asked for by suite, protocol and
row, and a missing record is an error that names it. A sentence that claims something is chosen by the numbers
(:mod:`docs.generate.claims`), or guarded by them: where they no longer bear it out, no page is made. Equal records give
equal bytes.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from benchmarks.published.values import COMPARED_METHODS, published_orders, read_published
from benchmarks.records.record import Record
from benchmarks.records.store import SUFFIX, is_store
from benchmarks.report.diagnostics_table import (
    DiagnosedRow,
    causes_by_epoch,
    causes_table,
    diagnostics_table,
    draw_by_category,
    draw_causes,
    draw_diagnostics,
    read_diagnostics,
)
from benchmarks.report.how_to_read import notes_to_markdown
from benchmarks.report.markdown import markdown_lines, to_markdown
from benchmarks.report.metrics import MAIN_METRICS, metric_label
from benchmarks.report.publish import COSTS, DIAGNOSTICS, RECORDS
from benchmarks.report.run_report import write_tables
from benchmarks.report.table import signed, summary_text, text_table
from benchmarks.statistics.rank_agreement import rank_agreement
from benchmarks.statistics.significance import PairedTest, paired_test
from benchmarks.statistics.summary import summarise
from docs.generate import claims
from docs.generate.suite_results import SuiteResults
from scenebench.errors import UserError
from scenebench.exit_codes import exit_code
from scenebench.files import write_text

TEMPLATE = Path(__file__).parent / "results.md"
TABLES, PAGE = "tables", "README.md"
_ANSWERS = {"passes": "yes", "fails": "this column cannot tell", "unknown": "not known"}


class Page:
    """What the template may ask for. Every answer is text for Markdown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        records = folder / RECORDS
        paths = records.iterdir() if records.is_dir() else []
        names = {path.name.removesuffix(SUFFIX) for path in paths if path.is_dir() or is_store(path.name)}
        self.suites = {name: SuiteResults(folder, name) for name in sorted(names)}

    def has(self, suite: str) -> bool:
        """Whether there are records of the suite."""
        return suite in self.suites

    def suite(self, name: str) -> SuiteResults:
        """The records of a suite that must be there."""
        if name not in self.suites:
            raise UserError(
                f"{self.folder / RECORDS / name}: there are no records of suite '{name}'; publish a run of it"
            )
        return self.suites[name]

    def value(self, suite: str, protocol: str, label: str, metric: str = "mAP") -> str:
        """``[19.0 ± 0.4 (3)](tables/SUITE/tables.md "...")``: a table's cell, linked to the table it stands in."""
        found = summarise(list(self.suite(suite).by_seed(protocol, label, metric).values()))
        assert found is not None
        return _linked(summary_text(found), suite, protocol, metric, label)

    def gain(self, suite: str, protocol: str, label: str, baseline: str, metric: str = "mAP") -> str:
        """The paired difference of two rows: ``+0.4 (-0.2 to +1.0; p 0.15, n 5)``."""
        test = self.suite(suite).test(protocol, label, baseline, metric)
        sure = ""
        if test.p is not None and test.low is not None and test.high is not None:
            sure = f"{signed(test.low)} to {signed(test.high)}; p {test.p:.2g}, "
        return _linked(
            f"{signed(test.difference)} ({sure}n {test.n})",
            suite,
            protocol,
            metric,
            f"{label} and {baseline}, paired by seed",
        )

    def verdict(
        self,
        suite: str,
        protocol: str,
        label: str,
        baseline: str,
        metric: str = "mAP",
        control: PairedTest | None = None,
    ) -> claims.Verdict:
        """What the paired difference of two rows shows; ``control``: :func:`docs.generate.claims.verdict`."""
        own = self.suite(suite)
        return claims.verdict(own.test(protocol, label, baseline, metric), control, own.can_tell(protocol, metric))

    def ranges(self, suite: str) -> str:
        """A Markdown table of what each main column of a suite can tell: its controls, in spreads, and its power."""
        head = ["column", "positive − negative control", "in spreads", "needed", "can it tell?", "detects"]
        rows = []
        for protocol, metric, standing in self.suite(suite).standings:
            found, power = standing.range, standing.power
            if metric in MAIN_METRICS and found is not None:
                points = f", {found.least_difference:g} points" if found.least_difference else ""
                row = ["–" if found.difference is None else signed(found.difference)]
                row += ["–" if found.ratio is None else f"{found.ratio:.1f}", f"{found.least_ratio:g}{points}"]
                row += ["this column cannot tell" if standing.cannot_tell else _ANSWERS[found.standing]]
                row += ["–" if power is None or power.detects is None else f"{power.detects:.1f} (n {power.n})"]
                rows.append([f"{protocol}: {metric_label(metric)}", *row])
        return "\n".join(markdown_lines(text_table(head, rows), is_padded=False))

    def warning(self, suite: str, protocol: str, metric: str = "mAP") -> str:
        """``this column cannot tell: supervised − random = +0.9, 1.1 spreads, needed 8``, "" where it can."""
        return self.suite(suite).warning(protocol, metric)

    def table(self, suite: str) -> str:
        """All tables of a suite; the notes on how to read them are :meth:`notes`."""
        return "\n".join(map(to_markdown, self.suite(suite).tables)).rstrip()

    def notes(self) -> str:
        """How to read the tables of all suites."""
        return notes_to_markdown([table for suite in self.suites.values() for table in suite.tables]).rstrip()

    def agreement(self, suite: str) -> str:
        """Kendall's tau between our columns and the published ones of the same four methods, as a Markdown table.

        Published columns that order the methods alike share a line.
        """
        own = self.suite(suite)
        columns = sorted(
            {(r.protocol.id, metric) for r in own.results.records for metric in MAIN_METRICS if metric in r.metrics}
        )
        measured = {
            column: {label: list(own.by_seed(column[0], label, column[1]).values()) for label in COMPARED_METHODS}
            for column in columns
            if all(_has(own.results.records, column, label) for label in COMPARED_METHODS)
        }
        if not measured:
            raise UserError(f"{own.place}: no protocol has records of all of {', '.join(COMPARED_METHODS)}")
        head = ["published", *(f"{protocol} {metric_label(metric)}" for protocol, metric in measured)]
        same_order: dict[tuple[str, ...], dict[str, list[str]]] = {}
        for (table, protocol, metric, epochs), values in published_orders(read_published()).items():
            cells = tuple(_agreement(ours, values) for ours in measured.values())
            place = f"MLS {table}, {protocol}" + (f", {epochs} epochs" if epochs else "")
            same_order.setdefault(cells, {}).setdefault(place, []).append(metric_label(metric))
        rows = [
            ["; ".join(f"{place}: {', '.join(metrics)}" for place, metrics in places.items()), *cells]
            for cells, places in same_order.items()
        ]
        return "\n".join(markdown_lines(text_table(head, rows), is_padded=False))

    def diagnostics(self, suite: str, method: str) -> str:
        """The table of a suite's diagnostics."""
        return diagnostics_table(self.diagnosed(suite), method).rstrip()

    def causes(self, suite: str) -> str:
        """The table of what the pseudo-labels of a suite lose to stale keys, changed colours and crops."""
        return causes_table(self.diagnosed(suite)).rstrip()

    def against(self, suite: str, method: str, measure: str, other: str) -> dict[str, PairedTest]:
        """Two measures of the diagnostics after the last epoch, in points and paired by seed, by setting and k."""
        tests = {}
        for row in self.diagnosed(suite):
            keys = {line.get("k", 0.0) for run in row.runs.values() for line in run} if row.method == method else set()
            for k in sorted(keys):
                last = {seed: [one for one in run if one.get("k", 0.0) == k][-1:] for seed, run in row.runs.items()}
                sides = [{s: 100 * one[name] for s, (one,) in last.items()} for name in (measure, other)]
                test = paired_test(*sides)
                if test is not None:
                    tests[f"{row.name}, k {k:g}"] = test
        return tests

    def measured(self, suite: str, method: str, measure: str) -> dict[str, float]:
        """A measure of the diagnostics after the last epoch, mean over seeds (and k), by setting."""
        means = {}
        for row in self.diagnosed(suite):
            if row.method == method:
                last = [
                    [line[measure] for line in run if line["epoch"] == run[-1]["epoch"]] for run in row.runs.values()
                ]
                means[row.name] = math.fsum(map(math.fsum, last)) / sum(map(len, last))
        return means

    def causes_over_chance(self, suite: str) -> float:
        """By how many points the picks beat chance at most: mean over seeds, of all settings, epochs and causes."""
        return 100 * max(
            math.fsum(cells[name]) / len(cells[name]) - math.fsum(chance) / len(chance)
            for row in self.diagnosed(suite)
            for cells in causes_by_epoch(row).values()
            for chance in [cells["chance_precision"]]
            for name in cells
        )

    def diagnosed(self, suite: str) -> list[DiagnosedRow]:
        """The diagnostics of a suite."""
        return read_diagnostics(self.folder / DIAGNOSTICS / suite)

    def cost(self, suite: str) -> str:
        """``1.62 core-hours (209 jobs)``, as noted when the run was published; else of the evaluations alone."""
        path = self.folder / COSTS / f"{suite}.json"
        if not path.is_file():
            seconds = math.fsum(record.wall_seconds for record in self.suite(suite).results.records)
            return f"{seconds / 3600:.2f} core-hours of evaluation (that of pretraining was not kept)"
        cost = _read_cost(path)
        return f"{cost['core_hours']:.2f} core-hours ({cost['jobs']} jobs)"

    def total_cost(self) -> str:
        """The sum over all suites here, and what it leaves out."""
        hours, without = 0.0, []
        for name, suite in self.suites.items():
            path = self.folder / COSTS / f"{name}.json"
            if path.is_file():
                hours += _read_cost(path)["core_hours"]
            else:
                hours += math.fsum(record.wall_seconds for record in suite.results.records) / 3600
                without.append(name)
        left_out = f", without the pretraining of {', '.join(without)}, whose time was not kept" if without else ""
        return f"{hours:.1f} core-hours{left_out}"


def build_results(folder: Path) -> list[Path]:
    """Write ``tables/`` and ``README.md`` of a results folder anew; pictures as SVG alone.

    Raises:
        UserError: no records, a damaged one, or one that the page asks for and that is missing.
    """
    page = Page(folder)
    if not page.suites:
        raise UserError(f"{folder}: holds no folder {RECORDS} with records of a suite")
    text = template_environment().from_string(TEMPLATE.read_text(encoding="utf-8")).render(page=page)
    files = []
    shutil.rmtree(folder / TABLES, ignore_errors=True)  # of a suite that is no longer there
    for name, suite in page.suites.items():
        files += write_tables(suite.results, suite.tables, folder / TABLES / name)
        if (folder / DIAGNOSTICS / name).is_dir():
            for draw in (draw_diagnostics, draw_by_category, draw_causes):
                files += draw(page.diagnosed(name), folder / TABLES / name)
    write_text(folder / PAGE, text.rstrip() + "\n")
    return [*_without_pixels(files), folder / PAGE]


def _without_pixels(files: Sequence[Path]) -> list[Path]:
    """Of pictures that were drawn twice the one of lines stays: smaller, and sharp at any size."""
    for path in files:
        if path.suffix == ".png" and path.with_suffix(".svg") in files:
            path.unlink()
    return [path for path in files if path.is_file()]


def template_environment() -> jinja2.Environment:
    """What the template is rendered in. Markdown needs no escaping of HTML; an unknown name is an error."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        extensions=["jinja2.ext.do"],
    )
    chosen = (claims.verdict, claims.compared, claims.methods, claims.reaching, claims.over_chance, claims.off_zero)
    environment.globals |= {one.__name__: one for one in (*chosen, claims.beside_control, claims.shown, claims.require)}
    return environment


def _read_cost(path: Path) -> dict[str, Any]:
    try:
        cost = json.loads(path.read_text(encoding="utf-8"))
        return {"core_hours": float(cost["core_hours"]), "jobs": int(cost["jobs"])}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is damaged ({error}); publish the run again") from error


def _has(records: Sequence[Record], column: tuple[str, str], label: str) -> bool:
    protocol, metric = column
    own = [one for one in records if one.backbone.label == label and one.protocol.id == protocol]
    return any(one.metrics.get(metric) is not None for one in own)


def _agreement(ours: Mapping[str, Sequence[float]], published: Mapping[str, float]) -> str:
    found = rank_agreement(ours, published)
    if found is None:
        return "–"
    return f"{signed(found.tau, 2)} ({signed(found.low, 2)} to {signed(found.high, 2)}; n {found.n})"


def _linked(text: str, suite: str, protocol: str, metric: str, row: str) -> str:
    return f'[{text}]({TABLES}/{suite}/tables.md "{suite}: {row}; {protocol}, {metric_label(metric)}")'


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the tables, figures and page of a results folder.")
    parser.add_argument("results", type=Path, metavar="RESULTS", help="the folder that holds records/")
    arguments = parser.parse_args(argv)

    def command() -> None:
        for path in build_results(arguments.results):
            print(path)

    return exit_code(command)


if __name__ == "__main__":
    sys.exit(main())
