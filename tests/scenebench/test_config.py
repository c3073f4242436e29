from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scenebench.config import config_hash, load_config, override, parse_overrides, read_yaml, to_plain
from scenebench.errors import UserError


@dataclass
class Optimiser:
    lr: float = 0.3
    weight_decay: float = 1e-4


@dataclass
class Settings:
    name: str = "mls"
    k: int = 20
    optimiser: Optimiser = field(default_factory=Optimiser)
    note: str | None = None
    texts: list[str] = field(default_factory=list)
    others: list[Optimiser] = field(default_factory=list)
    free: dict[str, Any] = field(default_factory=dict)
    span: tuple[float, float] | None = None


def test_what_may_be_anything_is_left_alone() -> None:
    settings = load_config(
        Settings, {"free": {"a": {"b": [1, {"c": 2}]}}, "note": None, "others": [{"lr": 1}], "span": [1, 2]}
    )
    assert list(settings.span) == [1.0, 2.0]
    assert settings.free == {"a": {"b": [1, {"c": 2}]}}
    assert settings.others == [Optimiser(lr=1.0)]


def test_later_layers_win_and_types_are_kept() -> None:
    settings = load_config(Settings, {"k": 5, "optimiser": {"lr": 1}}, parse_overrides(["optimiser.lr=3e-2"]))
    assert settings == Settings(k=5, optimiser=Optimiser(lr=0.03))
    assert isinstance(settings.optimiser, Optimiser)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ({"optimizer": {}}, "unknown key 'optimizer' (did you mean 'optimiser'?)"),
        ({"optimiser": {"wieght_decay": 0}}, "unknown key 'optimiser.wieght_decay' (did you mean 'weight_decay'?)"),
        ({"k": "many"}, "'many'"),
        ({"optimiser": 3}, "optimiser"),
        ({"name": {"a": "b"}}, "'name' is one value, found a section of keys: {'a': 'b'}; put text that has a colon"),
        ({"name": ["a"]}, "'name' is one value, found a list: ['a']"),
        ({"k": {"a": 1}}, "'k' is one value, found a section"),
        ({"note": {"a": 1}}, "'note' is one value"),
        ({"optimiser": {"lr": [1, 2]}}, "'optimiser.lr' is one value, found a list"),
        ({"texts": ["fine", {"Layer": "left open"}]}, "'texts[1]' is one value, found a section of keys"),
        ({"texts": "one"}, "'texts' is a list, found 'one'; put it in [brackets]"),
        ({"texts": {"a": "b"}}, "'texts' is a list"),
        ({"others": [{"lr": 1}, {"rl": 2}]}, "unknown key 'others[1].rl'"),
        ({"others": [3]}, "'others[0]' is a section of keys, found the value 3"),
        ({"name": {"a": "b" * 500}}, "bbb..."),
    ],
)
def test_wrong_keys_and_values_are_named(layer: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(Settings, layer, where="recipe.yaml")
    assert expected in str(caught.value)
    assert "recipe.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_yaml_reads_learning_rates_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("lr: 1e-4\ntext: '1e-4'\nversion: 1.2.3\n", encoding="utf-8")
    assert read_yaml(path) == {"lr": 1e-4, "text": "1e-4", "version": "1.2.3"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "key 'a' is given twice"),
        ("- 1\n", "expected a mapping"),
        ("a: [1\n", "not YAML"),
    ],
)
def test_bad_yaml_is_one_line_naming_the_file(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="bad.yaml") as caught:
        read_yaml(path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pair", ["lr", "=3", "a.b=[1"])
def test_bad_overrides(pair: str) -> None:
    with pytest.raises(UserError):
        parse_overrides([pair])


@pytest.mark.parametrize(
    "value", [3, 0.5, None, True, [1, "2"], "text", "3", "null", "1e-3", "[", "a: b", "- x", "", "[" * 500, "'", "*a"]
)
def test_an_override_reads_back(value: object) -> None:
    assert parse_overrides([override("a.b", value)]) == {"a": {"b": value}}


def test_override_below_a_value_is_refused() -> None:
    with pytest.raises(UserError, match="was given a value before"):
        parse_overrides(["a=1", "a.b=2"])


def test_hash_depends_on_content_alone() -> None:
    assert config_hash({"a": 1, "b": [1.5, None]}) == config_hash({"b": [1.5, None], "a": 1})
    assert config_hash(to_plain(Settings())) != config_hash(to_plain(Settings(k=21)))
    assert len(config_hash({})) == 16
