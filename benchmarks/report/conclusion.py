"""The line that every suite ends with: what a reader may conclude, chosen by the numbers.

It speaks of one column of each data set: the one whose positive control is the most spreads above the negative one; it
says whether the board measures, what the methods gain over the negative control, what the two best differ by, and which
columns cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.datasets.scenes import NAME as SCENES
from benchmarks.records.collect import Results
from benchmarks.report.column_standing import REPEATS, Standing, setting_of_record, standings
from benchmarks.report.escaping import clip, one_line
from benchmarks.report.pictures_needed import resolution
from benchmarks.report.table import Column, Setting, SuiteTable, by_data, signed
from benchmarks.statistics.power import detectable, seeds_needed
from benchmarks.statistics.significance import paired_test, welch_p
from benchmarks.statistics.summary import CONFIDENCE, Summary, pooled_std, summarise

Told = Literal["above", "below", "not shown", "unknown"]
_MOST_NAMES = 5
_LONGEST = 60


@dataclass(frozen=True)
class NamedStanding:
    """A column of the tables by its name, and what it can tell."""

    name: str
    standing: Standing


def conclusions(results: Results, tables: Sequence[SuiteTable]) -> list[str]:
    """One line a data set and size; on other data than generated scenes a further one says how many images it needs."""
    known = standings(results.records)
    lines = []
    for _, group in by_data(tables):
        columns = [
            (table.columns[place], standing)
            for table in group
            for place in table.main_columns
            if (standing := _of_column(table.columns[place], known)) is not None and standing.rows
        ]
        if not columns:
            continue
        named = [NamedStanding(f"{column.group}: {column.name}", standing) for column, standing in columns]
        chosen = spoken_of(named)
        lines.append(conclusion(group[0].place, named, results.baseline))
        column = columns[named.index(chosen)][0]
        if group[0].data != SCENES:
            own = [record for record in results.records if setting_of_record(record) == column.setting]
            found = resolution(own, column.metric)
            lines += [one_line(f"{chosen.name}: {found.sentence}")] if found else []
    return lines


def _of_column(column: Column, known: Mapping[tuple[Setting, str], Standing]) -> Standing | None:
    return known.get((column.setting, column.metric)) if column.setting is not None else None


def spoken_of(columns: Sequence[NamedStanding]) -> NamedStanding:
    """The column that a conclusion is drawn from: the widest range of those that can tell, else the first of them."""
    able = [one for one in columns if not one.standing.cannot_tell] or list(columns)

    def ratio(one: NamedStanding) -> float:
        found = one.standing.range
        return -math.inf if found is None or found.ratio is None else found.ratio

    return max(able, key=ratio)  # of equal ones the first


def conclusion(place: str, columns: Sequence[NamedStanding], baseline: str) -> str:
    """What a reader may conclude from the columns of one data set, in one line.

    Args:
        place: data and size, as titles say them.
        baseline: label that the tables take differences to; methods are held against it where no controls are stated.
    """
    chosen = spoken_of(columns)
    standing = chosen.standing
    counts = sorted({len(values) for values in standing.rows.values()})
    seeds = f"n = {counts[0]}" + (f" to {counts[-1]}" if len(counts) > 1 else "")
    head = f"On {place}, {seeds}: "
    if standing.cannot_tell:
        reason = standing.warning.partition(": ")[2]
        where = "no column can tell" if len(columns) > 1 else "the column cannot tell"
        return one_line(f"{head}{where} ({chosen.name}: {reason}): nothing may be concluded of any method.")
    parts = [_board(chosen), *_methods(standing, baseline), *_two_best(standing, baseline)]
    blind = [one.name for one in columns if one.standing.cannot_tell]
    if blind:
        parts.append(f"cannot tell: {_listed(blind)}")
    return one_line(f"{head}{'; '.join(parts)}.")


def _board(chosen: NamedStanding) -> str:
    found, controls = chosen.standing.range, chosen.standing.controls
    if found is None or controls is None:
        return f"in {chosen.name}, whose suite states no controls, so that whether the board measures is not known"
    if found.difference is None:
        missing = chosen.standing.range_text
        return f"in {chosen.name}, of which there is {missing}, so that whether the board measures is not known"
    above = (
        f"{_name(controls.positive)} is {found.difference:.1f} points above {_name(controls.negative)} in {chosen.name}"
    )
    if found.ratio is None:
        return f"{above}, but no row has two seeds, so whether the board measures is not known"
    return f"{above} ({found.ratio:.1f} spreads, needed {found.least_ratio:g}): the board measures"


def _methods(standing: Standing, baseline: str) -> list[str]:
    """What the methods gain over the negative control, or over the baseline."""
    against = standing.controls.negative if standing.controls is not None else baseline
    if against not in standing.rows:
        return []
    told: dict[Told, list[str]] = {}
    for label in _method_labels(standing, baseline):
        difference = _mean(standing.rows[label]) - _mean(standing.rows[against])
        said = f"{_name(label)} ({signed(difference)})"
        told.setdefault(told_apart(standing.rows, label, against), []).append(said)
    words: dict[Told, str] = {
        "above": f"above {_name(against)}: ",
        "below": f"below {_name(against)}: ",
        "not shown": f"not shown to differ from {_name(against)}: ",
        "unknown": f"one seed, of whose spread nothing is known, against {_name(against)}: ",
    }
    return [word + _listed(told[one]) for one, word in words.items() if one in told]


def _two_best(standing: Standing, baseline: str) -> list[str]:
    """What the two best methods differ by, and whether that says anything."""
    labels = sorted(_method_labels(standing, baseline), key=lambda label: (-_mean(standing.rows[label]), label))
    if len(labels) < 2:
        return []
    first, second = labels[:2]
    difference = _mean(standing.rows[first]) - _mean(standing.rows[second])
    said = f"{_name(first)} − {_name(second)} = {signed(difference)}"
    told, power = told_apart(standing.rows, first, second), standing.power
    n = min(len(standing.rows[first]), len(standing.rows[second]))
    if told == "unknown" or power is None:
        return [f"{said} on one seed each, of whose spread nothing is known"]
    if told == "above":
        return [
            f"{said} is a difference (n = {n})" if n > 1 else f"{said} is more than seeds vary by, on one seed each"
        ]
    needed = seeds_needed(difference, power.spread, power.is_paired)
    needs = f", it needs {needed} seeds" if needed else ""
    if n > 1:
        return [f"{said} is not shown (n = {n} detects {detectable(power.spread, n, power.is_paired):.1f}{needs})"]
    repeated = detectable(power.spread, REPEATS, power.is_paired)
    return [f"{said} is within what one seed cannot tell ({REPEATS} seeds detect {repeated:.1f}{needs})"]


def told_apart(rows: Mapping[str, Mapping[int, float]], label: str, other: str) -> Told:
    """Whether two rows of a column differ, at 95 %.

    Paired over equal seeds, else by Welch's test. A row of a single seed is held against the spread over the seeds of
    the column's other rows; without one nothing is known.
    """
    a, b = rows[label], rows[other]
    difference = _mean(a) - _mean(b)
    if len(a) > 1 and a.keys() == b.keys():
        test = paired_test(a, b)
        is_shown = test is not None and test.p is not None and test.p < 1 - CONFIDENCE
    elif len(a) > 1 and len(b) > 1:
        p = welch_p(_summary(a), _summary(b))
        is_shown = p is not None and p < 1 - CONFIDENCE
    else:
        spread = pooled_std([list(values.values()) for values in rows.values()])
        if spread is None:
            return "unknown"
        from scipy.stats import t  # takes most of a second to import

        freedom = sum(len(values) - 1 for values in rows.values())
        bound = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * spread * math.sqrt(1 / len(a) + 1 / len(b))
        is_shown = abs(difference) > bound
    if not is_shown:
        return "not shown"
    return "above" if difference > 0 else "below"


def _method_labels(standing: Standing, baseline: str) -> list[str]:
    """The rows that are neither a control nor the baseline."""
    controls = standing.controls
    apart = {baseline} if controls is None else {controls.negative, controls.positive}
    return [label for label in standing.rows if label not in apart]


def _summary(row: Mapping[int, float]) -> Summary:
    found = summarise(list(row.values()))
    assert found is not None
    return found


def _mean(row: Mapping[int, float]) -> float:
    return _summary(row).mean


def _name(label: str) -> str:
    return clip(label, _LONGEST)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
