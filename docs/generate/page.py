"""What the template of the results may ask for; every answer is text for Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.published.values import COMPARED_METHODS, published_orders, read_published
from benchmarks.records.store import SUFFIX, is_store
from benchmarks.report.diagnostics_table import DiagnosedRow, diagnostics_table, read_diagnostics
from benchmarks.report.kept_diagnostics import read_kept
from benchmarks.report.markdown import markdown_lines
from benchmarks.report.metrics import metric_label
from benchmarks.report.publish import COSTS, DIAGNOSTICS, RECORDS
from benchmarks.report.table import signed, summary_text, text_table
from benchmarks.statistics.rank_agreement import rank_agreement
from benchmarks.statistics.significance import PairedTest
from benchmarks.statistics.summary import summarise
from docs.generate import claims
from docs.generate.answers import Answers
from docs.generate.boards import BOARDS, UNTOLD, Board, estimated_hours, in_words, row_in_words
from docs.generate.suite_results import SuiteResults
from scenebench.errors import UserError

TABLES = "tables"
_ANSWERS = {"passes": "yes", "fails": "this column cannot tell", "unknown": "not known"}
_FINDINGS = {
    claims.GAINS: "gains in",
    claims.LOSES: "loses in",
    claims.NOT_SHOWN: "no difference is shown in",
    claims.CANNOT_TELL: "nothing can be said in",
}


class Page:
    """The records under a results folder."""

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

    # --- numbers -----------------------------------------------------------------------------------------------------

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

    def verdict(self, suite: str, protocol: str, label: str, baseline: str, metric: str = "mAP") -> claims.Verdict:
        """What the paired difference of two rows shows."""
        own = self.suite(suite)
        return claims.verdict(own.test(protocol, label, baseline, metric), can_tell=own.can_tell(protocol, metric))

    def ranges(self, suite: str) -> str:
        """A Markdown table of what each main column of a suite can tell: its controls, in spreads, and its power."""
        own = self.suite(suite)
        head = ["column", "negative", "positive", "difference", "in spreads", "needed", "can it tell?", "detects"]
        rows = []
        for protocol, metric in own.columns:
            for standing in own.standings_of(protocol, metric):
                found, power = standing.range, standing.power
                if found is None:
                    continue
                points = f", {found.least_difference:g} points" if found.least_difference else ""
                row = [_decimal(found.negative), _decimal(found.positive)]
                row += ["–" if found.difference is None else signed(found.difference)]
                row += ["–" if found.ratio is None else f"{found.ratio:.1f}", f"{found.least_ratio:g}{points}"]
                row += [_ANSWERS["fails"] if standing.cannot_tell else _ANSWERS[found.standing]]
                row += ["–" if power is None or power.detects is None else f"{power.detects:.1f} (n {power.n})"]
                rows.append([f"{protocol}: {metric_label(metric)}", *row])
        if not rows:
            return "The records of this run state no controls, so nothing is known of what its columns can tell."
        return "\n".join(markdown_lines(text_table(head, rows), is_padded=False))

    def warning(self, suite: str, protocol: str, metric: str = "mAP") -> str:
        """``this column cannot tell: supervised − random = +0.9, 1.1 spreads, needed 8``, "" where it can."""
        return self.suite(suite).warning(protocol, metric)

    # --- boards ------------------------------------------------------------------------------------------------------

    @property
    def boards(self) -> Sequence[Board]:
        """Those that have a section, in their order."""
        return BOARDS

    def state(self, board: Board) -> str:
        """What of a board is there: its cost, or the command that makes it and an estimate of the cost."""
        if self.has(board.name):
            return self.cost(board.name)
        return f"**not yet run**: `{board.command}`, about {estimated_hours(board.name):.1f} core-hours"

    def tests(
        self, suite: str, label: str, baseline: str, protocols: Sequence[str] = ()
    ) -> dict[tuple[str, str], PairedTest]:
        """By main column (of ``protocols``, if any are named) the paired test of two rows, where both have records."""
        if not self.has(suite):
            return {}
        own = self.suite(suite)
        wanted = [one for one in own.columns if not protocols or one[0] in protocols]
        tests = {column: own.test_if_there(column[0], label, baseline, column[1]) for column in wanted}
        return {column: test for column, test in tests.items() if test is not None}

    def differences(self, suite: str, label: str, baseline: str, column: tuple[str, str]) -> dict[int, float]:
        """Two rows' difference in one column, by seed; none where a record is missing or the column cannot tell."""
        if not self.has(suite) or not self.suite(suite).can_tell(*column):
            return {}
        one, other = (self.suite(suite).values(column[0], row, column[1]) for row in (label, baseline))
        return {seed: value - other[seed] for seed, value in one.items() if seed in other}

    def verdicts(
        self, suite: str, label: str, baseline: str, protocols: Sequence[str] = ()
    ) -> dict[str, claims.Verdict]:
        """What :meth:`tests` show, by the columns' words."""
        return {
            in_words(*column): claims.verdict(test, can_tell=self.suite(suite).can_tell(*column))
            for column, test in self.tests(suite, label, baseline, protocols).items()
        }

    def gains(self, suite: str, label: str, baseline: str, protocols: Sequence[str] = ()) -> str:
        """The differences behind :meth:`verdicts`, but for columns that cannot tell."""
        return ", ".join(
            f"{in_words(*column)} {self.gain(suite, column[0], label, baseline, column[1])}"
            for column in self.tests(suite, label, baseline, protocols)
            if self.suite(suite).can_tell(*column)
        )

    def findings(self, suite: str, baseline: str) -> str:
        """A bullet a row: in which columns it differs from the baseline, in which that is not shown, and why."""
        own = self.suite(suite)
        bullets = []
        for label in own.trained:
            kinds: dict[str, list[str]] = {}
            tests = self.tests(suite, label, baseline) if label not in (baseline, *UNTOLD) else {}
            for column, test in tests.items():
                found = claims.verdict(test, can_tell=own.can_tell(*column))
                words = in_words(*column)
                if found != claims.CANNOT_TELL:
                    words += f" {self.gain(suite, column[0], label, baseline, column[1])}"
                if found == claims.NOT_SHOWN:
                    words += own.detected(*column)
                kinds.setdefault(found, []).append(words)
            said = [f"{start} {', '.join(kinds[kind])}" for kind, start in _FINDINGS.items() if kind in kinds]
            if said:
                bullets.append(f"* **{row_in_words(label)}** {'; '.join(said)}.")
        return "\n".join(bullets) or f"* No row besides '{baseline}' is measured yet."

    def target(self, suite: str, column: tuple[str, str], rows: tuple[str, str], least: tuple[float, float]) -> str:
        """Whether the first row is so many points and spreads above the second, in words.

        Args:
            column: protocol and metric; ``least``: points, and spreads of the column.
        """
        own = self.suite(suite)
        means = [own.mean_if_there(column[0], row, column[1]) for row in rows]
        spread = own.spread(*column)
        asked = f"asked for: {least[0]:g} points and {least[1]:g} spreads"
        if means[0] is None or means[1] is None or not spread:
            return f"not known ({asked})"
        difference = means[0] - means[1]
        is_met = difference >= least[0] and difference >= least[1] * spread
        return f"{'met' if is_met else 'missed'}, {signed(difference)}, {difference / spread:.1f} spreads ({asked})"

    def answers(self, suite: str) -> Answers:
        """The questions of a suite of forks."""
        return Answers(self, suite)

    def off_zero(self, suite: str, baseline: str) -> str:
        """``2 of 12``: how many intervals of all rows in all columns that can tell do not hold zero."""
        own = self.suite(suite)
        rows = [label for label in own.trained if label not in (baseline, *UNTOLD)]
        tests = [
            test
            for label in rows
            for column, test in self.tests(suite, label, baseline).items()
            if own.can_tell(*column)
        ]
        return claims.off_zero(tests)

    def agreement(self, suite: str) -> str:
        """Kendall's tau between our columns and the published ones of the same four methods, as a Markdown table.

        Published columns that order the methods alike share a line.
        """
        own = self.suite(suite)
        measured = {
            column: {label: list(own.values(column[0], label, column[1]).values()) for label in COMPARED_METHODS}
            for column in own.columns
            if own.can_tell(*column) and all(own.values(column[0], label, column[1]) for label in COMPARED_METHODS)
        }
        if not measured:
            names = ", ".join(map(row_in_words, COMPARED_METHODS))
            return f"Not known: no column that can tell has records of all of {names}."
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

    # --- diagnostics and costs ---------------------------------------------------------------------------------------

    def has_diagnostics(self, suite: str, method: str) -> bool:
        """Whether any run of a method was watched."""
        runs = read_kept(self.folder / DIAGNOSTICS / suite).values()
        return any(run.about.get("method") == method for run in runs)

    def diagnostics(self, suite: str, method: str) -> str:
        """The table of a suite's diagnostics."""
        return diagnostics_table(self.diagnosed(suite), method).rstrip()

    def diagnosed(self, suite: str) -> list[DiagnosedRow]:
        """The diagnostics of a suite."""
        return read_diagnostics(self.folder / DIAGNOSTICS / suite)

    def diagnosed_lines(
        self, suite: str, method: str, file: str, settings: Mapping[str, object]
    ) -> dict[int, tuple[int, list[dict[str, float]]]]:
        """By seed (k, lines of the file) of the watched runs of these settings."""
        found = {}
        for run in read_kept(self.folder / DIAGNOSTICS / suite).values():
            own = run.about.get("settings", {})
            if run.about.get("method") == method and all(own.get(key) == value for key, value in settings.items()):
                found[int(run.about["seed"])] = (int(own.get("k", 0)), run.rows(file))
        return found

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


def _read_cost(path: Path) -> dict[str, Any]:
    try:
        cost = json.loads(path.read_text(encoding="utf-8"))
        return {"core_hours": float(cost["core_hours"]), "jobs": int(cost["jobs"])}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is damaged ({error}); publish the run again") from error


def _agreement(ours: Mapping[str, Sequence[float]], published: Mapping[str, float]) -> str:
    found = rank_agreement(ours, published)
    if found is None:
        return "–"
    return f"{signed(found.tau, 2)} ({signed(found.low, 2)} to {signed(found.high, 2)}; n {found.n})"


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _linked(text: str, suite: str, protocol: str, metric: str, row: str) -> str:
    return f'[{text}]({TABLES}/{suite}/tables.md "{suite}: {row}; {protocol}, {metric_label(metric)}")'
