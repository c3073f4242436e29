"""Detectron2's ``.pkl`` files: its own names (``res2.0.conv1.norm.weight``) and Caffe2's (``res2_0_branch2a_bn_s``).

*Its own names* come from ``convert-pretrain-to-detectron2.py`` of MoCo and many copies of it, from Detectron2's
``convert-torchvision-to-d2.py``, and from trained detectors (then under ``backbone.bottom_up.``, or in a C4 model
under ``backbone.`` and ``roi_heads.``). Only ``__author__`` tells the preprocessing; of an unknown author it must be
stated, and where the bottlenecks stride: detectors of the model zoo have it in the first 1x1 (MSRA's weights), others
in the 3x3.

*Caffe2's names* are those of MSRA's original ResNets (Detectron2's ``MSRA/R-50.pkl``): BGR on 0-255, mean subtracted,
no division, the stride of a bottleneck in its first 1x1. The model zoo's file has all four tensors of every norm
(``_bn_gamma``, ``_bn_beta``, ``_bn_running_mean``, ``_bn_running_var``), Detectron 1's only the folded two (``_bn_s``,
``_bn_b``): those get mean 0 and variance ``1 - eps``, Detectron2's own reading of them.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from scenebench.errors import TransferError
from transfer.backbone_file import Preprocessing
from transfer.importers.family import IMAGENET, ONLY, Checkpoint, Family
from transfer.networks.detectron2_names import torchvision_name

MSRA = Preprocessing(mean=(103.53, 116.28, 123.675), std=(1.0, 1.0, 1.0), value_range=255.0, channel_order="BGR")

_PLACES = ("backbone.bottom_up.", "backbone.", "roi_heads.")
_DEEP_STEM = re.compile(r"stem\.conv1_(\d)\.(.*)")
_CAFFE2 = re.compile(
    r"(?:res(?P<stage>[2-5])_(?P<block>\d+)_branch(?P<layer>1|2a|2b|2c)|(?P<stem>conv1|res_conv1))(?P<norm>_bn)?_"
    r"(?P<leaf>w|b|s|gamma|beta|rm|riv|running_mean|running_var)"
)
_LAYERS = {"2a": "1", "2b": "2", "2c": "3"}
_NORM_LEAVES = {
    "s": "weight",
    "gamma": "weight",
    "b": "bias",
    "beta": "bias",
    "rm": "running_mean",
    "running_mean": "running_mean",
    "riv": "running_var",
    "running_var": "running_var",
}
_BATCH_NORM_EPS = 1e-5


def from_detectron2(name: str) -> str | None:
    """torchvision's name from Detectron2's, in a bare network, an R-CNN with FPN or one without; None for all else."""
    place = next((place for place in _PLACES if name.startswith(place)), "")
    name = name[len(place) :]
    deep = _DEEP_STEM.fullmatch(name)
    if deep:
        return f"stem.{deep[1]}.{deep[2]}"  # refused by its name when the architecture is read off
    try:
        return torchvision_name(name)
    except TransferError:
        return None  # a head, a neck, or the fc of a converted encoder


def _from_caffe2(name: str) -> str | None:
    match = _CAFFE2.fullmatch(name)
    if match is None or (match["stem"] == "res_conv1" and not match["norm"]):
        return None
    if match["norm"]:
        leaf = _NORM_LEAVES.get(match["leaf"])
    else:
        leaf = {"w": "weight", "b": "bias"}.get(match["leaf"])
    if leaf is None:
        return None
    if match["stem"]:
        return f"{'bn1' if match['norm'] else 'conv1'}.{leaf}"
    place = f"layer{int(match['stage']) - 1}.{match['block']}"
    if match["layer"] == "1":
        return f"{place}.downsample.{'1' if match['norm'] else '0'}.{leaf}"
    return f"{place}.{'bn' if match['norm'] else 'conv'}{_LAYERS[match['layer']]}.{leaf}"


def _with_statistics(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Folded norms get the statistics that make them what they were; a bias of conv1 (Caffe's) goes into its norm."""
    completed, notes = dict(tensors), []
    norms = [name.removesuffix(".bias") for name in tensors if name.endswith(".bias") and "conv" not in name]
    folded = [norm for norm in norms if f"{norm}.running_mean" not in tensors and f"{norm}.running_var" not in tensors]
    for norm in folded:
        completed[f"{norm}.running_mean"] = torch.zeros_like(tensors[f"{norm}.bias"])
        completed[f"{norm}.running_var"] = torch.ones_like(tensors[f"{norm}.bias"]) - _BATCH_NORM_EPS
    if folded:
        notes.append(f"unfolded {len(folded)} norms: mean 0 and variance 1 - {_BATCH_NORM_EPS:g}")
    bias = completed.pop("conv1.bias", None)
    if bias is not None and "bn1.running_mean" in completed and bool((bias != 0).any()):
        completed["bn1.running_mean"] = completed["bn1.running_mean"] - bias
        notes.append("moved the bias of conv1 into the running mean of its norm")
    return completed, notes


_KNOWN_AUTHORS = ("torchvision", "MOCO", "PixPro", "Yonglong", "Ceyuan", "Karan Desai")
"""Detectron2's own converter, and those of MoCo, PixPro, PyContrast, InstanceLoc and virtex."""


def _known_author(checkpoint: Checkpoint) -> bool:
    return checkpoint.metadata.get("author", "") in _KNOWN_AUTHORS


FAMILY = Family(
    name="detectron2",
    title="Detectron2 .pkl, torchvision style",
    rule=f"stem.conv1.weight, res2.0.conv1.norm.*; __author__ is {', '.join(_KNOWN_AUTHORS)}",
    branches=ONLY,
    why="a converted file holds one network",
    left_out="stem.fc, and of a detector everything but the backbone",
    preprocessing=IMAGENET,
    preprocessing_why="these authors' converters go with RGB and ImageNet's statistics (MODEL_ZOO.md, *_moco.yaml)",
    source="facebookresearch/moco: convert-pretrain-to-detectron2.py; the installed detectron2/checkpoint",
    condition=_known_author,
    beside=None,
    rename=from_detectron2,
    may_be_bare=False,
)

UNKNOWN_AUTHOR = Family(
    name="detectron2-unknown",
    title="Detectron2 names of an unknown author",
    rule="stem.conv1.weight, res2.0.conv1.norm.*",
    branches=ONLY,
    why="a converted file holds one network",
    left_out=FAMILY.left_out,
    preprocessing=None,
    preprocessing_why="must be stated, and the stride too",
    source=FAMILY.source,
    beside=None,
    stride_in=None,
    rename=from_detectron2,
    may_be_bare=False,
    fallback=True,
)

MSRA_FAMILY = Family(
    name="detectron2-msra",
    title="Detectron2 .pkl, MSRA style",
    rule="conv1_w, res_conv1_bn_*, res2_0_branch2a_w, res2_0_branch2a_bn_*",
    branches=ONLY,
    why="there is one network",
    left_out="the classifier (fc1000, pred), momenta, and of a detector everything but the backbone",
    preprocessing=MSRA,
    preprocessing_why="Detectron2's defaults are made for these weights: BGR, std 1",
    source="the installed detectron2/checkpoint/c2_model_loading.py; names as its log prints them for MSRA/R-50.pkl",
    method="supervised",
    rename=_from_caffe2,
    complete=_with_statistics,
    beside=None,
    may_be_bare=False,
    stride_in="1x1",
)
