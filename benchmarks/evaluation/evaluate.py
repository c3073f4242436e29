"""The one contract of the benchmarks: a backbone, a protocol, data and a seed go in, a record comes out."""

from __future__ import annotations

import importlib
import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.evaluation.environment import (
    describe_environment,
    peak_accelerator_memory_mb,
    peak_memory_mb,
)
from benchmarks.evaluation.official import open_data
from benchmarks.evaluation.toolboxes import require_toolbox
from benchmarks.protocols.protocol import Protocol
from benchmarks.records.record import (
    BackbonePart,
    DatasetPart,
    JudgedPart,
    ProtocolPart,
    Record,
    read_record,
    write_record,
)
from scenebench.config import config_hash
from scenebench.errors import UserError, did_you_mean
from scenebench.files import sha256_of, write_text
from scenebench.locking import only_process
from transfer.backbone_file import BackboneInfo, read_info
from transfer.networks.network import require_resnet

RECORD, RUN, LOG, WORK, RESUME = "record.json", "run.json", "log.txt", "toolbox", "resume"
REFERENCES = ("reference:scene_type_oracle", "reference:colour_histogram", "reference:chance")
"""Rows that judge no backbone but what can be had without one; classification only, but for chance."""
_BEYOND_CLASSIFICATION = {("reference:chance", "segmentation")}

_log = logging.getLogger("scenebench")


@dataclass(frozen=True)
class _Backbone:
    """What is judged: the record's part about it, its header (None for a reference), and where it is."""

    source: Path | str
    info: BackboneInfo | None
    part: BackbonePart


def evaluate(
    backbone: Path | str,
    protocol: Protocol,
    data_root: Path | str,
    seed: int,
    out: Path | str,
    label: str = "",
    suite: str = "",
    size: str = "",
    suite_values: Mapping[str, Any] | None = None,
) -> Record:
    """Judge ``backbone`` by ``protocol`` on its data set and write ``out/record.json``, last and by rename.

    Beside it lie ``log.txt`` and, for detection and segmentation, ``predictions.png`` (a few test images with what was
    predicted), ``transfer.json`` (the proof that the weights arrived) and ``toolbox/`` (the resolved toolbox
    configuration and its log). A finished run is returned as it is; an unfinished one starts again, but for a
    classifier's training, which goes on from the last epoch that was kept (``resume/``); a second process
    that is given the same folder waits for the first. One thread is used on the CPU, so that equal seeds give equal
    metrics to the bit.

    Args:
        backbone: a backbone file, or one of :data:`REFERENCES`.
        label: names the row in tables; the file's recipe or method if empty.
        suite, size: stored in the record; which table the run belongs to.
        suite_values: everything that the suite says; stored with its hash, and no part of what the run is.

    Raises:
        UserError: bad input, a toolbox that is not installed, or ``out`` belongs to another run.
    """
    out = Path(out)
    if not (out / RECORD).is_file():
        require_toolbox(protocol)
    data = open_data(data_root, protocol)
    judged = _describe_backbone(backbone, protocol, label)
    identity = {
        "protocol": f"{protocol.id} ({protocol.hash})",
        "backbone": judged.part.sha256 or judged.part.method,
        "label": judged.part.label,
        "data": f"{data.name} ({data.fingerprint})",
        "seed": seed,
        "suite": suite,
        "size": size,
    }
    _refuse_foreign_folder(out)
    with only_process(out, _log.info):
        if (out / RECORD).is_file():
            record = read_record(out / RECORD)
            _require_same_run(out, identity, _identity_of(record))
            shutil.rmtree(out / RESUME, ignore_errors=True)
            return record
        _start_again(out, identity)
        with _logging_to(out / LOG):
            cell = Cell(judged.source, judged.info, protocol, data, seed, out)
            return _run(cell, judged.part, suite, size, dict(suite_values or {}))


def _run(cell: Cell, backbone: BackbonePart, suite: str, size: str, suite_values: dict[str, Any]) -> Record:
    protocol, data = cell.protocol, cell.data
    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # reproducible, and measured faster: detection collapses with two threads on two cores
    _log.info("%s: %s on %s, seed %d", protocol.id, backbone.label, data.name, cell.seed)
    started, clock = datetime.now(UTC), time.monotonic()
    outcome = _run_task(cell)
    seconds = time.monotonic() - clock
    metrics = {name: _plain(outcome.metrics[name]) for name in protocol.metrics}
    notes = list(outcome.notes)
    if protocol.overridden:
        notes.append(f"not the protocol's own values: {' '.join(protocol.overridden)}")
    record = Record(
        suite=suite,
        suite_hash=config_hash(suite_values) if suite_values else "",
        suite_resolved=suite_values,
        size=size,
        seed=cell.seed,
        protocol=ProtocolPart(
            id=protocol.id,
            version=protocol.version,
            task=protocol.task,
            hash=protocol.hash,
            resolved=protocol.resolved,
        ),
        backbone=backbone,
        dataset=DatasetPart(
            name=data.name,
            fingerprint=data.fingerprint,
            train_split=protocol.data.train_split,
            test_split=protocol.data.test_split,
            train_images=outcome.train_images,
            test_images=outcome.test_images,
            categories=len(data.categories),
        ),
        judged=JudgedPart(images=outcome.test_images, instances=outcome.instances),
        metrics=metrics,
        per_class=outcome.per_class,
        notes=notes,
        started=started.isoformat(timespec="seconds"),
        wall_seconds=round(seconds, 3),
        peak_memory_mb=round(peak_memory_mb(), 1),
        peak_accelerator_memory_mb=peak_accelerator_memory_mb(),
        environment=describe_environment(),
    )
    shown = ", ".join(f"{name} {'-' if value is None else format(value, '.2f')}" for name, value in metrics.items())
    _log.info("%s: %s (%.1f s)", protocol.id, shown, seconds)
    written = write_record(cell.out / RECORD, record)
    shutil.rmtree(cell.out / RESUME, ignore_errors=True)  # only now: a kill before it costs nothing
    return written


def _run_task(cell: Cell) -> Outcome:
    """Each task imports its own toolbox, and only when it is wanted."""
    outcome: Outcome = importlib.import_module(f"benchmarks.{cell.protocol.task}.run").run(cell)
    return outcome


def _describe_backbone(backbone: Path | str, protocol: Protocol, label: str) -> _Backbone:
    name = str(backbone)
    if name.startswith("reference:"):
        if name not in REFERENCES:
            raise UserError(f"unknown reference '{name}'{did_you_mean(name, REFERENCES)}")
        if protocol.task != "classification" and (name, protocol.task) not in _BEYOND_CLASSIFICATION:
            raise UserError(f"{name}: no backbone, so protocol '{protocol.id}' ({protocol.task}) cannot judge it")
        method = name.removeprefix("reference:")
        part = BackbonePart(
            label=label or method.replace("_", " "), method=method, origin="reference", architecture="", sha256=""
        )
        return _Backbone(name, None, part)
    path = Path(backbone)
    info = read_info(path)
    if protocol.task != "classification":
        require_resnet(info.architecture, f"protocol '{protocol.id}' ({protocol.task})")
    protocol.require_backbone(info.architecture.name)
    part = BackbonePart(
        label=label or info.recipe_name or info.method,
        method=info.method,
        origin="imported" if info.source_file else "own",
        architecture=info.architecture.name,
        sha256=sha256_of(path),
        recipe_name=info.recipe_name,
        recipe_hash=config_hash(info.recipe) if info.recipe else "",
        recipe=info.recipe,
        dataset=info.dataset,
        dataset_fingerprint=info.dataset_fingerprint,
        epochs=info.epochs,
        images_seen=info.images_seen,
        seed=info.seed,
    )
    return _Backbone(path, info, part)


def _identity_of(record: Record) -> dict[str, Any]:
    return {
        "protocol": f"{record.protocol.id} ({record.protocol.hash})",
        "backbone": record.backbone.sha256 or record.backbone.method,
        "label": record.backbone.label,
        "data": f"{record.dataset.name} ({record.dataset.fingerprint})",
        "seed": record.seed,
        "suite": record.suite,
        "size": record.size,
    }


def _refuse_foreign_folder(out: Path) -> None:
    """A folder that holds something else than a run is somebody's own; nothing is mixed into it."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; give a folder for the run")
    if not out.is_dir() or any((out / name).is_file() for name in (RUN, RECORD)):
        return
    others = [path.name for path in sorted(out.iterdir()) if not path.name.startswith(".") and path.suffix != ".log"]
    if others:
        raise UserError(f"{out}: holds other files ({', '.join(others[:3])}); give a new folder for the run")


def _start_again(out: Path, identity: dict[str, Any]) -> None:
    """Claim ``out`` for this run, and clear what an unfinished attempt of the same run left."""
    claim = out / RUN
    if claim.is_file():
        try:
            found = json.loads(claim.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UserError(f"{claim}: not readable ({error}); remove the folder {out}") from error
        _require_same_run(out, identity, found if isinstance(found, dict) else {})
    else:
        write_text(claim, json.dumps(identity, indent=1) + "\n")
    shutil.rmtree(out / WORK, ignore_errors=True)
    for name in (LOG, "predictions.png", "transfer.json"):
        (out / name).unlink(missing_ok=True)


def _require_same_run(out: Path, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    differing = [
        f"{key} '{found.get(key)}' instead of '{value}'" for key, value in wanted.items() if found.get(key) != value
    ]
    if differing:
        raise UserError(
            f"{out}: belongs to another run: {'; '.join(differing)}; give another folder or remove this one"
        )


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Everything this suite says also goes to ``path``."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    level = _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        _log.setLevel(level)
        handler.close()


def _plain(value: float | None) -> float | None:
    return None if value is None else float(value)
