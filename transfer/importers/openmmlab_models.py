"""Trained models of MMDetection, MMSegmentation and their relatives: ``backbone.*`` beside heads that are no
self-supervision's.

Their backbones were trained on whatever the configuration said: RGB with ImageNet's statistics and the stride in the
3x3 convolution (``style='pytorch'``), or BGR without division and the stride in the first 1x1 (``style='caffe'``). The
tensors are named and shaped alike in both. So nothing is assumed: the configuration in the file tells, or the user.
A C4 detector keeps the last stage in ``roi_head.shared_head``; it is put back.
"""

from __future__ import annotations

from transfer.importers.family import Branch, Family
from transfer.importers.openmmlab_config_text import settings

FAMILY = Family(
    name="openmmlab",
    title="a trained model of MMDetection, MMSegmentation or a relative",
    rule="backbone.*, beside rpn_head, roi_head, bbox_head, mask_head, decode_head, ...",
    branches=(Branch("only", ("backbone.",)),),
    why="there is one backbone",
    left_out="neck and heads, optimiser",
    preprocessing=None,
    preprocessing_why="the configuration in the file (meta) says it, or it must be stated, and the stride too",
    source="open-mmlab/mmdetection, mmsegmentation: the attributes of their detectors and segmentors (from memory)",
    methods=("mmdet", "mmseg"),
    needs=(
        (
            *(
                "rpn_head.",
                "roi_head.",
                "bbox_head.",
                "mask_head.",
                "decode_head.",
                "auxiliary_head.",
                "panoptic_head.",
            ),
            *(
                "keypoint_head.",
                "cls_head.",
                "semantic_head.",
                "seg_head.",
                "rpn.",
                "neck.lateral_convs.",
                "neck.fpn_convs.",
            ),
            *("panoptic_fusion_head.", "mask_feat_head.", "head.deconv_layers.", "head.final_layer.", "neck.convs."),
        ),
    ),
    beside=(
        *("neck.", "rpn_head.", "roi_head.", "bbox_head.", "mask_head.", "decode_head.", "auxiliary_head.", "head."),
        *("keypoint_head.", "cls_head.", "panoptic_head.", "semantic_head.", "seg_head.", "panoptic_fusion_head."),
        *("mask_feat_head.", "mask_iou_head.", "shared_head.", "rpn.", "data_preprocessor.", "encoder.", "decoder."),
        *("query_embedding.", "level_embed", "positional_encoding.", "segm_head.", "ema_*", "dn_query_generator."),
        *("memory_trans_fc.", "memory_trans_norm.", "text_feat_map.", "language_model.", "query_head.", "loss_*"),
    ),
    settings=settings,
    stride_in=None,
    may_be_bare=False,
)
