"""``scenebench evaluate``: one backbone by one protocol; imports nothing heavy."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.commands.submit import add_suite_options, submit
from scenebench.errors import UserError
from transfer.import_options import DESTINATIONS

_EVALUATE_EXAMPLE = """\
example:
  scenebench evaluate mls/backbone.safetensors --protocol multilabel_knn --data data/scenes --out results/mls-knn
  scenebench evaluate reference:colour_histogram --protocol multilabel_linear --data data/scenes --out results/colours
  scenebench evaluate mls/backbone.safetensors --protocol fcn_demo --data data/scenes --out results/mls-short \\
      settings.iterations=20 data.max_test_images=40

A whole suite: 'scenebench submit'. Without --protocol this command still does that, for this version.
"""
# Options that mean something by a suite alone, and what they are where they were not given.
_BY_SUITE: dict[str, Any] = {
    "annotations": None,
    "test_annotations": None,
    "expected": None,
    "write_expected": None,
    "board": None,
    "references": False,
    "leaderboard": False,
    "cores": None,
    "gpus": None,
    **dict.fromkeys(DESTINATIONS),
}
_NAMES = {"family": "--from"}


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``evaluate`` and ``protocol``; imports nothing heavy."""
    formatter = argparse.RawDescriptionHelpFormatter
    evaluate = subparsers.add_parser(
        "evaluate",
        help="evaluate one backbone by one protocol",
        description="Evaluate one backbone by one protocol on a prepared data set; writes FOLDER/record.json, last.",
        epilog=_EVALUATE_EXAMPLE,
        formatter_class=formatter,
    )
    evaluate.add_argument(
        "backbone",
        metavar="BACKBONE",
        help="backbone file, or a reference: scene_type_oracle, colour_histogram (classification), box_shape, "
        "colour_histogram (objects), chance (classification, segmentation), centre_prior, uniform_maps, labels_known "
        "(saliency), each after 'reference:'",
    )
    evaluate.add_argument("overrides", metavar="key=value", nargs="*", help="change a value of the protocol")
    evaluate.add_argument("--protocol", metavar="ID", help="id (see 'protocol list') or a YAML file")
    evaluate.add_argument("--data", metavar="ROOT", help="prepared data set")
    evaluate.add_argument("--seed", metavar="N", type=int, help="seed of the training (default 0)")
    evaluate.add_argument("--out", metavar="FOLDER", required=True, type=Path, help="where the records go")
    evaluate.add_argument("--label", metavar="L", default="", help="name of the table's row (default: the recipe's)")
    evaluate.add_argument("--suite", metavar="S", default="", help="suite that the record belongs to")
    evaluate.add_argument(
        "--suite-file", metavar="JSON", type=Path, help="what the suite says in full, for the record ('run' writes it)"
    )
    evaluate.add_argument(
        "--size", metavar="Z", default="", help="demo, mini or paper; takes the protocol's values of that size"
    )
    add_suite_options(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    import logging
    import sys

    if arguments.protocol is None:
        return _submit(arguments)
    _refuse_suite_options(arguments)

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


def _submit(arguments: argparse.Namespace) -> int:
    import sys

    if not arguments.suite:
        raise UserError("say what to evaluate by: --protocol ID and --data ROOT; by a suite: scenebench submit")
    if arguments.overrides:
        raise UserError(f"{arguments.overrides[0]}: a suite says its own values; change one with --protocol ID")
    if arguments.seed is not None:
        raise UserError("--seed: a suite has seeds of its own; leave it away, or name a --protocol")
    print(
        "note: 'evaluate CHECKPOINT --suite' is 'scenebench submit' now; this form goes after this version",
        file=sys.stderr,
    )
    return submit(arguments)


def _refuse_suite_options(arguments: argparse.Namespace) -> None:
    """Stop where a single protocol is asked for and an option means something by a suite alone.

    Raises:
        UserError: naming the option, or what a single protocol lacks.
    """
    for name, default in _BY_SUITE.items():
        if getattr(arguments, name) != default:
            option = _NAMES.get(name, f"--{name.replace('_', '-')}")
            raise UserError(f"{option} is for evaluation by a suite; leave it or --protocol away")
    if arguments.data is None:
        raise UserError("--protocol evaluates on a prepared data set; add --data ROOT")
