"""torchvision's and timm's ResNets, which have the same names: ``conv1.weight``, ``layer1.0.conv1.weight``, ...

With ``fc``, a file of these names is a classifier of theirs, trained with ImageNet's statistics. (Of the 47 weights
that timm 1.0 lists for ResNet-18 to -152 one was not: ``resnet34.ra4_e3600_r224_in1k`` wants ``--mean 0.5 0.5 0.5
--std 0.5 0.5 0.5 --value-range 1``.) Without ``fc`` bare names may be anybody's: extracted from OpenSelfSup, converted
from Google's SimCLR, which is not normalised, ... Then ``--from`` must say whose. So it must for a classifier under
``state_dict`` without ``module.``, which may be SimCLR's. timm's training keeps an average in ``state_dict_ema``.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Family

FAMILY = Family(
    name="torchvision",
    title="torchvision, timm",
    rule="conv1.*, layer1.0.conv1.*, ..., fc.*",
    branches=(Branch("only", ("",)), Branch("ema", ("state_dict_ema/",))),
    why="there is one network; timm's training may keep an average beside it",
    left_out="fc, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="the classifiers of both packages, with one exception in timm",
    source="the installed packages torchvision and timm",
    methods=("timm",),
    refuses=("projection_head.", "prototypes."),
)
