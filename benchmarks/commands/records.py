"""``scenebench records``: what is done to records themselves; imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path

CONVERT_EXAMPLE = """\
example:
  scenebench records convert results/records --to records
"""
PUBLISH_EXAMPLES = """\
examples:
  scenebench records publish results/mini --to results
  scenebench records publish results/mini-photos --to results --name mini_photos
"""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``records``."""
    parser = subparsers.add_parser(
        "records", help="keep the records of finished runs; convert records of an earlier form; print their JSON schema"
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    convert = commands.add_parser(
        "convert",
        help="one file a suite in place of one file a record",
        description="Write the files record.json below a folder as NAME.jsonl, one record a line, and what they share "
        "as NAME.shared.jsonl. Nothing is lost or changed: every record is read back and its hash compared. The files "
        "stay. Every command that reads records reads both forms.",
        epilog=CONVERT_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    convert.add_argument("folder", metavar="FOLDER", type=Path, help="its folders become one file each")
    convert.add_argument("--to", metavar="FOLDER", type=Path, help="where to write (default: FOLDER)")
    convert.set_defaults(run=_convert)

    publish = commands.add_parser(
        "publish",
        help="keep records, diagnostics and costs of finished runs",
        description="Add the records of finished runs to FOLDER/records, their diagnostics to FOLDER/diagnostics and\n"
        "what they cost to FOLDER/costs, under the suite's name. What was kept before stays; a record that says\n"
        "otherwise of the same cell is refused. Weights, logs and data stay where they are.",
        epilog=PUBLISH_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    publish.add_argument("run_folder", nargs="+", type=Path, metavar="RUN_FOLDER", help="--out of 'scenebench run'")
    publish.add_argument("--to", type=Path, default=Path("results"), metavar="FOLDER", help="(default: results)")
    publish.add_argument("--name", default="", help="keep one run under this name (default: its suite's)")
    publish.add_argument("--replace", action="store_true", help="let go of what was kept under that name before")
    publish.set_defaults(run=_publish)

    schema = commands.add_parser(
        "schema",
        help="print the JSON schema of a record",
        description="Print the JSON schema of a record of this version, to check records by other tools.",
        epilog="example:\n  scenebench records schema > record.schema.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    schema.set_defaults(run=_schema)


def _convert(arguments: argparse.Namespace) -> int:
    from benchmarks.records.convert import convert

    for one in convert(arguments.folder, arguments.to):
        print(f"{one.file}: {one.number} records")
    return 0


def _publish(arguments: argparse.Namespace) -> int:
    from benchmarks.report.publish import publish
    from scenebench.errors import UserError

    runs = arguments.run_folder
    if arguments.name and len(runs) > 1:
        raise UserError(f"--name {arguments.name}: names one run, {len(runs)} are given")
    for run in runs:
        files = publish(run, arguments.to, arguments.name, arguments.replace)
        print(f"{run}: {len(files)} files -> {arguments.to}")
    return 0


def _schema(_arguments: argparse.Namespace) -> int:
    from benchmarks.records.json_schema import schema_text

    print(schema_text(), end="")
    return 0
