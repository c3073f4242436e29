from pathlib import Path

import pytest
import yaml

from benchmarks.protocols.protocol import (
    PROTOCOLS,
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
        ("multilabel_knn", ["settings.probe=forest"], "settings.probe"),
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


HEAD = "id: mine\nversion: 1\ntask: detection\ntoolbox: detectron2\ntitle: t\n"


def test_published_rows_ambiguities_and_runs(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    more = "published:\n  - {table: table1, tolerance: 0.3}\nambiguities: [which head]\nseeds: [0, 1, 2]\n"
    path.write_text(HEAD + more)
    protocol = load_protocol(path)
    assert (protocol.published[0].table, protocol.published[0].tolerance) == ("table1", 0.3)
    assert (protocol.ambiguities, protocol.seeds) == (["which head"], [0, 1, 2])
    path.write_text(HEAD)
    assert load_protocol(path).hash == protocol.hash


def test_a_size_is_values(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    demo = "sizes:\n  demo:\n    data: {max_test_images: 3}\n    settings: {iterations: 2, short_side: 64}\n"
    path.write_text(HEAD + "settings: {iterations: 90, batch_size: 3}\n" + demo)
    paper, small = load_protocol(path), load_protocol(path, size="demo")
    assert paper.settings.iterations == 90  # type: ignore[attr-defined]
    assert (small.settings.iterations, small.settings.batch_size) == (2, 3)  # type: ignore[attr-defined]
    assert small.data.max_test_images == 3
    assert small.overridden == ["size=demo"]
    assert small.hash != paper.hash
    again = load_protocol(path, ["settings.iterations=5"], "demo")
    assert again.settings.iterations == 5  # type: ignore[attr-defined]
    assert again.overridden == ["size=demo", "settings.iterations=5"]
    assert load_protocol(path, size="mini").hash == paper.hash  # no such section: the file is of that size
    path.write_text(HEAD + "sizes: {demo: {version: 2}}\n")
    with pytest.raises(UserError, match=r"sizes\.demo: a section of backbone, data, settings"):
        load_protocol(path, size="demo")
    path.write_text(HEAD + "sizes: {demo: {settings: {iteratoins: 2}}}\n")
    with pytest.raises(UserError, match="did you mean 'iterations'"):
        load_protocol(path, size="demo")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fcn_demo", "5d7f71e1f4d323f4"),
        ("pspnet_demo", "5f6d62f97e779f71"),
        ("mask_rcnn_fpn_demo", "1ba58d4e47a615b6"),
        ("multilabel_knn", "3cdcf7bb0dae9513"),
        ("multilabel_linear", "09c1f8003d592790"),
    ],
)
def test_keys_that_came_later_leave_the_older_hashes(name: str, expected: str) -> None:
    """Records of these hashes exist; a key at the value that they were measured with says nothing new."""
    assert load_protocol(name).hash == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("title:", "title: {a: b}\nx:", "'title' is one value, found a section of keys"),
        ("notes:\n", "notes:\n  - Layer: left open\n", "'notes[0]' is one value, found a section of keys"),
        ("metrics: [", "metrics: [{a: b}, ", "'metrics[0]' is one value"),
        ("  head: fcn", "  head: [fcn]", "'settings.head' is one value, found a list"),
        ("seeds: [0]", "seeds: 0", "'seeds' is a list, found 0"),
    ],
)
def test_text_that_yaml_reads_as_something_else(tmp_path: Path, before: str, after: str, expected: str) -> None:
    text = (PROTOCOLS / "fcn_demo.yaml").read_text()
    assert before in text
    (tmp_path / "fcn_demo.yaml").write_text(text.replace(before, after, 1).replace("\nx: FCN (demo)", ""))
    with pytest.raises(UserError) as caught:
        load_protocol(tmp_path / "fcn_demo.yaml")
    assert str(caught.value).startswith(f"fcn_demo.yaml: {expected}")
    assert "\n" not in str(caught.value)


def test_a_later_key_with_another_value_counts() -> None:
    before = load_protocol("fcn_demo")
    assert "crop_width" not in before.resolved["settings"]
    after = load_protocol("fcn_demo", ["settings.crop_width=96"])
    assert after.resolved["settings"]["crop_width"] == 96
    assert after.hash != before.hash
