"""A checkpoint from anywhere, read by the importers and laid into a results folder as a backbone file, with proof."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.protocols.protocol import Protocol
from scenebench.config import config_hash, to_plain
from scenebench.errors import TransferError, UserError
from scenebench.files import replacing, sha256_of, write_text
from transfer import proof
from transfer.backbone_file import load_backbone, save_backbone
from transfer.importers import ImportedBackbone, StatedPreprocessing, read_backbone
from transfer.importers.ours import FAMILY as OURS
from transfer.networks.network import build_network
from transfer.networks.resnet import Architecture

BACKBONE_FILE, PROOF_FILE = "backbone.safetensors", "import.json"
_SUFFIXES = (".tar", ".pth", ".pt", ".ckpt", ".pkl", ".safetensors", ".torch", ".bin")


@dataclass(frozen=True)
class SubmittedCheckpoint:
    """What is to be evaluated, in memory.

    Attributes:
        path, sha256: the file that was submitted.
        imported: its backbone and how it was understood.
    """

    path: Path
    sha256: str
    imported: ImportedBackbone

    @property
    def is_backbone_file(self) -> bool:
        """Whether it was a backbone file already; its bytes are kept then."""
        return self.imported.family == OURS.name

    @property
    def identity(self) -> str:
        """Eight hexadecimal digits: the file, and everything that was understood or stated about it."""
        info = to_plain(self.imported.info) | {"code_version": ""}
        return config_hash([self.sha256, info])[:8]

    @property
    def folder(self) -> str:
        """Where it is laid, relative to the results folder."""
        return f"cells/given/{self.identity}"

    @property
    def default_label(self) -> str:
        """The recipe of one of our backbone files, else the file's name without its suffixes."""
        if self.is_backbone_file and self.imported.info.recipe_name:
            return self.imported.info.recipe_name
        name = self.path.name
        while Path(name).suffix.lower() in _SUFFIXES:
            name = Path(name).stem
        return name or self.path.name


def read_submitted(
    path: Path | str,
    family: str | None = None,
    branch: str | None = None,
    preprocessing: StatedPreprocessing | None = None,
    *,
    prefix: str | None = None,
    method: str | None = None,
) -> SubmittedCheckpoint:
    """Read a checkpoint of any family that the importers know, or a backbone file; nothing is written or unpickled.

    Raises:
        UserError: as :func:`transfer.importers.import_checkpoint`.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name the checkpoint file in it")
    imported = read_backbone(path, family, branch, preprocessing, prefix=prefix, method=method)
    return SubmittedCheckpoint(path, sha256_of(path), imported)


def require_supported(submitted: SubmittedCheckpoint, protocols: Sequence[Protocol]) -> None:
    """Stop before any work where one of the protocols cannot evaluate this architecture.

    Raises:
        UserError: naming every such protocol.
    """
    architecture = submitted.imported.info.architecture
    reasons = []
    for protocol in protocols:
        if not protocol.TAKES_TRANSFORMERS and not isinstance(architecture, Architecture):
            reasons.append(f"{protocol.id} ({protocol.task}) takes ResNets only")
        elif protocol.backbone and protocol.backbone != architecture.name:
            reasons.append(f"{protocol.id} is about a {protocol.backbone}")
    if reasons:
        raise UserError(
            f"{submitted.path}: a {architecture.name}, which {len(reasons)} of the suite's {len(protocols)} protocols "
            f"cannot evaluate: {'; '.join(reasons)}; choose a suite without them, or one protocol by --protocol"
        )


def write_submitted(submitted: SubmittedCheckpoint, out: Path) -> list[str]:
    """Write the backbone file and its proof into ``out``, unless they are there and sound; returns what was proven.

    The proof: the file, read back, has every tensor of the checkpoint bit for bit, and the network they make gives
    finite features at every stage.

    Raises:
        TransferError: the proof fails; nothing is left behind.
        UserError: ``out`` cannot be written.
    """
    file = out / submitted.folder / BACKBONE_FILE
    if not _is_sound(file, submitted.imported.tensors):
        with replacing(file) as temporary:
            if submitted.is_backbone_file:
                shutil.copyfile(submitted.path, temporary)
            else:
                save_backbone(temporary, submitted.imported.tensors, submitted.imported.info)
            if not _is_sound(temporary, submitted.imported.tensors):
                raise TransferError(f"{submitted.path}: what was written is not what was read; is the disk failing?")
    stages = _finite_stages(submitted)
    content = {
        "source_file": submitted.path.name,
        "source_sha256": submitted.sha256,
        "family": submitted.imported.family,
        "reason": submitted.imported.reason,
        "notes": submitted.imported.notes,
        "architecture": submitted.imported.info.architecture.name,
        "preprocessing": to_plain(submitted.imported.info.preprocessing),
        "backbone_sha256": sha256_of(file),
        "tensors_equal_bit_by_bit": len(submitted.imported.tensors),
        "stages_with_finite_features": stages,
    }
    write_text(file.with_name(PROOF_FILE), json.dumps(content, indent=1) + "\n")
    return [
        f"{submitted.path.name}: recognised as {submitted.imported.family}: {submitted.imported.reason}",
        *(f"  {note}" for note in submitted.imported.notes),
        f"  {submitted.imported.info.architecture.name}: {len(submitted.imported.tensors)} tensors bit for bit; "
        f"features finite at {', '.join(stages)}",
    ]


def _is_sound(file: Path, tensors: dict[str, Tensor]) -> bool:
    try:
        _, found = load_backbone(file)
    except UserError:
        return False
    return found.keys() == tensors.keys() and all(proof.same_bits(found[name], tensors[name]) for name in tensors)


def _finite_stages(submitted: SubmittedCheckpoint) -> list[str]:
    info = submitted.imported.info
    network = build_network(info.architecture)
    network.load_state_dict(submitted.imported.tensors, strict=True)
    features = proof.source_features(network.eval(), info, torch.device("cpu"))
    for stage, values in features.items():
        if not bool(torch.isfinite(values).all()):
            raise TransferError(
                f"{submitted.path}: its features are not finite at {stage}; these weights cannot be evaluated"
            )
    return list(features)
