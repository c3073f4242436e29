"""``scenebench data``: prepare data sets and look at them."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from benchmarks.commands.official_data import add_official_commands

if TYPE_CHECKING:
    from benchmarks.datasets.folder import DatasetFolder


def add_commands(subparsers: argparse._SubParsersAction) -> None:
    """Add ``data`` with its commands; heavy packages are imported only when one runs."""
    data = subparsers.add_parser(
        "data",
        help="generated scenes, your own COCO-format folder, the published data sets",
        description="Generate scenes, prepare your own COCO-format folder, check and prepare the published data sets.",
        epilog="examples:\n  scenebench data scenes --images 2000 --size 128 --seed 0 data/scenes\n"
        "  scenebench data list\n  scenebench data check voc2007 data/VOCdevkit/VOC2007",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = data.add_subparsers(dest="data_command", metavar="COMMAND", required=True)
    _add_scenes(commands)
    _add_coco(commands)
    _add_show(commands)
    add_official_commands(commands)


def _add_scenes(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "scenes",
        help="generate scenes with exact masks",
        description="Generate scenes of several objects with exact masks; equal arguments give equal bytes.",
        epilog="example:\n  scenebench data scenes --images 2000 --size 128 --seed 0 data/scenes",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # Left out where not given, so that ScenesSpec alone holds the defaults.
    unset = argparse.SUPPRESS
    parser.add_argument("out", metavar="OUT", help="the folder to write")
    parser.add_argument("--images", type=int, default=unset, metavar="N", help="scenes over all splits (2000)")
    parser.add_argument("--size", type=int, default=unset, metavar="PX", help="side in pixels (128)")
    parser.add_argument("--seed", type=int, default=unset, metavar="S", help="0, 1, 2, ... (0)")
    for key, meaning in {
        "texture": "how often an object has its category's texture, 0-1 (0.9)",
        "palette": "how often an object has its category's colours, 0-1 (0.35)",
        "surroundings": "how often the background has its scene type's colours, 0-1 (1)",
        "cooccurrence": "how strongly the scene type decides the categories, 0-1 (0.45)",
        "tail": "categories are as frequent as rank^-X, 0-2; 0: equally (0.4)",
    }.items():
        parser.add_argument(f"--{key}", type=float, default=unset, metavar="X", help=meaning)
    parser.add_argument(
        "--scales",
        type=_scales,
        default=unset,
        metavar="LOW-HIGH",
        help="radii of objects, as shares of the side (0.14-0.36)",
    )
    parser.add_argument(
        "--variant", default=unset, metavar="V", help="default, or hard: none of these ties, any colour"
    )
    parser.add_argument(
        "--version",
        type=int,
        default=unset,
        metavar="N",
        help="of the generator: 2, or 1, where shape alone is tied (2)",
    )
    parser.add_argument("--objects", type=_range, default=unset, metavar="A-B", help="objects in a scene (2-4)")
    _add_workers(parser)
    parser.set_defaults(run=_run_scenes)


def _add_coco(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "coco",
        help="prepare your own COCO-format instance data",
        description="Prepare COCO-format instance data. What had to be mended or dropped is counted and printed.",
        epilog="example:\n  scenebench data coco --images photos --annotations photos/instances.json data/photos",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    unset = argparse.SUPPRESS
    parser.add_argument("out", metavar="OUT", help="the folder to write")
    parser.add_argument("--images", required=True, metavar="FOLDER", help="what the JSON's file names are relative to")
    parser.add_argument("--annotations", required=True, metavar="JSON", help="COCO instances")
    parser.add_argument("--test-annotations", default=unset, metavar="JSON", help="COCO instances of the test images")
    parser.add_argument("--test-images", default=unset, metavar="FOLDER", help="their folder, if it is another")
    parser.add_argument(
        "--test-share",
        type=float,
        default=unset,
        metavar="X",
        help="share of the images that test, where no second JSON is given (0.3)",
    )
    parser.add_argument("--seed", type=int, default=unset, metavar="S", help="of the split (0)")
    parser.add_argument("--max-train", type=int, default=unset, metavar="N", help="train on at most N images")
    parser.add_argument("--max-test", type=int, default=unset, metavar="N", help="test on at most N images")
    parser.add_argument("--name", default=unset, help="of the data set (the name of the folder of images)")
    parser.add_argument(
        "--link",
        action="store_true",
        default=unset,
        help="save room: plain JPEGs become hard links (whoever changes one then changes your original), not copies",
    )
    _add_workers(parser)
    parser.set_defaults(run=_run_coco)


def _add_show(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "show",
        help="print what a prepared data set holds",
        description="Print a prepared data set's counts and co-occurrence, and check that its files are unchanged.",
        epilog="example:\n  scenebench data show data/scenes",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("root", metavar="ROOT", help="a prepared data set")
    parser.set_defaults(run=_run_show)


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (1)")


def _range(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number nor a range such as 2-4")
    return int(match[1]), int(match[2] or match[1])


def _scales(text: str) -> tuple[float, float]:
    number = r"(\d+(?:\.\d*)?|\.\d+)"
    match = re.fullmatch(rf"{number}(?:-{number})?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number nor a range such as 0.09-0.34")
    return float(match[1]), float(match[2] or match[1])


def _given(arguments: argparse.Namespace, *keys: str) -> dict:
    return {key: getattr(arguments, key) for key in keys if hasattr(arguments, key)}


def _run_scenes(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from benchmarks.datasets.folder import DESCRIPTION
    from benchmarks.datasets.scenes import TIES, ScenesSpec, generate_scenes

    values = _given(arguments, "images", "size", "seed", *TIES, "tail", "variant", "version")
    if hasattr(arguments, "scales"):
        values["scale_min"], values["scale_max"] = arguments.scales
    if hasattr(arguments, "objects"):
        values["objects_min"], values["objects_max"] = arguments.objects
    spec = ScenesSpec(**values)
    before = (Path(arguments.out) / DESCRIPTION).is_file()
    _print_outcome(generate_scenes(arguments.out, spec, arguments.workers), before)
    return 0


def _run_coco(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from benchmarks.datasets.folder import DESCRIPTION
    from benchmarks.datasets.prepare_coco import CocoSpec, prepare_coco

    keys = ("images", "annotations", "test_annotations", "test_images", "test_share", "seed", "max_train", "max_test")
    spec = CocoSpec(**_given(arguments, *keys, "name", "link"))
    before = (Path(arguments.out) / DESCRIPTION).is_file()
    _print_outcome(prepare_coco(arguments.out, spec, arguments.workers), before)
    return 0


def _print_outcome(folder: DatasetFolder, before: bool) -> None:
    splits = ", ".join(f"{count} {split}" for split, count in folder.splits.items())
    if before:
        print(f"{folder.root}: is already there, made from exactly this ({splits}); nothing to do")
    else:
        print(f"{folder.root}: {splits}, fingerprint {folder.fingerprint}; look at {folder.root}/contact_sheet.png")


def _run_show(arguments: argparse.Namespace) -> int:
    from benchmarks.datasets.folder import DatasetFolder
    from benchmarks.datasets.show import describe

    for line in describe(DatasetFolder.open(arguments.root)):
        print(line)
    return 0
