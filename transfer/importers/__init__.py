"""Importers: other people's checkpoints into the backbone file.

A family is a declaration: a file of its own where there is something to tell, a row of :mod:`one_encoder` or
:mod:`two_encoders` where there is not. :mod:`recognition` finds out which one a checkpoint is of.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from scenebench.errors import UserError
from scenebench.files import sha256_of
from scenebench.overwriting import refuse_to_replace
from transfer.backbone_file import BackboneInfo, check_tensors, load_backbone, save_backbone
from transfer.importers import (
    byol_pytorch,
    detectron2,
    huggingface,
    lightly,
    mmselfsup,
    moco,
    one_encoder,
    openmmlab_models,
    openselfsup,
    ours,
    pytorch_byol,
    simclr,
    simsiam,
    slotcon,
    soco,
    sololearn,
    swav,
    torchvision,
    two_encoders,
    unknown_trainer,
    vissl,
)
from transfer.importers.architecture import infer_architecture
from transfer.importers.exported_weights import family_of_export
from transfer.importers.family import Checkpoint, Family
from transfer.importers.reading import read_checkpoint
from transfer.importers.recognition import Recognised, Wanted, family_named, recognise
from transfer.importers.stated_preprocessing import StatedPreprocessing, stride_of
from transfer.untrusted.refusal import shown

__all__ = [
    "FAMILIES",
    "Checkpoint",
    "Family",
    "ImportedBackbone",
    "StatedPreprocessing",
    "import_checkpoint",
    "infer_architecture",
    "read_backbone",
]

_IN_ORDER = (
    ours.FAMILY,
    torchvision.FAMILY,
    moco.FAMILY,
    openselfsup.FAMILY,
    mmselfsup.FAMILY,
    pytorch_byol.FAMILY,
    byol_pytorch.FAMILY,
    soco.FAMILY,
    slotcon.FAMILY,
    swav.FAMILY,
    vissl.FAMILY,
    simclr.FAMILY,
    simsiam.FAMILY,
    sololearn.FAMILY,
    lightly.FAMILY,
    lightly.WITH_STUDENT,
    *two_encoders.FAMILIES,
    *one_encoder.FAMILIES,
    huggingface.FAMILY,
    openmmlab_models.FAMILY,
    detectron2.FAMILY,
    detectron2.MSRA_FAMILY,
    detectron2.UNKNOWN_AUTHOR,
    unknown_trainer.FAMILY,
)
FAMILIES: dict[str, Family] = {family.name: family for family in _IN_ORDER}

_RUNNING_MEAN, _COUNTER = ".running_mean", ".num_batches_tracked"
_LONGEST_METHOD = 60


@dataclass(frozen=True)
class ImportedBackbone:
    """A checkpoint understood: backbone tensors under torchvision's names (float32, int64 counters) and what is known.

    Attributes:
        family, reason: what it was recognised as, and why.
        notes: what was changed or left out on the way.
    """

    family: str
    reason: str
    info: BackboneInfo
    tensors: dict[str, Tensor]
    notes: list[str] = field(default_factory=list)


def import_checkpoint(
    path: Path | str,
    out: Path | str,
    family: str | None = None,
    branch: str | None = None,
    preprocessing: StatedPreprocessing | None = None,
    *,
    prefix: str | None = None,
    method: str | None = None,
    overwrite: bool = False,
) -> ImportedBackbone:
    """Read a checkpoint and write it as a backbone file (by rename).

    Args:
        family: a name of one of :data:`FAMILIES`; None recognises it from the tensors' names and shapes.
        branch: which copy of the network, where the family has several; None takes the family's own choice.
        preprocessing: what the weights were trained with, where the family does not say it or says it wrongly.
        prefix: what the names of the network's tensors begin with, where no family knows it.
        method: what to record as the method, where the family does not know it or is wrong.
        overwrite: whether an existing ``out`` is replaced; the checkpoint itself never is.

    Raises:
        UserError: unreadable, of no known family, or of several (then ``family`` must say which); no such branch; a
            preprocessing that is neither stated nor fixed by the family; an architecture that cannot be held; ``out``
            exists, or is the checkpoint.
        TransferError: the backbone is incomplete or its tensors are not those of a ResNet.
    """
    if family is not None:
        family_named(family, FAMILIES)
    refuse_to_replace(out, [path], overwrite=overwrite)
    imported = read_backbone(path, family, branch, preprocessing, prefix=prefix, method=method)
    save_backbone(out, imported.tensors, imported.info)
    return imported


def read_backbone(
    path: Path | str,
    family: str | None = None,
    branch: str | None = None,
    preprocessing: StatedPreprocessing | None = None,
    *,
    prefix: str | None = None,
    method: str | None = None,
) -> ImportedBackbone:
    """:func:`import_checkpoint` without writing anything."""
    path, stated = Path(path), preprocessing or StatedPreprocessing()
    checkpoint = read_checkpoint(path)
    if checkpoint.metadata.get("scenebench") and family in (None, ours.FAMILY.name):
        return _our_own(path, branch, stated, prefix or method)

    export = family_of_export(path) if family is None and prefix is None else None
    families = FAMILIES if export is None else {export.name: export}
    found = recognise(checkpoint, families, Wanted(family, branch, prefix), stated)
    tensors, changes = _completed(found.tensors)
    architecture = infer_architecture(tensors, str(path))
    check_tensors(tensors, architecture, str(path))
    said = found.family.settings(checkpoint)
    known = said.preprocessing or (None if said.unclear else found.family.preprocessing)
    stated_or_known = stated.over(known, str(path), found.family.name, found.hint)
    stride_in = stride_of(architecture, said.stride_in or found.family.stride_in, stated, stated_or_known, str(path))
    info = BackboneInfo(
        architecture=dataclasses.replace(architecture, stride_in=stride_in),
        preprocessing=stated_or_known,
        method=found.family.method if method is None else _method(method),
        branch=found.branch,
        source_file=path.name,
        source_sha256=sha256_of(path),
    )
    notes = [*found.notes, *said.notes, *_left_out(checkpoint, found), *changes]
    return ImportedBackbone(found.family.name, found.reason, info, tensors, notes)


def _method(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_METHOD:
        raise UserError(f"--method: '{shown(name)}' is no name (one line of 1 to {_LONGEST_METHOD} letters)")
    return name.strip()


def _our_own(path: Path, branch: str | None, stated: StatedPreprocessing, other: str | None) -> ImportedBackbone:
    info, tensors = load_backbone(path)
    if stated.anything or other or branch not in (None, info.branch):
        raise UserError(
            f"{path}: a backbone file, whose header says its branch ('{info.branch}'), method and preprocessing; "
            "import the original checkpoint anew to change them"
        )
    return ImportedBackbone(ours.FAMILY.name, "its header carries scenebench's metadata", info, tensors)


def _left_out(checkpoint: Checkpoint, found: Recognised) -> list[str]:
    copies = {id(tensor) for tensor in found.copies}
    kept = {id(tensor) for tensor in found.tensors.values()} | copies
    others = [name for name, tensor in checkpoint.tensors.items() if id(tensor) not in kept]
    notes = [f"{len(copies)} tensors are the same network under a second name"] if copies else []
    if others:
        notes.append(f"left out {len(others)} tensors that are not this backbone ({', '.join(others[:3])}, ...)")
    return notes


def _completed(found: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """All floating-point tensors in float32; batch counters, which old PyTorch did not save, filled with zero."""
    notes = []
    dtypes = {tensor.dtype for tensor in found.values() if tensor.is_floating_point()}
    other_precision = sorted(str(dtype) for dtype in dtypes - {torch.float32})
    if other_precision:
        notes.append(f"converted {', '.join(other_precision)} to float32")
    tensors = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in found.items()}
    norms = [name.removesuffix(_RUNNING_MEAN) for name in tensors if name.endswith(_RUNNING_MEAN)]
    without_counter = [norm for norm in norms if norm + _COUNTER not in tensors]
    if without_counter:
        tensors |= {norm + _COUNTER: torch.tensor(0) for norm in without_counter}
        notes.append(f"filled {len(without_counter)} missing batch counters (num_batches_tracked) with 0")
    return tensors, notes
