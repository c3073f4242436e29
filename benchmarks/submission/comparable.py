"""Whether a record compares with the others of a board: its protocol, data, metrics and name are this version's own.

What is a record at all is asked before (:mod:`benchmarks.records.admission`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.datasets.scenes import NAME as SCENES
from benchmarks.protocols.protocol import Protocol, list_protocols, load_protocol
from benchmarks.records.differences import differing_keys
from benchmarks.records.record import Record
from benchmarks.suites.group import is_group
from benchmarks.suites.source import scenes_source
from benchmarks.suites.suite import Suite, load_suite, suite_names
from scenebench.config import read_yaml
from scenebench.errors import UserError, require_choice

FINGERPRINTS = Path(__file__).with_name("fingerprints.yaml")
LONGEST_NAME = 200
_SHOWN_KEYS = 3


@dataclass(frozen=True)
class Comparable:
    """What a record is held against.

    Attributes:
        board: the records that are there already; of data that this version has no fingerprint of, theirs counts.
        own_data: records of other data than the suite's are taken, for a board of one's own images.
    """

    board: Sequence[Record]
    own_data: bool = False

    def check(self, record: Record, where: str) -> None:
        """Raise UserError, naming ``where`` and what is wrong, unless ``record`` may be added."""
        _check_name(record, where)
        protocol = _committed(record, where)
        suite = _suite_of(record, where)
        _check_values(record, suite, protocol, where)
        _check_metrics(record, protocol, where)
        if not self.own_data:
            self._check_data(record, suite, protocol, where)

    def _check_data(self, record: Record, suite: Suite | None, protocol: Protocol, where: str) -> None:
        name, fingerprint = record.dataset.name, record.dataset.fingerprint
        wanted = protocol.data.dataset or (suite.pretrain_data if suite else "") or SCENES
        if name != wanted:
            whose = f"suite '{suite.name}'" if suite else f"protocol '{protocol.id}'"
            raise UserError(
                f"{where}: measured on '{name}', and {whose} is about '{wanted}'; "
                "--own-data takes it, for a board of other data"
            )
        known = self._fingerprints(suite, wanted)
        if known and fingerprint not in known:
            raise UserError(
                f"{where}: data '{name}' of fingerprint {fingerprint}, and it should be {' or '.join(sorted(known))}; "
                "other data, or another version of the generator"
            )

    def _fingerprints(self, suite: Suite | None, name: str) -> set[str]:
        """Those that a record of this data may have; empty where nothing is known."""
        if name == SCENES:
            known = known_fingerprints()
            if suite is None:
                return {*known.values(), *_fingerprints_of(self.board, name)}
            identity = scenes_source(suite.data).identity
            if identity in known:
                return {known[identity]}
            return _fingerprints_of((r for r in self.board if (r.suite, r.size) == (suite.name, suite.size)), name)
        return _fingerprints_of(self.board, name)


@cache
def known_fingerprints() -> dict[str, str]:
    """Fingerprint of generated data by the identity of its specification, as committed."""
    return {str(identity): str(value) for identity, value in read_yaml(FINGERPRINTS).items()}


def _fingerprints_of(records: Iterable[Record], name: str) -> set[str]:
    return {record.dataset.fingerprint for record in records if record.dataset.name == name}


def _check_name(record: Record, where: str) -> None:
    label = record.backbone.label
    if not label.strip() or not label.isprintable() or len(label) > LONGEST_NAME:
        raise UserError(
            f"{where}: backbone.label {label[:40]!r} is not a name of 1 to {LONGEST_NAME} printable characters"
        )


def _committed(record: Record, where: str) -> Protocol:
    """This version's protocol of that id, in that version."""
    said = record.protocol
    require_choice(f"{where}: protocol", said.id, _own_protocols())
    protocol = _own_protocols()[said.id]
    if (said.version, said.task) != (protocol.version, protocol.task):
        raise UserError(
            f"{where}: protocol '{said.id}' version {said.version} ({said.task}), and this version has version "
            f"{protocol.version} ({protocol.task}); evaluate the backbone again"
        )
    return protocol


@cache
def _own_protocols() -> dict[str, Protocol]:
    """This version's protocols by id."""
    return {name: load_protocol(name) for name in list_protocols()}


def _suite_of(record: Record, where: str) -> Suite | None:
    if not record.suite:
        return None
    require_choice(f"{where}: suite", record.suite, _own_suites())
    suite = _own_suites()[record.suite]
    if record.size != suite.size:
        raise UserError(f"{where}: size '{record.size}', and suite '{suite.name}' is of size '{suite.size}'")
    return suite


@cache
def _own_suites() -> dict[str, Suite]:
    """The suites that come with this version, by name; groups have no records."""
    return {name: load_suite(name) for name in suite_names() if not is_group(name)}


def _check_values(record: Record, suite: Suite | None, protocol: Protocol, where: str) -> None:
    """The protocol's values must be those of its file, or those that the suite gives it."""
    accepted = _accepted(record.suite, record.size, protocol.id)
    if any(record.protocol.hash == one.hash for one in accepted):
        return
    keys = min((differing_keys(record.protocol.resolved, one.resolved) for one in accepted), key=len)
    shown = ", ".join(f"{key.key} is {key.a} instead of {key.b}" for key in keys[:_SHOWN_KEYS])
    whose = f"suite '{suite.name}'" if suite else "the protocol's file"
    raise UserError(
        f"{where}: protocol '{protocol.id}' with other values than those of {whose}: "
        f"{shown or 'its hash ' + record.protocol.hash}{', ...' if len(keys) > _SHOWN_KEYS else ''}"
    )


@cache
def _accepted(suite_name: str, size: str, protocol_id: str) -> list[Protocol]:
    if not suite_name:
        return [load_protocol(protocol_id), load_protocol(protocol_id, size=size)]
    suite = _own_suites()[suite_name]
    columns = [column for column in suite.protocols if load_protocol(column.protocol).id == protocol_id]
    overrides = [o for c in columns for o in (c.overrides, [*c.overrides, *c.user_data_overrides])]
    return [load_protocol(protocol_id, one, suite.size) for one in overrides] or [load_protocol(protocol_id, size=size)]


def _check_metrics(record: Record, protocol: Protocol, where: str) -> None:
    if not record.metrics:
        raise UserError(f"{where}: has no metrics")
    for name, value in record.metrics.items():
        require_choice(f"{where}: metrics", name, protocol.metrics)
        if value is not None and not 0 <= value <= 100:
            raise UserError(f"{where}: metric {name} is {value:g}, no percentage from 0 to 100")
