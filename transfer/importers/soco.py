"""SoCo: the online network under ``module.encoder``, its target under ``encoder_k``, and an average of all in
``model_ema``.

Its converters take ``module.encoder.*`` of the state dict ``model``, or with ``--ema`` ``encoder.*`` of ``model_ema``;
without the flag, hence by default here, the online network. Only the backbone is taken, not the pretrained FPN and
head, which need its own Detectron2 configuration.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Family

FAMILY = Family(
    name="soco",
    title="SoCo",
    rule="model: module.encoder.*, beside head_k.* or (C4) queue; model_ema: encoder.*",
    branches=(
        Branch("online", ("encoder.",)),
        Branch("target", ("encoder_k.",)),
    ),
    why="its converters take the online encoder unless they are called with --ema",
    left_out="encoder_k, neck, head, projector, predictor and their _k copies, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="contrast/data/transform.py normalises with ImageNet's statistics",
    source="hologerry/SoCo: converter_detectron2/convert_detectron2_C4.py, contrast/models/SoCo_FPN.py",
    method="soco",
    needs=(("head_k.", "queue"),),
    beside=(
        *(f"{part}{copy}." for part in ("neck", "head", "projector") for copy in ("", "_k")),
        *("predictor.", "queue", "queue_ptr"),
    ),
)
