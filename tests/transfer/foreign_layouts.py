"""What other projects' code and people's own scripts save, and what an import must say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from layout_parts import OPTIMISER, State, classifier, mlp, numbered, queue, training, under
from paper_layouts import CAFFE, PYTORCH, convolution, detector, fsdp, of_huggingface, of_obow

from transfer.networks.detectron2_names import detectron2_name

ASKS = "does not tell what preprocessing"
Build = Callable[[State, State], dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """``content(a, b)`` of two networks; ``told`` is what the error must say, else ``family`` and ``branch`` are
    what the first network must come back as, and ``other`` the branch that gives the second."""

    name: str
    content: Build
    told: str = ""
    family: str = ""
    branch: str = "only"
    other: str = ""


def _bidirectional(a: State, b: State) -> dict[str, Any]:
    return training(under("module.", under("encoder_q.", a) | under("encoder_k.", b) | queue() | mlp("relation_head.")))


def _detco(a: State, b: State) -> dict[str, Any]:
    state = under("encoder_q.", a) | under("encoder_k.", b) | queue() | mlp("mlp_local.") | queue(number="_res5")
    return training(under("module.", state))


def _pl_bolts_byol(a: State, b: State) -> dict[str, Any]:
    state = under("online_network.encoder.", a) | mlp("online_network.projector.") | mlp("predictor.")
    return training(state | under("target_network.encoder.", b) | mlp("target_network.projector."))


def mmengine_ema(a: State, b: State) -> dict[str, Any]:
    source, average = (under("backbone.", state) | mlp("neck.fc0.") | mlp("head.predictor.") for state in (a, b))
    ema = under("module.", source) | {"steps": torch.tensor(3)}
    return {"meta": {"mmengine_version": "0.10"}, "state_dict": average, "ema_state_dict": ema, "message_hub": {}}


def soft_teacher(a: State, b: State) -> dict[str, Any]:
    state = under("teacher.backbone.", a) | under("student.backbone.", b) | convolution("student.rpn_head.rpn_conv.")
    return {"meta": {}, "state_dict": state}


def _mmseg(a: State, _b: State) -> dict[str, Any]:
    state = under("backbone.", a) | convolution("decode_head.conv_seg.") | convolution("auxiliary_head.conv_seg.")
    return {"meta": {"mmseg_version": "0.30"}, "state_dict": state}


def _mmpose(a: State, _b: State) -> dict[str, Any]:
    return {"meta": {}, "state_dict": under("backbone.", a) | convolution("head.final_layer.")}


def _mmcls(a: State, _b: State) -> dict[str, Any]:
    return {"meta": {}, "state_dict": under("backbone.", a) | classifier("head.fc.")}


def _torchvision_detector(a: State, _b: State) -> dict[str, Any]:
    frozen = {name: tensor for name, tensor in a.items() if "num_batches" not in name}
    state = under("backbone.body.", frozen) | convolution("backbone.fpn.inner_blocks.0.0.")
    return state | convolution("rpn.head.cls_logits.") | mlp("roi_heads.box_head.")


def _detr(a: State, _b: State) -> dict[str, Any]:
    state = under("backbone.0.body.", a) | mlp("transformer.encoder.layers.0.") | classifier("class_embed.")
    return {"model": state | mlp("bbox_embed.layers.") | convolution("input_proj."), "optimizer": OPTIMISER, "epoch": 3}


def detectron2_training(a: State, _b: State) -> dict[str, Any]:
    state = {f"backbone.bottom_up.{detectron2_name(name)}": tensor for name, tensor in a.items()}
    state |= convolution("proposal_generator.rpn_head.conv.") | mlp("roi_heads.box_head.fc1.")
    return {"model": state, "optimizer": OPTIMISER, "scheduler": {"last_epoch": 3}, "iteration": 90000}


def _supcon(a: State, _b: State) -> dict[str, Any]:
    return {"opt": "Namespace", "model": under("encoder.module.", a) | mlp("head."), "epoch": 3}


def _small_stem(a: State, _b: State) -> dict[str, Any]:
    return {
        "opt": "Namespace",
        "model": under("encoder.", a | {"conv1.weight": torch.zeros(8, 3, 3, 3)}) | mlp("head."),
    }


def _clip(a: State, _b: State) -> dict[str, Any]:
    stem = {f"conv{number}.weight": torch.zeros(4, 3 if number == 1 else 4, 3, 3) for number in (1, 2, 3)}
    pool = {"attnpool.positional_embedding": torch.zeros(5, 8), "attnpool.k_proj.weight": torch.zeros(8, 8)}
    return under("visual.", a | stem | pool) | {"text_projection": torch.zeros(8, 8)}


def _vit(_a: State, _b: State) -> dict[str, Any]:
    state = {"cls_token": torch.zeros(1, 1, 8), "pos_embed": torch.zeros(1, 5, 8)}
    return {"model": state | convolution("patch_embed.proj.") | classifier("blocks.0.attn.qkv.")}


def _moco_v3_vit(a: State, b: State) -> dict[str, Any]:
    return training(under("module.base_encoder.", _vit(a, b)["model"]))


def _dino_vit(a: State, b: State) -> dict[str, Any]:
    vit = under("module.backbone.", _vit(a, b)["model"])
    return {"student": vit, "teacher": under("backbone.", _vit(a, b)["model"]), "epoch": 3}


def _deep_stem(a: State, _b: State) -> dict[str, Any]:
    rest = {name: tensor for name, tensor in a.items() if not name.startswith("conv1.")}
    return {
        "state_dict": under("backbone.", rest | convolution("stem.0.") | {"stem.0.weight": torch.zeros(4, 3, 3, 3)})
    }


def _timm_d(a: State, _b: State) -> dict[str, Any]:
    deep = {"conv1.0.weight": torch.zeros(4, 3, 3, 3), "conv1.1.weight": torch.ones(4)}
    return {name: tensor for name, tensor in a.items() if not name.startswith("conv1.")} | deep | classifier()


def _group_norm(a: State, _b: State) -> dict[str, Any]:
    kept = {name: tensor for name, tensor in a.items() if "running" not in name and "num_batches" not in name}
    return {"state_dict": under("encoder.", kept)}


def _mm_group_norm(a: State, _b: State) -> dict[str, Any]:
    kept = {name.replace(".bn", ".gn"): tensor for name, tensor in a.items() if "running" not in name}
    return {"meta": {}, "state_dict": under("backbone.", kept) | convolution("rpn_head.rpn_conv.")}


def _deformable(a: State, _b: State) -> dict[str, Any]:
    offset = {"layer3.0.conv2.conv_offset.weight": torch.zeros(8, 8, 3, 3)}
    return {"meta": {}, "state_dict": under("backbone.", a | offset) | convolution("rpn_head.rpn_conv.")}


def _flat(_a: State, _b: State) -> dict[str, Any]:
    return {"model": {"_fsdp_wrapped_module._flat_param": torch.zeros(100)}}


CASES = (
    Case("sthalles' SimCLR", lambda a, _: training(under("backbone.", a) | mlp("backbone.fc.")), ASKS),
    Case(
        "MoCo with one head more", _bidirectional, r"2 ResNets; .*it would be of moco, which takes encoder_q\.\* .query"
    ),
    Case("DetCo", _detco, r"--prefix 'encoder_q\.', --prefix 'encoder_k\.'; it would be of moco.*--from moco"),
    Case("lightning-bolts' BYOL", _pl_bolts_byol, r"--prefix 'online_network\.encoder\.', --prefix 'target_network\."),
    Case("an encoder under its own key", lambda a, _: {"encoder": a, "head": mlp(""), "epoch": 3}, ASKS),
    Case("one backbone, no head", lambda a, _: {"state_dict": under("backbone.", a)}, ASKS),
    Case("a projector that is anybody's", lambda a, _: {"model": under("backbone.", a) | mlp("projector.")}, ASKS),
    Case("backbone and head", lambda a, _: {"state_dict": under("backbone.", a) | mlp("head.")}, ASKS),
    Case(
        "a classifier of one's own", lambda a, _: {"state_dict": under("backbone.", a) | classifier("head.fc.")}, ASKS
    ),
    Case("U-Net's encoder", lambda a, _: under("encoder.", a) | convolution("decoder.blocks.0.conv1.0."), ASKS),
    Case("a bare encoder with its MLP", lambda a, _: {"state_dict": a | mlp("fc.")}, ASKS),
    Case(
        "only the teacher of DINO",
        lambda a, _: {"teacher": under("backbone.", a) | mlp("head.mlp.")},
        "",
        "dino",
        "teacher",
    ),
    Case("only the average", lambda a, _: {"model_ema": a | classifier()}, "", "torchvision", "ema"),
    Case("MMEngine's average", mmengine_ema, "say which with --branch online or --branch ema"),
    Case(
        "a semi-supervised detector", soft_teacher, r"2 ResNets.*'teacher\.backbone\.', --prefix 'student\.backbone\.'"
    ),
    Case("MMDetection without its configuration", detector(), r"openmmlab\) does not tell what preprocessing"),
    Case("MMSegmentation", _mmseg, r"openmmlab\) does not tell what preprocessing"),
    Case("MMPose", _mmpose, r"openmmlab\) does not tell what preprocessing"),
    Case("MMDetection, statistics the wrong way round", detector(PYTORCH.replace("True", "False"), "pytorch"), ASKS),
    Case("MMDetection, two statistics", detector(PYTORCH + "\n" + CAFFE, "pytorch"), ASKS),
    Case("MMClassification", _mmcls, "", "mmselfsup", "online"),
    Case("torchvision's detector", _torchvision_detector, "", "torchvision-detection"),
    Case("DETR", _detr, "", "detr"),
    Case(
        "torchvision's DeepLab",
        lambda a, _: under("backbone.", a) | convolution("classifier.4.") | convolution("aux_classifier.4."),
        "",
        "torchvision-segmentation",
    ),
    Case("Res2Net", lambda a, _: a | convolution("layer1.0.convs.0.") | classifier(), "Res2Net"),
    Case("ResNeSt", lambda a, _: a | convolution("layer1.0.conv2.fc1.") | classifier(), "split attention"),
    Case("MobileNet", lambda *_: convolution("features.1.conv.0.0.") | classifier("classifier.1."), "depthwise"),
    Case("Detectron2 in training", detectron2_training, r"detectron2-unknown\) does not tell"),
    Case("SupCon, 7x7", _supcon, r"supcontrast\) does not tell"),
    Case("SupCon", _small_stem, "3x3 first convolution, as for CIFAR"),
    Case("CLIP", _clip, "a deep stem of several convolutions|attention pool"),
    Case("MAE", _vit, "It is a vision transformer"),
    Case("MoCo v3, ViT", _moco_v3_vit, "It is a vision transformer"),
    Case("DINO, ViT", _dino_vit, "It is a vision transformer"),
    Case("ResNetV1c", _deep_stem, "deep .V1c. stem"),
    Case("timm's resnet50d", _timm_d, "deep .V1c. stem"),
    Case("GroupNorm", _group_norm, "without running statistics, hence GroupNorm"),
    Case("GroupNorm of OpenMMLab", _mm_group_norm, "GroupNorm or LayerNorm instead of batch norm"),
    Case("deformable convolutions", _deformable, "deformable convolutions"),
    Case("FSDP's flat parameters", _flat, "flat parameters, whose names are lost"),
    Case("FSDP in Lightning", lambda a, _: training(under("model.", fsdp(a | classifier()))), "", "torchvision"),
    Case("DataParallel inside", lambda a, _: training(under("backbone.module.", a) | mlp("projector.")), ASKS),
    Case(
        "DeepSpeed",
        lambda a, _: {"module": under("model.", a | classifier()), "optimizer": OPTIMISER},
        "",
        "torchvision",
    ),
    Case("DeepSpeed in Lightning's hands", lambda a, _: {"module": under("_forward_module.", a)}, ASKS),
    Case(
        "OBoW's feature extractor",
        lambda a, _: {"network": under("_feature_blocks.", of_obow(a))},
        "",
        "obow",
        "student",
    ),
    Case("Hugging Face's bare network", lambda a, _: of_huggingface(a), r"huggingface\) does not tell"),
    Case("numbers under one's own name", lambda a, _: under("features.", numbered(a)) | mlp("projection."), ASKS),
    Case(
        "an optimiser by names",
        lambda a, _: {"model": a | classifier(), "optim_state": under("x.", a)},
        "",
        "torchvision",
    ),
    Case("key encoder alone", lambda _, b: training(under("encoder_k.", b)), "it has --branch key"),
)
