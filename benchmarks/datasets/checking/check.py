"""The check itself: one listing of the folder, one reading of the annotations, one look into each file."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.datasets.checking import cache, rules
from benchmarks.datasets.checking.findings import KINDS, Finding, Report
from benchmarks.datasets.checking.inspect import BYTES, IMAGE, MASK, Content, Task, look_into
from benchmarks.datasets.checking.layout import require_layout
from benchmarks.datasets.parallel import iterate_chunks
from benchmarks.datasets.readers import read_official
from benchmarks.datasets.registry import Description, describe
from benchmarks.datasets.samples import OfficialData
from benchmarks.datasets.tree import Stamp, Tree, digest
from scenebench.config import config_hash, to_plain
from scenebench.errors import UserError, require_choice

_MD5_LINE = re.compile(r"([0-9a-fA-F]{32})\s+\*?(.+)")


@dataclass(frozen=True)
class CheckOptions:
    """How to check.

    Attributes:
        quick: headers of the images alone: sizes, but neither decoding nor duplicates nor the values of maps.
        partial: a part of the data set on purpose; published counts are not compared.
        accept: kinds of findings that become notes.
        md5: a checksum list of the user's, ``<md5>  <path>`` lines with paths relative to the root.
        cache: folder of the cache and the report; None: below the user's cache folder.
        again: forget what earlier checks saw.
        workers: processes.
    """

    quick: bool = False
    partial: bool = False
    accept: tuple[str, ...] = ()
    md5: Path | None = None
    cache: Path | None = None
    again: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        for kind in self.accept:
            require_choice("--accept", kind, KINDS)


def check(
    name: str,
    root: Path | str,
    options: CheckOptions | None = None,
    description: Description | None = None,
    report_step: Callable[[str], None] | None = None,
) -> tuple[Report, Path]:
    """Check a folder; returns the report and the JSON file that it was written to.

    Args:
        description: in place of the registry's.
        report_step: told what is being done.

    Raises:
        UserError: unknown data set, a folder that is not laid out as it, an annotation file that cannot be read at all.
        KeyboardInterrupt: stopped; what was seen is in the cache, and the next check goes on from there.
    """
    options, description = options or CheckOptions(), description or describe(name)
    say = report_step or (lambda line: None)
    root = Path(root)
    tree = Tree(root, stamps=True)
    require_layout(tree, description)
    say("listing files")
    stamps = tree.all_stamps()
    expected_md5 = dict(description.md5) | (read_md5_list(options.md5) if options.md5 else {})
    folder = cache.choose_folder(options.cache, name, root, say)
    key = _key(digest(stamps), description, expected_md5, options)
    known = None if options.again else cache.find_report(folder, key)
    if known is not None:
        say("no file was touched since the last check: its report stands")
        return known, folder / "report.json"
    say(f"{len(stamps)} files; reading annotations")
    findings: list[Finding] = []
    data = read_official(name, tree, _collector(findings, root))
    contents = _look_into_all(tree, data, expected_md5, options, folder)
    findings += _apply_rules(tree, data, contents, description, expected_md5, options)
    report = _report(name, tree, data, options, stamps, len(contents), findings, description)
    return report, cache.write_report(folder, key, report)


def read_md5_list(path: Path) -> dict[str, str]:
    """A checksum list as ``md5sum`` writes it: checksums by path.

    Raises:
        UserError: no such file, or a line of another form.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checksum list")
    expected: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        match = _MD5_LINE.fullmatch(line.strip())
        if match:
            expected[match[2].removeprefix("./")] = match[1].lower()
        elif line.strip():
            raise UserError(f"{path}: line {number}: expected '<md5>  <path>', found '{line[:60]}'")
    return expected


def _collector(findings: list[Finding], root: Path) -> Callable[[str, Path, str], None]:
    def collect(kind: str, path: Path, message: str) -> None:
        findings.append(Finding(kind, _relative(path, root), message))

    return collect


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _look_into_all(
    tree: Tree,
    data: OfficialData,
    expected_md5: dict[str, str],
    options: CheckOptions,
    folder: Path,
) -> dict[str, Content]:
    kinds = {path: BYTES for path in expected_md5 if tree.has_file(path)}
    for samples in data.splits.values():
        for sample in samples:
            kinds[tree.relative(sample.image)] = IMAGE
            if sample.mask is not None:
                kinds[tree.relative(sample.mask)] = MASK
    seen = cache.ContentCache(folder, forget=options.again)
    contents: dict[str, Content] = {}
    tasks: list[Task] = []
    for relative, kind in kinds.items():
        quick = options.quick and relative not in expected_md5
        known = seen.find(relative, tree.stamp(relative), kind, quick)
        if known is None:
            tasks.append(Task(relative, tree.path(relative), kind, quick))
        else:
            contents[relative] = known
    try:
        done = 0
        for part in iterate_chunks(look_into, tasks, label=data.name, workers=options.workers, chunk=16):
            for task, content in zip(tasks[done : done + len(part)], part, strict=True):
                contents[task.relative] = content
                seen.keep(task.relative, tree.stamp(task.relative), content)
            done += len(part)
    finally:
        seen.write()
    return contents


def _apply_rules(
    tree: Tree,
    data: OfficialData,
    contents: dict[str, Content],
    description: Description,
    expected_md5: dict[str, str],
    options: CheckOptions,
) -> list[Finding]:
    findings = [] if options.partial else [*rules.check_counts(data, description)]
    findings += rules.check_shared_paths(data, tree.relative)
    findings += rules.check_contents(data, contents, description, tree.relative)
    findings += rules.check_duplicates(data, contents, tree.relative)
    findings += rules.check_md5(expected_md5, contents)
    return findings


def _report(
    name: str,
    tree: Tree,
    data: OfficialData,
    options: CheckOptions,
    stamps: dict[str, Stamp],
    inspected: int,
    findings: list[Finding],
    description: Description,
) -> Report:
    report = Report(name, str(tree.root), "quick" if options.quick else "full", digest(stamps), len(stamps), inspected)
    report.classes = len(data.classes)
    report.notes += data.notes
    report.images = {split: len(samples) for split, samples in data.splits.items()}
    report.objects = {split: sum(rules.count_objects(data, split).values()) for split in data.splits}
    for finding in findings:
        known = [
            entry
            for entry in description.known
            if entry.kind == finding.kind and finding.message.startswith(f"{entry.where}:")
        ]
        if known:
            report.notes.append(f"{finding} ({known[0].why})")
        elif finding.kind in options.accept:
            report.notes.append(f"accepted: {finding}")
        else:
            report.findings.append(finding)
    if options.quick:
        report.notes.append("quick: images were not decoded, duplicates and the values of maps not looked for")
    if options.partial:
        report.notes.append("partial: published counts were not compared")
    return report


def _key(tree_digest: str, description: Description, expected_md5: dict[str, str], options: CheckOptions) -> str:
    """Names everything a report depends on."""
    chosen = dataclasses.asdict(dataclasses.replace(options, md5=None, cache=None, again=False, workers=1))
    md5 = hashlib.sha256(repr(sorted(expected_md5.items())).encode()).hexdigest()
    return config_hash([cache.VERSION, rules.VERSION, tree_digest, to_plain(description), md5, chosen])
