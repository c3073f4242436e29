"""What a comparison is between: the records that a folder, a file or a label stands for, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.records.collect import collect, read_board, row_key, row_names
from benchmarks.records.places import place_named
from benchmarks.records.record import Record
from scenebench.errors import UserError, did_you_mean
from scenebench.files import sha256_of

DEFAULT_RECORDS = Path("results/records")


@dataclass(frozen=True)
class Side:
    """One side of a comparison: rows by name. A label that stands for several recipes gives several rows.

    ``known``: all records of the place that it was found in, the controls of its suite among them.
    """

    name: str
    rows: dict[str, list[Record]]
    known: Sequence[Record] = ()


def find_side(name: str, records: Sequence[Path]) -> Side:
    """The records that ``name`` stands for.

    Args:
        name: a folder with records (also of ``scenebench run`` or ``evaluate``), a file of records, a backbone file, or
            a row's label; the last two are looked for in ``records``.
        records: folders or files; empty: :data:`DEFAULT_RECORDS` where it exists.

    Raises:
        UserError: nothing of that name (with the nearest label), or no record in it.
    """
    path = place_named(name)
    if path.is_dir() or (path.is_file() and path.suffix in (".json", ".jsonl")):
        own = collect(path).records
        return Side(name, _rows(own, name), own)
    known = read_board(list(records) or [folder for folder in (DEFAULT_RECORDS,) if folder.is_dir()])
    if path.is_file():
        digest = sha256_of(path)
        found = [record for record in known if record.backbone.sha256 == digest]
        if not found:
            raise UserError(f"{name}: no record of this backbone file ({digest[:12]}); name the folder by --records")
        return Side(name, _rows(found, name), known)
    found = [record for record in known if record.backbone.label == name]
    if not found:
        labels = sorted({record.backbone.label for record in known})
        where = f"label among the records{did_you_mean(name, labels)}" if labels else "label: no records (--records)"
        raise UserError(f"'{name}': no such folder or file, and no such {where}")
    return Side(name, _rows(found, name), known)


def _rows(records: Sequence[Record], name: str) -> dict[str, list[Record]]:
    if not records:
        raise UserError(f"{name}: holds no record that can be read")
    by_key: dict[str, list[Record]] = {}
    for record in records:
        by_key.setdefault(row_key(record), []).append(record)
    names = row_names({key: found[0].backbone.label for key, found in by_key.items()})
    return {names[key]: found for key, found in by_key.items()}
