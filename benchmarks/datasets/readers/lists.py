"""Text lists of the official data sets: one entry a line, fields with blanks between."""

from __future__ import annotations

from benchmarks.datasets.samples import Fault
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError


def read_lines(tree: Tree, relative: str) -> list[str]:
    """The lines of a text file, stripped, without the empty ones.

    Raises:
        UserError: the file is missing (says what is near), or is no text.
    """
    path = tree.require_file(relative)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_fields(tree: Tree, relative: str, count: int, fault: Fault) -> list[list[str]]:
    """The lines of a file as ``count`` fields each; the last takes the rest of the line. Other lines are faults."""
    rows: list[list[str]] = []
    for number, line in enumerate(read_lines(tree, relative), start=1):
        fields = line.split(maxsplit=count - 1)
        if len(fields) == count:
            rows.append(fields)
        else:
            fault("list", tree.path(relative), f"line {number}: expected {count} fields, found '{line}'")
    return rows


def read_numbered(tree: Tree, relative: str, fault: Fault) -> dict[int, str]:
    """A file of lines ``number value``. A number that is none, or comes twice, is a fault."""
    values: dict[int, str] = {}
    for text, value in read_fields(tree, relative, 2, fault):
        if not text.isdecimal():
            fault("list", tree.path(relative), f"'{text}' is not a number")
        elif int(text) in values:
            fault("list", tree.path(relative), f"number {text} is given twice")
        else:
            values[int(text)] = value
    return values


def parse_label(text: object, count: int, fault: Fault, tree: Tree, relative: str, what: str) -> int | None:
    """A 1-based label of ``count`` classes as a 0-based index; None after telling the fault where it is none."""
    try:
        number = int(str(text))
    except ValueError:
        fault("label", tree.path(relative), f"{what}: label '{text}' is not a number")
        return None
    if not 1 <= number <= count:
        fault("label", tree.path(relative), f"{what}: label {number} is not in 1-{count}")
        return None
    return number - 1


def require_image(tree: Tree, relative: str, fault: Fault, listed_in: str) -> bool:
    """Whether an image that ``listed_in`` names is there; tells the fault where it is not."""
    if tree.has_file(relative):
        return True
    fault("missing", tree.path(listed_in), f"names {relative}, which is not there")
    return False


def report_unlisted(tree: Tree, folder: str, listed: set[str], fault: Fault, where: str) -> None:
    """Each file right in ``folder`` that is not ``listed`` (relative paths) is a fault: no annotation names it."""
    for name in tree.files(folder):
        relative = f"{folder}/{name}" if folder else name
        if relative not in listed:
            fault("unlisted", tree.path(relative), f"is in no {where}")
