"""Rules on how the weights are named and loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from transfer.config_lint.paths import exists, is_folder
from transfer.config_lint.rule import ERROR, NOTE, WARNING, Hit, Rule
from transfer.config_lint.settings import Settings, Source
from transfer.config_lint.tensor_shapes import TensorShapes, read_shapes
from transfer.config_lint.tree import Place
from transfer.config_lint.weights import Weights
from transfer.config_lint.weights_files import file_named

_TORCH_FILE = re.compile(r"\.(?:pth|pt|pth\.tar)$")
_OWN_CHECKPOINT = re.compile(r"model_(?:final|best|\d+)[^/]*$")  # what Detectron2 itself writes needs no heuristics
_HEURISTICS = "matching_heuristics=True"


def check_heuristics_flag(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """A renamed ``.pth`` that Detectron2 will match by exact names only; where it can be read, see 'names'."""
    if settings.config.engine != "detectron2":
        return
    for source in settings.sources:
        path, _, query = str(source.name.value or "").partition("?")
        stock = weights is None or "://" in path or tensors_of(source, settings) is not None
        if not stock and _TORCH_FILE.search(path) and not _OWN_CHECKPOINT.search(path) and _HEURISTICS not in query:
            detail = f"{path} is loaded by exact names: only backbone.bottom_up.* or backbone.* of Detectron2 will do"
            yield Hit(source.name.place, source.name.key, detail, inferred=True)


def check_names(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """A weights file of which no name, or no name under the prefix, is one of the network's."""
    for source in settings.sources:
        tensors = tensors_of(source, settings) if settings.is_resnet else None
        if tensors is None or source.kind == "shared_head":
            continue
        if settings.config.engine == "detectron2":
            detail = _unmatched_by_detectron2(source, tensors, settings)
        elif tensors.prefixes("layer1."):
            detail = ""
        else:
            detail = f"none of its {len(tensors.shapes)} tensors is one of a ResNet under OpenMMLab's names"
        if detail:
            yield Hit(source.name.place, source.name.key, detail, uses_weights=False)


def _unmatched_by_detectron2(source: Source, tensors: TensorShapes, settings: Settings) -> str:
    builder = settings.config.root.get("MODEL.BACKBONE.NAME")
    where = "backbone.bottom_up." if builder is not None and "fpn" in str(builder.value) else "backbone."
    loose = tensors.heuristics or _HEURISTICS in str(source.name.value)
    found = tensors.prefixes("res2.")
    endings = ["", *(where[start:] for start in range(len(where)) if start == 0 or where[start - 1] == ".")]
    if any(prefix in (endings if loose else [where]) for prefix in found):
        return ""
    shown = f"{found[0]}res2.*" if found else next(iter(tensors.shapes), "none")
    return f"its tensors are named {shown}; this network's are {where}res2.*, and nothing would be loaded"


def check_missing_weights(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """A file that is not in its folder, where that folder is on this machine.

    Files in other folders may be on the machine that trains, and a bare name may stand for anything.
    """
    beside = settings.config.file.parent
    for source in settings.sources:
        if not isinstance(source.name.value, str) or "://" in source.name.value:
            continue
        path = Path(source.name.value.partition("?")[0])
        folder = (beside / path).parent
        if path.parent.name and is_folder(folder) and not exists(path) and not exists(beside / path):
            yield Hit(source.name.place, source.name.key, f"{path} is not there, though its folder is")


def check_init_type(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """An ``init_cfg`` that names a checkpoint and does not load it, or loads and names none."""
    if not settings.is_resnet:
        return  # other networks of the toolboxes read their init_cfg themselves
    for source in settings.sources:
        if source.init_type is not None and source.name.value and source.init_type != "Pretrained":
            detail = f"its type is {source.init_type or 'not given'}, so the checkpoint beside it is not loaded"
            yield Hit(source.name.place, source.name.key, detail)
    init_cfg = settings.config.root.get("model.backbone.init_cfg")
    if init_cfg is not None and isinstance(init_cfg.value, dict) and "checkpoint" not in init_cfg.value:
        kind = init_cfg.get("type")
        if kind is not None and kind.value == "Pretrained":
            yield Hit(init_cfg.place, "model.backbone.init_cfg", "type Pretrained without a checkpoint")


def check_load_from(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """``load_from`` of a whole model over a self-supervised backbone."""
    load_from = settings.config.root.get("load_from")
    named = any(source.name.value for source in settings.sources)
    if load_from is None or not isinstance(load_from.value, str) or not load_from.value or not named:
        return
    if weights is not None and weights.self_supervised:
        detail = f"{load_from.value} is loaded after the backbone's weights, and replaces them"
        yield Hit(load_from.place, "load_from", detail, inferred=not weights.certain)


def check_misspelt(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """A key that no toolbox knows, close to one that it does."""
    for setting, right in settings.misspelt:
        yield Hit(setting.place, setting.key, f"no such key; {right} is probably meant", uses_weights=False)


def tensors_of(source: Source, settings: Settings) -> TensorShapes | None:
    """The tensors of the file that a source names, where it can be read here."""
    if not isinstance(source.name.value, str) or not source.name.value:
        return None
    file = file_named(source.name.value, settings.config.file.parent)
    return None if file is None else read_shapes(file)


def check_pretrained_beside_init_cfg(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """``pretrained`` and ``init_cfg`` in the same file."""
    for pretrained, place in _pretrained_and_init_cfg(settings):
        if pretrained.name.place.file == place.file:
            detail = f"{pretrained.name.value!r}, and the backbone has an init_cfg ({place})"
            yield Hit.on(pretrained.name, detail)


def check_pretrained_inherited(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """``pretrained`` and ``init_cfg`` of which one is a base's that the file which brings the other does not reset."""
    told = set()
    for pretrained, place in _pretrained_and_init_cfg(settings):
        if pretrained.name.place.file != place.file:
            told.add(pretrained.name.place)
            if settings.config.inherits(pretrained.name.place.file, place.file):
                detail = f"{pretrained.name.value!r}, but the backbone inherits an init_cfg from a base ({place})"
                yield Hit.on(pretrained.name, detail, fix=_NAME_IT_IN_INIT_CFG)
            else:
                detail = f"{pretrained.name.value!r} comes from a base; the backbone's init_cfg is at {place}"
                yield Hit.on(pretrained.name, detail)
    for source in _pretrained(settings):
        stock = "://" in str(source.name.value)
        inherited = source.name.place.file != settings.config.file
        if stock and inherited and weights and weights.self_supervised and source.name.place not in told:
            yield Hit.on(source.name, f"{source.name.value!r} comes from a base and is what will be loaded", weights)


def check_prefix(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """``init_cfg`` without ``prefix``, where the file's names have one; only a note where the names cannot be seen."""
    if settings.config.engine == "detectron2":
        return
    for source in settings.sources:
        if source.init_type is None or not source.name.value:
            continue
        tensors = tensors_of(source, settings)
        if tensors is not None:
            detail = _unmatched_prefix(source, tensors.prefixes("layer1."))
            if detail:
                yield Hit(source.name.place, source.name.key, detail, uses_weights=False)
        elif weights is not None and weights.certain and weights.prefix not in (None, source.prefix):
            stated = "no prefix" if source.prefix is None else f"prefix {source.prefix!r}"
            detail = f"{stated} beside {source.name.value}; its tensors are named {weights.prefix}*"
            yield Hit.on(source.name, detail, weights)
        elif weights is not None and weights.self_supervised and not weights.certain and source.prefix is None:
            detail = f"no prefix beside {source.name.value}; right only where its tensors have bare names"
            yield Hit.on(source.name, detail, weights, severity=NOTE)


def _unmatched_prefix(source: Source, found: list[str]) -> str:
    """How the prefix beside a checkpoint misses the prefixes of its tensors; as mmengine reads it, the dot is added."""
    if source.prefix is None:
        missing = found and not {"", "module."} & set(found)  # mmengine strips module.
        return f"no prefix beside {source.name.value}; its tensors are named {found[0]}*" if missing else ""
    prefix = source.prefix if source.prefix.endswith(".") or not source.prefix else f"{source.prefix}."
    return f"prefix {source.prefix!r}; its tensors are named {found[0]}*" if found and prefix not in found else ""


def check_c4_shared_head(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """mmdet's C4: res5 lies in the RoI head and needs an ``init_cfg`` of its own."""
    head = settings.config.root.get("model.roi_head.shared_head")
    loaded = {source.kind for source in settings.sources if source.name.value}
    named_head = [source for source in settings.sources if source.kind == "shared_head"]
    is_res5 = settings.config.complete and head is not None and isinstance(head.value, dict) and "type" in head.value
    if is_res5 and head is not None and "backbone" in loaded and not any(source.name.value for source in named_head):
        if head.get("pretrained") is not None:
            return
        key = "model.roi_head.shared_head"
        yield Hit(head.place, key, "the backbone has an init_cfg, and the res5 in the RoI head has none")


def check_computed(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """Values that only running the configuration would tell."""
    for setting in settings.computed:
        yield Hit.on(setting, "its value is computed, so it is not checked")


def _pretrained(settings: Settings) -> list[Source]:
    return [source for source in settings.sources if source.name.key.endswith("pretrained") and source.name.value]


def _pretrained_and_init_cfg(settings: Settings) -> Iterator[tuple[Source, Place]]:
    init_cfg = settings.config.root.get("model.backbone.init_cfg")
    if init_cfg is not None and isinstance(init_cfg.value, (dict, list)) and init_cfg.value:
        for source in _pretrained(settings):
            yield source, init_cfg.place


_NAME_IT_IN_INIT_CFG = (
    "Name these weights in backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=...)) instead of pretrained; "
    "pretrained=None alone would load the base's init_cfg."
)

RULES = (
    Rule(
        "misspelt-key",
        ERROR,
        "a key that the toolbox does not know, close to one that it does",
        "The toolbox refuses it; and what was meant stays at its default or the base's value.",
        "Write the key as the toolbox has it.",
        check=check_misspelt,
    ),
    Rule(
        "names",
        ERROR,
        "a weights file whose names match none of the network's",
        "Nothing is loaded: Detectron2 says so in one warning and trains on random weights, mmengine stops at a wrong "
        "prefix.",
        "prefix as the file's names have it, or the folder that 'scenebench export' writes.",
        "The folder that 'scenebench export' writes; the names of an FPN are backbone.bottom_up.*, of C4 backbone.*.",
        check=check_names,
    ),
    Rule(
        "missing-weights",
        WARNING,
        "a weights file that is not in its folder",
        "Training stops when it is to be loaded.",
        "Mend the path.",
        check=check_missing_weights,
    ),
    Rule(
        "init-type",
        ERROR,
        "an init_cfg that names a checkpoint and does not load it",
        "Only type='Pretrained' loads; the other types ignore or refuse the key, and the backbone stays random.",
        "init_cfg=dict(type='Pretrained', checkpoint=...).",
        check=check_init_type,
    ),
    Rule(
        "load-from",
        WARNING,
        "load_from over self-supervised weights",
        "load_from is loaded last, into the whole model: a backbone in it replaces the intended one.",
        "load_from=None.",
        check=check_load_from,
    ),
    Rule(
        "heuristics-flag",
        ERROR,
        "a .pth for Detectron2 without ?matching_heuristics=True",
        "A renamed .pth without the flag loads 0 tensors, silently.",
        "Use a .pkl from 'scenebench export', or append ?matching_heuristics=True to the path.",
        check=check_heuristics_flag,
    ),
    Rule(
        "pretrained-beside-init-cfg",
        ERROR,
        "pretrained beside the backbone's init_cfg",
        "The model hands its pretrained to the backbone, which asserts that it has only one of both.",
        "pretrained=None in the model.",
        check=check_pretrained_beside_init_cfg,
    ),
    Rule(
        "pretrained-inherited",
        ERROR,
        "pretrained inherited from a base and not reset",
        "It meets the backbone's own init_cfg (AssertionError), or is loaded instead of the intended weights.",
        "model = dict(pretrained=None, ...) in the file that brings the weights.",
        check=check_pretrained_inherited,
    ),
    Rule(
        "prefix",
        ERROR,
        "init_cfg without the prefix of the file's tensors",
        "Without it 0 of 265 tensors load, silently; with a wrong one mmengine stops.",
        "init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.'), unless the names are bare.",
        check=check_prefix,
    ),
    Rule(
        "c4-shared-head",
        ERROR,
        "mmdet's C4 with one init_cfg only",
        "layer4 lies in roi_head.shared_head; the backbone's init_cfg does not reach it, so it stays random.",
        "roi_head=dict(shared_head=dict(init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.'))).",
        check=check_c4_shared_head,
    ),
    Rule(
        "computed-value",
        NOTE,
        "a weight-dependent value that is computed",
        "Configurations are not run here, so what this key comes to is unknown.",
        "Write a plain value, or check it by hand.",
        check=check_computed,
    ),
)
