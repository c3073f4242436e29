"""``scenebench submit``: any checkpoint evaluated by a whole suite; imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path

from scenebench.errors import UserError
from scenebench.overwriting import add_overwrite_option, refuse_to_replace
from transfer.import_options import add_import_options, stated_preprocessing

EXAMPLE = """\
examples:
  scenebench submit moco_v2_800ep_pretrain.pth.tar --suite demo --out results/moco_v2
  scenebench submit mine.pth --suite demo --expected expected.yaml --out results/mine

Exit code: 0; 1 if a cell failed or is below its expected value; 2 bad input.
"""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``submit``."""
    parser = subparsers.add_parser(
        "submit",
        help="evaluate any checkpoint by a whole suite, and set its row next to the board's",
        description="Evaluate any checkpoint that 'import' knows by every protocol and seed of a suite, in place of "
        "the suite's own backbones, and set its row beside a board's. Called again it keeps what is finished.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("backbone", metavar="CHECKPOINT", type=Path, help="any checkpoint, or a backbone file")
    parser.add_argument("--suite", metavar="S", required=True, help="a suite's name or a YAML file")
    parser.add_argument("--data", metavar="ROOT", help="your own images (default: the suite's data)")
    parser.add_argument("--out", metavar="FOLDER", required=True, type=Path, help="where table and records go")
    parser.add_argument("--label", metavar="L", default="", help="name of the table's row (default: the file's)")
    parser.add_argument("--size", metavar="Z", default="", help="demo, mini or paper")
    add_suite_options(parser)
    parser.set_defaults(run=submit)


def add_suite_options(parser: argparse.ArgumentParser) -> None:
    """The options that say how a suite evaluates a checkpoint."""
    group = parser.add_argument_group("evaluation by a suite")
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
    group.add_argument("--references", action="store_true", help="evaluate the suite's reference rows too")
    group.add_argument("--leaderboard", action="store_true", help="write the page too: FOLDER/leaderboard")
    group.add_argument("--cores", metavar="N", type=int, help="jobs at a time on this machine (default: 2)")
    group.add_argument("--gpus", metavar="N", type=int, help="GPUs to share between jobs (default: all)")
    add_import_options(parser)


def submit(arguments: argparse.Namespace) -> int:
    """``submit CHECKPOINT --suite S``."""
    import os

    from benchmarks.submission.writable import keep_inside, require_writable

    if str(arguments.backbone).startswith("reference:"):
        raise UserError(f"{arguments.backbone}: is no checkpoint; the suite's reference rows come by --references")
    require_writable(arguments.out)
    if arguments.write_expected is not None:
        inputs = [path for path in (arguments.expected, Path(arguments.backbone)) if path is not None]
        refuse_to_replace(arguments.write_expected, inputs, overwrite=arguments.overwrite)
    keep_inside(arguments.out.absolute(), os.environ)  # before matplotlib and torch ask where they may write

    from benchmarks.submission.submit import Submission, evaluate_submission
    from benchmarks.workflow.engine_options import EngineOptions

    options = EngineOptions(cores=2 if arguments.cores is None else arguments.cores, gpus=arguments.gpus)
    submission = Submission(
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
    return evaluate_submission(submission, options)
