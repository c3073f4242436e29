"""``scenebench table``: tables and figures from records alone, or one of the papers' tables."""

from __future__ import annotations

import argparse
from pathlib import Path

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


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``table``."""
    table = subparsers.add_parser(
        "table",
        help="make tables and figures from records",
        description="Make Markdown, LaTeX and CSV tables and figures from the records below a folder, and print them; "
        "or one of the papers' tables (mls_table1 .. mls_table8, mls_fig5a, mls_fig5b, saliency_headline, "
        "saliency_ablation; 'all'), published beside measured.",
        epilog=TABLE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    table.add_argument(
        "results", metavar="RESULTS|NAME", help="folder or file with records, or the name of a paper's table"
    )
    table.add_argument(
        "--records",
        metavar="RECORDS",
        nargs="*",
        help="folders or files with records; RESULTS is then the name of a table",
    )
    table.add_argument("--out", metavar="FOLDER", help="where to write (default: RESULTS/tables; tables for a NAME)")
    add_overwrite_option(table)
    table.set_defaults(run=_table)


def _table(arguments: argparse.Namespace) -> int:
    from benchmarks.report.paper_report import build_paper_tables, require_not_results

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
    from benchmarks.report.run_report import TABLES_FOLDER, Report, folder_for, print_report, write_tables
    from benchmarks.report.suite_table import make_tables

    results = collect(arguments.results)
    tables = make_tables(results)
    if arguments.out:
        with filling(Path(arguments.out), arguments.overwrite) as folder:
            written = write_tables(results, tables, folder)
        files = moved(written, folder, Path(arguments.out))
    else:  # the folder of the results, which is ours
        files = write_tables(results, tables, folder_for(arguments.results, TABLES_FOLDER))
    print_report(Report(results, tables, files, page=None))
    return 0
