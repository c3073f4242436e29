"""``scenebench table`` and ``scenebench leaderboard``: rebuild from records alone, or one of the papers' tables."""

from __future__ import annotations

import argparse

TABLES = "tables"
TABLE_EXAMPLE = """\
examples:
  scenebench table results/demo
  scenebench table results/demo --out paper/tables
  scenebench table mls_table8 --records results/records --out paper/tables
  scenebench table all --records results/demo results/records --out paper/tables
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
        description="Make Markdown, LaTeX and CSV tables and figures from the records below a folder, and print them; "
        "or one of the papers' tables (mls_table1 .. mls_table8, mls_fig5a, mls_fig5b, saliency_headline, "
        "saliency_ablation; 'all'), published beside measured.",
        epilog=TABLE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    table.add_argument("results", metavar="RESULTS|NAME", help="folder with records, or the name of a paper's table")
    table.add_argument(
        "--records", metavar="FOLDER", nargs="*", help="folders with records; RESULTS is then the name of a table"
    )
    table.add_argument("--out", metavar="FOLDER", help="where to write (default: RESULTS/tables; tables for a NAME)")
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

    from benchmarks.report.paper_build import build_paper_tables, require_not_results

    if arguments.records is not None:
        build_paper_tables(arguments.results, arguments.records, arguments.out or TABLES)
        return 0
    require_not_results(arguments.results)

    from benchmarks.report.build import TABLES_FOLDER, Report, print_report, write_tables
    from benchmarks.report.results import collect
    from benchmarks.report.tables import make_tables

    results = collect(arguments.results)
    tables = make_tables(results)
    folder = Path(arguments.out or Path(arguments.results) / TABLES_FOLDER)
    print_report(Report(results, tables, write_tables(results, tables, folder), page=None))
    return 0


def _leaderboard(arguments: argparse.Namespace) -> int:
    from benchmarks.report.build import build_leaderboard

    results, page = build_leaderboard(arguments.results, arguments.out)
    print(f"{len(results.records)} records -> {page}")
    return 0
