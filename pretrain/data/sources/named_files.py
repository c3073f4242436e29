"""Images that another file names: a COCO JSON or a list. What is named must be there, once."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pretrain.data.sources.found import Found
from pretrain.distributed import is_main
from scenebench.coco.file_names import FileFinder, describe_other_forms, inside
from scenebench.errors import UserError

_LABELLED = re.compile(r"(.*[^\s,])[\s,]+-?\d+")
Names = list[tuple[str, str]]  # (where it stands, the name of a file)


def list_coco(json_file: Path, folder: Path | None) -> list[Path]:
    """The files in the ``images`` of a COCO JSON (annotated or not), sorted by path.

    Args:
        folder: what ``file_name`` is relative to; None: the JSON's own folder.

    Raises:
        UserError: no COCO JSON, no image in it, or files that are absent or named twice.
    """
    names = _named_by_coco(json_file)
    base = json_file.parent if folder is None else folder
    finder = FileFinder(base, lambda relative: (base / relative).is_file())
    found = _existing(names, json_file, base, lambda: _remedy_for_coco(json_file, names), finder)
    if finder.other_form and is_main():
        print(f"{json_file}: {describe_other_forms(finder.other_form)}", file=sys.stderr, flush=True)
    return found


def list_lines(list_file: Path, folder: Path | None) -> Found:
    """The files in a text file, one path a line, sorted by path; empty lines and lines that begin with # do not count.

    Whole numbers behind a name, as lists for classification have them, are not read where the line as a whole is no
    file.

    Args:
        folder: what relative paths are relative to; None: the list's own folder.

    Raises:
        UserError: no UTF-8 text, no path in it, or files that are absent or named twice, with the line.
    """
    try:
        lines = list_file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{list_file}: not UTF-8 text ({error.reason}); a list has one path a line") from error
    except OSError as error:
        raise UserError(f"{list_file}: cannot be read ({error.strerror})") from error
    stripped = [(f"line {number}", line.strip()) for number, line in enumerate(lines, start=1)]
    names = [(where, line) for where, line in stripped if line and not line.startswith("#")]
    if not names:
        raise UserError(f"{list_file}: names no image; write one path a line")
    base = list_file.parent if folder is None else folder
    unlabelled = [(where, _without_labels(line, base)) for where, line in names]
    labelled = sum(before != after for before, after in zip(names, unlabelled, strict=True))
    remedy = "one path a line, relative to the list; or set data.images to the folder that they are relative to"
    images = _existing(unlabelled, list_file, base, lambda: remedy)
    notes = [f"the labels behind {labelled} names are not read"] if labelled else []
    return Found([*images], list_file, notes=notes)


def _without_labels(line: str, base: Path) -> str:
    """The name alone, where ``line`` is the name of a file and whole numbers behind it."""
    name = line
    while not (base / name).is_file():
        match = _LABELLED.fullmatch(name)
        if match is None:
            return line
        name = match[1]
    return name


def _existing(
    names: Names, source: Path, folder: Path, remedy: Callable[[], str], finder: FileFinder | None = None
) -> list[Path]:
    places: dict[Path, str] = {}
    absent = []
    for where, name in names:
        path = folder / name
        if ".." in path.parts:  # the folder that all images have in common must be a real one
            path = Path(os.path.normpath(path))
        there = path.is_file()
        if not there and finder is not None:
            relative = inside(name, folder)
            found = finder.find(relative) if relative is not None else None
            path, there = (folder / found, True) if found is not None else (path, False)
        if path in places:
            raise UserError(f"{source}: {where}: {name} is named before ({places[path]}); name every image once")
        places[path] = where
        if not there:
            absent.append((where, path))
    if absent:
        where, path = absent[0]
        raise UserError(
            f"{source}: {where}: {path} is not a file ({len(absent)} of {len(names)} files are absent); {remedy()}"
        )
    return sorted(places)


def _named_by_coco(json_file: Path) -> Names:
    try:
        content = json.loads(json_file.read_text(encoding="utf-8-sig"), object_hook=_what_names_images)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{json_file}: not JSON ({error}); data.root wants a COCO .json") from error
    except OSError as error:
        raise UserError(f"{json_file}: cannot be read ({error.strerror})") from error
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list):
        raise UserError(f"{json_file}: has no list 'images'; data.root wants a COCO .json")
    if not images:
        raise UserError(f"{json_file}: its list 'images' is empty; data.root wants at least 2 images")
    names = []
    for place, image in enumerate(images):
        name = image.get("file_name") if isinstance(image, dict) else None
        if not isinstance(name, str) or not name:
            raise UserError(f"{json_file}: images[{place}] has no 'file_name'; data.root wants a COCO .json")
        names.append((f"images[{place}]", name))
    return names


def _what_names_images(entry: dict[str, Any]) -> dict[str, Any] | None:
    """Drop the rest while parsing: the 860,000 annotations of train2017 would take more than 1 GB."""
    return entry if "file_name" in entry or "images" in entry else None


def _remedy_for_coco(json_file: Path, names: Names) -> str:
    """The folder beside the JSON's that holds the images, in COCO's own layout or this suite's, else only the key."""
    above = json_file.absolute().parent.parent
    for folder in sorted([*above.glob("*/"), *above.glob("images/*/")]):
        if (folder / names[0][1]).is_file():
            return f"set data.images={folder}"
    return "set data.images to the folder that the file names are relative to"
