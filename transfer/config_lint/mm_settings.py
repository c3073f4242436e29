"""MMSegmentation's and MMDetection's keys in the rules' common terms."""

from __future__ import annotations

import dataclasses
from typing import Any

from transfer.config_lint.known_keys import MM_KEYS, misspelt
from transfer.config_lint.mm_inputs import mm_inputs
from transfer.config_lint.mm_network import mm_channels, mm_dilations
from transfer.config_lint.mm_training import mm_training
from transfer.config_lint.settings import Lookup, Setting, Settings, Source, translated
from transfer.config_lint.tree import Config

# Both toolboxes' ResNet by the default of its class; they differ in one.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "mmseg": {"style": "pytorch", "frozen_stages": -1, "norm_eval": False, "norm_cfg.type": "BN"},
    "mmdet": {"style": "pytorch", "frozen_stages": -1, "norm_eval": True, "norm_cfg.type": "BN"},
}
_DEEP_STEMS = ("ResNetV1c", "ResNetV1d")
_PLAIN_STEMS = ("ResNet", "ResNeXt")


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
    grouped = is_resnet and kind is not None and kind.value == "ResNeXt"
    inputs, unnormalised = mm_inputs(config, lookup)
    found = mm_training(config)
    training = dataclasses.replace(
        found,
        rate=found.rate if is_resnet else None,
        channels=list(mm_channels(config)),
        dilations=list(mm_dilations(config)),
    )
    return Settings(
        config=config,
        is_resnet=is_resnet,
        inputs=inputs,
        unnormalised=unnormalised,
        sources=_sources(lookup),
        stride_in=translated(style, "1x1" if style and style.value == "caffe" else "3x3"),
        stem=_stem(kind, find("deep_stem"), find("avg_down")) if is_resnet else None,
        depth=find("depth"),
        stem_width=find("base_channels"),
        groups=_groups(lookup, kind, grouped) if is_resnet else None,
        norm=find("norm_cfg.type"),
        norm_eps=find("norm_cfg.eps"),
        frozen_norm=translated(trainable, trainable is not None and trainable.value is False),
        norm_in_eval=find("norm_eval"),
        frozen_stages=translated(frozen, frozen is not None and isinstance(frozen.value, int) and frozen.value >= 0),
        neck_norm=_neck_norm(lookup),
        c4_head=lookup.find("model.roi_head.shared_head.type"),
        one_device=_one_device(lookup),
        training=training,
        misspelt=list(misspelt(config.root, MM_KEYS)) if is_resnet else [],
        computed=lookup.computed,
    )


def _groups(lookup: Lookup, kind: Setting | None, grouped: bool) -> Setting | None:
    """1 for a plain ResNet, which has no such key; its place is that of the type."""
    stated = lookup.find("model.backbone.groups") if grouped else None
    return stated or translated(kind, 1)


def _kind(lookup: Lookup) -> Setting | None:
    """The class of the backbone; new-style files name it by the class itself, older ones may have ``mmdet.ResNet``."""
    kind = lookup.find("model.backbone.type")
    return translated(kind, str(kind.value).rpartition(".")[2]) if kind else None


def _stem(kind: Setting | None, deep_stem: Setting | None, avg_down: Setting | None) -> Setting | None:
    """``deep`` also for V1d's average pooling in the shortcuts, whose tensors have other names than a plain one's."""
    if avg_down is not None and avg_down.value is True:
        return translated(avg_down, "deep")
    if deep_stem is not None and deep_stem.value is True:
        return translated(deep_stem, "deep")
    return translated(kind, "deep" if kind and kind.value in _DEEP_STEMS else "conv7x7")


def _sources(lookup: Lookup) -> list[Source]:
    """Where weights are named: ``pretrained`` of model and backbone, ``init_cfg`` of backbone and shared head."""
    sources: list[Source] = []
    for key, kind in (("model.pretrained", "model"), ("model.backbone.pretrained", "backbone")):
        named = lookup.find(key)
        if named is not None:
            sources.append(Source(named, kind))
    for owner, kind in (("model.backbone", "backbone"), ("model.roi_head.shared_head", "shared_head")):
        stated = lookup.config.root.get(f"{owner}.init_cfg")
        checkpoint = lookup.find(f"{owner}.init_cfg.checkpoint")
        if checkpoint is not None:
            prefix = lookup.find(f"{owner}.init_cfg.prefix")
            text = prefix.value if prefix is not None and isinstance(prefix.value, str) else None
            sources.append(Source(checkpoint, kind, text, _plain_type(lookup, owner)))
        elif stated is not None and stated.value is None:
            sources.append(Source(Setting(None, f"{owner}.init_cfg", stated.place), kind))
    return sources


def _plain_type(lookup: Lookup, owner: str) -> str:
    kind = lookup.find(f"{owner}.init_cfg.type")
    return "" if kind is None else str(kind.value).rpartition(".")[2]


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
