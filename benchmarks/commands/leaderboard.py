"""``scenebench leaderboard``: the page, and adding records to a board; imports nothing heavy."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scenebench.errors import UserError
from scenebench.overwriting import add_overwrite_option
from scenebench.parser import OneLineParser

EXAMPLE = """\
examples:
  scenebench leaderboard results/demo --out public
  scenebench leaderboard add results/mine/records --to results/records

'scenebench leaderboard RESULTS' is short for 'scenebench leaderboard build RESULTS'.
"""


def add_commands(subparsers: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add ``leaderboard`` with its commands ``build``, which may be left unsaid, and ``add``."""
    formatter = argparse.RawDescriptionHelpFormatter
    group = subparsers.add_parser(
        "leaderboard",
        help="make the leaderboard page from records, or add records to a board",
        description="Make the leaderboard's page from records, or add records to a board.",
        epilog=EXAMPLE,
        formatter_class=formatter,
    )
    commands = group.add_subparsers(metavar="command", required=True)
    group.set_default_command("build", takes_words=True)

    build = commands.add_parser(
        "build",
        help="make the page (also without the word 'build')",
        description="Make a static page from the records below a folder; it needs no server and no network. Records "
        "that are not admitted are named and left out; the exit code is 1 then.",
        epilog=EXAMPLE,
        formatter_class=formatter,
    )
    build.add_argument(
        "results", metavar="RESULTS", help="folder of 'scenebench run', or any folder or file with records"
    )
    build.add_argument("further", metavar="", nargs="*", help=argparse.SUPPRESS)
    build.add_argument("--out", metavar="FOLDER", help="where to write (default: RESULTS/leaderboard)")
    add_overwrite_option(build)
    build.set_defaults(run=_build)

    add = commands.add_parser(
        "add",
        help="add records to a board",
        description="Check records (schema, hashes, protocol, data, repeats) and add them to a board: all, or none.",
        epilog=EXAMPLE,
        formatter_class=formatter,
    )
    add.add_argument("records", metavar="RECORD", nargs="+", help="record files, or folders or files with records")
    add.add_argument("--to", metavar="FOLDER", help="the board's folder (default: results/records)")
    add.add_argument("--own-data", action="store_true", help="take records of other data than their suite's")
    add.set_defaults(run=_add)


def _build(arguments: argparse.Namespace) -> int:
    if arguments.further:
        raise UserError(
            f"{arguments.further[0]}: a page is made of one folder; to add records: scenebench leaderboard add RECORD"
        )

    from benchmarks.report.run_report import build_leaderboard
    from scenebench.filling import filling, moved

    if arguments.out:
        with filling(Path(arguments.out), arguments.overwrite) as folder:
            results, page = build_leaderboard(arguments.results, folder)
        [page] = moved([page], folder, Path(arguments.out))
    else:  # the folder of the results, which is ours
        results, page = build_leaderboard(arguments.results)
    for one in results.refused:
        print(f"scenebench: not admitted: {one}", file=sys.stderr)
    left_out = f", {len(results.refused)} not admitted" if results.refused else ""
    print(f"{len(results.records)} records{left_out} -> {page}")
    return 1 if results.refused else 0


def _add(arguments: argparse.Namespace) -> int:
    from benchmarks.submission.contribution import DEFAULT_BOARD, contribute

    board = arguments.to or DEFAULT_BOARD
    added = contribute(arguments.records, board, arguments.own_data)
    for one in added:
        print(f"{one.file}: {one.record.backbone.label}, {one.record.protocol.id}, seed {one.record.seed}")
    print(f"{len(added)} records added to {board}")
    return 0
