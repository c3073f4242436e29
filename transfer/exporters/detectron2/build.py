"""Backbone file into Detectron2: configuration, loading with proof, and files for stock Detectron2.

Detectron2 is imported inside the functions only. Its defaults are those of 2015's Caffe weights (BGR, std 1, stride in
the 1x1 convolution, frozen norms); :func:`configure` writes every such key from the backbone file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scenebench.errors import TransferError, require_choice
from scenebench.evaluation_mode import evaluation_mode
from transfer import proof
from transfer.backbone_file import BackboneInfo, load_resnet
from transfer.exporters.silenced_logs import quiet_detectron2
from transfer.networks.detectron2_names import STAGE_NAMES, torchvision_name
from transfer.networks.forward_hooks import captured_outputs
from transfer.networks.network import require_resnet
from transfer.networks.resnet import BLOCKS_BY_DEPTH, Architecture, ResNet
from transfer.proof import TransferReport

NARROW_BUILDERS_MODULE = "transfer.detectron2_narrow_resnet"
EXTRA_NORM_MODULE = "transfer.detectron2_extra_norm"
NECKS = ("fpn", "c4", "c4_extra_norm")  # the last: C4 with one more norm after res5, as MoCo fine-tunes


def weight_dependent_keys(info: BackboneInfo, neck: str = "fpn", norm: str = "BN") -> dict[str, Any]:
    """Every Detectron2 key whose right value depends on the weights, as ``{"MODEL.PIXEL_MEAN": [...], ...}``.

    Args:
        neck: ``fpn``, ``c4`` (the R-CNN without a neck, res5 in the RoI head) or ``c4_extra_norm``.
        norm: of the backbone: ``BN``, ``SyncBN``, ``naiveSyncBN``, ``FrozenBN``. Not ``""``: the weights have norms.

    Raises:
        TransferError: a network that Detectron2 cannot build so.
        UserError: not a ResNet.
    """
    require_choice("neck", neck, NECKS)
    require_choice("norm", norm, ["BN", "SyncBN", "naiveSyncBN", "FrozenBN"])
    architecture, preprocessing = require_resnet(info.architecture, "Detectron2"), info.preprocessing
    mean, std = preprocessing.on_255_scale()
    keys: dict[str, Any] = {
        "INPUT.FORMAT": preprocessing.channel_order,
        "MODEL.PIXEL_MEAN": list(mean),
        "MODEL.PIXEL_STD": list(std),
        "MODEL.WEIGHTS": "",  # or a base configuration's ImageNet weights would be fetched and loaded over these
        "MODEL.BACKBONE.NAME": _builder(architecture, neck),
        "MODEL.BACKBONE.FREEZE_AT": 0,
        "MODEL.RESNETS.DEPTH": architecture.depth,
        "MODEL.RESNETS.STEM_OUT_CHANNELS": architecture.stem_width,
        "MODEL.RESNETS.RES2_OUT_CHANNELS": architecture.stage_channels[0],
        "MODEL.RESNETS.NUM_GROUPS": 1,
        "MODEL.RESNETS.WIDTH_PER_GROUP": architecture.stem_width,
        "MODEL.RESNETS.STRIDE_IN_1X1": architecture.stride_in == "1x1",
        "MODEL.RESNETS.NORM": norm,
        "MODEL.RESNETS.RES5_DILATION": 1,
        "MODEL.RESNETS.DEFORM_ON_PER_STAGE": [False] * 4,
        "MODEL.RESNETS.OUT_FEATURES": ["res2", "res3", "res4", "res5"] if neck == "fpn" else ["res4"],
    }
    if neck == "fpn":
        keys["MODEL.FPN.IN_FEATURES"] = ["res2", "res3", "res4", "res5"]
    return keys


def configure(cfg: Any, info: BackboneInfo, neck: str | None = None, norm: str = "BN") -> None:
    """Set every weight-dependent key of a Detectron2 ``CfgNode`` in place from what the backbone file says.

    ``MODEL.FPN.NORM``, heads, anchors and schedule are the protocol's and stay as they are.

    Args:
        neck: see :func:`weight_dependent_keys`; None keeps what ``cfg.MODEL.BACKBONE.NAME`` has now.
        norm: see :func:`weight_dependent_keys`.

    Raises:
        TransferError: a network that Detectron2 cannot build so.
    """
    if neck is None:
        neck = "fpn" if "fpn" in cfg.MODEL.BACKBONE.NAME else "c4"
    keys = weight_dependent_keys(info, neck, norm)
    if "narrow" in keys["MODEL.BACKBONE.NAME"]:
        register_narrow_builders()
    cfg.merge_from_list([part for pair in keys.items() for part in pair])


def register_extra_norm() -> None:
    """Make ``Res5ROIHeadsExtraNorm`` known to Detectron2."""
    quiet_detectron2()
    import transfer.detectron2_extra_norm  # noqa: F401


def register_narrow_builders() -> None:
    """Make the builders of narrow ResNet-18 and -34 known to Detectron2."""
    quiet_detectron2()
    import transfer.detectron2_narrow_resnet  # noqa: F401


def load_and_prove(model: nn.Module, path: Path | str, cfg: Any) -> TransferReport:
    """Load a backbone file into a built Detectron2 R-CNN and prove it.

    Args:
        model: from ``detectron2.modeling.build_model(cfg)``, FPN or C4, on any device; its mode is kept.
        path: the backbone file.
        cfg: the model's configuration; ``INPUT.FORMAT`` says in which channel order its images will come.

    Raises:
        TransferError: anything short of a full, equal transfer. The backbone's tensors are then unusable.
    """
    info, network = load_resnet(path, "Detectron2")
    source = network.state_dict()
    where = f"{Path(path).name} into Detectron2"
    names = backbone_names(model)
    proof.check_names(source, _by_torchvision_name(model, names), where)
    proof.poison(_by_torchvision_name(model, names))
    model.load_state_dict({theirs: source[ours] for theirs, ours in names.items()}, strict=False)
    return _prove(model, path, cfg, info, network, where)


def prove(model: nn.Module, path: Path | str, cfg: Any) -> TransferReport:
    """Prove that a Detectron2 model, loaded by whatever means, carries exactly the backbone file ``path``.

    Raises:
        TransferError: it does not.
    """
    info, network = load_resnet(path, "Detectron2")
    where = f"{Path(path).name} in Detectron2"
    proof.check_names(network.state_dict(), _by_torchvision_name(model, backbone_names(model)), where)
    return _prove(model, path, cfg, info, network, where)


def backbone_names(model: nn.Module) -> dict[str, str]:
    """The model's backbone tensors: its own full name to torchvision's.

    FPN keeps the network in ``backbone.bottom_up``; C4 splits it into ``backbone`` and ``roi_heads.res5``, where the
    extra norm of the MoCo protocol (``roi_heads.res5.norm``) belongs to the head, not to the backbone.
    """
    prefix, resnet = _resnet_of(model)
    names = {f"{prefix}{name}": torchvision_name(name) for name in resnet.state_dict()}
    res5 = _c4_res5(model)
    if res5 is not None:
        for name in res5.state_dict():
            if name.split(".", 1)[0].isdigit():
                names[f"roi_heads.res5.{name}"] = torchvision_name(f"res5.{name}")
    return names


def _builder(architecture: Architecture, neck: str) -> str:
    bottlenecks = BLOCKS_BY_DEPTH[architecture.depth][0].expansion > 1
    if neck != "fpn" and not bottlenecks:
        raise TransferError(
            f"Detectron2 has no C4 head for a {architecture.name}: its res5 RoI head is made of bottlenecks; use FPN"
        )
    narrow = "" if bottlenecks or architecture.stem_width == 64 else "narrow_"
    return f"build_{narrow}resnet_fpn_backbone" if neck == "fpn" else "build_resnet_backbone"


def _prove(
    model: nn.Module, path: Path | str, cfg: Any, info: BackboneInfo, network: ResNet, where: str
) -> TransferReport:
    source = network.state_dict()
    tensors = proof.check_values(source, _by_torchvision_name(model, backbone_names(model)), where)
    with proof.refusing(f"{where}: its features cannot be computed"):
        theirs = _target_features(model, cfg)
    ours = proof.source_features(network, info, theirs["stem"].device)
    features = proof.check_features(ours, theirs, where)
    return proof.make_report("detectron2", path, info, source, tensors, features)


def _target_features(model: Any, cfg: Any) -> dict[str, Tensor]:
    """Stage features of the reference image, read as Detectron2's data loader reads and normalised by the model."""
    quiet_detectron2()
    from detectron2.data.detection_utils import convert_PIL_to_numpy
    from PIL import Image

    pixels = convert_PIL_to_numpy(Image.fromarray(proof.reference_image()), cfg.INPUT.FORMAT)
    image = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    _, resnet = _resnet_of(model)
    stages = {"stem": resnet.stem} | {
        ours: getattr(resnet, theirs) for ours, theirs in STAGE_NAMES.items() if hasattr(resnet, theirs)
    }
    with evaluation_mode(model), proof.exact_arithmetic(), captured_outputs(stages) as features:
        model.backbone(_preprocessed(model, image))
        res5 = _c4_res5(model)
        if res5 is not None:
            x = features["layer3"].clone()
            for name, block in res5.named_children():
                x = block(x) if name.isdigit() else x
            features["layer4"] = x
    return features


def _preprocessed(model: Any, image: Tensor) -> Tensor:
    """Normalised by the model, 1 x C x H x W; a semantic segmentor has no method of its own for it."""
    if hasattr(model, "preprocess_image"):
        return model.preprocess_image([{"image": image}]).tensor  # type: ignore[no-any-return]
    return ((image.to(model.pixel_mean) - model.pixel_mean) / model.pixel_std).unsqueeze(0)


def _by_torchvision_name(model: nn.Module, names: dict[str, str]) -> dict[str, Tensor]:
    tensors = model.state_dict()
    return {ours: tensors[theirs] for theirs, ours in names.items()}


def _resnet_of(model: nn.Module) -> tuple[str, Any]:
    backbone: Any = getattr(model, "backbone", None)
    if hasattr(backbone, "bottom_up"):
        return "backbone.bottom_up.", backbone.bottom_up
    if hasattr(backbone, "stem"):
        return "backbone.", backbone
    raise TransferError(f"{type(model).__name__} has no ResNet at 'backbone' or 'backbone.bottom_up'")


def _c4_res5(model: nn.Module) -> Any | None:
    return getattr(getattr(model, "roi_heads", None), "res5", None)
