"""``scenebench run`` and ``scenebench status``."""

from __future__ import annotations

import argparse

EXAMPLE = """\
examples:
  scenebench run demo --out results/demo
  scenebench run demo --data photos --annotations photos/coco.json --out results/photos
  scenebench run mls_table8 --size demo --plan
  scenebench run papers --size paper --data /data --executor slurm --partition gpu

Called again on the same folder it keeps what is finished, also after Ctrl-C or kill -9.
Exit code: 0; 1 if a job failed (the tables say which and why); 2 bad input.
"""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``run`` and ``status``."""
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
    parser.add_argument("--size", default="", metavar="Z", help="paper, mini or demo (default: the suite as it stands)")
    parser.add_argument("--cores", type=int, default=2, metavar="N", help="jobs at a time on this machine (default: 2)")
    parser.add_argument(
        "--gpus", type=int, metavar="N", help="GPUs to share between jobs (default: all of this machine)"
    )
    parser.add_argument("--executor", default="local", metavar="E", help="local or slurm (default: local)")
    parser.add_argument(
        "--partition", default="", metavar="P", help="partition of the cluster (default: the cluster's)"
    )
    parser.add_argument("--profile", metavar="FOLDER", help="Snakemake profile for the cluster (default: scenebench's)")
    parser.add_argument(
        "--retries", type=int, metavar="N", help="try a failed job again so often (default: 0; slurm: 2)"
    )
    parser.add_argument("--plan", action="store_true", help="say what would be done, and what it costs; run nothing")
    parser.set_defaults(run=_run)
    status = subparsers.add_parser(
        "status",
        help="how far a run is: done, running, failed, time left",
        description="Say where a results folder stands, and write its page status.html anew.",
        epilog="example:\n  scenebench status results/demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    status.add_argument("folder", metavar="FOLDER", nargs="+", help="results folder of 'scenebench run'")
    status.set_defaults(run=_status)


def _run(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from benchmarks.workflow.engine_options import SLURM_PROFILE, EngineOptions
    from benchmarks.workflow.runner import run_suite, show_plan

    options = EngineOptions(
        executor=arguments.executor,
        cores=arguments.cores,
        gpus=arguments.gpus,
        partition=arguments.partition,
        retries=arguments.retries,
        profile=Path(arguments.profile or SLURM_PROFILE),
    )
    name = Path(arguments.suite).stem + (f"_{arguments.size}" if arguments.size else "")
    out = arguments.out or Path("results") / name
    work = (arguments.suite, arguments.data, arguments.annotations, arguments.test_annotations, out, options)
    if arguments.plan:
        return show_plan(*work, arguments.size)
    from benchmarks.report.after_run import report_all

    return run_suite(*work, arguments.size, report=report_all)


def _status(arguments: argparse.Namespace) -> int:
    import time
    from pathlib import Path

    from benchmarks.workflow.status import read_status, status_lines
    from benchmarks.workflow.status_page import write_page

    for folder in arguments.folder:
        status = read_status(folder, time.time())
        write_page(Path(folder), time.time())
        print("\n".join(status_lines(status)))
    return 0
