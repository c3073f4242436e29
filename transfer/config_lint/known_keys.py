"""Keys that the toolboxes know, by section, to tell a misspelt one from one of an extension."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from transfer.config_lint.settings import Setting
from transfer.config_lint.tree import Node

# A test holds these against the installed Detectron2.
DETECTRON2_KEYS: dict[str, str] = {
    "": "VERSION MODEL INPUT DATASETS DATALOADER SOLVER TEST OUTPUT_DIR SEED CUDNN_BENCHMARK VIS_PERIOD GLOBAL",
    "MODEL": "LOAD_PROPOSALS MASK_ON KEYPOINT_ON DEVICE META_ARCHITECTURE WEIGHTS PIXEL_MEAN PIXEL_STD BACKBONE FPN "
    "PROPOSAL_GENERATOR ANCHOR_GENERATOR RPN ROI_HEADS ROI_BOX_HEAD ROI_BOX_CASCADE_HEAD ROI_MASK_HEAD "
    "ROI_KEYPOINT_HEAD SEM_SEG_HEAD PANOPTIC_FPN RETINANET RESNETS",
    "MODEL.BACKBONE": "NAME FREEZE_AT",
    "MODEL.FPN": "IN_FEATURES OUT_CHANNELS NORM FUSE_TYPE",
    "MODEL.RESNETS": "DEPTH OUT_FEATURES NUM_GROUPS NORM WIDTH_PER_GROUP STRIDE_IN_1X1 RES5_DILATION "
    "RES2_OUT_CHANNELS STEM_OUT_CHANNELS DEFORM_ON_PER_STAGE DEFORM_MODULATED DEFORM_NUM_GROUPS",
    "INPUT": "MIN_SIZE_TRAIN MIN_SIZE_TRAIN_SAMPLING MAX_SIZE_TRAIN MIN_SIZE_TEST MAX_SIZE_TEST RANDOM_FLIP CROP "
    "FORMAT MASK_FORMAT",
    "INPUT.CROP": "ENABLED TYPE SIZE",
    "DATASETS": "TRAIN PROPOSAL_FILES_TRAIN PRECOMPUTED_PROPOSAL_TOPK_TRAIN TEST PROPOSAL_FILES_TEST "
    "PRECOMPUTED_PROPOSAL_TOPK_TEST",
    "SOLVER": "LR_SCHEDULER_NAME MAX_ITER BASE_LR BASE_LR_END MOMENTUM NESTEROV WEIGHT_DECAY WEIGHT_DECAY_NORM GAMMA "
    "STEPS NUM_DECAYS WARMUP_FACTOR WARMUP_ITERS WARMUP_METHOD RESCALE_INTERVAL CHECKPOINT_PERIOD IMS_PER_BATCH "
    "REFERENCE_WORLD_SIZE BIAS_LR_FACTOR WEIGHT_DECAY_BIAS CLIP_GRADIENTS AMP",
    "TEST": "EXPECTED_RESULTS EVAL_PERIOD KEYPOINT_OKS_SIGMAS DETECTIONS_PER_IMAGE AUG PRECISE_BN",
    "TEST.PRECISE_BN": "ENABLED NUM_ITER",
}
MM_KEYS: dict[str, str] = {
    "model.backbone": "type depth in_channels stem_channels base_channels num_stages strides dilations out_indices "
    "style deep_stem avg_down frozen_stages conv_cfg norm_cfg norm_eval dcn stage_with_dcn plugins multi_grid "
    "contract_dilation with_cp zero_init_residual pretrained init_cfg groups base_width",
    "model.backbone.norm_cfg": "type requires_grad eps momentum affine track_running_stats num_groups",
    "model.backbone.init_cfg": "type checkpoint prefix map_location",
    "model.data_preprocessor": "type mean std bgr_to_rgb rgb_to_bgr size size_divisor pad_val seg_pad_val "
    "pad_size_divisor pad_value pad_mask mask_pad_value pad_seg seg_pad_value boxtype2tensor non_blocking "
    "batch_augments test_cfg to_rgb img_pad_value",
}
# Keys of Detectron2's projects and of others' extensions that come close to its own.
_LETTERS = re.compile(r"[^0-9]+")
_EXTENSIONS = ("RESNEST", "REGNETS", "REGNET", "WEIGHT_DECAY_EMBED", "WEIGHT_DECAY_EMBED_GROUP")
_CLOSE, _VERY_CLOSE = 0.82, 0.9


def misspelt(root: Node, known: dict[str, str]) -> Iterator[tuple[Setting, str]]:
    """Keys that no toolbox knows and that are close to one that it does, with that one."""
    for section, names in known.items():
        node = root.get(section) if section else root
        if node is None or not isinstance(node.value, dict):
            continue
        right = names.split()
        by_lower = {name.lower().replace("_", ""): name for name in right}
        for key, child in node.value.items():
            if key in right or key in _EXTENSIONS or key.startswith("_"):
                continue
            same = by_lower.get(key.lower().replace("_", ""))
            close = [same] if same else difflib.get_close_matches(key, right, 1, _CLOSE)
            if not same and close and close[0] in node.value:  # both: rather one of an extension, unless very close
                close = difflib.get_close_matches(key, close, 1, _VERY_CLOSE)
            if close and (same or _LETTERS.sub("", key) == _LETTERS.sub("", close[0])):  # RES4_DILATION is no slip
                yield Setting(None, f"{section}.{key}" if section else key, child.place), close[0]
