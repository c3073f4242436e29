"""torchvision's and timm's ResNets, which have the same names: ``conv1.weight``, ``layer1.0.conv1.weight``, ...

With ``fc``, a file of these names is a classifier of theirs, trained with ImageNet's statistics. (Of the 47 weights
that timm 1.0 lists for ResNet-18 to -152 one was not: ``resnet34.ra4_e3600_r224_in1k`` wants ``--mean 0.5 0.5 0.5
--std 0.5 0.5 0.5 --value-range 1``. timm's ``config.json`` says it, and is read where it lies beside the file.) Without
``fc`` bare names may be anybody's: extracted from OpenSelfSup, converted from Google's SimCLR, which is not normalised,
... Then ``--from`` must say whose. So it must for a classifier under ``state_dict`` without ``module.``, which may be
SimCLR's. timm's training keeps an average in ``state_dict_ema``.
"""

from __future__ import annotations

from scenebench.errors import UserError
from transfer.importers.family import IMAGENET, ONLY, Checkpoint, Family, Settings
from transfer.importers.fitting import only_a_classifier
from transfer.importers.sidecar_json import read_sidecar, statistics
from transfer.untrusted.refusal import shown

_SETTINGS = "config.json"


def _timm_settings(checkpoint: Checkpoint) -> Settings:
    content = read_sidecar(checkpoint.path, _SETTINGS)
    if "blur" in str(content.get("architecture", "")):
        raise UserError(
            f"{checkpoint.path}: {_SETTINGS} beside it says {shown(content['architecture'])}, which blurs before it "
            "strides; only plain ResNets can be imported"
        )
    trained = content.get("pretrained_cfg")
    if not isinstance(trained, dict):
        return Settings()
    preprocessing = statistics(trained.get("mean"), trained.get("std"))
    return Settings(preprocessing, notes=(f"{_SETTINGS} beside the file was read",) if preprocessing else ())


FAMILY = Family(
    name="torchvision",
    title="torchvision, timm",
    rule="conv1.*, layer1.0.conv1.*, ..., fc.*",
    branches=ONLY,
    why="there is one network; an average may lie beside it (ema)",
    left_out="fc, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="the classifiers of both packages, with one exception in timm",
    source="the installed packages torchvision and timm",
    methods=("timm",),
    condition=only_a_classifier,
    settings=_timm_settings,
    released_bare=True,
)
