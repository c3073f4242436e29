"""The commands ``import``, ``export``, ``verify``, ``lint`` and ``example-checkpoint``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scenebench.overwriting import add_overwrite_option, refuse_to_replace
from transfer.config_lint.cli import add_lint_command
from transfer.import_options import add_import_options, stated_preprocessing

_VERIFYING = """\
An exported folder is checked by the proof of its export: the toolbox builds the model from the files as they lie there,
loads the weights, and one image goes through its own preprocessing. A configuration in Python is run only if it assigns
plain values and nothing else; nothing is unpickled that is not plain arrays, and nothing is fetched.

exit code: 0 the same backbone, 1 any difference, 2 bad input, 3 tensors compared but the model not built, because the
toolbox is not installed

"""
TARGETS = ("detectron2", "mmdet", "mmseg", "timm", "torchvision")


def add_commands(subparsers: Any) -> None:
    """Add this package's commands to an argparse subparsers object; nothing heavy is imported before one runs."""
    importing = _command(
        subparsers,
        "import",
        "turn somebody's checkpoint into a backbone file",
        "scenebench import moco_v2_800ep_pretrain.pth.tar moco_v2.safetensors",
    )
    importing.add_argument(
        "file", type=Path, metavar="FILE", help="checkpoint: PyTorch, safetensors or Detectron2's .pkl"
    )
    importing.add_argument("out", type=Path, metavar="OUT", help="the backbone file to write (.safetensors)")
    add_overwrite_option(importing)
    add_import_options(importing)
    importing.set_defaults(run=_import)

    exporting = _command(
        subparsers,
        "export",
        "write a backbone for a toolbox, with proof that it arrives unchanged",
        "scenebench export backbone.safetensors --to detectron2 --out exported/",
    )
    exporting.add_argument("backbone", type=Path, metavar="BACKBONE", help="backbone file (.safetensors)")
    exporting.add_argument("--to", required=True, metavar="TARGET", help=", ".join(TARGETS))
    exporting.add_argument(
        "--out", required=True, type=Path, metavar="FOLDER", help="folder for weights, config, report"
    )
    exporting.add_argument("--neck", default="fpn", help="fpn (default) or c4; detectron2 also c4_extra_norm")
    exporting.add_argument("--output-stride", type=int, default=8, help="mmseg: 8 (default), 16 or 32")
    add_overwrite_option(exporting)
    exporting.set_defaults(run=_export)

    verifying = _command(
        subparsers,
        "verify",
        "compare two backbones stage by stage; exit code 1 if they differ",
        "scenebench verify backbone.safetensors exported/",
        _VERIFYING,
    )
    for name in ("first", "second"):
        verifying.add_argument(
            name, type=Path, metavar=name[0].upper(), help="backbone file, exported folder or checkpoint"
        )
    verifying.set_defaults(run=_verify)

    add_lint_command(subparsers)

    example = _command(
        subparsers,
        "example-checkpoint",
        "write a small checkpoint in MoCo's layout with random weights, to try the other commands with",
        "scenebench example-checkpoint moco_v2.pth.tar",
    )
    example.add_argument("out", type=Path, metavar="OUT", help="the checkpoint to write")
    add_overwrite_option(example)
    example.set_defaults(run=_example_checkpoint)


def _command(subparsers: Any, name: str, summary: str, example: str, details: str = "") -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"{details}example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _import(args: argparse.Namespace) -> int:
    from transfer.importers import import_checkpoint

    imported = import_checkpoint(
        args.file,
        args.out,
        args.family,
        args.branch,
        stated_preprocessing(args),
        prefix=args.prefix,
        method=args.method,
        overwrite=args.overwrite,
    )
    info = imported.info
    mean, std = info.preprocessing.mean, info.preprocessing.std
    print(f"{args.file}: recognised as {imported.family}: {imported.reason}")
    for note in imported.notes:
        print(f"  {note}")
    print(
        f"{args.out}: {info.architecture.name}, {len(imported.tensors)} tensors, branch '{info.branch}', "
        f"{info.preprocessing.channel_order} 0..{info.preprocessing.value_range:g} mean {mean} std {std}, "
        f"method '{info.method}'"
    )
    return 0


def _example_checkpoint(args: argparse.Namespace) -> int:
    from transfer.example_checkpoint import write_example

    refuse_to_replace(args.out, overwrite=args.overwrite)
    write_example(args.out)
    print(f"{args.out}: a ResNet-18 of stem width 16 with random weights, as MoCo saves it")
    return 0


def _export(args: argparse.Namespace) -> int:
    from scenebench.errors import require_choice
    from transfer.backbone_file import read_info
    from transfer.networks.network import require_resnet

    require_choice("--to", args.to, TARGETS)
    # What no export takes is told before a toolbox takes seconds to import. timm has vision transformers too.
    if args.to != "timm":
        require_resnet(read_info(args.backbone).architecture, f"--to {args.to}")
    if args.to == "timm":
        from transfer.exporters import timm as to_timm

        report = to_timm.export(args.backbone, args.out, overwrite=args.overwrite)
    elif args.to == "detectron2":
        from transfer.exporters.detectron2 import files as detectron2_files

        report = detectron2_files.export(args.backbone, args.out, neck=args.neck, overwrite=args.overwrite)
    elif args.to == "mmseg":
        from transfer.exporters.mmseg import files as mmseg_files

        report = mmseg_files.export(args.backbone, args.out, output_stride=args.output_stride, overwrite=args.overwrite)
    elif args.to == "mmdet":
        from transfer.exporters.mmdet import files as mmdet_files

        report = mmdet_files.export(args.backbone, args.out, neck=args.neck, overwrite=args.overwrite)
    else:
        from transfer.exporters import torchvision as to_torchvision

        report = to_torchvision.export(args.backbone, args.out, overwrite=args.overwrite)
    print(report.table())
    for role, name in report.files.items():
        print(f"{role}: {args.out / name}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from transfer.verify import compare

    comparison = compare(args.first, args.second)
    print(comparison.table())
    return comparison.exit_code
