"""Backbone file into a torchvision ResNet: a plain state dict under torchvision's names, and its report."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from scenebench.errors import TransferError, UserError
from scenebench.evaluation_mode import evaluation_mode
from transfer import proof
from transfer.backbone_file import BackboneInfo, Preprocessing, load_resnet
from transfer.exporters.exported_names import weights_name
from transfer.exporters.staging import export_folder
from transfer.json_file import read_json
from transfer.networks.forward_hooks import captured_outputs
from transfer.networks.network import require_resnet
from transfer.networks.resnet import STAGES, Architecture
from transfer.proof import TransferReport

REPORT_NAME = "torchvision_report.json"
CLASSIFIER = ("fc.weight", "fc.bias")


def export(path: Path | str, out: Path | str, overwrite: bool = False) -> TransferReport:
    """Write ``<name>_torchvision.pth`` and ``torchvision_report.json`` into ``out``.

    The weights are for ``torchvision.models.resnet*().load_state_dict(..., strict=False)``. torchvision's models
    do not preprocess: the report says what the weights need.

    Args:
        overwrite: replace files in ``out`` that somebody changed; see :func:`transfer.exporters.staging.export_folder`.

    Raises:
        TransferError: torchvision has no such network, or what it loads is not the backbone file. Nothing is written.
        UserError: a file in ``out`` would be lost. Nothing is written.
    """
    path = Path(path)
    info, network = load_resnet(path, "torchvision's export")
    weights = weights_name(path, "_torchvision.pth")
    with export_folder(out, [path], overwrite) as staging:
        torch.save(network.state_dict(), staging / weights)
        report = dataclasses.replace(
            _prove_file(staging / weights, info, path),
            files={"weights": weights, "report": REPORT_NAME},
            notes=[_preprocessing_note(info)],
        )
        report.write(staging / REPORT_NAME)
    return report


def prove_export(folder: Path | str, path: Path | str) -> TransferReport:
    """Let torchvision's own network load the folder's ``.pth``, and prove it behind the report's preprocessing.

    Raises:
        TransferError: it carries something else than the backbone file ``path``.
        UserError: the report is not JSON, or lacks what an export writes.
    """
    folder = Path(folder)
    stated, weights = read_report(folder)
    return _prove_file(weights, stated, path)


def read_report(folder: Path) -> tuple[BackboneInfo, Path]:
    """What an export's report says of its network and preprocessing, and the file of its weights.

    Raises:
        UserError: not JSON, or lacks or mistypes a key that an export writes.
    """
    report = read_json(folder / REPORT_NAME)
    try:
        stated = report["backbone"]["preprocessing"]
        mean, std = (tuple(float(value) for value in stated[key]) for key in ("mean", "std"))
        if len(mean) != 3 or len(std) != 3:
            raise ValueError("mean and std are not of three channels")
        preprocessing = Preprocessing(mean, std, float(stated["value_range"]), str(stated["channel_order"]))
        info = BackboneInfo(Architecture(**report["backbone"]["architecture"]), preprocessing)
        return info, folder / Path(report["files"]["weights"]).name
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"{folder / REPORT_NAME}: lacks or mistypes a key that an export writes ({error})") from error


def build(architecture: Architecture) -> nn.Module:
    """torchvision's own model of this architecture.

    Raises:
        TransferError: torchvision has no network of this width or stride style.
    """
    if architecture.stem_width != 64 or architecture.stride_in != "3x3":
        raise TransferError(
            f"torchvision has no {architecture.name} with the stride in the {architecture.stride_in} convolution: its "
            "own have 64 channels after the stem and the stride in the 3x3; export to detectron2 or mmseg instead"
        )
    model: nn.Module = torchvision.models.get_model(f"resnet{architecture.depth}", weights=None)
    return model


def prove(model: nn.Module, path: Path | str, preprocessing: Preprocessing | None = None) -> TransferReport:
    """Prove that a torchvision ResNet, loaded by whatever means, carries exactly the backbone file ``path``.

    Args:
        preprocessing: of the images that the model gets; the backbone file's own where None.

    Raises:
        TransferError: it does not.
    """
    info, network = load_resnet(path, "torchvision's export")
    source, target = network.state_dict(), _backbone_tensors(model)
    where = f"{Path(path).name} in torchvision"
    proof.check_names(source, target, where)
    tensors = proof.check_values(source, target, where)
    device = next(model.parameters()).device
    image = torch.from_numpy(proof.reference_image()).permute(2, 0, 1).unsqueeze(0).to(device)
    stages = {"stem": model.get_submodule("maxpool")} | {stage: model.get_submodule(stage) for stage in STAGES[1:]}
    with evaluation_mode(model), proof.exact_arithmetic(), captured_outputs(stages) as theirs:
        model((preprocessing or info.preprocessing).normalise(image))
    features = proof.check_features(proof.source_features(network, info, device), theirs, where)
    return proof.make_report("torchvision", path, info, source, tensors, features)


def _prove_file(weights: Path, stated: BackboneInfo, path: Path | str) -> TransferReport:
    where = f"{Path(path).name} exported to torchvision"
    model = build(require_resnet(stated.architecture, "torchvision"))
    proof.poison(_backbone_tensors(model))
    with proof.refusing(f"{where}: torchvision cannot load {weights.name}"):
        loaded = torch.load(weights, map_location="cpu", weights_only=True)
        left_over = model.load_state_dict(loaded, strict=False).unexpected_keys
    if left_over:
        raise TransferError(f"{where}: {len(left_over)} tensors find no place in it: {', '.join(left_over[:3])}")
    return prove(model, path, stated.preprocessing)


def _backbone_tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if name not in CLASSIFIER}


def _preprocessing_note(info: BackboneInfo) -> str:
    p = info.preprocessing
    return f"normalise {p.channel_order} pixels scaled to 0..{p.value_range:g} with mean {p.mean} and std {p.std}"
