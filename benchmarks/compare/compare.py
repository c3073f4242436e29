"""Two sides compared: differences by task and metric with how sure they are, and what differs in the recipes.

Only values of the same protocol (its version and every value of it), data and size are compared; the others are listed
with what differs. Rows that have the same seeds are paired over them; others are two independent samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.compare.sides import Side
from benchmarks.records.differences import KeyDifference, differing_keys, differing_setup
from benchmarks.records.record import Record
from benchmarks.report.column_standing import Standing, setting_of_record, standings
from benchmarks.report.table import Setting
from benchmarks.statistics.bootstrap import bootstrap_interval, paired_interval
from benchmarks.statistics.significance import holm, paired_p, welch_p
from benchmarks.statistics.summary import Summary, summarise
from scenebench.errors import UserError

PAIRED, WELCH, NONE = "paired t", "Welch", ""
_SHOWN_KEYS = 5
Column = tuple[str, str, str, str]
"""Protocol's hash, data's name and fingerprint, size: what must be equal for numbers to be compared."""


@dataclass(frozen=True)
class Difference:
    """One metric of one protocol in both rows, in percent points; ``difference`` is B's mean less A's.

    Attributes:
        interval: bootstrap, 95 %; None of single seeds.
        test: ``paired t``, ``Welch`` or "" (then ``why_none`` says why).
        pairs: number of seeds that were paired; 0 where the seeds differ.
        p, p_holm: two-sided, and adjusted for all tests of the comparison.
        warning: why the column can tell nothing, by the controls of the records' suite; "" where it can, or where no
            control is among the records.
    """

    row_a: str
    row_b: str
    task: str
    protocol: str
    metric: str
    data: str
    size: str
    a: Summary
    b: Summary
    difference: float
    interval: tuple[float, float] | None
    test: str
    pairs: int
    p: float | None = None
    p_holm: float | None = None
    why_none: str = ""
    warning: str = ""


@dataclass(frozen=True)
class NotComparable:
    """Values that stand in both rows, or in one of them, and cannot be compared."""

    row_a: str
    row_b: str
    protocol: str
    reason: str


@dataclass(frozen=True)
class RowSetup:
    """What differs between two rows, key by key."""

    row_a: str
    row_b: str
    keys: list[KeyDifference]


@dataclass(frozen=True)
class Comparison:
    """Everything that ``scenebench compare`` says."""

    a: str
    b: str
    differences: list[Difference]
    not_comparable: list[NotComparable]
    setups: list[RowSetup]
    only_a: list[str]
    only_b: list[str]


def compare(a: Side, b: Side) -> Comparison:
    """Compare B with A. Sides of one row each are compared whatever their names; else rows of one name.

    Raises:
        UserError: no two rows of one name, or nothing in them that can be compared (with the reasons).
    """
    pairs = _row_pairs(a, b)
    known = standings({record.content_hash: record for record in (*a.known, *b.known)}.values())
    differences: list[Difference] = []
    not_comparable: list[NotComparable] = []
    for row_a, row_b in pairs:
        found, left = _compare_rows(row_a, row_b, a.rows[row_a], b.rows[row_b], known)
        differences += found
        not_comparable += left
    if not differences:
        reasons = "; ".join(dict.fromkeys(f"{one.protocol}: {one.reason}" for one in not_comparable[:3]))
        raise UserError(f"{a.name} and {b.name}: nothing can be compared: {reasons}")
    return Comparison(
        a=a.name,
        b=b.name,
        differences=_with_holm(differences),
        not_comparable=not_comparable,
        setups=[RowSetup(x, y, differing_setup(a.rows[x], b.rows[y])) for x, y in pairs],
        only_a=sorted(a.rows.keys() - {x for x, _ in pairs}),
        only_b=sorted(b.rows.keys() - {y for _, y in pairs}),
    )


def _row_pairs(a: Side, b: Side) -> list[tuple[str, str]]:
    if len(a.rows) == len(b.rows) == 1:
        return [(next(iter(a.rows)), next(iter(b.rows)))]
    common = [(row, row) for row in a.rows if row in b.rows]
    if not common:
        names = [", ".join(sorted(side.rows)) for side in (a, b)]
        raise UserError(
            f"{a.name} and {b.name} have no row in common ({names[0]} / {names[1]}); name two labels, of the records "
            "of one suite where several have them (--records results/records/mini.jsonl)"
        )
    return common


def _compare_rows(
    row_a: str,
    row_b: str,
    records_a: Sequence[Record],
    records_b: Sequence[Record],
    known: Mapping[tuple[Setting, str], Standing],
) -> tuple[list[Difference], list[NotComparable]]:
    columns_a, columns_b = _columns(records_a), _columns(records_b)
    differences = [
        difference
        for column in columns_a
        if column in columns_b
        for difference in _compare_column(row_a, row_b, columns_a[column], columns_b[column], known)
    ]
    compared = {(d.protocol, d.metric) for d in differences}
    left = [
        NotComparable(row_a, row_b, protocol, reason)
        for protocol, reason in _left_over(columns_a, columns_b)
        if protocol
    ]
    undefined = [
        NotComparable(row_a, row_b, record.protocol.id, f"{metric} has no value on one side")
        for column, records in columns_a.items()
        if column in columns_b
        for record in records[:1]
        for metric in record.metrics
        if (record.protocol.id, metric) not in compared
    ]
    return differences, left + undefined


def _columns(records: Sequence[Record]) -> dict[Column, list[Record]]:
    columns: dict[Column, list[Record]] = {}
    for record in sorted(records, key=lambda r: (r.protocol.task, r.protocol.id, r.seed, r.started)):
        data = record.dataset
        columns.setdefault((record.protocol.hash, data.name, data.fingerprint, record.size), []).append(record)
    return columns


def _compare_column(
    row_a: str,
    row_b: str,
    records_a: Sequence[Record],
    records_b: Sequence[Record],
    known: Mapping[tuple[Setting, str], Standing],
) -> list[Difference]:
    first = records_a[0]
    found = []
    for metric in first.metrics:
        values_a, values_b = _by_seed(records_a, metric), _by_seed(records_b, metric)
        a, b = summarise(list(values_a.values())), summarise(list(values_b.values()))
        if a is None or b is None:
            continue
        base = Difference(
            row_a=row_a,
            row_b=row_b,
            task=first.protocol.task,
            protocol=first.protocol.id,
            metric=metric,
            data=first.dataset.name,
            size=first.size,
            a=a,
            b=b,
            difference=b.mean - a.mean,
            interval=None,
            test=NONE,
            pairs=0,
        )
        standing = known.get((setting_of_record(first), metric))
        tested = _tested(base, values_a, values_b)
        if standing is not None and standing.cannot_tell:  # then no test is a finding
            tested = replace(tested, test=NONE, p=None, why_none="cannot tell", warning=standing.warning)
        found.append(tested)
    return found


def _tested(base: Difference, values_a: Mapping[int, float], values_b: Mapping[int, float]) -> Difference:
    if values_a.keys() == values_b.keys():
        changes = [values_b[seed] - values_a[seed] for seed in values_a]
        p = paired_p(changes)
        if p is not None:
            return replace(base, interval=paired_interval(changes), test=PAIRED, pairs=len(changes), p=p)
        why = "n = 1: no test" if len(changes) == 1 else "the differences do not vary: no test"
        return replace(base, interval=paired_interval(changes), pairs=len(changes), why_none=why)
    interval = bootstrap_interval(list(values_b.values()), list(values_a.values()))
    unpaired = welch_p(base.b, base.a)
    if unpaired is not None:
        return replace(base, interval=interval, test=WELCH, p=unpaired)
    is_single = base.a.n == 1 or base.b.n == 1
    return replace(base, interval=interval, why_none="n = 1: no test" if is_single else "no spread: no test")


def _by_seed(records: Sequence[Record], metric: str) -> dict[int, float]:
    """Value by seed; of a run repeated the latest counts (the records are in the order of their time)."""
    values = {record.seed: record.metrics.get(metric) for record in records}
    return {seed: value for seed, value in values.items() if value is not None}


def _with_holm(differences: list[Difference]) -> list[Difference]:
    tested = [index for index, one in enumerate(differences) if one.p is not None]
    adjusted = dict(zip(tested, holm([differences[index].p or 0.0 for index in tested]), strict=True))
    return [replace(one, p_holm=adjusted.get(index)) for index, one in enumerate(differences)]


def _left_over(
    columns_a: Mapping[Column, Sequence[Record]], columns_b: Mapping[Column, Sequence[Record]]
) -> list[tuple[str, str]]:
    """(protocol, reason) of every column that stands on one side alone."""
    only_a = [records[0] for column, records in columns_a.items() if column not in columns_b]
    only_b = [records[0] for column, records in columns_b.items() if column not in columns_a]
    reasons = []
    for one in only_a:
        others = [other for other in only_b if other.protocol.id == one.protocol.id]
        reasons += [(one.protocol.id, _what_differs(one, other)) for other in others]
        if not others:
            reasons.append((one.protocol.id, f"only in A ({one.dataset.name}, size {one.size or '-'})"))
    for other in only_b:
        if all(one.protocol.id != other.protocol.id for one in only_a):
            reasons.append((other.protocol.id, f"only in B ({other.dataset.name}, size {other.size or '-'})"))
    return reasons


def _what_differs(a: Record, b: Record) -> str:
    parts = []
    if a.protocol.version != b.protocol.version:
        parts.append(f"protocol version {a.protocol.version} and {b.protocol.version}")
    if a.protocol.hash != b.protocol.hash:
        keys = differing_keys(a.protocol.resolved, b.protocol.resolved)
        shown = ", ".join(f"{key.key} {key.a} and {key.b}" for key in keys[:_SHOWN_KEYS])
        more = f" and {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
        parts.append(f"protocol values: {shown or 'hash'}{more}")
    if (a.dataset.name, a.dataset.fingerprint) != (b.dataset.name, b.dataset.fingerprint):
        parts.append(f"data {a.dataset.name} ({a.dataset.fingerprint}) and {b.dataset.name} ({b.dataset.fingerprint})")
    if a.size != b.size:
        parts.append(f"size {a.size or '-'} and {b.size or '-'}")
    return "; ".join(parts)
