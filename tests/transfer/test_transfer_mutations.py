"""Every silent mistake that is known to happen between a checkpoint and a toolbox, made on purpose.

Each starts from a correct export, changes one thing, and lets the stock loader of the toolbox have it: the toolboxes
themselves accept nearly all of them without an error. All must raise, and for the right reason. What the mistakes are
is listed in :mod:`docs.generate.mistakes`, from which the documentation is written too; how each is made, in
``mutations.py``.
"""

from __future__ import annotations

import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mutations import DETECTRON2_MUTATIONS, MMSEG_MUTATIONS, VERIFY_MUTATIONS, Config, Mutation, Sources
from transfer_helpers import MakeBackbone

from docs.generate.mistakes import DETECTRON2, MISTAKES, MMSEG, VERIFY, Mistake
from scenebench.errors import TransferError
from transfer.backbone_file import load_backbone, save_backbone
from transfer.exporters.detectron2 import files as detectron2_export
from transfer.exporters.mmseg import files as mmseg_export
from transfer.verify import compare


@pytest.fixture(scope="module")
def source(make_backbone: MakeBackbone) -> Path:
    """A bottleneck network, for only these show the stride style; narrow, for speed."""
    return make_backbone(depth=50)


@pytest.fixture(scope="module")
def sources(make_backbone: MakeBackbone, source: Path) -> Sources:
    paths = (source, make_backbone(depth=50, seed=1), make_backbone(depth=101), make_backbone(depth=50, stem_width=32))
    return Sources(*({name: tensor.numpy() for name, tensor in load_backbone(path)[1].items()} for path in paths))


@pytest.fixture(scope="module")
def detectron2_folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detectron2") / "export"
    detectron2_export.export(source, folder)
    return folder


@pytest.fixture(scope="module")
def mmseg_folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mmseg") / "export"
    mmseg_export.export(source, folder)
    return folder


def _mutate_detectron2(folder: Path, mutation: Mutation, sources: Sources) -> None:
    (weights,) = folder.glob("*.pkl")
    content = pickle.loads(weights.read_bytes())  # noqa: S301 - written by the fixture
    if mutation.weights is not None:
        content["model"] = mutation.weights(content["model"], sources)
    weights.write_bytes(pickle.dumps(content))
    if mutation.file is not None:
        weights = mutation.file(weights, sources)
    config = yaml.safe_load((folder / detectron2_export.CONFIG_NAME).read_text())
    config["MODEL"]["FPN"]["OUT_CHANNELS"] = config["MODEL"]["ROI_BOX_HEAD"]["FC_DIM"] = 16  # small heads, for speed
    config["MODEL"]["WEIGHTS"] = weights.name
    if mutation.config is not None:
        mutation.config(config)
    (folder / detectron2_export.CONFIG_NAME).write_text(yaml.safe_dump(config))


def _mutate_mmseg(folder: Path, mutation: Mutation, sources: Sources) -> None:
    (weights,) = folder.glob("*.pth")
    arrays = {name: tensor.numpy() for name, tensor in torch.load(weights, weights_only=True)["state_dict"].items()}
    if mutation.weights is not None:
        arrays = mutation.weights(arrays, sources)
    torch.save({"state_dict": {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}}, weights)
    namespace: Config = {}
    exec((folder / mmseg_export.CONFIG_NAME).read_text(), namespace)
    for head in ("decode_head", "auxiliary_head"):
        namespace["model"][head]["channels"] = 8  # small heads, for speed
    if mutation.config is not None:
        mutation.config(namespace["model"])
    (folder / mmseg_export.CONFIG_NAME).write_text(f"default_scope = 'mmseg'\nmodel = {namespace['model']!r}\n")


UNCHANGED = Mutation()


def test_the_unchanged_exports_pass(
    source: Path, sources: Sources, detectron2_folder: Path, mmseg_folder: Path, tmp_path: Path
) -> None:
    for folder, mutate, prove in (
        (detectron2_folder, _mutate_detectron2, detectron2_export.prove_export),
        (mmseg_folder, _mutate_mmseg, mmseg_export.prove_export),
    ):
        shutil.copytree(folder, tmp_path / folder.parent.name)
        mutate(tmp_path / folder.parent.name, UNCHANGED, sources)
        assert sum(prove(tmp_path / folder.parent.name, source).tensors.values()) == 318


def _of(target: str) -> list[Mistake]:
    return [mistake for mistake in MISTAKES if mistake.target == target]


def test_every_mistake_of_the_table_is_made_and_none_beside() -> None:
    for target, made in (
        (DETECTRON2, DETECTRON2_MUTATIONS),
        (MMSEG, MMSEG_MUTATIONS),
        (VERIFY, VERIFY_MUTATIONS),
    ):
        assert [mistake.name for mistake in _of(target)] == list(made)


@pytest.mark.parametrize("mistake", _of(DETECTRON2), ids=lambda mistake: mistake.name)
def test_detectron2(mistake: Mistake, source: Path, sources: Sources, detectron2_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(detectron2_folder, tmp_path / "export")
    _mutate_detectron2(tmp_path / "export", DETECTRON2_MUTATIONS[mistake.name], sources)
    with pytest.raises(TransferError, match=mistake.told):
        detectron2_export.prove_export(tmp_path / "export", source)


@pytest.mark.parametrize("mistake", _of(MMSEG), ids=lambda mistake: mistake.name)
def test_mmseg(mistake: Mistake, source: Path, sources: Sources, mmseg_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(mmseg_folder, tmp_path / "export")
    _mutate_mmseg(tmp_path / "export", MMSEG_MUTATIONS[mistake.name], sources)
    with pytest.raises(TransferError, match=mistake.told):
        mmseg_export.prove_export(tmp_path / "export", source)


@pytest.mark.parametrize("mistake", _of(VERIFY), ids=lambda mistake: mistake.name)
def test_verify(mistake: Mistake, source: Path, make_backbone: MakeBackbone, tmp_path: Path) -> None:
    info, tensors = VERIFY_MUTATIONS[mistake.name](*load_backbone(source), make_backbone)
    save_backbone(tmp_path / "b.safetensors", tensors, info)
    comparison = compare(source, tmp_path / "b.safetensors")
    assert not comparison.same
    assert re.search(mistake.told, comparison.table())
