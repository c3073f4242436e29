"""The leaderboard: a static folder that works from disk and from any web server, made of records alone.

Text in records is untrusted. What may enter is checked before (:mod:`benchmarks.records.admission`). It reaches a page
through Jinja's escaping, its invisible signs spelt, or as JSON that the script only compares; file names come from
hashes; a content security policy keeps any script but the folder's own from running; texts are cut to a sane length.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmarks.published.values import read_published
from benchmarks.records.collect import Results
from benchmarks.report.escaping import clip, visible
from benchmarks.report.leaderboard_record import MAX_TEXT, record_id, record_pages, write_records
from benchmarks.report.leaderboard_tables import (
    Section,
    choices,
    distinguishing_fingerprints,
    measured_sections,
    panel_groups,
    published_sections,
    script_data,
)
from benchmarks.report.metrics import KINDS
from benchmarks.report.table import Measured, SuiteTable, difference_text
from benchmarks.statistics.ranks import Rank
from scenebench.children import in_children, shared_out
from scenebench.errors import UserError
from scenebench.staging import staged_folder

_T = TypeVar("_T")

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "index.html"
RECORDS = "runs"
RECORDS_FILE = "records.jsonl"
FIGURES = "figures"
_DRAWN = "drawn"
_DARK = "-dark"
_SHORT = 200
"""Longest text that is remembered in its escaped form, in characters."""
SCRIPT = "board.js"
STYLE = "style.css"
PARTS = (PAGE, SCRIPT, STYLE, RECORDS, RECORDS_FILE, FIGURES)
MARK = "Made by scenebench from"
"""Stands on every page that was made here; a folder without it is not written over."""
_SAME_NUMBERS = "the tables hold the same numbers."
_DESCRIPTIONS = {
    "bars": (
        "Quality by task",
        f"Mean and spread over seeds of the best backbones under each protocol; {_SAME_NUMBERS}",
    ),
    "ranks": ("Rank over tasks", f"Rank of each backbone on every task, with its bootstrap interval; {_SAME_NUMBERS}"),
    "cost": ("Cost against quality", f"Quality against the amount of pretraining, by method; {_SAME_NUMBERS}"),
    "curve": ("The swept value", f"Mean and spread against the swept value, and the published curve; {_SAME_NUMBERS}"),
}


def write_leaderboard(
    results: Results, tables: Sequence[SuiteTable], draws: Sequence[Callable[[Path], object]], folder: Path
) -> Path:
    """Write the page, a page of every record, all records in one file, figures, script and style into ``folder``.

    All is written aside and renamed into place when it is complete. Other files of the folder stay. Returns
    ``index.html``.

    Args:
        draws: at least one; each writes SVG files into the folder it is given, named as :mod:`.leaderboard_figures` and
            :mod:`.sweep_figure` name them; others are not shown. Of many records they run side by side, all but the
            first in processes of their own.

    Raises:
        UserError: the folder holds something of the same name that is no leaderboard.
    """
    _require_ours(folder)
    with staged_folder(folder, PARTS) as scratch:
        _write(results, tables, draws, scratch)
    return folder / PAGE


def _require_ours(folder: Path) -> None:
    """Never remove a folder of records, or a page, that was not made here."""
    page = folder / PAGE
    is_ours = page.is_file() and MARK in page.read_text(encoding="utf-8", errors="replace")
    for name in PARTS:
        if not is_ours and ((folder / name).exists() or (folder / name).is_symlink()):
            raise UserError(f"{folder / name} is there and is no leaderboard's; choose another folder")


def _write(
    results: Results, tables: Sequence[SuiteTable], draws: Sequence[Callable[[Path], object]], folder: Path
) -> None:
    environment = _environment()
    for name in (SCRIPT, STYLE):
        shutil.copyfile(TEMPLATES / name, folder / name)
    (folder / RECORDS).mkdir()
    (folder / FIGURES).mkdir()
    for number in range(len(draws)):
        (folder / f"{_DRAWN}{number}").mkdir()
    parts = shared_out(len(results.records))
    tasks = record_pages(results, tables, environment, folder / RECORDS, parts)
    here, *beside = [
        partial(_draw, draw, folder / f"{_DRAWN}{number}", folder / FIGURES) for number, draw in enumerate(draws)
    ]

    def without_figures() -> tuple[list[Section], list[Section]]:
        here()
        write_records(results.records, folder / RECORDS_FILE)
        return measured_sections(tables, results.records), published_sections(read_published())

    def front_page() -> None:
        measured, published = _all_at_once(beside, without_figures, apart=parts > 1)
        _write_index(results, tables, measured, published, environment, folder)

    _all_at_once(tasks, front_page, apart=parts > 1)


def _all_at_once(tasks: Sequence[Callable[[], object]], here: Callable[[], _T], apart: bool) -> _T:
    """Run the tasks and ``here``, whose result it is; the tasks each in a process of its own if ``apart``."""
    if apart:
        return cast("_T", in_children(tasks, here))
    for task in tasks:
        task()
    return here()


def _write_index(
    results: Results,
    tables: Sequence[SuiteTable],
    measured: Sequence[Section],
    published: Sequence[Section],
    environment: Environment,
    folder: Path,
) -> None:
    """The front page, with the figures that lie in the folder."""
    kinds = {kind.name: kind.title for kind in KINDS}
    page = environment.get_template(PAGE).render(
        title=clip(results.title, MAX_TEXT),
        measured=measured,
        published=published,
        kinds=kinds,
        choices=choices([*measured, *published], kinds),
        figures=_shown(folder / FIGURES, tables),
        data=script_data([*measured, *published]),
        refused=results.refused,
        number=len(results.records),
        mark=MARK,
    )
    (folder / PAGE).write_text(page, encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_finalize,
    )
    environment.filters |= {"clip": clip, "zip_self": lambda values: [(value, value) for value in values]}
    environment.tests |= {
        "measured": lambda value: isinstance(value, Measured),
        "rank": lambda value: isinstance(value, Rank),
    }
    environment.globals |= {"delta": difference_text, "record_id": record_id}
    return environment


def _finalize(value: Any) -> Any:
    """Every text that a template writes has its invisible signs spelt; what is marked as safe was made here."""
    if type(value) is not str:
        return value
    return _escaped_once(value) if len(value) <= _SHORT else _escaped(value)


def _escaped(text: str) -> Markup:
    return Markup.escape(visible(text, keep="\n\t"))


_escaped_once = lru_cache(maxsize=4096)(_escaped)  # pages of many records say much the same


def _draw(draw: Callable[[Path], object], scratch: Path, folder: Path) -> None:
    """Every figure, for a light and for a dark ground."""
    draw(scratch)

    from benchmarks.report.leaderboard_figures import dark  # as late as matplotlib, which takes long to import

    for path in scratch.iterdir():
        if path.suffix == ".svg" and path.stem.partition("-")[0] in _DESCRIPTIONS:
            picture = path.read_text(encoding="utf-8")
            (folder / path.name).write_text(picture, encoding="utf-8")
            (folder / f"{path.stem}{_DARK}.svg").write_text(dark(picture), encoding="utf-8")


def _shown(folder: Path, tables: Sequence[SuiteTable]) -> list[tuple[str, str, str]]:
    """(file's stem, title, description) of each figure, in the order of the descriptions."""
    shown = {suffix: panels[0][0] for suffix, panels in panel_groups(tables)}
    # Where there are several, a title says of which data; a curve says so in the picture.
    places = {
        suffix: f": {table.place}" + (f", data {fingerprint}" if fingerprint else "")
        for (suffix, table), fingerprint in zip(
            shown.items(), distinguishing_fingerprints(list(shown.values())), strict=True
        )
        if len(shown) > 1
    }
    stems = [path.stem for path in folder.iterdir() if not path.stem.endswith(_DARK)]
    stems.sort(key=lambda stem: (len(stem), stem))
    return [
        (stem, title + ("" if kind == "curve" else places.get(stem.removeprefix(kind), "")), description)
        for kind, (title, description) in _DESCRIPTIONS.items()
        for stem in stems
        if stem.partition("-")[0] == kind
    ]
