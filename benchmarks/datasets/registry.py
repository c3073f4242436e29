"""The registry: what each data set is, how its official folder is laid out, and how much is in it.

One YAML file a data set in ``descriptions/``. Counts are facts with a source; what ``unverified`` names was not found
in a source that could be read, and is compared all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from scenebench.config import load_config, read_yaml
from scenebench.errors import UserError, require_choice

REGISTRY = Path(__file__).parent / "descriptions"


@dataclass
class LayoutEntry:
    """One file or folder that belongs to the layout.

    Attributes:
        path: relative to the root; ends in ``/`` for a folder; ``a | b``: either of them.
        what: in words.
        optional: the data set can be read without it.
    """

    path: str
    what: str
    optional: bool = False

    @property
    def alternatives(self) -> list[str]:
        """The paths that will do."""
        return [path.strip() for path in self.path.split("|")]


@dataclass
class KnownFinding:
    """A fault of the official data themselves: reported as a note."""

    kind: str
    where: str
    why: str


@dataclass
class Description:
    """One data set.

    Attributes:
        tasks: what it is used for here.
        folder: the usual name of its root.
        images: number of images by split.
        classes: their number; None where the data say it themselves.
        objects: number of annotated objects by split, difficult ones left out, crowds counted.
        objects_by_class: the same by split and class, where published.
        image_size: width and height of every image and map, where all are alike.
        md5: published checksums by relative path.
        known: faults of the official data.
        source: where the counts were read.
        unverified: counts that were not.
        get_from: the page where people get it. licence: the page that says the terms.
        prepare: what ``data prepare`` makes of it; empty: nothing is needed.
    """

    name: str
    title: str
    tasks: list[str]
    folder: str
    layout: list[LayoutEntry]
    get_from: str
    licence: str
    citation: str
    source: str
    images: dict[str, int] = field(default_factory=dict)
    classes: int | None = None
    objects: dict[str, int] = field(default_factory=dict)
    objects_by_class: dict[str, dict[str, int]] = field(default_factory=dict)
    image_size: list[int] | None = None
    md5: dict[str, str] = field(default_factory=dict)
    known: list[KnownFinding] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)
    prepare: str = ""
    notes: list[str] = field(default_factory=list)


def list_data_sets() -> list[str]:
    """Names of the registry, sorted."""
    return sorted(path.stem for path in REGISTRY.glob("*.yaml"))


def describe(name: str) -> Description:
    """The description of one data set.

    Raises:
        UserError: no such data set; names the nearest.
    """
    require_choice("data set", name, list_data_sets())
    path = REGISTRY / f"{name}.yaml"
    description = load_config(Description, read_yaml(path), where=str(path))
    if description.name != name:
        raise UserError(f"{path}: its name is '{description.name}'")
    return description
