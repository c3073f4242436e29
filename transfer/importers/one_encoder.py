"""Families of papers' own trainers that train one encoder, each told by what lies beside it.

The layouts were read in the trainers that ``source`` names; where something is from memory, it says so.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Checkpoint, Family

_ONE = "there is one network"
_NORMALISES = "its transforms end in Normalize with ImageNet's statistics"


def _branch(*prefixes: str) -> tuple[Branch, ...]:
    return (Branch("only", prefixes),)


def _has_expander(checkpoint: Checkpoint) -> bool:
    """Three layers, two norms, and a bias in every layer but the last: VICReg's, not just any projector."""
    names = set(checkpoint.tensors)
    layers = {f"projector.{layer}" for layer in ("0.bias", "1.running_mean", "3.bias", "4.running_mean", "6.weight")}
    return layers <= names and "projector.6.bias" not in names and checkpoint.container == "model"


def _keeps_a_memory(checkpoint: Checkpoint) -> bool:
    return "contrast" in checkpoint.keys or "model_ema" in checkpoint.keys


BARLOW_TWINS = Family(
    name="barlow-twins",
    title="Barlow Twins",
    rule="model: module.backbone.*, beside projector.* and bn.*; released: bare names",
    branches=_branch("backbone."),
    why=_ONE,
    left_out="projector, bn, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why=_NORMALISES,
    source="facebookresearch/barlowtwins: main.py",
    method="barlow_twins",
    needs=(("projector.",), ("bn.running_mean",)),
    beside=("projector.", "bn."),
    released_bare=True,
)
VICREG = Family(
    name="vicreg",
    title="VICReg",
    rule="model: module.backbone.*, beside projector.0 to projector.6; released: bare names",
    branches=_branch("backbone."),
    why=_ONE,
    left_out="projector, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="augmentations.py (from memory)",
    source="facebookresearch/vicreg: main_vicreg.py",
    method="vicreg",
    needs=(("projector.",),),
    beside=("projector.",),
    condition=_has_expander,
    released_bare=True,
)
VICREGL = Family(
    name="vicregl",
    title="VICRegL",
    rule="model: module.backbone.*, beside maps_projector.* and classifier.*; released: bare names",
    branches=_branch("backbone."),
    why=_ONE,
    left_out="maps_projector, projector, classifier, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="transforms.py (from memory)",
    source="facebookresearch/VICRegL: main_vicregl.py, utils.py",
    method="vicregl",
    needs=(("maps_projector.",),),
    beside=("maps_projector.", "projector.", "classifier."),
    released_bare=True,
)
SPARK = Family(
    name="spark",
    title="SparK",
    rule="module: sparse_encoder.sp_cnn.*, beside dense_decoder.*; released: bare names",
    branches=_branch("sparse_encoder.sp_cnn."),
    why=_ONE,
    left_out="dense_decoder, densify_norms, densify_projs, mask_tokens, buffers, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="pretrain/utils/imagenet.py normalises with ImageNet's statistics",
    source="keyu-tian/SparK: pretrain/spark.py, encoder.py, utils/misc.py",
    method="spark",
    needs=(("dense_decoder.",),),
    beside=("dense_decoder.", "densify_norms.", "densify_projs.", "mask_tokens.", "imn_m", "imn_s", "norm_black"),
    released_bare=True,
)
VIRTEX = Family(
    name="virtex",
    title="VirTex",
    rule="model: visual.cnn.*, beside textual.*",
    branches=_branch("visual.cnn."),
    why="there is one visual network",
    left_out="visual.projection, textual, backward_textual, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="virtex/data/transforms.py: RGB, ImageNet's statistics (from memory)",
    source="kdexd/virtex: virtex/modules/visual_backbones.py; the model's names from memory",
    method="virtex",
    needs=(("textual.",),),
    beside=("visual.projection.", "textual.", "backward_textual.", "padding_idx", "caption_backward*", "linear."),
)
PYCONTRAST = Family(
    name="pycontrast",
    title="PyContrast (InsDis, MoCo, PIRL, InfoMin)",
    rule="model: module.encoder.*, beside head.*; the file also has contrast or model_ema",
    branches=_branch("encoder."),
    why="its converter takes the trained encoder unless it is called with --ema",
    left_out="head, head_jig, contrast (the memory), optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="datasets/util.py, for RGB (its CMC has two encoders, which are no ResNets of three channels)",
    source="HobbitLong/PyContrast: networks/build_backbone.py, learning/contrast_trainer.py, detection",
    methods=("infomin", "pirl", "insdis"),
    needs=(("head.",),),
    beside=("head.", "head_jig."),
    condition=_keeps_a_memory,
)
SUPCONTRAST = Family(
    name="supcontrast",
    title="SupContrast (SupCon, SimCLR)",
    rule="model: encoder.*, or encoder.module.*, beside head.*; the file also has opt",
    branches=_branch("encoder."),
    why=_ONE,
    left_out="head, optimiser",
    preprocessing=None,
    preprocessing_why="must be stated: it is that of the data (CIFAR, or a folder with statistics given by hand)",
    source="HobbitLong/SupContrast: networks/resnet_big.py; main_supcon.py from memory",
    methods=("supcon",),
    needs=(("head.",),),
    beside=("head.",),
    condition=lambda checkpoint: "opt" in checkpoint.keys and not _keeps_a_memory(checkpoint),
)
TORCHVISION_DETECTION = Family(
    name="torchvision-detection",
    title="torchvision's detectors",
    rule="backbone.body.*, beside backbone.fpn.*, rpn.* and roi_heads.*",
    branches=_branch("backbone.body."),
    why=_ONE,
    left_out="fpn, rpn, roi_heads, head",
    preprocessing=IMAGENET,
    preprocessing_why="GeneralizedRCNNTransform's default",
    source="the installed package torchvision",
    needs=(("rpn.", "head."),),
    beside=("backbone.fpn.", "rpn.", "roi_heads.", "head."),
    may_be_bare=False,
)
TORCHVISION_SEGMENTATION = Family(
    name="torchvision-segmentation",
    title="torchvision's segmentation networks",
    rule="backbone.*, beside classifier.* and aux_classifier.*",
    branches=_branch("backbone."),
    why=_ONE,
    left_out="classifier, aux_classifier",
    preprocessing=IMAGENET,
    preprocessing_why="the transforms of its weights",
    source="the installed package torchvision",
    needs=(("classifier.4.", "aux_classifier.4."),),
    beside=("classifier.", "aux_classifier."),
    may_be_bare=False,
)
DETR = Family(
    name="detr",
    title="DETR",
    rule="model: backbone.0.body.*, beside transformer.*",
    branches=_branch("backbone.0.body."),
    why=_ONE,
    left_out="transformer, class_embed, bbox_embed, query_embed, input_proj, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="datasets/coco.py (from memory)",
    source="facebookresearch/detr: models/backbone.py, detr.py (from memory)",
    needs=(("transformer.",), ("class_embed.",)),
    beside=("transformer.", "class_embed.", "bbox_embed.", "query_embed.", "input_proj.", "backbone.1."),
    may_be_bare=False,
)

FAMILIES = (
    *(BARLOW_TWINS, VICREG, VICREGL, SPARK, VIRTEX, PYCONTRAST, SUPCONTRAST),
    *(TORCHVISION_DETECTION, TORCHVISION_SEGMENTATION, DETR),
)
