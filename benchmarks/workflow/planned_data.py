"""What the jobs of a plan are told of the data: where it lies, and the job that prepares it, where one does."""

from __future__ import annotations

import re
from dataclasses import dataclass

from benchmarks.protocols.protocol import Protocol
from benchmarks.suites.data_places import PRETRAINING, place_of
from benchmarks.suites.source import Source
from benchmarks.workflow.plan import Job

TRAIN_IMAGES = "images/train"
TRAIN_ANNOTATIONS = "annotations/instances_train.json"
_DATA_SECONDS = 20.0


@dataclass(frozen=True)
class PlannedData:
    """Paths for the commands, and the job that prepares what lies there.

    Attributes:
        id: enters the identity of the jobs that read it.
        folder: that holds published data sets; "": none.
        prepared: data sets that the job prepares, each in a folder of its name.
    """

    identity: str
    id: str
    root: str
    images: str
    annotations: str
    job: Job | None = None
    folder: str = ""
    prepared: tuple[str, ...] = ()

    @property
    def inputs(self) -> list[str]:
        """Files that must be there before a job reads the data."""
        return list(self.job.outputs) if self.job else []

    def root_for(self, protocol: Protocol) -> str:
        """Where the protocol's data set lies: its own, if it is about a published one."""
        name = dataset_of(protocol)
        if self.job is not None and name in self.prepared:
            return f"{self.job.id}/{name}"
        return str(place_of(name, self.folder).root) if name and self.folder else self.root


def dataset_of(protocol: Protocol) -> str:
    """The published data set that a protocol is about; "" for one that takes any prepared folder."""
    return str(getattr(protocol.data, "dataset", ""))


def planned_data(source: Source) -> PlannedData:
    """The data of a suite that runs on ``source``."""
    if source.folder:
        images, annotations = PRETRAINING[source.name]
        place = place_of(source.name, source.folder).root
        return PlannedData(
            identity=source.identity,
            id=f"{source.name}-{source.identity}",
            root=str(place),
            images=str(place / images),
            annotations=str(place / annotations) if annotations else "",
            folder=source.folder,
        )
    job = _data_job(source)
    own = f"{job.id}/{source.name}" if source.prepares else job.id
    return PlannedData(
        identity=source.identity,
        id=job.id,
        root=own,
        images=f"{own}/{TRAIN_IMAGES}",
        annotations=f"{own}/{TRAIN_ANNOTATIONS}",
        job=job,
        prepared=source.prepares,
    )


def _data_job(source: Source) -> Job:
    folder = f"cells/data/{slug(source.name)}-{source.identity[:8]}"
    return Job(
        id=folder,
        kind="data",
        label=f"data {', '.join(source.prepares) or source.name}",
        command=[*source.command, folder],
        inputs=[],
        outputs=[f"{folder}/{name}/dataset.json" for name in source.prepares] or [f"{folder}/dataset.json"],
        log=log_of(folder),
        seconds=_DATA_SECONDS,
    )


def log_of(folder: str) -> str:
    """The log of the job whose folder this is."""
    return f"logs/{folder.removeprefix('cells/')}.log"


def slug(text: str) -> str:
    """``text`` as a part of a path: letters, digits, dot, underscore and hyphen, not starting with a dot."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")[:60] or "unnamed"
