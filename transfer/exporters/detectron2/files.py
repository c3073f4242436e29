"""Files for stock Detectron2: a ``.pkl`` it loads by exact names, a YAML with every weight-dependent key, a report."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from scenebench.errors import TransferError
from transfer import proof
from transfer.backbone_file import BackboneInfo, load_backbone
from transfer.exporters.detectron2 import build as to_detectron2
from transfer.exporters.detectron2.build import EXTRA_NORM_MODULE, NARROW_BUILDERS_MODULE
from transfer.exporters.silenced_logs import quiet_detectron2
from transfer.exporters.staging import staged_folder
from transfer.proof import TransferReport

CONFIG_NAME = "detectron2.yaml"
REPORT_NAME = "detectron2_report.json"
AUTHOR = "scenebench"
_EXTRA_NORM = "Res5ROIHeadsExtraNorm"

# What makes Detectron2's defaults a Mask R-CNN with FPN; nothing here depends on the weights.
_MASK_RCNN_FPN: dict[str, Any] = {
    "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
    "MODEL.MASK_ON": True,
    "MODEL.FPN.NORM": "SyncBN",
    "MODEL.ANCHOR_GENERATOR.SIZES": [[32], [64], [128], [256], [512]],
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[0.5, 1.0, 2.0]],
    "MODEL.RPN.IN_FEATURES": ["p2", "p3", "p4", "p5", "p6"],
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 2000,
    "MODEL.RPN.PRE_NMS_TOPK_TEST": 1000,
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": 1000,
    "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
    "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
    "MODEL.ROI_HEADS.IN_FEATURES": ["p2", "p3", "p4", "p5"],
    "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
    "MODEL.ROI_BOX_HEAD.NUM_FC": 2,
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 7,
    "MODEL.ROI_MASK_HEAD.NAME": "MaskRCNNConvUpsampleHead",
    "MODEL.ROI_MASK_HEAD.NUM_CONV": 4,
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": 14,
}
_MASK_RCNN_C4: dict[str, Any] = {
    "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
    "MODEL.MASK_ON": True,
    "MODEL.RPN.PRE_NMS_TOPK_TEST": 6000,
    "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
    "MODEL.ROI_HEADS.NAME": "Res5ROIHeads",
    "MODEL.ROI_MASK_HEAD.NAME": "MaskRCNNConvUpsampleHead",
}


def export_files(path: Path | str, out: Path | str, neck: str = "fpn") -> TransferReport:
    """Write ``<name>_detectron2.pkl``, ``detectron2.yaml`` and ``detectron2_report.json`` into ``out``.

    All are proven through the stock loader before any of them appears.

    The tensors carry the model's full names, so the loader's matching by suffix is not needed. They fit one
    arrangement: ``fpn`` (``backbone.bottom_up.*``) or ``c4`` (``backbone.*`` and ``roi_heads.res5.*``).

    Raises:
        TransferError: the exported files, loaded by stock Detectron2, are not the backbone file. Nothing is written.
    """
    path, out = Path(path), Path(out)
    info, tensors = load_backbone(path)
    weights = f"{path.stem}_detectron2.pkl"
    config = export_config(info, neck) | {"MODEL.WEIGHTS": str((out / weights).absolute())}
    with staged_folder(out) as staging:
        names = {name: _full_name(name, neck) for name in tensors}
        with open(staging / weights, "wb") as file:
            arrays = {theirs: tensors[ours].numpy() for ours, theirs in names.items()}
            pickle.dump({"model": arrays, "__author__": AUTHOR}, file, protocol=4)
        del tensors, arrays
        (staging / CONFIG_NAME).write_text(_render_yaml(config, info), encoding="utf-8")
        report = dataclasses.replace(
            prove_export(staging, path),
            files={"weights": weights, "config": CONFIG_NAME, "report": REPORT_NAME},
            notes=_notes(config),
        )
        report.write(staging / REPORT_NAME)
    return report


def prove_export(folder: Path | str, path: Path | str) -> TransferReport:
    """Build the model from the folder's YAML, load its ``.pkl`` with the stock ``DetectionCheckpointer``, and prove it.

    Args:
        folder: what :func:`export_files` wrote (it may have been moved: the ``.pkl`` is looked for beside the YAML).
        path: the backbone file that the folder is meant to carry.

    Raises:
        TransferError: it carries something else.
    """
    quiet_detectron2()
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    folder = Path(folder)
    where = f"{Path(path).name} exported to Detectron2"
    cfg = get_cfg()
    try:
        cfg.merge_from_file(str(folder / CONFIG_NAME))
        cfg.MODEL.DEVICE = "cpu"
        if "narrow" in cfg.MODEL.BACKBONE.NAME:
            to_detectron2.register_narrow_builders()
        if cfg.MODEL.ROI_HEADS.NAME == _EXTRA_NORM:
            to_detectron2.register_extra_norm()
        model = build_model(cfg)
    except (AssertionError, LookupError, RuntimeError, TypeError, ValueError, OSError, yaml.YAMLError) as error:
        raise TransferError(f"{where}: its configuration does not build: {' '.join(str(error).split())}") from error
    names = to_detectron2.backbone_names(model)
    state = model.state_dict()
    proof.poison({name: state[name] for name in names})
    left_over = _load_with_stock_checkpointer(model, folder / Path(cfg.MODEL.WEIGHTS).name, where)
    if left_over:
        raise TransferError(f"{where}: {len(left_over)} tensors find no place in the model: {', '.join(left_over[:3])}")
    return to_detectron2.prove(model, path, cfg)


def export_config(info: BackboneInfo, neck: str = "fpn") -> dict[str, Any]:
    """Dotted keys of a complete Mask R-CNN: the weight-dependent ones first, then the architecture."""
    base = _MASK_RCNN_FPN if neck == "fpn" else _MASK_RCNN_C4
    if neck == "c4_extra_norm":
        base = base | {"MODEL.ROI_HEADS.NAME": _EXTRA_NORM}
    return to_detectron2.weight_dependent_keys(info, neck, norm="SyncBN") | base


def _load_with_stock_checkpointer(model: nn.Module, weights: Path, where: str) -> list[str]:
    """Load as ``tools/train_net.py`` does; returns the tensors for which the model has no place or another shape."""
    from detectron2.checkpoint import DetectionCheckpointer

    left_over: list[str] = []

    class RecordingCheckpointer(DetectionCheckpointer):  # type: ignore[misc]
        """The stock one, but what it would only log is kept: missing heads are as they should be, the rest is not."""

        def _log_incompatible_keys(self, incompatible: Any) -> None:
            left_over.extend(name for name in incompatible.unexpected_keys if not name.endswith("num_batches_tracked"))
            left_over.extend(name for name, *_ in incompatible.incorrect_shapes)

    try:
        RecordingCheckpointer(model).load(str(weights))
    except (AssertionError, LookupError, RuntimeError, TypeError, ValueError, OSError, pickle.UnpicklingError) as error:
        raise TransferError(
            f"{where}: Detectron2 cannot load {weights.name}: {' '.join(str(error).split())}"
        ) from error
    return left_over


def _full_name(name: str, neck: str) -> str:
    theirs = to_detectron2.detectron2_name(name)
    if neck == "fpn":
        return f"backbone.bottom_up.{theirs}"
    return f"roi_heads.{theirs}" if theirs.startswith("res5.") else f"backbone.{theirs}"


def _notes(config: dict[str, Any]) -> list[str]:
    notes = []
    if "narrow" in config["MODEL.BACKBONE.NAME"]:
        notes.append(
            f"import {NARROW_BUILDERS_MODULE} before building: stock Detectron2 has no builder for a ResNet-18 or -34 "
            "of this width"
        )
    if config["MODEL.ROI_HEADS.NAME"] == _EXTRA_NORM:
        notes.append(
            f"import {EXTRA_NORM_MODULE} before building, or use a training script that defines {_EXTRA_NORM} (MoCo's, "
            "DenseCL's, SlotCon's); its extra norm, roi_heads.res5.norm, is in no checkpoint"
        )
    return notes


def _render_yaml(config: dict[str, Any], info: BackboneInfo) -> str:
    tree: dict[str, Any] = {"VERSION": 2}
    for key, value in config.items():
        *parents, leaf = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    heading = [
        f"# Mask R-CNN for {info.architecture.name} weights (method {info.method}, branch {info.branch}); "
        "use it as a _BASE_ or with --config-file.",
        "# Written from the backbone file: INPUT.FORMAT, PIXEL_MEAN and PIXEL_STD, all of RESNETS, FREEZE_AT.",
        *(f"# Note: {note}." for note in _notes(config)),
    ]
    return "\n".join(heading) + "\n" + yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=110)
