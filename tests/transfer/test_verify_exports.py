"""``verify`` on an exported folder is the exporters' proof: what a toolbox would get wrong differs."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transfer_helpers import MakeBackbone

from scenebench.errors import UserError
from transfer.backbone_file import load_backbone
from transfer.exporters import timm as to_timm
from transfer.exporters import torchvision as to_torchvision
from transfer.exporters.detectron2 import files as detectron2_files
from transfer.exporters.mmdet import files as mmdet_files
from transfer.exporters.mmseg import files as mmseg_files
from transfer.verify import compare

Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def source(make_backbone: MakeBackbone) -> Path:
    """Bottlenecks, for only these show the stride style; narrow, for speed."""
    return make_backbone(depth=50)


@pytest.fixture(scope="module")
def folders(make_backbone: MakeBackbone, source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("exported")
    detectron2_files.export(source, place / "detectron2")
    _yaml(("MODEL.FPN", {"OUT_CHANNELS": 16}), ("MODEL.ROI_BOX_HEAD", {"FC_DIM": 16}))(place / "detectron2")  # speed
    mmseg_files.export(source, place / "mmseg")
    mmdet_files.export(source, place / "mmdet")
    mmdet_files.export(source, place / "mmdet_c4", "c4")
    to_timm.export(make_backbone(18, 64), place / "timm")
    to_torchvision.export(make_backbone(18, 64), place / "torchvision")
    return {folder.name: folder for folder in place.iterdir()}


@pytest.fixture
def edited(folders: dict[str, Path], tmp_path: Path) -> Callable[[str, Edit], Path]:
    """A copy of an export, elsewhere, with an edit."""

    def edit(target: str, change: Edit) -> Path:
        shutil.copytree(folders[target], tmp_path / "moved")
        change(tmp_path / "moved")
        return tmp_path / "moved"

    return edit


def _yaml(*changes: tuple[str, dict[str, object]]) -> Edit:
    def edit(folder: Path) -> None:
        config = yaml.safe_load((folder / "detectron2.yaml").read_text())
        for section, values in changes:
            node = config
            for part in section.split("."):
                node = node.setdefault(part, {})
            node.update(values)
        (folder / "detectron2.yaml").write_text(yaml.safe_dump(config))

    return edit


def _resnets(**values: object) -> Edit:
    return _yaml(("MODEL.RESNETS", values))


def _pickled(rename: Callable[[str], str]) -> Edit:
    def edit(folder: Path) -> None:
        (file,) = folder.glob("*.pkl")
        content = pickle.loads(file.read_bytes())  # noqa: S301 - written by the fixture
        content["model"] = {rename(name): array for name, array in content["model"].items()}
        file.write_bytes(pickle.dumps(content))

    return edit


def _replaced(old: str, new: str, count: int = -1) -> Edit:
    def edit(folder: Path) -> None:
        (file,) = folder.glob("*.py")
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, count))

    return edit


def _appended(line: str) -> Edit:
    def edit(folder: Path) -> None:
        (file,) = folder.glob("*.py")
        file.write_text(file.read_text() + line + "\n")

    return edit


def _backbone(**values: object) -> Edit:
    return _appended(f"model['backbone'].update({values!r})")


HARMFUL_IN_DETECTRON2 = {
    "NORM ''": _resnets(NORM=""),
    "NORM GN": _resnets(NORM="GN"),
    "NORM LN": _resnets(NORM="LN"),
    "NUM_GROUPS": _resnets(NUM_GROUPS=4),
    "WIDTH_PER_GROUP": _resnets(WIDTH_PER_GROUP=32),
    "RES5_DILATION": _resnets(RES5_DILATION=2),
    "RES5_DILATION 3": _resnets(RES5_DILATION=3),
    "deformable": _resnets(DEFORM_ON_PER_STAGE=[False, True, True, True]),
    "DEPTH": _resnets(DEPTH=101),
    "STRIDE_IN_1X1": _resnets(STRIDE_IN_1X1=True),
    "STEM_OUT_CHANNELS": _resnets(STEM_OUT_CHANNELS=32),
    "RES2_OUT_CHANNELS": _resnets(RES2_OUT_CHANNELS=128),
    "OUT_FEATURES": _resnets(OUT_FEATURES=["res2", "res3", "res4"]),
    "no res5": _yaml(
        ("MODEL.RESNETS", {"OUT_FEATURES": ["res2", "res3", "res4"]}),
        ("MODEL.FPN", {"IN_FEATURES": ["res2", "res3", "res4"]}),
    ),
    "another builder": _yaml(("MODEL.BACKBONE", {"NAME": "build_regnet_fpn_backbone"})),
    "builder of no neck": _yaml(("MODEL.BACKBONE", {"NAME": "build_resnet_backbone"})),
    "builder unknown": _yaml(("MODEL.BACKBONE", {"NAME": "build_my_backbone"})),
    "unknown key": _resnets(NROM="BN"),
    "mean": _yaml(("MODEL", {"PIXEL_MEAN": [103.53, 116.28, 123.675]})),
    "mean of one": _yaml(("MODEL", {"PIXEL_MEAN": [120.0]})),
    "mean of four": _yaml(("MODEL", {"PIXEL_MEAN": [120.0] * 4, "PIXEL_STD": [60.0] * 4})),
    "mean a word": _yaml(("MODEL", {"PIXEL_MEAN": "imagenet"})),
    "std": _yaml(("MODEL", {"PIXEL_STD": [1.0, 1.0, 1.0]})),
    "format": _yaml(("INPUT", {"FORMAT": "BGR"})),
    "format unknown": _yaml(("INPUT", {"FORMAT": "XYZ"})),
    "WEIGHTS elsewhere": _yaml(("MODEL", {"WEIGHTS": "/nowhere/model.pkl"})),
    "WEIGHTS missing": _yaml(("MODEL", {"WEIGHTS": "model.pkl"})),
    "WEIGHTS empty": _yaml(("MODEL", {"WEIGHTS": ""})),
    "WEIGHTS null": _yaml(("MODEL", {"WEIGHTS": None})),
    "WEIGHTS at a URL": _yaml(("MODEL", {"WEIGHTS": "detectron2://ImageNetPretrained/MSRA/R-50.pkl"})),
    "names without bottom_up": _pickled(lambda name: name.replace(".bottom_up", "")),
    "bare names": _pickled(lambda name: name.removeprefix("backbone.bottom_up.")),
    "weights gone": lambda folder: next(folder.glob("*.pkl")).unlink(),
}
HARMLESS_IN_DETECTRON2 = {
    "nothing": lambda folder: None,
    "FrozenBN": _resnets(NORM="FrozenBN"),
    "BN": _resnets(NORM="BN"),
    "FREEZE_AT": _yaml(("MODEL.BACKBONE", {"FREEZE_AT": 2})),
    "std by 2e-7": _yaml(("MODEL", {"PIXEL_STD": [58.395 * (1 + 2e-7), 57.12, 57.375]})),
    "a segmentor": _yaml(("MODEL", {"META_ARCHITECTURE": "SemanticSegmentor"})),
    "schedule and data": _yaml(("SOLVER", {"BASE_LR": 0.1}), ("DATASETS", {"TRAIN": ["voc_2007_trainval"]})),
    "number of classes": _yaml(("MODEL.ROI_HEADS", {"NUM_CLASSES": 20})),
    "weights renamed": lambda folder: (
        next(folder.glob("*.pkl")).rename(folder / "w.pkl"),
        _yaml(("MODEL", {"WEIGHTS": "w.pkl"}))(folder),
    ),
}
_CHECKPOINT = 'r"""{{ fileDirname }}/'
HARMFUL_IN_OPENMMLAB = {
    "init_cfg of another type": _replaced("'Pretrained'", "'Kaiming'"),
    "no init_cfg": _backbone(init_cfg=None),
    "init_cfg a word": _backbone(init_cfg="Pretrained"),
    "pretrained beside it": _backbone(pretrained="torchvision://resnet50"),
    "pretrained instead": _backbone(pretrained="torchvision://resnet50", init_cfg=None),
    "pretrained of a file": _backbone(pretrained="/nowhere/x.pth", init_cfg=None),
    "checkpoint elsewhere": _replaced(_CHECKPOINT, 'r"""/nowhere/'),
    "checkpoint at a URL": _replaced(_CHECKPOINT, 'r"""https://example.com/'),
    "prefix": _replaced("'backbone.'", "'encoder.'"),
    "no prefix": _appended("del model['backbone']['init_cfg']['prefix']"),
    "eps": _appended("model['backbone']['norm_cfg']['eps'] = 1e-3"),
    "norm GN": _backbone(norm_cfg={"type": "GN", "num_groups": 4}),
    "no norm": _backbone(norm_cfg=None),
    "deep_stem": _backbone(deep_stem=True),
    "avg_down": _backbone(avg_down=True),
    "strides": _backbone(strides=(1, 1, 2, 2)),
    "strides of 0": _backbone(strides=(1, 2, 2, 0)),
    "dilations": _backbone(dilations=(1, 1, 1, 2)),
    "style": _appended("model['backbone']['style'] = 'caffe'"),
    "depth": _backbone(depth=101),
    "num_stages": _backbone(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(0, 1, 2)),
    "out_indices": _backbone(out_indices=(0, 1, 2, 4)),
    "base_channels": _backbone(base_channels=32),
    "stem_channels": _backbone(stem_channels=32),
    "in_channels": _backbone(in_channels=1),
    "plugins": _backbone(
        plugins=[
            {
                "cfg": {"type": "ContextBlock", "ratio": 0.25},
                "stages": (False, True, True, True),
                "position": "after_conv3",
            }
        ]
    ),
    "dcn": _backbone(
        dcn={"type": "DCN", "deform_groups": 1, "fallback_on_stride": False},
        stage_with_dcn=(False, True, True, True),
    ),
    "type": _backbone(type="ResNetV1c"),
    "type unknown": _backbone(type="MyResNet"),
    "argument unknown": _backbone(deep=50),
    "bgr_to_rgb": _appended("model['data_preprocessor']['bgr_to_rgb'] = False"),
    "rgb_to_bgr as well": _appended("model['data_preprocessor'].update(rgb_to_bgr=True)"),
    "mean": _appended("model['data_preprocessor']['mean'] = [0.485, 0.456, 0.406]"),
    "mean of one": _appended("model['data_preprocessor']['mean'] = [120.0]"),
    "std": _appended("model['data_preprocessor']['std'] = [1, 1, 1]"),
    "no preprocessing": _appended("model['data_preprocessor'] = None"),
    "no statistics": _appended("model['data_preprocessor'].update(mean=None, std=None)"),
    "another model": _appended("model = dict(type='EncoderDecoder')"),
    "no type": _appended("model = dict(backbone=model['backbone'])"),
    "model a list": _appended("model = []"),
    "model deleted": _appended("del model"),
    "a name that is not there": _appended("modell['backbone']['depth'] = 50"),
    "a key that is not there": _appended("model['bakbone']['depth'] = 50"),
    "weights gone": lambda folder: next(folder.glob("*.pth")).unlink(),
}
HARMFUL_IN_MMSEG = HARMFUL_IN_OPENMMLAB | {
    "contract_dilation": _replaced("'contract_dilation': True", "'contract_dilation': False"),
    "multi_grid": _backbone(multi_grid=(1, 2, 4)),
    "pretrained of the model": _appended("model['pretrained'] = 'open-mmlab://resnet50_v1c'"),
}
HARMFUL_IN_MMDET = HARMFUL_IN_OPENMMLAB | {"contract_dilation": _backbone(contract_dilation=True)}
HARMLESS_IN_OPENMMLAB = {
    "nothing": lambda folder: None,
    "requires_grad": _replaced("'requires_grad': True", "'requires_grad': False"),
    "norm_eval": _backbone(norm_eval=True),
    "frozen_stages": _backbone(frozen_stages=1),
    "BN": _backbone(norm_cfg={"type": "BN"}),
    "momentum": _appended("model['backbone']['norm_cfg'].update(momentum=0.01)"),
    "with_cp": _backbone(with_cp=True),
    "std by 2e-7": _appended(
        "model['data_preprocessor']['std'][0] = model['data_preprocessor']['std'][0] * (1 + 2e-7)"
    ),
    "more settings": _appended("train_cfg = dict(by_epoch=True, max_epochs=12)\nlr = 0.01 * 16 / 256"),
    "scope": _appended("model['backbone']['type'] = default_scope + '.ResNet'"),
}


_MORE_OF_A_KIND = (
    "NORM LN", "RES5_DILATION 3", "STEM_OUT_CHANNELS", "builder unknown", "mean of four", "mean a word", "WEIGHTS null",
    "format unknown", "BN", "number of classes", "init_cfg a word", "pretrained of a file", "no norm", "strides of 0",
    "base_channels", "in_channels", "type unknown", "rgb_to_bgr as well", "mean of one", "model a list", "no type",
    "a key that is not there", "multi_grid", "std",
)  # fmt: skip
_OF_A_SECOND_TOOLBOX = (
    "nothing", "norm_eval", "scope", "init_cfg of another type", "eps", "deep_stem", "dilations", "bgr_to_rgb",
    "contract_dilation", "argument unknown", "no preprocessing", "another model",
)  # fmt: skip


def _cases(edits: dict[str, Edit]) -> list[object]:
    """All edits; those that are much like others are left to the slow tests."""
    return [
        pytest.param(edit, id=name, marks=pytest.mark.slow if name in _MORE_OF_A_KIND else ())
        for name, edit in edits.items()
    ]


def _few_cases(edits: dict[str, Edit]) -> list[object]:
    """The same edits in a second toolbox: a few at every run, the others with the slow tests."""
    return [
        pytest.param(edit, id=name, marks=() if name in _OF_A_SECOND_TOOLBOX else pytest.mark.slow)
        for name, edit in edits.items()
    ]


@pytest.mark.parametrize("edit", _cases(HARMFUL_IN_DETECTRON2))
def test_what_detectron2_would_get_wrong(edit: Edit, source: Path, edited: Callable[[str, Edit], Path]) -> None:
    _differs(source, edited("detectron2", edit))


@pytest.mark.parametrize("edit", _cases(HARMLESS_IN_DETECTRON2))
def test_what_changes_nothing_in_detectron2(edit: Edit, source: Path, edited: Callable[[str, Edit], Path]) -> None:
    _same(source, edited("detectron2", edit))


@pytest.mark.parametrize("edit", _cases(HARMFUL_IN_MMSEG))
def test_what_mmseg_would_get_wrong(edit: Edit, source: Path, edited: Callable[[str, Edit], Path]) -> None:
    _differs(source, edited("mmseg", edit))


@pytest.mark.parametrize("edit", _few_cases(HARMFUL_IN_MMDET))
def test_what_mmdet_would_get_wrong(edit: Edit, source: Path, edited: Callable[[str, Edit], Path]) -> None:
    _differs(source, edited("mmdet", edit))


@pytest.mark.parametrize("target", ["mmseg", "mmdet_c4"])
@pytest.mark.parametrize("edit", _few_cases(HARMLESS_IN_OPENMMLAB))
def test_what_changes_nothing_in_openmmlab(
    edit: Edit, target: str, source: Path, edited: Callable[[str, Edit], Path]
) -> None:
    _same(source, edited(target, edit))


@pytest.mark.parametrize(
    "line",
    [
        "init_cfg=None",
        "style='caffe'",
        "type='MyResLayer'",
        "base_channels=32",
        "norm_cfg=dict(type='SyncBN', eps=1e-3)",
    ],
)
def test_what_the_head_of_c4_would_get_wrong(line: str, source: Path, edited: Callable[[str, Edit], Path]) -> None:
    _differs(source, edited("mmdet_c4", _appended(f"model['roi_head']['shared_head'].update({line})")))


def _same(source: Path, folder: Path) -> None:
    comparison = compare(source, folder)
    assert comparison.same, comparison.table()
    assert comparison.exit_code == 0
    assert comparison.table().endswith("the same backbone")


def _differs(source: Path, folder: Path) -> None:
    comparison = compare(source, folder)
    assert comparison.exit_code == 1, comparison.table()
    assert comparison.differing_facts
    assert all("\n" not in fact for fact in comparison.differing_facts)
    assert comparison.table().endswith("\nDIFFERENT")


def _json(name: str, change: Callable[[dict[str, dict[str, object]]], object]) -> Edit:
    def edit(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return edit


def _tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Edit:
    def edit(folder: Path) -> None:
        (file,) = [*folder.glob("*.safetensors"), *folder.glob("*.pth")]
        read = load_file(file) if file.suffix == ".safetensors" else torch.load(file, weights_only=True)
        change(read)
        save_file(read, file) if file.suffix == ".safetensors" else torch.save(read, file)

    return edit


HARMFUL_TENSORS: dict[str, Edit] = {
    "one value": _tensors(lambda tensors: tensors["layer2.0.conv1.weight"][0, 0, 0, 0].add_(1e-6)),
    "one missing": _tensors(lambda tensors: tensors.pop("layer4.1.bn2.running_mean")),
    "one more": _tensors(lambda tensors: tensors.update(extra=torch.zeros(1))),
    "prefix": _tensors(lambda tensors: [tensors.update({f"encoder.{n}": tensors.pop(n)}) for n in list(tensors)]),
    "half": _tensors(lambda tensors: tensors.update({n: t.half() for n, t in tensors.items() if t.dim() == 4})),
}
HARMFUL_IN_TIMM = HARMFUL_TENSORS | {
    "mean": _json("config.json", lambda config: config["pretrained_cfg"].update(mean=[0.5, 0.5, 0.5])),
    "std": _json("config.json", lambda config: config["pretrained_cfg"].update(std=[1.0, 1.0, 1.0])),
    "mean of one": _json("config.json", lambda config: config["pretrained_cfg"].update(mean=[0.5])),
    "architecture": _json("config.json", lambda config: config.update(architecture="resnet34")),
    "deep stem": _json("config.json", lambda config: config.update(architecture="resnet18d")),
    "dilation": _json("config.json", lambda config: config.update(model_args={"output_stride": 16})),
    "activation": _json("config.json", lambda config: config.update(model_args={"act_layer": "gelu"})),
    "no architecture": _json("config.json", lambda config: config.pop("architecture")),
    "weights gone": lambda folder: (folder / "model.safetensors").unlink(),
}
HARMFUL_IN_TORCHVISION = HARMFUL_TENSORS | {
    "mean": _json("torchvision_report.json", lambda r: r["backbone"]["preprocessing"].update(mean=[0.0] * 3)),  # type: ignore[attr-defined]
    "order": _json("torchvision_report.json", lambda r: r["backbone"]["preprocessing"].update(channel_order="BGR")),  # type: ignore[attr-defined]
    "scale": _json("torchvision_report.json", lambda r: r["backbone"]["preprocessing"].update(value_range=255.0)),  # type: ignore[attr-defined]
    "depth": _json("torchvision_report.json", lambda r: r["backbone"]["architecture"].update(depth=34)),  # type: ignore[attr-defined]
    "width": _json("torchvision_report.json", lambda r: r["backbone"]["architecture"].update(stem_width=32)),  # type: ignore[attr-defined]
    "weights gone": lambda folder: next(folder.glob("*.pth")).unlink(),
}


@pytest.mark.parametrize("edit", _cases(HARMFUL_IN_TIMM))
def test_what_timm_would_get_wrong(
    edit: Edit, make_backbone: MakeBackbone, edited: Callable[[str, Edit], Path]
) -> None:
    _differs(make_backbone(18, 64), edited("timm", edit))


@pytest.mark.parametrize("edit", _cases(HARMFUL_IN_TORCHVISION))
def test_what_torchvision_would_get_wrong(
    edit: Edit, make_backbone: MakeBackbone, edited: Callable[[str, Edit], Path]
) -> None:
    _differs(make_backbone(18, 64), edited("torchvision", edit))


@pytest.mark.parametrize("target", ["timm", "torchvision", "detectron2", "mmseg"])
def test_an_export_that_lies_elsewhere_by_a_relative_path(
    target: str,
    make_backbone: MakeBackbone,
    source: Path,
    edited: Callable[[str, Edit], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = edited(target, lambda _: None)
    backbone = source if target in ("detectron2", "mmseg") else make_backbone(18, 64)
    monkeypatch.chdir(folder.parent)
    assert compare(Path("moved/../moved"), backbone).same
    monkeypatch.chdir(folder)
    _same(backbone, Path())


def test_two_exports(folders: dict[str, Path], edited: Callable[[str, Edit], Path]) -> None:
    assert compare(folders["mmseg"], folders["mmdet_c4"]).same
    assert compare(folders["mmseg"], folders["torchvision"]).exit_code == 1
    changed = edited("mmseg", _backbone(style="caffe"))
    assert compare(folders["detectron2"], changed).exit_code == 1
    assert compare(changed, folders["detectron2"]).exit_code == 1


def test_a_checkpoint_and_an_export(source: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    _, tensors = load_backbone(source)
    state = {f"module.encoder_q.{name}": tensor for name, tensor in tensors.items()}
    torch.save({"state_dict": state | {"module.queue": torch.zeros(2, 2)}}, tmp_path / "m.pth.tar")
    assert compare(tmp_path / "m.pth.tar", folders["mmseg"]).same
    assert compare(folders["detectron2"], tmp_path / "m.pth.tar").same


def test_the_note_about_weights_names_the_folder(source: Path, edited: Callable[[str, Edit], Path]) -> None:
    folder = edited("detectron2", lambda _: None)
    (weights,) = folder.glob("*.pkl")
    assert f"MODEL.WEIGHTS {weights}" in compare(source, folder).table()
    _yaml(("MODEL", {"WEIGHTS": f"/old/place/{weights.name}"}))(folder)
    told = compare(source, folder).table()
    assert "/old/place" in told
    assert "does not exist" in told
    assert f"MODEL.WEIGHTS {weights}" in told
    _yaml(("MODEL", {"WEIGHTS": str(weights)}))(folder)
    assert compare(source, folder).same


# --- what is not run, and bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "open({mark!r}, 'w')",
        "__import__('pathlib').Path({mark!r}).touch()",
        "eval(\"open({mark!r}, 'w')\")",
        "f = open; f({mark!r}, 'w')",
        "dict = open; dict({mark!r}, 'w')",
        "x = [c for c in ().__class__.__base__.__subclasses__()]",
        "def f(): pass",
        "class A: pass",
        "lr = float(f'{{open({mark!r}, chr(119))}}')",
        "while True: pass",
        "with open({mark!r}, 'w') as file: pass",
        "x = (lambda: 1)()",
        "x = '{{{{$HOME:1}}}}'",
        "_base_ = ['./base.py']",
        "_base_ = ['./settings.yaml']",
        "_base_ = ['os::x.py']",
        "model['backbone']['type'] = 'os.system'",
        "model['decode_head'] = dict(type='subprocess.run', args=['touch', {mark!r}])",
    ],
)
def test_a_configuration_that_does_more_is_not_run(
    line: str, source: Path, edited: Callable[[str, Edit], Path], tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    (tmp_path / "base.py").write_text(f"open({str(mark)!r}, 'w')\n")
    folder = edited("mmseg", _appended(line.format(mark=str(mark))))
    (folder / "base.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (folder / "settings.yaml").write_text(f"x: !!python/object/apply:os.mkdir [{mark}]\n")
    with pytest.raises(UserError, match=r"mmseg_fcn\.py|base\.py"):
        compare(source, folder)
    assert not mark.exists()


def test_bases_of_plain_values_are_followed(source: Path, edited: Callable[[str, Edit], Path]) -> None:
    folder = edited("mmseg", _appended("_base_ = ['./schedule.py']"))
    (folder / "schedule.py").write_text("train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)\n")
    _same(source, folder)
    (folder / "schedule.py").write_text("model = dict(backbone=dict(deep_stem=True))\n")
    _differs(source, folder)


@pytest.mark.parametrize(
    ("target", "name", "text", "told"),
    [
        ("detectron2", "detectron2.yaml", "[1, 2", "not YAML"),
        ("detectron2", "detectron2.yaml", "- 1", "expected a mapping"),
        ("detectron2", "detectron2.yaml", "x: !!python/name:os.system", "not YAML"),
        ("detectron2", "detectron2.yaml", "\x00", "not YAML"),
        ("detectron2", "detectron2.yaml", "_BASE_: gone.yaml", "gone.yaml: no such file"),
        ("detectron2", "detectron2.yaml", "_BASE_: https://example.com/a.yaml", "nothing is fetched"),
        ("detectron2", "detectron2.yaml", "_BASE_: detectron2.yaml", "back to itself"),
        ("mmseg", "mmseg_fcn.py", "model = {", "not Python"),
        ("mmseg", "mmseg_fcn.py", "\x00", "not Python"),
        ("mmdet", "mmdet_rcnn.py", "model = dict(type='", "not Python"),
        ("timm", "config.json", "{", "not JSON"),
        ("torchvision", "torchvision_report.json", "[]", "expected a mapping"),
        ("torchvision", "torchvision_report.json", "{}", "lacks or mistypes"),
    ],
)
def test_damaged_files_are_bad_input(
    target: str, name: str, text: str, told: str, make_backbone: MakeBackbone, edited: Callable[[str, Edit], Path]
) -> None:
    backbone = make_backbone(18, 64) if target in ("timm", "torchvision") else make_backbone(depth=50)
    folder = edited(target, lambda folder: (folder / name).write_text(text) and None)
    with pytest.raises(UserError, match=told):
        compare(backbone, folder)


class _Call:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("ran",))


def test_a_call_whose_result_a_pickle_throws_away_is_not_run(
    source: Path, edited: Callable[[str, Edit], Path], tmp_path: Path
) -> None:
    mark = tmp_path / "ran"

    def plant(folder: Path) -> None:
        (file,) = folder.glob("*.pkl")
        text = f"!!python/object/apply:os.mkdir [{str(mark)!r}]"
        call = b"cyaml\nunsafe_load\n(V" + text.encode() + b"\ntR0"
        content = file.read_bytes()
        file.write_bytes(content[:2] + call + content[2:])
        pickle.loads(file.read_bytes())  # noqa: S301 - unpickled, it does what it says
        mark.rmdir()

    folder = edited("detectron2", plant)
    _same(source, folder)  # what is left of it is the backbone
    assert not mark.exists()


def test_a_pickle_that_is_a_program_is_not_run(
    source: Path, edited: Callable[[str, Edit], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def plant(folder: Path) -> None:
        (file,) = folder.glob("*.pkl")
        file.write_bytes(pickle.dumps({"model": {"a": _Call()}, "__author__": "x"}))

    with pytest.raises(UserError, match="nothing was run"):
        compare(source, edited("detectron2", plant))
    assert "ran" not in capsys.readouterr().out


# --- without the toolbox -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "module", "title"),
    [
        ("detectron2", "detectron2", "Detectron2"),
        ("detectron2", "detectron2.config", "Detectron2"),
        ("mmseg", "mmseg", "MMSegmentation"),
        ("mmdet", "mmengine", "MMDetection"),
        ("timm", "timm", "timm"),
    ],
)
def test_without_the_toolbox_only_tensors_are_compared(
    target: str,
    module: str,
    title: str,
    make_backbone: MakeBackbone,
    source: Path,
    folders: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    size = {"depth": 18, "stem_width": 64} if target == "timm" else {"depth": 50}
    comparison = compare(make_backbone(**size), folders[target])
    assert comparison.exit_code == 3
    assert not comparison.same
    assert comparison.table().splitlines()[-1].startswith(f"tensors compared, model not built: {title} cannot be imp")
    assert compare(make_backbone(**size, seed=1), folders[target]).exit_code == 1
