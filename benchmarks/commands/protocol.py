"""``scenebench protocol``: list the protocols, or show everything one of them says; imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path

from scenebench.overwriting import add_overwrite_option

_PROTOCOL_EXAMPLE = """\
examples:
  scenebench protocol list
  scenebench protocol show mask_rcnn_fpn_demo
  scenebench protocol show pspnet_r50_d8_40k --out configs/pspnet
  scenebench protocol show mask_rcnn_r50_fpn_1x --toolbox
"""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``protocol``."""
    formatter = argparse.RawDescriptionHelpFormatter
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
    from benchmarks.report.protocol_page import protocol_page

    print(protocol_page(), end="")
    return 0
