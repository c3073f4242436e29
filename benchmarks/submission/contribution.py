"""``scenebench leaderboard add``: records from outside that compare with a board's are added to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.adding import DEFAULT_BOARD as DEFAULT_BOARD
from benchmarks.records.adding import Added, Check, add_records
from benchmarks.records.record import Record
from benchmarks.submission.comparable import Comparable


def contribute(names: Sequence[Path | str], board: Path | str = DEFAULT_BOARD, own_data: bool = False) -> list[Added]:
    """As :func:`add_records`, of records that compare with those of the board (:class:`Comparable`).

    Args:
        own_data: take records of other data than their suite's, for a board of one's own images.
    """

    def check_against(there: Sequence[Record]) -> Check:
        return Comparable(there, own_data).check

    return add_records(names, board, check_against)
