"""The command line: each package offers its commands; this module gathers them and turns errors into exit codes.

Exit codes: 0 done; 1 a check found a difference or a cell failed; 2 bad input, one line on standard error;
3 tensors compared, but no toolbox to build the exported model (``verify``); 130 / 143 stopped by Ctrl-C / SIGTERM.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pretrain.cli
import scenebench
import transfer.cli
from benchmarks.commands import bench, compare, data, evaluate, leaderboard, protocol, records, run, submit, table
from scenebench.errors import UserError
from scenebench.exit_codes import exit_code
from scenebench.parser import OneLineParser
from scenebench.processors import limit_instruction_sets

EXAMPLE = """\
examples:
  scenebench data scenes --images 2000 --size 128 --seed 0 data/scenes
  scenebench pretrain mls_demo data.root=data/scenes/images/train --out results/mls
  scenebench export results/mls/backbone.safetensors --to detectron2 --out results/mls/detectron2
  scenebench evaluate results/mls/backbone.safetensors --protocol multilabel_knn --data data/scenes --out results/knn
  scenebench run demo --out results/demo
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; builds without importing torch or a toolbox."""
    parser = OneLineParser(
        prog="scenebench",
        description="Pretrain on scene images, carry any backbone into detection and segmentation, benchmark it.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"scenebench {scenebench.__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    for module in (
        data,
        pretrain.cli,
        transfer.cli,
        evaluate,
        submit,
        compare,
        leaderboard,
        protocol,
        run,
        table,
        records,
        bench,
    ):
        module.add_commands(commands)
    return parser


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse a call. ``key=value`` pairs may also stand after options, which argparse alone does not see."""
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    late = [word for word in rest if "=" in word and not word.startswith("-")]
    if rest and (late != rest or not hasattr(arguments, "overrides")):
        parser.error(f"unrecognised: {' '.join(word for word in rest if word not in late) or ' '.join(rest)}")
    if late:
        arguments.overrides = [*arguments.overrides, *late]
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    limit_instruction_sets()

    def command() -> int | None:
        _require_working_folder()
        arguments = parse(argv)
        code: int | None = arguments.run(arguments)
        return code

    return exit_code(command)


def _require_working_folder() -> None:
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise UserError("the folder that this was called in is gone; change to another one, or to it anew") from error


if __name__ == "__main__":
    sys.exit(main())
