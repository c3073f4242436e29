"""``scenebench bench``, ``scenebench cost`` and ``scenebench spread``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_PARTS = ("probes", "boxes", "masks", "startup", "loops")
_BENCH_EXAMPLE = """\
examples:
  scenebench bench pretraining --photographs coco/val2017 --out results/benchmarks
  scenebench bench evaluation --parts boxes masks
  scenebench bench transfer --to torchvision detectron2
"""


def add_commands(subparsers: Any) -> None:
    """Add ``bench``, ``cost`` and ``spread`` to the command line."""
    _add_bench(subparsers)
    _add_cost(subparsers)
    _add_spread(subparsers)


def _add_bench(subparsers: Any) -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    group = subparsers.add_parser(
        "bench",
        help="measure how fast this machine pretrains, evaluates or transfers, next to stock tools",
        description="Measure the speed of this machine; writes a table (Markdown) and the data (JSON).",
        epilog=_BENCH_EXAMPLE,
        formatter_class=formatter,
    )
    commands = group.add_subparsers(metavar="command", required=True)
    group.set_default_command(
        "pretraining", notice="'bench' alone is 'scenebench bench pretraining' now; this form goes after this version"
    )
    pretraining = commands.add_parser(
        "pretraining",
        help="training steps and views, next to torchvision and lightly",
        description="Measure the speed of pretraining, next to torchvision and lightly.",
        epilog=_BENCH_EXAMPLE,
        formatter_class=formatter,
    )
    _add_results_folder(pretraining)
    pretraining.add_argument(
        "--photographs", type=Path, metavar="FOLDER", help="JPEGs to measure with (default: scenes)"
    )
    pretraining.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each contender (5)")
    pretraining.add_argument("--seconds", type=float, default=4.0, metavar="S", help="of a turn, at least (4)")
    pretraining.set_defaults(run=_bench_pretraining)
    evaluation = commands.add_parser(
        "evaluation",
        help="probes, COCO's metrics, start-up and training loops, next to pycocotools and the toolboxes",
        description="Measure the speed of evaluation, next to pycocotools and the toolboxes' own training loops.",
        epilog=_BENCH_EXAMPLE,
        formatter_class=formatter,
    )
    _add_results_folder(evaluation)
    evaluation.add_argument(
        "--parts",
        nargs="+",
        metavar="PART",
        help=f"{', '.join(_PARTS)} (default: all); the others stay as last measured",
    )
    evaluation.set_defaults(run=_bench_evaluation)
    transfer = commands.add_parser(
        "transfer",
        help="import, proof and export of a checkpoint: CPU seconds and memory",
        description="Measure how long, and in how much memory, a checkpoint becomes proven files for a toolbox. "
        "Exit code 1 where a limit is not kept.",
        epilog=_BENCH_EXAMPLE,
        formatter_class=formatter,
    )
    transfer.add_argument("--to", nargs="+", metavar="TARGET", help="torchvision (default), timm, mmseg, detectron2")
    transfer.add_argument("--depth", type=int, default=50, metavar="N", help="of the ResNet (50)")
    transfer.set_defaults(run=_bench_transfer)


def _add_results_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("results/benchmarks"), metavar="FOLDER", help="for the results"
    )


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


def _add_spread(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "spread",
        help="run one protocol several times with one seed, and say how far its metrics lie apart",
        description=(
            "Run a protocol several times with the same seed on this machine's device, and write how far each metric "
            "spreads: 0 on a CPU; on a GPU some sums are taken in any order."
        ),
        epilog=(
            "example:\n"
            "  scenebench spread mls.safetensors --protocol fcn_demo --data data/scenes --out results/spread --runs 3"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("backbone", metavar="FILE", help="a backbone file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change values of the protocol")
    parser.add_argument("--protocol", required=True, metavar="ID", help="id or a YAML file")
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER", help="the data set")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FOLDER", help="for the runs, spread.json and spread.md"
    )
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="how many (5)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of every run (0)")
    parser.add_argument("--size", default="", metavar="Z", help="take the protocol's values of that size (demo)")
    parser.set_defaults(run=_spread)


def _spread(args: argparse.Namespace) -> int:
    import json

    from benchmarks.protocols.protocol import load_protocol
    from scenebench.files import write_text

    protocol = load_protocol(args.protocol, args.overrides, args.size)

    from benchmarks.evaluation.spread import measure_spread, render

    result = measure_spread(args.backbone, protocol, args.data, args.seed, args.runs, args.out, args.size)
    write_text(args.out / "spread.json", json.dumps(result, indent=1) + "\n")
    write_text(args.out / "spread.md", render(result))
    print(render(result))
    print(args.out / "spread.md")
    return 0


def _cost(args: argparse.Namespace) -> int:
    from pretrain.recipes.recipe import load_recipe
    from scenebench.errors import UserError
    from scenebench.processors import fit_instruction_sets

    if args.seconds <= 0 or (args.images is not None and args.images < 2):
        raise UserError("--seconds must be positive and --images at least 2")
    recipe = load_recipe(args.recipe, args.overrides)
    fit_instruction_sets(recipe.run.precision)

    from benchmarks.speed.cost import machines, predict
    from benchmarks.speed.cost_table import render
    from pretrain.computer import check_device

    check_device(recipe)
    print(f"probing this machine for about {args.seconds:g} s ...", flush=True)
    print(render(recipe, predict(recipe, args.images, args.seconds), machines()))
    return 0


def _bench_evaluation(args: argparse.Namespace) -> int:
    import json

    from scenebench.errors import require_choice
    from scenebench.files import write_text

    parts = args.parts or _PARTS
    for part in parts:
        require_choice("--parts", part, _PARTS)

    import torch

    from benchmarks.speed.evaluation import Sizes, measure_evaluation, merged
    from benchmarks.speed.evaluation_report import render

    name = "evaluation_gpu" if torch.cuda.is_available() else "evaluation_cpu"
    path = args.out / f"{name}.json"
    merged(path, {"parts": {}})  # a file that is something else is found before minutes are spent
    for part in parts:  # each is written when it is measured, so that none is lost to a kill
        result = merged(path, measure_evaluation([part], Sizes(), lambda text: print(text, flush=True)))
        write_text(path, json.dumps(result, indent=1) + "\n")
        write_text(path.with_suffix(".md"), render(result))
    print(f"\n{render(result)}\n{path.with_suffix('.md')}")
    return 0


def _bench_pretraining(args: argparse.Namespace) -> int:
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


def _bench_transfer(args: argparse.Namespace) -> int:
    from benchmarks.speed.transfer import measure_targets, table

    measurements = measure_targets(args.to or ["torchvision"], args.depth)
    print(table(measurements))
    return 0 if all(one.within for one in measurements) else 1
