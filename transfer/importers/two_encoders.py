"""Families of papers' own trainers that train an encoder beside its running average, each told by its heads.

The layouts were read in the trainers that ``source`` names; where something is from memory, it says so.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Family
from transfer.importers.names import of_feature_blocks, of_sequential

_NORMALISES = "its transforms end in Normalize with ImageNet's statistics"
_MOCO_TRANSFERS = "the query encoder is what the gradient trains and what MoCo's converter takes"
_QUEUE = ("queue", "queue_ptr")


def _without_pyramid(name: str) -> str | None:
    return None if name.startswith(("fc.", "fpn_")) else name


DINO = Family(
    name="dino",
    title="DINO",
    rule="teacher: backbone.*, student: module.backbone.*, beside head.*; released: bare names",
    branches=(Branch("teacher", ("teacher.backbone.",)), Branch("student", ("student.backbone.",))),
    why="its authors evaluate and release the teacher",
    left_out="student, heads, dino_loss, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="DataAugmentationDINO normalises with ImageNet's statistics",
    source="facebookresearch/dino: main_dino.py",
    method="dino",
    needs=(("teacher.head.", "student.head."),),
    beside=("teacher.head.", "student.head.", "dino_loss."),
    released_bare=True,
)
MOCO_V3 = Family(
    name="moco-v3",
    title="MoCo v3",
    rule="module.base_encoder.*, module.momentum_encoder.*, beside predictor.*",
    branches=(Branch("online", ("base_encoder.",)), Branch("momentum", ("momentum_encoder.",))),
    why="its linear classification and its transfer load base_encoder",
    left_out="base_encoder.fc (projector), momentum_encoder, predictor, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="main_moco.py (from memory)",
    source="facebookresearch/moco-v3: moco/builder.py",
    method="moco_v3",
    needs=(("momentum_encoder.", "predictor."),),
    beside=("predictor.",),
)
OBOW = Family(
    name="obow",
    title="OBoW",
    rule="network: feature_extractor._feature_blocks.0.Conv.*, .0.bn.*, .1.* to .4.*; converted: bare names",
    branches=(
        Branch("student", ("feature_extractor._feature_blocks.", "_feature_blocks.")),
        Branch("teacher", ("feature_extractor_teacher._feature_blocks.",)),
    ),
    why="the features that are used at the end are the student's, which --convert-to-torchvision saves",
    left_out="feature_extractor_teacher, bow_predictor, bow_extractor, linear_classifier, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="obow/datasets.py",
    source="valeoai/obow: obow/builder_obow.py, feature_extractor.py, solver.py",
    method="obow",
    needs=(("feature_extractor._feature_blocks.0.Conv.", "_feature_blocks.0.Conv."),),
    beside=("bow_predictor.", "bow_extractor.", "linear_classifier.", "_alpha", "_iteration"),
    rename=of_feature_blocks,
    released_bare=True,
)
CP2 = Family(
    name="cp2",
    title="CP2",
    rule="module.encoder_q.backbone.*, beside encoder_q.decode_head.*",
    branches=(Branch("query", ("encoder_q.backbone.",)), Branch("key", ("encoder_k.backbone.",))),
    why=_MOCO_TRANSFERS,
    left_out="the decode heads, encoder_k, queue, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why=_NORMALISES,
    source="wangf3014/CP2: builder.py, main.py, configs/config_pretrain.py (style='pytorch')",
    method="cp2",
    needs=(("encoder_q.decode_head.", "encoder_k.decode_head."),),
    beside=("encoder_q.decode_head.", "encoder_k.decode_head.", *_QUEUE),
)
LEWEL = Family(
    name="lewel",
    title="LEWEL",
    rule="module.online_net.backbone.*, beside neck.proj_obj.* and predictor_obj.*; extracted: bare names",
    branches=(
        Branch("online", ("online_net.backbone.", "encoder_q.backbone.")),
        Branch("target", ("target_net.backbone.", "encoder_k.backbone.")),
    ),
    why="extract_backbone.py takes online_net (of its MoCo variant encoder_q)",
    left_out="necks, predictors, target_net, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="data/transforms.py (from memory)",
    source="LayneH/LEWEL: models/lewel.py, utils/extract_backbone.py",
    method="lewel",
    needs=(("online_net.neck.proj_obj.", "target_net.neck.proj_obj.", "encoder_q.neck.proj_obj."),),
    beside=(
        *(f"{net}.neck." for net in ("online_net", "target_net", "encoder_q", "encoder_k")),
        *("predictor.", "predictor_obj.", *_QUEUE),
    ),
    released_bare=True,
)
RESIM = Family(
    name="resim",
    title="ReSim",
    rule="module.encoder_q.*, beside encoder_q.fpn_lateral5.*",
    branches=(Branch("query", ("encoder_q.",)), Branch("key", ("encoder_k.",))),
    why=_MOCO_TRANSFERS,
    left_out="encoder_q.fc and fpn_*, encoder_k, queue, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="main_moco.py, MoCo's (from memory)",
    source="Tete-Xiao/ReSim: moco/builder.py, moco/models.py",
    method="resim",
    needs=(("encoder_q.fpn_*", "encoder_k.fpn_*"),),
    beside=_QUEUE,
    rename=_without_pyramid,
)
PIXPRO = Family(
    name="pixpro",
    title="PixPro",
    rule="model: module.encoder.*, beside value_transform.* and projector_k.*",
    branches=(Branch("online", ("encoder.",)), Branch("target", ("encoder_k.",))),
    why="its converter for Detectron2 takes module.encoder",
    left_out="encoder_k, projectors, value_transform, predictor, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="contrast/data/transform.py",
    source="zdaxie/PixPro: contrast/models/PixPro.py, transfer/detection/convert_pretrain_to_d2.py",
    method="pixpro",
    needs=(("value_transform.",), ("projector_k.",)),
    beside=(
        *(f"{part}{copy}." for part in ("projector", "projector_instance") for copy in ("", "_k")),
        *("value_transform.", "predictor."),
    ),
)
SCRL = Family(
    name="scrl",
    title="SCRL (and BYOL trained with its code)",
    rule="online_network_state_dict: encoder.0.*, ..., beside projector.*; predictor_state_dict",
    branches=(
        Branch("online", ("online_network_state_dict.encoder.",)),
        Branch("target", ("target_network_state_dict.encoder.",)),
    ),
    why="its evaluation loads the online network",
    left_out="projectors, target_network, predictor, evaluator, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="augment/normalize.py, whose default is ImageNet",
    source="kakaobrain/scrl: trainer/base.py, models/backbone.py",
    method="scrl",
    needs=(("online_network_state_dict.projector.",), ("predictor_state_dict.", "evaluator_state_dict.")),
    beside=(
        *("online_network_state_dict.projector.", "target_network_state_dict.projector."),
        *("predictor_state_dict.", "evaluator_state_dict.", "xent_loss_state_dict."),
    ),
    rename=of_sequential,
)
INSTANCE_LOC = Family(
    name="instanceloc",
    title="InstanceLoc",
    rule="backbone.*, backbone_k.*, beside roi_head_k.*; a C4 model keeps layer4 in roi_head.shared_head",
    branches=(Branch("query", ("backbone.",)), Branch("key", ("backbone_k.",))),
    why="its converter for Detectron2 takes backbone, not backbone_k",
    left_out="necks, heads, backbone_k, queues, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="configs/FPN: pictures are loaded as RGB, and to_rgb=False leaves them so",
    source="limbo0000/InstanceLoc: mmdet/models/detectors/insloc_fpn.py, transfer/detection/convert_pretrained.py",
    method="instanceloc",
    needs=(("backbone_k.",), ("roi_head_k.",)),
    beside=(
        *(f"{part}{copy}." for part in ("neck", "roi_head", "rpn_head") for copy in ("", "_k")),
        *("queues", *_QUEUE),
    ),
)
SECO = Family(
    name="seco",
    title="SeCo (Seasonal Contrast)",
    rule="encoder_q.0.*, encoder_q.1.*, encoder_q.4.* to encoder_q.7.*, beside heads_q.*",
    branches=(Branch("query", ("encoder_q.",)), Branch("key", ("encoder_k.",))),
    why="the query encoder is what the gradient trains and what its downstream tasks load",
    left_out="heads_q, heads_k, encoder_k, queue, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="datasets/seco_dataset.py, after satellite values were stretched to 8 bits",
    source="ServiceNow/seasonal-contrast: models/moco2_module.py, datasets",
    method="seco",
    needs=(("heads_q.", "heads_k."),),
    beside=("heads_q.", "heads_k.", *_QUEUE),
    rename=of_sequential,
)

FAMILIES = (DINO, MOCO_V3, OBOW, CP2, LEWEL, RESIM, PIXPRO, SCRL, INSTANCE_LOC, SECO)
