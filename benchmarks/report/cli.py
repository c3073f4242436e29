"""``scenebench table`` and ``scenebench leaderboard``: rebuild from records alone, or one of the papers' tables."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scenebench.errors import UserError
from scenebench.filling import filling, moved
from scenebench.overwriting import add_overwrite_option

TABLES = "tables"
TABLE_EXAMPLE = """\
examples:
  scenebench table results/demo
  scenebench table results/demo --out paper/tables
  scenebench table mls_table8 --records results/records --out paper/tables
  scenebench table all --records results/demo results/records --out paper/tables
"""
LEADERBOARD_EXAMPLE = """\
examples:
  scenebench leaderboard results/demo --out public
  scenebench leaderboard add results/mine/records --to results/records
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
    add_overwrite_option(table)
    table.set_defaults(run=_table)
    board = subparsers.add_parser(
        "leaderboard",
        help="make the leaderboard page from records, or add records to a board",
        description="Make a static page from the records below a folder; it needs no server and no network. "
        "'add RECORD...' checks records (schema, hashes, protocol, data, repeats) and copies them to a board.",
        epilog=LEADERBOARD_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    board.add_argument(
        "results",
        metavar="RESULTS",
        nargs="+",
        help="folder of 'scenebench run', or any folder with records; or 'add' and record files or folders",
    )
    board.add_argument("--out", metavar="FOLDER", help="where to write (default: RESULTS/leaderboard)")
    board.add_argument("--to", metavar="FOLDER", help="add: the board's folder (default: results/records)")
    board.add_argument("--own-data", action="store_true", help="add: take records of other data than their suite's")
    add_overwrite_option(board)
    board.set_defaults(run=_leaderboard)


def _table(arguments: argparse.Namespace) -> int:
    from benchmarks.report.paper_build import build_paper_tables, require_not_results

    if arguments.records is not None:
        out = Path(arguments.out or TABLES)
        with filling(out, arguments.overwrite) as folder:
            said: list[str] = []
            files = build_paper_tables(arguments.results, arguments.records, folder, said.append)
        print("\n".join(said[: len(said) - len(files)]))  # the last ones say where the files were made
        for path in moved(files, folder, out):
            print(f"  {path}")
        return 0
    require_not_results(arguments.results)

    from benchmarks.records.collect import collect
    from benchmarks.report.build import TABLES_FOLDER, Report, print_report, write_tables
    from benchmarks.report.tables import make_tables

    results = collect(arguments.results)
    tables = make_tables(results)
    if arguments.out:
        with filling(Path(arguments.out), arguments.overwrite) as folder:
            written = write_tables(results, tables, folder)
        files = moved(written, folder, Path(arguments.out))
    else:  # the folder of the results, which is ours
        files = write_tables(results, tables, Path(arguments.results) / TABLES_FOLDER)
    print_report(Report(results, tables, files, page=None))
    return 0


def _leaderboard(arguments: argparse.Namespace) -> int:
    first, *further = arguments.results
    if first == "add":
        return _add(arguments, further)
    if further or arguments.to or arguments.own_data:
        what = further[0] if further else "--to and --own-data"
        raise UserError(f"{what}: a page is made of one folder; to add records: scenebench leaderboard add RECORD...")

    from benchmarks.report.build import build_leaderboard

    if arguments.out:
        with filling(Path(arguments.out), arguments.overwrite) as folder:
            results, page = build_leaderboard(first, folder)
        [page] = moved([page], folder, Path(arguments.out))
    else:  # the folder of the results, which is ours
        results, page = build_leaderboard(first)
    print(f"{len(results.records)} records -> {page}")
    return 0


def _add(arguments: argparse.Namespace, names: Sequence[str]) -> int:
    if not names:
        raise UserError("leaderboard add: name one or more record files or folders of records")
    if arguments.out:
        raise UserError("leaderboard add: --out is of the page; the board's folder is named by --to")

    from benchmarks.records.adding import DEFAULT_BOARD, add_records

    added = add_records(names, arguments.to or DEFAULT_BOARD, arguments.own_data)
    for one in added:
        print(one.file)
    print(f"{len(added)} records added to {arguments.to or DEFAULT_BOARD}")
    return 0
