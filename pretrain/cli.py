"""``scenebench pretrain``, ``scenebench recipe`` and ``scenebench figures``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from scenebench.overwriting import add_overwrite_option

_RECIPE_EXAMPLE = """\
examples:
  scenebench recipe list
  scenebench recipe show mls_demo schedule.epochs=8
"""


def add_commands(subparsers: Any) -> None:
    """Add ``pretrain``, ``recipe`` and ``figures`` to the command line."""
    _add_pretrain(subparsers)
    _add_recipe(subparsers)
    _add_figures(subparsers)


def _add_pretrain(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "pretrain",
        help="learn a backbone without labels",
        description="Learn a backbone by a recipe. Called again with the same folder it resumes.",
        epilog=(
            "example:\n"
            "  scenebench pretrain mls_demo data.root=scenes/images/train --out runs/mls\n"
            "  scenebench pretrain mls_coco data.root=coco/train2017 schedule.epochs=800 --out runs/mls800\n"
            "  scenebench pretrain mls_coco data.root=coco/annotations/instances_train2017.json "
            "data.images=coco/train2017 --out runs/mls\n"
            "  scenebench pretrain mls_coco data.root=train2017.tar --out runs/mls\n\n"
            "'scenebench recipe list' names the recipes."
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", help="a recipe's name ('scenebench recipe list'), or a .yaml file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change keys of the recipe")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="the run's folder")
    parser.set_defaults(run=_pretrain)


def _add_recipe(subparsers: Any) -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    recipe = subparsers.add_parser(
        "recipe",
        help="list the recipes, or show everything one of them says",
        description="List the recipes of pretraining, or show everything one of them says.",
        epilog=_RECIPE_EXAMPLE,
        formatter_class=formatter,
    )
    commands = recipe.add_subparsers(metavar="command", required=True)
    listing = commands.add_parser(
        "list", help="names and methods", description="Names and methods of the recipes.",
        epilog=_RECIPE_EXAMPLE, formatter_class=formatter,
    )  # fmt: skip
    listing.set_defaults(run=_list_recipes)
    show = commands.add_parser(
        "show", help="one recipe, every key with its value", description="One recipe, every key with its value.",
        epilog=_RECIPE_EXAMPLE, formatter_class=formatter,
    )  # fmt: skip
    show.add_argument("recipe", help="a recipe's name, or a .yaml file")
    show.add_argument("overrides", nargs="*", metavar="key=value", help="change keys of the recipe")
    show.set_defaults(run=_show_recipe)


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
    from pretrain.recipes.recipe import load_recipe
    from scenebench.errors import UserError
    from scenebench.processors import fit_instruction_sets

    if args.recipe == "list" and args.out is None:
        print(
            "note: 'pretrain list' is 'scenebench recipe list' now; this form goes after this version", file=sys.stderr
        )
        return _list_recipes(args)
    if args.out is None:
        raise UserError("--out is missing: say which folder the run is written to")
    recipe = load_recipe(args.recipe, args.overrides)
    fit_instruction_sets(recipe.run.precision)
    from pretrain.train import pretrain

    pretrain(recipe, args.out)
    return 0


def _list_recipes(_args: argparse.Namespace) -> int:
    from pretrain.recipes.recipe import load_recipe
    from pretrain.recipes.recipe_files import recipe_names

    for name in recipe_names():
        print(f"{name:26} {load_recipe(name).method}")
    return 0


def _show_recipe(args: argparse.Namespace) -> int:
    import yaml

    from pretrain.recipes.recipe import load_recipe

    print(yaml.safe_dump(load_recipe(args.recipe, args.overrides).to_plain(), sort_keys=False), end="")
    return 0


def _figures(args: argparse.Namespace) -> int:
    from pretrain.figures.command import draw_run

    for picture in draw_run(args.folder, args.out, args.checkpoint, args.overwrite):
        print(picture)
    return 0
