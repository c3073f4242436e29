"""What a call asks for: suites, their data, and all their jobs as one graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.datasets.photos.sets import SETS
from benchmarks.protocols.protocol import Protocol
from benchmarks.suites.data_places import DataPlace
from benchmarks.suites.group import load_suites
from benchmarks.suites.source import (
    Source,
    coco_source,
    official_source,
    photos_source,
    scenes_source,
)
from benchmarks.suites.suite import Suite
from benchmarks.workflow.merging import merge_plans
from benchmarks.workflow.plan import Plan
from benchmarks.workflow.plan_from_suite import build_plan, data_places, resolve_columns
from scenebench.errors import UserError


@dataclass(frozen=True)
class Work:
    """What a call asks for: the suites' plans, and all of them as one graph.

    Attributes:
        source: of the first suite.
        protocols: those that the suites evaluate by.
    """

    name: str
    source: Source
    plans: list[Plan]
    plan: Plan
    places: list[DataPlace]
    protocols: list[Protocol]


def prepare(
    suite_name: str,
    data: Path | str | None = None,
    annotations: Path | str | None = None,
    test_annotations: Path | str | None = None,
    size: str = "",
) -> Work:
    """Read the suites and lay out their jobs; reads images only where they are the user's own.

    Raises:
        UserError: bad suite or data.
    """
    suites = load_suites(suite_name, size)
    plans: list[Plan] = []
    sources: list[Source] = []
    places: dict[str, DataPlace] = {}
    protocols: list[Protocol] = []
    for suite in suites:
        source = source_of(suite, data, annotations, test_annotations)
        sources.append(source)
        plans.append(build_plan(suite, source, shared=len(suites) > 1))
        places |= {place.name: place for place in data_places(suite, source)}
        protocols += [protocol for _, protocol in resolve_columns(suite, source)]
    if len(plans) == 1:
        return Work(suites[0].name, sources[0], plans, plans[0], list(places.values()), protocols)
    name = Path(suite_name).stem + (f"_{size}" if size else "")
    return Work(name, sources[0], plans, merge_plans(name, suites[0].size, plans), list(places.values()), protocols)


def source_of(
    suite: Suite, data: Path | str | None, annotations: Path | str | None, test_annotations: Path | str | None
) -> Source:
    """Where a suite's images come from, by what was given on the command line.

    Raises:
        UserError: arguments that do not fit the suite or one another, or bad data.
    """
    if suite.pretrain_data:
        if annotations is not None or test_annotations is not None:
            raise UserError(f"suite '{suite.name}' reads published data sets; leave --annotations away")
        if suite.pretrain_data in SETS:
            return photos_source(suite.pretrain_data, data)
        return official_source(suite.pretrain_data, data)
    if data is None and annotations is None and test_annotations is None:
        return scenes_source(suite.data)
    return coco_source(data, annotations, test_annotations, suite.user_data)
