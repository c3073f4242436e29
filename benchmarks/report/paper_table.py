"""A paper's table in its own order, with what was measured beside it: published | measured | difference.

A record's value stands in the paper's columns only where :mod:`.paper_match` finds no reason against it. All else that
belongs to the table stands in groups of columns of its own, one for each data set, fingerprint and size, and in
them one column for each protocol in one version. Where two settings would share a column, or two recipes a row, neither
does: they are shown apart, and a note says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.datasets.registry import describe as describe_data
from benchmarks.protocols.protocol import list_protocols, load_protocol
from benchmarks.published.layout import (
    PaperRow,
    PaperTable,
    load_methods,
    place_published,
)
from benchmarks.published.values import PublishedValue
from benchmarks.records.collect import Results, recipe_key, row_key, row_names
from benchmarks.records.record import Record
from benchmarks.report.escaping import clip
from benchmarks.report.measured import measured
from benchmarks.report.metrics import MAIN_METRICS, metric_label, metric_order
from benchmarks.report.paper_baselines import with_baselines
from benchmarks.report.paper_match import is_called, is_made_as, why_not_in_column, why_not_in_row
from benchmarks.report.paper_result import Group, PaperResult
from benchmarks.report.table import NOTHING, Column, Measured, Row, Setting, measured_on

_Member = tuple[Record, int]
"""A record, and the place of the column that it stands in."""
_RowKey = int | str
"""Place of the paper's row, or the key of a further one."""


@dataclass(frozen=True)
class _Part:
    """Columns that are shown together, and the records of each of their cells, by (row, place of the column)."""

    title: str
    columns: list[Column]
    held: dict[tuple[_RowKey, int], list[Record]]
    reasons: list[str]


def current_protocols() -> dict[str, str]:
    """Id -> hash of the protocols that come with the suite."""
    return {name: load_protocol(name).hash for name in list_protocols()}


def make_paper_table(
    layout: PaperTable,
    published: Sequence[PublishedValue],
    results: Results,
    current: Mapping[str, str] | None = None,
) -> PaperResult:
    """Put the records that belong to a paper's table beside its published values.

    Args:
        current: protocol id -> hash as it is now; by default of the protocols that come with the suite.
    """
    current = current_protocols() if current is None else current
    rows = [*layout.rows, *layout.baselines]
    notes: list[str] = []
    comparable, others = _sort_out(layout, results.records, current, notes)

    def part(title: str, columns: list[Column], members: list[_Member], reasons: list[str]) -> _Part:
        held = _by_cell(title, members, lambda record: _paper_row(layout, rows, record, not reasons), notes, layout)
        return _Part(title, columns, held, reasons)

    parts = [part("measured", _paper_columns(layout, comparable), comparable, [])]
    parts += [part(*_apart(layout, key, others)) for key in sorted(set(map(_group_key, others)))]
    further = _further_rows(parts)
    all_rows = [*(_row(layout, row) for row in rows), *further.values()]
    keys: list[_RowKey] = [*range(len(rows)), *further]
    groups = [Group(one.title, one.columns, _cells(one, keys, layout, results), one.reasons) for one in parts]
    placed = place_published(layout, list(published))
    placed += [[None] * len(layout.columns) for _ in all_rows[len(placed) :]]
    notes += _stand_ins(layout, groups)
    return with_baselines(PaperResult(layout, all_rows, placed, groups, notes), results.records)


def _sort_out(
    layout: PaperTable, records: Sequence[Record], current: Mapping[str, str], notes: list[str]
) -> tuple[list[_Member], list[Record]]:
    """What may stand in a column of the paper's, and what belongs to the table otherwise.

    In a column that was measured in two settings (two preparations of its data, say) nothing stands.
    """
    fitting: list[_Member] = []
    others = []
    data = {column.dataset: describe_data(column.dataset) for column in layout.columns}
    for record in records:
        places = [
            place
            for place, column in enumerate(layout.columns)
            if column.measured in record.metrics
            and not why_not_in_column(record, column, data[column.dataset], current)
        ]
        fitting += [(record, place) for place in places]
        if not places and _belongs(layout, record):
            others.append(record)
    settings: dict[int, set[Setting]] = {}
    for record, place in fitting:
        settings.setdefault(place, set()).add(_setting(record))
    clashing = sorted(place for place, found in settings.items() if len(found) > 1)
    for place in clashing:
        prints = ", ".join(sorted({clip(setting.fingerprint) for setting in settings[place]}))
        notes.append(
            f"{layout.columns[place].title} was measured on different copies of the data ({prints}): shown apart, "
            "and neither beside the published values."
        )
    apart = {id(record): record for record, place in fitting if place in clashing}
    return [member for member in fitting if member[1] not in clashing], [*others, *apart.values()]


def _belongs(layout: PaperTable, record: Record) -> bool:
    of_suite = record.suite == layout.suite or record.suite.startswith(f"{layout.suite}_")
    protocols = {*layout.stand_ins, *(column.judged_by for column in layout.columns)}
    return of_suite or record.protocol.id in protocols


def _group_key(record: Record) -> tuple[str, str, str]:
    return record.dataset.name, record.dataset.fingerprint, record.size


def _setting(record: Record) -> Setting:
    protocol = record.protocol
    return Setting(*_group_key(record), protocol.id, protocol.version, protocol.hash)


def _paper_columns(layout: PaperTable, comparable: Sequence[_Member]) -> list[Column]:
    settings = {place: _setting(record) for record, place in comparable}
    return [
        Column(column.title, metric=column.measured, setting=settings.get(place))
        for place, column in enumerate(layout.columns)
    ]


def _apart(
    layout: PaperTable, key: tuple[str, str, str], others: Sequence[Record]
) -> tuple[str, list[Column], list[_Member], list[str]]:
    """The records of one data set and size apart, with a column for each protocol in one version, and metric."""
    records = [record for record in others if _group_key(record) == key]
    # Beside the metrics of the table's own columns a group apart shows the main ones.
    wanted = {*MAIN_METRICS, *(column.measured for column in layout.columns)}
    keys = {(_setting(record), metric) for record in records for metric in record.metrics if metric in wanted}
    ordered = sorted(keys, key=lambda k: (k[0].protocol, k[0].version, k[0].hash, *metric_order(k[1])))
    variants = Counter(protocol for protocol, _ in {(setting.protocol, setting.hash) for setting, _ in keys})
    columns = [Column(_title(s, metric, variants[s.protocol] > 1), metric=metric, setting=s) for s, metric in ordered]
    members = [
        (record, place)
        for record in records
        for place, (setting, metric) in enumerate(ordered)
        if setting == _setting(record) and metric in record.metrics
    ]
    reasons = [f"data {clip(key[0])}, fingerprint {clip(key[1])}, size {clip(key[2]) or 'not given'}"]
    return clip(measured_on(key[0], key[2])), columns, members, reasons


def _stand_ins(layout: PaperTable, groups: Sequence[Group]) -> list[str]:
    """A sentence where what stands apart was evaluated by other protocols than the paper's."""
    wanted = list(dict.fromkeys(column.judged_by for column in layout.columns))
    apart = {column.setting.protocol for group in groups[1:] for column in group.columns if column.setting}
    others = sorted(apart.difference(wanted))
    if not others or not wanted:
        return []
    names, places = ", ".join(clip(name, 40) for name in others), ", ".join(wanted)
    return [
        f"In place of {places} stands here, apart: {names}. Other protocols on other data, never the paper's column."
    ]


def _title(setting: Setting, metric: str, has_variants: bool) -> str:
    protocol = clip(setting.protocol, 40) + (f" v{setting.version} [{setting.hash[:4]}]" if has_variants else "")
    return f"{protocol} {metric_label(metric)}"


def _paper_row(layout: PaperTable, rows: Sequence[PaperRow], record: Record, strictly: bool) -> int | None:
    """The paper's row that a record stands in; ``strictly`` as for a published column.

    Otherwise the row that the suite's label names, else the only one of its method.
    """
    methods, backbone = load_methods(), record.backbone
    if strictly:
        fitting = [n for n, row in enumerate(rows) if not why_not_in_row(record, row, layout.label(row), methods)]
    else:
        fitting = [n for n, row in enumerate(rows) if backbone.origin == "own" and is_made_as(backbone, row, methods)]
        called = [n for n in fitting if is_called(backbone, rows[n], layout.label(rows[n]))]
        fitting = called or fitting
    return fitting[0] if len(fitting) == 1 else None


def _by_cell(
    title: str,
    members: Sequence[_Member],
    row_of: Callable[[Record], int | None],
    notes: list[str],
    layout: PaperTable,
) -> dict[tuple[_RowKey, int], list[Record]]:
    """The records of each cell; two recipes that fit one row of the paper's are two further rows."""
    records = {id(record): record for record, _ in members}
    rows = {key: row_of(record) for key, record in records.items()}
    recipes: dict[int, set[str]] = {}
    for key, row in rows.items():
        if row is not None:
            recipes.setdefault(row, set()).add(recipe_key(records[key]))
    several = sorted(row for row, found in recipes.items() if len(found) > 1)
    for row in several:
        label = layout.label([*layout.rows, *layout.baselines][row])
        notes.append(f"{title}: {len(recipes[row])} recipes fit the row {label}; each has its own.")
    keys: dict[int, _RowKey] = {
        key: row_key(records[key]) if row is None or row in several else row for key, row in rows.items()
    }
    held: dict[tuple[_RowKey, int], list[Record]] = {}
    for record, place in members:
        held.setdefault((keys[id(record)], place), []).append(record)
    return held


def _further_rows(parts: Sequence[_Part]) -> dict[str, Row]:
    """By row key: what was measured and is no row of the paper; the backbones by name, then the references."""
    records = {
        key: record for part in parts for (key, _), held in part.held.items() for record in held if isinstance(key, str)
    }
    names = row_names({key: clip(record.backbone.label) for key, record in records.items()})
    rows = {}
    for key, record in records.items():
        backbone = record.backbone
        rows[key] = Row(
            names[key],
            method=clip(backbone.method),
            origin=backbone.origin,
            data=clip(backbone.dataset),
            epochs=None if backbone.origin == "reference" else backbone.epochs,
            is_apart=True,
        )
    return dict(sorted(rows.items(), key=lambda item: (item[1].is_reference, item[1].label, item[0])))


def _row(layout: PaperTable, row: PaperRow) -> Row:
    """A row of the paper's, or a baseline that its rows are compared with."""
    label, is_apart = layout.label(row), row not in layout.rows
    return Row(label, method=row.method, data=row.data, epochs=row.epochs, baseline=row.baseline, is_apart=is_apart)


def _cells(part: _Part, keys: Sequence[_RowKey], layout: PaperTable, results: Results) -> list[list[Measured]]:
    """By row and column."""

    def cell(key: _RowKey, place: int, column: Column) -> Measured:
        if (key, place) in part.held:
            return _cell(part.held[key, place], column.metric)
        return NOTHING if isinstance(key, str) else _empty(layout, key, column, results)

    return [[cell(key, place, column) for place, column in enumerate(part.columns)] for key in keys]


def _empty(layout: PaperTable, place: int, column: Column, results: Results) -> Measured:
    """A place of the paper's without a value: missing, or failed where a run of that name did."""
    row = [*layout.rows, *layout.baselines][place]
    names = {layout.label(row).casefold(), *(name.casefold() for name in row.labels)}
    protocol = column.setting.protocol if column.setting else None
    judged_by = {c.judged_by for c in layout.columns if c.title == column.name} if protocol is None else {protocol}
    gaps = [gap for gap in results.gaps if gap.label.casefold() in names and gap.protocol in judged_by]
    return measured([], [], len(gaps), [gap.reason for gap in gaps])


def _cell(records: Sequence[Record], metric: str) -> Measured:
    """Mean over seeds; of one seed that was evaluated twice (for two suites, say) the latest run counts."""
    latest = {r.seed: r for r in sorted(records, key=lambda r: (r.started, r.content_hash))}
    ordered = [latest[seed] for seed in sorted(latest)]
    values = [record.metrics[metric] for record in ordered]
    return measured(values, [record.content_hash for record in ordered], len(ordered), [])
