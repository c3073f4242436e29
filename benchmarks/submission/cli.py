"""The options of ``evaluate --suite`` and the command ``compare``; imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scenebench.errors import UserError
from scenebench.overwriting import add_overwrite_option, refuse_to_replace
from transfer.cli import add_import_options, stated_preprocessing

COMPARE_EXAMPLE = """\
examples:
  scenebench compare results/moco results/mls
  scenebench compare mls moco --records results/records/mini
  scenebench compare old.safetensors new.safetensors --records results/records --format markdown
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
    "family": None,
    "branch": None,
    "mean": None,
    "std": None,
    "value_range": None,
    "channel_order": None,
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
            help="folder of records or of 'scenebench run', record file, or (of --records) backbone file or label",
        )
    parser.add_argument("--records", metavar="FOLDER", type=Path, nargs="+", help="where labels and files are found")
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
