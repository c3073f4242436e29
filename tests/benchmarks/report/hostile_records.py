"""Records that try to break a leaderboard: texts that must stay text, and files that must be refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from made_up_records import make_record

from benchmarks.records.record import Record, write_record

HOSTILE = [
    "<script>document.title='owned'</script>",
    "</script><script>document.title='owned'</script>",
    "<!--<script>",
    '"><img src=x onerror=document.title=1>',
    "' onclick='alert(1)",
    "{{ 7 * 7 }}{% for x in y %}",
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\windows",
    "javascript:alert(1)",
    "\u2028\u2029 line separators",
    "\u202eturned around\u2066 and isolated",
    "zero\u200bwidth\ufeff",
    "\x1b[2J a terminal's clear",
    "`rm -rf /`; $(rm -rf /) && rm",
    "</title><h1>",
    "</style><style>*{display:none}</style>",
    "red;background:url(http://example.invalid/)",
    "&lt;b&gt;",
    "=cmd|' /C calc'!A0",
    "\x00 nul",
    "A" * 100_000,
    "名前 имя 🙂",
    "]]><x>",
    "__proto__",
    "constructor",
    "toString",
    "http://example.invalid/a.js",
]


def hostile_records() -> list[Record]:
    """One record a hostile text, which stands in every field that takes free text."""
    return [
        make_record(
            text,
            protocol=text,
            method=text,
            metrics={"mAP": float(number), text: 1.0},
            notes=[text],
            recipe={text: text},
            suite=text,
            size=text,
            per_class={text: {text: 1.0}},
        )
        for number, text in enumerate(HOSTILE)
    ]


def _sealed(path: Path, **changes: object) -> Path:
    write_record(path, make_record("bad", **changes))  # type: ignore[arg-type]
    return path


def _edited(path: Path, old: str, new: str) -> None:
    text = _sealed(path).read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def _deep(path: Path) -> None:
    value: object = 1
    for _ in range(200):
        value = [value]
    content = json.loads(_sealed(path).read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"notes": [], "suite_resolved": {"a": value}}), encoding="utf-8")


def _outward_link(path: Path) -> None:
    target = path.parents[2] / "outside.json"
    _sealed(target)
    path.parent.mkdir(parents=True)
    path.symlink_to(target)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "10 MB note": (lambda path: _sealed(path, notes=["x" * 10_000_000]), "bytes, a record has 2,000,000 at most"),
    "1e308": (lambda path: _sealed(path, metrics={"mAP": 1e308}), "metric mAP is 1e+308"),
    "too many metrics": (lambda path: _sealed(path, metrics={f"m{i}": 1.0 for i in range(101)}), "101 metrics"),
    "NaN": (lambda path: _edited(path, '"mAP": 10.0', '"mAP": NaN'), "NaN is no JSON"),
    "Infinity": (lambda path: _edited(path, '"mAP": 10.0', '"mAP": Infinity'), "Infinity is no JSON"),
    "lone surrogate": (lambda path: _edited(path, '"suite": "demo"', '"suite": "\\ud800"'), "lone surrogate"),
    "deep nesting": (_deep, "nested more than 40 levels"),
    "endless nesting": (lambda path: _edited(path, '"notes": []', f'"notes": {"[" * 100_000}'), "nested more than"),
    "not UTF-8": (
        lambda path: _sealed(path).write_bytes(b'{"schema_version": 2, "suite": "\xff\xfe"}'),
        "not a readable",
    ),
    "not JSON": (lambda path: _edited(path, "{", "("), "not a readable record"),
    "edited": (lambda path: _edited(path, '"mAP": 10.0', '"mAP": 99.0'), "content hash disagrees"),
    "unknown key": (lambda path: _edited(path, '"suite": "demo"', '"href": "javascript:1"'), "not a valid record"),
    "link out of the folder": (_outward_link, "a link that leads out"),
}
"""What it is -> how to write it, and what the error says."""
