"""The papers' protocols at demo size, end to end, on miniatures of the official layouts: same code, other values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from miniatures import BUILDERS

from benchmarks.datasets.preparing import prepare
from benchmarks.evaluation.evaluate import evaluate
from benchmarks.protocols.protocol import load_protocol
from benchmarks.records.record import Record
from scenebench.cli import main
from scenebench.errors import UserError
from transfer.backbone_file import BackboneInfo, save_backbone
from transfer.networks.resnet import Architecture, build_resnet

SLOW = pytest.mark.slow
# Protocol, depth of the narrow backbone (C4's head is made of bottlenecks), images that train and test.
RUNS = [
    pytest.param("faster_rcnn_r50_c4_24k", 50, (16, 4)),
    pytest.param("pspnet_r50_d8_40k", 18, (4, 2)),
    pytest.param("mask_rcnn_r50_fpn_1x", 18, (6, 4), marks=SLOW),
    pytest.param("mask_rcnn_r50_fpn_1x_p1", 18, (6, 4), marks=SLOW),
    pytest.param("mask_rcnn_r50_fpn_1x_p3", 18, (6, 4), marks=SLOW),
    pytest.param("mask_rcnn_r50_c4_1x", 50, (6, 4), marks=SLOW),
    pytest.param("pspnet_r50_d8_40k", 50, (4, 2), marks=SLOW),
    pytest.param("fcn_r50_d8_40k_cityscapes", 18, (4, 2), marks=SLOW),
    pytest.param("fcn_r50_d8_20k_voc12aug", 18, (7, 4), marks=SLOW),
    pytest.param("fcn_d6_r50_d16_90k_cityscapes", 18, (4, 2), marks=SLOW),
    pytest.param("fcn_d6_r50_d16_30k_voc12aug", 18, (7, 4), marks=SLOW),
]


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a miniature of each data set below its name in the registry."""
    root = tmp_path_factory.mktemp("official")
    for name in ("coco2017", "voc0712", "voc2012aug", "cityscapes"):
        BUILDERS[name](root / name)
    for name in ("voc2012aug", "cityscapes"):
        prepare(name, root / name, partial=True)
    return root


@pytest.fixture(scope="module")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Narrow, freshly drawn networks by depth."""
    folder = tmp_path_factory.mktemp("backbones")
    files = {}
    for depth in (18, 50):
        architecture = Architecture(depth=depth, stem_width=8)
        torch.manual_seed(depth)
        network = build_resnet(architecture).train()
        with torch.no_grad():
            for _ in range(5):
                network(torch.randn(8, 3, 64, 64))
        info = BackboneInfo(architecture=architecture, method="random", recipe_name="random", recipe={"depth": depth})
        files[depth] = folder / f"resnet{depth}.safetensors"
        save_backbone(files[depth], network.state_dict(), info)
    return files


def judge(name: str, backbone: Path, official: Path, out: Path, seed: int = 0) -> Record:
    protocol = load_protocol(name, size="demo")
    return evaluate(backbone, protocol, official / protocol.data.dataset, seed, out, size="demo")


@pytest.mark.parametrize(("name", "depth", "images"), RUNS)
def test_a_protocol_runs_from_the_official_layout_to_a_record(
    name: str, depth: int, images: tuple[int, int], official: Path, backbones: dict[int, Path], tmp_path: Path
) -> None:
    record = judge(name, backbones[depth], official, tmp_path / "run")
    assert set(record.metrics) == set(load_protocol(name).metrics)
    assert all(value is not None and 0 <= value <= 100 for value in record.metrics.values())
    assert (record.dataset.train_images, record.dataset.test_images) == images
    assert record.protocol.hash == load_protocol(name, size="demo").hash != load_protocol(name).hash
    assert record.notes[-1] == "not the protocol's own values: size=demo"
    transferred = json.loads((tmp_path / "run/transfer.json").read_text())
    assert sum(transferred["tensors"].values()) == {18: 120, 50: 318}[depth]
    assert (tmp_path / "run/predictions.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "depth"), [("faster_rcnn_r50_c4_24k", 50), ("fcn_d6_r50_d16_30k_voc12aug", 18)])
def test_equal_seeds_give_equal_records_bit_for_bit(
    name: str, depth: int, official: Path, backbones: dict[int, Path], tmp_path: Path
) -> None:
    records = {
        run: judge(name, backbones[depth], official, tmp_path / run, seed)
        for run, seed in (("first", 3), ("second", 3), ("other", 4))
    }
    assert records["first"].metrics == records["second"].metrics
    assert records["first"].per_class == records["second"].per_class
    losses = {run: losses_of(tmp_path / run / "toolbox") for run in records}
    assert losses["first"]
    assert losses["first"] == losses["second"] != losses["other"]


def losses_of(folder: Path) -> list[str]:
    """What the toolbox logged as the loss of each step."""
    if (folder / "metrics.json").is_file():
        rows = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
        return [repr(row["total_loss"]) for row in rows if "total_loss" in row]
    lines = (folder / "log.txt").read_text().splitlines()
    return [word for line in lines if "Iter(train)" in line for word in line.split("loss: ")[1:]]


def test_the_extra_norm_is_all_that_the_c4_head_adds(official: Path, backbones: dict[int, Path]) -> None:
    from detectron2.modeling import build_model

    from benchmarks.detection.detectron2_config import build_config
    from benchmarks.protocols.protocol import DetectionProtocol
    from transfer.backbone_file import read_info
    from transfer.exporters.silenced_logs import quiet_detectron2

    quiet_detectron2()
    names = []
    for overrides in ([], ["settings.config.MODEL.ROI_HEADS.NAME=Res5ROIHeads"]):
        protocol = load_protocol("faster_rcnn_r50_c4_24k", overrides, "demo")
        assert isinstance(protocol, DetectionProtocol)
        model = build_model(build_config(protocol, read_info(backbones[50]), 20, False, 0, "cpu"))
        names.append(model.state_dict())
    extra = set(names[0]) - set(names[1])
    leaves = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert extra == {f"roi_heads.res5.norm.{leaf}" for leaf in leaves}
    assert names[0]["roi_heads.res5.norm.weight"].shape == (256,)
    assert set(names[1]) <= set(names[0])


def test_psanet_names_the_make_target(official: Path, backbones: dict[int, Path], tmp_path: Path) -> None:
    pytest.importorskip("mmcv")
    try:
        from mmcv.ops import PSAMask  # noqa: F401
    except ImportError:
        with pytest.raises(UserError, match="make mmcv-ops"):
            judge("psanet_r50_d8_40k", backbones[18], official, tmp_path / "run")
    else:
        record = judge("psanet_r50_d8_40k", backbones[18], official, tmp_path / "run")
        assert record.metrics["mIoU"] is not None
    assert not (tmp_path / "run/record.json").is_file() or (tmp_path / "run/transfer.json").is_file()


def test_a_backbone_that_c4_cannot_take(official: Path, backbones: dict[int, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no C4 head for a .*use FPN"):
        judge("faster_rcnn_r50_c4_24k", backbones[18], official, tmp_path / "run")
    assert not (tmp_path / "run/record.json").exists()


def test_a_protocol_of_another_architecture(official: Path, backbones: dict[int, Path], tmp_path: Path) -> None:
    protocol = load_protocol("pspnet_r50_d8_40k")
    with pytest.raises(UserError, match="is about a resnet50, and this backbone is a resnet18w8"):
        evaluate(backbones[18], protocol, official / "cityscapes", 0, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert load_protocol("pspnet_r50_d8_40k", ["backbone=''"]).hash != protocol.hash


def test_the_command_line_ends_with_one_line_and_exit_code_2(
    official: Path, backbones: dict[int, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(backbones[50]), "--protocol", "faster_rcnn_r50_c4_24k", "--size", "demo"]
    assert main([*words, "--data", str(official / "coco2017"), "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "not laid out as voc0712" in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
