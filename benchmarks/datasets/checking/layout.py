"""Whether a folder is laid out as a data set's official archives are, and if not, where that layout may be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.datasets.registry import Description, LayoutEntry
from benchmarks.datasets.tree import Tree, some_of
from scenebench.errors import UserError

_MOST_FOLDERS = 300


def missing_entries(tree: Tree, description: Description) -> list[LayoutEntry]:
    """The entries of the layout that are needed and not there."""
    return [entry for entry in description.layout if not entry.optional and not _is_there(tree, entry)]


def require_layout(tree: Tree, description: Description) -> None:
    """Pass where the whole layout is there.

    Raises:
        UserError: it is not. Names what is missing, what is there, and the folder nearby that fits, if there is one.
    """
    missing = missing_entries(tree, description)
    if not missing:
        return
    name = description.name
    fitting = next((folder for folder in _nearby(tree.root) if not missing_entries(Tree(folder), description)), None)
    if fitting is not None:
        raise UserError(f"{tree.root}: not laid out as {name}, but {fitting} is: give that folder")
    if len(missing) == sum(not entry.optional for entry in description.layout):
        here = [*(f"{folder}/" for folder in tree.folders()), *sorted(tree.files())]
        expected = some_of([entry.alternatives[0] for entry in missing], 4)
        raise UserError(f"{tree.root}: not laid out as {name}: expected {expected}; found {some_of(here)}")
    explained = "; ".join(tree.explain_missing(entry.alternatives[0]) for entry in missing[:3])
    more = f"; and {len(missing) - 3} more" if len(missing) > 3 else ""
    raise UserError(f"{tree.root}: not laid out as {name}: {explained}{more}")


def find_layout(root: Path, description: Description) -> tuple[Path, list[LayoutEntry]] | None:
    """The folder at or below ``root`` that holds most of a layout, and what it lacks; None where nothing does."""
    best: tuple[Path, list[LayoutEntry]] | None = None
    needed = sum(not entry.optional for entry in description.layout)
    for folder in [root / description.folder, root, *_below(root)]:
        if not folder.is_dir():
            continue
        missing = missing_entries(Tree(folder), description)
        if len(missing) < (needed if best is None else len(best[1])) and len(missing) <= needed // 2:
            best = (folder, missing)
        if not missing:
            break
    return best


def _is_there(tree: Tree, entry: LayoutEntry) -> bool:
    return any(tree.has_folder(path) if path.endswith("/") else tree.has_file(path) for path in entry.alternatives)


def _nearby(root: Path) -> Iterator[Path]:
    yield from _below(root)
    yield from list(root.resolve().parents)[:2]


def _below(root: Path) -> Iterator[Path]:
    """The folders one and two levels down, as long as there are not too many (classes, say)."""
    first = Tree(root)
    children = first.folders()[:_MOST_FOLDERS]
    yield from (root / child for child in children)
    for child in children:
        grandchildren = first.folders(child)
        if len(grandchildren) <= _MOST_FOLDERS:
            yield from (root / child / name for name in grandchildren)
