"""``scenebench run``."""

from __future__ import annotations

import argparse

EXAMPLE = """\
examples:
  scenebench run demo --out results/demo
  scenebench run demo --data photos --annotations photos/coco.json --out results/photos

Called again on the same folder it keeps what is finished, also after Ctrl-C or kill -9.
Exit code: 0; 1 if a job failed (the tables say which and why); 2 bad input.
"""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``run``."""
    parser = subparsers.add_parser(
        "run",
        help="run a suite: data, pretraining, evaluation, tables, leaderboard",
        description="Run every job of a suite that is not done yet, then write and print its tables and leaderboard.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("suite", metavar="SUITE", help="a suite's name (demo, ...) or the path of a YAML file")
    parser.add_argument("--data", metavar="FOLDER", help="your own images; without it scenes are generated")
    parser.add_argument("--annotations", metavar="JSON", help="COCO instances of --data")
    parser.add_argument(
        "--test-annotations", metavar="JSON", help="COCO instances of the test images; without it a share is held out"
    )
    parser.add_argument("--out", metavar="FOLDER", help="results folder (default: results/SUITE)")
    parser.add_argument("--cores", type=int, default=2, metavar="N", help="jobs at a time (default: 2)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from benchmarks.workflow.runner import run_suite

    out = arguments.out or Path("results") / Path(arguments.suite).stem
    return run_suite(
        arguments.suite, arguments.data, arguments.annotations, arguments.test_annotations, out, arguments.cores
    )
