from pathlib import Path

import pytest
import yaml

from benchmarks.protocol import (
    ClassificationProtocol,
    DetectionProtocol,
    SegmentationProtocol,
    describe,
    list_protocols,
    load_protocol,
)
from scenebench.config import config_hash
from scenebench.errors import UserError


def test_the_demo_protocols_are_there() -> None:
    names = list_protocols()
    expected = {
        "multilabel_knn": ClassificationProtocol,
        "multilabel_linear": ClassificationProtocol,
        "mask_rcnn_fpn_demo": DetectionProtocol,
        "fcn_demo": SegmentationProtocol,
        "pspnet_demo": SegmentationProtocol,
    }
    assert set(expected) <= set(names)
    for name, schema in expected.items():
        assert type(load_protocol(name)) is schema


@pytest.mark.parametrize("name", list_protocols())
def test_every_protocol_says_what_it_is(name: str) -> None:
    protocol = load_protocol(name)
    assert protocol.id == name
    assert protocol.title
    assert protocol.description
    assert protocol.metrics
    assert protocol.seeds
    assert protocol.hash == config_hash(protocol.resolved)
    assert protocol.resolved["settings"]


def test_the_hash_follows_the_numbers_and_not_the_words(tmp_path: Path) -> None:
    protocol = load_protocol("fcn_demo")
    content = yaml.safe_load((Path(__file__).parents[2] / "benchmarks/protocols/fcn_demo.yaml").read_text())
    path = tmp_path / "fcn_demo.yaml"
    path.write_text(yaml.safe_dump(content | {"title": "Other words", "notes": ["more"], "seeds": [4]}))
    assert load_protocol(path).hash == protocol.hash
    path.write_text(yaml.safe_dump(content | {"version": 99}))
    assert load_protocol(path).hash != protocol.hash
    changed = load_protocol("fcn_demo", ["settings.iterations=3"])
    assert changed.hash != protocol.hash
    assert changed.settings.iterations == 3  # type: ignore[attr-defined]
    assert changed.overridden == ["settings.iterations=3"]
    assert load_protocol("fcn_demo", ["data.max_test_images=9"]).hash != protocol.hash


def test_an_override_that_repeats_the_file_changes_nothing() -> None:
    protocol = load_protocol("multilabel_knn")
    assert load_protocol("multilabel_knn", ["settings.image_size=128"]).hash == protocol.hash


def test_nested_toolbox_keys_are_merged() -> None:
    protocol = load_protocol("mask_rcnn_fpn_demo", ["settings.config.MODEL.ROI_BOX_HEAD.FC_DIM=32"])
    config = protocol.resolved["settings"]["config"]
    assert config["MODEL"]["ROI_BOX_HEAD"]["FC_DIM"] == 32
    assert config["MODEL"]["ROI_MASK_HEAD"]["NUM_CONV"] == 2


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("mask_rcn_fpn_demo", [], "did you mean 'mask_rcnn_fpn_demo'"),
        ("fcn_demo", ["settings.iteratoins=3"], "did you mean 'iterations'"),
        ("fcn_demo", ["settings.k=3"], "unknown key 'settings.k'"),
        ("fcn_demo", ["settings.iterations=many"], "iterations"),
        ("fcn_demo", ["settings.iterations=0"], "settings.iterations: 0 is not positive"),
        ("fcn_demo", ["settings.head=fnc"], "did you mean 'fcn'"),
        ("fcn_demo", ["settings.output_stride=4"], "output_stride"),
        ("fcn_demo", ["metrics=[mIOU]"], "did you mean 'mIoU'"),
        ("fcn_demo", ["task=detection"], "cannot be overridden"),
        ("fcn_demo", ["id=mine"], "cannot be overridden"),
        ("pspnet_demo", ["settings.batch_size=1"], "at least 2 images"),
        ("multilabel_knn", ["settings.probe=svm"], "settings.probe"),
        ("multilabel_knn", ["settings.knn.temperature=0"], "positive"),
        ("multilabel_linear", ["settings.linear.l2=[]"], "positive"),
        ("multilabel_linear", ["data.max_test_images=0"], "data.max_test_images"),
        ("mask_rcnn_fpn_demo", ["settings.max_side=10"], "settings.max_side"),
        ("mask_rcnn_fpn_demo", ["settings.optimiser=adam"], "did you mean 'adamw'"),
        ("no/such/file.yaml", [], "no such file"),
    ],
)
def test_mistakes_are_named(name: str, overrides: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        load_protocol(name, overrides)
    assert message in str(error.value)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("id: other\nversion: 1\ntask: classification\ntoolbox: scikit-learn\ntitle: t\n")
    with pytest.raises(UserError, match="must equal the file's name"):
        load_protocol(path)
    path.write_text("id: mine\nversion: 1\ntask: detecton\ntoolbox: detectron2\ntitle: t\n")
    with pytest.raises(UserError, match=r"mine\.yaml: task.*did you mean 'detection'"):
        load_protocol(path)
    path.write_text("id: mine\nversion: 1\ntask: detection\ntoolbox: mmsegmentation\ntitle: t\n")
    with pytest.raises(UserError, match="toolbox"):
        load_protocol(path)
    path.write_text("id: mine\nversion: 1\ntask: detection\ntoolbox: detectron2\ntitle: t\n")
    protocol = load_protocol(path)
    assert protocol.metrics[0] == "box_AP"  # none named: all of the task
    assert describe(protocol)["hash"] == protocol.hash


def test_published_values_are_typed(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    head = "id: mine\nversion: 1\ntask: detection\ntoolbox: detectron2\ntitle: t\npublished:\n"
    path.write_text(head + "  - {method: mls, metric: box_AP, value: 40.5, source: 'Table 1', tolerance: 0.3}\n")
    row = load_protocol(path).published[0]
    assert (row.method, row.value, row.tolerance) == ("mls", 40.5, 0.3)
