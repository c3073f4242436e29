"""Images of a folder."""

from __future__ import annotations

import os
from pathlib import Path

from pretrain.data.sources.image_file import IMAGE_SUFFIXES, is_image_name
from scenebench.errors import UserError


def list_folder(root: Path) -> list[Path]:
    """All images under ``root``, also in sub-folders, sorted by path; hidden files and folders are left out.

    Raises:
        UserError: there is no image in it.
    """
    images = find_images(root)
    if not images:
        raise UserError(f"data.root: no image in {root} (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    return images


def find_images(root: Path) -> list[Path]:
    """As :func:`list_folder`, possibly none."""
    images: list[Path] = []
    for folder, sub_folders, names in os.walk(root):
        sub_folders[:] = [name for name in sub_folders if not name.startswith(".")]
        images += [Path(folder, name) for name in names if is_image_name(name)]
    return sorted(images)
