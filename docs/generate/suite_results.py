"""The records of one run of a suite, as the page of results asks for them: values, paired tests, means."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property
from pathlib import Path

from benchmarks.records.collect import Results, collect
from benchmarks.records.places import place_named
from benchmarks.report.column_standing import Standing, standings
from benchmarks.report.publish import RECORDS
from benchmarks.report.suite_table import make_tables
from benchmarks.report.table import SuiteTable
from benchmarks.statistics.significance import PairedTest, paired_test
from benchmarks.suites.suite import load_suite, suite_names
from scenebench.errors import UserError


class SuiteResults:
    """The records of one run of a suite under ``results/records``; ``name`` is the suite's, or the run's own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.place = place_named(folder / RECORDS / name)

    @cached_property
    def results(self) -> Results:
        """Its records; differences are to the suite's baseline."""
        results = collect(self.place)
        names = {record.suite for record in results.records}
        if len(names) != 1 or not names.issubset(suite_names()):
            return results
        suite = load_suite(names.pop())
        baseline = suite.baseline if suite.baseline in {row.label for row in suite.backbones} else results.baseline
        data = sorted({record.dataset.name for record in results.records})
        title = suite.title if data == ["scenes"] else f"{suite.name} on {', '.join(data)}"  # a title speaks of scenes
        return dataclasses.replace(results, title=title, baseline=baseline)

    @cached_property
    def tables(self) -> list[SuiteTable]:
        """Its tables."""
        return make_tables(self.results)

    def by_seed(self, protocol: str, label: str, metric: str) -> dict[int, float]:
        """The values of one row, by seed.

        Raises:
            UserError: there is no such record.
        """
        values = {
            record.seed: value
            for record in self.results.records
            if record.protocol.id == protocol and record.backbone.label == label
            if (value := record.metrics.get(metric)) is not None
        }
        if not values:
            raise UserError(
                f"{self.place}: holds no record of row '{label}', protocol {protocol}, metric {metric}; run the suite "
                f"'{self.name}' and publish it, or take the number out of results.md"
            )
        return values

    def test(self, protocol: str, label: str, baseline: str, metric: str = "mAP") -> PairedTest:
        """Two rows, paired by seed.

        Raises:
            UserError: one of them has no record, or they share no seed.
        """
        test = paired_test(self.by_seed(protocol, label, metric), self.by_seed(protocol, baseline, metric))
        if test is None:
            raise UserError(f"{self.place}: rows '{label}' and '{baseline}' share no seed of protocol {protocol}")
        return test

    @cached_property
    def standings(self) -> list[tuple[str, str, Standing]]:
        """(protocol, metric, what the column can tell); one a version and data set of a protocol."""
        found = standings(self.results.records).items()
        return sorted(
            ((setting.protocol, metric, one) for (setting, metric), one in found), key=lambda entry: entry[:2]
        )

    def warning(self, protocol: str, metric: str = "mAP") -> str:
        """Why a column can tell nothing, "" where it can."""
        return "; ".join(
            one.warning for *column, one in self.standings if column == [protocol, metric] and one.cannot_tell
        )

    def can_tell(self, protocol: str, metric: str = "mAP") -> bool:
        """Whether anything may be concluded from a column."""
        return not self.warning(protocol, metric)

    def mean(self, protocol: str, label: str, metric: str = "mAP") -> float:
        """The mean of one row over its seeds."""
        values = self.by_seed(protocol, label, metric).values()
        return math.fsum(values) / len(values)

    def methods(self, protocol: str) -> list[str]:
        """The rows that were pretrained: neither a reference nor random initialisation."""
        records = [record for record in self.results.records if record.protocol.id == protocol]
        kept = [one.backbone for one in records if one.backbone.origin != "reference"]
        return sorted({one.label for one in kept if one.method != "random_init"})

    def reaching(self, protocol: str, reference: str, metric: str = "mAP") -> list[str]:
        """The pretrained rows whose mean is not below that of a reference."""
        least = self.mean(protocol, reference, metric)
        return [label for label in self.methods(protocol) if self.mean(protocol, label, metric) >= least]

    def best(self, protocol: str, metric: str = "mAP") -> str:
        """The pretrained row of the highest mean."""
        return max(self.methods(protocol), key=lambda label: self.mean(protocol, label, metric))
