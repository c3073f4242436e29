from __future__ import annotations

import html
import json
import os
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hostile_records import HOSTILE
from made_up_records import demo_records, fill, make_record

from benchmarks.records.admission import admit
from benchmarks.records.collect import collect
from benchmarks.report.leaderboard import write_leaderboard
from benchmarks.report.leaderboard_rerun import rerun_commands
from benchmarks.report.leaderboard_runs import backbone_of_records, curves, log_tail
from benchmarks.report.run_report import Report, build_leaderboard, build_report, print_report
from benchmarks.report.suite_table import make_tables
from pretrain.recipes.recipe import load_recipe
from scenebench.cli import main
from scenebench.errors import UserError


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
    """The page of a folder of records, beside them in ``leaderboard``."""
    results = collect(folder)
    page = write_leaderboard(results, make_tables(results), [lambda pictures: None], folder / "leaderboard")
    return Page(page.read_text(encoding="utf-8"))


def test_the_page_shows_the_tables_and_stands_alone(tmp_path: Path) -> None:
    _, path = build_leaderboard(fill(tmp_path, demo_records()))
    pages = [path, *(path.parent / "runs").glob("*.html")]
    assert len(pages) == 1 + len(demo_records())
    text = " ".join(Page(path.read_text(encoding="utf-8")).text)
    for part in ("28.0", "± 1.0", "Not comparable", "reproduced"):
        assert part in text
    for file in pages:
        page = Page(file.read_text(encoding="utf-8"))
        policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
        assert policy is not None
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        for tag, attributes in page.tags:
            assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
            for name in ("src", "href", "action", "srcset", "poster", "data"):
                value = attributes.get(name)
                if value is not None and not value.startswith(("data:,", "#")):
                    assert (file.parent / value.partition("#")[0]).resolve().is_relative_to(path.parent), value
                    assert (file.parent / value.partition("#")[0]).is_file(), value


def test_every_measured_cell_leads_to_its_record_and_every_record_is_there(tmp_path: Path) -> None:
    page = board(fill(tmp_path, demo_records()))
    runs = tmp_path / "leaderboard" / "runs"
    linked = {a["href"] for _, a in page.tags if a.get("class") in ("cell", "cell best")}
    assert all(link and (tmp_path / "leaderboard" / link).is_file() for link in linked)
    lines = (tmp_path / "leaderboard" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    read = [admit(json.loads(line), "line") for line in lines]
    assert len(read) == len(demo_records())
    for record in read:
        text = (runs / f"{record.content_hash[:16]}.html").read_text(encoding="utf-8")
        shown = html.unescape(text)
        assert f"seed {record.seed}" in shown
        assert "scenebench evaluate" in shown
        assert '"image_size": 128' in shown
        assert record.environment.processor in shown
        for value in record.metrics.values():
            assert f"<td>{value:.2f}</td>" in text
        if record.protocol.id.startswith("multilabel") and record.backbone.origin == "own":
            assert text.count('.html" aria-current="page">') == 1
            assert "Seeds of this value" in text


def test_what_the_script_sorts_by_is_what_the_page_shows(tmp_path: Path) -> None:
    page = board(fill(tmp_path, demo_records()))
    data = json.loads(page.scripts[-1])["tables"]
    first = data[0]
    assert first["kinds"] == ["classification"]
    assert [row["sort"][0] for row in first["rows"]][:4] == ["random", "mls", "moco", "saliency"]
    mls = next(row for row in first["rows"] if row["text"].startswith("mls"))
    assert mls["sort"][1:5] == ["resnet18, stem 16", 8, pytest.approx(28.0), 1]
    assert (mls["origin"], mls["epochs"]) == ("own", 8)
    assert {row["origin"] for table in data for row in table["rows"]} == {"own", "reference", "published"}


def test_published_values_never_stand_among_measured_ones(tmp_path: Path) -> None:
    page = board(fill(tmp_path, demo_records()))
    for table in json.loads(page.scripts[-1])["tables"]:
        origins = {row["origin"] == "published" for row in table["rows"]}
        assert len(origins) == 1
        assert (table["data"] == ["scenes"]) == (origins == {False})


def test_a_run_folder_gives_its_log_and_curves(tmp_path: Path) -> None:
    folder = fill(tmp_path / "results", [make_record("mls")])
    run = folder / "run000"
    (run / "log.txt").write_text("".join(f"line {n}\n" for n in range(100)) + "\x1b[31mred\n", encoding="utf-8")
    (run / "toolbox").mkdir()
    lines = [{"iteration": n, "total_loss": 2.0 - 0.1 * n} for n in range(5)]
    lines.append({"iteration": 5, "total_loss": float("nan")})
    (run / "toolbox" / "metrics.json").write_text("\n".join(map(json.dumps, lines)) + "\n{half", encoding="utf-8")
    (tmp_path / "results" / "pre").mkdir()
    (folder / "pre" / "log.jsonl").write_text('{"step": 1, "loss": 7}\n{"step": 9, "loss": 5}\n', encoding="utf-8")
    job = {"outputs": ["run000/record.json"], "inputs": ["pre/backbone.safetensors"]}
    (folder / "logs").mkdir()
    (folder / "plan.json").write_text(json.dumps({"jobs": [job]}), encoding="utf-8")
    record, root = run / "record.json", os.path.realpath(folder)
    found = curves(record, root, backbone_of_records(folder)[record])
    assert [(curve.title, len(curve.points), curve.points[-1]) for curve in found] == [
        ("Pretraining", 2, (9.0, 5.0)),
        ("Transfer", 5, (4.0, pytest.approx(1.6))),
    ]
    tail = log_tail(record, root).splitlines()
    assert len(tail) == 40
    assert tail[-1] == "[U+001B][31mred"
    outside = tmp_path / "secret.txt"
    outside.write_text("secret", encoding="utf-8")
    (run / "log.txt").unlink()
    (run / "log.txt").symlink_to(outside)
    assert log_tail(record, root) == ""


def test_a_folder_that_is_no_leaderboard_is_left_alone(tmp_path: Path) -> None:
    fill(tmp_path / "results", demo_records()[:2])
    site = tmp_path / "site"
    (site / "runs").mkdir(parents=True)
    (site / "runs" / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="is no leaderboard's; choose another folder"):
        build_leaderboard(tmp_path / "results", site)
    assert [path.name for path in site.rglob("*")] == ["runs", "mine"]
    (site / "runs" / "mine").unlink()
    (site / "runs").rmdir()
    (site / "CNAME").write_text("kept", encoding="utf-8")
    build_leaderboard(tmp_path / "results", site)
    build_leaderboard(tmp_path / "results", site)
    assert (site / "CNAME").is_file()
    assert len(list((site / "runs").iterdir())) == 2


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
    assert {path.suffix for path in (tmp_path / "tables").glob("[!.]*")} == {".md", ".tex", ".csv", ".png", ".svg"}
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
def test_the_command_that_repeats_a_pretraining_makes_its_recipe(name: str, overrides: list[str], written: str) -> None:
    recipe = load_recipe(name, [*overrides, "seed=2", "data.root=cells/data/images/train"])
    record = make_record("a row", seed=2, recipe=recipe.to_plain())
    record = record.model_copy(update={"backbone": record.backbone.model_copy(update={"recipe_name": name})})
    command = rerun_commands(record)[0]
    assert command.startswith(f"scenebench pretrain {written} seed=2 data.root=DATA/images/train ")
    words = shlex.split(command)
    given = [word for word in words[3:] if "=" in word]
    again = load_recipe(words[2], given).to_plain()
    for changed in (again, plain := recipe.to_plain()):
        changed["data"].pop("root")
        changed["data"]["annotations"] = bool(changed["data"]["annotations"])
        changed.pop("run")
    assert again == plain


def test_pictures_and_tables_of_several_data_sets_say_which(tmp_path: Path) -> None:
    records = demo_records()
    other = [
        record.model_copy(update={"dataset": record.dataset.model_copy(update={"fingerprint": "f" * 16})})
        for record in records
    ]
    other = [record.model_copy(update={"content_hash": record.computed_hash()}) for record in other]
    folders = fill(tmp_path / "one", records), fill(tmp_path / "two", [*records, *other])
    pages = [build_leaderboard(folder)[1].read_text(encoding="utf-8") for folder in folders]
    one, two = (re.findall(r"<summary>(Quality by task[^<]*)", page) for page in pages)
    assert one == ["Quality by task"]
    assert len(set(two)) == len(two) == 2
    assert two[1].endswith(", data ffffffff")
    heads = [re.findall(r"<h3 id=[^>]*>(.*?)</h3>", page) for page in pages]
    assert not any(", data " in head for head in heads[0])
    assert len(set(heads[1])) == len(heads[1]) == 2 * len(heads[0])
    assert sum(", data ffffffff" in head for head in heads[1]) == len(heads[0])
