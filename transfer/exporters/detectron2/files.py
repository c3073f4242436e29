"""Files for stock Detectron2: a ``.pkl`` it loads by exact names, a YAML with every weight-dependent key, a report."""

from __future__ import annotations

import dataclasses
import pickle
import shlex
import tempfile
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from scenebench.config import read_yaml
from scenebench.errors import TransferError, UserError
from transfer import proof
from transfer.backbone_file import BackboneInfo, load_backbone
from transfer.exporters.detectron2 import build as to_detectron2
from transfer.exporters.detectron2.build import EXTRA_NORM_MODULE, NARROW_BUILDERS_MODULE
from transfer.exporters.exported_names import described, weights_name
from transfer.exporters.silenced_logs import quiet_detectron2
from transfer.exporters.staging import export_folder
from transfer.networks.detectron2_names import detectron2_name
from transfer.numpy_pickle import load_arrays
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


def export(path: Path | str, out: Path | str, neck: str = "fpn", overwrite: bool = False) -> TransferReport:
    """Write ``<name>_detectron2.pkl``, ``detectron2.yaml`` and ``detectron2_report.json`` into ``out``.

    All are proven through the stock loader before any of them appears.

    The tensors carry the model's full names, so the loader's matching by suffix is not needed. They fit one
    arrangement: ``fpn`` (``backbone.bottom_up.*``) or ``c4`` (``backbone.*`` and ``roi_heads.res5.*``).

    Args:
        overwrite: replace files in ``out`` that somebody changed; see :func:`transfer.exporters.staging.export_folder`.

    Raises:
        TransferError: the exported files, loaded by stock Detectron2, are not the backbone file. Nothing is written.
        UserError: a file in ``out`` would be lost. Nothing is written.
    """
    path, out = Path(path), Path(out)
    info, tensors = load_backbone(path)
    weights = weights_name(path, "_detectron2.pkl")
    config = export_config(info, neck) | {"MODEL.WEIGHTS": weights}
    with export_folder(out, [path], overwrite) as staging:
        names = {name: _full_name(name, neck) for name in tensors}
        with open(staging / weights, "wb") as file:
            arrays = {theirs: tensors[ours].numpy() for ours, theirs in names.items()}
            pickle.dump({"model": arrays, "__author__": AUTHOR}, file, protocol=4)
        del tensors, arrays
        (staging / CONFIG_NAME).write_text(_render_yaml(config, info), encoding="utf-8")
        report = dataclasses.replace(
            prove_export(staging, path),
            files={"weights": weights, "config": CONFIG_NAME, "report": REPORT_NAME},
            notes=[*_notes(config), _where_to_train(out, out / weights)],
        )
        report.write(staging / REPORT_NAME)
    return report


def prove_export(folder: Path | str, path: Path | str) -> TransferReport:
    """Build the model from the folder's YAML, load its weights with the stock ``DetectionCheckpointer``, and prove it.

    Detectron2 itself would construct any Python object that a YAML or ``.pkl`` names. A YAML that names one is refused,
    and of a ``.pkl`` it gets a copy that holds what the file does as plain data.

    Args:
        folder: what :func:`export` wrote, perhaps moved since.
        path: the backbone file that the folder is meant to carry.

    Raises:
        TransferError: it carries something else.
        UserError: a file of it is damaged, or holds more than plain data.
    """
    quiet_detectron2()
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    folder = Path(folder)
    where = f"{Path(path).name} exported to Detectron2"
    _require_plain_yaml(folder / CONFIG_NAME)
    cfg = get_cfg()
    with proof.refusing(f"{where}: its configuration does not build"):
        cfg.merge_from_file(str(folder / CONFIG_NAME))
        cfg.MODEL.DEVICE = "cpu"
        if "narrow" in cfg.MODEL.BACKBONE.NAME:
            to_detectron2.register_narrow_builders()
        if cfg.MODEL.ROI_HEADS.NAME == _EXTRA_NORM:
            to_detectron2.register_extra_norm()
        model = build_model(cfg)
    stated = str(cfg.MODEL.WEIGHTS or "")
    weights = find_weights(folder, stated)
    names = to_detectron2.backbone_names(model)
    state = model.state_dict()
    proof.poison({name: state[name] for name in names})
    _, question, query = stated.partition("?")
    left_over = _load_with_stock_checkpointer(model, weights, question + query, where)
    if left_over:
        raise TransferError(f"{where}: {len(left_over)} tensors find no place in the model: {', '.join(left_over[:3])}")
    notes = [] if Path(stated).is_absolute() else [_where_to_train(folder, weights)]
    return dataclasses.replace(to_detectron2.prove(model, path, cfg), notes=notes)


def find_weights(folder: Path, stated: str) -> Path:
    """The file that ``MODEL.WEIGHTS`` names.

    Detectron2 takes a relative name from the folder in which a training is started, and has no way to say "beside the
    YAML". So a relative name is looked for beside the YAML first, where a training is meant to be started.

    Raises:
        TransferError: there is no such file: Detectron2 would stop, or load nothing, or fetch something else.
    """
    yaml_file = folder / CONFIG_NAME
    name = stated.partition("?")[0]
    if not name:
        raise TransferError(
            f"{yaml_file}: MODEL.WEIGHTS is empty: Detectron2 loads nothing and trains from random weights"
        )
    if "://" in name:
        raise TransferError(
            f"{yaml_file}: MODEL.WEIGHTS is {stated}: other weights, which are not fetched to compare them"
        )
    found = next((file for file in (folder / name, Path(name)) if file.is_file()), None)
    if found is not None:
        return found
    beside = folder / Path(name).name
    remedy = (
        f"; the folder was moved? Set it to {beside.name}, which lies beside the YAML, or append to "
        f"the training command: MODEL.WEIGHTS {shlex.quote(str(beside))}"
        if beside.is_file()
        else ""
    )
    raise TransferError(f"{yaml_file}: MODEL.WEIGHTS is {stated}, which does not exist: Detectron2 stops there{remedy}")


def _where_to_train(folder: Path, weights: Path) -> str:
    return (
        "MODEL.WEIGHTS is relative, so that the folder can be moved: start the training in "
        f"{shlex.quote(str(folder))}, or append to the command: MODEL.WEIGHTS {shlex.quote(str(weights))}"
    )


def _require_plain_yaml(file: Path, seen: tuple[Path, ...] = ()) -> None:
    """Read a YAML and its bases by a loader that constructs no objects, as Detectron2's own does.

    Raises:
        UserError: one of them is missing, is not YAML, names Python objects, or is its own base.
    """
    if file.resolve() in seen:
        raise UserError(f"{file}: its _BASE_ leads back to itself")
    bases = read_yaml(file).get("_BASE_", [])
    for base in bases if isinstance(bases, list) else [bases]:
        if not isinstance(base, str) or "://" in base:
            raise UserError(f"{file}: its _BASE_ {base!r} is no file of this machine, and nothing is fetched")
        _require_plain_yaml(file.parent / Path(base).expanduser(), (*seen, file.resolve()))


def export_config(info: BackboneInfo, neck: str = "fpn") -> dict[str, Any]:
    """Dotted keys of a complete Mask R-CNN: the weight-dependent ones first, then the architecture."""
    base = _MASK_RCNN_FPN if neck == "fpn" else _MASK_RCNN_C4
    if neck == "c4_extra_norm":
        base = base | {"MODEL.ROI_HEADS.NAME": _EXTRA_NORM}
    return to_detectron2.weight_dependent_keys(info, neck, norm="SyncBN") | base


def _load_with_stock_checkpointer(model: nn.Module, weights: Path, query: str, where: str) -> list[str]:
    """Load as ``tools/train_net.py`` does; returns the tensors for which the model has no place or another shape.

    Args:
        query: what follows the file's name in ``MODEL.WEIGHTS``: "" or ``?matching_heuristics=True``.
    """
    from detectron2.checkpoint import DetectionCheckpointer

    left_over: list[str] = []

    class RecordingCheckpointer(DetectionCheckpointer):  # type: ignore[misc]
        """The stock one, but what it would only log is kept: missing heads are as they should be, the rest is not."""

        def _log_incompatible_keys(self, incompatible: Any) -> None:
            left_over.extend(name for name in incompatible.unexpected_keys if not name.endswith("num_batches_tracked"))
            left_over.extend(name for name, *_ in incompatible.incorrect_shapes)

    # Under a path of our own, since a folder's name may hold what Detectron2 takes for a query.
    with tempfile.TemporaryDirectory() as place:
        given = Path(place) / weights.name
        if given.name.endswith(".pkl"):
            with open(given, "wb") as file:
                pickle.dump(load_arrays(weights), file, protocol=4)
        else:
            given.symlink_to(weights.absolute())
        with proof.refusing(f"{where}: Detectron2 cannot load {weights.name}"):
            RecordingCheckpointer(model).load(f"{given}{query}")
    return left_over


def _full_name(name: str, neck: str) -> str:
    theirs = detectron2_name(name)
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
        f"# Mask R-CNN for {described(info)}; use it as a _BASE_ or with --config-file.",
        "# Written from the backbone file: INPUT.FORMAT, PIXEL_MEAN and PIXEL_STD, all of RESNETS, FREEZE_AT.",
        "# Detectron2 looks for a relative MODEL.WEIGHTS in the folder where the training is started. Start it in this",
        f"# folder, wherever it was moved to, or append to the command: MODEL.WEIGHTS FOLDER/{config['MODEL.WEIGHTS']}",
        *(f"# Note: {note}." for note in _notes(config)),
    ]
    return "\n".join(heading) + "\n" + yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=110)
