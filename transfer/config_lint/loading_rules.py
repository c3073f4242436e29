"""Rules on how the weights are named and loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator

from transfer.config_lint.rule import ERROR, NOTE, WARNING, Hit, Rule
from transfer.config_lint.settings import Settings, Source
from transfer.config_lint.tree import Place
from transfer.config_lint.weights import Weights

_TORCH_FILE = re.compile(r"\.(?:pth|pt|pth\.tar)$")
_OWN_CHECKPOINT = re.compile(r"model_(?:final|best|\d+)[^/]*$")  # what Detectron2 itself writes needs no heuristics
_HEURISTICS = "matching_heuristics=True"


def check_heuristics_flag(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """A renamed ``.pth`` that Detectron2 will match by exact names only."""
    if settings.config.engine != "detectron2":
        return
    for source in settings.sources:
        path, _, query = str(source.name.value or "").partition("?")
        stock = weights is None or "://" in path
        if not stock and _TORCH_FILE.search(path) and not _OWN_CHECKPOINT.search(path) and _HEURISTICS not in query:
            detail = f"{path} is loaded by exact names: only backbone.bottom_up.* or backbone.* of Detectron2 will do"
            yield Hit(source.name.place, source.name.key, detail, inferred=True)


def check_pretrained_beside_init_cfg(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """``pretrained`` and ``init_cfg`` in the same file."""
    for pretrained, place in _pretrained_and_init_cfg(settings):
        if pretrained.name.place.file == place.file:
            detail = f"{pretrained.name.value!r}, and the backbone has an init_cfg ({place})"
            yield Hit.on(pretrained.name, detail)


def check_pretrained_inherited(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """A base's ``pretrained`` that the file which brings other weights does not reset."""
    told = set()
    for pretrained, place in _pretrained_and_init_cfg(settings):
        if pretrained.name.place.file != place.file:
            told.add(pretrained.name.place)
            detail = f"{pretrained.name.value!r} comes from a base; the backbone's init_cfg is at {place}"
            yield Hit.on(pretrained.name, detail)
    for source in _pretrained(settings):
        stock = "://" in str(source.name.value)
        inherited = source.name.place.file != settings.config.file
        if stock and inherited and weights and weights.self_supervised and source.name.place not in told:
            yield Hit.on(source.name, f"{source.name.value!r} comes from a base and is what will be loaded", weights)


def check_prefix(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """``init_cfg`` without ``prefix``, where the file's names have one."""
    if settings.config.engine == "detectron2" or weights is None or not weights.self_supervised:
        return
    for source in settings.sources:
        # Weights known for certain say their prefix; a backbone file or a bare state dict has none.
        wanted = weights.prefix if weights.certain else "backbone."
        by_init_cfg = source.name.key.endswith("init_cfg.checkpoint") and source.name.value
        if by_init_cfg and wanted is not None and source.prefix != wanted:
            if source.prefix is None:
                detail = f"no prefix beside {source.name.value}; its tensors are named {wanted}*, or so they often are"
                yield Hit.on(source.name, detail if not weights.certain else detail.partition(", or")[0], weights)
            elif weights.certain:
                detail = f"prefix {source.prefix!r}; the file's tensors are named {wanted}*"
                yield Hit.on(source.name, detail, weights)


def check_c4_shared_head(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """mmdet's C4: res5 lies in the RoI head and needs an ``init_cfg`` of its own."""
    head = settings.config.root.get("model.roi_head.shared_head")
    loaded = {source.kind for source in settings.sources if source.name.value}
    named_head = [source for source in settings.sources if source.kind == "shared_head"]
    is_res5 = head is not None and isinstance(head.value, dict) and "type" in head.value
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


RULES = (
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

STRUCTURE_RULES = (
    Rule(
        "unreadable",
        ERROR,
        "a file that is not YAML or Python",
        "No toolbox can load it.",
        "Mend the syntax.",
    ),
    Rule(
        "duplicate-key",
        ERROR,
        "a key twice in one section",
        "YAML's reader and Python's dict keep the last without a word; everything under the first is lost "
        "(9 of 44 published files of one project; one lost SyncBN, FREEZE_AT 0 and STRIDE_IN_1X1 so).",
        "Merge the two sections.",
    ),
    Rule(
        "missing-base",
        ERROR,
        "a base that does not exist",
        "The configuration cannot be loaded, and never was in this state.",
        "Name the right file; paths are relative to the file that names them.",
    ),
    Rule(
        "base-cycle",
        ERROR,
        "a base that leads back to the file",
        "Loading would never end.",
        "Take one of the bases out.",
    ),
    Rule(
        "unresolved-base",
        NOTE,
        "a base that cannot be read here",
        "What it sets is unknown, so absent keys are not judged by the toolbox's defaults.",
        "Install the package that carries it, or lint where it is.",
    ),
    Rule(
        "key-in-two-bases",
        ERROR,
        "a name that two bases set",
        "mmengine refuses to load it.",
        "Keep it in one of the bases.",
    ),
    Rule(
        "cannot-inherit",
        ERROR,
        "a section over a base's plain value",
        "The toolbox refuses to merge the two.",
        "_delete_=True in the dict, or another key.",
        "Another key, or a base without it.",
    ),
    Rule(
        "schedule-assigned-twice",
        ERROR,
        "a schedule assigned twice in one file",
        "Only the last counts: a published '2x' configuration (24 epochs, then 12) is a 1x so.",
        "Delete the one that is not meant.",
    ),
    Rule(
        "assigned-twice",
        WARNING,
        "another name assigned twice in one file",
        "Only the last counts.",
        "Delete the one that is not meant.",
    ),
)
