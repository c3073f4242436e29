"""The names and shapes of the tensors in a weights file that a configuration names, and what network they are of.

Nothing in the file is run or unpickled, and nothing is said of a file that cannot be read so.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scenebench.errors import UserError

_BLOCKS = {(2, 2, 2, 2): 18, (3, 4, 6, 3): 50, (3, 4, 23, 3): 101, (3, 8, 36, 3): 152}
_STAGES = (("layer1", "layer2", "layer3", "layer4"), ("res2", "res3", "res4", "res5"))
_ROOTS = ("layer1.", "res2.")


@dataclass(frozen=True)
class TensorShapes:
    """The tensors of one file.

    Attributes:
        shapes: by name.
        heuristics: whether Detectron2 matches the names loosely (by their endings): its pickles that say so, or
            Caffe2's without an author.
    """

    shapes: dict[str, tuple[int, ...]]
    heuristics: bool = False

    def prefixes(self, *roots: str) -> list[str]:
        """What stands before ``layer1.`` or ``res2.`` (or other ``roots``) in the names; ``[""]`` for bare names."""
        found = set()
        for name in self.shapes:
            for root in roots or _ROOTS:
                before, separator, _ = name.partition(root)
                if separator and (not before or before.endswith(".")):
                    found.add(before)
        return sorted(found)


@dataclass(frozen=True)
class Network:
    """What the shapes say of a ResNet; None where they say nothing."""

    depth: int | None = None
    stem_width: int | None = None
    stem: str | None = None
    norm: str | None = None
    groups: int | None = None
    group_width: int | None = None


def read_shapes(path: Path) -> TensorShapes | None:
    """The tensors of a safetensors, PyTorch or Detectron2 file; None where it is not there or not readable."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return _read(path, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=32)  # many configurations name the same file
def _read(path: Path, _size: int, _modified: int) -> TensorShapes | None:
    from transfer.importers.reading import read_checkpoint

    try:
        checkpoint = read_checkpoint(path)
    except UserError:
        return None
    shapes = {name: tuple(tensor.shape) for name, tensor in checkpoint.tensors.items()}
    return TensorShapes(shapes, _matches_loosely(path, checkpoint.metadata))


def _matches_loosely(path: Path, metadata: dict[str, str]) -> bool:
    """Whether Detectron2 matches the names of a pickle by their ends: of Caffe2, or where the file says so."""
    from transfer.numpy_pickle import load_arrays

    try:
        content = load_arrays(path)
    except UserError:
        return False  # a file of PyTorch
    return metadata.get("author", "Caffe2") == "Caffe2" or bool(content.get("matching_heuristics"))


def network_of(tensors: TensorShapes) -> Network:
    """The ResNet among the tensors, by its first prefix; nothing where there is none, or where there are several."""
    prefixes = tensors.prefixes()
    if len(prefixes) != 1:
        return Network()
    inside = {name.removeprefix(prefixes[0]): shape for name, shape in tensors.shapes.items()}
    first = _first(inside, ("conv1.weight", "stem.conv1.weight"))
    three = _first(inside, ("layer1.0.conv2.weight", "res2.0.conv2.weight"))
    bottleneck = _first(inside, ("layer1.0.conv3.weight", "res2.0.conv3.weight")) is not None
    groups = width = None
    if bottleneck and three is not None and len(three) == 4 and three[1] > 0:
        groups, width = three[0] // three[1], three[1]
    deep = any(name.startswith(("conv1.0.", "stem.0.", "stem.conv1_1")) for name in inside)
    is_plain = first is not None and first[1:] == (3, 7, 7)
    return Network(
        depth=_depth(inside, bottleneck),
        stem_width=first[0] if first and is_plain else None,
        stem="deep" if deep else "conv7x7" if is_plain else None,
        norm=_norm(inside),
        groups=groups,
        group_width=width,
    )


def _first(shapes: dict[str, tuple[int, ...]], names: Iterable[str]) -> tuple[int, ...] | None:
    return next((shapes[name] for name in names if name in shapes), None)


def _depth(names: Iterable[str], bottleneck: bool) -> int | None:
    for stages in _STAGES:
        blocks = tuple(
            len({name.split(".")[1] for name in names if name.startswith(f"{stage}.") and name.count(".") > 1})
            for stage in stages
        )
        if blocks in _BLOCKS:
            depth = _BLOCKS[blocks]
            return {True: depth, False: 34 if depth == 50 else depth}[bottleneck]
    return None


def _norm(names: Iterable[str]) -> str | None:
    """``BN`` where norms have running statistics, ``GN`` where they have a scale and none; None where none is seen."""
    norms = [name for name in names if ".bn" in f".{name}" or ".norm." in name]
    if not norms:
        return None
    return "BN" if any(name.endswith("running_mean") for name in norms) else "GN"
