from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transfer_helpers import CAFFE, SIMCLR, MakeBackbone

from scenebench.errors import TransferError, UserError
from transfer.backbone_file import load_backbone, save_backbone
from transfer.exporters import torchvision as to_torchvision
from transfer.exporters.detectron2 import files as detectron2_files
from transfer.exporters.mmseg import files as mmseg_files
from transfer.exporters.staging import export_folder
from transfer.numpy_pickle import load_arrays
from transfer.verify import compare


def test_a_file_is_the_same_as_itself(make_backbone: MakeBackbone) -> None:
    comparison = compare(make_backbone(), make_backbone())
    assert comparison.same
    assert [row.equal for row in comparison.stages] == [6, 24, 30, 30, 30]
    assert comparison.table().endswith("the same backbone")


def test_one_changed_tensor_shows_at_its_stage_and_after(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    info, tensors = load_backbone(make_backbone())
    tensors["layer3.1.conv2.weight"][0, 0, 0, 0] += 0.5
    save_backbone(tmp_path / "b.safetensors", tensors, info)
    comparison = compare(make_backbone(), tmp_path / "b.safetensors")
    assert not comparison.same
    rows = {row.stage: row for row in comparison.stages}
    assert [rows[stage].same for stage in ("stem", "layer1", "layer2", "layer3")] == [True, True, True, False]
    assert rows["layer3"].equal == 29
    assert rows["layer3"].weight_difference == pytest.approx(0.5)
    assert rows["layer2"].feature_difference == 0.0
    assert (rows["layer4"].feature_difference or 0.0) > 0.0
    assert comparison.table().endswith("DIFFERENT")


def test_equal_weights_behind_another_preprocessing_differ(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    info, tensors = load_backbone(make_backbone())
    for preprocessing, facts in ((SIMCLR, 1), (CAFFE, 2)):
        save_backbone(tmp_path / "b.safetensors", tensors, dataclasses.replace(info, preprocessing=preprocessing))
        comparison = compare(make_backbone(), tmp_path / "b.safetensors")
        assert not comparison.same
        assert len(comparison.differing_facts) == facts
        assert all(row.equal == row.tensors[0] for row in comparison.stages)


def test_another_stride_style_or_depth_differs(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    info, tensors = load_backbone(make_backbone(depth=50))
    other = dataclasses.replace(info, architecture=dataclasses.replace(info.architecture, stride_in="1x1"))
    save_backbone(tmp_path / "b.safetensors", tensors, other)
    comparison = compare(make_backbone(depth=50), tmp_path / "b.safetensors")
    assert not comparison.same
    assert "architecture" in comparison.differing_facts[0]
    deeper = compare(make_backbone(depth=50), make_backbone(depth=18))
    assert not deeper.same
    assert deeper.stages[4].feature_difference is None


@pytest.mark.parametrize("export", [detectron2_files.export, mmseg_files.export], ids=["detectron2", "mmseg"])
@pytest.mark.parametrize("depth", [18, 50])
def test_an_exported_folder_is_the_same_backbone(
    export: Callable[[Path, Path], object], depth: int, make_backbone: MakeBackbone, tmp_path: Path
) -> None:
    path = make_backbone(depth=depth, preprocessing=CAFFE, stride_in="1x1") if depth == 50 else make_backbone()
    export(path, tmp_path / "out")
    assert compare(path, tmp_path / "out").same
    assert not compare(make_backbone(depth=depth, seed=1), tmp_path / "out").same


def test_torchvision_export_round_trip(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    path = make_backbone(depth=18, stem_width=64)
    report = to_torchvision.export(path, tmp_path / "out")
    assert sum(report.tensors.values()) == 120
    assert compare(path, tmp_path / "out").same
    assert compare(path, tmp_path / "out" / report.files["weights"]).same  # through the importer
    model = to_torchvision.build(load_backbone(path)[0].architecture)
    with pytest.raises(TransferError, match="hold other values"):
        to_torchvision.prove(model, path)
    for unfit in (make_backbone(), make_backbone(depth=50, stem_width=16, stride_in="1x1")):
        with pytest.raises(TransferError, match="torchvision has no"):
            to_torchvision.export(unfit, tmp_path / "other")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_folder_without_an_export_is_refused(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a folder with one export"):
        compare(make_backbone(), tmp_path)


class _Call:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("ran",))


def test_arrays_are_read_without_unpickling_anything_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(7), "c": np.zeros((0, 2))}
    for protocol in (3, 4):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps({"model": arrays, "__author__": "x"}, protocol=protocol))
        content = load_arrays(tmp_path / "a.pkl")
        assert all(np.array_equal(content["model"][name], array) for name, array in arrays.items())
    for bad in ({"model": _Call()}, {"model": torch.zeros(2)}, {"model": np.array([object()], dtype=object)}, [1]):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(bad, protocol=4))
        with pytest.raises(UserError, match=r"a\.pkl: "):
            load_arrays(tmp_path / "a.pkl")
    for content_bytes in (b"", b"\x80\x04", b"no pickle"):
        (tmp_path / "a.pkl").write_bytes(content_bytes)
        with pytest.raises(UserError, match="not a pickle of plain numpy arrays"):
            load_arrays(tmp_path / "a.pkl")
    assert capsys.readouterr().out == ""


def test_a_export_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("old")
    (tmp_path / "out" / "a").write_text("new")

    def fail() -> None:
        with export_folder(tmp_path / "out") as staging:
            (staging / "a").write_text("newer")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert (tmp_path / "out" / "a").read_text() == "new"
    with export_folder(tmp_path / "out") as staging:
        (staging / "a").write_text("new")
    assert {file.name: file.read_text() for file in (tmp_path / "out").iterdir()} == {"kept": "old", "a": "new"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_stated_difference_counts_even_where_the_features_agree(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    info, tensors = load_backbone(make_backbone())
    other = dataclasses.replace(info.architecture, stride_in="1x1")  # means nothing to basic blocks
    save_backbone(tmp_path / "b.safetensors", tensors, dataclasses.replace(info, architecture=other))
    comparison = compare(make_backbone(), tmp_path / "b.safetensors")
    assert comparison.features_agree
    assert not comparison.same
