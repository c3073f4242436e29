"""VISSL (Classy Vision): the trunk lies deep in the file, under ``classy_state_dict.base_model.model.trunk``.

Its names are ``_feature_blocks.conv1.weight`` and so on; the heads are another dictionary beside the trunk. Any method
may have trained it. After VISSL's ``convert_vissl_to_torchvision.py`` the names are bare: then ``--from vissl`` has to
say it. The preprocessing is that of VISSL's own configurations; weights that were only converted into its format
(Google's SimCLR, say) need another: state it.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Family

FAMILY = Family(
    name="vissl",
    title="VISSL",
    rule="classy_state_dict.base_model.model.trunk: _feature_blocks.*",
    branches=(Branch("only", ("_feature_blocks.", "trunk._feature_blocks.", "trunk.base_model._feature_blocks.")),),
    why="there is one trunk",
    left_out="the heads and the optimiser, which lie in other dictionaries",
    preprocessing=IMAGENET,
    preprocessing_why="configs/config/pretrain/swav/swav_8node_resnet.yaml; those of other methods were not read",
    beside=None,
    released_bare=True,
    source="facebookresearch/vissl: extra_scripts/convert_vissl_to_torchvision.py",
)
