"""What an importer is: a naming rule, the branches a file may hold, and the preprocessing that its family trains with.

Every family is data of one kind, :class:`Family`; :mod:`transfer.importers.recognition` reads it, and so does whoever
wants to print a table of the families.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from transfer.backbone_file import Preprocessing
from transfer.importers.names import without_classifier

IMAGENET = Preprocessing()
"""ImageNet's statistics on the 0-1 scale, RGB: what most families' own code normalises with."""
SCALED_ONLY = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
"""Pixels divided by 255 and nothing else (mean 0, std 255 on the 0-255 scale)."""

_ROLES = {"query": "online", "student": "online", "key": "target", "teacher": "target", "momentum": "target"}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read.

    Attributes:
        tensors: of its state dict by name; those of a second state dict bear its key: ``model_ema/conv1.weight``.
        metadata: the text metadata of a safetensors header; a Detectron2 pickle's ``__author__`` as ``author``; the
            text of the configuration in an OpenMMLab file as ``config``.
        container: the key that the state dict was found under, empty where the file is the state dict itself.
        keys: of the file's outermost mapping.
        wrapped: whether wrappers' prefixes (``module.``) were taken off the names.
        average_swapped: see :class:`transfer.importers.containers.Found`.
    """

    path: Path
    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)
    container: str = ""
    keys: tuple[str, ...] = ()
    wrapped: bool = False
    average_swapped: bool = False


@dataclass(frozen=True)
class Branch:
    """One copy of the network in a checkpoint.

    Attributes:
        name: what ``--branch`` takes and the backbone file records.
        prefixes: what its tensors' names begin with, wrappers (``module.``) apart. Where several of them are in a file
            they are one and the same network under several names.
    """

    name: str
    prefixes: tuple[str, ...]


ONLY = (Branch("only", ("",)),)


def always(_checkpoint: Checkpoint) -> bool:
    """No further condition."""
    return True


def as_it_is(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Nothing to complete."""
    return tensors, []


@dataclass(frozen=True)
class Settings:
    """What the file itself, or its project's settings beside it, say of the weights; None where they do not.

    Attributes:
        unclear: it speaks of the preprocessing, but not in one voice: then the family's own is not taken either.
        notes: where that was read, for the user.
    """

    preprocessing: Preprocessing | None = None
    stride_in: str | None = None
    unclear: bool = False
    notes: tuple[str, ...] = ()


def states_nothing(_checkpoint: Checkpoint) -> Settings:
    """Nothing."""
    return Settings()


@dataclass(frozen=True)
class Family:
    """One family of checkpoints.

    A family claims a file only if it accounts for every tensor in it: those below its branches, and those that
    ``beside`` lists. One tensor more, and the file is somebody else's, whose preprocessing is not known.

    Attributes:
        name: what ``--from`` takes.
        title: for people.
        rule: the naming rule, as the table of the families prints it.
        branches: the default one first.
        why: why the default branch is the default.
        left_out: what else such files hold.
        preprocessing: what the family's own code trains with; None where the file does not tell and the user must.
        preprocessing_why: where that is said.
        source: where the layout was read, or that it was not.
        method: what the weights were trained with, as far as the layout says.
        methods: further names that ``--from`` takes; each is then recorded as the method.
        needs: groups of patterns; of every group at least one must be in the file (heads that mark the family).
        beside: patterns of everything that may lie beside the branches; None: anything. A pattern that ends in a dot or
            a star is the beginning of a name, any other one a whole name.
        condition: what else a file must be.
        rename: a name without its prefix to torchvision's, or None where the tensor is not the backbone's.
        complete: adds what the family leaves out of its files; returns the tensors and notes.
        stride_in: where its bottlenecks stride, which the tensors do not show; None where it is not known either.
        settings: what the file, or settings beside it, say; that goes over the family's own.
        fallback: fits only where no other family does.
        released_bare: files of torchvision's bare names are what people have of it: without a classifier such a file
            may be of this family.
        may_be_bare: a file of torchvision's bare names may be of this family too, if ``--from`` says so: extracted
            weights show neither whose they are nor of which branch.
    """

    name: str
    title: str
    rule: str
    branches: tuple[Branch, ...]
    why: str
    left_out: str
    preprocessing: Preprocessing | None
    preprocessing_why: str
    source: str
    method: str = "unknown"
    methods: tuple[str, ...] = ()
    needs: tuple[tuple[str, ...], ...] = ()
    beside: tuple[str, ...] | None = ()
    condition: Callable[[Checkpoint], bool] = always
    rename: Callable[[str], str | None] = without_classifier
    complete: Callable[[dict[str, Tensor]], tuple[dict[str, Tensor], list[str]]] = as_it_is
    stride_in: str | None = "3x3"
    settings: Callable[[Checkpoint], Settings] = states_nothing
    fallback: bool = False
    released_bare: bool = False
    may_be_bare: bool = True

    @property
    def description(self) -> str:
        """One line for help and errors."""
        return f"{self.title}: {self.rule}"

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that ``--from`` takes for it."""
        return (self.name, *self.methods)

    def branch(self, wanted: str) -> Branch | None:
        """The branch of that name, or of that role (query, student and online are one role; so are key, teacher,
        momentum and target)."""
        by_name = {branch.name: branch for branch in self.branches}
        by_role = {_ROLES.get(branch.name, branch.name): branch for branch in reversed(self.branches)}
        return by_name.get(wanted) or by_role.get(_ROLES.get(wanted, wanted))
