"""``scenebench bench`` and ``scenebench cost``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_commands(subparsers: Any) -> None:
    """Add ``bench`` and ``cost`` to the command line."""
    _add_bench(subparsers)
    _add_cost(subparsers)


def _add_bench(subparsers: Any) -> None:
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


def _add_cost(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "cost",
        help="predict the hours and the memory of a pretraining recipe",
        description=(
            "Predict what a recipe costs: on this machine from a probe of about a minute, on others from what known "
            "recipes reached there."
        ),
        epilog=(
            "example:\n"
            "  scenebench cost mls_coco\n"
            "  scenebench cost mls_coco schedule.epochs=800 data.root=coco/train2017"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", help="a recipe's name, or a .yaml file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change keys of the recipe")
    parser.add_argument("--images", type=int, metavar="N", help="in an epoch (default: those of data.root, or COCO's)")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="how long to probe, about (60)")
    parser.set_defaults(run=_cost)


def _cost(args: argparse.Namespace) -> int:
    from benchmarks.speed.cost import machines, predict
    from benchmarks.speed.cost_table import render
    from pretrain.recipe import load_recipe
    from scenebench.errors import UserError

    if args.seconds <= 0 or (args.images is not None and args.images < 2):
        raise UserError("--seconds must be positive and --images at least 2")
    recipe = load_recipe(args.recipe, args.overrides)
    print(f"probing this machine for about {args.seconds:g} s ...", flush=True)
    print(render(recipe, predict(recipe, args.images, args.seconds), machines()))
    return 0


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
