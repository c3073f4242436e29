import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.protocols.protocol import SegmentationProtocol, load_protocol
from benchmarks.segmentation.config import build_config
from benchmarks.segmentation.layout import semantic_layout
from benchmarks.segmentation.run import run
from benchmarks.segmentation.transforms import merge_labels
from scenebench.errors import UserError
from transfer.backbone_file import BackboneInfo, Preprocessing, load_backbone, read_info
from transfer.networks.resnet import Architecture

SMALL = (
    "settings.iterations=2",
    "settings.batch_size=2",
    "settings.short_side=64",
    "settings.max_side=96",
    "settings.crop_size=64",
    "settings.head_channels=8",
    "data.merge_categories=false",
    "data.max_test_images=4",
)


def judge(head: str, backbone: Path, data: DatasetFolder, out: Path, seed: int = 0, *overrides: str) -> Outcome:
    out.mkdir(parents=True)
    protocol = load_protocol(f"{head}_demo", [*SMALL, *overrides])
    return run(Cell(backbone, read_info(backbone), protocol, data, seed, out))


def _losses(out: Path) -> list[str]:
    lines = (out / "toolbox/log.txt").read_text().splitlines()
    return [word for line in lines if "Iter(train)" in line for word in line.split("loss: ")[1:]]


@pytest.mark.parametrize("head", ["fcn", "pspnet"])
def test_equal_seeds_give_equal_bits(
    head: str, tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    runs = {"first": 1, "second": 1, "other": 2}
    outcomes = {name: judge(head, tiny_backbone, tiny_scenes, tmp_path / name, seed) for name, seed in runs.items()}
    assert outcomes["first"] == outcomes["second"]
    assert _losses(tmp_path / "first") == _losses(tmp_path / "second") != _losses(tmp_path / "other")
    assert _losses(tmp_path / "first")
    assert outcomes["first"].metrics.keys() == {"mIoU", "mAcc", "aAcc"}
    assert all(value is not None for value in outcomes["first"].metrics.values())
    assert set(outcomes["first"].per_class) == {"background", *tiny_scenes.categories}


def test_what_is_left_beside_the_record(
    tiny_backbone: Path,
    tiny_photos: DatasetFolder,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """User data: images of three sizes, some smaller than the crop; an auxiliary head; clipping; multi-scale.

    Nothing is said on the terminal, also not by programs: an image without a compiler has none to ask.
    """
    monkeypatch.setenv("PATH", "")
    more = ("settings.auxiliary_head=true", "settings.clip_norm=1", "settings.train_short_sides=[48,64]")
    outcome = judge("fcn", tiny_backbone, tiny_photos, tmp_path / "run", 0, *more)
    assert (outcome.train_images, outcome.test_images) == (8, 4)
    assert set(outcome.per_class) == {"background", "nut", "fig"}
    with Image.open(tmp_path / "run/predictions.png") as sheet:
        assert sheet.size[0] > 1000
        assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 500
    report = json.loads((tmp_path / "run/transfer.json").read_text())
    assert sum(report["tensors"].values()) == len(load_backbone(tiny_backbone)[1])
    assert "EncoderDecoder" in (tmp_path / "run/toolbox/config.py").read_text()
    assert "Iter(test)" in (tmp_path / "run/toolbox/log.txt").read_text()
    assert "decode_head" in (tmp_path / "run/toolbox/log.txt").read_text(), "the configuration stands in the log"
    assert capfd.readouterr() == ("", "")
    assert MMLogger.get_current_instance().handlers == [], "mmengine would write to a closed file at the next model"


def test_the_limit_chooses_the_images_that_are_drawn_and_judged(
    tiny_backbone: Path, tiny_photos: DatasetFolder, tmp_path: Path
) -> None:
    """A prediction is compared with its own truth: white test maps of the images left out change nothing."""
    shutil.copytree(tiny_photos.root, tmp_path / "data")
    data = DatasetFolder.open(tmp_path / "data")
    before = judge("fcn", tiny_backbone, data, tmp_path / "before")
    from benchmarks.evaluation.inputs import choose

    left_out = sorted(set(range(6)) - set(choose(6, 4)))
    assert len(left_out) == 2
    for index in left_out:
        path = data.semantic("test")[index]
        with Image.open(path) as labels:
            Image.new("L", labels.size, 2).save(path)
    assert judge("fcn", tiny_backbone, data, tmp_path / "after").metrics == before.metrics


def test_bad_images_are_named_and_divergence_is_an_error(
    tiny_backbone: Path, tiny_photos: DatasetFolder, tmp_path: Path
) -> None:
    shutil.copytree(tiny_photos.root, tmp_path / "data")
    data = DatasetFolder.open(tmp_path / "data")
    path = data.semantic("train")[2]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match=f"{path.name}: cannot be decoded"):
        judge("fcn", tiny_backbone, data, tmp_path / "a")
    diverging = ("settings.learning_rate=1e30", "settings.optimiser=sgd", "settings.warmup_iterations=0")
    with pytest.raises(UserError, match=r"lower settings\.learning_rate"):
        judge("fcn", tiny_backbone, tiny_photos, tmp_path / "b", 0, "settings.iterations=4", *diverging)


def test_the_configuration_follows_protocol_and_backbone(tmp_path: Path) -> None:
    odd = BackboneInfo(
        architecture=Architecture(depth=50),
        preprocessing=Preprocessing((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 255.0, "BGR"),
    )
    protocol = load_protocol("pspnet_demo", ["settings.head_lr_factor=10", "settings.learning_rate=0.01"])
    assert isinstance(protocol, SegmentationProtocol)
    layouts = [semantic_layout("", tmp_path, split, tmp_path / f"{split}.txt") for split in ("train", "test")]
    config = build_config(protocol, odd, ["background", "nut"], layouts[0], layouts[1], 7, tmp_path)
    model = config["model"]
    assert model["data_preprocessor"]["mean"] == [1.0, 2.0, 3.0]
    assert model["data_preprocessor"]["bgr_to_rgb"] is False
    assert model["backbone"]["depth"] == 50
    assert model["decode_head"]["type"] == "PSPHead"
    assert (model["decode_head"]["in_channels"], model["decode_head"]["num_classes"]) == (2048, 2)
    assert model["auxiliary_head"] is None
    assert config["train_dataloader"]["dataset"]["ann_file"] == str(tmp_path / "train.txt")
    assert config["train_dataloader"]["sampler"]["seed"] == config["randomness"]["seed"] == 7
    assert config["optim_wrapper"]["optimizer"] == {"type": "AdamW", "lr": 0.01, "weight_decay": 0.01}
    assert config["optim_wrapper"]["paramwise_cfg"]["custom_keys"]["decode_head"] == {"lr_mult": 10.0}


def test_categories_merged_and_told_apart(tiny_backbone: Path, tiny_photos: DatasetFolder, tmp_path: Path) -> None:
    merged = judge("fcn", tiny_backbone, tiny_photos, tmp_path / "merged", 0, "data.merge_categories=true")
    assert set(merged.per_class) == {"background", "object"}
    assert any("the 2 categories count as one" in note for note in merged.notes)
    apart = judge("fcn", tiny_backbone, tiny_photos, tmp_path / "apart", 0)
    assert set(apart.per_class) == {"background", "nut", "fig"}


def test_merged_labels() -> None:
    labels = np.array([[0, 1], [254, 255]], np.uint8)
    assert merge_labels(labels).tolist() == [[0, 1], [1, 255]]
    assert merge_labels(labels).dtype == np.uint8
