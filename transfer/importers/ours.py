"""Our own backbone file: read as it is, with everything that its header says."""

from __future__ import annotations

from transfer.importers.family import ONLY, Checkpoint, Family


def _has_our_header(checkpoint: Checkpoint) -> bool:
    return bool(checkpoint.metadata.get("scenebench"))


FAMILY = Family(
    name="ours",
    title="a backbone file of scenebench (.safetensors)",
    rule="conv1.*, layer1.0.conv1.*, ..., with scenebench's metadata in the header",
    branches=ONLY,
    why="the header says which branch it is",
    left_out="nothing: it holds nothing else",
    preprocessing=None,
    preprocessing_why="the header says it",
    source="transfer/backbone_file.py",
    condition=_has_our_header,
    may_be_bare=False,
)
