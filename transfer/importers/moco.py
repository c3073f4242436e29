"""MoCo v1 and v2, as their reference code saves them: ``{"state_dict": {"module.encoder_q.conv1.weight": ...}}``.

The branch is the query encoder, which the gradient trains and which the papers transfer; ``encoder_k`` is its moving
average. Left out: ``encoder_q.fc`` (v1: linear, v2: MLP projection head), ``encoder_k``, ``queue``, ``queue_ptr``.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Family

FAMILY = Family(
    name="moco",
    title="MoCo v1, v2",
    rule="module.encoder_q.*",
    branches=(Branch("query", ("encoder_q.",)), Branch("key", ("encoder_k.",))),
    why="the query encoder is what the gradient trains and what the papers transfer",
    left_out="encoder_q.fc (linear or MLP head), encoder_k, queue, queue_ptr, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="main_moco.py normalises with ImageNet's statistics",
    source="facebookresearch/moco: detection/convert-pretrain-to-detectron2.py",
    method="moco",
    beside=("queue", "queue_ptr"),
)
