"""``scenebench records convert``: a folder of one file a record becomes one file a suite (:mod:`.store`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.records.adding import Admitted, admit_all, store_files, store_name, writing_to
from benchmarks.records.admission import admit
from benchmarks.records.places import RECORDS_FOLDER, find_records
from benchmarks.records.store import SUFFIX
from scenebench.errors import UserError
from scenebench.files import replace_all


@dataclass(frozen=True)
class Converted:
    """A store that was written, and how many records it holds."""

    file: Path
    number: int


def convert(old: Path, to: Path | None = None) -> list[Converted]:
    """Write the records that lie in files of their own below ``old`` as stores into ``to`` (default: ``old``).

    A folder of ``old`` becomes a store of its name; what lies in no such folder goes by the name of its suite. The
    files stay, and each store is read back and compared before this returns.

    Raises:
        UserError: no such records, one that is not admitted, or a store of that name is there. Nothing is written then.
    """
    if not old.is_dir():
        raise UserError(f"{old}: no such folder of records")
    to = old if to is None else to
    groups: dict[str, list[Admitted]] = {}
    for lying in find_records(old):
        if lying.file is not None:
            content = lying.content()
            one = Admitted(lying.place, content, admit(content, lying.place))
            groups.setdefault(_name(lying.file.relative_to(old), one), []).append(one)
    if not groups:
        raise UserError(f"{old}: holds no files of one record each")
    texts: dict[Path, str] = {}
    with writing_to(to):
        for name, records in sorted(groups.items()):
            store = to / f"{name}{SUFFIX}"
            if store.exists() or store.is_symlink():
                raise UserError(f"{store}: is there; name another folder by --to")
            texts |= store_files(store, records)
        replace_all(texts)
        for name, records in groups.items():
            _require_equal(to / f"{name}{SUFFIX}", records)
    return [Converted(to / f"{name}{SUFFIX}", len(records)) for name, records in sorted(groups.items())]


def _name(path: Path, one: Admitted) -> str:
    """Of the store: the folder's below the old one, or below ``records`` in it; else the suite's."""
    folders = path.parts[:-1]
    if folders[:1] == (RECORDS_FOLDER,):
        folders = folders[1:]
    return store_name(folders[0] if len(folders) > 1 else one.record.suite)


def _require_equal(store: Path, records: list[Admitted]) -> None:
    """The proof that nothing was lost: every record's JSON, and the hash in it, are what they were."""
    stored = sorted(admit_all(store), key=_hash)
    given = sorted(records, key=_hash)
    if [one.content for one in stored] != [one.content for one in given]:
        raise UserError(f"{store}: does not hold what was written; remove it and keep the old files")


def _hash(one: Admitted) -> str:
    return one.record.content_hash
