"""``scenebench bench``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_commands(subparsers: Any) -> None:
    """Add ``bench`` to the command line."""
    parser = subparsers.add_parser(
        "bench",
        help="measure how fast this machine pretrains, beside torchvision and lightly",
        description="Measure the speed of pretraining on this machine; writes a table (Markdown) and the data (JSON).",
        epilog="example:\n  scenebench bench --photographs coco/val2017 --out results/benchmarks",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, default=Path("results/benchmarks"), metavar="FOLDER", help="for the results"
    )
    parser.add_argument("--photographs", type=Path, metavar="FOLDER", help="JPEGs to measure with (default: scenes)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each contender (5)")
    parser.add_argument("--seconds", type=float, default=4.0, metavar="S", help="of a turn, at least (4)")
    parser.set_defaults(run=_bench)


def _bench(args: argparse.Namespace) -> int:
    import json

    import torch

    from benchmarks.speed.photographs import find_photographs
    from benchmarks.speed.pretraining import Settings, measure
    from benchmarks.speed.report import render
    from scenebench.errors import UserError
    from scenebench.files import write_text

    if args.rounds < 1 or args.seconds <= 0:
        raise UserError("--rounds and --seconds must be positive")
    if args.photographs is not None and not find_photographs(args.photographs):
        raise UserError(f"--photographs: {args.photographs} holds no JPEG")
    settings = Settings(rounds=args.rounds, seconds=args.seconds, photographs=args.photographs)
    result = measure(settings, lambda text: print(text, flush=True))
    name = "pretraining_gpu" if torch.cuda.is_available() else "pretraining_cpu"
    page = render(result)
    write_text(args.out / f"{name}.json", json.dumps(result, indent=1) + "\n")
    write_text(args.out / f"{name}.md", page)
    print(f"\n{page}\n{args.out / f'{name}.md'}")
    return 0
