"""Hugging Face's ResNets (``microsoft/resnet-50``): names of their own, and settings in JSON files beside the weights.

``config.json`` says where a bottleneck strides (``downsample_in_bottleneck``) and whether the first stage does, which
no torchvision ResNet has; ``preprocessor_config.json`` says the statistics. Both are read where they lie beside the
file. Without them a classifier is taken for one of Microsoft's or trained from it (ImageNet's statistics, stride in the
3x3, the class's default), and of a bare network the preprocessing must be stated.
"""

from __future__ import annotations

from typing import Any

from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing
from transfer.importers.family import IMAGENET, Branch, Checkpoint, Family, Settings
from transfer.importers.names import of_huggingface
from transfer.importers.sidecar_json import read_sidecar, statistics

_MODEL, _IMAGES = "config.json", "preprocessor_config.json"


def _settings(checkpoint: Checkpoint) -> Settings:
    model, images = read_sidecar(checkpoint.path, _MODEL), read_sidecar(checkpoint.path, _IMAGES)
    if model.get("model_type") != "resnet":
        model = {}
    if model.get("downsample_in_first_stage"):
        raise UserError(
            f"{checkpoint.path}: its first stage strides (downsample_in_first_stage in {_MODEL}); only plain ResNets "
            "can be imported"
        )
    notes = [f"{name} beside the file was read" for name, content in ((_MODEL, model), (_IMAGES, images)) if content]
    preprocessing = _preprocessing(images)
    if preprocessing is None and any(name.startswith("classifier.") for name in checkpoint.tensors):
        preprocessing = IMAGENET
        notes.append(f"no {_IMAGES} beside the file: ImageNet's statistics, as Microsoft's classifiers have")
    if model:
        return Settings(preprocessing, "1x1" if model.get("downsample_in_bottleneck") else "3x3", notes=tuple(notes))
    notes.append(f"no {_MODEL} beside the file: the stride in the 3x3, Hugging Face's default")
    return Settings(preprocessing, "3x3", notes=tuple(notes))


def _preprocessing(images: dict[str, Any]) -> Preprocessing | None:
    factor = images.get("rescale_factor", 1 / 255)
    scaled = isinstance(factor, float) and abs(factor - 1 / 255) < 1e-6 and images.get("do_rescale", True)
    if not scaled or not images.get("do_normalize", True):
        return None
    return statistics(images.get("image_mean"), images.get("image_std"))


FAMILY = Family(
    name="huggingface",
    title="Hugging Face ResNet",
    rule="resnet.embedder.embedder.*, resnet.encoder.stages.0.layers.0.layer.0.*, ...",
    branches=(Branch("only", ("resnet.", "")),),
    why="there is one network",
    left_out="classifier",
    preprocessing=None,
    preprocessing_why=f"{_IMAGES} beside the file; without it a classifier's are ImageNet's, others must be stated",
    source="huggingface/transformers: models/resnet/modeling_resnet.py, configuration_resnet.py",
    needs=(("resnet.embedder.embedder.", "embedder.embedder."),),
    beside=("classifier.",),
    rename=of_huggingface,
    settings=_settings,
    may_be_bare=False,
)
