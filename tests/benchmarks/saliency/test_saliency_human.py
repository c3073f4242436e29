"""The protocol saliency_human: maps of backbones and its controls from a folder to a record, and bad folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from miniatures import build_salient_objects
from PIL import Image

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.evaluation.evaluate import evaluate
from benchmarks.evaluation.inputs import read_square
from benchmarks.protocols.protocol import load_protocol
from benchmarks.saliency.maps import backbone_maps
from benchmarks.suites.source import scenes_source
from benchmarks.suites.suite import load_suite
from benchmarks.workflow.plan_from_suite import build_plan
from pretrain import saliency
from scenebench.cli import main
from scenebench.salient_quality import salient_quality
from transfer.backbone_file import BackboneInfo, load_network, save_backbone
from transfer.networks.network import build_network
from transfer.networks.vit_architecture import VitArchitecture

METRICS = ("max_F", "AUC", "MAE")


@pytest.fixture(scope="module")
def salient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_salient_objects(tmp_path_factory.mktemp("salient") / "data", count=10)


def masks_of(root: Path) -> list[torch.Tensor]:
    return [torch.from_numpy(np.asarray(Image.open(path)) > 128) for path in sorted((root / "masks").iterdir())]


def test_a_backbones_maps_are_judged_beside_every_control(salient: Path, tiny_backbone: Path, tmp_path: Path) -> None:
    protocol = load_protocol("saliency_human", ["settings.image_size=64", "settings.batch_size=4"])
    record = evaluate(tiny_backbone, protocol, salient, 0, tmp_path / "run")
    info, network = load_network(tiny_backbone)
    paths = sorted((salient / "images").iterdir())
    pixels = torch.stack([torch.from_numpy(read_square(path, 64).copy()) for path in paths])
    with torch.no_grad():
        features = network.eval().feature_map(info.preprocessing.normalise(pixels))
    maps = saliency.activation_maps(features)
    expected = salient_quality(list(maps), masks_of(salient))
    assert [record.metrics[name] for name in METRICS] == pytest.approx(
        [100 * expected.max_f, 100 * expected.auc, 100 * expected.mae], abs=0.05
    )
    assert record.dataset.test_images == 10
    assert record.dataset.train_images == 0
    assert list(record.per_class) == [
        "activation", "contracam", "another image's map", "masks in the map's cells",
        "centre prior", "uniform maps", "labels known",
    ]  # fmt: skip
    assert record.per_class["activation"] == {name: record.metrics[name] for name in METRICS}
    assert record.per_class["another image's map"]["AUC"] == record.metrics["AUC_shuffled"]
    assert record.per_class["labels known"] == {"max_F": 100.0, "AUC": 100.0, "MAE": 0.0}
    assert record.per_class["uniform maps"]["AUC"] == 50.0
    assert "activation maps of 2 x 2 cells" in record.notes


def test_sources_and_stages_are_keys(salient: Path, tiny_backbone: Path, tmp_path: Path) -> None:
    size = ["settings.image_size=64"]
    cam = evaluate(
        tiny_backbone,
        load_protocol("saliency_human", [*size, "settings.source=contracam"]),
        salient,
        0,
        tmp_path / "cam",
    )
    assert cam.per_class["contracam"]["max_F"] == cam.metrics["max_F"] != cam.per_class["activation"]["max_F"]
    layer3 = load_protocol("saliency_human", [*size, "settings.feature=layer3"])
    assert "activation maps of 4 x 4 cells" in evaluate(tiny_backbone, layer3, salient, 0, tmp_path / "l3").notes
    info, network = load_network(tiny_backbone)
    paths = sorted((salient / "images").iterdir())
    one, few = (
        backbone_maps(network, info.preprocessing, paths, load_protocol("saliency_human", [*size, batch]).settings)
        for batch in ("settings.batch_size=3", "settings.batch_size=64")
    )
    for source in ("activation", "contracam"):
        torch.testing.assert_close(one[source], few[source], atol=2e-3, rtol=1e-3)


def test_a_vision_transformer_has_its_attention(salient: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    architecture = VitArchitecture(width=32, depth=2, heads=4, patch=8, image_size=32)
    torch.manual_seed(0)
    path = tmp_path / "vit.safetensors"
    save_backbone(path, build_network(architecture).state_dict(), BackboneInfo(architecture, method="random"))
    record = evaluate(path, load_protocol("saliency_human", ["settings.image_size=32"]), salient, 0, tmp_path / "run")
    assert "attention maps of 4 x 4 cells" in record.notes
    assert "activation" not in record.per_class
    common = [str(path), "--protocol", "saliency_human", "--data", str(salient), "settings.image_size=32"]
    for override, message in (
        ("settings.source=activation", "settings.source: activation maps cannot be made of a vit_"),
        ("settings.feature=layer3", "has no layer3; leave it at layer4"),
    ):
        assert main(["evaluate", *common, override, "--out", str(tmp_path / override)]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("labels_known", (100.0, 100.0, 0.0)), ("uniform_maps", (None, 50.0, None)), ("centre_prior", (None, None, None))],
)
def test_references_are_rows_of_their_own(
    reference: str, expected: tuple[float | None, ...], salient: Path, tmp_path: Path
) -> None:
    record = evaluate(f"reference:{reference}", load_protocol("saliency_human"), salient, 0, tmp_path / "run")
    for name, value in zip(METRICS, expected, strict=True):
        found = record.metrics[name]
        assert found is not None
        assert 0 <= found <= 100
        assert value is None or found == pytest.approx(value)
        assert record.metrics[f"{name}_shuffled"] is None
    assert record.backbone.origin == "reference"


def test_a_map_that_knows_beats_the_centre_prior(salient: Path, tmp_path: Path) -> None:
    """What is salient is brighter in these pictures, and lies up and left of the middle."""
    masks = masks_of(salient)
    bright = [
        torch.from_numpy(np.asarray(Image.open(path).convert("L").resize((8, 8)), dtype=np.float32))
        for path in sorted((salient / "images").iterdir())
    ]
    centre = evaluate("reference:centre_prior", load_protocol("saliency_human"), salient, 0, tmp_path / "run")
    assert 100 * salient_quality(bright, masks).auc > (centre.metrics["AUC"] or 0) + 5


def _remove(root: Path) -> None:
    (root / "masks/003.png").unlink()


def _resize(root: Path) -> None:
    Image.open(root / "masks/003.png").resize((20, 16)).save(root / "masks/003.png")


def _empty(root: Path) -> None:
    Image.new("L", Image.open(root / "masks/003.png").size, 128).save(root / "masks/003.png")


def _full(root: Path) -> None:
    Image.new("L", Image.open(root / "masks/003.png").size, 255).save(root / "masks/003.png")


def _colour(root: Path) -> None:
    Image.open(root / "masks/003.png").convert("RGB").save(root / "masks/003.png")


def _break(root: Path) -> None:
    (root / "masks/003.png").write_bytes(b"no picture")


def _stray(root: Path) -> None:
    shutil.copy(root / "masks/003.png", root / "masks/999.png")


def _no_masks(root: Path) -> None:
    shutil.rmtree(root / "masks")


def _no_pictures(root: Path) -> None:
    shutil.rmtree(root / "images")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_remove, "images/003.jpg: has no mask; add masks/003.png"),
        (_resize, "masks/003.png: a mask of 20x16 pixels, its picture has 32x40"),
        (_empty, "masks/003.png: no pixel is salient (above 128)"),
        (_full, "masks/003.png: every pixel is salient"),
        (_colour, "masks/003.png: a mask in mode RGB; 8-bit grey (L) is expected"),
        (_break, "masks/003.png: cannot be decoded"),
        (_stray, "masks/999.png: is the mask of no picture"),
        (_no_masks, "not laid out as salient_objects: expected masks/"),
        (_no_pictures, "images: no such folder; the pictures of masks/ belong there"),
    ],
)
def test_a_bad_folder_is_one_line(
    damage: object, message: str, salient: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    root = shutil.copytree(salient, tmp_path / "data")
    damage(root)  # type: ignore[operator]
    command = ["evaluate", "reference:labels_known", "--protocol", "saliency_human", "--data", str(root)]
    assert main([*command, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run/record.json").exists()


def test_other_data_and_other_tasks_references_are_refused(
    tiny_scenes: DatasetFolder, salient: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    common = ["--out", str(tmp_path / "run")]
    labels = ["evaluate", "reference:labels_known"]
    assert main([*labels, "--protocol", "saliency_human", "--data", str(tiny_scenes.root), *common]) == 2
    assert "not laid out as salient_objects" in capsys.readouterr().err
    assert main([*labels, "--protocol", "multilabel_knn", "--data", str(tiny_scenes.root), *common]) == 2
    assert "its references are reference:scene_type_oracle or reference:colour_histogram" in capsys.readouterr().err
    assert main(["evaluate", "reference:colour_histogram", "--protocol", "saliency_human", "--data", str(salient),
                 *common]) == 2  # fmt: skip
    assert "its references are reference:centre_prior" in capsys.readouterr().err


def test_a_suite_has_the_controls_without_being_asked(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "data: {images: 12, size: 32, seed: 1}\n"
        "backbones: [{label: random, recipe: random_demo}]\n"
        "protocols: [{protocol: multilabel_knn}, {protocol: saliency_human}]\n"
        "references: [colour_histogram]\n"
    )
    suite = load_suite(tmp_path / "mine.yaml")
    plan = build_plan(suite, scenes_source(suite.data))
    assert plan.rows == ["random", "colour-histogram probe", "centre prior", "uniform maps", "labels known"]
    judged = {(job.cell["label"], job.cell["protocol"]) for job in plan.jobs if job.kind == "evaluate"}
    assert judged == {
        ("random", "multilabel_knn"),
        ("random", "saliency_human"),
        ("colour-histogram probe", "multilabel_knn"),
        *((label, "saliency_human") for label in ("centre prior", "uniform maps", "labels known")),
    }


def test_larger_folders_are_judged_on_a_fixed_choice(salient: Path, tmp_path: Path) -> None:
    protocol = load_protocol("saliency_human", ["data.max_test_images=4"])
    record = evaluate("reference:centre_prior", protocol, salient, 0, tmp_path / "run")
    assert record.judged.images == 4
    assert "4 of the 10 images of split 'test' (a fixed choice)" in record.notes
    assert load_protocol("saliency_human").data.max_test_images == 600
