"""The command ``lint``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

_EXAMPLE = """\
examples:
  scenebench lint configs/
  scenebench lint --weights backbone.safetensors mask_rcnn_R_50_FPN_1x.yaml
  scenebench lint --format json fcn_r50-d8.py

exit code: 0 nothing but notes, 1 findings, 2 bad input"""


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
    parser.set_defaults(run=_lint)


def _lint(args: argparse.Namespace) -> int:
    from scenebench.errors import require_choice
    from transfer.config_lint.lint import has_findings, lint_paths
    from transfer.config_lint.weights import read_weights

    require_choice("--format", args.format, ["text", "json"])
    by_config = lint_paths(args.configs, None if args.weights is None else read_weights(args.weights))
    findings = [one for found in by_config.values() for one in found]
    if args.format == "json":
        print(json.dumps([one.as_json() for one in findings], indent=1))
    else:
        for one in findings:
            print(one.text())
        counts = {kind: sum(one.severity == kind for one in findings) for kind in ("error", "warning", "note")}
        summary = ", ".join(f"{number} {kind}{'' if number == 1 else 's'}" for kind, number in counts.items())
        print(f"{len(by_config)} configuration{'' if len(by_config) == 1 else 's'}: {summary}")
    return 1 if has_findings(findings) else 0
