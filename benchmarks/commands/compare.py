"""``scenebench compare``; imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path

from scenebench.overwriting import add_overwrite_option

EXAMPLE = """\
examples:
  scenebench compare results/moco results/mls
  scenebench compare mls moco --records results/records/mini.jsonl
  scenebench compare old.safetensors new.safetensors --records results/records --format markdown
"""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``compare``."""
    parser = subparsers.add_parser(
        "compare",
        help="compare two backbones or two suites: differences, how sure they are, and what differs in the recipes",
        description="Compare B with A by task and metric: the difference of the means over seeds, its interval and "
        "test, and what differs in their recipes. Values of other data, sizes or protocol versions are listed, not "
        "compared.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("A", "B"):
        parser.add_argument(
            name.lower(),
            metavar=name,
            help="folder or file of records, folder of 'scenebench run', or (of --records) backbone file or label",
        )
    parser.add_argument("--records", metavar="RECORDS", type=Path, nargs="+", help="where labels and files are found")
    parser.add_argument("--format", default="text", metavar="F", help="text (default), markdown or json")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write there instead of printing")
    add_overwrite_option(parser)
    parser.set_defaults(run=_compare)


def _compare(arguments: argparse.Namespace) -> int:
    from scenebench.errors import require_choice

    require_choice("--format", arguments.format, ("text", "markdown", "json"))

    from benchmarks.compare.compare import compare
    from benchmarks.compare.sides import find_side
    from benchmarks.compare.text import FORMATS
    from scenebench.filling import write_texts

    records = arguments.records or []
    text = FORMATS[arguments.format](compare(find_side(arguments.a, records), find_side(arguments.b, records)))
    if arguments.out is None:
        print(text, end="")
    else:
        write_texts({arguments.out: text}, arguments.overwrite)
        print(arguments.out)
    return 0
