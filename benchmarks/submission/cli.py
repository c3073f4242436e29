"""The options of ``evaluate --suite``, and ``compare`` and ``leaderboard``; imports nothing heavy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scenebench.errors import UserError
from scenebench.overwriting import add_overwrite_option, refuse_to_replace
from transfer.import_options import DESTINATIONS, add_import_options, stated_preprocessing

COMPARE_EXAMPLE = """\
examples:
  scenebench compare results/moco results/mls
  scenebench compare mls moco --records results/records/mini.jsonl
  scenebench compare old.safetensors new.safetensors --records results/records --format markdown
"""
LEADERBOARD_EXAMPLE = """\
examples:
  scenebench leaderboard results/demo --out public
  scenebench leaderboard add results/mine/records --to results/records
"""
# Options that mean something by a suite alone, and what they are where they were not given.
_BY_SUITE: dict[str, Any] = {
    "annotations": None,
    "test_annotations": None,
    "expected": None,
    "write_expected": None,
    "board": None,
    "references": False,
    "leaderboard": False,
    "cores": None,
    "gpus": None,
    **dict.fromkeys(DESTINATIONS),
}
_NAMES = {"family": "--from"}


def add_suite_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``evaluate`` that say how a suite judges a checkpoint."""
    group = parser.add_argument_group("by a suite (without --protocol)")
    group.add_argument("--annotations", metavar="JSON", help="COCO instances of --data")
    group.add_argument(
        "--test-annotations", metavar="JSON", help="COCO instances of the test images; without it a share is held out"
    )
    group.add_argument(
        "--expected", metavar="FILE", type=Path, help="expected values (YAML): exit code 1 if one is not reached"
    )
    group.add_argument(
        "--write-expected", metavar="FILE", type=Path, help="write what was measured as such a file, with tolerances"
    )
    add_overwrite_option(parser)
    group.add_argument(
        "--board",
        metavar="RECORDS",
        type=Path,
        nargs="+",
        help="records to set the row beside (default: results/records, where it exists)",
    )
    group.add_argument("--references", action="store_true", help="judge the suite's reference rows too")
    group.add_argument("--leaderboard", action="store_true", help="write the page too: FOLDER/leaderboard")
    group.add_argument("--cores", metavar="N", type=int, help="jobs at a time on this machine (default: 2)")
    group.add_argument("--gpus", metavar="N", type=int, help="GPUs to share between jobs (default: all)")
    add_import_options(parser)


def refuse_suite_options(arguments: argparse.Namespace) -> None:
    """Stop where a single protocol is asked for and an option means something by a suite alone.

    Raises:
        UserError: naming the option, or what a single protocol lacks.
    """
    for name, default in _BY_SUITE.items():
        if getattr(arguments, name) != default:
            option = _NAMES.get(name, f"--{name.replace('_', '-')}")
            raise UserError(f"{option} is for judging by a suite; leave it or --protocol away")
    if arguments.data is None:
        raise UserError("--protocol judges on a prepared data set; add --data ROOT")


def judge_by_suite(arguments: argparse.Namespace) -> int:
    """``evaluate CHECKPOINT --suite S``."""
    import os

    from benchmarks.submission.writable import keep_inside, require_writable

    if not arguments.suite:
        raise UserError("say what to judge by: --suite NAME, or --protocol ID and --data ROOT")
    if arguments.overrides:
        raise UserError(f"{arguments.overrides[0]}: a suite says its own values; change one with --protocol ID")
    if arguments.seed is not None:
        raise UserError("--seed: a suite has seeds of its own; leave it away, or name a --protocol")
    if str(arguments.backbone).startswith("reference:"):
        raise UserError(f"{arguments.backbone}: is no checkpoint; the suite's reference rows come by --references")
    require_writable(arguments.out)
    if arguments.write_expected is not None:
        inputs = [path for path in (arguments.expected, Path(arguments.backbone)) if path is not None]
        refuse_to_replace(arguments.write_expected, inputs, overwrite=arguments.overwrite)
    keep_inside(arguments.out.absolute(), os.environ)  # before matplotlib and torch ask where they may write

    from benchmarks.submission.submit import Question, judge
    from benchmarks.workflow.engine_options import EngineOptions

    options = EngineOptions(cores=2 if arguments.cores is None else arguments.cores, gpus=arguments.gpus)
    question = Question(
        checkpoint=Path(arguments.backbone),
        suite=arguments.suite,
        out=arguments.out,
        size=arguments.size,
        data=arguments.data,
        annotations=arguments.annotations,
        test_annotations=arguments.test_annotations,
        label=arguments.label,
        expected=arguments.expected,
        write_expected=arguments.write_expected,
        board=arguments.board,
        references=arguments.references,
        leaderboard=arguments.leaderboard,
        family=arguments.family,
        branch=arguments.branch,
        prefix=arguments.prefix,
        method=arguments.method,
        preprocessing=stated_preprocessing(arguments),
    )
    return judge(question, options)


def add_compare(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``compare``."""
    parser = subparsers.add_parser(
        "compare",
        help="compare two backbones or two suites: differences, how sure they are, and what differs in the recipes",
        description="Compare B with A by task and metric: the difference of the means over seeds, its interval and "
        "test, and what differs in their recipes. Values of other data, sizes or protocol versions are listed, not "
        "compared.",
        epilog=COMPARE_EXAMPLE,
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


def add_leaderboard(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``leaderboard``."""
    parser = subparsers.add_parser(
        "leaderboard",
        help="make the leaderboard page from records, or add records to a board",
        description="Make a static page from the records below a folder; it needs no server and no network. Records "
        "that are not admitted are named and left out; the exit code is 1 then. "
        "'add RECORD...' checks records (schema, hashes, protocol, data, repeats) and adds them to a board.",
        epilog=LEADERBOARD_EXAMPLE,
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

    from benchmarks.outside.contribution import DEFAULT_BOARD, contribute

    added = contribute(names, arguments.to or DEFAULT_BOARD, arguments.own_data)
    for one in added:
        print(f"{one.file}: {one.record.backbone.label}, {one.record.protocol.id}, seed {one.record.seed}")
    print(f"{len(added)} records added to {arguments.to or DEFAULT_BOARD}")
    return 0
