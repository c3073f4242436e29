"""``scenebench submit CHECKPOINT --suite S``: one checkpoint in the place of a suite's own backbones.

The suite's workflow runs as it is: its data, every protocol by every seed, resumable, one record a cell. Only the
pretrainings are left away, for the weights are there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.records.collect import collect, read_board
from benchmarks.records.places import RECORD_FILE, RECORDS_FOLDER, find_records
from benchmarks.records.record import Record
from benchmarks.report.after_run import write_expected_cells
from benchmarks.report.how_to_read import notes_to_markdown
from benchmarks.report.markdown import to_markdown
from benchmarks.submission.beside import (
    Beside,
    set_beside,
    write_page,
    write_table,
)
from benchmarks.submission.checkpoint import (
    BACKBONE_FILE,
    Given,
    lay,
    read_given,
    require_judgeable,
)
from benchmarks.submission.expected import (
    Expected,
    read_expected,
    require_of,
    shortfalls,
    write_expected,
)
from benchmarks.suites.data_places import require_complete
from benchmarks.suites.group import load_suites
from benchmarks.suites.source import Source
from benchmarks.suites.suite import GivenRow, Suite
from benchmarks.workflow.engine_options import EngineOptions
from benchmarks.workflow.planning import build_plan, data_places, dataset_of, resolve_columns
from benchmarks.workflow.runner import run_work
from benchmarks.workflow.work import Work, source_of
from scenebench.errors import UserError
from scenebench.files import write_text
from transfer.importers import StatedPreprocessing

DEFAULT_BOARD = Path("results/records")
_MAX_LABEL = 80


@dataclass(frozen=True)
class Question:
    """What is asked: everything that the command line says.

    Attributes:
        checkpoint: of any family that the importers know, or a backbone file.
        suite, size: which suite, and at which size (``sizes.yaml``; "": the suite of that very name).
        data, annotations, test_annotations: as of ``scenebench run``.
        label: of the row; "": the file's name, or the recipe of a backbone file.
        expected: file of expected values that the records are held against; ``write_expected``: one to write.
        board: folders of records that the row is set beside; None: :data:`DEFAULT_BOARD` where it exists.
        references: judge the suite's reference rows too.
        leaderboard: write the page too.
        family, branch, prefix, method, preprocessing: how the checkpoint is to be understood, where it does not say so
            itself.
    """

    checkpoint: Path
    suite: str
    out: Path
    size: str = ""
    data: str | None = None
    annotations: str | None = None
    test_annotations: str | None = None
    label: str = ""
    expected: Path | None = None
    write_expected: Path | None = None
    board: Sequence[Path] | None = None
    references: bool = False
    leaderboard: bool = False
    family: str | None = None
    branch: str | None = None
    prefix: str | None = None
    method: str | None = None
    preprocessing: StatedPreprocessing = field(default_factory=StatedPreprocessing)


def judge(question: Question, options: EngineOptions) -> int:
    """Judge the checkpoint, write records and tables into ``question.out`` and print what came of it.

    Returns:
        0; 1 if a cell has no record or is below its expected value; 130 or 143 if stopped by a signal.

    Raises:
        UserError: bad input of any kind; told before anything is judged, and nothing is written then.
    """
    suite = _one_suite(question.suite, question.size)
    source = source_of(suite, question.data, question.annotations, question.test_annotations)
    protocols = [protocol for _, protocol in resolve_columns(suite, source)]
    expected = _expected_of(question, suite, source)
    places = _board_places(question.board)
    board = read_board(places, lambda line: print(f"note: {line}", file=sys.stderr))
    given = read_given(
        question.checkpoint,
        question.family,
        question.branch,
        question.preprocessing,
        prefix=question.prefix,
        method=question.method,
    )
    require_judgeable(given, protocols)
    label = _checked_label(question.label or given.default_label)
    work = _lay_out(_with_given(suite, given, label, question.references), suite, source, given)
    require_complete(work.places)

    def report(work: Work, out: Path) -> int:
        return _report(_Judged(question, suite, source, label, places, board, expected), work, out)

    return run_work(
        work, question.out.resolve(), options, report, before=lambda out: print("\n".join(lay(given, out)), flush=True)
    )


@dataclass(frozen=True)
class _Judged:
    question: Question
    suite: Suite
    source: Source
    label: str
    places: Sequence[Path]
    board: Sequence[Record]
    expected: Expected | None


def _one_suite(name: str, size: str) -> Suite:
    suites = load_suites(name, size)
    if len(suites) > 1:
        names = ", ".join(suite.name for suite in suites)
        raise UserError(f"--suite: '{name}' is a group of suites; name one of them ({names})")
    if not suites[0].protocols:
        raise UserError(f"--suite: '{name}' has no protocols to judge by")
    return suites[0]


def _expected_of(question: Question, suite: Suite, source: Source) -> Expected | None:
    if question.expected is None:
        return None
    expected = read_expected(question.expected)
    protocols = [protocol for _, protocol in resolve_columns(suite, source)]
    require_of(expected, question.expected, suite.name, suite.size, source.identity, protocols)
    return expected


def _board_places(asked: Sequence[Path] | None) -> list[Path]:
    if asked is not None:
        return list(asked)
    return [DEFAULT_BOARD] if DEFAULT_BOARD.is_dir() and any(find_records(DEFAULT_BOARD)) else []


def _checked_label(label: str) -> str:
    if not label.strip() or not label.isprintable() or len(label) > _MAX_LABEL:
        raise UserError(f"--label: {label[:_MAX_LABEL]!r} is not a name of 1 to {_MAX_LABEL} printable characters")
    return label


def _with_given(suite: Suite, given: Given, label: str, references: bool) -> Suite:
    """The suite with this one row; every seed that the suite has judges it."""
    seeds = sorted({seed for row in suite.backbones for seed in row.seeds})
    row = GivenRow(recipe="", label=label, seeds=seeds, file=f"{given.folder}/{BACKBONE_FILE}")
    kept = suite.references if references else []
    return replace(
        suite, backbones=[row], baseline=label, references=kept, title=f"{suite.title}: {label}", pictures=[]
    )


def _lay_out(suite: Suite, original: Suite, source: Source, given: Given) -> Work:
    # Records name the suite as its file says it, whoever's checkpoint stands in the place of its rows.
    plan = replace(build_plan(suite, source), values=original.resolved)
    protocols = [protocol for _, protocol in resolve_columns(suite, source)]
    # What only a pretraining would read is not asked for.
    read = {dataset_of(protocol) or suite.pretrain_data for protocol in protocols}
    places = [place for place in data_places(suite, source) if place.name in read]
    return Work(f"{suite.name}, judging {given.identity}", source, [plan], plan, places, protocols)


def _report(judged: _Judged, work: Work, out: Path) -> int:
    question, suite = judged.question, judged.suite
    missing = write_expected_cells(work.plan, out)
    results = collect(out)
    records = [record for record in results.records if record.backbone.label == judged.label]
    folder = _copy_records(work, out, suite.name)
    beside = set_beside(results, judged.board, suite.baseline)
    head = beside.sentence(judged.label, judged.places)
    files = write_table(beside, f"# {suite.title}: {judged.label}\n\n{head}.\n", out)
    if question.leaderboard and results.records:
        files.append(write_page(beside, out))
    _print(beside, head)
    if not folder.is_dir():
        print(f"no records: every cell failed (logs: {out / 'logs'})")
    else:
        print(f"records           {folder}")
    for path in files:
        print(f"written           {path}")
    if missing:
        print(f"\n{missing} cells are missing; the same command tries them again")
    if question.write_expected is not None and records:
        number = write_expected(question.write_expected, suite.name, suite.size, judged.source.identity, records)
        print(f"expected values   {question.write_expected} ({number})")
    below = shortfalls(judged.expected, records) if judged.expected is not None else []
    if judged.expected is not None:
        print("\n".join(_verdict(below, judged.expected)))
    return 1 if missing or below else 0


def _print(beside: Beside, head: str) -> None:
    for table in beside.tables:
        print(f"\n{to_markdown(table).rstrip()}")
    print(f"\n{notes_to_markdown(beside.tables)}")
    print("One file was judged with every seed: the spread is that of the judging, not of pretraining anew.")
    print(f"{head}.\n")


def _verdict(below: Sequence[str], expected: Expected) -> list[str]:
    if not below:
        return [f"all {len(expected.values)} expected values are reached"]
    return [
        f"{len(below)} of {len(expected.values)} expected values are not reached:",
        *(f"  {line}" for line in below),
    ]


def _copy_records(work: Work, out: Path, suite: str) -> Path:
    """The records as ``leaderboard add`` takes them, apart from the workings: ``records/SUITE/CELL/record.json``."""
    folder = out / RECORDS_FOLDER / suite
    for job in work.plan.jobs:
        record = out / job.id / RECORD_FILE
        if job.kind == "evaluate" and record.is_file():
            write_text(folder / Path(job.id).name / RECORD_FILE, record.read_text(encoding="utf-8"))
    return folder
