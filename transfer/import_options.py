"""The options that say how a checkpoint is to be understood, for every command that reads one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfer.importers import StatedPreprocessing

DESTINATIONS = (
    *("family", "branch", "prefix", "method"),
    *("mean", "std", "value_range", "channel_order", "stride_in"),
)
"""Where the parser puts them; None where one was not given."""


class _Families(argparse.Action):
    """Prints the families, a line each, and ends: ``--families``, and ``--from`` without a name."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Print, or keep the name that was given."""
        if values:
            setattr(namespace, self.dest, values)
            return
        from transfer.importers import FAMILIES

        for family in FAMILIES.values():
            print(f"{', '.join(family.names)}: {family.description}")
        parser.exit()


def add_import_options(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument(
        "--from",
        dest="family",
        metavar="FAMILY",
        nargs="?",
        action=_Families,
        help="moco, densecl, swav, ...; without it the family is recognised",
    )
    parser.add_argument(
        "--families", dest="family", nargs=0, action=_Families, help="list what --from takes, a line each, and exit"
    )
    parser.add_argument(
        "--branch",
        metavar="NAME",
        help="which copy of the network: online, target, ema, ...; default: the family's own",
    )
    parser.add_argument(
        "--prefix",
        metavar="PREFIX",
        help="what the names of the network's tensors begin with, where no family knows it (student.backbone.)",
    )
    parser.add_argument("--method", metavar="NAME", help="what to record as the method that trained the weights")
    stated = parser.add_argument_group(
        "preprocessing, where the file's family does not tell it (channels in the order of the network's input)"
    )
    for option in ("--mean", "--std"):
        stated.add_argument(option, nargs=3, type=float, metavar=("C1", "C2", "C3"))
    stated.add_argument("--value-range", type=float, metavar="MAX", help="pixels go from 0 to 1, or to 255")
    stated.add_argument("--channel-order", choices=("RGB", "BGR"))
    stated.add_argument(
        "--stride-in", choices=("3x3", "1x1"), help="which convolution of a bottleneck strides (1x1: Caffe's, MSRA's)"
    )


def stated_preprocessing(args: argparse.Namespace) -> StatedPreprocessing:
    """What the options of :func:`add_import_options` say of the preprocessing."""
    from transfer.importers import StatedPreprocessing

    return StatedPreprocessing(
        mean=None if args.mean is None else tuple(args.mean),
        std=None if args.std is None else tuple(args.std),
        value_range=args.value_range,
        channel_order=args.channel_order,
        stride_in=args.stride_in,
    )
