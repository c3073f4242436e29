from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_up_records import demo_records, fill, make_record

from benchmarks.record import read_record
from benchmarks.report.build import Report, build_report, print_report
from benchmarks.report.leaderboard import MAX_TEXT, write_leaderboard
from benchmarks.report.results import collect
from benchmarks.report.tables import make_tables
from pretrain.recipe import load_recipe
from scenebench.cli import main

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    '"><img src=x onerror=alert(1)>',
    "' onclick='alert(1)",
    "{{ 7 * 7 }}{% for x in y %}",
    "../../etc/passwd",
    "..\\..\\windows",
    "javascript:alert(1)",
    "\u2028\u2029 line separators",
    "\x1b[2J a terminal's clear",
    "`rm -rf /`; $(rm -rf /) && rm",
    "</title><h1>",
    "&lt;b&gt;",
    "=cmd|' /C calc'!A0",
    "\x00 nul",
    "A" * 100_000,
    "名前 имя 🙂",
    "]]><x>",
    "</style><script>alert(1)</script>",
]


class Page(HTMLParser):
    """Collects what a browser would see: tags with attributes, script contents, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self.styles: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        {"script": self.scripts, "style": self.styles}.get(self._inside, self.text).append(data)


def board(folder: Path) -> Page:
    results = collect(folder)
    page = write_leaderboard(results, make_tables(results), [], folder / "leaderboard")
    return Page(page.read_text(encoding="utf-8"))


def test_the_page_shows_the_tables_and_stands_alone(tmp_path: Path) -> None:
    page = board(fill(tmp_path, demo_records()))
    text = " ".join(page.text)
    assert "28.0" in text
    assert "± 1.0" in text
    assert "Not comparable" in text
    assert "reproduced" in text
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "srcset", "poster", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:"), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    for kind, content in (("script", page.scripts[-1]), ("style", page.styles[0])):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy, "the browser would refuse our own script or style"


def test_every_measured_cell_opens_its_records_and_every_record_is_there(tmp_path: Path) -> None:
    page = board(fill(tmp_path, demo_records()))
    data = json.loads(page.scripts[0])
    buttons = [a["data-records"] for t, a in page.tags if t == "button" and "data-records" in a]
    named = {name for names in buttons if names for name in names.split()}
    assert named == set(data["records"])
    assert {path.stem for path in (tmp_path / "leaderboard" / "records").iterdir()} == named
    for name, record in data["records"].items():
        on_disk = read_record(tmp_path / "leaderboard" / "records" / f"{name}.json")
        assert record["metrics"] == on_disk.metrics
        assert data["shared"][record["protocol"]["resolved"]] == on_disk.protocol.resolved
        assert data["shared"][record["backbone"]["recipe"]] == on_disk.backbone.recipe
        assert any(line.startswith("scenebench evaluate") for line in record["rerun"])


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    records = [
        make_record(
            text,
            protocol=text,
            method=text,
            metrics={"mAP": float(number), text: 1.0},
            notes=[text],
            recipe={text: text},
            suite=text,
            per_class={text: {text: 1.0}},
        )
        for number, text in enumerate(HOSTILE)
    ]
    harmless = [make_record(f"label {i}", metrics={"mAP": 1.0}) for i in range(len(HOSTILE))]
    page = board(fill(tmp_path / "hostile", records))
    plain = board(fill(tmp_path / "plain", harmless))
    kinds = {tag for tag, _ in plain.tags}
    assert {tag for tag, _ in page.tags} <= kinds, "a record's text made a tag"
    assert len(page.scripts) == len(plain.scripts) == 2
    assert page.scripts[1] == plain.scripts[1]
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
    data = json.loads(page.scripts[0])
    assert len(data["records"]) == len(HOSTILE)
    labels = {record["backbone"]["label"] for record in data["records"].values()}
    assert "../../etc/passwd" in labels
    assert max(map(len, labels)) < MAX_TEXT + 100
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(re.fullmatch(r"[\w.-]+", path.name) for path in written)
    assert (tmp_path / "hostile" / "leaderboard" / "index.html").stat().st_size < 2_000_000
    for record in data["records"].values():
        for line in record["rerun"]:
            assert "\n" not in line
            unquoted = re.sub(r"'[^']*'|\"'\"", "", line)
            assert not re.search(r"[`$;&|]", unquoted), line


def test_terminal_output_holds_no_control_characters(tmp_path: Path) -> None:
    fill(tmp_path, [make_record(text, metrics={"mAP": 1.0}) for text in HOSTILE if len(text) < 1000])
    lines: list[str] = []
    results = collect(tmp_path)
    print_report(Report(results, make_tables(results), [], None), lines.append)
    assert all(sign.isprintable() or sign == "\n" for line in lines for sign in line)


def test_pages_are_byte_equal_from_equal_records(tmp_path: Path) -> None:
    pages = []
    for name in ("a", "b"):
        records = demo_records() if name == "a" else demo_records()[::-1]
        report = build_report(fill(tmp_path / name, records))
        assert report.page is not None
        pages.append([path.read_bytes() for path in [*report.files, report.page]])
    assert pages[0] == pages[1]


def test_commands_rebuild_from_records_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "results", demo_records())
    assert main(["table", str(tmp_path / "results"), "--out", str(tmp_path / "tables")]) == 0
    assert "| mls " in capsys.readouterr().out
    assert {path.suffix for path in (tmp_path / "tables").iterdir()} == {".md", ".tex", ".csv", ".png", ".svg"}
    assert main(["leaderboard", str(tmp_path / "results"), "--out", str(tmp_path / "board")]) == 0
    assert (tmp_path / "board" / "index.html").is_file()
    assert main(["table", str(tmp_path / "nowhere")]) == 2
    assert "no such folder of results" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "overrides", "written"),
    [
        ("mls_demo", ["mls.k=1"], "mls_demo mls.k=1"),
        ("mls_demo", ["mls.k=5", "run.threads=2"], "mls_demo"),  # what the recipe has, and the machine's side
        (
            "mls_demo",
            ["mls.loss=infonce", "views.scale=[0.5, 1.0]"],
            "mls_demo 'views.scale=[0.5, 1.0]' mls.loss=infonce",
        ),
        ("saliency_demo", ["saliency.source=mask", "data.annotations=a.json"], "saliency_demo saliency.source=mask"),
    ],
)
def test_the_command_that_repeats_a_pretraining_makes_its_recipe(
    tmp_path: Path, name: str, overrides: list[str], written: str
) -> None:
    recipe = load_recipe(name, [*overrides, "seed=2", "data.root=cells/data/images/train"])
    record = make_record("a row", seed=2, recipe=recipe.to_plain())
    record = record.model_copy(update={"backbone": record.backbone.model_copy(update={"recipe_name": name})})
    page = board(fill(tmp_path, [record]))
    (embedded,) = json.loads(next(text for text in page.scripts if text.startswith("{")))["records"].values()
    command = embedded["rerun"][0]
    assert command.startswith(f"scenebench pretrain {written} seed=2 data.root=DATA/images/train ")
    words = shlex.split(command)
    given = [word for word in words[3:] if "=" in word]
    again = load_recipe(words[2], given).to_plain()
    for changed in (again, plain := recipe.to_plain()):
        changed["data"].pop("root")
        changed["data"]["annotations"] = bool(changed["data"]["annotations"])
        changed.pop("run")
    assert again == plain
