"""How each mistake of :mod:`docs.generate.mistakes` is made, by toolbox and name."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transfer_helpers import MakeBackbone

from transfer.backbone_file import BackboneInfo, load_backbone
from transfer.networks.detectron2_names import detectron2_name
from transfer.networks.resnet import Architecture

Tensors = dict[str, Any]
Config = dict[str, Any]


@dataclass(frozen=True)
class Mutation:
    """How a mistake is made.

    ``weights`` changes the exported tensors (by name), ``config`` the configuration, ``file`` the weights' file itself
    (and may return another one, in the same folder).
    """

    weights: Callable[[Tensors, Sources], Tensors] | None = None
    config: Callable[[Config], None] | None = None
    file: Callable[[Path, Sources], Path] | None = None


@dataclass(frozen=True)
class Sources:
    """Other tensors that a mistake may bring, under torchvision's names: ours, another branch, depth and width."""

    ours: Tensors
    key_branch: Tensors
    deeper: Tensors
    wider: Tensors


def _without(part: str) -> Callable[[Tensors, Sources], Tensors]:
    return lambda tensors, _: {name: tensor for name, tensor in tensors.items() if part not in name}


def _renamed(change: Callable[[str], str]) -> Callable[[Tensors, Sources], Tensors]:
    return lambda tensors, _: {change(name): tensor for name, tensor in tensors.items()}


def _set(section: str, **values: Any) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        for part in section.split("."):
            config = config[part]
        config.update(values)

    return change


def _in_detectron2(tensors: Tensors) -> Tensors:
    return {f"backbone.bottom_up.{detectron2_name(name)}": tensor for name, tensor in tensors.items()}


def _one_ulp(tensors: Tensors, _: Sources) -> Tensors:
    name = next(name for name in tensors if name.endswith("conv2.weight"))
    changed = np.array(tensors[name])
    changed.flat[0] = np.nextafter(changed.flat[0], np.float32(9), dtype=np.float32)
    return {**tensors, name: changed}


def _wrong_statistics(section: str, mean: str, std: str) -> dict[str, Mutation]:
    """The same mistakes in the two toolboxes' keys, on the 0-255 scale."""
    return {
        "mean in BGR order, images in RGB": Mutation(config=_set(section, **{mean: [103.53, 116.28, 123.675]})),
        "std 1": Mutation(config=_set(section, **{std: [1.0, 1.0, 1.0]})),
        "statistics of the 0-1 scale": Mutation(
            config=_set(section, **{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]})
        ),
        "SimCLR's normalisation on MoCo's weights": Mutation(
            config=_set(section, **{mean: [0.0, 0.0, 0.0], std: [255.0, 255.0, 255.0]})
        ),
    }


def _forget_preprocessing(config: Config) -> None:
    """Detectron2's own defaults: BGR, MSRA mean, std 1."""
    del config["INPUT"], config["MODEL"]["PIXEL_MEAN"], config["MODEL"]["PIXEL_STD"]


def _with_heuristics(path: Path, sources: Sources) -> Path:
    path.write_bytes(pickle.dumps({"model": sources.ours, "__author__": "x", "matching_heuristics": True}))
    return path


def _raw_moco(path: Path, sources: Sources) -> Path:
    state = {f"module.encoder_q.{name}": torch.from_numpy(np.array(array)) for name, array in sources.ours.items()}
    torch.save({"epoch": 200, "state_dict": state}, path.with_suffix(".pth"))
    return path.with_suffix(".pth")


def _arrays_in_a_pth(path: Path, sources: Sources) -> Path:
    torch.save({"model": _in_detectron2(sources.ours)}, path.with_suffix(".pth"))
    return path.with_suffix(".pth")


def _empty_pickle(path: Path, _: Sources) -> Path:
    path.write_bytes(pickle.dumps({}))
    return path


DETECTRON2_MUTATIONS = {
    "prefix kept (`module.encoder_q.`)": Mutation(_renamed(lambda name: f"module.encoder_q.{name}")),
    "torchvision names, no heuristics flag": Mutation(lambda _, sources: sources.ours),
    "torchvision names with the heuristics flag": Mutation(file=_with_heuristics),
    "Detectron2 names, heuristics flag missing": Mutation(
        _renamed(lambda name: name.removeprefix("backbone.bottom_up."))
    ),
    "C4 names into FPN": Mutation(_renamed(lambda name: name.replace(".bottom_up", ""))),
    "`stem.` forgotten": Mutation(_renamed(lambda name: name.replace("stem.", ""))),
    "stem missing": Mutation(_without("stem")),
    "running statistics dropped": Mutation(_without("running_")),
    "batch counters dropped": Mutation(_without("num_batches")),
    "one tensor missing": Mutation(_without("res4.5.conv3.weight")),
    "empty mapping": Mutation(lambda *_: {}),
    "empty pickle": Mutation(file=_empty_pickle),
    "MoCo's raw `.pth`": Mutation(file=_raw_moco),
    "numpy arrays inside a `.pth`": Mutation(file=_arrays_in_a_pth),
    "ResNet-101 into ResNet-50": Mutation(lambda _, sources: _in_detectron2(sources.deeper)),
    "ResNet-50x2 into ResNet-50": Mutation(lambda _, sources: _in_detectron2(sources.wider)),
    "key encoder for query encoder": Mutation(lambda _, sources: _in_detectron2(sources.key_branch)),
    "one value off by one ulp": Mutation(_one_ulp),
    "stored in half precision": Mutation(
        lambda tensors, _: {n: t.astype(np.float16) if t.dtype == np.float32 else t for n, t in tensors.items()}
    ),
    "BGR images": Mutation(config=_set("INPUT", FORMAT="BGR")),
    **_wrong_statistics("MODEL", "PIXEL_MEAN", "PIXEL_STD"),
    "rounded statistics of another code base": Mutation(config=_set("MODEL", PIXEL_MEAN=[123.68, 116.78, 103.94])),
    "Detectron2's defaults (BGR, std 1)": Mutation(config=_forget_preprocessing),
    "STRIDE_IN_1X1 True": Mutation(config=_set("MODEL.RESNETS", STRIDE_IN_1X1=True)),
    "STRIDE_IN_1X1 left out (default True)": Mutation(config=lambda c: c["MODEL"]["RESNETS"].pop("STRIDE_IN_1X1")),
    "another depth in the YAML": Mutation(config=_set("MODEL.RESNETS", DEPTH=101)),
    "a group norm": Mutation(config=_set("MODEL.RESNETS", NORM="GN")),
    "a misspelt key": Mutation(config=_set("MODEL.RESNETS", STRIDE_IN_1x1=False)),
}


def _no_prefix(config: Config) -> None:
    del config["backbone"]["init_cfg"]["prefix"]


MMSEG_MUTATIONS = {
    "prefix kept (`module.encoder_q.`)": Mutation(_renamed(lambda n: n.replace("backbone.", "module.encoder_q."))),
    "prefix forgotten in `init_cfg`": Mutation(config=_no_prefix),
    "wrong prefix in `init_cfg`": Mutation(config=_set("backbone.init_cfg", prefix="encoder.")),
    "`init_cfg` forgotten": Mutation(config=_set("backbone", init_cfg=None)),
    "`pretrained` beside `init_cfg`": Mutation(config=_set("backbone", pretrained="torchvision://resnet50")),
    "another file name": Mutation(config=_set("backbone.init_cfg", checkpoint="gone.pth")),
    "deep stem (ResNetV1c)": Mutation(config=_set("backbone", type="ResNetV1c")),
    "`style='caffe'`": Mutation(config=_set("backbone", style="caffe")),
    "BGR images": Mutation(config=_set("data_preprocessor", bgr_to_rgb=False)),
    **_wrong_statistics("data_preprocessor", "mean", "std"),
    "no normalisation": Mutation(config=_set("data_preprocessor", mean=None, std=None)),
    "`contract_dilation` forgotten": Mutation(config=_set("backbone", contract_dilation=False)),
    "dilations forgotten": Mutation(config=_set("backbone", dilations=(1, 1, 1, 1))),
    "stem missing": Mutation(_without("backbone.conv1")),
    "running statistics dropped": Mutation(_without("running_")),
    "one tensor missing": Mutation(_without("layer3.5.conv3.weight")),
    "ResNet-50 into ResNet-101": Mutation(config=_set("backbone", depth=101)),
    "ResNet-50x2 into ResNet-50": Mutation(lambda _, s: {f"backbone.{n}": t for n, t in s.wider.items()}),
    "key encoder for query encoder": Mutation(lambda _, s: {f"backbone.{n}": t for n, t in s.key_branch.items()}),
    "one value off by one ulp": Mutation(_one_ulp),
}

Changed = Callable[[BackboneInfo, dict[str, Tensor], MakeBackbone], tuple[BackboneInfo, dict[str, Tensor]]]


def _stating(**changes: Any) -> Changed:
    def change(info: BackboneInfo, tensors: dict[str, Tensor], _: MakeBackbone) -> Any:
        return dataclasses.replace(info, preprocessing=dataclasses.replace(info.preprocessing, **changes)), tensors

    return change


def _caffe_style(info: BackboneInfo, tensors: dict[str, Tensor], _: MakeBackbone) -> Any:
    assert isinstance(info.architecture, Architecture)
    return dataclasses.replace(info, architecture=dataclasses.replace(info.architecture, stride_in="1x1")), tensors


def _trained_on(info: BackboneInfo, tensors: dict[str, Tensor], _: MakeBackbone) -> Any:
    return info, tensors | {"layer4.2.bn3.bias": tensors["layer4.2.bn3.bias"] * (1 + 1e-6)}


VERIFY_MUTATIONS: dict[str, Changed] = {
    "key encoder imported for query encoder": lambda info, _, make: (info, load_backbone(make(depth=50, seed=1))[1]),
    "BGR stated on import": _stating(channel_order="BGR"),
    "SimCLR's normalisation stated for MoCo's weights": _stating(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    "caffe style stated on import": _caffe_style,
    "trained on after the import": _trained_on,
}
