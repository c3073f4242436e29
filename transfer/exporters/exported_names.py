"""Names and headings of exported files that every toolbox reads back, whatever the backbone file is called."""

from __future__ import annotations

import re
from pathlib import Path

from transfer.backbone_file import BackboneInfo

# Detectron2 parses MODEL.WEIGHTS as a URL ("?", ":"); in mmengine's configurations the name stands within quotes.
_SPECIAL = re.compile(r'[\x00-\x1f\x7f\\"?:{}]')


def described(info: BackboneInfo) -> str:
    """What the weights are, on one line, for the comment at a configuration's head."""
    return " ".join(f"{info.architecture.name} weights (method {info.method}, branch {info.branch})".split())


def weights_name(backbone: Path, ending: str) -> str:
    """The weights' file name: ``moco.safetensors`` and ``_mmseg.pth`` give ``moco_mmseg.pth``."""
    return _SPECIAL.sub("_", backbone.stem) + ending
