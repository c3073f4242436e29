"""What an importer is: a naming rule, the branch it takes, and the preprocessing that its family trains with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from transfer.backbone_file import Preprocessing


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: the tensors of its state dict, and the text metadata of a safetensors header."""

    path: Path
    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """One family of checkpoints.

    Attributes:
        name: what ``--from`` takes.
        description: one line for help and errors.
        recognise: why this checkpoint is of the family (a clause), or None.
        backbone: the backbone's tensors under torchvision's names; heads, queues and other branches left out.
        branch: which copy of the network that is; see :class:`transfer.backbone_file.BackboneInfo`.
        method: what the weights were trained with, as far as the format alone says.
        preprocessing: what the family's own code trains with.
        stride_in: where its bottlenecks stride, which the tensors do not show.
    """

    name: str
    description: str
    recognise: Callable[[Checkpoint], str | None]
    backbone: Callable[[Checkpoint], dict[str, Tensor]]
    branch: str
    method: str
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    stride_in: str = "3x3"


def below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with ``prefix``, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def without_classifier(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out torchvision's ``fc``, be it a classifier or a projection head."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}
