"""Expected values of a suite: a file that a check in CI holds a checkpoint's records against.

::

    suite: mini                # of which suite and size the values are
    size: mini
    data: 0123456789abcdef     # identity of the data that they were measured on; may be left out
    values:
      - {protocol: multilabel_knn, metric: mAP, value: 18.2, tolerance: 1.0, hash: 3cdcf7bb0dae9513}

A cell holds where its mean over seeds is at or above ``value - tolerance`` (percent points). ``hash`` is the
protocol's; it may be left out, and where it is given, values of another protocol are not compared.
``scenebench submit CHECKPOINT --suite S --out OUT --write-expected FILE`` writes such a file from records.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benchmarks.protocols.protocol import Protocol
from benchmarks.records.record import Record
from benchmarks.statistics.summary import summarise
from scenebench.config import load_config, read_yaml
from scenebench.errors import UserError, require_choice
from scenebench.files import write_text

LEAST_TOLERANCE = 1.0
"""Percent points: the tolerance that a written file gives at least, and where only one seed is known."""
SPREADS = 2.0
"""A written tolerance is so many standard deviations over seeds."""
_DIGITS = 4


@dataclass
class ExpectedValue:
    """One cell: the mean over seeds of ``metric`` by ``protocol`` should not be below ``value - tolerance``."""

    protocol: str
    metric: str
    value: float
    tolerance: float
    hash: str = ""

    def __post_init__(self) -> None:
        for name, value in (("value", self.value), ("tolerance", self.tolerance)):
            if not math.isfinite(value) or not 0 <= value <= 100:
                raise UserError(f"{name}: {value} is not a number of percent points from 0 to 100")


@dataclass
class Expected:
    """A file of expected values, read."""

    suite: str
    size: str = ""
    data: str = ""
    values: list[ExpectedValue] = field(default_factory=list)


def read_expected(path: Path | str) -> Expected:
    """Read a file of expected values.

    Raises:
        UserError: missing, no YAML, an unknown or missing key, a value of the wrong type, no values, a cell twice.
    """
    path = Path(path)
    content = read_yaml(path)
    if "suite" not in content:
        raise UserError(f"{path}: 'suite' is missing")
    items = content.pop("values", [])  # read one by one, so that an error can name the element
    expected = load_config(Expected, content, where=str(path))
    if not isinstance(items, list):
        raise UserError(f"{path}: values: expected a list, found '{items}'")
    for number, item in enumerate(items):
        where = f"{path}: values[{number}]"
        if not isinstance(item, dict):
            raise UserError(f"{where}: expected a mapping of keys, found '{item}'")
        for key in ("protocol", "metric", "value", "tolerance"):
            if key not in item:
                raise UserError(f"{where}: '{key}' is missing")
        try:
            expected.values.append(load_config(ExpectedValue, item, where=where))
        except UserError as error:
            raise error if str(error).startswith(where) else UserError(f"{where}: {error}") from error
    cells = [(value.protocol, value.metric) for value in expected.values]
    for cell in cells:
        if cells.count(cell) > 1:
            raise UserError(f"{path}: values: {' '.join(cell)} is given twice; remove one")
    if not expected.values:
        raise UserError(f"{path}: 'values' is empty; name one or more expected values")
    return expected


def require_of(
    expected: Expected, path: Path | str, suite: str, size: str, data: str, protocols: Sequence[Protocol]
) -> None:
    """Check that the values are of this suite, size, data and of its protocols and metrics.

    Args:
        data: identity of the suite's data; compared where the file says one.

    Raises:
        UserError: naming what is of something else, with the nearest right name.
    """
    if expected.suite != suite:
        raise UserError(f"{path}: expected values of suite '{expected.suite}', and this is suite '{suite}'")
    if expected.size and expected.size != size:
        raise UserError(f"{path}: expected values of size '{expected.size}', and this is size '{size}'")
    if expected.data and expected.data != data:
        raise UserError(
            f"{path}: expected values of other data (data: {expected.data}, here {data}); "
            "write the file anew with --write-expected"
        )
    known = {protocol.id: protocol for protocol in protocols}
    for number, value in enumerate(expected.values):
        where = f"{path}: values[{number}]"
        require_choice(f"{where}: protocol", value.protocol, known)
        require_choice(f"{where}: metric", value.metric, known[value.protocol].metrics)
        if value.hash and value.hash != known[value.protocol].hash:
            raise UserError(
                f"{where}: of another version of protocol '{value.protocol}' (hash {value.hash}, here "
                f"{known[value.protocol].hash}); write the file anew with --write-expected"
            )


def shortfalls(expected: Expected, records: Sequence[Record]) -> list[str]:
    """What is below its expected value, or was not measured: a line each; empty where all holds."""
    lines = []
    for value in expected.values:
        cell = f"{value.protocol} {value.metric}"
        wanted = f"expected at least {value.value - value.tolerance:.2f} ({value.value:g} - {value.tolerance:g})"
        found = _values(records, value.protocol, value.metric)
        summary = summarise([number for number in found if number is not None])
        if summary is None:
            lines.append(f"{cell}: {'undefined' if found else 'not measured'}, {wanted}")
        elif summary.mean < value.value - value.tolerance:
            lines.append(f"{cell}: {summary.mean:.2f} over {summary.n} seeds, {wanted}")
    return lines


def write_expected(path: Path | str, suite: str, size: str, data: str, records: Sequence[Record]) -> int:
    """Write what the records measured as expected values, by rename; returns how many.

    The tolerance is :data:`SPREADS` standard deviations over seeds, :data:`LEAST_TOLERANCE` at least.

    Raises:
        UserError: nothing was measured, or the file cannot be written.
    """
    values = []
    for protocol, digest in dict.fromkeys((record.protocol.id, record.protocol.hash) for record in records):
        mine = [record for record in records if record.protocol.hash == digest]
        for metric in mine[0].metrics:
            summary = summarise([v for v in _values(mine, protocol, metric) if v is not None])
            if summary is None:
                continue
            tolerance = max(LEAST_TOLERANCE, SPREADS * (summary.std or 0.0))
            value = {"protocol": protocol, "metric": metric, "value": round(summary.mean, _DIGITS)}
            values.append({**value, "tolerance": round(tolerance, _DIGITS), "hash": digest})
    if not values:
        raise UserError(f"{path}: nothing was measured that could be expected")
    content = {"suite": suite, "size": size, "data": data, "values": values}
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return len(values)


def _values(records: Sequence[Record], protocol: str, metric: str) -> list[float | None]:
    return [record.metrics[metric] for record in records if record.protocol.id == protocol and metric in record.metrics]
