"""The page on protocols: equal to what its sources give, and its commands run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.protocols.protocol import list_protocols, load_protocol
from benchmarks.published.values import read_published
from benchmarks.report.protocol_page import is_of, protocol_page, published_values
from scenebench.cli import main, parse

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocols.md"


def commands(language: str) -> list[list[str]]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [line.split()[1:] for kind, block in blocks if kind == language for line in block.splitlines()]


def test_the_page_is_what_the_files_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protocol", "page"]) == 0
    assert capsys.readouterr().out == PAGE.read_text(encoding="utf-8"), (
        "write it anew: scenebench protocol page > docs/protocols.md"
    )


def test_the_page_has_every_protocol_with_what_it_leaves_open() -> None:
    page = " ".join(protocol_page().split())
    for name in list_protocols():
        protocol = load_protocol(name)
        assert f"### {protocol.title} `{name}`" in page
        for text in protocol.ambiguities:
            assert " ".join(text.split()) in page


def test_every_published_reference_finds_its_rows() -> None:
    values = read_published()
    for name in list_protocols():
        protocol = load_protocol(name)
        for rows in protocol.published:
            own = [value for value in values if is_of(value, rows, protocol)]
            assert own, f"{name}: published.table {rows.table} names no row"
            # A gain over a baseline is of the metric that it is a gain of.
            assert {value.metric.removeprefix("delta_") for value in own} <= set(protocol.metrics)
    tables = {value.table for value in published_values(load_protocol("mask_rcnn_r50_fpn_1x"), values)}
    assert tables == {"table1", "table6", "table7", "table8", "figure5a", "figure5b"}


def test_odd_rows_carry_their_footnotes() -> None:
    page = protocol_page()
    baseline = next(line for line in page.splitlines() if line.startswith("| MoCo-v2 | COCO | 400 | 38.8"))
    assert re.search(r"35\.5 <sup>[\d,]+</sup>", baseline)
    assert "probably a misprint" in page
    assert "DenseCL is absent from this table" in page


def test_the_shown_commands_run_or_parse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = commands("sh")
    assert len(shown) == 4
    for command in shown:
        assert main(command) == 0
    assert (tmp_path / "configs/pspnet/config.py").is_file()
    assert "NUM_CONV: 4" in capsys.readouterr().out
    for command in commands(""):
        assert parse(command).protocol in list_protocols()
