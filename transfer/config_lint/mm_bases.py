"""Where the bases of an OpenMMLab configuration lie: beside it, or in the configurations of an installed package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from transfer.config_lint.paths import is_file, is_folder, tidied

# OpenMMLab's name of a repository in "mmdet::path.py", and the package that carries its configurations.
_PACKAGES = {
    name: name
    for name in ("mmdet", "mmseg", "mmpretrain", "mmselfsup", "mmpose", "mmocr", "mmdet3d", "mmrotate", "mmaction")
} | {"mmcls": "mmcls", "mmaction2": "mmaction"}


def locate_base(name: str, file: Path) -> tuple[Path | None, str]:
    """The file of an entry of ``_base_``.

    Returns:
        The path, or None where it cannot be known; and why it cannot (empty where it can). A path that is returned need
        not exist.
    """
    repository, separator, rest = name.partition("::")
    if not separator:
        return tidied(file.parent / name), ""
    package = _PACKAGES.get(repository)
    if package is None:
        return None, f"'{repository}' is no repository of OpenMMLab"
    folder = _package_folder(package)
    if folder is None:
        return None, f"{package} is not installed, so {name} cannot be read"
    if not is_folder(folder / ".mim" / "configs"):
        return None, f"the installed {package} carries no configurations, so {name} cannot be read"
    return folder / ".mim" / "configs" / rest, ""


def locate_module(module: str, level: int, file: Path) -> tuple[Path | None, str]:
    """The file of ``from ..a.b import *`` inside ``with read_base():``; see :func:`locate_base`.

    Args:
        module: ``a.b``.
        level: the number of leading dots; 0 names a module of an installed package.
    """
    parts = module.split(".")
    if level:
        folder = file.parent
        for _ in range(level - 1):
            folder = folder.parent
        return folder.joinpath(*parts).with_suffix(".py"), ""
    folder_of_package = _package_folder(parts[0])
    if folder_of_package is None:
        return None, f"{parts[0]} is not installed, so {module} cannot be read"
    for root in (folder_of_package, folder_of_package / ".mim"):
        path = root.joinpath(*parts[1:]).with_suffix(".py")
        if is_file(path):
            return path, ""
    return None, f"the installed {parts[0]} has no {module}"


def _package_folder(package: str) -> Path | None:
    """The folder of a top-level package, found without importing it."""
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    folders = [] if found is None else list(found.submodule_search_locations or [])
    return Path(folders[0]) if folders else None
