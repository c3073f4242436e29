"""How long, and in how much memory, a checkpoint becomes proven files for a toolbox.

Start-up (importing PyTorch and the toolbox) is not counted. Times are CPU seconds of one core; memory is what the
process grew by at its peak, in multiples of the checkpoint's size.
"""

from __future__ import annotations

import importlib
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from scenebench.errors import require_choice
from scenebench.resident_memory import resident_kib
from transfer.exporters import EXPORTERS
from transfer.importers import import_checkpoint
from transfer.networks.resnet import Architecture, build_resnet

SECONDS_ALLOWED = 5.0
MEMORY_ALLOWED = 4.0
TARGETS = ("torchvision", "timm", "mmseg", "detectron2")

_RESET_PEAK = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measurement:
    """One checkpoint, imported and exported.

    Attributes:
        checkpoint_mib: size of the file.
        import_seconds, export_seconds: CPU seconds; the export includes its proof.
        peak_mib: growth of the resident memory at its peak; NaN where the system does not tell it.
    """

    target: str
    architecture: str
    checkpoint_mib: float
    import_seconds: float
    export_seconds: float
    peak_mib: float

    @property
    def seconds(self) -> float:
        """Both steps together."""
        return self.import_seconds + self.export_seconds

    @property
    def memory(self) -> float:
        """Peak growth in multiples of the checkpoint."""
        return self.peak_mib / self.checkpoint_mib

    @property
    def within(self) -> bool:
        """Whether both limits are kept; memory that cannot be measured does not count."""
        return self.seconds <= SECONDS_ALLOWED and not self.memory > MEMORY_ALLOWED


def measure(target: str, architecture: Architecture, folder: Path) -> Measurement:
    """Write a random checkpoint of a classifier (the smallest layout: no second network in it), import and export it.

    Args:
        target: one of :data:`TARGETS`.
        folder: an empty folder for the files.

    Raises:
        UserError: an unknown target.
    """
    require_choice("target", target, TARGETS)
    exporter = importlib.import_module(EXPORTERS[target])
    checkpoint = folder / "checkpoint.pth"
    _write_checkpoint(checkpoint, architecture)
    _warm_up(exporter.export, folder)
    before = _reset_peak()
    backbone = folder / "backbone.safetensors"
    import_seconds = _cpu_seconds(lambda: import_checkpoint(checkpoint, backbone))
    export_seconds = _cpu_seconds(lambda: exporter.export(backbone, folder / "exported"))
    return Measurement(
        target=target,
        architecture=architecture.name,
        checkpoint_mib=checkpoint.stat().st_size / 2**20,
        import_seconds=import_seconds,
        export_seconds=export_seconds,
        peak_mib=(resident_kib(peak=True) - before) / 1024,
    )


def table(measurements: list[Measurement]) -> str:
    """Aligned plain text, one line a target."""
    lines = [
        f"{'target':<13}{'network':<12}{'file MiB':>9}{'import s':>10}{'export s':>10}{'total s':>9}{'peak MiB':>10}"
        f"{'x file':>8}  within {SECONDS_ALLOWED:g} s and {MEMORY_ALLOWED:g} x"
    ]
    lines += [
        f"{row.target:<13}{row.architecture:<12}{row.checkpoint_mib:>9.1f}{row.import_seconds:>10.2f}"
        f"{row.export_seconds:>10.2f}{row.seconds:>9.2f}{row.peak_mib:>10.0f}{row.memory:>8.2f}  "
        f"{'yes' if row.within else 'NO'}"
        for row in measurements
    ]
    return "\n".join(lines)


def measure_targets(targets: Sequence[str], depth: int) -> list[Measurement]:
    """One measurement a target, each in a process of its own where they are several.

    Args:
        depth: of the ResNet.

    Raises:
        UserError: an unknown target or depth.
    """
    for target in targets:
        require_choice("--to", target, TARGETS)
    Architecture(depth=depth)
    if len(targets) == 1:
        return [_measured(targets[0], depth)]
    return _each_in_its_own_process(targets, depth)


def _measured(target: str, depth: int) -> Measurement:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return measure(target, Architecture(depth=depth), Path(folder))
    finally:
        torch.set_num_threads(threads)


def _each_in_its_own_process(targets: Sequence[str], depth: int) -> list[Measurement]:
    """Or the memory that the first target freed would hide what the second one takes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context, max_tasks_per_child=1) as pool:
        return list(pool.map(_measured, targets, [depth] * len(targets)))


def _write_checkpoint(path: Path, architecture: Architecture) -> None:
    state = build_resnet(architecture).state_dict()
    state["fc.weight"] = torch.zeros(1000, architecture.feature_dim)
    state["fc.bias"] = torch.zeros(1000)
    torch.save(state, path)


def _warm_up(export: Callable[..., object], folder: Path) -> None:
    """Run once with a small network: what a toolbox imports and registers at its first use is start-up."""
    checkpoint, backbone = folder / "small.pth", folder / "small.safetensors"
    _write_checkpoint(checkpoint, Architecture(depth=18))
    import_checkpoint(checkpoint, backbone)
    export(backbone, folder / "small")


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _reset_peak() -> float:
    """Make the present memory the peak, where Linux allows it, and return it in KiB."""
    if _RESET_PEAK.exists():
        _RESET_PEAK.write_text("5")
    return resident_kib()
