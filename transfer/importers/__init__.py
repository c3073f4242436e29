"""Importers: other people's checkpoints into the backbone file, one file a family."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from scenebench.errors import UserError, require_choice
from scenebench.files import sha256_of
from transfer.backbone_file import BackboneInfo, check_tensors, load_backbone, save_backbone
from transfer.importers import moco, ours, torchvision
from transfer.importers.family import Checkpoint, Family
from transfer.importers.reading import read_checkpoint
from transfer.resnet import BLOCKS_BY_DEPTH, Architecture

FAMILIES: dict[str, Family] = {module.FAMILY.name: module.FAMILY for module in (ours, torchvision, moco)}

_RUNNING_MEAN, _COUNTER = ".running_mean", ".num_batches_tracked"


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


def import_checkpoint(path: Path | str, out: Path | str, family: str | None = None) -> ImportedBackbone:
    """Read a checkpoint and write it as a backbone file (by rename).

    Args:
        family: a key of :data:`FAMILIES`; None recognises it from the tensors' names.

    Raises:
        UserError: unreadable, of no known family, or of several (then ``family`` must say which).
        TransferError: the backbone is incomplete or its tensors are not those of a ResNet.
    """
    imported = read_backbone(path, family)
    save_backbone(out, imported.tensors, imported.info)
    return imported


def read_backbone(path: Path | str, family: str | None = None) -> ImportedBackbone:
    """:func:`import_checkpoint` without writing anything."""
    path = Path(path)
    checkpoint = read_checkpoint(path)
    chosen, reason = _recognise(checkpoint, family)
    if chosen is ours.FAMILY:
        info, tensors = load_backbone(path)
        return ImportedBackbone(chosen.name, reason, info, tensors)

    found = chosen.backbone(checkpoint)
    notes = _left_out(checkpoint, found)
    tensors, changes = _completed(found)
    architecture = infer_architecture(tensors, str(path), chosen.stride_in)
    check_tensors(tensors, architecture, str(path))
    info = BackboneInfo(
        architecture=architecture,
        preprocessing=chosen.preprocessing,
        method=chosen.method,
        branch=chosen.branch,
        source_file=path.name,
        source_sha256=sha256_of(path),
    )
    return ImportedBackbone(chosen.name, reason, info, tensors, notes + changes)


def infer_architecture(tensors: dict[str, Tensor], where: str, stride_in: str = "3x3") -> Architecture:
    """Depth, from the number and kind of blocks, and stem width, from the first convolution.

    Raises:
        UserError: not a ResNet-18, -34, -50, -101 or -152 with a 7x7 stem under torchvision's names.
    """
    if any(name.startswith(("conv1.0.", "stem.")) for name in tensors):
        raise UserError(f"{where}: has a deep (V1c) stem of several convolutions; only the 7x7 stem can be imported")
    first = tensors.get("conv1.weight")
    if first is None or first.dim() != 4 or tuple(first.shape[1:]) != (3, 7, 7):
        shape = "missing" if first is None else f"of shape {tuple(first.shape)}"
        raise UserError(f"{where}: conv1.weight is {shape}; expected a 7x7 convolution of three channels")
    blocks = tuple(
        len({name.split(".")[1] for name in tensors if name.startswith(f"layer{stage}.")}) for stage in range(1, 5)
    )
    bottlenecks = "layer1.0.conv3.weight" in tensors
    for depth, (block, known_blocks) in BLOCKS_BY_DEPTH.items():
        if known_blocks == blocks and (block.expansion > 1) == bottlenecks:
            return dataclasses.replace(Architecture(), depth=depth, stem_width=first.shape[0], stride_in=stride_in)
    kind = "bottleneck" if bottlenecks else "basic"
    raise UserError(f"{where}: {blocks} {kind} blocks in layer1 to layer4 are no ResNet-18, -34, -50, -101 or -152")


def _recognise(checkpoint: Checkpoint, family: str | None) -> tuple[Family, str]:
    if family is not None:
        require_choice("--from", family, FAMILIES)
        reason = FAMILIES[family].recognise(checkpoint)
        if reason is None:
            raise UserError(f"{checkpoint.path}: not a checkpoint of '{family}' ({FAMILIES[family].description})")
        return FAMILIES[family], reason
    fitting = [(known, reason) for known in FAMILIES.values() if (reason := known.recognise(checkpoint)) is not None]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(known.name for known, _ in fitting)
        raise UserError(f"{checkpoint.path}: fits several families; say which with --from ({names})")
    seen = ", ".join(sorted(checkpoint.tensors)[:3])
    known_families = "; ".join(f"{known.name}: {known.description}" for known in FAMILIES.values())
    raise UserError(f"{checkpoint.path}: of no known family. It holds {seen}, ...; known are {known_families}")


def _left_out(checkpoint: Checkpoint, found: dict[str, Tensor]) -> list[str]:
    kept = {id(tensor) for tensor in found.values()}
    others = [name for name, tensor in checkpoint.tensors.items() if id(tensor) not in kept]
    if not others:
        return []
    return [f"left out {len(others)} tensors that are not this backbone ({', '.join(others[:3])}, ...)"]


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
