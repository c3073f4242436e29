"""Where images come from. ``data.root`` decides: a folder, a COCO .json, a list .txt, or a .tar."""

from __future__ import annotations

from pathlib import Path

from pretrain.data.sources.folder import search_folder
from pretrain.data.sources.found import Found
from pretrain.data.sources.image_file import ImageFile, ImageFiles, TarMember
from pretrain.data.sources.named_files import list_coco, list_lines
from pretrain.data.sources.tar import refuse_compressed_name, search_tar
from scenebench.errors import UserError

__all__ = ["Found", "ImageFile", "ImageFiles", "TarMember", "list_images", "search_images"]

_KINDS = "a folder of images, a COCO .json, a list .txt or a .tar"


def list_images(root: Path | str, images: Path | str = "", run: Path | None = None) -> list[ImageFile]:
    """The images of :func:`search_images`."""
    return search_images(root, images, run).images


def search_images(root: Path | str, images: Path | str = "", run: Path | None = None) -> Found:
    """The images of a source, sorted by path, and what was left out of it.

    Args:
        root: a folder (searched recursively; the sub-folders' names mean nothing), a COCO JSON, a list, or a tar.
        images: the folder that the names in a JSON or list are relative to; empty: the folder of ``root``.
        run: the folder of the run that asks, below which nothing is an image to learn from.

    Raises:
        UserError: nothing is given, it does not exist or is of another kind, or it holds no image; and what the
            functions for each kind refuse.
    """
    if not str(root):
        raise UserError(f"data.root: no folder of images is given; add data.root=FOLDER ({_KINDS})")
    root = Path(root)
    kind = "" if root.is_dir() else root.suffix.lower()
    if str(images):
        if kind not in (".json", ".txt"):
            raise UserError(f"data.images: only for names in a .json or .txt, not for data.root={root}; leave it out")
        if not Path(images).is_dir():
            raise UserError(f"data.images: {images} is not a folder")
    folder = Path(images) if str(images) else None
    if root.is_dir():
        return search_folder(root, run)
    if not root.is_file():
        raise UserError(f"data.root: {root} is not a folder or file; give {_KINDS}")
    refuse_compressed_name(root)
    if kind == ".json":
        return Found([*list_coco(root, folder)], root)
    if kind == ".txt":
        return list_lines(root, folder)
    if kind == ".tar":
        return search_tar(root)
    raise UserError(f"data.root: {root} is a file of an unknown kind; give {_KINDS}")
