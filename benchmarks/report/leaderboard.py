"""The leaderboard: one page that works from disk, made of records alone.

Text in records is untrusted. It reaches the page through Jinja's escaping or as JSON that the script writes with
``textContent``; file names come from hashes, never from a record's text; a content security policy by hash keeps any
script but ours from running; texts are cut to a sane length.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.record import Record
from benchmarks.report.published import PublishedValue, read_published
from benchmarks.report.render import difference_text, general_notes, own_notes, value_text
from benchmarks.report.results import Results, flatten, row_recipe
from benchmarks.report.tables import METRIC_NAMES, Cell, Table, clip
from pretrain.recipe import load_recipe, recipe_names
from scenebench.config import config_hash
from scenebench.files import replacing, write_text

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "index.html"
MAX_TEXT = 2000
"""Longest text of a record that the page shows, in characters."""
MAX_NAME = 200
"""The same of a key, a metric's name or an argument of a command line."""
_ID_DIGITS = 16
_SAME_NUMBERS = "the tables below hold the same numbers."
_ALTERNATIVE_TEXTS = {
    "comparison": f"Mean and spread over seeds of each backbone under each protocol; {_SAME_NUMBERS}",
    "curve": f"Mean and spread over seeds against the swept value, and the published curve if any; {_SAME_NUMBERS}",
}


def write_leaderboard(results: Results, tables: Sequence[Table], figures: Sequence[Path], folder: Path) -> Path:
    """Write ``folder/index.html`` and a copy of every record as ``folder/records/<hash>.json``; returns the page.

    Args:
        figures: the pictures of the tables, SVG each; they become part of the page.
    """
    script, style = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("board.js", "style.css"))
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clip"] = clip
    environment.globals |= {
        "longest_name": MAX_NAME,
        "delta": difference_text,
        "value": value_text,
        "record_ids": _record_ids,
    }
    page = environment.get_template("index.html").render(
        title=clip(results.title, MAX_TEXT),
        tables=[_table_view(table) for table in tables],
        published=_published_view(read_published()),
        records=_embedded(results.records),
        metric_names=METRIC_NAMES,
        figures=[(_data_uri(path), _ALTERNATIVE_TEXTS[path.stem.partition("-")[0]]) for path in figures],
        script=script,
        style=style,
        script_hash=_csp_hash(script),
        style_hash=_csp_hash(style),
    )
    _write_records(results.records, folder / "records")
    write_text(folder / PAGE, page)
    return folder / PAGE


def record_id(content_hash: str) -> str:
    """How the page and the files call a record; a record's hash was checked when it was read, so it is hexadecimal."""
    return content_hash[:_ID_DIGITS]


def _record_ids(cell: Cell) -> str:
    return " ".join(record_id(content_hash) for content_hash in cell.records)


def _write_records(records: Sequence[Record], folder: Path) -> None:
    """Replace the folder of record copies, so that it holds these records and no others."""
    if folder.is_dir():
        shutil.rmtree(folder)
    for record in records:
        content = json.dumps(record.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"
        path = folder / f"{record_id(record.content_hash)}.json"
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8")


@dataclass(frozen=True)
class _TableView:
    """A table with what the page's head and foot need."""

    table: Table
    groups: list[tuple[str, int]]
    notes: list[str]


def _table_view(table: Table) -> _TableView:
    groups: list[tuple[str, int]] = []
    for column in table.columns:
        if groups and groups[-1][0] == column.title:
            groups[-1] = (column.title, groups[-1][1] + 1)
        else:
            groups.append((column.title, 1))
    marks: dict[str, int] = {}
    for row in table.rows:
        for cell in row.cells:
            value_text(cell, marks)
    notes = own_notes(table, marks) + general_notes([table])
    return _TableView(table, groups, [clip(note, MAX_TEXT) for note in notes])


@dataclass(frozen=True)
class _PublishedView:
    """One table or figure of one source: methods x metrics."""

    name: str
    source: str
    tasks: str
    columns: list[tuple[str, str]]
    rows: list[dict[str, Any]]
    notes: list[str]


def _published_view(values: Sequence[PublishedValue]) -> list[_PublishedView]:
    views = []
    for name in dict.fromkeys(value.table for value in values):
        mine = [value for value in values if value.table == name]
        columns = list(dict.fromkeys((value.protocol, value.metric) for value in mine))
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        for value in mine:
            key = (value.method, value.pretrain_data, value.pretrain_epochs)
            row = rows.setdefault(key, {"first": value, "values": {}, "notes": []})
            row["values"][value.protocol, value.metric] = value.value
        notes = list(dict.fromkeys(note for value in mine for note in value.notes))
        for value in mine:
            marked = rows[value.method, value.pretrain_data, value.pretrain_epochs]["notes"]
            marked.extend(n for n in (notes.index(note) + 1 for note in value.notes) if n not in marked)
        tasks = ", ".join(dict.fromkeys(value.task for value in mine))
        views.append(_PublishedView(name, mine[0].source, tasks, columns, list(rows.values()), notes))
    return views


def _embedded(records: Sequence[Record]) -> dict[str, Any]:
    """The records as the page's script wants them; what many records share (protocol, recipe, machine) stands once."""
    shared: dict[str, Any] = {}

    def share(content: Any) -> str:
        name = config_hash(content)
        shared.setdefault(name, content)
        return name

    embedded = {}
    for record in records:
        content = _cut_all(record.model_dump(mode="json"))
        content["rerun"] = _rerun(record)
        content["protocol"]["resolved"] = share(content["protocol"]["resolved"])
        content["backbone"]["recipe"] = share(content["backbone"]["recipe"])
        content["environment"] = share(content["environment"])
        embedded[record_id(record.content_hash)] = content
    return {"records": embedded, "shared": shared}


def _rerun(record: Record) -> list[str]:
    """Command lines that repeat the run; every text of the record is quoted for the shell."""
    backbone, lines = record.backbone, []
    subject = "BACKBONE.safetensors"
    if backbone.origin == "reference":
        subject = f"reference:{backbone.method}"
    elif backbone.recipe_name:
        words = [backbone.recipe_name, *_overrides(record)]
        words = [*map(_quote, words), f"seed={backbone.seed}", "data.root=DATA/images/train"]
        if flatten(backbone.recipe).get("data.annotations"):
            words.append("data.annotations=DATA/annotations/instances_train.json")
        lines.append(f"scenebench pretrain {' '.join(words)} --out BACKBONE")
        subject = "BACKBONE/backbone.safetensors"
    lines.append(
        f"scenebench evaluate {_quote(subject)} --protocol {_quote(record.protocol.id)} --data DATA "
        f"--seed {record.seed} --label {_quote(backbone.label)} --out OUT"
    )
    if record.suite:
        lines.append(f"scenebench run {_quote(record.suite)} --out OUT    # the whole suite")
    return lines


def _overrides(record: Record) -> list[str]:
    """What the backbone's recipe has otherwise than the recipe of that name that comes with the suite."""
    if record.backbone.recipe_name not in recipe_names():
        return []
    shipped = _shipped_recipe(record.backbone.recipe_name)
    own = flatten(row_recipe(record))
    return [f"{key}={_as_yaml(own[key])}" for key in shipped if key in own and own[key] != shipped[key]]


@cache
def _shipped_recipe(name: str) -> dict[str, Any]:
    return flatten(load_recipe(name).to_plain())


def _as_yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _quote(text: str) -> str:
    return shlex.quote(clip("".join(sign if sign.isprintable() else " " for sign in text), MAX_NAME))


def _cut_all(content: Any) -> Any:
    if isinstance(content, dict):
        return {clip(str(key), MAX_NAME): _cut_all(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_cut_all(value) for value in content]
    return clip(content, MAX_TEXT) if isinstance(content, str) else content


def _data_uri(figure: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(figure.read_bytes()).decode("ascii")


def _csp_hash(text: str) -> str:
    """The source expression by which a content security policy allows exactly this inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
