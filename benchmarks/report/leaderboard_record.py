"""A record's own page: one static file a record, readable without a script; and all records in one file.

File names come from content hashes alone, never from a record's text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from benchmarks.records.admission import ID_DIGITS
from benchmarks.records.collect import Results
from benchmarks.records.record import EnvironmentPart, Record
from benchmarks.report.escaping import visible
from benchmarks.report.leaderboard_rerun import rerun_commands
from benchmarks.report.leaderboard_runs import Curve, backbone_of_records, curves, log_tail
from benchmarks.report.table_parts import METRIC_NAMES, Table, clip

MAX_TEXT = 2000
"""Longest note of a record that a page shows, in characters; the file of records has it whole."""
MAX_NAME = 200
MAX_BLOCK = 50_000
"""The same of a configuration written out."""
MAX_CLASSES = 500
FACTS = {"facts.html": ("backbone", "judged", "machine"), "parts.html": ("head", "theme_button")}
"""Macros that depend on their arguments alone, so that equal arguments are rendered once."""
_MOST_SEEDS = 50
_WIDTH, _HEIGHT = 320, 120


def record_id(content_hash: str) -> str:
    """How pages and files call a record; a record's hash was checked when it was read, so it is hexadecimal."""
    return content_hash[:ID_DIGITS]


@dataclass(frozen=True)
class Place:
    """Where a record counts: the table's anchor and title, and (id, seed) of the cell's records if it has several."""

    anchor: str
    title: str
    seeds: tuple[tuple[str, int], ...]


def record_pages(
    results: Results, tables: Sequence[Table], environment: Environment, folder: Path, parts: int = 1
) -> list[Callable[[], None]]:
    """What is to be called for ``<id>.html`` of every record in ``folder``, which must exist.

    Each of the ``parts`` calls writes its share of the records; they may be made in processes of their own.
    """
    template = environment.get_template("record.html")
    macros = [(name, environment.get_template(file).module) for file, names in FACTS.items() for name in names]
    facts = {name: lru_cache(maxsize=4096)(getattr(module, name)) for name, module in macros}
    places = _places(tables, {record.content_hash: record.seed for record in results.records})
    backbones = backbone_of_records(results.folder) if results.folder else {}
    root = os.path.realpath(results.folder) if results.folder else ""
    blocks = _Blocks(environment.get_template("facts.html").module.block)  # type: ignore[attr-defined]

    def write(record: Record) -> None:
        name = record_id(record.content_hash)
        file = results.files.get(record.content_hash) if root else None
        page = template.render(
            record=record,
            name=name,
            place=places.get(record.content_hash),
            metrics=[(METRIC_NAMES.get(key, clip(key)), _value(value)) for key, value in record.metrics.items()],
            rerun=rerun_commands(record),
            facts=facts,
            blocks=blocks.of(record),
            classes=_classes(record),
            more_classes=max(0, len(record.per_class) - MAX_CLASSES),
            notes=[clip(note, MAX_TEXT) for note in record.notes[:MAX_CLASSES]],
            log=log_tail(file, root) if file else "",
            curves=[drawn(curve) for curve in curves(file, root, backbones.get(file))] if file else [],
        )
        # Not flushed one by one: the whole folder is renamed into place when all is written.
        with open(f"{folder}/{name}.html", "wb", buffering=0) as out:
            out.write(page.encode())

    def write_part(part: int) -> None:
        # Neighbours together: a forked process copies every page of memory whose objects it touches.
        first, last = (len(results.records) * n // parts for n in (part, part + 1))
        for record in results.records[first:last]:
            write(record)

    return [partial(write_part, part) for part in range(parts)]


def _value(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _places(tables: Sequence[Table], seeds: Mapping[str, int]) -> dict[str, Place]:
    places: dict[str, Place] = {}
    for table in tables:
        for row in table.rows:
            for cell in row.cells:
                shown = cell.records[:_MOST_SEEDS] if len(cell.records) > 1 else ()
                place = Place(table.name, table.kind.title, tuple((record_id(one), seeds[one]) for one in shown))
                for content_hash in cell.records:
                    places.setdefault(content_hash, place)
    return places


def write_records(records: Sequence[Record], path: Path) -> None:
    """Every record whole, as JSON, one a line."""
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(record.model_dump_json() + "\n" for record in records)


class _Blocks:
    """Configurations written out; what many records share is written once.

    Args:
        macro: (title, text, whether it is shown open) -> HTML.
    """

    def __init__(self, macro: Callable[[str, str, bool], Markup]) -> None:
        self._macro = macro
        self._written: dict[tuple[str, str, bool], Markup] = {}

    def of(self, record: Record) -> list[Markup]:
        """Every configuration that the record holds; the first is open."""
        found: list[tuple[str, str, Any]] = [
            (f"Protocol {record.protocol.id}, resolved", record.protocol.hash, record.protocol.resolved),
            (f"Recipe {record.backbone.recipe_name}, resolved", record.backbone.recipe_hash, record.backbone.recipe),
            (f"Suite {record.suite}, resolved", record.suite_hash, record.suite_resolved),
            ("Environment", record.environment.model_dump_json(), record.environment),
        ]
        held = [part for part in found if part[2]]
        return [self._block(title, key, content, number == 0) for number, (title, key, content) in enumerate(held)]

    def _block(self, title: str, key: str, content: Any, is_first: bool) -> Markup:
        place = (title, key, is_first)
        if place not in self._written:
            plain = content.model_dump(mode="json") if isinstance(content, EnvironmentPart) else content
            text = visible(json.dumps(plain, indent=2, ensure_ascii=False), keep="\n")
            self._written[place] = self._macro(clip(title, MAX_NAME), clip(text, MAX_BLOCK), is_first)
        return self._written[place]


def _classes(record: Record) -> tuple[list[str], list[tuple[str, list[float | None]]]] | None:
    """(metrics, (class, values) of each), of no more classes than a page should hold; None without any."""
    chosen = list(record.per_class.items())[:MAX_CLASSES]
    if not chosen:
        return None
    names = list(dict.fromkeys(name for _, values in chosen for name in values))[:20]
    return [clip(name) for name in names], [
        (clip(label, MAX_NAME), [values.get(name) for name in names]) for label, values in chosen
    ]


def drawn(curve: Curve) -> Mapping[str, Any]:
    """A curve as what the template needs of it: the path of an SVG of 320 x 120, and the ends of its axes."""
    steps, losses = zip(*curve.points, strict=True)
    low, high = min(losses), max(losses)
    across, up = (steps[-1] - steps[0]) or 1.0, (high - low) or 1.0
    points = [
        f"{(step - steps[0]) / across * _WIDTH:.1f} {_HEIGHT - (loss - low) / up * _HEIGHT:.1f}"
        for step, loss in curve.points
    ]
    ends = {"first": f"{steps[0]:g}", "last": f"{steps[-1]:g}", "low": f"{low:.3g}", "high": f"{high:.3g}"}
    final = f"{losses[-1]:.3g}"
    return {"title": curve.title, "path": "M" + "L".join(points), "final": final, **ends}
