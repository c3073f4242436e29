"""``scenebench table NAME``: one of the papers' tables, or all of them, from records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.published.layout import load_paper_table, paper_table_names
from benchmarks.published.values import read_published
from benchmarks.records.collect import Results, collect
from benchmarks.report.curve import draw_curve
from benchmarks.report.paper_figures import draw_bars, draw_cost, draw_published_curve
from benchmarks.report.paper_latex import paper_to_latex
from benchmarks.report.paper_parts import PaperResult
from benchmarks.report.paper_render import paper_to_csv, paper_to_markdown
from benchmarks.report.paper_tables import make_paper_table
from benchmarks.report.tables import make_tables
from scenebench.errors import UserError
from scenebench.files import write_text

ALL = "all"


def build_paper_tables(
    name: str, records: Sequence[Path | str], out: Path | str, say: Callable[[str], object] = print
) -> list[Path]:
    """Write Markdown, CSV, LaTeX and figures of one of the papers' tables (``all``: of each) into ``out``.

    Args:
        records: folders of results; none is needed to see what is published.

    Raises:
        UserError: no such table or folder, or a damaged record.
    """
    names = paper_table_names() if name == ALL else [load_paper_table(name).name]
    results = _joined([collect(folder) for folder in records])
    published = read_published()
    files = []
    for each in names:
        result = make_paper_table(load_paper_table(each), published, results)
        written = _write(result, results, Path(out))
        files += written
        say(paper_to_markdown(result) if len(names) == 1 else f"{each}: {_counted(result)}")
    for path in files:
        say(f"  {path}")
    return files


def _write(result: PaperResult, results: Results, out: Path) -> list[Path]:
    name = result.layout.name
    texts = {".md": paper_to_markdown(result), ".csv": paper_to_csv(result), ".tex": paper_to_latex(result)}
    files = []
    for suffix, text in texts.items():
        write_text(out / f"{name}{suffix}", text)
        files.append(out / f"{name}{suffix}")
    files += draw_bars(result, out, f"{name}-bars")
    files += draw_cost(result, results.records, out, f"{name}-cost")
    return files + _draw_curves(result, results, out, f"{name}-curve")


def _draw_curves(result: PaperResult, results: Results, out: Path, name: str) -> list[Path]:
    """Of a table that sweeps one number: the measured curves with the published one beside, or that one alone."""
    if not result.layout.sweep:
        return []
    shown = {digest for group in result.groups for line in group.cells for cell in line for digest in cell.records}
    mine = [record for record in results.records if record.content_hash in shown]
    groups: dict[tuple[str, str, str], list[Path]] = {}
    tables = make_tables(Results(results.title, results.baseline, [], [], mine, [])) if mine else []
    for key in dict.fromkeys((table.data, table.fingerprint, table.size) for table in tables):
        group = [table for table in tables if (table.data, table.fingerprint, table.size) == key]
        drawn = draw_curve(group, mine, out, name if not groups else f"{name}-{len(groups) + 1}")
        if drawn:
            groups[key] = drawn
    return [path for drawn in groups.values() for path in drawn] or draw_published_curve(result.layout.sweep, out, name)


def _joined(found: Sequence[Results]) -> Results:
    """Several folders as one; a record that lies in two of them counts once."""
    if len(found) == 1:
        return found[0]
    records = {record.content_hash: record for results in found for record in results.records}
    gaps = [gap for results in found for gap in results.gaps]
    baseline = next((results.baseline for results in found if results.baseline), "")
    ordered = sorted(records.values(), key=lambda r: (r.backbone.label, r.protocol.id, r.seed, r.content_hash))
    return Results("Results", baseline, [], [], ordered, gaps)


def _counted(result: PaperResult) -> str:
    measured, *apart = result.groups
    places = sum(value is not None for line in result.published for value in line)
    filled = sum(cell.summary is not None for line in measured.cells for cell in line)
    return f"{places} published values, {filled} measured beside them, {len(apart)} groups apart"


def require_not_results(name: str) -> None:
    """A table's name where a folder of results is expected: say what is missing.

    Raises:
        UserError: ``name`` is a table and no folder.
    """
    if not Path(name).exists() and name in [*paper_table_names(), ALL]:
        raise UserError(f"table {name}: give the records with --records FOLDER")
