"""What every exporter must show before anybody trains on its weights, and the report that says it was shown.

1. every backbone tensor of the target was set from the file and none of the file's tensors is left over, bit by bit
   and in both directions (the target's tensors, renamed back, *are* the file's);
2. one fixed 8-bit image sent through the target's own preprocessing and network gives, at every stage, the features of
   the source network.

Anything else raises :class:`~scenebench.errors.TransferError`.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scenebench.errors import TransferError
from scenebench.files import sha256_of, write_text
from transfer.backbone_file import BackboneInfo
from transfer.networks.network import AnyArchitecture, Backbone
from transfer.networks.resnet import STAGES, stage_of
from transfer.untouched import sealed

TOLERANCE = 1e-5
"""Largest allowed difference of a stage's features, as a fraction of the stage's largest absolute feature."""

IMAGE_HEIGHT, IMAGE_WIDTH = 64, 96  # multiples of 32, so that no toolbox pads; not square, so that axes cannot swap

TOOLBOX_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, NameError, OSError,
    RuntimeError, TypeError, ValueError, pickle.UnpicklingError,
)  # fmt: skip
"""What a toolbox raises on a configuration that it cannot build or run, or on weights that it cannot load."""

_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class TransferReport:
    """A conversion that was proven.

    Attributes:
        target: the toolbox.
        source, source_sha256: the backbone file's name and content.
        architecture: for example ``resnet50``.
        tensors: how many of the target's tensors were set from the file, by stage.
        counters_without_place: ``num_batches_tracked`` of the file for which the target's frozen norms have no place.
        max_abs_difference: of the features, by stage.
        max_abs_feature: the scale to read the differences on, by stage.
        files: what an export wrote, by role (``weights``, ``config``, ``report``).
        notes: what a user of the files has to know (an import that a config needs, say).
    """

    target: str
    source: str
    source_sha256: str
    architecture: str
    tensors: dict[str, int]
    counters_without_place: int
    max_abs_difference: dict[str, float]
    max_abs_feature: dict[str, float]
    backbone: dict[str, object] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def table(self) -> str:
        """The proof as aligned plain text, one line a stage."""
        width = max(8, *(len(stage) + 1 for stage in self.tensors))
        lines = [
            f"{self.source} ({self.architecture}) -> {self.target}",
            f"{'stage':<{width}}{'tensors':>8}{'max |difference|':>19}{'max |feature|':>16}",
        ]
        lines += [
            f"{stage:<{width}}{count:>8}{self.max_abs_difference[stage]:>19.3g}{self.max_abs_feature[stage]:>16.4g}"
            for stage, count in self.tensors.items()
        ]
        lines.append(f"{'total':<{width}}{sum(self.tensors.values()):>8}{max(self.max_abs_difference.values()):>19.3g}")
        if self.counters_without_place:
            lines.append(f"{self.counters_without_place} batch counters have no place in the target's frozen norms")
        return "\n".join([*lines, *self.notes])

    def write(self, path: Path | str) -> None:
        """Write the report as the JSON side-car of an export, with the hashes of the files that it names."""
        content = sealed(dataclasses.asdict(self), Path(path).parent)
        write_text(path, json.dumps(content, indent=1) + "\n")


def reference_image() -> np.ndarray:
    """The fixed image: uint8 RGB, ``IMAGE_HEIGHT`` x ``IMAGE_WIDTH`` x 3, all values, channels that cannot be swapped.

    Built from integers alone, hence equal everywhere.
    """
    rows, columns = np.mgrid[0:IMAGE_HEIGHT, 0:IMAGE_WIDTH]
    red = (3 * rows + columns) % 256
    green = (5 * columns - 3 * rows) % 256
    blue = ((rows // 8 + columns // 8) % 2) * 160 + (7 * rows * rows + 13 * columns) % 64
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def source_features(network: Backbone, info: BackboneInfo, device: torch.device) -> dict[str, Tensor]:
    """Features of :func:`reference_image` by stage, through the preprocessing that the backbone file states.

    Where a vision transformer's patches do not divide it, its last rows and columns are left out.
    """
    image = torch.from_numpy(reference_image()).permute(2, 0, 1).unsqueeze(0)
    stride = info.architecture.stride
    image = image[:, :, : IMAGE_HEIGHT // stride * stride, : IMAGE_WIDTH // stride * stride]
    with exact_arithmetic():
        return network.eval().to(device).stage_features(info.preprocessing.normalise(image.to(device)))


def check_names(source: Mapping[str, Tensor], target: Mapping[str, Tensor], where: str) -> None:
    """Both sides, under torchvision's names, must have the same tensors of the same shapes.

    A ``num_batches_tracked`` of the source may be without place where the target's norm keeps no such counter.

    Raises:
        TransferError: naming up to three tensors of each kind of difference.
    """
    unset = sorted(target.keys() - source.keys())
    left_over = sorted(name for name in source.keys() - target.keys() if not _placeless_counter(name, target))
    shapes = [
        f"{name} {tuple(source[name].shape)} into {tuple(target[name].shape)}"
        for name in sorted(source.keys() & target.keys())
        if source[name].shape != target[name].shape
    ]
    _raise_listing(
        where,
        {
            "of the target have no counterpart in the file": unset,
            "of the file have no place in the target": left_over,
            "are of another shape": shapes,
        },
    )


def check_values(
    source: Mapping[str, Tensor], target: Mapping[str, Tensor], where: str, architecture: AnyArchitecture | None = None
) -> dict[str, int]:
    """After :func:`check_names`: every tensor of the target must be the file's, bit by bit.

    Args:
        architecture: whose stages are counted; a ResNet's where none is given.

    Returns:
        Number of tensors set, by stage.

    Raises:
        TransferError: naming the tensors that were never set (they still hold :func:`poison`) or hold other values.
    """
    never_set: list[str] = []
    other: list[str] = []
    for name, tensor in target.items():
        if not same_bits(source[name], tensor):
            (never_set if _poisoned(tensor) else other).append(name)
    _raise_listing(where, {"were never set from the file": never_set, "hold other values than the file": other})
    counts = Counter((architecture.stage_of if architecture else stage_of)(name) for name in target)
    return {stage: counts[stage] for stage in (architecture.stages if architecture else STAGES)}


def check_features(
    source: Mapping[str, Tensor], target: Mapping[str, Tensor], where: str
) -> tuple[dict[str, float], dict[str, float]]:
    """Compare features stage by stage; the stages are the source's.

    Returns:
        Largest absolute difference and largest absolute feature, by stage.

    Raises:
        TransferError: a stage differs by more than :data:`TOLERANCE` of its largest feature, has another shape, is
            not finite, or is zero throughout (which would prove nothing).
    """
    differences: dict[str, float] = {}
    peaks: dict[str, float] = {}
    failed: list[str] = []
    for stage, ours in source.items():
        theirs = target[stage].to(ours)
        if ours.shape != theirs.shape:
            raise TransferError(
                f"{where}: features of {stage} are {tuple(theirs.shape[1:])} instead of {tuple(ours.shape[1:])}: "
                "another stride, dilation or padding"
            )
        peaks[stage] = peak = float(ours.abs().max())
        differences[stage] = difference = float((ours - theirs).abs().max())
        if not 0.0 < peak < float("inf"):
            raise TransferError(f"{where}: the largest feature of {stage} is {peak}; such weights cannot be proven")
        if not difference <= TOLERANCE * peak:
            failed.append(f"{stage} by {difference:.3g} (largest feature {peak:.3g})")
    if failed:
        raise TransferError(f"{where}: features differ at {', '.join(failed)}; {_likely_cause(failed[0])}")
    return differences, peaks


def make_report(
    target: str,
    path: Path | str,
    info: BackboneInfo,
    source: Mapping[str, Tensor],
    tensors: dict[str, int],
    features: tuple[dict[str, float], dict[str, float]],
) -> TransferReport:
    """Put the results of the three checks together."""
    content = dataclasses.asdict(info)
    content.pop("recipe")
    return TransferReport(
        target=target,
        source=Path(path).name,
        source_sha256=sha256_of(path),
        architecture=info.architecture.name,
        tensors=tensors,
        counters_without_place=len(source) - sum(tensors.values()),
        max_abs_difference=features[0],
        max_abs_feature=features[1],
        backbone=content,
    )


def poison(tensors: Mapping[str, Tensor]) -> None:
    """Fill with NaN (counters with -1), so that a tensor that a loader skips cannot be taken for a loaded one."""
    with torch.no_grad():
        for tensor in tensors.values():
            tensor.fill_(float("nan") if tensor.is_floating_point() else -1)


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Inside the block, whatever a toolbox raises says that the transfer failed.

    Args:
        what: the error's beginning, for example ``x.safetensors in timm: its features cannot be computed``.

    Raises:
        TransferError: ``what`` and the toolbox's reason, on one line.
    """
    try:
        yield
    except TOOLBOX_ERRORS as error:
        raise TransferError(f"{what}: {' '.join(str(error).split()) or type(error).__name__}") from error


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """No gradients, full float32 (no TF32), deterministic kernels: equal operations give equal results."""
    with (
        torch.no_grad(),
        torch.autocast("cuda", enabled=False),
        torch.autocast("cpu", enabled=False),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
    ):
        yield


def _placeless_counter(name: str, target: Mapping[str, Tensor]) -> bool:
    return name.endswith(_COUNTER) and name.removesuffix(_COUNTER) + ".weight" in target


def same_bits(first: Tensor, second: Tensor) -> bool:
    """Equal type, shape and bits (0.0 and -0.0 differ), on whatever devices."""
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    second = second.to(first.device)
    if first.dtype == torch.float32:  # as integers, so that 0.0 and -0.0 differ
        return torch.equal(first.contiguous().view(torch.int32), second.contiguous().view(torch.int32))
    return torch.equal(first, second)


def _poisoned(tensor: Tensor) -> bool:
    return bool(tensor.isnan().all() if tensor.is_floating_point() else (tensor == -1).all())


def _likely_cause(first_failure: str) -> str:
    if first_failure.startswith(("stem", "embedding")):
        return "from the stem on, so look at the preprocessing: channel order, mean, std, value range"
    return "equal before that, so look at the strides (1x1 or 3x3), dilations and norms of that stage"


def _raise_listing(where: str, kinds: Mapping[str, list[str]]) -> None:
    problems = [
        f"{len(names)} tensors {kind}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        for kind, names in kinds.items()
        if names
    ]
    if problems:
        raise TransferError(f"{where}: {'; '.join(problems)}")
