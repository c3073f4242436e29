"""The layout of the papers' tables, as data: one YAML file a table in ``benchmarks/published/tables``.

Rows and columns stand in the papers' own order. Which values are published is found in ``published/*.csv`` by table,
task, protocol, method, pretraining data, epochs and metric; a value that finds no place, or a place that is named
twice, is an error. What may stand in a row is said once, in ``methods.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.datasets.registry import list_data_sets
from benchmarks.published.values import PUBLISHED, PublishedValue
from scenebench.config import load_config, read_yaml
from scenebench.errors import UserError, did_you_mean, require_choice

LAYOUTS = PUBLISHED / "tables"
METHODS_FILE = "methods.yaml"


@dataclass
class PaperColumn:
    """One column.

    Attributes:
        metric: as published; ``measured``: as records name it ("": the same).
        protocol, task: as published; ``judged_by``: the protocol's id here ("": the same).
        dataset, split: of the registry; what a record must have been evaluated on.
    """

    title: str
    metric: str
    protocol: str
    task: str
    dataset: str
    split: str
    measured: str = ""
    judged_by: str = ""

    def __post_init__(self) -> None:
        self.measured = self.measured or self.metric
        self.judged_by = self.judged_by or self.protocol


@dataclass
class PaperRow:
    """One row: a method of ``methods.yaml``, what it was pretrained on (in the paper's words) and for how long.

    Attributes:
        epochs: None where the paper does not say.
        baseline: method of the row that it is compared with; "" for none.
        labels: further labels by which suites call the row.
    """

    method: str
    data: str = ""
    epochs: int | None = None
    baseline: str = ""
    labels: list[str] = field(default_factory=list)


@dataclass
class PaperTable:
    """One table.

    Attributes:
        published: how ``published/*.csv`` calls it; "" where nothing is published.
        suite: records of suites of this name, or of this name and a size, are shown beside it.
        stand_ins: protocols whose records of any suite are shown beside it.
        sweep: key of the recipe that the rows sweep, for the curve.
        gains: published are differences to a baseline, not values.
        baselines: rows that are not the paper's and that its rows are compared with.
    """

    name: str
    title: str
    published: str
    suite: str
    columns: list[PaperColumn] = field(default_factory=list)
    rows: list[PaperRow] = field(default_factory=list)
    baselines: list[PaperRow] = field(default_factory=list)
    stand_ins: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sweep: str = ""
    gains: bool = False

    def label(self, row: PaperRow) -> str:
        """What the row is called: its method, and its epochs where the method has several rows."""
        several = sum(other.method == row.method for other in [*self.rows, *self.baselines]) > 1
        return f"{row.method} {row.epochs}" if several and row.epochs is not None else row.method


@dataclass
class Making:
    """One way to make what stands in a row: the method here, and keys of its recipe (see ``methods.yaml``)."""

    method: str
    keys: dict[str, Any] = field(default_factory=dict)
    stated: dict[str, Any] = field(default_factory=dict)


@dataclass
class PretrainData:
    """What the papers' word for pretraining data means: names (compared without case), and number of images."""

    names: list[str]
    images: int


@dataclass(frozen=True)
class Methods:
    """``methods.yaml``."""

    architecture: str
    pretrain_data: dict[str, PretrainData]
    methods: dict[str, list[Making]]


@dataclass
class _MethodsFile:
    """The file as it stands; the lists are read element by element so that an error can name the element."""

    architecture: str
    pretrain_data: dict[str, PretrainData]
    methods: dict[str, list[Any]]


def paper_table_names() -> list[str]:
    """Names of the papers' tables and figures, in the papers' order."""
    return sorted(path.stem for path in LAYOUTS.glob("*.yaml") if path.name != METHODS_FILE)


@cache
def load_methods(path: Path = LAYOUTS / METHODS_FILE) -> Methods:
    """What the rows' methods are."""
    content = load_config(_MethodsFile, read_yaml(path), where=path.name)
    methods = {
        name: [load_config(Making, making, where=f"{path.name}: {name}") for making in makings]
        for name, makings in content.methods.items()
    }
    return Methods(content.architecture, content.pretrain_data, methods)


def load_paper_table(name: str, folder: Path = LAYOUTS) -> PaperTable:
    """The layout of one table.

    Raises:
        UserError: no such table (with the nearest name), an unknown key, method, baseline or data set.
    """
    if name not in {path.stem for path in folder.glob("*.yaml")} - {Path(METHODS_FILE).stem}:
        raise UserError(f"unknown table '{name}'{did_you_mean(name, paper_table_names())}")
    path = folder / f"{name}.yaml"
    table = load_config(PaperTable, read_yaml(path), where=path.name)
    if table.name != name:
        raise UserError(f"{path}: its name is '{table.name}'; it must be the file's")
    rows = [*table.rows, *table.baselines]
    for row in rows:
        require_choice(f"{path.name}: method", row.method, load_methods().methods)
        if row.baseline:
            require_choice(f"{path.name}: baseline of {row.method}", row.baseline, [other.method for other in rows])
    for column in table.columns:
        require_choice(f"{path.name}: dataset", column.dataset, list_data_sets())
    labels = [table.label(row) for row in rows]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"{path.name}: two rows are called '{label}'; give their epochs")
    return table


def place_published(table: PaperTable, values: list[PublishedValue]) -> list[list[PublishedValue | None]]:
    """The published value of every row (outer) and column (inner); None where the paper prints none.

    Raises:
        UserError: a value of this table has no place in the layout or two, or two values have one.
    """
    mine = [value for value in values if value.table == table.published]
    placed: list[list[PublishedValue | None]] = []
    used: list[PublishedValue] = []
    for row in table.rows:
        line: list[PublishedValue | None] = []
        for column in table.columns:
            found = [value for value in mine if _belongs(value, row, column)]
            if len(found) > 1:
                raise UserError(f"published table {table.published}: {row.method}, {column.title} has two values")
            if found and found[0] in used:
                raise UserError(f"{table.name}.yaml: {row.method}, {column.title} stands there twice")
            used += found
            line.append(found[0] if found else None)
        placed.append(line)
    if len(used) != len(mine):
        raise UserError(
            f"{table.name}.yaml: places {len(used)} of the {len(mine)} values of table '{table.published}'; "
            "mend its rows and columns"
        )
    return placed


def _belongs(value: PublishedValue, row: PaperRow, column: PaperColumn) -> bool:
    of_row = (value.method, value.pretrain_data, value.pretrain_epochs) == (row.method, row.data, row.epochs)
    return of_row and (value.task, value.protocol, value.metric) == (column.task, column.protocol, column.metric)
