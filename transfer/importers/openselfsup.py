"""DenseCL, ORL and whatever else was trained with OpenSelfSup or MMSelfSup 0.x.

The model keeps both encoders as ``Sequential(backbone, neck)`` (``encoder_q`` and ``encoder_k``, or for BYOL and ORL
``online_net`` and ``target_net``) and names the first encoder's backbone a second time, ``backbone``. A training
checkpoint therefore holds the same tensors twice; if the two copies differ, the file is refused.
``extract_backbone_weights.py`` keeps only ``backbone.*`` and strips the prefix, which leaves torchvision's bare names:
nothing in such a file says where it is from, so that ``--from densecl`` has to.

DenseCL's and BYOL's model files were read; of ORL's only the beginning (a class of OpenSelfSup with the arguments of
BYOL's), so that its two names are taken to be BYOL's.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Family
from transfer.importers.openmmlab_config_text import settings

_ENCODERS = ("encoder_q.0.", "online_net.0.")


FAMILY = Family(
    name="openselfsup",
    title="DenseCL, ORL, OpenSelfSup, MMSelfSup 0.x",
    rule="backbone.*, the same as encoder_q.0.* or online_net.0.*; after extract_backbone_weights bare names",
    branches=(
        Branch("online", ("backbone.", *_ENCODERS)),
        Branch("target", ("encoder_k.0.", "target_net.0.")),
    ),
    why="extract_backbone_weights.py takes backbone.*, the encoder that the gradient trains",
    left_out="the necks (encoder_q.1, online_net.1), encoder_k, target_net, head, queue, queue2, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="img_norm_cfg of its configurations",
    source="WXinlong/DenseCL: openselfsup/models/densecl.py; open-mmlab/mmselfsup: extract_backbone_weights.py",
    methods=("densecl", "orl", "openselfsup-byol"),
    needs=(_ENCODERS,),
    beside=(
        *(f"{encoder}.{part}." for encoder in ("encoder_q", "encoder_k") for part in ("1", "2")),
        *("online_net.1.", "target_net.1.", "neck.", "head.", "queue", "queue_ptr", "queue2", "queue2_ptr"),
    ),
    settings=settings,
    released_bare=True,
)
