"""A paper's table in its own order, with what was measured beside it: published | measured | difference.

A record's value stands in the paper's columns only where :mod:`.paper_match` finds no reason against it. All else that
belongs to the table stands in groups of columns of its own, one for each data set, fingerprint and size, and in
them one column for each protocol in one version. Where two settings would share a column, or two recipes a row, neither
does: they are shown apart, and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.datasets.registry import describe as describe_data
from benchmarks.protocols.protocol import list_protocols, load_protocol
from benchmarks.published.layout import (
    PaperRow,
    PaperTable,
    load_methods,
    place_published,
)
from benchmarks.published.values import PublishedValue
from benchmarks.records.collect import Results, recipe_key, row_key
from benchmarks.records.record import Record
from benchmarks.report.paper_baselines import with_baselines
from benchmarks.report.paper_match import is_called, is_made_as, why_not_in_column, why_not_in_row
from benchmarks.report.paper_parts import (
    MISSING,
    NOTHING,
    Group,
    GroupColumn,
    PaperResult,
    ResultRow,
    Setting,
    describe,
)
from benchmarks.report.statistics import summarise
from benchmarks.report.table_parts import METRIC_NAMES, Cell, clip

PRIMARY_METRICS = ("mAP", "top1", "box_AP", "mask_AP", "mIoU")
"""What a group apart shows, beside the metrics of the table's own columns."""


@dataclass(frozen=True)
class _Placed:
    """A record in a column of a group; ``row`` is the place of the paper's row, None for a further row."""

    record: Record
    column: int
    row: int | None


_GroupKey = tuple[str, str, str]
_Part = tuple[str, list[GroupColumn], list[_Placed], list[str]]


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
    placed = place_published(layout, list(published))
    rows = [*layout.rows, *layout.baselines]
    placed += [[None] * len(layout.columns) for _ in layout.baselines]
    comparable, others = _sort_out(layout, results.records, current)
    notes: list[str] = []
    comparable, clashing = _without_clashes(layout, comparable, notes)
    ours = [_Placed(record, column, _paper_row(layout, rows, record, strictly=True)) for record, column in comparable]
    parts: list[_Part] = [("measured", _paper_columns(layout, comparable), ours, [])]
    apart = list(dict.fromkeys(key for key, _ in [*others, *clashing]))
    for key in sorted(apart, key=lambda key: key[:3]):
        parts.append(_group_apart(layout, rows, key, [*others, *clashing]))
    named = [_one_recipe_a_row(part, layout, rows, notes) for part in parts]
    further = _further_rows(named)
    all_rows = [_result_row(layout, row, number < len(layout.rows)) for number, row in enumerate(rows)]
    all_rows += list(further.values())
    groups = [
        Group(title, columns, _cells(columns, members, len(rows), list(further), layout, results), reasons)
        for title, columns, members, reasons in named
    ]
    placed += [[None] * len(layout.columns) for _ in further]
    notes += _stand_ins(layout, groups)
    result = PaperResult(layout, all_rows, placed, groups, notes)
    return with_baselines(result, results.records)


def _sort_out(
    layout: PaperTable, records: Sequence[Record], current: Mapping[str, str]
) -> tuple[list[tuple[Record, int]], list[tuple[_GroupKey, Record]]]:
    """(record, column) of what may stand in a column, and (group, record) of what belongs to the table otherwise."""
    comparable, others = [], []
    data = {column.dataset: describe_data(column.dataset) for column in layout.columns}
    for record in records:
        fitting = [
            place
            for place, column in enumerate(layout.columns)
            if column.measured in record.metrics
            and not why_not_in_column(record, column, data[column.dataset], current)
        ]
        comparable += [(record, place) for place in fitting]
        if not fitting and _belongs(layout, record):
            others.append((_group_key(record), record))
    return comparable, others


def _belongs(layout: PaperTable, record: Record) -> bool:
    of_suite = record.suite == layout.suite or record.suite.startswith(f"{layout.suite}_")
    protocols = {*layout.stand_ins, *(column.judged_by for column in layout.columns)}
    return of_suite or record.protocol.id in protocols


def _group_key(record: Record) -> _GroupKey:
    return record.dataset.name, record.dataset.fingerprint, record.size


def _setting(record: Record) -> Setting:
    protocol = record.protocol
    return Setting(*_group_key(record), protocol.id, protocol.version, protocol.hash)


def _without_clashes(
    layout: PaperTable, comparable: Sequence[tuple[Record, int]], notes: list[str]
) -> tuple[list[tuple[Record, int]], list[tuple[_GroupKey, Record]]]:
    """Of a column that was measured in two settings (two preparations of its data, say) nothing stands in it."""
    settings: dict[int, set[Setting]] = {}
    for record, place in comparable:
        settings.setdefault(place, set()).add(_setting(record))
    clashing = {place for place, found in settings.items() if len(found) > 1}
    for place in sorted(clashing):
        prints = ", ".join(sorted({clip(setting.fingerprint) for setting in settings[place]}))
        notes.append(
            f"{layout.columns[place].title} was measured on different copies of the data ({prints}): shown apart, "
            "and neither beside the published values."
        )
    apart = list(
        {id(record): (_group_key(record), record) for record, place in comparable if place in clashing}.values()
    )
    return [(record, place) for record, place in comparable if place not in clashing], apart


def _paper_columns(layout: PaperTable, comparable: Sequence[tuple[Record, int]]) -> list[GroupColumn]:
    settings = {place: _setting(record) for record, place in comparable}
    return [
        GroupColumn(column.title, column.measured, settings.get(place)) for place, column in enumerate(layout.columns)
    ]


def _group_apart(
    layout: PaperTable, rows: Sequence[PaperRow], key: _GroupKey, others: Sequence[tuple[_GroupKey, Record]]
) -> _Part:
    """A group of columns of one data set and size: one for each protocol in one version, and metric."""
    records = [record for found, record in others if found == key]
    wanted = {*PRIMARY_METRICS, *(column.measured for column in layout.columns)}
    order = [*METRIC_NAMES, "mIoU", "mAcc", "aAcc"]
    keys = {(_setting(record), metric) for record in records for metric in record.metrics if metric in wanted}
    ordered = sorted(
        keys, key=lambda k: (k[0].protocol, k[0].version, k[0].hash, order.index(k[1]) if k[1] in order else 99, k[1])
    )
    variants = {setting.protocol: {s.hash for s, _ in keys if s.protocol == setting.protocol} for setting, _ in keys}
    columns = [
        GroupColumn(_title(setting, metric, len(variants[setting.protocol]) > 1), metric, setting)
        for setting, metric in ordered
    ]
    members = [
        _Placed(record, place, _paper_row(layout, rows, record, strictly=False))
        for record in records
        for place, (setting, metric) in enumerate(ordered)
        if setting == _setting(record) and metric in record.metrics
    ]
    reasons = [f"data {clip(key[0])}, fingerprint {clip(key[1])}, size {clip(key[2]) or 'not given'}"]
    return describe(columns[0].setting) if columns and columns[0].setting else clip(key[0]), columns, members, reasons


def _stand_ins(layout: PaperTable, groups: Sequence[Group]) -> list[str]:
    """A sentence where what stands apart was judged by other protocols than the paper's."""
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
    return f"{protocol} {METRIC_NAMES.get(metric, clip(metric))}"


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


def _one_recipe_a_row(part: _Part, layout: PaperTable, rows: Sequence[PaperRow], notes: list[str]) -> _Part:
    """Two recipes that fit one row are two further rows."""
    title, columns, members, reasons = part
    recipes: dict[int, set[str]] = {}
    for member in members:
        if member.row is not None:
            recipes.setdefault(member.row, set()).add(recipe_key(member.record))
    several = {row for row, found in recipes.items() if len(found) > 1}
    for row in sorted(several):
        notes.append(f"{title}: {len(recipes[row])} recipes fit the row {layout.label(rows[row])}; each has its own.")
    kept = [replace(member, row=None) if member.row in several else member for member in members]
    return title, columns, kept, reasons


def _further_rows(parts: Sequence[_Part]) -> dict[str, ResultRow]:
    """By row key: what was measured and is no row of the paper; the backbones by name, then the references."""
    records = {row_key(m.record): m.record for _, _, members, _ in parts for m in members if m.row is None}
    labels = [record.backbone.label for record in records.values()]
    rows = {}
    for key, record in records.items():
        backbone = record.backbone
        name = clip(backbone.label) + (f" [{key[:4]}]" if labels.count(backbone.label) > 1 else "")
        is_reference = backbone.origin == "reference"
        epochs = None if is_reference else backbone.epochs
        rows[key] = ResultRow(
            name, clip(backbone.method), clip(backbone.dataset), epochs, is_paper=False, is_reference=is_reference
        )
    return dict(sorted(rows.items(), key=lambda item: (item[1].is_reference, item[1].label, item[0])))


def _result_row(layout: PaperTable, row: PaperRow, is_paper: bool) -> ResultRow:
    return ResultRow(layout.label(row), row.method, row.data, row.epochs, row.baseline, is_paper)


def _cells(
    columns: Sequence[GroupColumn],
    members: Sequence[_Placed],
    paper_rows: int,
    further: Sequence[str],
    layout: PaperTable,
    results: Results,
) -> list[list[Cell]]:
    """Cells by row and column of one group."""
    rows: list[Callable[[_Placed], bool]] = [lambda m, n=n: m.row == n for n in range(paper_rows)]  # type: ignore[misc]
    rows += [lambda m, key=key: m.row is None and row_key(m.record) == key for key in further]  # type: ignore[misc]
    table = []
    for number, is_mine in enumerate(rows):
        mine = [member for member in members if is_mine(member)]
        line = []
        for place, column in enumerate(columns):
            found = [member.record for member in mine if member.column == place]
            empty = _empty(layout, number, column, results) if number < paper_rows else NOTHING
            line.append(_cell(found, column.metric) if found else empty)
        table.append(line)
    return table


def _empty(layout: PaperTable, number: int, column: GroupColumn, results: Results) -> Cell:
    """A place of the paper's without a value: missing, or failed where a run of that name did."""
    rows = [*layout.rows, *layout.baselines]
    names = {layout.label(rows[number]).casefold(), *(name.casefold() for name in rows[number].labels)}
    protocol = column.setting.protocol if column.setting else None
    judged_by = {c.judged_by for c in layout.columns if c.title == column.title} if protocol is None else {protocol}
    gaps = [gap for gap in results.gaps if gap.label.casefold() in names and gap.protocol in judged_by]
    reasons = tuple(dict.fromkeys(gap.reason for gap in gaps))
    state = "failed" if any(reason.startswith("failed") for reason in reasons) else "missing"
    return replace(MISSING, state=state, planned=len(gaps), reasons=reasons)


def _cell(records: Sequence[Record], metric: str) -> Cell:
    """Mean over seeds; of one seed that was judged twice (for two suites, say) the latest run counts."""
    latest = {r.seed: r for r in sorted(records, key=lambda r: (r.started, r.content_hash))}
    ordered = [latest[seed] for seed in sorted(latest)]
    values = tuple(value for value in (record.metrics[metric] for record in ordered) if value is not None)
    return Cell(
        state="measured" if values else "undefined",
        summary=summarise(values),
        planned=len(ordered),
        records=tuple(record.content_hash for record in ordered),
        values=values,
    )
