"""``scenebench lint``: files and folders in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scenebench.errors import UserError
from transfer.config_lint import python_reader, yaml_reader
from transfer.config_lint.config_kinds import PYTHON_SUFFIXES, YAML_SUFFIXES, Kind, kind_in_folder, kind_of
from transfer.config_lint.detectron2_settings import detectron2_settings
from transfer.config_lint.mm_settings import mm_settings
from transfer.config_lint.rule import ERROR, WARNING, Finding, Hit, finding
from transfer.config_lint.rules import RULES, RULES_BY_ID
from transfer.config_lint.settings import Settings
from transfer.config_lint.tree import Config
from transfer.config_lint.weights import Weights
from transfer.config_lint.weights_files import weights_named

_SUFFIXES = (*YAML_SUFFIXES, *PYTHON_SUFFIXES)
_REFUSED = {
    Kind.LAZY: "a LazyConfig: not read, since Detectron2 runs such files; lint reads its YAML",
    Kind.OTHER: "not a configuration of Detectron2, MMSegmentation or MMDetection: it has none of their keys",
}
_PREFERRED = ("backbone", "model")  # of the places that name weights: init_cfg and pretrained of the backbone first


@dataclass
class Linted:
    """What a run over files and folders came to.

    Attributes:
        findings: by configuration, each finding once even where several configurations share its base.
        lazy: LazyConfigs in the folders, which are programs and are not read.
        refused: files that were named and are no configuration, with what they are.
    """

    findings: dict[Path, list[Finding]]
    lazy: list[Path]
    refused: dict[Path, str]


def lint_all(paths: Sequence[Path], weights: Weights | None = None) -> Linted:
    """Lint configurations, and all of a folder that look like one.

    Args:
        weights: what every one of them is meant to load; None to take what each names.

    Raises:
        UserError: a path that does not exist, is neither YAML nor Python, or a folder without any configuration.
    """
    told: set[tuple[object, ...]] = set()
    files, lazy, refused = find_configs(paths)
    findings: dict[Path, list[Finding]] = {}
    readers = Readers()
    for file in files:
        findings[file] = []
        for found in lint_config(file, weights, readers):
            identity = (found.rule, found.place, found.key, found.detail)
            if identity not in told:
                told.add(identity)
                findings[file].append(found)
    return Linted(findings, lazy, refused)


def lint_paths(paths: Sequence[Path], weights: Weights | None = None) -> dict[Path, list[Finding]]:
    """The findings of :func:`lint_all` by configuration.

    Raises:
        UserError: see there; or a named file that is no configuration.
    """
    linted = lint_all(paths, weights)
    for path, reason in linted.refused.items():
        raise UserError(f"{path}: {reason}")
    return linted.findings


class Readers:
    """Reads configurations, and each base that several share only once."""

    def __init__(self) -> None:
        self._yaml: yaml_reader.ReadFiles = {}
        self._python: python_reader.ReadFiles = {}

    def read(self, file: Path) -> Config:
        """A configuration by its ending."""
        if file.suffix in YAML_SUFFIXES:
            return yaml_reader.read_yaml_config(file, self._yaml)
        return python_reader.read_python_config(file, self._python)


def lint_config(file: Path, weights: Weights | None = None, readers: Readers | None = None) -> list[Finding]:
    """Findings of one configuration and its bases, sorted by file (its own first) and line."""
    config = (readers or Readers()).read(file)
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
    return Readers().read(file)


def read_settings(config: Config) -> Settings:
    """A configuration's settings by its engine."""
    return detectron2_settings(config) if config.engine == "detectron2" else mm_settings(config)


def weights_of(settings: Settings) -> Weights | None:
    """What the configuration's own weights are; None where it names none, or nothing is known of them.

    Of weights for other networks than ResNets nothing is known.
    """
    if not settings.is_resnet:
        return None
    named = [
        source
        for source in settings.sources
        if isinstance(source.name.value, str) and source.name.value and source.kind in _PREFERRED
    ]
    named.sort(key=lambda source: (_PREFERRED.index(source.kind), not source.name.key.endswith("checkpoint")))
    if not named:
        return None
    return weights_named(named[0].name.value, settings.config.file.parent)


def find_configs(paths: Iterable[Path]) -> tuple[list[Path], list[Path], dict[Path, str]]:
    """The configurations among files and in folders, in order, each once; LazyConfigs of folders; refused files.

    Raises:
        UserError: see :func:`lint_all`.
    """
    found: list[Path] = []
    lazy: list[Path] = []
    refused: dict[Path, str] = {}
    for path in paths:
        if path.is_dir():
            inside = [file for file in sorted(path.rglob("*")) if file.suffix in _SUFFIXES and file.is_file()]
            kinds = [(file, kind_in_folder(file)) for file in inside]
            found += [file for file, kind in kinds if kind is Kind.CONFIG]
            lazy += [file for file, kind in kinds if kind is Kind.LAZY]
            if not any(kind is Kind.CONFIG for _, kind in kinds):
                only = "only LazyConfigs, which are not read" if any(kind is Kind.LAZY for _, kind in kinds) else ""
                nothing = "no Detectron2 YAML and no mmseg or mmdet Python configuration in it"
                raise UserError(f"{path}: {nothing}{f'; {only}' if only else ''}")
        elif not path.is_file():
            raise UserError(f"{path}: no such file or folder")
        elif path.suffix not in _SUFFIXES:
            raise UserError(f"{path}: neither YAML nor Python; lint reads Detectron2, mmseg and mmdet configurations")
        elif (kind := kind_of(path)) in _REFUSED:
            refused[path] = _REFUSED[kind]
        else:
            found.append(path)
    return list(dict.fromkeys(found)), list(dict.fromkeys(lazy)), refused


def has_findings(findings: Iterable[Finding], worst: tuple[str, ...] = (ERROR, WARNING)) -> bool:
    """Whether any finding is of one of these severities."""
    return any(one.severity in worst for one in findings)
