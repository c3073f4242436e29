"""Everything under ``results/`` that is made of its records: tables, figures, and ``README.md``.

    python -m docs.generate.results results

The words of the page are in ``results.md`` beside this file; every number in it is asked for by suite, protocol and row
(:mod:`.page`). A board without records is said not to be run yet; a sentence that claims something is chosen by the
numbers (:mod:`.claims`, :mod:`.answers`). Equal records give equal bytes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import jinja2

from benchmarks.report.diagnostics_table import draw_by_category, draw_causes, draw_diagnostics
from benchmarks.report.publish import DIAGNOSTICS
from benchmarks.report.run_report import write_tables
from docs.generate import claims
from docs.generate.boards import UNTOLD, in_words, row_in_words
from docs.generate.overview import GAINS, RANGES, ColumnRange, Gain, draw_gains, draw_ranges
from docs.generate.page import TABLES, Page
from scenebench.errors import UserError
from scenebench.exit_codes import exit_code
from scenebench.files import write_text

TEMPLATE = Path(__file__).parent / "results.md"
PAGE = "README.md"
_DRAWN = ("multilabel_knn", "multilabel_linear", "region_knn", "region_linear")
"""The columns of the picture of gains: those that every seed has."""


def build_results(folder: Path) -> list[Path]:
    """Write ``tables/`` and ``README.md`` of a results folder anew; pictures as SVG alone.

    Raises:
        UserError: no folder, a damaged record, or one that the page asks for and that is missing.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name the one that holds records/, or is to hold them")
    page = Page(folder)
    text = page_text(page)
    files = []
    shutil.rmtree(folder / TABLES, ignore_errors=True)  # of a suite that is no longer there
    for name, suite in page.suites.items():
        files += write_tables(suite.results, suite.tables, folder / TABLES / name)
        if (folder / DIAGNOSTICS / name).is_dir():
            for draw in (draw_diagnostics, draw_by_category, draw_causes):
                files += draw(page.diagnosed(name), folder / TABLES / name)
    files += draw_ranges(_ranges(page), folder / TABLES) + draw_gains(_gains(page), folder / TABLES)
    write_text(folder / PAGE, text)
    return [*_without_pixels(files), folder / PAGE]


def page_text(page: Page) -> str:
    """The page of results as Markdown."""
    template = template_environment().from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(page=page, pictures=_pictures(page)).rstrip() + "\n"


def template_environment() -> jinja2.Environment:
    """What the template is rendered in. Markdown needs no escaping of HTML; an unknown name is an error."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.globals |= {one.__name__: one for one in (claims.verdict, claims.compared, claims.listed)}
    return environment


def _pictures(page: Page) -> list[str]:
    """Names of the pictures over all boards that there is something to draw for."""
    drawn = {RANGES: any(_ranges(page).values()), GAINS: any(_gains(page).values())}
    return [name for name, is_drawn in drawn.items() if is_drawn]


def _ranges(page: Page) -> dict[str, list[ColumnRange]]:
    boards = {}
    for board in page.boards:
        if page.has(board.name):
            own = page.suite(board.name)
            boards[board.name] = [
                ColumnRange(
                    in_words(*column),
                    standing.range.negative,
                    standing.range.positive,
                    own.means_of_others(*column),
                    not standing.cannot_tell and standing.range.standing == "passes",
                )
                for column in own.columns
                for standing in own.standings_of(*column)
                if standing.range is not None
            ]
    return boards


def _gains(page: Page) -> dict[str, list[Gain]]:
    boards = {}
    for board in page.boards:
        if page.has(board.name):
            own = page.suite(board.name)
            rows = [label for label in own.trained if label not in (board.baseline, *UNTOLD)]
            boards[f"{board.name}, against {row_in_words(board.baseline)}"] = [
                Gain(row_in_words(label), in_words(*column), test, own.can_tell(*column))
                for label in rows
                for column, test in page.tests(board.name, label, board.baseline, _DRAWN).items()
            ]
    return boards


def _without_pixels(files: Sequence[Path]) -> list[Path]:
    """Of pictures that were drawn twice the one of lines stays: smaller, and sharp at any size."""
    for path in files:
        if path.suffix == ".png" and path.with_suffix(".svg") in files:
            path.unlink()
    return [path for path in files if path.is_file()]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the tables, figures and page of a results folder.")
    parser.add_argument("results", type=Path, metavar="RESULTS", help="the folder that holds records/")
    arguments = parser.parse_args(argv)

    def command() -> None:
        for path in build_results(arguments.results):
            print(path)

    return exit_code(command)


if __name__ == "__main__":
    sys.exit(main())
