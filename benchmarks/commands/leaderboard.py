"""``scenebench leaderboard``: the page, and adding records to a board; imports nothing heavy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scenebench.errors import UserError
from scenebench.overwriting import add_overwrite_option

EXAMPLE = """\
examples:
  scenebench leaderboard results/demo --out public
  scenebench leaderboard add results/mine/records --to results/records
"""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``leaderboard``."""
    parser = subparsers.add_parser(
        "leaderboard",
        help="make the leaderboard page from records, or add records to a board",
        description="Make a static page from the records below a folder; it needs no server and no network. Records "
        "that are not admitted are named and left out; the exit code is 1 then. "
        "'add RECORD...' checks records (schema, hashes, protocol, data, repeats) and adds them to a board.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results",
        metavar="RESULTS",
        nargs="+",
        help="folder of 'scenebench run', or any folder or file with records; or 'add' and such files or folders",
    )
    parser.add_argument("--out", metavar="FOLDER", help="where to write (default: RESULTS/leaderboard)")
    parser.add_argument("--to", metavar="FOLDER", help="add: the board's folder (default: results/records)")
    parser.add_argument("--own-data", action="store_true", help="add: take records of other data than their suite's")
    add_overwrite_option(parser)
    parser.set_defaults(run=_leaderboard)


def _leaderboard(arguments: argparse.Namespace) -> int:
    first, *further = arguments.results
    if first == "add":
        return _add(arguments, further)
    if further or arguments.to or arguments.own_data:
        what = further[0] if further else "--to and --own-data"
        raise UserError(f"{what}: a page is made of one folder; to add records: scenebench leaderboard add RECORD...")

    from benchmarks.report.run_report import build_leaderboard
    from scenebench.filling import filling, moved

    if arguments.out:
        with filling(Path(arguments.out), arguments.overwrite) as folder:
            results, page = build_leaderboard(first, folder)
        [page] = moved([page], folder, Path(arguments.out))
    else:  # the folder of the results, which is ours
        results, page = build_leaderboard(first)
    for one in results.refused:
        print(f"scenebench: not admitted: {one}", file=sys.stderr)
    left_out = f", {len(results.refused)} not admitted" if results.refused else ""
    print(f"{len(results.records)} records{left_out} -> {page}")
    return 1 if results.refused else 0


def _add(arguments: argparse.Namespace, names: Sequence[str]) -> int:
    if not names:
        raise UserError("leaderboard add: name one or more record files or folders of records")
    if arguments.out:
        raise UserError("leaderboard add: --out is of the page; the board's folder is named by --to")

    from benchmarks.submission.contribution import DEFAULT_BOARD, contribute

    added = contribute(names, arguments.to or DEFAULT_BOARD, arguments.own_data)
    for one in added:
        print(f"{one.file}: {one.record.backbone.label}, {one.record.protocol.id}, seed {one.record.seed}")
    print(f"{len(added)} records added to {arguments.to or DEFAULT_BOARD}")
    return 0
