"""Synthetic checkpoints in every family's exact layout: its prefixes, containers and leftovers.

A layout is built from the branches' backbones (torchvision names to tensors) and says what an import must make of it.
Leftovers have small shapes where no reader looks at them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from layout_parts import (
    IMAGENET,
    MSRA,
    OPTIMISER,
    SCALED_ONLY,
    SWAV,
    Layout,
    State,
    caffe2_name,
    classifier,
    mlp,
    numbered,
    queue,
    training,
    under,
)

from transfer.networks.detectron2_names import detectron2_name


def _moco(wrapper: str, head: State) -> Callable[[State, State], dict[str, Any]]:
    def build(query: State, key: State) -> dict[str, Any]:
        heads = under("fc.", head)
        state = under("encoder_q.", query | heads) | under("encoder_k.", key | heads) | queue()
        return training(under(wrapper, state))

    return build


def _densecl(query: State, key: State) -> dict[str, Any]:
    state = under("backbone.", query) | under("encoder_q.0.", query) | mlp("encoder_q.1.mlp.")
    state |= under("encoder_k.0.", key) | mlp("encoder_k.1.mlp.") | queue() | queue(number="2")
    return {"meta": {"epoch": 200, "mmcv_version": "0.2.16"}, "state_dict": state, "optimizer": OPTIMISER}


def _openselfsup_byol(online: State, target: State) -> dict[str, Any]:
    state = under("online_net.0.", online) | mlp("online_net.1.mlp.", norm=True) | under("backbone.", online)
    state |= under("target_net.0.", target) | mlp("target_net.1.mlp.", norm=True) | mlp("head.predictor.mlp.")
    return {"meta": {"epoch": 200}, "state_dict": state, "optimizer": OPTIMISER}


def _mmselfsup(target: str) -> Callable[[State, State], dict[str, Any]]:
    def build(online: State, average: State) -> dict[str, Any]:
        state = under("backbone.", online) | mlp("neck.") | mlp("head.predictor.", norm=True)
        state |= under(f"{target}.module.0.", average) | mlp(f"{target}.module.1.") | queue()
        state |= {f"{target}.steps": torch.tensor(7), "data_preprocessor.mean": torch.zeros(3, 1, 1)}
        return {"meta": {"epoch": 200}, "state_dict": state, "message_hub": {"iter": 3}, "optimizer": OPTIMISER}

    return build


def _pytorch_byol(online: State, target: State) -> dict[str, Any]:
    return {
        "online_network_state_dict": under("encoder.", numbered(online)) | mlp("projetion.net.", norm=True),
        "encoder_state_dict": numbered(online),
        "target_network_state_dict": under("encoder.", numbered(target)) | mlp("projetion.net.", norm=True),
        "optimizer_state_dict": OPTIMISER,
    }


def _byol_pytorch(online: State, target: State) -> dict[str, Any]:
    state = under("net.", online | classifier()) | under("online_encoder.net.", online | classifier())
    state |= mlp("online_encoder.projector.", norm=True) | mlp("online_predictor.", norm=True)
    return state | under("target_encoder.net.", target | classifier()) | mlp("target_encoder.projector.", norm=True)


def _soco(online: State, target: State) -> dict[str, Any]:
    state = under("encoder.", online) | {"neck.lateral_convs.0.conv.weight": torch.zeros(8, 8, 1, 1)}
    state |= under("encoder_k.", target) | {"neck_k.lateral_convs.0.conv.weight": torch.zeros(8, 8, 1, 1)}
    for part in ("head.", "head_k.", "projector.", "projector_k.", "predictor."):
        state |= mlp(part, norm=True)
    average = {name: tensor.clone() + (1 if tensor.is_floating_point() else 0) for name, tensor in state.items()}
    return training(under("module.", state), key="model", model_ema=average, scheduler={"last_epoch": 3})


def _slotcon(teacher: State, student: State) -> dict[str, Any]:
    state = under("encoder_q.", student) | under("encoder_k.", teacher) | {"center": torch.zeros(1, 16)}
    state |= mlp("projector_q.mlp.", norm=True) | mlp("projector_k.mlp.", norm=True) | mlp("predictor_slot.mlp.")
    state |= {f"grouping_{side}.slot_embed.weight": torch.zeros(16, 8) for side in "qk"}
    return training(under("module.", state), key="model")


def _swav(only: State, _other: State) -> dict[str, Any]:
    state = only | mlp("projection_head.", norm=True) | {"prototypes.weight": torch.zeros(16, 4)}
    return training(under("module.", state), amp={"loss_scaler0": {"loss_scale": 1.0}})


def _vissl(only: State, _other: State) -> dict[str, Any]:
    heads = {"0.projection_head.0.weight": torch.zeros(8, 8), "0.prototypes0.weight": torch.zeros(16, 8)}
    model = {"trunk": under("_feature_blocks.", only), "heads": heads}
    return {"phase_idx": 3, "classy_state_dict": {"base_model": {"model": model}, "optim": OPTIMISER}}


def _simsiam(only: State, _other: State) -> dict[str, Any]:
    state = under("encoder.", only) | mlp("encoder.fc.", norm=True) | mlp("predictor.", norm=True)
    return training(under("module.", state))


def _solo_learn(prefix: str) -> Callable[[State, State], dict[str, Any]]:
    def build(online: State, momentum: State) -> dict[str, Any]:
        state = under(f"{prefix}.", online) | under(f"momentum_{prefix}.", momentum) | classifier("classifier.")
        state |= mlp("projector.", norm=True) | mlp("momentum_projector.", norm=True) | mlp("predictor.")
        return {"epoch": 3, "global_step": 9, "pytorch-lightning_version": "1.5.3", "state_dict": state} | {
            "optimizer_states": [OPTIMISER],
            "lr_schedulers": [],
        }

    return build


def _lightly(rename: Callable[[State], State], average: str) -> Callable[[State, State], dict[str, Any]]:
    def build(online: State, momentum: State) -> dict[str, Any]:
        state = under("backbone.", rename(online)) | under(f"{average}.", rename(momentum))
        state |= mlp("projection_head.layers.", norm=True) | mlp("prediction_head.layers.", norm=True)
        state |= classifier("online_classifier.linear.") | {"criterion.memory_bank.bank": torch.zeros(4, 16)}
        return {"epoch": 3, "pytorch-lightning_version": "2.1", "state_dict": state, "optimizer_states": [OPTIMISER]}

    return build


def _detectron2(author: str) -> Callable[[State, State], dict[str, Any]]:
    """As convert-pretrain-to-detectron2.py writes it, with the encoder's fc caught by the ``stem.`` prefix."""

    def build(only: State, _other: State) -> dict[str, Any]:
        arrays = {detectron2_name(name): tensor.numpy() for name, tensor in only.items()}
        arrays |= {f"stem.{name}": tensor.numpy() for name, tensor in mlp("fc.").items()}
        return {"model": arrays, "__author__": author, "matching_heuristics": True}

    return build


def _msra(only: State, _other: State) -> dict[str, Any]:
    arrays = {caffe2_name(name): tensor.numpy() for name, tensor in only.items() if "num_batches" not in name}
    return arrays | {"fc1000_w": torch.zeros(10, 8).numpy(), "conv1_w_momentum": torch.zeros(2).numpy()}


LAYOUTS = (
    Layout("moco_v1", "moco", _moco("module.", classifier("")), "query", IMAGENET, "moco", "key", suffix=".pth.tar"),
    Layout("moco_v2", "moco", _moco("module.", mlp("")), "query", IMAGENET, "moco", "key", suffix=".pth.tar"),
    Layout("moco_one_gpu", "moco", _moco("", mlp("")), "query", IMAGENET, "moco", "key"),
    Layout("moco_compiled", "moco", _moco("module._orig_mod.", mlp("")), "query", IMAGENET, "moco", "key"),
    Layout("densecl", "openselfsup", _densecl, "online", IMAGENET, other_branch="target"),
    Layout(
        "densecl_extracted",
        "openselfsup",
        lambda only, _: {"state_dict": only, "author": "DenseCL"},
        "online",
        IMAGENET,
        method="densecl",
        told="densecl",
    ),
    Layout("orl", "openselfsup", _openselfsup_byol, "online", IMAGENET, "orl", "target", told="orl"),
    Layout("byol_openselfsup", "openselfsup", _openselfsup_byol, "online", IMAGENET, other_branch="target"),
    Layout("byol_mmselfsup", "mmselfsup", _mmselfsup("target_net"), "online", IMAGENET, other_branch="target"),
    Layout("moco_mmpretrain", "mmselfsup", _mmselfsup("encoder_k"), "online", IMAGENET, other_branch="target"),
    Layout("pytorch_byol", "pytorch-byol", _pytorch_byol, "online", SCALED_ONLY, "byol", "target"),
    Layout("byol_pytorch", "byol-pytorch", _byol_pytorch, "online", IMAGENET, "byol", "target"),
    Layout("soco", "soco", _soco, "online", IMAGENET, "soco", "target"),
    Layout("slotcon", "slotcon", _slotcon, "teacher", IMAGENET, "slotcon", "student"),
    Layout("swav", "swav", _swav, "only", SWAV, "swav", suffix=".pth.tar"),
    Layout("vissl", "vissl", _vissl, "only", IMAGENET, suffix=".torch"),
    Layout(
        "vissl_converted",
        "vissl",
        lambda only, _: dict(only),
        "only",
        IMAGENET,
        told="vissl",
        suffix=".torch",
    ),
    Layout("simsiam", "simsiam", _simsiam, "only", IMAGENET, "simsiam", suffix=".pth.tar"),
    Layout("solo_learn", "solo-learn", _solo_learn("backbone"), "online", IMAGENET, other_branch="momentum"),
    Layout("solo_learn_old", "solo-learn", _solo_learn("encoder"), "online", IMAGENET, other_branch="momentum"),
    Layout(
        "lightly_numbered",
        "lightly",
        _lightly(numbered, "backbone_momentum"),
        "online",
        IMAGENET,
        other_branch="momentum",
        suffix=".ckpt",
    ),
    Layout(
        "lightly_named",
        "lightly",
        _lightly(dict, "teacher_backbone"),
        "online",
        IMAGENET,
        other_branch="momentum",
        suffix=".ckpt",
    ),
    Layout("torchvision", "torchvision", lambda only, _: only | classifier(), "only", IMAGENET),
    Layout(
        "supervised_ddp",
        "torchvision",
        lambda only, _: training(under("module.", only | classifier())),
        "only",
        IMAGENET,
    ),
    Layout(
        "timm_training",
        "torchvision",
        lambda only, ema: training(only | classifier(), state_dict_ema=ema | classifier()),
        "only",
        IMAGENET,
        "timm",
        "ema",
        told="timm",
    ),
    Layout(
        "simclr",
        "simclr",
        lambda only, _: {"state_dict": only | classifier()},
        "only",
        SCALED_ONLY,
        method="simclr",
        told="simclr",
    ),
    Layout("detectron2_moco", "detectron2", _detectron2("MOCO"), "only", IMAGENET, suffix=".pkl"),
    Layout("detectron2_torchvision", "detectron2", _detectron2("torchvision"), "only", IMAGENET, suffix=".pkl"),
    Layout(
        "detectron2_msra",
        "detectron2-msra",
        _msra,
        "only",
        MSRA,
        method="supervised",
        suffix=".pkl",
        stride_in="1x1",
        without_counters=True,
    ),
)
