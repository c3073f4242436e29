"""MMSegmentation's and MMDetection's keys in the rules' common terms."""

from __future__ import annotations

from typing import Any

from transfer.config_lint.settings import Inputs, Lookup, Setting, Settings, Source, translated
from transfer.config_lint.tree import UNKNOWN, Config, Node, Place

# Both toolboxes' ResNet by the default of its class; they differ in one.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "mmseg": {"style": "pytorch", "frozen_stages": -1, "norm_eval": False, "norm_cfg.type": "BN"},
    "mmdet": {"style": "pytorch", "frozen_stages": -1, "norm_eval": True, "norm_cfg.type": "BN"},
}
_DEEP_STEMS = ("ResNetV1c", "ResNetV1d")
_PLAIN_STEMS = ("ResNet",)


def mm_settings(config: Config) -> Settings:
    """The settings of a configuration of mmseg or mmdet."""
    lookup = Lookup(config)
    defaults = _DEFAULTS[config.engine]
    backbone = config.root.get("model.backbone")
    kind = _kind(lookup)
    is_resnet = kind is not None and kind.value in (*_DEEP_STEMS, *_PLAIN_STEMS)

    def find(key: str) -> Setting | None:
        if backbone is None or not is_resnet:
            return None
        return lookup.find(f"model.backbone.{key}", defaults.get(key))

    style, frozen = find("style"), find("frozen_stages")
    trainable = find("norm_cfg.requires_grad")
    return Settings(
        config=config,
        is_resnet=is_resnet,
        inputs=_inputs(config, lookup),
        sources=_sources(lookup),
        stride_in=translated(style, "1x1" if style and style.value == "caffe" else "3x3"),
        stem=_stem(kind, find("deep_stem")) if is_resnet else None,
        depth=find("depth"),
        stem_width=find("base_channels"),
        norm=find("norm_cfg.type"),
        frozen_norm=translated(trainable, trainable is not None and trainable.value is False),
        norm_in_eval=find("norm_eval"),
        frozen_stages=translated(frozen, frozen is not None and isinstance(frozen.value, int) and frozen.value >= 0),
        neck_norm=_neck_norm(lookup),
        c4_head=lookup.find("model.roi_head.shared_head.type"),
        one_device=_one_device(lookup),
        computed=lookup.computed,
    )


def _kind(lookup: Lookup) -> Setting | None:
    """The class of the backbone; new-style files name it by the class itself, older ones may have ``mmdet.ResNet``."""
    kind = lookup.find("model.backbone.type")
    return translated(kind, str(kind.value).rpartition(".")[2]) if kind else None


def _stem(kind: Setting | None, deep_stem: Setting | None) -> Setting | None:
    if deep_stem is not None and deep_stem.value is True:
        return translated(deep_stem, "deep")
    return translated(kind, "deep" if kind and kind.value in _DEEP_STEMS else "conv7x7")


def _sources(lookup: Lookup) -> list[Source]:
    """Where weights are named: ``pretrained`` of model and backbone, ``init_cfg`` of backbone and shared head."""
    sources = []
    for key, kind in (("model.pretrained", "model"), ("model.backbone.pretrained", "backbone")):
        named = lookup.find(key)
        if named is not None:
            sources.append(Source(named, kind))
    for owner, kind in (("model.backbone", "backbone"), ("model.roi_head.shared_head", "shared_head")):
        checkpoint = lookup.find(f"{owner}.init_cfg.checkpoint")
        if checkpoint is not None:
            prefix = lookup.find(f"{owner}.init_cfg.prefix")
            sources.append(Source(checkpoint, kind, None if prefix is None else str(prefix.value)))
    return sources


def _inputs(config: Config, lookup: Lookup) -> list[Inputs]:
    """Every dict with a ``mean`` and a ``std`` of three values: preprocessors, ``img_norm_cfg``, Normalize steps.

    The model's own ``data_preprocessor`` comes before the one beside the model, which then does nothing.
    """
    own, beside = config.root.get("model.data_preprocessor"), config.root.get("data_preprocessor")
    has_own = own is not None and own.get("mean") is not None
    first = ("model.data_preprocessor", own) if has_own else ("data_preprocessor", beside)
    found: dict[Place, Inputs] = {}
    for path, node in [first, *config.root.walk()]:
        if node is None or (path == "data_preprocessor" and has_own):
            continue
        if _is_triple(node.get("mean")) and _is_triple(node.get("std")):
            mean, std = (lookup.find(key, under=node, shown=f"{path}.{key}") for key in ("mean", "std"))
            found.setdefault(node.value["mean"].place, Inputs(_order(node, path, lookup), mean, std))
    return list(found.values())


def _order(node: Node, path: str, lookup: Lookup) -> Setting | None:
    key = "to_rgb" if node.get("to_rgb") is not None else "bgr_to_rgb"
    default = not path.endswith("data_preprocessor")  # Normalize swaps by default, a preprocessor does not
    swaps = lookup.find(key, under=node, shown=f"{path}.{key}")
    if swaps is None and node.get(key) is None:
        swaps = Setting(default, f"{path}.{key}", node.place, written=False)
    return translated(swaps, "RGB" if swaps and swaps.value else "BGR")


def _is_triple(node: Node | None) -> bool:
    if node is None or node.value is UNKNOWN:
        return False
    value = node.plain()
    return isinstance(value, list) and len(value) == 3 and all(isinstance(number, (int, float)) for number in value)


def _neck_norm(lookup: Lookup) -> Setting | None:
    kind = lookup.find("model.neck.type")
    if kind is None or kind.value != "FPN":
        return None
    norm = lookup.find("model.neck.norm_cfg.type", default="")
    stated = lookup.find("model.neck.norm_cfg")
    return translated(norm, "") if stated is not None and stated.value is None else norm


def _one_device(lookup: Lookup) -> Setting | None:
    for key, alone in (("launcher", "none"), ("device", "cpu")):
        setting = lookup.find(key)
        if setting is not None and setting.value == alone:
            return setting
    return None
