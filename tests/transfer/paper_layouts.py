"""Synthetic checkpoints in the layouts of papers' own trainers, of Hugging Face's ResNets and of trained detectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from checkpoint_layouts import LAYOUTS
from layout_parts import IMAGENET, MSRA, OPTIMISER, Layout, State, classifier, mlp, numbered, queue, training, under

Build = Callable[[State, State], dict[str, Any]]


def convolution(prefix: str) -> State:
    return {f"{prefix}weight": torch.zeros(8, 8, 1, 1)}


def expander(prefix: str) -> State:
    """VICReg's: three layers, two norms, no bias in the last."""
    state = {f"{prefix}{layer}.weight": torch.zeros(8, 8) for layer in (0, 3, 6)}
    state |= {f"{prefix}{layer}.bias": torch.zeros(8) for layer in (0, 1, 3, 4)}
    return state | {f"{prefix}{norm}.running_mean": torch.zeros(8) for norm in (1, 4)}


def _dino(teacher: State, student: State) -> dict[str, Any]:
    head = mlp("head.mlp.") | {
        "head.last_layer.weight_g": torch.ones(4, 1),
        "head.last_layer.weight_v": torch.zeros(4, 8),
    }
    return {
        "student": under("module.", under("backbone.", student) | head),
        "teacher": under("module.", under("backbone.", teacher) | head),
        "optimizer": OPTIMISER,
        "epoch": 100,
        "dino_loss": {"center": torch.zeros(1, 4)},
        "fp16_scaler": {"scale": 65536.0},
    }


def _moco_v3(online: State, momentum: State) -> dict[str, Any]:
    state = under("base_encoder.", online) | mlp("base_encoder.fc.", norm=True) | under("momentum_encoder.", momentum)
    return training(under("module.", state | mlp("momentum_encoder.fc.", norm=True) | mlp("predictor.", norm=True)))


def _barlow_twins(only: State, _other: State) -> dict[str, Any]:
    state = under("backbone.", only) | {"projector.0.weight": torch.zeros(8, 8), "projector.1.bias": torch.zeros(8)}
    return training(under("module.", state | {"bn.running_mean": torch.zeros(8)}), key="model")


def _vicreg(only: State, _other: State) -> dict[str, Any]:
    return training(under("module.", under("backbone.", only) | expander("projector.")), key="model")


def _vicregl(only: State, _other: State) -> dict[str, Any]:
    state = under("backbone.", only) | expander("projector.") | expander("maps_projector.") | classifier("classifier.")
    return training(under("module.", state), key="model")


def _spark(only: State, _other: State) -> dict[str, Any]:
    state: dict[str, Any] = under("sparse_encoder.sp_cnn.", only) | convolution("dense_decoder.proj.")
    state |= convolution("densify_projs.0.") | {"densify_norms.0.weight": torch.ones(8)}
    state |= {"mask_tokens.0": torch.zeros(1, 8, 1, 1), "imn_m": torch.zeros(1, 3, 1, 1), "norm_black": torch.zeros(1)}
    config = {"mask_ratio": 0.6, "sbn": True, "sparse_encoder.input_size": 224}
    return {"arch": "resnet50", "module": state | {"config": config}, "optimizer": OPTIMISER, "is_pretrain": True}


def of_obow(state: State) -> State:
    blocks = {"conv1": "0.Conv", "bn1": "0.bn", "layer1": "1", "layer2": "2", "layer3": "3", "layer4": "4"}
    return {f"{blocks[name.split('.')[0]]}.{name.partition('.')[2]}": tensor for name, tensor in state.items()}


def _obow(student: State, teacher: State) -> dict[str, Any]:
    state = under("feature_extractor._feature_blocks.", of_obow(student)) | convolution("bow_predictor.layers_w.0.")
    state |= under("feature_extractor_teacher._feature_blocks.", of_obow(teacher)) | {"_alpha": torch.ones(1)}
    state |= {"bow_extractor.bow_extractor.0._embedding": torch.zeros(4, 8), "_iteration": torch.zeros(1)}
    return {
        "epoch": 200,
        "network": under("module.", state | classifier("linear_classifier.layers.0.")),
        "meters": None,
    }


def _cp2(query: State, key: State) -> dict[str, Any]:
    state = under("encoder_q.backbone.", query) | convolution("encoder_q.decode_head.conv_seg.") | queue()
    return training(
        under("module.", state | under("encoder_k.backbone.", key) | convolution("encoder_k.decode_head.x."))
    )


def _lewel(online: State, target: State) -> dict[str, Any]:
    state = under("online_net.backbone.", online) | under("target_net.backbone.", target)
    for part in ("online_net.neck.proj.mlp.", "online_net.neck.proj_obj.mlp.", "target_net.neck.proj_obj.mlp."):
        state |= mlp(part)
    return training(under("module.", state | mlp("predictor.mlp.") | mlp("predictor_obj.mlp.")), scaler=None)


def _resim(query: State, key: State) -> dict[str, Any]:
    heads = mlp("fc.") | convolution("fpn_lateral5.") | convolution("fpn_output4.")
    return training(under("module.", under("encoder_q.", query | heads) | under("encoder_k.", key | heads) | queue()))


def _pixpro(online: State, target: State) -> dict[str, Any]:
    state = under("encoder.", online) | under("encoder_k.", target) | convolution("value_transform.")
    state |= convolution("projector.linear1.") | convolution("projector_k.linear1.")
    return {"opt": "Namespace", "model": under("module.", state), "optimizer": OPTIMISER, "epoch": 400}


def _soco_c4(online: State, target: State) -> dict[str, Any]:
    state = under("encoder.", online) | under("encoder_k.", target) | mlp("projector.") | mlp("projector_k.")
    return training(under("module.", state | mlp("predictor.") | queue()), key="model")


def _pycontrast(online: State, average: State) -> dict[str, Any]:
    state = under("encoder.", online) | mlp("head.")
    return {
        "model": under("module.", state),
        "contrast": {"memory": torch.zeros(16, 8)},
        "optimizer": OPTIMISER,
        "epoch": 800,
        "model_ema": under("encoder.", average) | mlp("head."),
    }


def _scrl(online: State, target: State) -> dict[str, Any]:
    nets = {"online": online, "target": target}
    return {
        "tag": "last",
        **{
            f"{name}_network_state_dict": under("encoder.", numbered(net)) | mlp("projector.net.")
            for name, net in nets.items()
        },
        "predictor_state_dict": mlp("net."),
        "evaluator_state_dict": classifier("linear."),
        "xent_loss_state_dict": {},
        "optimizer_state_dict": OPTIMISER,
        "scaler_state_dict": {"scale": 1.0},
    }


def _instanceloc(c4: bool) -> Build:
    def build(query: State, key: State) -> dict[str, Any]:
        state: State = {}
        for suffix, network in (("", query), ("_k", key)):
            for name, tensor in network.items():
                shared = c4 and name.startswith("layer4.")
                state[f"roi_head{suffix}.shared_head.{name}" if shared else f"backbone{suffix}.{name}"] = tensor
            state |= convolution(f"neck{suffix}.lateral_convs.0.conv.") | mlp(f"roi_head{suffix}.bbox_head.shared_fcs.")
        return {"meta": {"epoch": 200}, "state_dict": state | queue() | {"queues": torch.zeros(4, 8, 16)}}

    return build


def _seco(query: State, key: State) -> dict[str, Any]:
    state = under("encoder_q.", numbered(query)) | under("encoder_k.", numbered(key)) | mlp("heads_q.0.")
    return training(state | mlp("heads_k.0.") | queue(), hyper_parameters={"base_encoder": "resnet50"})


def _virtex(only: State, _other: State) -> dict[str, Any]:
    state = under("visual.cnn.", only) | {"textual.embedding.words.weight": torch.zeros(9, 8)}
    return {"model": state | {"backward_textual.output.bias": torch.zeros(9)}, "iteration": 500000}


def of_huggingface(state: State) -> State:
    renamed: State = {}
    for name, tensor in state.items():
        *place, layer, leaf = name.split(".")
        kind = "convolution" if layer.startswith("conv") or name.endswith("downsample.0.weight") else "normalization"
        if not place:
            renamed[f"embedder.embedder.{kind}.{leaf}"] = tensor
            continue
        block = f"encoder.stages.{int(place[0][-1]) - 1}.layers.{place[1]}"
        inner = "shortcut" if place[-1] == "downsample" else f"layer.{int(layer[-1]) - 1}"
        renamed[f"{block}.{inner}.{kind}.{leaf}"] = tensor
    return renamed


def _huggingface(only: State, _other: State) -> dict[str, Any]:
    return under("resnet.", of_huggingface(only)) | classifier("classifier.1.")


def detector(norm_cfg: str = "", style: str = "", **heads: str) -> Build:
    """MMDetection's, with the text of the configuration that its trainers save, or without."""

    def build(only: State, _other: State) -> dict[str, Any]:
        state = under("backbone.", only) | convolution("neck.lateral_convs.0.conv.")
        state |= convolution("rpn_head.rpn_conv.") | mlp("roi_head.bbox_head.shared_fcs.")
        text = f"model = dict(backbone=dict(type='ResNet', style='{style}'))\n{norm_cfg}\n"
        meta = {"epoch": 12, "CLASSES": ("cat",)} | ({"config": text} if norm_cfg else {})
        return {"meta": meta, "state_dict": state, "optimizer": OPTIMISER}

    return build


PYTORCH = "img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)"
CAFFE = "data_preprocessor = dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False)"
ON_255 = type(IMAGENET)((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), 255.0, "RGB")


def _lightly_benchmark_dino(teacher: State, student: State) -> dict[str, Any]:
    state = under("backbone.", teacher) | under("student_backbone.", student) | mlp("projection_head.layers.")
    return training(state | mlp("student_projection_head.layers.") | classifier("online_classifier.linear."))


def _lightly_example_dino(teacher: State, student: State) -> dict[str, Any]:
    state = under("teacher_backbone.", numbered(teacher)) | under("student_backbone.", numbered(student))
    return training(state | mlp("student_head.layers.") | mlp("teacher_head.layers."))


def _lightly_key(online: State, momentum: State) -> dict[str, Any]:
    state = under("backbone.", online) | under("key_backbone.", momentum) | mlp("projection_head.layers.")
    return training(state | mlp("key_projection_head.layers.") | {"criterion.memory_bank.bank": torch.zeros(4, 4)})


def _lightly_query(teacher: State, student: State) -> dict[str, Any]:
    state = under("backbone.", teacher) | under("query_backbone.", student) | mlp("projection_head.layers.")
    return training(state | mlp("query_projection_head.layers."))


def _averaged(average: State, _other: State) -> dict[str, Any]:
    return under("module.", average | classifier()) | {"n_averaged": torch.tensor(9)}


def _with_average(only: State, average: State) -> dict[str, Any]:
    return {
        "model": only | classifier(),
        "model_ema": under("module.", average | classifier()) | {"n_averaged": torch.tensor(9)},
    }


def _lightning(query: State, key: State) -> dict[str, Any]:
    heads = mlp("fc.")
    state = under("encoder_q.", query | heads) | under("encoder_k.", key | heads) | queue()
    return training(under("model.", state) | {"train_acc.total": torch.tensor(3)}, callbacks={"x": {}}, loops={})


def fsdp(state: State) -> State:
    return {
        "_fsdp_wrapped_module." + name.replace(".conv1.", "._checkpoint_wrapped_module.conv1."): tensor
        for name, tensor in state.items()
    }


def _bare(only: State, _other: State) -> dict[str, Any]:
    return dict(only)


PAPER_LAYOUTS = (
    Layout("dino", "dino", _dino, "teacher", IMAGENET, "dino", "student"),
    Layout("dino_resnet50_pretrain", "dino", _bare, "teacher", IMAGENET, "dino", told="dino"),
    Layout("moco_v3", "moco-v3", _moco_v3, "online", IMAGENET, "moco_v3", "momentum", suffix=".pth.tar"),
    Layout("barlow_twins", "barlow-twins", _barlow_twins, "only", IMAGENET, "barlow_twins"),
    Layout("barlow_twins_resnet50", "barlow-twins", _bare, "only", IMAGENET, "barlow_twins", told="barlow-twins"),
    Layout("vicreg", "vicreg", _vicreg, "only", IMAGENET, "vicreg"),
    Layout("vicregl", "vicregl", _vicregl, "only", IMAGENET, "vicregl"),
    Layout("spark", "spark", _spark, "only", IMAGENET, "spark"),
    Layout("obow", "obow", _obow, "student", IMAGENET, "obow", "teacher", suffix=".pth.tar"),
    Layout("cp2", "cp2", _cp2, "query", IMAGENET, "cp2", "key", suffix=".pth.tar"),
    Layout("lewel", "lewel", _lewel, "online", IMAGENET, "lewel", "target"),
    Layout("resim", "resim", _resim, "query", IMAGENET, "resim", "key"),
    Layout("pixpro", "pixpro", _pixpro, "online", IMAGENET, "pixpro", "target"),
    Layout("soco_c4", "soco", _soco_c4, "online", IMAGENET, "soco", "target"),
    Layout("infomin", "pycontrast", _pycontrast, "only", IMAGENET, other_branch="ema"),
    Layout("scrl", "scrl", _scrl, "online", IMAGENET, "scrl", "target"),
    Layout("instanceloc_fpn", "instanceloc", _instanceloc(False), "query", IMAGENET, "instanceloc", "key"),
    Layout("instanceloc_c4", "instanceloc", _instanceloc(True), "query", IMAGENET, "instanceloc", "key"),
    Layout("seco", "seco", _seco, "query", IMAGENET, "seco", "key", suffix=".ckpt"),
    Layout("virtex", "virtex", _virtex, "only", IMAGENET, "virtex"),
    Layout("huggingface", "huggingface", _huggingface, "only", IMAGENET, suffix=".bin"),
    Layout("mmdet_pytorch", "openmmlab", detector(PYTORCH, "pytorch"), "only", ON_255),
    Layout("mmdet_caffe", "openmmlab", detector(CAFFE, "caffe"), "only", MSRA, stride_in="1x1"),
    Layout("lightly_dino", "lightly-teacher", _lightly_benchmark_dino, "teacher", IMAGENET, other_branch="student"),
    Layout(
        "lightly_dino_example", "lightly-teacher", _lightly_example_dino, "teacher", IMAGENET, other_branch="student"
    ),
    Layout("lightly_query", "lightly-teacher", _lightly_query, "teacher", IMAGENET, other_branch="student"),
    Layout("lightly_key", "lightly", _lightly_key, "online", IMAGENET, other_branch="momentum", suffix=".ckpt"),
    Layout("averaged_model", "torchvision", _averaged, "only", IMAGENET),
    Layout("torchvision_ema", "torchvision", _with_average, "only", IMAGENET, other_branch="ema"),
    Layout("lightning_moco", "moco", _lightning, "query", IMAGENET, "moco", "key", suffix=".ckpt"),
    Layout("fsdp", "torchvision", lambda only, _: fsdp(only | classifier()), "only", IMAGENET),
    Layout("net_container", "torchvision", lambda only, _: {"net": only | classifier()}, "only", IMAGENET),
    Layout("params_container", "torchvision", lambda only, _: {"params": only | classifier()}, "only", IMAGENET),
)
ALL_LAYOUTS = LAYOUTS + PAPER_LAYOUTS
