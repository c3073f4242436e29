"""What the name of a weights file says: stock ImageNet files, whole models, or probably self-supervised ones."""

from __future__ import annotations

import re

from transfer.config_lint.weights import CAFFE, IMAGENET, Weights

_STOCK_OPENMMLAB = (
    "open-mmlab://",
    "openmmlab://",
    "mmcls://",
    "https://download.openmmlab.com/",
    "http://download.openmmlab.com/",
    "https://mmassets.onedl.ai/",
)
_SELF_SUPERVISED = re.compile(
    r"self-?sup|ssl|moco|byol|sim-?siam|swav|dense-?cl|simclr|dino|barlow|vicreg|slot-?con|pix-?pro|infomin|soco|orl|"
    r"mls|unsup|pirl|npid|obow|deepcluster|odc|relative-loc|rotation|jigsaw|contrast",
    re.IGNORECASE,
)
# What trainings of Detectron2 and OpenMMLab write: whole models, of which nothing is to be said.
_WHOLE_MODEL = re.compile(r"(?:^|/)model_(?:final|best|\d{5,})[^/]*$")
_OTHER_STOCK = re.compile(r"ImageNetPretrained/FAIR/|(?:^|/)X-\d+-\d+x\d+d\.pkl$")
_OPENMMLAB_RUN = re.compile(r"(?:^|/)(?:(?:epoch|iter)_\d+|latest|best_[^/]*)\.pth$")
_MSRA = re.compile(r"ImageNetPretrained/MSRA/|(?:^|/)R-(?:50|101)\.pkl$")
_TORCHVISION = re.compile(
    r"torchvision|download\.pytorch\.org/models/|(?:^|/)(?:wide_)?resne[xt]+\d+(?:_\d+x\d+d|_\d)?(?:-[0-9a-f]{8})?"
    r"\.(?:pth|pt|pkl)$",
    re.IGNORECASE,
)
_SUPERVISED = re.compile(r"(?<!self)(?<!self[-_])(?<!un)supervised", re.IGNORECASE)
_DEPTH = re.compile(r"(?:resne[xt]+|res|r|rn|x)[-_]?(18|34|50|101|152)(?!\d)", re.IGNORECASE)
_GROUPED = re.compile(r"resnext|(?:^|[^a-z])x[-_]?(?:50|101|152)|(?:32|64)x\d+d", re.IGNORECASE)
_WIDE = re.compile(r"wide|w\d+(?![0-9a-z])|\dx(?![0-9a-z])|x\d(?![0-9])", re.IGNORECASE)


def weights_called(name: str) -> Weights | None:
    """What a name that is no file of ours stands for.

    Returns:
        None for whole trained models, for stock files of an unknown kind, and for addresses that do not say that they
            hold self-supervised weights: of these nothing is to be said.
    """
    path = name.partition("?")[0].replace("\\", "/")
    hinted = bool(_SELF_SUPERVISED.search(path.rpartition("://")[2]))
    address = "://" in path
    if _WHOLE_MODEL.search(path) or _OTHER_STOCK.search(path) or (_OPENMMLAB_RUN.search(path) and not hinted):
        return None
    if path.startswith(_STOCK_OPENMMLAB):
        return _self_supervised(name) if hinted else _openmmlab_stock(name)
    if hinted:
        return None if path.startswith(("detectron2://", "catalog://")) else _self_supervised(name)
    if _MSRA.search(path) and "torchvision" not in path.lower():
        certain = "ImageNetPretrained/MSRA/" in path
        return Weights(
            f"{name} (MSRA's Caffe weights)", certain, False, "BGR", *CAFFE, "1x1", "conv7x7", depth=depth_in(path)
        )
    if _TORCHVISION.search(path):
        certain = path.startswith("torchvision://") or "ImageNetPretrained/torchvision/" in path
        return _torchvision_like(f"{name} (torchvision's ImageNet weights)", path, certain, self_supervised=False)
    if address:
        return None
    if _SUPERVISED.search(path):
        return _torchvision_like(f"inferred: {name} says supervised", path, certain=False, self_supervised=False)
    return _self_supervised(name)


def depth_in(name: str) -> int | None:
    """The depth of a ResNet as its file's name has it (``R-50.pkl``, ``moco_r50.pth``); None where it has none."""
    depths = {int(found) for found in _DEPTH.findall(name)}
    return depths.pop() if len(depths) == 1 else None


def _self_supervised(name: str) -> Weights:
    source = f"inferred: {name} is no stock ImageNet file, and self-supervised weights are torchvision-style as a rule"
    return _torchvision_like(source, name, certain=False, self_supervised=True)


def _torchvision_like(source: str, path: str, certain: bool, self_supervised: bool) -> Weights:
    plain = not _GROUPED.search(path)
    return Weights(
        source,
        certain,
        self_supervised,
        "RGB",
        *IMAGENET,
        "3x3",
        "conv7x7",
        depth=depth_in(path.rpartition("/")[2]) if self_supervised else depth_in(path),
        norm=None if re.search(r"(?:^|[^a-z])gn(?:[^a-z]|$)", path, re.IGNORECASE) else "BN",
        groups=1 if plain else None,
        group_width=64 if plain and not _WIDE.search(path) else None,
    )


def _openmmlab_stock(name: str) -> Weights | None:
    rest = name.partition("://")[2]
    depth = depth_in(rest.rpartition("/")[2])
    if "v1c" in rest or "v1d" in rest:
        return Weights(f"{name} (deep-stem weights)", True, False, "RGB", *IMAGENET, "3x3", "deep", depth=depth)
    if "caffe" in rest:
        return Weights(f"{name} (Caffe weights)", True, False, "BGR", None, None, "1x1", "conv7x7", depth=depth)
    return None
