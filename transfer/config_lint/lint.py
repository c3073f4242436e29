"""``scenebench lint``: files and folders in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from scenebench.errors import UserError
from transfer.config_lint.detectron2_settings import detectron2_settings
from transfer.config_lint.mm_settings import mm_settings
from transfer.config_lint.python_reader import looks_like_openmmlab, read_python_config
from transfer.config_lint.rule import NOTE, Finding, Hit, finding
from transfer.config_lint.rules import RULES, RULES_BY_ID
from transfer.config_lint.settings import Settings
from transfer.config_lint.tree import Config
from transfer.config_lint.weights import Weights, weights_named
from transfer.config_lint.yaml_reader import looks_like_detectron2, read_yaml_config

_YAML, _PYTHON = (".yaml", ".yml"), (".py",)
_PREFERRED = ("backbone", "model")  # of the places that name weights: init_cfg and pretrained of the backbone first


def lint_paths(paths: Sequence[Path], weights: Weights | None = None) -> dict[Path, list[Finding]]:
    """Findings by configuration, each finding once even where several configurations share its base.

    Args:
        paths: configurations, or folders that are searched for files that look like one.
        weights: what every one of them is meant to load; None to take what each names.

    Raises:
        UserError: a path that does not exist or is no configuration, or a folder without any.
    """
    told: set[tuple[object, ...]] = set()
    findings: dict[Path, list[Finding]] = {}
    for file in find_configs(paths):
        findings[file] = []
        for found in lint_config(file, weights):
            identity = (found.rule, found.place, found.key, found.detail)
            if identity not in told:
                told.add(identity)
                findings[file].append(found)
    return findings


def lint_config(file: Path, weights: Weights | None = None) -> list[Finding]:
    """Findings of one configuration and its bases, sorted by file (its own first) and line."""
    config = read_config(file)
    found = [
        finding(RULES_BY_ID[problem.rule], Hit(problem.place, problem.key, problem.detail), config.engine)
        for problem in dict.fromkeys(config.problems)
    ]
    settings = read_settings(config)
    weights = weights or weights_of(settings)
    for rule in RULES:
        if rule.check is not None:
            found += [
                finding(rule, hit, config.engine, weights) for hit in dict.fromkeys(rule.check(settings, weights))
            ]
    return sorted(found, key=lambda one: (one.place.file != file, str(one.place.file), one.place.line))


def read_config(file: Path) -> Config:
    """A configuration by its ending."""
    return read_yaml_config(file) if file.suffix in _YAML else read_python_config(file)


def read_settings(config: Config) -> Settings:
    """A configuration's settings by its engine."""
    return detectron2_settings(config) if config.engine == "detectron2" else mm_settings(config)


def weights_of(settings: Settings) -> Weights | None:
    """What the configuration's own weights are; None where it names none, or nothing is known of them.

    Of weights for other networks than ResNets nothing is known.
    """
    if not settings.is_resnet:
        return None
    named = [source for source in settings.sources if source.name.value and source.kind in _PREFERRED]
    named.sort(key=lambda source: (_PREFERRED.index(source.kind), not source.name.key.endswith("checkpoint")))
    if not named:
        return None
    return weights_named(str(named[0].name.value), settings.config.file.parent)


def find_configs(paths: Iterable[Path]) -> list[Path]:
    """The configurations among files and in folders, in order, each once.

    Raises:
        UserError: see :func:`lint_paths`.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [file for file in sorted(path.rglob("*")) if file.is_file() and _is_config(file)]
            if not inside:
                raise UserError(f"{path}: no Detectron2 YAML and no mmseg or mmdet Python configuration in it")
            found += inside
        elif not path.is_file():
            raise UserError(f"{path}: no such file or folder")
        elif path.suffix not in (*_YAML, *_PYTHON):
            raise UserError(f"{path}: neither YAML nor Python; lint reads Detectron2, mmseg and mmdet configurations")
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def has_findings(findings: Iterable[Finding]) -> bool:
    """Whether anything worse than a note was found."""
    return any(one.severity != NOTE for one in findings)


def _is_config(file: Path) -> bool:
    return (
        looks_like_detectron2(file) if file.suffix in _YAML else file.suffix in _PYTHON and looks_like_openmmlab(file)
    )
