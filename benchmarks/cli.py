"""Commands of the benchmarks: ``evaluate`` by one protocol or by a suite, ``compare``, and look at ``protocol``s."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import benchmarks.submission.cli as outside
from scenebench.overwriting import add_overwrite_option

_EVALUATE_EXAMPLE = """\
example:
  scenebench evaluate mls/backbone.safetensors --protocol multilabel_knn --data data/scenes --out results/mls-knn
  scenebench evaluate reference:colour_histogram --protocol multilabel_linear --data data/scenes --out results/colours
  scenebench evaluate mls/backbone.safetensors --protocol fcn_demo --data data/scenes --out results/mls-short \\
      settings.iterations=20 data.max_test_images=40
  scenebench evaluate moco_v2_800ep_pretrain.pth.tar --suite demo --out results/moco_v2
  scenebench evaluate mine.pth --suite demo --expected expected.yaml --out results/mine

Exit code by a suite: 0; 1 if a cell failed or is below its expected value; 2 bad input.
"""
_PROTOCOL_EXAMPLE = """\
examples:
  scenebench protocol list
  scenebench protocol show mask_rcnn_fpn_demo
  scenebench protocol show pspnet_r50_d8_40k --out configs/pspnet
  scenebench protocol show mask_rcnn_r50_fpn_1x --toolbox
"""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``evaluate`` and ``protocol``; imports nothing heavy."""
    formatter = argparse.RawDescriptionHelpFormatter
    evaluate = subparsers.add_parser(
        "evaluate",
        help="judge one backbone by one protocol, or any checkpoint by a whole suite",
        description="Judge one backbone by one protocol on a prepared data set; writes FOLDER/record.json, last. "
        "Or, without --protocol: judge any checkpoint that 'import' knows by a suite, in place of its own backbones.",
        epilog=_EVALUATE_EXAMPLE,
        formatter_class=formatter,
    )
    evaluate.add_argument(
        "backbone",
        metavar="BACKBONE",
        help="backbone file, or reference:scene_type_oracle, reference:colour_histogram (classification); "
        "by a suite: any checkpoint",
    )
    evaluate.add_argument("overrides", metavar="key=value", nargs="*", help="change a value of the protocol")
    evaluate.add_argument("--protocol", metavar="ID", help="id (see 'protocol list') or a YAML file")
    evaluate.add_argument(
        "--data", metavar="ROOT", help="prepared data set; by a suite: your own images (default: the suite's)"
    )
    evaluate.add_argument("--seed", metavar="N", type=int, help="seed of the training (default 0)")
    evaluate.add_argument("--out", metavar="FOLDER", required=True, type=Path, help="where the records go")
    evaluate.add_argument("--label", metavar="L", default="", help="name of the table's row (default: the recipe's)")
    evaluate.add_argument(
        "--suite", metavar="S", default="", help="suite to judge by; with --protocol: that the record belongs to"
    )
    evaluate.add_argument(
        "--suite-file", metavar="JSON", type=Path, help="what the suite says in full, for the record ('run' writes it)"
    )
    evaluate.add_argument(
        "--size", metavar="Z", default="", help="demo, mini or paper; takes the protocol's values of that size"
    )
    outside.add_suite_options(evaluate)
    evaluate.set_defaults(run=_evaluate)
    outside.add_compare(subparsers)
    outside.add_leaderboard(subparsers)

    protocol = subparsers.add_parser(
        "protocol",
        help="list the protocols, or show everything one of them says",
        description="List the protocols, or show everything one of them says.",
        epilog=_PROTOCOL_EXAMPLE,
        formatter_class=formatter,
    )
    actions = protocol.add_subparsers(metavar="action", required=True)
    listing = actions.add_parser(
        "list", help="ids, tasks and titles", epilog=_PROTOCOL_EXAMPLE, formatter_class=formatter
    )
    listing.set_defaults(run=_list)
    show = actions.add_parser(
        "show", help="one protocol, resolved", epilog=_PROTOCOL_EXAMPLE, formatter_class=formatter
    )
    show.add_argument("protocol", metavar="ID", help="id or a YAML file")
    show.add_argument("overrides", metavar="key=value", nargs="*", help="change a value before showing")
    show.add_argument("--size", metavar="Z", default="", help="take the protocol's values of that size (demo)")
    show.add_argument(
        "--toolbox", action="store_true", help="print the configuration that the toolbox gets; needs no data"
    )
    show.add_argument(
        "--backbone", metavar="FILE", type=Path, help="write what depends on the weights from it (default: a ResNet-50)"
    )
    show.add_argument(
        "--out", metavar="FOLDER", type=Path, help="write protocol.yaml and the toolbox's configuration there"
    )
    add_overwrite_option(show)
    show.set_defaults(run=_show)
    page = actions.add_parser(
        "page",
        help="the page on all protocols",
        description="Print the page on all protocols (docs/protocols.md) as Markdown.",
        formatter_class=formatter,
    )
    page.set_defaults(run=_page)


def _evaluate(arguments: argparse.Namespace) -> int:
    import logging
    import sys

    if arguments.protocol is None:
        return outside.judge_by_suite(arguments)
    outside.refuse_suite_options(arguments)

    from benchmarks.protocols.protocol import load_protocol

    protocol = load_protocol(
        arguments.protocol, arguments.overrides, arguments.size
    )  # before torch: a wrong name answers at once

    from benchmarks.evaluation.evaluate import evaluate

    logger = logging.getLogger("scenebench")
    handler = logging.StreamHandler(sys.stdout)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    before, logger.propagate = logger.propagate, False
    try:
        record = evaluate(
            arguments.backbone,
            protocol,
            arguments.data,
            arguments.seed or 0,
            arguments.out,
            label=arguments.label,
            suite=arguments.suite,
            size=arguments.size,
            suite_values=_values_of(arguments.suite_file),
        )
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
    for name, value in record.metrics.items():
        print(f"{name:10} {'undefined' if value is None else format(value, '.2f')}")
    print(arguments.out / "record.json")
    return 0


def _values_of(suite_file: Path | None) -> dict[str, Any] | None:
    """What a suite says in full."""
    if suite_file is None:
        return None
    from scenebench.errors import UserError

    try:
        values = json.loads(suite_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"--suite-file: {suite_file}: not readable as JSON ({error})") from error
    if not isinstance(values, dict):
        raise UserError(f"--suite-file: {suite_file}: a mapping is expected")
    return values


def _list(arguments: argparse.Namespace) -> int:
    from benchmarks.protocols.protocol import list_protocols, load_protocol

    for name in list_protocols():
        protocol = load_protocol(name)
        print(f"{name:26} {protocol.task:15} {protocol.toolbox:15} {protocol.title}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    import yaml

    from benchmarks.protocols.protocol import describe, load_protocol

    protocol = load_protocol(arguments.protocol, arguments.overrides, arguments.size)
    content = yaml.safe_dump(describe(protocol), sort_keys=False, allow_unicode=True, width=110)
    if not arguments.toolbox and arguments.out is None:
        print(content, end="")
        return 0

    from benchmarks.toolbox_config import DEFAULT_BACKBONE, toolbox_config
    from scenebench.filling import write_texts
    from transfer.backbone_file import read_info

    info = DEFAULT_BACKBONE if arguments.backbone is None else read_info(arguments.backbone)
    name, config = toolbox_config(protocol, info)
    if arguments.out is None:
        print(config, end="" if config.endswith("\n") else "\n")
        return 0
    files = {arguments.out / "protocol.yaml": content, arguments.out / name: config}
    write_texts(files, arguments.overwrite)
    print(*files, sep="\n")
    return 0


def _page(arguments: argparse.Namespace) -> int:
    from benchmarks.protocol_page import protocol_page

    print(protocol_page(), end="")
    return 0
