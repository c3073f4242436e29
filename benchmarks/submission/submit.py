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
from benchmarks.submission.board_comparison import (
    BoardComparison,
    compare_with_board,
    write_page,
    write_table,
)
from benchmarks.submission.checkpoint import (
    BACKBONE_FILE,
    SubmittedCheckpoint,
    read_submitted,
    require_supported,
    write_submitted,
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
from benchmarks.suites.suite import CheckpointRow, Suite
from benchmarks.workflow.engine_options import EngineOptions
from benchmarks.workflow.plan_from_suite import build_plan, data_places, resolve_columns
from benchmarks.workflow.planned_data import dataset_of
from benchmarks.workflow.runner import run_work
from benchmarks.workflow.work import Work, source_of
from scenebench.errors import UserError
from scenebench.files import write_text
from transfer.importers import StatedPreprocessing

DEFAULT_BOARD = Path("results/records")
_MAX_LABEL = 80


@dataclass(frozen=True)
class Submission:
    """What is asked: everything that the command line says.

    Attributes:
        checkpoint: of any family that the importers know, or a backbone file.
        suite, size: which suite, and at which size (``sizes.yaml``; "": the suite of that very name).
        data, annotations, test_annotations: as of ``scenebench run``.
        label: of the row; "": the file's name, or the recipe of a backbone file.
        expected: file of expected values that the records are held against; ``write_expected``: one to write.
        board: folders of records that the row is set beside; None: :data:`DEFAULT_BOARD` where it exists.
        references: evaluate the suite's reference rows too.
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


def evaluate_submission(submission: Submission, options: EngineOptions) -> int:
    """Evaluate the checkpoint, write records and tables into ``submission.out`` and print what came of it.

    Returns:
        0; 1 if a cell has no record or is below its expected value; 130 or 143 if stopped by a signal.

    Raises:
        UserError: bad input of any kind; raised before anything is evaluated, and nothing is written then.
    """
    suite = _one_suite(submission.suite, submission.size)
    source = source_of(suite, submission.data, submission.annotations, submission.test_annotations)
    protocols = [protocol for _, protocol in resolve_columns(suite, source)]
    expected = _expected_of(submission, suite, source)
    places = _board_places(submission.board)
    board = read_board(places, lambda line: print(f"note: {line}", file=sys.stderr))
    submitted = read_submitted(
        submission.checkpoint,
        submission.family,
        submission.branch,
        submission.preprocessing,
        prefix=submission.prefix,
        method=submission.method,
    )
    require_supported(submitted, protocols)
    label = _checked_label(submission.label or submitted.default_label)
    work = _work_of(_with_checkpoint(suite, submitted, label, submission.references), suite, source, submitted)
    require_complete(work.places)

    def report(work: Work, out: Path) -> int:
        return _report(_Evaluated(submission, suite, source, label, places, board, expected), work, out)

    return run_work(
        work,
        submission.out.resolve(),
        options,
        report,
        before=lambda out: print("\n".join(write_submitted(submitted, out)), flush=True),
    )


@dataclass(frozen=True)
class _Evaluated:
    submission: Submission
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
        raise UserError(f"--suite: '{name}' has no protocols to evaluate by")
    return suites[0]


def _expected_of(submission: Submission, suite: Suite, source: Source) -> Expected | None:
    if submission.expected is None:
        return None
    expected = read_expected(submission.expected)
    protocols = [protocol for _, protocol in resolve_columns(suite, source)]
    require_of(expected, submission.expected, suite.name, suite.size, source.identity, protocols)
    return expected


def _board_places(asked: Sequence[Path] | None) -> list[Path]:
    if asked is not None:
        return list(asked)
    return [DEFAULT_BOARD] if DEFAULT_BOARD.is_dir() and any(find_records(DEFAULT_BOARD)) else []


def _checked_label(label: str) -> str:
    if not label.strip() or not label.isprintable() or len(label) > _MAX_LABEL:
        raise UserError(f"--label: {label[:_MAX_LABEL]!r} is not a name of 1 to {_MAX_LABEL} printable characters")
    return label


def _with_checkpoint(suite: Suite, submitted: SubmittedCheckpoint, label: str, references: bool) -> Suite:
    """The suite with this one row, evaluated by every seed that the suite has."""
    seeds = sorted({seed for row in suite.backbones for seed in row.seeds})
    row = CheckpointRow(recipe="", label=label, seeds=seeds, file=f"{submitted.folder}/{BACKBONE_FILE}")
    kept = suite.references if references else []
    return replace(
        suite, backbones=[row], baseline=label, references=kept, title=f"{suite.title}: {label}", pictures=[]
    )


def _work_of(suite: Suite, original: Suite, source: Source, submitted: SubmittedCheckpoint) -> Work:
    # Records name the suite as its file says it, whoever's checkpoint stands in the place of its rows.
    plan = replace(build_plan(suite, source), values=original.resolved)
    protocols = [protocol for _, protocol in resolve_columns(suite, source)]
    # What only a pretraining would read is not asked for.
    read = {dataset_of(protocol) or suite.pretrain_data for protocol in protocols}
    places = [place for place in data_places(suite, source) if place.name in read]
    return Work(f"{suite.name}, submission {submitted.identity}", source, [plan], plan, places, protocols)


def _report(evaluated: _Evaluated, work: Work, out: Path) -> int:
    submission, suite = evaluated.submission, evaluated.suite
    missing = write_expected_cells(work.plan, out)
    results = collect(out)
    records = [record for record in results.records if record.backbone.label == evaluated.label]
    folder = _copy_records(work, out, suite.name)
    comparison = compare_with_board(results, evaluated.board, suite.baseline)
    head = comparison.sentence(evaluated.label, evaluated.places)
    files = write_table(comparison, f"# {suite.title}: {evaluated.label}\n\n{head}.\n", out)
    if submission.leaderboard and results.records:
        files.append(write_page(comparison, out))
    _print(comparison, head)
    if not folder.is_dir():
        print(f"no records: every cell failed (logs: {out / 'logs'})")
    else:
        print(f"records           {folder}")
    for path in files:
        print(f"written           {path}")
    if missing:
        print(f"\n{missing} cells are missing; the same command tries them again")
    if submission.write_expected is not None and records:
        number = write_expected(submission.write_expected, suite.name, suite.size, evaluated.source.identity, records)
        print(f"expected values   {submission.write_expected} ({number})")
    below = shortfalls(evaluated.expected, records) if evaluated.expected is not None else []
    if evaluated.expected is not None:
        print("\n".join(_verdict(below, evaluated.expected)))
    return 1 if missing or below else 0


def _print(comparison: BoardComparison, head: str) -> None:
    for table in comparison.tables:
        print(f"\n{to_markdown(table).rstrip()}")
    print(f"\n{notes_to_markdown(comparison.tables)}")
    print("One file was evaluated with every seed: the spread is that of the evaluation, not of pretraining anew.")
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
