"""``scenebench records``: what is done to records themselves; imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = """\
example:
  scenebench records convert results/records --to records
"""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``records``."""
    parser = subparsers.add_parser("records", help="records from one file each to one file a suite")
    commands = parser.add_subparsers(metavar="command", required=True)
    convert = commands.add_parser(
        "convert",
        help="one file a suite in place of one file a record",
        description="Write the files record.json below a folder as NAME.jsonl, one record a line, and what they share "
        "as NAME.shared.jsonl. Nothing is lost or changed: every record is read back and its hash compared. The files "
        "stay. Every command that reads records reads both forms.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    convert.add_argument("folder", metavar="FOLDER", type=Path, help="its folders become one file each")
    convert.add_argument("--to", metavar="FOLDER", type=Path, help="where to write (default: FOLDER)")
    convert.set_defaults(run=_convert)


def _convert(arguments: argparse.Namespace) -> int:
    from benchmarks.records.convert import convert

    for one in convert(arguments.folder, arguments.to):
        print(f"{one.file}: {one.number} records")
    return 0
