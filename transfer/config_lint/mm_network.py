"""An OpenMMLab ResNet's channels and strides, against what follows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transfer.config_lint.settings import Setting
from transfer.config_lint.tree import UNKNOWN, Config, Node

_RESNETS = ("ResNet", "ResNetV1c", "ResNetV1d", "ResNeXt")
_EXPANSION = {18: 1, 34: 1, 50: 4, 101: 4, 152: 4}
_STRIDES, _DILATIONS, _ALL = (1, 2, 2, 2), (1, 1, 1, 1), (0, 1, 2, 3)
_PLAIN_NECKS = ("FPN", "PAFPN", "BFP", "MultiLevelNeck", "FPG", "ChannelMapper", "NASFPN")


def mm_channels(config: Config) -> Iterator[tuple[Setting, list[int]]]:
    """``in_channels`` of the neck, or of the heads where there is none, with what the backbone gives there."""
    given = _given(config.root.get("model.backbone"))
    if given is None or not config.complete:
        return
    neck = config.root.get("model.neck")
    first = neck.value[0] if neck is not None and isinstance(neck.value, list) and neck.value else neck
    if first is not None and first.value is not None:
        if _value(first, "type") in _PLAIN_NECKS and first.get("in_channels") is not None:
            path = "model.neck" if first is neck else "model.neck.0"
            yield _setting(first, "in_channels", path), given
        return
    for head in ("decode_head", "auxiliary_head"):
        node = config.root.get(f"model.{head}")
        many = node.value if node is not None and isinstance(node.value, list) else [node]
        for number, one in enumerate(many):
            if one is None or not isinstance(one.value, dict) or one.get("in_channels") is None:
                continue
            index = _value(one, "in_index", -1)
            if isinstance(_value(one, "in_channels"), list) and not isinstance(index, list):
                continue  # a head that takes all stages by itself
            indices = index if isinstance(index, list) else [index]
            if all(_is_int(place) and -len(given) <= place < len(given) for place in indices):
                path = f"model.{head}" if one is node else f"model.{head}.{number}"
                yield _setting(one, "in_channels", path), [given[place] for place in indices]


def _given(backbone: Node | None) -> list[int] | None:
    """Channels of the stages that the backbone gives out; None where any of it is unknown or no plain ResNet."""
    if backbone is None or not isinstance(backbone.value, dict):
        return None
    kind, depth, base = _value(backbone, "type"), _value(backbone, "depth"), _value(backbone, "base_channels", 64)
    outs = _value(backbone, "out_indices", list(_ALL))
    if str(kind).rpartition(".")[2] not in _RESNETS or not _is_int(depth) or depth not in _EXPANSION:
        return None
    if not _is_int(base) or not isinstance(outs, list) or not all(_is_int(out) and 0 <= out < 4 for out in outs):
        return None
    return [base * _EXPANSION[depth] * 2**out for out in outs]


def mm_dilations(config: Config) -> Iterator[tuple[Setting, str, bool]]:
    """Dilations that do not follow from the strides, and whether they are too small for those that were taken out."""
    backbone = config.root.get("model.backbone")
    if backbone is None or not isinstance(backbone.value, dict) or not config.complete:
        return
    if str(_value(backbone, "type")).rpartition(".")[2] not in _RESNETS:
        return
    strides = _value(backbone, "strides", list(_STRIDES))
    dilations = _value(backbone, "dilations", list(_DILATIONS))
    both = isinstance(strides, list) and isinstance(dilations, list) and len(strides) == len(dilations)
    if not both or not strides or not all(_is_int(one) for one in strides + dilations) or strides[0] != 1:
        return
    wanted = [1]
    for stride in strides[1:]:
        wanted.append(wanted[-1] * 2 if stride == 1 else wanted[-1])
    if dilations != wanted:
        key = "dilations" if backbone.get("dilations") is not None else "strides"
        detail = f"dilations {dilations} with strides {strides}"
        yield (
            _setting(backbone, key, "model.backbone"),
            detail,
            any(a < b for a, b in zip(dilations, wanted, strict=True)),
        )


def _setting(owner: Node, key: str, path: str) -> Setting:
    node = owner.get(key)
    assert node is not None
    return Setting(node.plain(), f"{path}.{key}", node.place)


def _value(owner: Node, key: str, default: Any = None) -> Any:
    node = owner.get(key)
    if node is None:
        return default
    value = node.plain()
    return None if value is UNKNOWN else value


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
