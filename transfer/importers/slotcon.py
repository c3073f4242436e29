"""SlotCon: the teacher, ``module.encoder_k``, is what its authors transfer; ``encoder_q`` is the student.

The names are MoCo's with the roles turned round. What tells the two apart are SlotCon's grouping modules.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Family

FAMILY = Family(
    name="slotcon",
    title="SlotCon",
    rule="model: module.encoder_k.*, beside module.grouping_k.*",
    branches=(Branch("teacher", ("encoder_k.",)), Branch("student", ("encoder_q.",))),
    why="its converters for Detectron2 and OpenMMLab take encoder_k, the teacher",
    left_out="encoder_q, projector_q, projector_k, grouping_q, grouping_k, predictor_slot, center, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="data/transforms.py normalises with ImageNet's statistics",
    source="CVMI-Lab/SlotCon: transfer/detection/convert_pretrain_to_d2.py, models/slotcon.py",
    method="slotcon",
    needs=(("grouping_q.", "grouping_k."),),
    beside=("grouping_q.", "grouping_k.", "projector_q.", "projector_k.", "predictor_slot.", "center"),
)
