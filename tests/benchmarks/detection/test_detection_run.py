import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.detection.data import registered
from benchmarks.detection.optimiser import build_optimiser
from benchmarks.detection.run import run
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.protocols.detection import DetectionSettings
from benchmarks.protocols.protocol import load_protocol
from scenebench.errors import UserError
from transfer.backbone_file import load_backbone, read_info, save_backbone
from transfer.exporters.silenced_logs import quiet_detectron2

SMALL = (
    "settings.iterations=2",
    "settings.batch_size=2",
    "settings.short_side=64",
    "settings.max_side=96",
    "settings.config.MODEL.FPN.OUT_CHANNELS=16",
    "settings.config.MODEL.ROI_BOX_HEAD.FC_DIM=16",
    "settings.config.MODEL.ROI_MASK_HEAD.CONV_DIM=16",
    "settings.config.MODEL.ROI_HEADS.SCORE_THRESH_TEST=0.0",
    "data.max_test_images=4",
    "data.merge_categories=false",
)


def judge(backbone: Path, data: DatasetFolder, out: Path, seed: int = 0, *overrides: str) -> Outcome:
    out.mkdir(parents=True)
    protocol = load_protocol("mask_rcnn_fpn_demo", [*SMALL, *overrides])
    return run(Cell(backbone, read_info(backbone), protocol, data, seed, out))


def _losses(out: Path) -> list[float]:
    rows = [json.loads(line) for line in (out / "toolbox/metrics.json").read_text().splitlines()]
    return [row["total_loss"] for row in rows if "total_loss" in row]


def test_equal_seeds_give_equal_bits(tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    first = judge(tiny_backbone, tiny_scenes, tmp_path / "first", 1)
    second = judge(tiny_backbone, tiny_scenes, tmp_path / "second", 1)
    other = judge(tiny_backbone, tiny_scenes, tmp_path / "other", 2)
    assert first == second
    losses = [_losses(tmp_path / name) for name in ("first", "second", "other")]
    assert losses[0]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]
    assert first.metrics.keys() == {"box_AP", "box_AP50", "box_AP75", "mask_AP", "mask_AP50", "mask_AP75"}
    assert all(value is not None for value in first.metrics.values())
    assert (first.train_images, first.test_images) == (28, 4)
    assert other.test_images == 4


def test_what_is_left_beside_the_record(
    tiny_backbone: Path, tiny_photos: DatasetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """User data: polygons, a crowd, gappy ids, an image without objects, images of three sizes."""
    outcome = judge(tiny_backbone, tiny_photos, tmp_path / "run")
    assert outcome.train_images == 8
    assert set(outcome.per_class) == {"nut", "fig"}
    with Image.open(tmp_path / "run/predictions.png") as sheet:
        assert sheet.size[0] > 1000
        assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 500
    report = json.loads((tmp_path / "run/transfer.json").read_text())
    assert sum(report["tensors"].values()) == len(load_backbone(tiny_backbone)[1])
    written = (tmp_path / "run/toolbox/config.yaml").read_text()
    assert "FORMAT: RGB" in written
    assert "Start inference on 4" in (tmp_path / "run/toolbox/log.txt").read_text()
    assert capsys.readouterr().out == ""


def test_data_sets_are_registered_for_the_block_only(tiny_photos: DatasetFolder, tmp_path: Path) -> None:
    quiet_detectron2()
    from detectron2.data import DatasetCatalog, MetadataCatalog

    before = set(DatasetCatalog.list())
    with (
        registered(tiny_photos, "train", 5, tmp_path / "first") as first,
        registered(tiny_photos, "train", None, tmp_path / "all") as all_,
    ):
        assert first.name != all_.name
        assert (first.images, all_.images) == (5, 8)
        assert len(DatasetCatalog.get(first.name)) == 5
        assert MetadataCatalog.get(first.name).thing_classes == ["nut", "fig"]  # by id, as in the data set
        assert all_.without_mask == 0
        content = json.loads(all_.json_file.read_text())
        assert [a["id"] for a in content["annotations"]] == list(range(1, len(content["annotations"]) + 1))
        crowds = sum(a["iscrowd"] for a in content["annotations"])
        assert crowds == 1
        assert sum(all_.objects) == len(content["annotations"]) - crowds
    assert set(DatasetCatalog.list()) == before


def test_categories_merged(tiny_backbone: Path, tiny_photos: DatasetFolder, tmp_path: Path) -> None:
    outcome = judge(tiny_backbone, tiny_photos, tmp_path / "run", 0, "data.merge_categories=true")
    assert set(outcome.per_class) == {"object"}
    assert outcome.per_class["object"]["box_AP"] == outcome.metrics["box_AP"]
    assert any("the 2 categories count as one" in note for note in outcome.notes)
    with (
        registered(tiny_photos, "test", None, tmp_path / "apart") as apart,
        registered(tiny_photos, "test", None, tmp_path / "merged", merge=True) as together,
    ):
        assert together.objects == [sum(apart.objects)]


def test_perfect_predictions_score_100(tiny_photos: DatasetFolder, tmp_path: Path) -> None:
    """The annotations that are handed to COCO's evaluation are those of the images, ids, crowds and all."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with registered(tiny_photos, "test", None, tmp_path) as test:
        truth = COCO(str(test.json_file))
        found = [
            {"image_id": a["image_id"], "category_id": a["category_id"], "score": 0.9, "bbox": a["bbox"]}
            for a in truth.dataset["annotations"]
            if not a["iscrowd"]
        ]
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        assert evaluation.stats[0] == pytest.approx(1.0)


def test_objects_without_masks_train_boxes_only(
    tiny_backbone: Path, tiny_photos: DatasetFolder, tmp_path: Path
) -> None:
    shutil.copytree(tiny_photos.root, tmp_path / "boxes")
    for path in (tmp_path / "boxes/annotations").iterdir():
        content = json.loads(path.read_text())
        for annotation in content["annotations"]:
            del annotation["segmentation"]
        path.write_text(json.dumps(content))
    outcome = judge(tiny_backbone, DatasetFolder.open(tmp_path / "boxes"), tmp_path / "run")
    assert outcome.metrics["box_AP"] is not None
    assert outcome.metrics["mask_AP"] is None
    assert any("boxes only" in note for note in outcome.notes)


def test_bad_data_and_bad_weights_are_named(tiny_backbone: Path, tiny_photos: DatasetFolder, tmp_path: Path) -> None:
    shutil.copytree(tiny_photos.root, tmp_path / "data")
    data = DatasetFolder.open(tmp_path / "data")
    path = data.images("test")[0]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=f"{path.name}: cannot be decoded"):
        judge(tiny_backbone, data, tmp_path / "a", 0, "data.max_test_images=6")
    path.write_bytes(content)
    annotations = data.annotations("train")
    annotations.write_text(json.dumps(json.loads(annotations.read_text()) | {"annotations": []}))
    with pytest.raises(UserError, match="holds no object"):
        judge(tiny_backbone, data, tmp_path / "b")


def test_run_lengths_are_no_polygons(
    tiny_backbone: Path, tiny_scenes: DatasetFolder, tiny_photos: DatasetFolder, tmp_path: Path
) -> None:
    """Scenes have run lengths; the photographs' only ones are of a crowd, which is not trained on."""
    with pytest.raises(UserError, match=r"^settings\.mask_format: [^\n]*instances_train\.json[^\n]*=bitmask$"):
        judge(tiny_backbone, tiny_scenes, tmp_path / "a", 0, "settings.mask_format=polygon")
    outcome = judge(tiny_backbone, tiny_photos, tmp_path / "b", 0, "settings.mask_format=polygon")
    assert outcome.metrics["mask_AP"] is not None


def test_the_faster_evaluation_is_said_in_the_record(
    tiny_backbone: Path, tiny_photos: DatasetFolder, tmp_path: Path
) -> None:
    plain = judge(tiny_backbone, tiny_photos, tmp_path / "plain")
    fast = judge(tiny_backbone, tiny_photos, tmp_path / "fast", 0, "settings.evaluator=faster_coco_eval")
    assert fast.metrics == pytest.approx(plain.metrics, abs=1e-8)
    assert [note for note in fast.notes if note not in plain.notes] == [
        "COCO's numbers by faster-coco-eval (those of pycocotools, sooner)"
    ]


def test_divergence_is_an_error_and_no_result(tiny_backbone: Path, tiny_photos: DatasetFolder, tmp_path: Path) -> None:
    info, tensors = load_backbone(tiny_backbone)
    huge = tmp_path / "huge.safetensors"
    save_backbone(huge, tensors, info)
    with pytest.raises(UserError, match=r"lower settings\.learning_rate"):
        judge(
            huge,
            tiny_photos,
            tmp_path / "run",
            0,
            "settings.learning_rate=1e25",
            "settings.iterations=4",
            "settings.warmup_iterations=0",
            "settings.clip_norm=0",
            "settings.optimiser=sgd",
        )


def test_gradients_are_clipped_together() -> None:
    quiet_detectron2()
    from detectron2.config import get_cfg

    cfg = get_cfg()
    cfg.SOLVER.BASE_LR, cfg.SOLVER.MOMENTUM, cfg.SOLVER.WEIGHT_DECAY = 1.0, 0.0, 0.0
    cfg.SOLVER.WEIGHT_DECAY_NORM = 0.0
    model = torch.nn.Linear(1, 1)
    start = [parameter.detach().clone() for parameter in model.parameters()]
    for parameter, slope in zip(model.parameters(), (3.0, 4.0), strict=True):
        parameter.grad = torch.full_like(parameter, slope)
    build_optimiser(cfg, model, DetectionSettings(optimiser="sgd", clip_norm=1.0)).step()
    moved = [float((old - new).detach().sum()) for old, new in zip(start, model.parameters(), strict=True)]
    assert moved == pytest.approx([0.6, 0.8], abs=1e-4)
    assert type(build_optimiser(cfg, model, DetectionSettings())).__name__ == "AdamW"
