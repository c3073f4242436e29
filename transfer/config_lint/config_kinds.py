"""What a file is: a configuration of one of the toolboxes, a LazyConfig, or none."""

from __future__ import annotations

import ast
import re
from enum import Enum
from pathlib import Path

import yaml

from transfer.config_lint.python_syntax import is_dict, is_read_base, name_of, root_name
from transfer.config_lint.tree import Node

YAML_SUFFIXES, PYTHON_SUFFIXES = (".yaml", ".yml"), (".py",)


class Kind(Enum):
    """What a YAML or Python file is. ``UNREADABLE``: by its syntax it is neither; the readers tell the line."""

    CONFIG = "a configuration"
    PART = "a part of one, which only bases are made of"
    LAZY = "a LazyConfig"
    UNREADABLE = "unreadable"
    OTHER = "none of these"


_SEGMENTORS = ("EncoderDecoder", "CascadeEncoderDecoder", "MultimodalEncoderDecoder")
_DETECTRON2_HEADS = ("_BASE_", "MODEL", "SOLVER", "INPUT", "DATASETS", "DATALOADER", "TEST")
# A model section of another project that happens to be called so has none of these.
_DETECTRON2_MODEL = {
    "META_ARCHITECTURE", "WEIGHTS", "WEIGHT", "BACKBONE", "RESNETS", "PIXEL_MEAN", "PIXEL_STD", "FPN", "RPN",
    "ROI_HEADS", "ROI_BOX_HEAD", "ROI_MASK_HEAD", "MASK_ON", "DEVICE", "RETINANET", "SEM_SEG_HEAD", "KEYPOINT_ON",
    "PROPOSAL_GENERATOR", "ANCHOR_GENERATOR", "LOAD_PROPOSALS", "RESNET",
}  # fmt: skip
_OPENMMLAB_PARTS = {
    "data", "data_preprocessor", "dataset_type", "data_root", "train_pipeline", "test_pipeline", "val_pipeline",
    "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "test_cfg", "val_cfg", "optim_wrapper",
    "optimizer", "optimizer_config", "lr_config", "runner", "param_scheduler", "default_scope", "default_hooks",
    "checkpoint_config", "log_config", "img_norm_cfg", "norm_cfg", "load_from", "custom_hooks", "evaluation",
    "val_evaluator", "auto_scale_lr", "crop_size",
}  # fmt: skip
_MAY_BE_PYTHON_CONFIG = re.compile(r"^(?:_base_|model)\b|\bread_base\b|detectron2|LazyCall|^\s*from \.", re.MULTILINE)


def kind_of(file: Path) -> Kind:
    """What a file is, by its suffix and its content. Never raises."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return Kind.UNREADABLE
    if file.suffix in YAML_SUFFIXES:
        return _kind_of_yaml(text)
    return _kind_of_python(text)


def kind_in_folder(file: Path) -> Kind:
    """:func:`kind_of` for one of many files, of which most may be none: told by a glance where that is enough."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return Kind.OTHER
    if file.suffix in YAML_SUFFIXES:
        starts = tuple(f"{head}:" for head in _DETECTRON2_HEADS)
        if not any(line.startswith(starts) for line in text.splitlines()):
            return Kind.OTHER
        kind = _kind_of_yaml(text)
        return Kind.CONFIG if kind is Kind.UNREADABLE else kind
    if not _MAY_BE_PYTHON_CONFIG.search(text):
        return Kind.OTHER
    kind = _kind_of_python(text)
    return Kind.OTHER if kind is Kind.UNREADABLE else kind


def _kind_of_yaml(text: str) -> Kind:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return Kind.UNREADABLE
    if root is None:
        return Kind.UNREADABLE
    sections = _keys(root)
    if "_BASE_" in sections:
        return Kind.CONFIG
    if "MODEL" in sections and isinstance(sections["MODEL"], yaml.MappingNode):
        inside = set(_keys(sections["MODEL"]))
        return Kind.CONFIG if not inside or inside & _DETECTRON2_MODEL else Kind.OTHER
    if set(sections) & {"_target_", "dataloader"} and "model" in sections:
        return Kind.LAZY
    return Kind.CONFIG if set(sections) & set(_DETECTRON2_HEADS) else Kind.OTHER


def _keys(node: yaml.Node) -> dict[str, yaml.Node]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return {str(key.value): value for key, value in pairs if isinstance(key, yaml.ScalarNode)}


def _kind_of_python(text: str) -> Kind:
    try:
        module = ast.parse(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return Kind.UNREADABLE
    if _is_lazy_config(module.body):
        return Kind.LAZY
    assigned = set()
    for statement in module.body:
        if is_read_base(statement):
            return Kind.CONFIG
        if isinstance(statement, ast.Assign):
            names = [name_of(target) for target in statement.targets]
            if "_base_" in names or ("model" in names and is_dict(statement.value)):
                return Kind.CONFIG
            assigned |= set(names)
    if any(isinstance(statement, (ast.ClassDef, ast.AsyncFunctionDef)) for statement in module.body):
        return Kind.OTHER
    return Kind.PART if assigned & _OPENMMLAB_PARTS else Kind.OTHER


def _is_lazy_config(statements: list[ast.stmt]) -> bool:
    """Whether it builds on Detectron2's LazyCall, or changes what it imported from files beside it."""
    imported: set[str] = set()
    for statement in statements:
        if isinstance(statement, ast.ImportFrom):
            names = {alias.asname or alias.name for alias in statement.names}
            if (statement.module or "").startswith("detectron2.config") and {one.name for one in statement.names} & {
                "LazyCall", "LazyConfig", "instantiate",
            }:  # fmt: skip
                return not _defines(statements)
            if statement.level or "get_config" in names or (statement.module or "").startswith("detectron2"):
                imported |= names
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                if not isinstance(target, ast.Name) and root_name(target) in imported:
                    return True
            calls = [part for part in ast.walk(statement.value) if isinstance(part, ast.Call)]
            if any(ast.unparse(call.func) in ("model_zoo.get_config", "get_config") for call in calls):
                return "model_zoo" in imported or "get_config" in imported
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            owner = statement.value.func
            if isinstance(owner, ast.Attribute) and owner.attr == "update" and root_name(owner) in imported:
                return True
    return False


def _defines(statements: list[ast.stmt]) -> bool:
    """Whether it is a program: it defines classes, or runs where it is called."""
    return any(isinstance(statement, ast.ClassDef) for statement in statements)


def openmmlab_toolbox(root: Node) -> str:
    """``mmseg`` or ``mmdet``, by the scope that a configuration states, else by its model."""
    scope, kind = root.get("default_scope"), root.get("model.type")
    if scope is not None and scope.value in ("mmseg", "mmdet"):
        return str(scope.value)
    return "mmseg" if kind is not None and kind.value in _SEGMENTORS else "mmdet"
