"""The records of one run of a suite, as the page of results asks for them: values, paired tests, means."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property
from pathlib import Path

from benchmarks.records.collect import Results, collect
from benchmarks.records.places import place_named
from benchmarks.report.column_standing import Standing, standings
from benchmarks.report.metrics import MAIN_METRICS
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
        is_own = data == ["scenes"] or bool(suite.pretrain_data)  # a title speaks of the suite's own data
        title = suite.title if is_own else f"{suite.name} on {', '.join(data)}"
        return dataclasses.replace(results, title=title, baseline=baseline)

    @cached_property
    def tables(self) -> list[SuiteTable]:
        """Its tables."""
        return make_tables(self.results)

    @cached_property
    def columns(self) -> list[tuple[str, str]]:
        """The main columns that have records, (protocol, metric), in the suite's order."""
        found = {
            (one.protocol.id, name) for one in self.results.records for name in one.metrics if name in MAIN_METRICS
        }
        order = self._stated("protocols", "protocol")
        return sorted(found, key=lambda one: (order.get(one[0], len(order)), one[0], MAIN_METRICS.index(one[1])))

    @cached_property
    def trained(self) -> list[str]:
        """The rows that were pretrained, in the suite's order: neither a reference nor random initialisation."""
        kept = [one.backbone for one in self.results.records if one.backbone.origin != "reference"]
        order = self._stated("backbones", "label")
        labels = {one.label for one in kept if one.method != "random_init"}
        return sorted(labels, key=lambda label: (order.get(label, len(order)), label))

    def _stated(self, entries: str, key: str) -> dict[str, int]:
        """Places in the suite as the records state it; of a protocol file of one's own the stem counts."""
        stated = [one for record in self.results.records for one in record.suite_resolved.get(entries) or []]
        names = [str(one.get(key, "")).removesuffix(".yaml") for one in stated if isinstance(one, dict)]
        return {name: place for place, name in enumerate(dict.fromkeys(names))}

    def values(self, protocol: str, label: str, metric: str) -> dict[int, float]:
        """The values of one row, by seed; none where there is no record."""
        return self._values.get((protocol, label, metric), {})

    @cached_property
    def _values(self) -> dict[tuple[str, str, str], dict[int, float]]:
        found: dict[tuple[str, str, str], dict[int, float]] = {}
        for record in self.results.records:
            for metric, value in record.metrics.items():
                if value is not None:
                    key = (record.protocol.id, record.backbone.label, metric)
                    found.setdefault(key, {})[record.seed] = value
        return found

    def by_seed(self, protocol: str, label: str, metric: str) -> dict[int, float]:
        """The values of one row, by seed.

        Raises:
            UserError: there is no such record.
        """
        values = self.values(protocol, label, metric)
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

    def test_if_there(self, protocol: str, label: str, baseline: str, metric: str) -> PairedTest | None:
        """:meth:`test`, or None where a row has no record or they share no seed."""
        return paired_test(self.values(protocol, label, metric), self.values(protocol, baseline, metric))

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

    def standings_of(self, protocol: str, metric: str) -> list[Standing]:
        """Those of one column; more than one where it was measured by several versions or on several data sets."""
        return [one for *column, one in self.standings if column == [protocol, metric]]

    def mean_if_there(self, protocol: str, label: str, metric: str) -> float | None:
        """The mean of one row over its seeds; None where there is no record."""
        values = self.values(protocol, label, metric).values()
        return math.fsum(values) / len(values) if values else None

    def means_of_others(self, protocol: str, metric: str) -> list[float]:
        """The means of the pretrained rows of a column but its positive control."""
        controls = {one.controls.positive for one in self.standings_of(protocol, metric) if one.controls is not None}
        means = [self.mean_if_there(protocol, label, metric) for label in self.trained if label not in controls]
        return [mean for mean in means if mean is not None]

    def spread(self, protocol: str, metric: str) -> float | None:
        """The pooled standard deviation over seeds of a column; None where it is not known."""
        found = [one.range.spread for one in self.standings_of(protocol, metric) if one.range is not None]
        return found[0] if found else None

    def detected(self, protocol: str, metric: str) -> str:
        """``, where 0.9 would be found four times in five``, "" where it is not known."""
        found = [one.power.detects for one in self.standings_of(protocol, metric) if one.power is not None]
        return f", where {found[0]:.1f} would be found four times in five" if found and found[0] is not None else ""
