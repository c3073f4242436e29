"""From results to tables, figure and leaderboard, and what the terminal shows of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.records.collect import Results, collect_for_page
from benchmarks.records.places import place_named
from scenebench.collection import nothing_collected
from scenebench.errors import UserError
from scenebench.files import write_text

if TYPE_CHECKING:
    from benchmarks.report.table import SuiteTable

TABLES_FOLDER = "tables"
LEADERBOARD_FOLDER = "leaderboard"


@dataclass(frozen=True)
class Report:
    """What was written. ``conclusions``: what a reader may conclude, one line a data set (:mod:`.conclusion`)."""

    results: Results
    tables: list[SuiteTable]
    files: list[Path]
    page: Path | None
    conclusions: list[str] = field(default_factory=list)


def build_report(results_folder: Path | str, out: Path | str | None = None) -> Report:
    """Write tables, figure and leaderboard of the results in a folder (into it, unless ``out`` is given)."""
    out = Path(results_folder if out is None else out)
    with nothing_collected():
        results, tables = collect_for_page(results_folder, _with_tables)
        files = write_tables(results, tables, out / TABLES_FOLDER)
        page = write_board(results, tables, out / LEADERBOARD_FOLDER)
    from benchmarks.report.conclusion import conclusions

    return Report(results, tables, files, page, conclusions(results, tables))


def build_leaderboard(results_folder: Path | str, out: Path | str | None = None) -> tuple[Results, Path]:
    """Write the leaderboard alone (to ``leaderboard`` in the folder, unless ``out`` is given): records, page.

    Raises:
        UserError: no record is admitted; nothing is written then. Those that are not are in ``refused``.
    """
    folder = folder_for(results_folder, LEADERBOARD_FOLDER) if out is None else Path(out)
    with nothing_collected():
        results, tables = collect_for_page(results_folder, _with_tables)
        return results, write_board(results, tables, folder)


def folder_for(place: Path | str, name: str) -> Path:
    """Where pages of the records at a place are written, unless one says where.

    Raises:
        UserError: the place is a file, which has no room for pages.
    """
    place = place_named(place)
    if place.is_file():
        raise UserError(f"{place}: is a file of records; say where to write by --out FOLDER")
    return place / name


def _with_tables(results: Results) -> tuple[Results, list[SuiteTable]]:
    from benchmarks.report.suite_table import make_tables  # pandas starts while another process checks the records

    return results, make_tables(results)


def write_board(results: Results, tables: list[SuiteTable], folder: Path) -> Path:
    """Write the leaderboard's page of records that were read and set into tables before, with its pictures."""

    from benchmarks.report.leaderboard import write_leaderboard

    def plot(kinds: tuple[str, ...], pictures: Path) -> None:
        from benchmarks.report.leaderboard_figures import draw_plots  # matplotlib, where it is needed: it starts slowly

        draw_plots(tables, results.records, pictures, kinds)

    def all_but_cost(pictures: Path) -> None:
        plot(("bars", "ranks"), pictures)  # where the page is made, which asks for the ranks again
        draw_curves(results, tables, pictures)

    return write_leaderboard(results, tables, [all_but_cost, partial(plot, ("cost",))], folder)


def write_tables(results: Results, tables: list[SuiteTable], folder: Path) -> list[Path]:
    """Write ``tables.md``, ``tables.tex``, ``values.csv`` and the figures; equal records give equal bytes."""
    from benchmarks.report.conclusion import conclusions
    from benchmarks.report.how_to_read import notes_to_markdown
    from benchmarks.report.markdown import markdown_list, to_markdown
    from benchmarks.report.suite_table import suite_to_csv, suite_to_latex

    head = f"# {results.title}\n\n"
    if results.repeats:
        head += f"{results.repeats} records were left out: a later record repeats the same run.\n\n"
    concluded = ["### What may be concluded", "", *markdown_list(conclusions(results, tables)), ""]
    texts = {
        "tables.md": head + "\n".join([*map(to_markdown, tables), *concluded, notes_to_markdown(tables)]),
        "tables.tex": "\n".join(suite_to_latex(table) for table in tables),
        "values.csv": suite_to_csv(tables),
    }
    files = []
    for name, text in texts.items():
        write_text(folder / name, text)
        files.append(folder / name)
    return files + draw_figures(results, tables, folder)


def draw_figures(results: Results, tables: list[SuiteTable], folder: Path) -> list[Path]:
    """One comparison a data set and size, and a curve where its rows sweep one number.

    The first are called ``comparison`` and ``curve``, further ones are numbered.
    """
    from benchmarks.report.comparison_figure import draw_figure
    from benchmarks.report.table import by_data

    files = []
    for suffix, group in by_data(tables):
        files += draw_figure(group, folder, f"comparison{suffix}")
    return files + draw_curves(results, tables, folder)


def draw_curves(results: Results, tables: list[SuiteTable], folder: Path) -> list[Path]:
    """The curves of :func:`draw_figures` alone."""
    from benchmarks.report.sweep_figure import draw_curve
    from benchmarks.report.table import by_data

    return [
        path
        for suffix, group in by_data(tables)
        for path in draw_curve(group, results.records, folder, f"curve{suffix}")
    ]


def print_report(report: Report, write: Callable[[str], object] = print) -> None:
    """Show the tables, and where everything lies."""
    from benchmarks.report.how_to_read import notes_to_markdown
    from benchmarks.report.markdown import to_markdown

    for table in report.tables:
        write("")
        write(to_markdown(table).rstrip())
    write("")
    write(notes_to_markdown(report.tables))
    write("Where everything lies:")
    if report.page is not None:
        write(f"  leaderboard       {report.page}")
    for path in report.files:
        write(f"  {_KINDS_OF_FILES.get(path.suffix, 'file'):17} {path}")


_KINDS_OF_FILES = {
    ".md": "tables, Markdown",
    ".tex": "tables, LaTeX",
    ".csv": "values, CSV",
    ".png": "figure",
    ".svg": "figure",
}
