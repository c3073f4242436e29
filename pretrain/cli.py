"""``scenebench pretrain`` and ``scenebench figures``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scenebench.overwriting import add_overwrite_option


def add_commands(subparsers: Any) -> None:
    """Add ``pretrain`` and ``figures`` to the command line."""
    _add_pretrain(subparsers)
    _add_figures(subparsers)


def _add_pretrain(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "pretrain",
        help="learn a backbone without labels",
        description="Learn a backbone by a recipe. Called again with the same folder it goes on where it stopped.",
        epilog=(
            "example:\n"
            "  scenebench pretrain mls_demo data.root=scenes/images/train --out runs/mls\n"
            "  scenebench pretrain mls_coco data.root=coco/train2017 schedule.epochs=800 --out runs/mls800\n"
            "  scenebench pretrain mls_coco data.root=coco/annotations/instances_train2017.json "
            "data.images=coco/train2017 --out runs/mls\n"
            "  scenebench pretrain mls_coco data.root=train2017.tar --out runs/mls\n\n"
            "'scenebench pretrain list' names the recipes."
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", help="a recipe's name, or a .yaml file; 'list' names the recipes")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change keys of the recipe")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="the run's folder")
    parser.set_defaults(run=_pretrain)


def _add_figures(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "figures",
        help="draw the figures of a pretraining run again",
        description=(
            "Draw the figures of a pretraining run again, finished or not. mls: score histograms and pseudo-positives "
            "(figures 3 and 4 of the paper). saliency: maps now and over training, sampled boxes."
        ),
        epilog=(
            "example:\n"
            "  scenebench figures runs/mls\n"
            "  scenebench figures runs/mls --checkpoint 1040 --out pictures\n\n"
            "Only reads the run's folder (but for its figures/, which are renewed), so it may be called while the run\n"
            "is training. With --out a file that is there already is kept, unless --overwrite is given."
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="RUN_FOLDER", help="the folder of 'scenebench pretrain'")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for the pictures (default: RUN_FOLDER/figures)")
    parser.add_argument("--checkpoint", type=int, metavar="STEP", help="draw this step's checkpoint, not the newest")
    add_overwrite_option(parser)
    parser.set_defaults(run=_figures)


def _pretrain(args: argparse.Namespace) -> int:
    from pretrain.recipes.recipe import load_recipe, recipe_names
    from scenebench.errors import UserError
    from scenebench.processors import fit_instruction_sets

    if args.recipe == "list":
        print("\n".join(recipe_names()))
        return 0
    if args.out is None:
        raise UserError("--out is missing: say which folder the run is written to")
    recipe = load_recipe(args.recipe, args.overrides)
    fit_instruction_sets(recipe.run.precision)
    from pretrain.train import pretrain

    pretrain(recipe, args.out)
    return 0


def _figures(args: argparse.Namespace) -> int:
    from pretrain.figures.command import draw_run

    for picture in draw_run(args.folder, args.out, args.checkpoint, args.overwrite):
        print(picture)
    return 0
