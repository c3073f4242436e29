"""What a column can tell, from its records: its range by the suite's controls, its floor, and what its seeds detect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.records.record import Record
from benchmarks.report.escaping import clip
from benchmarks.report.floors import CHANCE, floor_note
from benchmarks.report.metrics import LOWER_IS_BETTER
from benchmarks.report.table import Setting, signed
from benchmarks.statistics.power import Power, column_power, detectable
from benchmarks.statistics.range import Range, measured_range
from benchmarks.statistics.summary import pooled_std, summarise
from benchmarks.suites.controls import Controls, stated_controls

CANNOT_TELL = "this column cannot tell"
REPEATS = 5
"""Seeds that are spoken of where there is one."""
_LONGEST = 60
Rows = dict[str, dict[int, float]]
"""Value by seed, by label."""


@dataclass(frozen=True)
class Standing:
    """What is known of one column.

    Attributes:
        rows: of the suite that speaks for the column: value by seed of each backbone.
        controls: as that suite stated them in its records; None: it stated none.
        range: by these controls; None without them.
        floor: why the column is at its floor, or "".
        power: what its seeds detect; None where no row has two.
        lower_is_better: whether the metric is an error.
    """

    rows: Rows
    controls: Controls | None
    range: Range | None
    floor: str
    power: Power | None
    lower_is_better: bool = False

    @property
    def cannot_tell(self) -> bool:
        """Whether nothing may be concluded from the column."""
        return bool(self.floor) or (self.range is not None and self.range.standing == "fails")

    @property
    def warning(self) -> str:
        """``this column cannot tell: supervised − random = +0.9, 1.1 spreads, needed 8``; "" where it is not so."""
        if not self.cannot_tell:
            return ""
        reasons = [self.range_text] if self.range is not None and self.range.standing == "fails" else []
        return f"{CANNOT_TELL}: {'; '.join([*reasons, *([f'at its floor, {self.floor}'] if self.floor else [])])}"

    @property
    def range_text(self) -> str:
        """``supervised − random = +0.9, 1.1 spreads, needed 8``, or why it is not known; "" without controls."""
        found, controls = self.range, self.controls
        if found is None or controls is None:
            return ""
        names = clip(controls.positive, _LONGEST), clip(controls.negative, _LONGEST)
        if found.difference is None:
            missing = [
                name for name, value in zip(names, (found.positive, found.negative), strict=True) if value is None
            ]
            return f"no value of the control {' and '.join(missing)}"
        spreads = "no spread known" if found.ratio is None else f"{signed(found.ratio).removeprefix('+')} spreads"
        needed = f"{found.least_ratio:g}" + (
            f" and {found.least_difference:g} points" if found.least_difference else ""
        )
        if self.lower_is_better:
            names = names[1], names[0]
        return f"{names[0]} − {names[1]} = {signed(found.difference)}, {spreads}, needed {needed}"

    @property
    def power_text(self) -> str:
        """``detects 1.4 points at n = 5, paired``; "" where nothing is known of the spread."""
        power = self.power
        if power is None:
            return ""
        how = ", paired" if power.is_paired else ""
        if power.detects is None:
            repeated = detectable(power.spread, REPEATS, power.is_paired)
            return f"one seed detects nothing; {REPEATS} would detect {repeated:.1f} points"
        return f"detects {power.detects:.1f} points at n = {power.n}{how}"

    @property
    def note(self) -> str:
        """All of it for a table's notes, or ""."""
        said = self.warning
        if not said and self.range is not None:
            said = f"{'measures' if self.range.standing == 'passes' else 'range not known'}: {self.range_text}"
        return "; ".join(filter(None, (said, self.power_text)))


def setting_of_record(record: Record) -> Setting:
    """The column of a table that a record belongs to, but for the metric."""
    protocol, data = record.protocol, record.dataset
    return Setting(data.name, data.fingerprint, record.size, protocol.id, protocol.version, protocol.hash)


def standings(records: Iterable[Record]) -> dict[tuple[Setting, str], Standing]:
    """By setting and metric, what every column can tell.

    One suite speaks for a column: of those that state controls in its records the one with most records there, else the
    one with most records. Rows and controls are that suite's own.
    """
    by_setting: dict[Setting, list[Record]] = {}
    for record in records:
        by_setting.setdefault(setting_of_record(record), []).append(record)
    stated: dict[tuple[str, str], Controls | None] = {}
    found = {}
    for setting, there in by_setting.items():
        for record in there:
            key = record.suite, record.suite_hash
            if key not in stated:
                stated[key] = stated_controls(record.suite_resolved)
        of_suite = {key: controls for key, controls in stated.items() if controls is not None}
        speaking = _speaking(there, {suite for suite, _ in of_suite})
        own = [record for record in there if record.suite == speaking]
        hashes = Counter(record.suite_hash for record in own if (speaking, record.suite_hash) in of_suite)
        controls = of_suite[speaking, _most(hashes)] if hashes else None
        for metric in dict.fromkeys(metric for record in there for metric in record.metrics):
            found[setting, metric] = _standing(setting.protocol, metric, own, there, controls)
    return found


def _speaking(records: Sequence[Record], stating: set[str]) -> str:
    counts = Counter(record.suite for record in records)
    return _most({suite: n for suite, n in counts.items() if suite in stating} or counts)


def _most(counts: dict[str, int] | Counter[str]) -> str:
    return min(counts, key=lambda name: (-counts[name], name))


def _standing(
    protocol: str, metric: str, own: Sequence[Record], there: Sequence[Record], controls: Controls | None
) -> Standing:
    rows: Rows = {}
    for record in sorted(own, key=lambda one: (one.backbone.label, one.seed, one.started)):
        value = record.metrics.get(metric)
        if record.backbone.origin != "reference" and value is not None:
            rows.setdefault(record.backbone.label, {})[record.seed] = value
    values = {label: list(by_seed.values()) for label, by_seed in rows.items()}
    of_range = None
    if controls is not None:
        least = controls.threshold(protocol, metric)
        of_range = measured_range(
            values, controls.negative, controls.positive, least.spreads, least.points, metric in LOWER_IS_BETTER
        )
    floor = floor_note(
        metric,
        [one.mean for one in map(summarise, values.values()) if one is not None],
        pooled_std(list(values.values())),
        _chance(there, metric),
        *_numbers(there),
        is_measuring=of_range is not None and of_range.standing == "passes",
    )
    return Standing(rows, controls, of_range, floor, column_power(list(rows.values())), metric in LOWER_IS_BETTER)


def _chance(records: Sequence[Record], metric: str) -> float | None:
    values = [
        value
        for record in records
        if record.backbone.origin == "reference" and record.backbone.method == CHANCE
        if (value := record.metrics.get(metric)) is not None
    ]
    return max(values, default=None)


def _numbers(records: Sequence[Record]) -> tuple[int, int]:
    """(classes of a semantic map, categories of the data set)."""
    classes = max((len(record.per_class) for record in records if record.protocol.task == "segmentation"), default=0)
    return classes, records[0].dataset.categories
