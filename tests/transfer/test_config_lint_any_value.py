"""No value of a file ends in a traceback: each value of sound configurations replaced by anything, each key deleted."""

from __future__ import annotations

import copy
import pprint
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from config_lint_examples import C4, DETECTOR_C4, FPN, SEGMENTOR, write
from config_lint_planted import DETECTOR, DETECTRON2
from config_lint_planted import SEGMENTOR as WHOLE_SEGMENTOR

from transfer.config_lint.lint import lint_all, lint_config, read_config

ANYTHING: list[Any] = [
    None, 0, -1, 1.5, True, "word", "", "a\0b", "x" * 5000, "~nobody/x.pth", [], [1], ["a", None], [1, 2, 3, 4], {},
    {"type": 1}, [[[]]], {"a": {"b": [{}]}}, 10**400, float("nan"), float("inf"), [float("nan")] * 3, [10**400] * 3,
]  # fmt: skip


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, child in value.items():
            yield from paths_of(child, (*path, key))
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from paths_of(child, (*path, number))


def changed(content: Any, path: tuple[Any, ...], value: Any, delete: bool = False) -> Any:
    content = copy.deepcopy(content)
    owner = content
    for key in path[:-1]:
        owner = owner[key]
    if delete:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return content


def written(content: Any, is_yaml: bool) -> str:
    if is_yaml:
        return yaml.safe_dump(content, allow_unicode=False)
    text = "\n".join(f"{name} = {pprint.pformat(value)}" for name, value in content.items())
    return f"nan = inf = 1\n{text}\n".replace("nan = inf = 1", "nan = float('nan')\ninf = float('inf')")


@pytest.mark.parametrize("name", ["FPN", "C4", "DETECTRON2", "SEGMENTOR", "DETECTOR_C4", "WHOLE_SEGMENTOR", "DETECTOR"])
def test_any_value_is_a_finding_or_silence(name: str, tmp_path: Path) -> None:
    text = {
        "FPN": FPN, "C4": C4, "DETECTRON2": DETECTRON2, "SEGMENTOR": SEGMENTOR, "DETECTOR_C4": DETECTOR_C4,
        "WHOLE_SEGMENTOR": WHOLE_SEGMENTOR, "DETECTOR": DETECTOR,
    }[name]  # fmt: skip
    is_yaml = text.startswith("MODEL")
    file = write(tmp_path, {f"a{'.yaml' if is_yaml else '.py'}": text})
    content = {key: node.plain() for key, node in read_config(file).root.value.items()}
    places = list(paths_of(content))
    assert len(places) > 20
    for number, path in enumerate(places):
        for other in range(number % 5, len(ANYTHING), 5):  # a fifth of them at each place, each at many places
            file.write_text(written(changed(content, path, ANYTHING[other]), is_yaml))
            lint_config(file)
        file.write_text(written(changed(content, path, None, delete=True), is_yaml))
        lint_config(file)


@pytest.mark.parametrize("key", ["PIXEL_MEAN", "PIXEL_STD"])
@pytest.mark.parametrize(
    "value", ["[1.0]", "[1.0, 2.0, 3.0, 4.0]", "118.0", "imagenet", "null", "[a, b, c]", "[.nan, 1, 1]"]
)
def test_statistics_of_any_shape_leave_the_rest_of_the_folder(key: str, value: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": f"MODEL:\n  {key}: {value}\n", "b.yaml": FPN.replace("RGB", "BGR"), "c.py": SEGMENTOR})
    linted = lint_all([tmp_path])
    assert [path.name for path in linted.findings] == ["a.yaml", "b.yaml", "c.py"]
    rules = {path.name: {one.rule for one in found} for path, found in linted.findings.items()}
    assert rules["a.yaml"] == (set() if value == "null" else {"statistics-shape"})
    assert "channel-order" in rules["b.yaml"]
    assert rules["c.py"] == set()
