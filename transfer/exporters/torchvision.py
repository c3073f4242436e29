"""Backbone file into a torchvision ResNet: a plain state dict under torchvision's names, and its report."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from scenebench.errors import TransferError
from scenebench.evaluation_mode import evaluation_mode
from transfer import proof
from transfer.backbone_file import BackboneInfo, load_resnet
from transfer.exporters.staging import staged_folder
from transfer.networks.forward_hooks import captured_outputs
from transfer.networks.resnet import STAGES, Architecture
from transfer.proof import TransferReport

REPORT_NAME = "torchvision_report.json"
CLASSIFIER = ("fc.weight", "fc.bias")


def export(path: Path | str, out: Path | str) -> TransferReport:
    """Write ``<name>_torchvision.pth`` and ``torchvision_report.json`` into ``out``.

    The weights are for ``torchvision.models.resnet*().load_state_dict(..., strict=False)``. torchvision's models
    do not preprocess: the report says what the weights need.

    Raises:
        TransferError: torchvision has no such network, or what it loads is not the backbone file. Nothing is written.
    """
    path = Path(path)
    info, network = load_resnet(path, "torchvision's export")
    weights = f"{path.stem}_torchvision.pth"
    with staged_folder(out) as staging:
        torch.save(network.state_dict(), staging / weights)
        model = build(network.architecture)
        where = f"{path.name} exported to torchvision"
        proof.poison(_backbone_tensors(model))
        loaded = torch.load(staging / weights, map_location="cpu", weights_only=True)
        proof.check_names(loaded, _backbone_tensors(model), where)
        model.load_state_dict(loaded, strict=False)
        report = dataclasses.replace(
            prove(model, path),
            files={"weights": weights, "report": REPORT_NAME},
            notes=[_preprocessing_note(info)],
        )
        report.write(staging / REPORT_NAME)
    return report


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


def prove(model: nn.Module, path: Path | str) -> TransferReport:
    """Prove that a torchvision ResNet, loaded by whatever means, carries exactly the backbone file ``path``.

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
        model(info.preprocessing.normalise(image))
    features = proof.check_features(proof.source_features(network, info, device), theirs, where)
    return proof.make_report("torchvision", path, info, source, tensors, features)


def _backbone_tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if name not in CLASSIFIER}


def _preprocessing_note(info: BackboneInfo) -> str:
    p = info.preprocessing
    return f"normalise {p.channel_order} pixels scaled to 0..{p.value_range:g} with mean {p.mean} and std {p.std}"
