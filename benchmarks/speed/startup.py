"""How long a toolbox takes until a demo protocol's model stands, in a fresh process: ``python -m ...startup NAME``."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.speed.stopwatch import Took
from scenebench.errors import require_choice

PROTOCOLS = {
    "detectron2": "mask_rcnn_fpn_demo",
    "mmsegmentation": "pspnet_demo",
    "mmdetection": "mask_rcnn_fpn_mmdet_demo",
}


def toolboxes() -> list[str]:
    """Those that run here: MMDetection needs mmcv's compiled operators."""
    from transfer.exporters.mmcv_ops import missing_mmdet

    return [name for name in PROTOCOLS if name != "mmdetection" or missing_mmdet() is None]


def measure_startup(rounds: int, names: Sequence[str]) -> dict[str, list[dict[str, float]]]:
    """Times of each toolbox, one a round; in turns, so that a slow minute hits all alike."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(_fresh_process(name).plain())
    return found


def build(name: str) -> Any:
    """Import the toolbox as a run does, and build the model of its demo protocol (ResNet-50, one category)."""
    require_choice("toolbox", name, list(PROTOCOLS))
    from benchmarks.protocols.protocol import DetectionProtocol, SegmentationProtocol, load_protocol

    protocol = load_protocol(PROTOCOLS[name])
    if isinstance(protocol, SegmentationProtocol):
        return _mmseg(protocol)
    assert isinstance(protocol, DetectionProtocol)
    return _detectron2(protocol) if name == "detectron2" else _mmdet(protocol)


def _fresh_process(name: str) -> Took:
    before, begun = _children(), time.perf_counter()
    subprocess.run([sys.executable, "-m", "benchmarks.speed.startup", name], check=True, stdout=subprocess.DEVNULL)
    return Took(time.perf_counter() - begun, _children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _detectron2(protocol: Any) -> Any:
    from benchmarks.detection.detectron2_config import build_config
    from benchmarks.toolbox_config import DEFAULT_BACKBONE
    from transfer.exporters.silenced_logs import quiet_detectron2

    quiet_detectron2()
    from detectron2.modeling import build_model

    return build_model(build_config(protocol, DEFAULT_BACKBONE, 1, True, 0, "cpu"))


def _mmseg(protocol: Any) -> Any:
    from benchmarks.toolbox_config import toolbox_config
    from transfer.exporters.silenced_logs import quiet_mmseg

    _, text = toolbox_config(protocol)
    quiet_mmseg()
    from mmengine.config import Config
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    return MODELS.build(Config.fromstring(text, ".py").model)


def _mmdet(protocol: Any) -> Any:
    from pathlib import Path

    from benchmarks.detection.data import Split
    from benchmarks.detection.mmdet_config import build_config
    from benchmarks.toolbox_config import DEFAULT_BACKBONE
    from transfer.exporters.silenced_logs import quiet_mmdet

    quiet_mmdet()
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules
    from mmengine.config import ConfigDict

    register_all_modules(init_default_scope=True)
    split = Split("none", Path("none.json"), Path(), 1, [1], 0)
    config = build_config(protocol, DEFAULT_BACKBONE, split, split, ["object"], True, 0, Path())
    return MODELS.build(ConfigDict(config["model"]))


if __name__ == "__main__":
    build(sys.argv[1])
