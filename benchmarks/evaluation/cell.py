"""What goes into the evaluation of one backbone by one protocol, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.datasets.folder import DatasetFolder
from transfer.backbone_file import BackboneInfo

if TYPE_CHECKING:
    from benchmarks.protocols.protocol import Protocol


@dataclass(frozen=True)
class Cell:
    """One cell of a table, ready to run.

    Attributes:
        backbone: path of the backbone file, or a name such as ``reference:colour_histogram``.
        info: what the backbone file says; None for a reference.
        out: existing folder for whatever the run leaves beside its record.
    """

    backbone: Path | str
    info: BackboneInfo | None
    protocol: Protocol
    data: DatasetFolder
    seed: int
    out: Path

    @property
    def backbone_file(self) -> Path:
        """The backbone's path (only for tasks that accept no reference)."""
        assert isinstance(self.backbone, Path)
        return self.backbone


@dataclass(frozen=True)
class Outcome:
    """What was measured. ``metrics`` and ``per_class`` are percentages (0-100) or None where undefined.

    ``instances``: annotated objects that were to be found in the test images; None where none are looked for.
    """

    metrics: dict[str, float | None]
    train_images: int
    test_images: int
    per_class: dict[str, dict[str, float | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    instances: int | None = None
