"""Fine-tuning on a share of the labels: which images have them, and that both protocols run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.classification.run import run
from benchmarks.classification.splits import train_images
from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.prepare_coco import CocoSpec, prepare_coco
from benchmarks.evaluation.cell import Cell
from benchmarks.protocols.protocol import load_protocol
from benchmarks.suites.source import scenes_source
from benchmarks.suites.suite import load_suite
from benchmarks.workflow.plan_from_suite import build_plan
from scenebench.errors import UserError
from transfer.backbone_file import read_info

PROTOCOLS = ["multilabel_finetune_1pct", "multilabel_finetune_10pct"]
SMALL = ["settings.views.size=32", "settings.train.epochs=2", "settings.train.batch_size=4"]


def cell(backbone: Path, data: DatasetFolder, out: Path, seed: int, *overrides: str, name: str = PROTOCOLS[1]) -> Cell:
    return Cell(backbone, read_info(backbone), load_protocol(name, [*SMALL, *overrides]), data, seed, out)


def test_the_draw_depends_on_the_seed_alone(tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    half = "settings.train_share=0.5"
    every = train_images(cell(tiny_backbone, tiny_scenes, tmp_path, 0, "settings.train_share=0"))
    draws = [train_images(cell(tiny_backbone, tiny_scenes, tmp_path, seed, half)) for seed in (0, 0, 1)]
    assert draws[0].paths == draws[1].paths != draws[2].paths
    other = train_images(cell(tiny_backbone, tiny_scenes, tmp_path, 0, half, "settings.train.learning_rates=[1]"))
    assert other.paths == draws[0].paths
    for drawn in draws:
        assert len(drawn) == round(len(every) / 2)
        for path, labels in zip(drawn.paths, drawn.labels, strict=True):
            assert np.array_equal(labels, every.labels[every.paths.index(path)])
    assert (
        f"{len(draws[2])} of the {len(every)} images of split 'train' have labels (drawn by seed 1)" in draws[2].notes
    )


@pytest.mark.parametrize("name", PROTOCOLS)
def test_boxes_without_masks_will_do(
    name: str, tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    """As photographs have them: the labels are the categories of the boxes."""
    paths = []
    for split in ("train", "test"):
        content = json.loads(tiny_scenes.annotations(split).read_text())
        for annotation in content["annotations"]:
            del annotation["segmentation"]
        paths.append(tmp_path / f"{split}.json")
        paths[-1].write_text(json.dumps(content))
    images = [str(tiny_scenes.root / "images" / split) for split in ("train", "test")]
    spec = CocoSpec(images[0], str(paths[0]), test_images=images[1], test_annotations=str(paths[1]), name="boxes")
    boxes = prepare_coco(tmp_path / "boxes", spec, report=lambda line: None)
    outcome = run(cell(tiny_backbone, boxes, tmp_path, 0, "settings.train_share=0.3", name=name))
    assert outcome.metrics["mAP"] is not None
    kept = [len(boxes.images(split)) for split in ("train", "test")]
    assert (outcome.train_images, outcome.test_images) == (round(0.3 * kept[0]), kept[1])


@pytest.mark.parametrize("name", PROTOCOLS)
def test_both_run(name: str, tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    judged = cell(tiny_backbone, tiny_scenes, tmp_path, 0, "settings.train_share=0.3", name=name)
    outcome = run(judged)
    assert outcome.metrics["mAP"] is not None
    assert outcome.train_images == round(0.3 * len(tiny_scenes.images("train")))
    assert any("have labels" in note for note in outcome.notes)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["settings.train_share=1"], r"settings\.train_share: 1 is not in \[0, 1\)"),
        (["settings.probe=knn", "settings.train_share=0.1"], r"settings\.train_share: .*low_shot\.share"),
        (["settings.train_list=lists/some.tsv"], r"settings\.train_share: goes without settings\.train_list"),
    ],
)
def test_what_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_protocol(PROTOCOLS[0], overrides)


def test_nothing_is_fine_tuned_of_a_reference() -> None:
    suite = load_suite("saliency_claim")
    plan = build_plan(suite, scenes_source(suite.data))
    judged = [" ".join(job.command) for job in plan.jobs if job.kind == "evaluate"]
    references = [command for command in judged if "reference:" in command]
    assert any("multilabel_linear" in command for command in references)
    assert not any("finetune" in command for command in references)
    assert any("finetune" in command for command in judged)
