"""The command ``lint``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfer.config_lint.rule import Finding

_EXAMPLE = """\
examples:
  scenebench lint configs/
  scenebench lint --weights backbone.safetensors mask_rcnn_R_50_FPN_1x.yaml
  scenebench lint --format json fcn_r50-d8.py

exit code: 0 no errors (there may be warnings and notes), 1 errors (with --strict: or warnings), 2 bad input: a file
that is not there or is no configuration (a LazyConfig is none that can be read); the others are linted all the same"""


def add_lint_command(subparsers: Any) -> None:
    """Add ``lint`` to an argparse subparsers object."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "lint",
        help="find what is silently wrong in Detectron2, mmseg and mmdet configurations",
        description="Find what is silently wrong in Detectron2, mmseg and mmdet configurations, without running them.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("configs", nargs="+", type=Path, metavar="CONFIG", help="YAML or Python file, or a folder")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="BACKBONE",
        help="what they are meant to load: a backbone file or an exported folder; else taken from what each names",
    )
    parser.add_argument("--format", default="text", metavar="FORMAT", help="text (default) or json")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where there are warnings, too")
    parser.set_defaults(run=_lint)


def _lint(args: argparse.Namespace) -> int:
    from scenebench.errors import UserError, require_choice
    from transfer.config_lint.lint import has_findings, lint_all
    from transfer.config_lint.rule import ERROR, WARNING
    from transfer.config_lint.weights_files import read_weights

    require_choice("--format", args.format, ["text", "json"])
    linted = lint_all(args.configs, None if args.weights is None else read_weights(args.weights))
    findings = [one for found in linted.findings.values() for one in found]
    if args.format == "json":
        print(json.dumps([one.as_json() for one in findings], indent=1))
    elif linted.findings:
        for one in findings:
            print(one.text())
        print(_summary(len(linted.findings), findings, linted.lazy))
    if linted.refused:
        told = "; ".join(f"{path}: {reason}" for path, reason in linted.refused.items())
        raise UserError(told)
    return 1 if has_findings(findings, (ERROR, WARNING) if args.strict else (ERROR,)) else 0


def _summary(configurations: int, findings: list[Finding], lazy: list[Path]) -> str:
    counts = {kind: sum(one.severity == kind for one in findings) for kind in ("error", "warning", "note")}
    summary = ", ".join(f"{number} {kind}{'' if number == 1 else 's'}" for kind, number in counts.items())
    line = f"{configurations} configuration{'' if configurations == 1 else 's'}: {summary}"
    if lazy:
        line += (
            f"; {len(lazy)} LazyConfig{'' if len(lazy) == 1 else 's'} not read ({lazy[0]}{', ...' if lazy[1:] else ''})"
        )
    return line
