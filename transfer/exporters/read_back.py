"""Reading back what the exporters wrote, without a toolbox and without running a configuration file.

That is no proof: a toolbox heeds more keys than are read here. An export is checked by
:mod:`transfer.exporters.export_proof`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenebench.config import read_yaml
from scenebench.errors import TransferError, UserError
from transfer.backbone_file import BackboneInfo, Preprocessing, check_tensors
from transfer.exporters.detectron2.files import find_weights
from transfer.exporters.timm import read_export as read_timm
from transfer.exporters.torchvision import read_report
from transfer.importers import read_backbone
from transfer.importers.reading import read_checkpoint
from transfer.networks.detectron2_names import torchvision_name
from transfer.networks.resnet import Architecture
from transfer.numpy_pickle import load_arrays

_DETECTRON2_PREFIXES = ("backbone.bottom_up.", "backbone.", "roi_heads.")


def read_anything(path: Path | str) -> tuple[BackboneInfo, dict[str, Tensor]]:
    """The backbone in a backbone file, a folder that ``scenebench export`` wrote, or a checkpoint of a known family.

    Of an exported folder the architecture and preprocessing are taken from the toolbox's configuration in it.

    Raises:
        UserError: none of these, or damaged.
        TransferError: the tensors are not those of the architecture that the folder's configuration describes.
    """
    path = Path(path)
    if path.is_dir():
        return _read_export(path)
    imported = read_backbone(path)
    return imported.info, imported.tensors


def marker_of(folder: Path) -> str:
    """The name of the file that shows for which toolbox a folder was exported.

    Raises:
        UserError: it holds no export, or several.
    """
    present = [name for name in _READERS if (folder / name).is_file()]
    if len(present) != 1:
        found = f"{' and '.join(present)} in it" if present else f"none of {', '.join(_READERS)} in it"
        raise UserError(f"{folder}: not a folder with one export of 'scenebench export' ({found})")
    return present[0]


def _read_export(folder: Path) -> tuple[BackboneInfo, dict[str, Tensor]]:
    marker = marker_of(folder)
    try:
        info, tensors = _READERS[marker](folder)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{folder / marker}: lacks or mistypes a key that an export writes ({error})") from error
    except OSError as error:
        raise UserError(f"{error.filename or folder}: cannot be read: {error.strerror or error}") from error
    check_tensors(tensors, info.architecture, str(folder))
    return info, tensors


def _read_detectron2(folder: Path) -> tuple[BackboneInfo, dict[str, Tensor]]:
    config = read_yaml(folder / "detectron2.yaml")
    model = config["MODEL"]
    resnets = model["RESNETS"]
    architecture = Architecture(
        depth=resnets["DEPTH"],
        stem_width=resnets["STEM_OUT_CHANNELS"],
        stride_in="1x1" if resnets["STRIDE_IN_1X1"] else "3x3",
    )
    preprocessing = _on_255_scale(model["PIXEL_MEAN"], model["PIXEL_STD"], config["INPUT"]["FORMAT"])
    arrays = load_arrays(find_weights(folder, str(model["WEIGHTS"])))["model"]
    tensors = {_relative_name(name): _tensor(name, array) for name, array in arrays.items()}
    return BackboneInfo(architecture, preprocessing), tensors


def _read_mmseg(folder: Path) -> tuple[BackboneInfo, dict[str, Tensor]]:
    model = _literal_assignment(folder / "mmseg_fcn.py", "model")
    return _openmmlab_info(model, folder / "mmseg_fcn.py"), _pretrained_tensors(folder, model["backbone"])


def _read_mmdet(folder: Path) -> tuple[BackboneInfo, dict[str, Tensor]]:
    """C4 loads layer4 into the RoI head, by an ``init_cfg`` of its own."""
    model = _literal_assignment(folder / "mmdet_rcnn.py", "model")
    info = _openmmlab_info(model, folder / "mmdet_rcnn.py")
    tensors = _pretrained_tensors(folder, model["backbone"])
    shared_head = model["roi_head"].get("shared_head")
    if shared_head is None:
        return info, tensors
    head_style = "1x1" if shared_head["style"] == "caffe" else "3x3"
    described = (shared_head["depth"], shared_head["base_channels"], head_style)
    assert isinstance(info.architecture, Architecture)
    if described != (info.architecture.depth, info.architecture.stem_width, info.architecture.stride_in):
        raise TransferError(f"{folder / 'mmdet_rcnn.py'}: backbone and roi_head.shared_head are of two networks")
    head = _pretrained_tensors(folder, shared_head)
    return info, {
        **{name: tensor for name, tensor in tensors.items() if not name.startswith("layer4.")},
        **{name: tensor for name, tensor in head.items() if name.startswith("layer4.")},
    }


def _openmmlab_info(model: Mapping[str, Any], where: Path) -> BackboneInfo:
    backbone, preprocessor = model["backbone"], model["data_preprocessor"]
    if backbone["type"] != "ResNet":
        raise TransferError(f"{where}: its backbone is a {backbone['type']}, not a plain ResNet")
    architecture = Architecture(
        depth=backbone["depth"],
        stem_width=backbone["stem_channels"],
        stride_in="1x1" if backbone["style"] == "caffe" else "3x3",
    )
    order = "RGB" if preprocessor["bgr_to_rgb"] else "BGR"
    return BackboneInfo(architecture, _on_255_scale(preprocessor["mean"], preprocessor["std"], order))


def _pretrained_tensors(folder: Path, module: Mapping[str, Any]) -> dict[str, Tensor]:
    """What a module's ``init_cfg`` loads, without its prefix."""
    source = module["init_cfg"]
    tensors = read_checkpoint(folder / Path(source["checkpoint"]).name).tensors
    prefix = source["prefix"]
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _read_torchvision(folder: Path) -> tuple[BackboneInfo, dict[str, Tensor]]:
    info, weights = read_report(folder)
    return info, read_checkpoint(weights).tensors


def _on_255_scale(mean: Any, std: Any, order: str) -> Preprocessing:
    return Preprocessing(mean=_triple(mean), std=_triple(std), value_range=255.0, channel_order=order)


def _triple(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _relative_name(name: str) -> str:
    prefix = next((prefix for prefix in _DETECTRON2_PREFIXES if name.startswith(prefix)), "")
    return torchvision_name(name[len(prefix) :])


def _tensor(name: str, array: Any) -> Tensor:
    if not isinstance(array, np.ndarray):
        raise ValueError(f"'{name}' is no array")
    return torch.from_numpy(array)


def _literal_assignment(path: Path, variable: str) -> Mapping[str, Any]:
    """The value of a top-level ``variable = <literal>`` in a Python file, which is parsed and not run."""
    try:
        module = ast.parse(path.read_text(encoding="utf-8"))
        for statement in module.body:
            if isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == [
                variable
            ]:
                value = ast.literal_eval(statement.value)
                if isinstance(value, dict):
                    return value
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path}: '{variable}' is not written as plain values: {error}") from error
    raise UserError(f"{path}: no '{variable} = {{...}}' in it")


_READERS: dict[str, Callable[[Path], tuple[BackboneInfo, dict[str, Tensor]]]] = {
    "detectron2.yaml": _read_detectron2,
    "mmseg_fcn.py": _read_mmseg,
    "mmdet_rcnn.py": _read_mmdet,
    "torchvision_report.json": _read_torchvision,
    "timm_report.json": read_timm,
}
