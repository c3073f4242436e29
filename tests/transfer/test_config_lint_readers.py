"""Reading configurations without running them: equal to what the toolboxes read, and nothing executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from config_lint_examples import write

from transfer.config_lint.detectron2_settings import DEFAULTS
from transfer.config_lint.known_keys import DETECTRON2_KEYS
from transfer.config_lint.lint import lint_config, read_config
from transfer.config_lint.tree import UNKNOWN


def plain(path: Path) -> dict[str, Any]:
    return {key: node.plain() for key, node in read_config(path).root.value.items()}


def as_lists(value: Any) -> Any:
    """Tuples as lists, keys as text: the tree keeps no difference between them."""
    if isinstance(value, dict):
        return {str(key): as_lists(child) for key, child in value.items()}
    return [as_lists(child) for child in value] if isinstance(value, (list, tuple)) else value


def test_yaml_is_what_detectron2_reads(tmp_path: Path) -> None:
    config = pytest.importorskip("detectron2.config")
    zoo = Path(pytest.importorskip("detectron2").__file__).parent / "model_zoo" / "configs"
    files = sorted(zoo.rglob("*.yaml"))[::4]
    assert len(files) > 15
    for file in files:
        expected = config.get_cfg()
        expected.merge_from_file(str(file))
        root = read_config(file).root
        for key, default in (DEFAULTS | {"SOLVER.STEPS": (30000,), "MODEL.WEIGHTS": ""}).items():
            node, value = root.get(key), expected
            for part in key.split("."):
                value = value[part]
            assert as_lists(default if node is None else node.plain()) == as_lists(value), (file, key)


def test_python_is_what_mmengine_reads() -> None:
    config = pytest.importorskip("mmengine.config").Config
    folder = Path(pytest.importorskip("mmseg").__file__).parent / ".mim" / "configs"
    files = [file for file in sorted(folder.glob("*/*.py")) if "_base_" not in file.parts][::40]
    assert len(files) > 12
    compared = 0
    for file in files:
        ours, theirs = plain(file), config.fromfile(str(file), import_custom_modules=False)
        assert ours.keys() - {"_base_"} == set(theirs.keys()), file
        for name, value in theirs.items():
            if ours[name] is not UNKNOWN:  # a comprehension, a call: told as such, not guessed
                assert ours[name] == as_lists(value.to_dict() if hasattr(value, "to_dict") else value), (file, name)
                compared += 1
    assert compared > 15 * len(files)


def test_the_newer_style_with_read_base(tmp_path: Path) -> None:
    files = {
        "a/child.py": (
            "from mmengine.config import read_base\n"
            "from mmdet.models import ResNet\n"
            "with read_base():\n"
            "    from .._base_.model import *\n"
            "    from .._base_.schedule import train_cfg as schedule\n"
            "model.update(dict(backbone=dict(depth=101, type=ResNet)))\n"
            "model.backbone.style = 'caffe'\n"
            "model['neck'] = None\n"
        ),
        "_base_/model.py": "model = dict(type='MaskRCNN', backbone=dict(type='X', depth=50))\n",
        "_base_/schedule.py": "train_cfg = dict(max_epochs=12)\nother = 1\n",
    }
    path = write(tmp_path, files)
    ours = plain(path)
    assert ours["model"] == {
        "type": "MaskRCNN", "backbone": {"type": "ResNet", "depth": 101, "style": "caffe"}, "neck": None,
    }  # fmt: skip
    assert ours["schedule"] == {"max_epochs": 12}
    assert "other" not in ours
    missing = path.read_text().replace("_base_.model", "_base_.none")
    assert [one.rule for one in lint_config(write(tmp_path, {"a/child.py": missing}))] == ["missing-base"]
    absent = path.read_text().replace("from .._base_.none", "from mmnone.configs.x")
    absent = absent.replace(".._base_.none", "mmnone.configs.model")
    findings = lint_config(write(tmp_path, {"a/child.py": absent}))
    assert [(one.rule, one.severity) for one in findings] == [("unresolved-base", "note")]


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        ("x = dict(b=dict(c=5))", {"x": {"a": 1, "b": {"c": 5, "d": 3}}, "n": 4}),
        ("x = dict(_delete_=True, e=1)", {"x": {"e": 1}, "n": 4}),
        ("x = dict(b=dict(_delete_=True, c=5))", {"x": {"a": 1, "b": {"c": 5}}, "n": 4}),
        ("x = dict(b=None)", {"x": {"a": 1, "b": None}, "n": 4}),
        ("y = {{_base_.x.b.c}}", {"x": {"a": 1, "b": {"c": 2, "d": 3}}, "n": 4, "y": 2}),
        ("y = _base_.n * 2 + 1", {"x": {"a": 1, "b": {"c": 2, "d": 3}}, "n": 4, "y": 9}),
        ("n, m = 1, [2]\nm += [-3]", {"x": {"a": 1, "b": {"c": 2, "d": 3}}, "n": 1, "m": [2, -3]}),
        ("y = '{{ fileBasenameNoExtension }}'", {"x": {"a": 1, "b": {"c": 2, "d": 3}}, "n": 4, "y": "child"}),
        ("del _base_.n", {"x": {"a": 1, "b": {"c": 2, "d": 3}}}),
        ("del _base_.x.b.d\nx = dict(a=5)", {"x": {"a": 5, "b": {"c": 2}}, "n": 4}),
        ("_base_.x.b.c = 7\n_base_.x.pop('a')", {"x": {"b": {"c": 7, "d": 3}}, "n": 4}),
        ("x = dict(b=dict(_delete_=False, c=5))", {"x": {"a": 1, "b": {"c": 5, "d": 3}}, "n": 4}),
        ("x = dict(n=dict(_delete_=True, c=5))", {"x": {"a": 1, "b": {"c": 2, "d": 3}, "n": {"_delete_": True, "c": 5}},
                                                 "n": 4}),
        ("x = dict(a=dict(_delete_=True, c=5))", {"x": {"a": {"c": 5}, "b": {"c": 2, "d": 3}}, "n": 4}),
        ("y = [1]\ny.append(2)\ny.extend([3])", {"x": {"a": 1, "b": {"c": 2, "d": 3}}, "n": 4, "y": [1, 2, 3]}),
        ("y = dict(p=1, q=2)\ny.pop('p')\ndel y['q']", {"x": {"a": 1, "b": {"c": 2, "d": 3}}, "n": 4, "y": {}}),
        ("y = z = dict(p=1)", {"x": {"a": 1, "b": {"c": 2, "d": 3}}, "n": 4, "y": {"p": 1}, "z": {"p": 1}}),
        ("z = dict(n=1)\ny = dict(z, **{'m': 2})\ndel z", {"x": {"a": 1, "b": {"c": 2, "d": 3}}, "n": 4,
                                                          "y": {"n": 1, "m": 2}}),
    ],
)  # fmt: skip
def test_merging_is_mmengines(child: str, expected: dict[str, Any], tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"child.py": f"_base_ = ['base.py']\n{child}\n", "base.py": "x = dict(a=1, b=dict(c=2, d=3))\nn = 4\n"},
    )
    ours = plain(path)
    ours.pop("_base_", None)
    assert ours == expected
    theirs = pytest.importorskip("mmengine.config").Config.fromfile(str(path))
    assert as_lists(theirs.to_dict()) == expected


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.mkdir(OUT)\nmodel = dict(type='X')\n",
        "model = dict(type=__import__('os').mkdir(OUT))\n",
        "_base_ = __import__('os').mkdir(OUT)\n",
        "model = dict(a=[__import__('os').mkdir(OUT) for _ in range(1)])\n",
        "if True:\n    model = 1\n    __import__('os').mkdir(OUT)\n",
        "class A:\n    __import__('os').mkdir(OUT)\nmodel = dict(a=f'{A()}')\n",
        "model = 2 ** 9999999999999\nb = 10 ** 10 ** 10 * 'x'\n",
    ],
)
def test_python_is_never_run(text: str, tmp_path: Path) -> None:
    target = tmp_path / "made"
    lint_config(write(tmp_path, {"a.py": text.replace("OUT", repr(str(target)))}))
    assert not target.exists()


@pytest.mark.parametrize("tag", ["apply:os.mkdir", "apply:eval", "new:os.mkdir"])
def test_yaml_tags_are_never_run(tag: str, tmp_path: Path) -> None:
    target = tmp_path / "made"
    argument = f"__import__('os').mkdir('{target}')" if "eval" in tag else str(target)
    text = f'MODEL:\n  PIXEL_MEAN: !!python/object/{tag} ["{argument}"]\n'
    findings = lint_config(write(tmp_path, {"a.yaml": text}))
    assert [one.rule for one in findings] == ["computed-value"]
    assert not target.exists()


def test_yaml_anchors_merges_and_nested_aliases(tmp_path: Path) -> None:
    text = "MODEL: &m\n  DEVICE: cpu\n  PIXEL_STD: [1, 2, 3]\nINPUT:\n  <<: *m\n  DEVICE: cuda\n"
    assert plain(write(tmp_path, {"a.yaml": text}))["INPUT"] == yaml.safe_load(text)["INPUT"]
    laughs = "MODEL:\n  a0: &a0 [x, x]\n" + "".join(
        f"  a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 60)
    )
    assert lint_config(write(tmp_path, {"b.yaml": laughs})) == []
    knot = "MODEL: &m\n  RESNETS: *m\n"
    assert lint_config(write(tmp_path, {"c.yaml": knot})) is not None


def test_nested_python_sharing_takes_no_exponential_time(tmp_path: Path) -> None:
    text = "a0 = dict(mean=1, std=2)\n" + "".join(f"a{n} = dict(x=a{n - 1}, y=a{n - 1})\n" for n in range(1, 60))
    assert lint_config(write(tmp_path, {"a.py": text + "model = dict(neck=dict(type='FPN', norm_cfg=a59))\n"})) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.yaml", b"MODEL: [1\n"),
        ("a.yaml", b"\xff\xfe\x00"),
        ("a.yaml", b"- 1\n"),
        ("a.yaml", b""),
        ("a.yaml", b"a: " + b"[" * 400),
        ("a.py", b"model = dict(\n"),
        ("a.py", b"\x00"),
        ("a.py", b"\xff"),
        ("a.py", b"x = " + b"(" * 5000),
    ],
)
def test_what_cannot_be_read_is_a_finding(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert [one.rule for one in lint_config(tmp_path / name)] == ["unreadable"]


def test_the_known_keys_are_the_installed_detectron2s() -> None:
    config = pytest.importorskip("detectron2.config").get_cfg()
    for section, names in DETECTRON2_KEYS.items():
        node = config
        for part in section.split(".") if section else []:
            node = node[part]
        assert set(names.split()) == set(node), section
