"""``scenebench data list``, ``check`` and ``prepare``: the published data sets on their official layouts."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scenebench.overwriting import add_overwrite_option, refuse_to_replace

if TYPE_CHECKING:
    from benchmarks.datasets.registry import Description

ALL_SMALL = "photos"
"""What ``data prepare`` calls the small sets of photographs together."""


def add_official_commands(commands: argparse._SubParsersAction) -> None:
    """Add the three commands; heavy packages are imported only when one runs."""
    _add_list(commands)
    _add_check(commands)
    _add_prepare(commands)


def _add_list(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "list",
        help="list the known data sets, and what of them a folder holds",
        description="List the known data sets: counts, layout, licence page, where people get them. "
        "Nothing is downloaded.",
        epilog="examples:\n  scenebench data list\n  scenebench data list --name voc2007\n  scenebench data list data",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "root", metavar="ROOT", nargs="?", type=Path, help="say what is present at or below this folder"
    )
    parser.add_argument("--name", metavar="NAME", help="everything about one data set")
    parser.set_defaults(run=_run_list)


def _add_check(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "check",
        help="verify a folder completely",
        description="Verify a data set's folder: layout, counts, every image decodes, every annotation fits its image "
        "and back, labels, boxes, maps, duplicates across splits, checksums. A second check rereads nothing.",
        epilog="examples:\n  scenebench data check coco2017 data/coco --workers 8\n"
        "  scenebench data check voc2007 data/VOCdevkit/VOC2007 --quick\n\n"
        "exit code: 0 nothing found, 1 faults found, 2 not this data set at all",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="see 'scenebench data list'")
    parser.add_argument("root", metavar="ROOT", type=Path, help="the data set's folder")
    parser.add_argument("--quick", action="store_true", help="read the headers of images alone")
    parser.add_argument("--partial", action="store_true", help="a part on purpose: compare no published counts")
    parser.add_argument(
        "--accept", metavar="KIND", action="append", default=[], help="turn findings of this kind into notes (repeat)"
    )
    parser.add_argument("--md5", metavar="FILE", type=Path, help="a checksum list: '<md5>  <path in ROOT>' lines")
    parser.add_argument("--cache", metavar="FOLDER", type=Path, help="for cache and report (default: ~/.cache)")
    parser.add_argument("--report", metavar="FILE", type=Path, help="write the report there too, as JSON")
    add_overwrite_option(parser)
    parser.add_argument("--again", action="store_true", help="forget what earlier checks saw")
    _add_workers(parser)
    parser.set_defaults(run=_run_check)


def _add_prepare(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "prepare",
        help="write the lists and maps that papers assume, or a small set of photographs",
        description="Write what papers assume silently: VOC07+12 and aug lists, Cityscapes and ADE20K train ids, 1 % "
        "and 10 % of ImageNet, split files of the small sets. What is there already stays. Or write the small sets of "
        "the suite 'photos' to OUT: coco-small, ade20k-small and voc-small out of the official data, photos (all) "
        "out of a folder of pictures that are small already.",
        epilog="examples:\n  scenebench data prepare voc0712 data/VOCdevkit\n"
        "  scenebench data prepare cityscapes data/cityscapes --workers 8\n"
        "  scenebench data prepare imagenet data/imagenet --list 1percent.txt --list 10percent.txt\n"
        "  scenebench data prepare coco-small data/coco data/photos/coco_small",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name", metavar="NAME", help="see 'scenebench data list'; or coco-small, ade20k-small, voc-small, photos"
    )
    parser.add_argument("root", metavar="ROOT", type=Path, help="the data set's folder")
    parser.add_argument("folder", metavar="OUT", type=Path, nargs="?", help="as --out; the small sets need it")
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="write there and not into ROOT")
    parser.add_argument(
        "--list",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="a published list (imagenet, voc2012aug); of a small set: other pictures than those of its own list",
    )
    parser.add_argument("--partial", action="store_true", help="a part on purpose: compare no published sizes")
    _add_workers(parser)
    parser.set_defaults(run=_run_prepare)


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="processes (all cores)"
    )


def _run_list(arguments: argparse.Namespace) -> int:
    from benchmarks.datasets.checking.layout import find_layout
    from benchmarks.datasets.registry import describe, list_data_sets
    from scenebench.errors import UserError

    if arguments.root is not None and not arguments.root.is_dir():
        raise UserError(f"{arguments.root}: no such folder")
    if arguments.name is not None:
        print("\n".join(describe_lines(describe(arguments.name))))
    for name in [arguments.name] if arguments.name is not None else list_data_sets():
        description = describe(name)
        if arguments.root is None and arguments.name is None:
            images = ", ".join(f"{count:,} {split}" for split, count in list(description.images.items())[:4])
            print(f"{name:12} {description.title}: {images or 'any number of images'}")
        elif arguments.root is not None:
            found = find_layout(arguments.root, description)
            if found is None:
                print(f"{name:12} absent")
            else:
                lacking = ", ".join(entry.alternatives[0] for entry in found[1])
                print(f"{name:12} {'present' if not lacking else 'incomplete'}: {found[0]}", end="")
                print(f" (lacks {lacking})" if lacking else "")
    return 0


def describe_lines(description: Description) -> list[str]:
    """Everything the registry says about one data set."""
    lines = [f"{description.name}: {description.title}", f"  used for: {', '.join(description.tasks)}"]
    if description.images:
        images = ", ".join(f"{count:,} {split}" for split, count in description.images.items())
        lines.append(f"  images: {images}")
    if description.classes is not None:
        lines.append(f"  classes: {description.classes}")
    if description.objects:
        objects = ", ".join(f"{count:,} {split}" for split, count in description.objects.items())
        lines.append(f"  objects: {objects}")
    if description.image_size:
        lines.append(f"  size of every image: {description.image_size[0]}x{description.image_size[1]}")
    lines.append(f"  counts from: {description.source}")
    lines += [f"  not verified: {what}" for what in description.unverified]
    lines.append(f"  layout, usually in {description.folder}/:")
    for entry in description.layout:
        lines.append(f"    {entry.path}  {entry.what}{' (optional)' if entry.optional else ''}")
    lines.append(f"  where people get it: {description.get_from}")
    lines.append(f"  terms: {description.licence}")
    lines.append(f"  cite: {description.citation}")
    if description.prepare:
        lines.append(f"  'data prepare' writes: {description.prepare}")
    return lines + [f"  note: {note}" for note in description.notes]


def _run_check(arguments: argparse.Namespace) -> int:
    import json

    from benchmarks.datasets.checking.check import CheckOptions, check
    from benchmarks.datasets.checking.findings import is_report
    from scenebench.files import write_text

    options = CheckOptions(
        quick=arguments.quick,
        partial=arguments.partial,
        accept=tuple(arguments.accept),
        md5=arguments.md5,
        cache=arguments.cache,
        again=arguments.again,
        workers=arguments.workers,
    )
    if arguments.report is not None:
        inputs = [arguments.md5] if arguments.md5 is not None else []
        refuse_to_replace(arguments.report, inputs, overwrite=arguments.overwrite, is_ours=is_report)
    report, path = check(arguments.name, arguments.root, options, report_step=_say)
    print("\n".join(report.lines()))
    if arguments.report is not None:
        write_text(arguments.report, json.dumps(report.to_plain(), indent=1) + "\n")
    print(f"report: {arguments.report or path}")
    return report.exit_code


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _run_prepare(arguments: argparse.Namespace) -> int:
    from benchmarks.datasets.photos.sets import SETS
    from benchmarks.datasets.preparing import prepare
    from scenebench.errors import UserError

    if arguments.out is not None and arguments.folder is not None:
        raise UserError(f"--out: the folder to write is given twice, {arguments.folder} and {arguments.out}")
    out = arguments.out or arguments.folder
    small = arguments.name.replace("-", "_")
    if small in SETS or small == ALL_SMALL:
        return _prepare_small(small, arguments, out)
    for line in prepare(
        arguments.name,
        arguments.root,
        out=out,
        lists=tuple(arguments.list),
        partial=arguments.partial,
        workers=arguments.workers,
    ):
        print(line)
    return 0


def _prepare_small(name: str, arguments: argparse.Namespace, out: Path | None) -> int:
    """The small sets of photographs, which are prepared data sets of their own."""
    from benchmarks.datasets.photos.building import prepare_all, prepare_set
    from scenebench.errors import UserError

    if out is None:
        raise UserError(f"data prepare {arguments.name}: name the folder to write: {arguments.root} OUT")
    if name == ALL_SMALL:
        if arguments.list:
            raise UserError("--list: 'photos' prepares three sets by their own lists; name one of them")
        prepare_all(arguments.root, out, arguments.workers)
    else:
        if len(arguments.list) > 1:
            raise UserError(f"--list: {arguments.name} takes one list")
        prepare_set(name, arguments.root, out, (arguments.list or [None])[0], arguments.workers)
    return 0
