"""``scenebench table`` and ``scenebench leaderboard``: rebuild from records alone."""

from __future__ import annotations

import argparse

TABLE_EXAMPLE = """\
examples:
  scenebench table results/demo
  scenebench table results/demo --out paper/tables
"""
LEADERBOARD_EXAMPLE = """\
example:
  scenebench leaderboard results/demo --out public
"""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``table`` and ``leaderboard``."""
    table = subparsers.add_parser(
        "table",
        help="make tables and figures from records",
        description="Make Markdown, LaTeX and CSV tables and a figure from the records below a folder, and print them.",
        epilog=TABLE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    table.add_argument("results", metavar="RESULTS", help="folder of 'scenebench run', or any folder with records")
    table.add_argument("--out", metavar="FOLDER", help="where to write (default: RESULTS/tables)")
    table.set_defaults(run=_table)
    board = subparsers.add_parser(
        "leaderboard",
        help="make the leaderboard page from records",
        description="Make a static page from the records below a folder; it needs no server and no network.",
        epilog=LEADERBOARD_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    board.add_argument("results", metavar="RESULTS", help="folder of 'scenebench run', or any folder with records")
    board.add_argument("--out", metavar="FOLDER", help="where to write (default: RESULTS/leaderboard)")
    board.set_defaults(run=_leaderboard)


def _table(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from benchmarks.report.build import TABLES_FOLDER, Report, print_report, write_tables
    from benchmarks.report.results import collect
    from benchmarks.report.tables import make_tables

    results = collect(arguments.results)
    tables = make_tables(results)
    folder = Path(arguments.out or Path(arguments.results) / TABLES_FOLDER)
    print_report(Report(results, tables, write_tables(results, tables, folder), page=None))
    return 0


def _leaderboard(arguments: argparse.Namespace) -> int:
    import tempfile
    from pathlib import Path

    from benchmarks.report.build import LEADERBOARD_FOLDER, draw_figures
    from benchmarks.report.leaderboard import write_leaderboard
    from benchmarks.report.results import collect
    from benchmarks.report.tables import make_tables

    results = collect(arguments.results)
    tables = make_tables(results)
    with tempfile.TemporaryDirectory() as scratch:
        figures = [path for path in draw_figures(results, tables, Path(scratch)) if path.suffix == ".svg"]
        folder = Path(arguments.out or Path(arguments.results) / LEADERBOARD_FOLDER)
        page = write_leaderboard(results, tables, figures, folder)
    print(f"{len(results.records)} records -> {page}")
    return 0
