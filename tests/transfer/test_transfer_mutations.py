"""Every silent mistake that is known to happen between a checkpoint and a toolbox, made on purpose.

Each starts from a correct export, changes one thing, and lets the stock loader of the toolbox have it: the toolboxes
themselves accept nearly all of them without an error. All must raise, and for the right reason.
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from transfer_helpers import MakeBackbone

from scenebench.errors import TransferError
from transfer import detectron2_export, mmseg_export
from transfer.backbone_file import load_backbone
from transfer.to_detectron2 import detectron2_name

Tensors = dict[str, Any]
Config = dict[str, Any]


@dataclass(frozen=True)
class Mutation:
    """One mistake: ``weights`` changes the exported tensors (by name), ``config`` the configuration.

    ``told`` is what the error must say.
    """

    name: str
    told: str
    weights: Callable[[Tensors, Sources], Tensors] | None = None
    config: Callable[[Config], None] | None = None


@dataclass(frozen=True)
class Sources:
    """Other tensors that a mistake may bring, under torchvision's names: ours, another branch, depth and width."""

    ours: Tensors
    key_branch: Tensors
    deeper: Tensors
    wider: Tensors


def _without(part: str) -> Callable[[Tensors, Sources], Tensors]:
    return lambda tensors, _: {name: tensor for name, tensor in tensors.items() if part not in name}


def _renamed(change: Callable[[str], str]) -> Callable[[Tensors, Sources], Tensors]:
    return lambda tensors, _: {change(name): tensor for name, tensor in tensors.items()}


def _set(section: str, **values: Any) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        for part in section.split("."):
            config = config[part]
        config.update(values)

    return change


def _in_detectron2(tensors: Tensors) -> Tensors:
    return {f"backbone.bottom_up.{detectron2_name(name)}": tensor for name, tensor in tensors.items()}


def _one_ulp(tensors: Tensors, _: Sources) -> Tensors:
    name = next(name for name in tensors if name.endswith("conv2.weight"))
    changed = np.array(tensors[name])
    changed.flat[0] = np.nextafter(changed.flat[0], np.float32(9), dtype=np.float32)
    return {**tensors, name: changed}


NEVER_SET = "never set from the file|find no place in the model"

DETECTRON2 = [
    Mutation("prefix kept", NEVER_SET, _renamed(lambda name: f"module.encoder_q.{name}")),
    Mutation("torchvision names, no heuristics flag", NEVER_SET, lambda _, sources: sources.ours),
    Mutation(
        "names relative to the ResNet, heuristics flag missing",
        NEVER_SET,
        _renamed(lambda name: name.removeprefix("backbone.bottom_up.")),
    ),
    Mutation("C4 names into FPN", NEVER_SET, _renamed(lambda name: name.replace(".bottom_up", ""))),
    Mutation("stem prefix forgotten", NEVER_SET, _renamed(lambda name: name.replace("stem.", ""))),
    Mutation("stem missing", "6 tensors were never set from the file: conv1.weight", _without("stem")),
    Mutation("running statistics dropped", "106 tensors were never set from the file", _without("running_")),
    Mutation("batch counters dropped", "53 tensors were never set from the file", _without("num_batches")),
    Mutation("one tensor missing", "1 tensors were never set from the file", _without("res4.5.conv3.weight")),
    Mutation("empty file", "318 tensors were never set from the file", lambda *_: {}),
    Mutation("ResNet-101 into ResNet-50", "255 tensors find no place", lambda _, s: _in_detectron2(s.deeper)),
    Mutation("50x2 into ResNet-50", "tensors find no place", lambda _, s: _in_detectron2(s.wider)),
    Mutation("key encoder for query encoder", "hold other values", lambda _, s: _in_detectron2(s.key_branch)),
    Mutation("one value off by one ulp", "1 tensors hold other values than the file: layer", _one_ulp),
    Mutation(
        "stored in half precision",
        "hold other values",
        lambda tensors, _: {n: t.astype(np.float16) if t.dtype == np.float32 else t for n, t in tensors.items()},
    ),
    Mutation("BGR images", "from the stem on", config=_set("INPUT", FORMAT="BGR")),
    Mutation(
        "swapped channels of mean", "from the stem on", config=_set("MODEL", PIXEL_MEAN=[103.53, 116.28, 123.675])
    ),
    Mutation("std 1", "from the stem on", config=_set("MODEL", PIXEL_STD=[1.0, 1.0, 1.0])),
    Mutation(
        "statistics on the 0-1 scale",
        "from the stem on",
        config=_set("MODEL", PIXEL_MEAN=[0.485, 0.456, 0.406], PIXEL_STD=[0.229, 0.224, 0.225]),
    ),
    Mutation(
        "SimCLR normalisation",
        "from the stem on",
        config=_set("MODEL", PIXEL_MEAN=[0.0, 0.0, 0.0], PIXEL_STD=[255.0, 255.0, 255.0]),
    ),
    Mutation(
        "rounded statistics of another code base",
        "from the stem on",
        config=_set("MODEL", PIXEL_MEAN=[123.68, 116.78, 103.94]),
    ),
    Mutation("mean, std and format left out", "from the stem on", config=lambda c: _forget_preprocessing(c)),
    Mutation("stride in the 1x1", "layer2 .*equal before", config=_set("MODEL.RESNETS", STRIDE_IN_1X1=True)),
    Mutation(
        "stride style left out", "layer2 .*equal before", config=lambda c: c["MODEL"]["RESNETS"].pop("STRIDE_IN_1X1")
    ),
    Mutation(
        "another depth in the YAML",
        "306 tensors of the target have no counterpart",
        config=_set("MODEL.RESNETS", DEPTH=101),
    ),
    Mutation(
        "a group norm",
        "does not build",
        config=_set("MODEL.RESNETS", NORM="GN"),
    ),
    Mutation("a misspelt key", "does not build", config=_set("MODEL.RESNETS", STRIDE_IN_1x1=False)),
]


def _forget_preprocessing(config: Config) -> None:
    """Detectron2's own defaults: BGR, MSRA mean, std 1."""
    del config["INPUT"], config["MODEL"]["PIXEL_MEAN"], config["MODEL"]["PIXEL_STD"]


MMSEG = [
    Mutation(
        "prefix kept", "is not in the pretrained model", _renamed(lambda n: n.replace("backbone.", "module.encoder_q."))
    ),
    Mutation("prefix forgotten in init_cfg", "318 tensors were never set", config=lambda c: _no_prefix(c)),
    Mutation(
        "wrong prefix in init_cfg",
        "is not in the pretrained model",
        config=_set("backbone.init_cfg", prefix="encoder."),
    ),
    Mutation("init_cfg forgotten", "hold other values than the file", config=_set("backbone", init_cfg=None)),
    Mutation(
        "pretrained beside init_cfg", "cannot build", config=_set("backbone", pretrained="torchvision://resnet50")
    ),
    Mutation("another file name", "cannot build or init", config=_set("backbone.init_cfg", checkpoint="gone.pth")),
    Mutation(
        "deep stem (V1c)", "18 tensors of the target have no counterpart", config=_set("backbone", type="ResNetV1c")
    ),
    Mutation("caffe style", "layer2 .*equal before", config=_set("backbone", style="caffe")),
    Mutation("BGR images", "from the stem on", config=_set("data_preprocessor", bgr_to_rgb=False)),
    Mutation(
        "swapped channels of mean", "from the stem on", config=_set("data_preprocessor", mean=[103.53, 116.28, 123.675])
    ),
    Mutation("std 1", "from the stem on", config=_set("data_preprocessor", std=[1.0, 1.0, 1.0])),
    Mutation(
        "statistics on the 0-1 scale",
        "from the stem on",
        config=_set("data_preprocessor", mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
    ),
    Mutation(
        "SimCLR normalisation",
        "from the stem on",
        config=_set("data_preprocessor", mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0]),
    ),
    Mutation("no normalisation", "from the stem on", config=_set("data_preprocessor", mean=None, std=None)),
    Mutation("contract_dilation forgotten", "layer3 .*equal before", config=_set("backbone", contract_dilation=False)),
    Mutation("dilation forgotten", "are not output stride", config=_set("backbone", dilations=(1, 1, 1, 1))),
    Mutation("stem missing", "1 tensors were never set from the file: conv1.weight", _without("backbone.conv1")),
    Mutation("running statistics dropped", "106 tensors were never set from the file", _without("running_")),
    Mutation("one tensor missing", "1 tensors were never set from the file", _without("layer3.5.conv3.weight")),
    Mutation("ResNet-50 into ResNet-101", "have no counterpart", config=_set("backbone", depth=101)),
    Mutation("50x2 into ResNet-50", "never set", lambda _, s: {f"backbone.{n}": t for n, t in s.wider.items()}),
    Mutation(
        "key encoder for query encoder",
        "other values",
        lambda _, s: {f"backbone.{n}": t for n, t in s.key_branch.items()},
    ),
    Mutation("one value off by one ulp", "1 tensors hold other values", _one_ulp),
]


def _no_prefix(config: Config) -> None:
    del config["backbone"]["init_cfg"]["prefix"]


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
    detectron2_export.export_files(source, folder)
    return folder


@pytest.fixture(scope="module")
def mmseg_folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mmseg") / "export"
    mmseg_export.export_files(source, folder)
    return folder


def _mutate_detectron2(folder: Path, mutation: Mutation, sources: Sources) -> None:
    (weights,) = folder.glob("*.pkl")
    content = pickle.loads(weights.read_bytes())  # noqa: S301 - written by the fixture
    if mutation.weights is not None:
        content["model"] = mutation.weights(content["model"], sources)
    weights.write_bytes(pickle.dumps(content))
    config = yaml.safe_load((folder / detectron2_export.CONFIG_NAME).read_text())
    config["MODEL"]["FPN"]["OUT_CHANNELS"] = config["MODEL"]["ROI_BOX_HEAD"]["FC_DIM"] = 16  # small heads, for speed
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


UNCHANGED = Mutation("nothing changed", "")


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


@pytest.mark.parametrize("mutation", DETECTRON2, ids=lambda mutation: mutation.name)
def test_detectron2(
    mutation: Mutation, source: Path, sources: Sources, detectron2_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(detectron2_folder, tmp_path / "export")
    _mutate_detectron2(tmp_path / "export", mutation, sources)
    with pytest.raises(TransferError, match=mutation.told):
        detectron2_export.prove_export(tmp_path / "export", source)


@pytest.mark.parametrize("mutation", MMSEG, ids=lambda mutation: mutation.name)
def test_mmseg(mutation: Mutation, source: Path, sources: Sources, mmseg_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(mmseg_folder, tmp_path / "export")
    _mutate_mmseg(tmp_path / "export", mutation, sources)
    with pytest.raises(TransferError, match=mutation.told):
        mmseg_export.prove_export(tmp_path / "export", source)
