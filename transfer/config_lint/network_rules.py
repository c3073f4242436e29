"""Rules on the network that receives the weights: its stem, strides, depth, norms and frozen parts."""

from __future__ import annotations

from collections.abc import Iterator

from transfer.config_lint.rule import ERROR, NOTE, WARNING, Hit, Rule
from transfer.config_lint.settings import Settings
from transfer.config_lint.weights import Weights

_PLAIN_C4_HEADS = ("Res5ROIHeads", "ResLayer")
_BATCH_NORMS = ("BN", "BN2d", "SyncBN", "naiveSyncBN", "nnSyncBN", "MMSyncBN", "NaiveSyncBN", "TorchSyncBN")
_FROZEN_NORMS = ("FrozenBN",)
_OTHER_NORMS = ("", "GN", "LN", "IN")
_EPS = 1e-5


def check_stride_style(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """The stride of a bottleneck in another convolution than in the weights' network."""
    found = settings.stride_in
    if weights and weights.stride_in and found and found.value != weights.stride_in and not _shallow(settings):
        detail = (
            f"stride in the {found.value} convolution{found.origin}; the weights have it in the {weights.stride_in}"
        )
        yield Hit.on(found, detail, weights)


def check_stem(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """A deep stem (V1c) for weights with a plain one, or the reverse."""
    names = {"deep": "a deep stem (three 3x3)", "conv7x7": "a plain 7x7 stem"}
    found = settings.stem
    if weights and weights.stem and found and found.value != weights.stem:
        yield Hit.on_network(found, f"{names[found.value]}; the weights have {names[weights.stem]}", weights)


def check_architecture(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Another depth or width than the weights'."""
    if weights is None:
        return
    for found, own in ((settings.depth, weights.depth), (settings.stem_width, weights.stem_width)):
        if found is not None and own is not None and found.value != own:
            yield Hit.on_network(found, f"{found.value}{found.origin}; the weights have {own}", weights)


def check_groups(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Other groups in the 3x3 convolutions than the weights' (ResNeXt), or another width of a group."""
    if weights is None or _shallow(settings):
        return
    other_width = settings.stem_width and weights.stem_width and settings.stem_width.value != weights.stem_width
    group_width = None if other_width else settings.group_width  # the whole network's width is told by itself
    if group_width and settings.stem_width and weights.stem_width is None and group_width.value != 64:
        wide = group_width.value == settings.stem_width.value  # every channel scaled: so are the weights
        group_width = None if wide else group_width
    for found, own in ((settings.groups, weights.groups), (group_width, weights.group_width)):
        if found is not None and own is not None and found.value != own:
            yield Hit.on_network(found, f"{found.value}{found.origin}; the weights have {own}", weights)


def check_norm_type(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Norms of another kind than the weights'."""
    found = settings.norm
    if weights is None or weights.norm is None or found is None or not isinstance(found.value, str):
        return
    kind = "BN" if found.value in (*_BATCH_NORMS, *_FROZEN_NORMS) else found.value
    if kind in ("BN", *_OTHER_NORMS) and kind != weights.norm:
        named = found.value or "no norm"
        own = "batch norms" if weights.norm == "BN" else "group norms"
        yield Hit.on_network(found, f"{named}{found.origin}; the weights have {own}", weights)


def check_norm_eps(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Another epsilon than PyTorch's, with which the suite's and torchvision's weights were trained."""
    found = settings.norm_eps
    if weights and weights.norm == "BN" and found and isinstance(found.value, float) and found.value != _EPS:
        yield Hit.on(found, f"{found.value}; the weights were trained with {_EPS}", weights)


def check_frozen_norm(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Norm layers that never learn, with self-supervised weights."""
    found = settings.frozen_norm
    if _self_supervised(weights) and found and found.value:
        yield Hit.on(found, f"the backbone's norms are frozen{found.origin}", weights)


def check_norm_eval(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Running statistics kept at the weights' throughout training."""
    found = settings.norm_in_eval
    if _self_supervised(weights) and found and found.value is True:
        yield Hit.on(found, f"norm_eval is True{found.origin}", weights)


def check_frozen_stages(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Stages that do not learn, with self-supervised weights."""
    found = settings.frozen_stages
    if _self_supervised(weights) and found and found.value:
        yield Hit.on(found, f"the first stages of the backbone are frozen{found.origin}", weights)


def check_frozen_random(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Random weights with frozen parts."""
    load_from = settings.config.root.get("load_from")
    if weights is not None or (load_from is not None and load_from.value):
        return
    if any(source.init_type == "Pretrained" for source in settings.sources):
        return  # an empty checkpoint is for the command line to fill
    stated = [source.name for source in settings.sources if source.name.written]
    if not stated or any(name.value for name in stated):
        return
    frozen = [part for part in (settings.frozen_norm, settings.frozen_stages) if part is not None and part.value]
    if frozen:
        parts = " and ".join(f"{part.key}{part.origin}" for part in frozen)
        yield Hit.on(stated[0], f"no weights, but {parts} keep parts of the network at random values")


def check_neck_norm(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """An FPN without norm, with self-supervised weights."""
    found = settings.neck_norm
    if _self_supervised(weights) and found and found.value == "":
        yield Hit.on(found, f"the FPN has no norm{found.origin}", weights)


def check_c4_extra_norm(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """A C4 head without the extra norm of the self-supervised protocol."""
    found = settings.c4_head
    if _self_supervised(weights) and found and found.value in _PLAIN_C4_HEADS:
        yield Hit.on(found, f"{found.value}{found.origin} has no norm after res5", weights)


def check_precise_bn(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Batch norm that learns, its statistics not estimated anew before evaluation."""
    found = settings.precise_bn
    learns = settings.norm is not None and settings.norm.value in _BATCH_NORMS
    if _self_supervised(weights) and learns and found and found.value is False:
        yield Hit.on(found, f"PreciseBN is off{found.origin}", weights)


def check_sync_bn_alone(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """Synchronised batch norm where only one device trains."""
    norm, alone = settings.norm, settings.one_device
    if norm and alone and "Sync" in str(norm.value):
        yield Hit.on(norm, f"{norm.value}, and {alone.key} says that one device trains ({alone.place})")


def _self_supervised(weights: Weights | None) -> bool:
    return weights is not None and weights.self_supervised


def _shallow(settings: Settings) -> bool:
    """Basic blocks (R18, R34) have no 1x1 convolution that could carry the stride."""
    return settings.depth is not None and settings.depth.value in (18, 34)


RULES = (
    Rule(
        "stride-style",
        ERROR,
        "stride in the 1x1 or the 3x3 convolution against the weights",
        "All tensors load (265 of 265), and the network computes something else: cosine 0.504 of the last stage.",
        "style='pytorch' for torchvision-style weights, 'caffe' for MSRA's.",
        "MODEL.RESNETS.STRIDE_IN_1X1: False for torchvision-style weights, True for MSRA's.",
        check_stride_style,
    ),
    Rule(
        "deep-stem",
        ERROR,
        "V1c or V1d with weights of a plain stem, or the reverse",
        "260 of 275 tensors load and none of the stem's 15: the first layers stay random, silently.",
        "type='ResNet' and pretrained=None for weights with a 7x7 stem.",
        check=check_stem,
    ),
    Rule(
        "architecture",
        ERROR,
        "another depth or width than the weights'",
        "A loader that matches names takes what fits: R101 into R50 loads 265 tensors, R50 of double width only 5.",
        "Write the weights' own depth, stem_channels and base_channels.",
        "Write the weights' own MODEL.RESNETS.DEPTH and STEM_OUT_CHANNELS.",
        check_architecture,
    ),
    Rule(
        "groups",
        ERROR,
        "another number or width of groups than the weights' (ResNeXt)",
        "176 tensors of ResNet-50 have another shape and stay random, with a warning per tensor at most.",
        "type='ResNet' for plain weights, or the weights' own groups and base_width.",
        "Write the weights' own MODEL.RESNETS.NUM_GROUPS and WIDTH_PER_GROUP (1 and 64 for plain ones).",
        check_groups,
    ),
    Rule(
        "norm-type",
        ERROR,
        "norms of another kind than the weights'",
        "The running statistics of batch norm find no place (106 tensors under group norm, 212 with no norm at all), "
        "and the rest computes something else.",
        "norm_cfg=dict(type='SyncBN', requires_grad=True) for weights with batch norm.",
        "MODEL.RESNETS.NORM: SyncBN (BN on one device) for weights with batch norm.",
        check_norm_type,
    ),
    Rule(
        "norm-eps",
        WARNING,
        "another epsilon of the norms than the weights'",
        "Channels of small variance, of which self-supervised networks have many, come out smaller than they were.",
        "Leave eps out of norm_cfg (1e-5).",
        check=check_norm_eps,
    ),
    Rule(
        "frozen-norm",
        ERROR,
        "frozen norms (FrozenBN, requires_grad=False) with self-supervised weights",
        "Self-supervised statistics and scales are not made to be kept: the protocols train them (SyncBN). With "
        "FrozenBN only 265 of 318 tensors even have a place.",
        "norm_cfg=dict(type='SyncBN', requires_grad=True), norm_eval=False.",
        "MODEL.RESNETS.NORM: SyncBN (BN on one device).",
        check_frozen_norm,
    ),
    Rule(
        "norm-eval",
        WARNING,
        "norm_eval=True with self-supervised weights",
        "The running statistics stay those of pretraining, while the protocols of MoCo and its successors adapt them.",
        "norm_eval=False; mmdet's ResNet has True by default.",
        check=check_norm_eval,
    ),
    Rule(
        "frozen-stages",
        ERROR,
        "FREEZE_AT or frozen_stages with self-supervised weights",
        "Detectron2 freezes the stem and res2 by default; the published self-supervised numbers train all of it.",
        "frozen_stages=-1.",
        "MODEL.BACKBONE.FREEZE_AT: 0.",
        check_frozen_stages,
    ),
    Rule(
        "frozen-random",
        ERROR,
        "frozen parts, but no weights",
        "What is frozen stays at random values for the whole training.",
        "Name the weights, or frozen_stages=-1 and a norm that learns.",
        "Name MODEL.WEIGHTS, or FREEZE_AT: 0 and NORM: SyncBN (BN on one device).",
        check_frozen_random,
    ),
    Rule(
        "neck-norm",
        WARNING,
        "FPN without norm, with self-supervised weights",
        "The published self-supervised FPN numbers (MoCo, DenseCL, ORL, SlotCon) have SyncBN there: another protocol, "
        "not comparable with theirs.",
        "neck=dict(norm_cfg=dict(type='SyncBN', requires_grad=True)).",
        "MODEL.FPN.NORM: SyncBN (BN on one device).",
        check_neck_norm,
    ),
    Rule(
        "c4-extra-norm",
        NOTE,
        "C4 head without the extra norm after res5",
        "MoCo's C4 protocol adds a norm there (roi_heads.res5.norm, 'not found in checkpoint' by design); without it "
        "the numbers are another protocol's.",
        "shared_head=dict(type='ResLayerExtraNorm', norm_cfg=dict(type='SyncBN')).",
        "MODEL.ROI_HEADS.NAME: Res5ROIHeadsExtraNorm, registered by the training script.",
        check_c4_extra_norm,
    ),
    Rule(
        "precise-bn",
        NOTE,
        "PreciseBN off while batch norm learns",
        "MoCo's configurations estimate the statistics anew before each evaluation; without it few-image batches are "
        "noisier.",
        "Nothing in mmseg and mmdet.",
        "TEST.PRECISE_BN.ENABLED: True.",
        check_precise_bn,
    ),
    Rule(
        "sync-bn-alone",
        NOTE,
        "SyncBN where one device trains",
        "With one process it is ordinary batch norm, over that device's few images.",
        "type='BN' for one device.",
        "MODEL.RESNETS.NORM: BN for one device.",
        check_sync_bn_alone,
    ),
)
