"""Every dense protocol from a backbone file to a record: scenes, photographs with boxes alone, official layouts, ViTs;
features are made once; what does not fit is told in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from miniatures import BUILDERS
from PIL import Image
from shapes_folder import write_shapes

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.preparing import prepare
from benchmarks.dense.maps import FrozenNetwork
from benchmarks.evaluation.cell import Cell
from benchmarks.evaluation.evaluate import evaluate
from benchmarks.protocols.protocol import DenseProtocol, list_protocols, load_protocol
from benchmarks.records.collect import collect
from benchmarks.report.suite_table import make_tables
from scenebench.cli import main
from transfer.backbone_file import BackboneInfo, load_network, save_backbone
from transfer.networks.network import build_network
from transfer.networks.vit_architecture import VitArchitecture

MINI = [
    "dense_knn", "dense_linear", "object_discovery",
    "region_knn", "region_linear", "region_linear_blanked", "region_linear_crop",
]  # fmt: skip
OFFICIAL = [
    "ade20k_dense_knn", "ade20k_dense_linear",
    "cityscapes_dense_knn", "cityscapes_dense_linear", "coco_object_discovery", "coco_region_knn",
    "coco_region_linear", "voc07_object_discovery", "voc12_dense_knn", "voc12_dense_linear", "voc12_object_discovery",
]  # fmt: skip


PHOTOS = ["dense_knn_photos_ade", "dense_knn_photos_voc", "dense_linear_photos_ade", "dense_linear_photos_voc"]
"""Run by test_photos_suite.py."""


def test_this_file_knows_every_protocol() -> None:
    named = [name for name in list_protocols() if isinstance(load_protocol(name), DenseProtocol)]
    assert sorted([*MINI, *OFFICIAL, *PHOTOS]) == named


@pytest.mark.parametrize("name", MINI)
def test_a_run_on_scenes(name: str, tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    protocol = load_protocol(name, ["settings.image_size=64"])
    record = evaluate(tiny_backbone, protocol, tiny_scenes.root, 0, tmp_path / "run")
    assert list(record.metrics) == protocol.metrics
    assert record.metrics[protocol.metrics[0]] is not None
    assert all(value is None or 0 <= value <= 100 for value in record.metrics.values())
    assert record.dataset.test_images == 8
    again = evaluate(tiny_backbone, protocol, tiny_scenes.root, 1, tmp_path / "again")
    assert again.metrics == record.metrics  # no randomness
    assert again.per_class == record.per_class


@pytest.mark.parametrize("name", MINI)
def test_a_run_of_a_vision_transformer(name: str, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    architecture = VitArchitecture(width=32, depth=2, heads=4, patch=8, image_size=32)
    torch.manual_seed(0)
    path = tmp_path / "vit.safetensors"
    save_backbone(path, build_network(architecture).state_dict(), BackboneInfo(architecture, method="random"))
    protocol = load_protocol(name, ["settings.image_size=64"])
    record = evaluate(path, protocol, tiny_scenes.root, 0, tmp_path / "run")
    assert record.metrics[protocol.metrics[0]] is not None


def test_layer_and_stride_are_keys(tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    """At stride 16 layer3 is the network's own; at 8 both layers are dilated: other maps, other numbers."""
    measured = {}
    for overrides in (
        [],
        ["settings.layer=layer4"],
        ["settings.stride=8"],
        ["settings.stride=8", "settings.layer=layer4"],
    ):
        protocol = load_protocol("region_linear", ["settings.image_size=64", *overrides])
        record = evaluate(tiny_backbone, protocol, tiny_scenes.root, 0, tmp_path / str(len(measured)))
        measured[protocol.hash] = (record.metrics["object_acc"], str(record.per_class))
    assert len(measured) == 4
    assert len(set(measured.values())) > 1
    info, network = load_network(tiny_backbone)
    cell = Cell(tiny_backbone, info, load_protocol("region_knn", ["settings.image_size=64"]), tiny_scenes, 0, tmp_path)
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    own = network.eval().stage_features(info.preprocessing.normalise(pixels))["layer3"]
    frozen = FrozenNetwork.of(cell).maps(pixels)
    assert torch.equal(frozen["layer3"], own.detach())
    assert frozen["layer4"].shape[2:] == own.shape[2:] == (4, 4)


def test_photographs_with_boxes_alone(tiny_backbone: Path, tiny_photos: DatasetFolder, tmp_path: Path) -> None:
    """Images of several sizes, a gap in the ids, a crowd, an image without objects, no validation split, no maps."""
    root = tmp_path / "photos"
    shutil.copytree(tiny_photos.root, root)
    shutil.rmtree(root / "semantic")
    for split in ("train", "test"):
        path = root / f"annotations/instances_{split}.json"
        content = json.loads(path.read_text())
        for annotation in content["annotations"]:
            annotation.pop("segmentation")
        path.write_text(json.dumps(content))
    records = {}
    for name in ("region_knn", "region_linear", "object_discovery"):
        protocol = load_protocol(name, ["settings.image_size=64"])
        records[name] = evaluate(tiny_backbone, protocol, root, 0, tmp_path / name)
        assert records[name].metrics[protocol.metrics[0]] is not None
    content = json.loads((root / "annotations/instances_test.json").read_text())
    objects = sum(not annotation["iscrowd"] for annotation in content["annotations"])
    assert records["region_knn"].judged.instances == records["object_discovery"].judged.instances == objects
    assert any("no split 'val': L2 fixed" in note for note in records["region_linear"].notes)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("official")
    for name in ("ade20k", "coco2017", "voc2007", "voc2012", "voc2012aug", "cityscapes"):
        BUILDERS[name](root / name)
    for name in ("ade20k", "voc2012aug", "cityscapes"):
        prepare(name, root / name, partial=True)
    return root


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_run_on_an_official_layout(name: str, official: Path, tiny_backbone: Path, tmp_path: Path) -> None:
    protocol = load_protocol(name, size="demo")
    data = official / protocol.data.dataset
    record = evaluate(tiny_backbone, protocol, data, 0, tmp_path / "run", size="demo")
    assert record.metrics[protocol.metrics[0]] is not None
    assert record.dataset.name == protocol.data.dataset
    assert load_protocol(name).data.classes in (19, 20, 80, 150)


def test_one_pass_serves_every_probe(
    tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    maps = FrozenNetwork.maps

    def counted(self: FrozenNetwork, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        shown.append(len(pixels))
        return maps(self, pixels)

    monkeypatch.setattr(FrozenNetwork, "maps", counted)
    for name in ("region_knn", "region_linear", "dense_linear", "dense_knn", "object_discovery"):
        protocol = load_protocol(name, ["settings.image_size=64"])
        evaluate(tiny_backbone, protocol, tiny_scenes.root, 0, tmp_path / name)
    assert sum(shown) == 28 + 4 + 8  # each image once


def test_numbers_are_the_same_where_nothing_is_kept(
    tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = load_protocol("dense_linear", ["settings.image_size=64"])
    kept = evaluate(tiny_backbone, protocol, tiny_scenes.root, 0, tmp_path / "kept")
    monkeypatch.setattr("benchmarks.frozen.map_store.FILE_BYTES", 1000)
    streamed = evaluate(tiny_backbone, protocol, tiny_scenes.root, 0, tmp_path / "streamed")
    assert streamed.metrics == kept.metrics


def test_tables_hold_the_probes_with_their_references(
    tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    for name in ("region_knn", "region_linear", "dense_knn", "object_discovery"):
        protocol = load_protocol(name, ["settings.image_size=64"])
        evaluate(tiny_backbone, protocol, tiny_scenes.root, 0, tmp_path / name)
        for reference in protocol.references:
            evaluate(f"reference:{reference}", protocol, tiny_scenes.root, 0, tmp_path / f"{name}-{reference}")
    tables = {table.kind.name: table for table in make_tables(collect(tmp_path))}
    assert list(tables) == ["objects_in_boxes", "frozen_segmentation", "object_discovery"]
    objects = tables["objects_in_boxes"]
    assert {row.label for row in objects.rows} == {"random test", "random_test", "box shape", "colour histogram"} & {
        row.label for row in objects.rows
    }
    assert len(objects.rows) == 3
    assert [column.metric for column in objects.columns if column.is_main] == ["object_acc", "object_acc"]


@pytest.mark.parametrize("reference", ["reference:box_shape", "reference:colour_histogram"])
def test_dense_probes_refuse_references(
    reference: str, tiny_scenes: DatasetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, reference, "dense_knn", tiny_scenes.root, tmp_path) == (
        f"{reference}: no backbone, so protocol 'dense_knn' (dense) cannot evaluate it"
    )


def test_what_does_not_fit_is_told_in_one_line(
    tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backbone = str(tiny_backbone)
    assert "settings.image_size: 72 pixels do not divide into the stride of 16" in told(
        capsys, backbone, "region_knn", tiny_scenes.root, tmp_path, "settings.image_size=72"
    )
    assert "settings.image_size: 8 pixels do not divide into the stride of 16" in told(
        capsys, backbone, "dense_knn", tiny_scenes.root, tmp_path, "settings.image_size=8"
    )
    architecture = VitArchitecture(width=32, depth=1, heads=4, patch=8, image_size=32)
    save_backbone(tmp_path / "v", build_network(architecture).state_dict(), BackboneInfo(architecture, method="random"))
    assert "do not divide into the patch of 8" in told(
        capsys, str(tmp_path / "v"), "object_discovery", tiny_scenes.root, tmp_path, "settings.image_size=60"
    )
    assert "settings.patches: the probe 'region_knn' does not read this section" in told(
        capsys, backbone, "region_knn", tiny_scenes.root, tmp_path, "settings.patches.max_patches=10"
    )
    assert "unknown value 'layer2'" in told(
        capsys, backbone, "region_knn", tiny_scenes.root, tmp_path, "settings.layer=layer2"
    )


def test_boxes_without_objects_and_maps_that_do_not_fit(
    tiny_backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_shapes(tmp_path / "data", {"train": 4, "val": 2, "test": 4})
    path = data.root / "annotations/instances_test.json"
    content = json.loads(path.read_text())

    def region(**changes: object) -> str:
        path.write_text(json.dumps({**content, **changes}))
        return told(capsys, str(tiny_backbone), "region_knn", data.root, tmp_path)

    crowds = [{**annotation, "iscrowd": 1} for annotation in content["annotations"]]
    assert "no image of split 'test' has a box" in region(annotations=[])
    assert "split 'test': holds no object but crowds" in region(annotations=crowds)
    one = [{**annotation, "category_id": 2} for annotation in content["annotations"]]
    assert "all objects are of one category, 'green'" in region(annotations=one)
    assert "instances_test.json: lacks or mistypes 9" in region(
        annotations=[{**content["annotations"][0], "category_id": 9}]
    )
    path.write_text(json.dumps({**content, "annotations": crowds}))
    assert "holds an object but crowds" in told(capsys, str(tiny_backbone), "object_discovery", data.root, tmp_path)

    first = data.semantic("test")[0]
    whole = first.read_bytes()
    Image.new("L", (64, 32)).save(first)
    assert "64 x 32 pixels, and its image shapes_000.jpg has 64 x 64" in told(
        capsys, str(tiny_backbone), "dense_knn", data.root, tmp_path
    )
    Image.new("L", (64, 64), 77).save(first)
    assert "holds label 77; the 4 classes are 0-3" in told(capsys, str(tiny_backbone), "dense_knn", data.root, tmp_path)
    first.write_bytes(whole[:40])
    assert "cannot be decoded" in told(capsys, str(tiny_backbone), "dense_knn", data.root, tmp_path)
    for map_ in data.semantic("train"):
        Image.new("L", (64, 64), 255).save(map_)
    assert "hold fewer than two classes" in told(capsys, str(tiny_backbone), "dense_linear", data.root, tmp_path)


def told(
    capsys: pytest.CaptureFixture[str], backbone: str, name: str, data: Path, tmp_path: Path, *overrides: str
) -> str:
    """The one line that the command says; it ends with 2 and writes no record."""
    out = tmp_path / "refused"
    shutil.rmtree(out, ignore_errors=True)
    size = [] if any("image_size" in one for one in overrides) else ["settings.image_size=64"]
    arguments = ["evaluate", backbone, "--protocol", name, "--data", str(data), "--out", str(out), *overrides, *size]
    capsys.readouterr()
    code = main(arguments)
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1), error
    assert not (out / "record.json").exists()
    return error.removeprefix("scenebench: ").strip()
