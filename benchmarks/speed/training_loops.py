"""What an iteration of our detection and segmentation runs costs beside the stock tool's own training loop.

Both train the same model on the same images with the same optimiser on one thread, step by step in turns: ours is what
``evaluate`` runs, with its hooks; the other is Detectron2's ``DefaultTrainer`` or mmengine's ``Runner`` as they come.
The optimiser is SGD without clipping, which both offer. The stock loop runs a second time beside itself: how far the
two lie apart is what this machine's noise makes of nothing.
"""

from __future__ import annotations

import contextlib
import io
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.scenes import ScenesSpec, generate_scenes
from benchmarks.evaluation.cell import Cell
from benchmarks.evaluation.inputs import category_names, choose_images
from benchmarks.protocols.protocol import DetectionProtocol, SegmentationProtocol, load_protocol
from benchmarks.speed.stopwatch import Took, timed
from transfer.backbone_file import BackboneInfo, read_info, save_backbone
from transfer.networks.resnet import Architecture, build_resnet

OURS, STOCK, AGAIN = "ours", "stock", "stock again"
PLAIN = ("settings.optimiser=sgd", "settings.learning_rate=0.0001", "settings.iterations=100000")
WARM_UP = 2
Step = Callable[[], object]


def measure_loops(rounds: int, folder: Path, small: Sequence[str] = ()) -> dict[str, Any]:
    """Times of each loop's steps by model, and ratios of their medians to the stock loop's.

    Args:
        rounds: steps of each loop.
        folder: for the data, the weights and the toolboxes' logs.
        small: further ``key=value`` pairs for both protocols.
    """
    data = generate_scenes(folder / "scenes", ScenesSpec(images=60, size=160, seed=0))
    backbone = _backbone(folder / "backbone.safetensors")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as evaluate does
    try:
        found = {}
        for name, loops in (("PSPNet (MMSegmentation)", pspnet), ("Mask R-CNN (Detectron2)", mask_rcnn)):
            with loops(data, backbone, folder, small) as steps:
                found[name] = _turns(steps, rounds)
    finally:
        torch.set_num_threads(threads)
    return found


def _turns(steps: dict[str, Step], rounds: int) -> dict[str, Any]:
    names = list(steps)
    took: dict[str, list[Took]] = {name: [] for name in names}
    for number in range(rounds + WARM_UP):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            one = timed(steps[name])[1]
            if number >= WARM_UP:
                took[name].append(one)
    result: dict[str, Any] = {
        name: {
            "seconds": [round(one.seconds, 4) for one in all_],
            "busy": [round(one.busy, 4) for one in all_],
        }
        for name, all_ in took.items()
    }
    for clock in ("seconds", "busy"):
        base = statistics.median(result[STOCK][clock])
        result[f"{clock}_ratio"] = {
            name: round(statistics.median(result[name][clock]) / base, 4) for name in (OURS, AGAIN)
        }
    return result


def _backbone(path: Path) -> Path:
    """The demo's narrow ResNet-18 with random weights: what a loop adds weighs most beside a step that costs little."""
    architecture = Architecture(depth=18, stem_width=16)
    torch.manual_seed(0)
    save_backbone(path, build_resnet(architecture).state_dict(), BackboneInfo(architecture=architecture))
    return path


def _cell(protocol: Any, backbone: Path, data: DatasetFolder, out: Path) -> Cell:
    out.mkdir(parents=True)
    return Cell(backbone, read_info(backbone), protocol, data, 0, out)


@contextlib.contextmanager
def pspnet(data: DatasetFolder, backbone: Path, folder: Path, small: Sequence[str] = ()) -> Iterator[dict[str, Step]]:
    """A step of each of mmengine's runners."""
    from benchmarks.evaluation.mmengine_runner import cell_hook, close_log, runner_class
    from benchmarks.segmentation.run import build_metric, build_runner, resolved_config
    from transfer.exporters.mmseg.build import load_and_prove

    protocol = load_protocol("pspnet_demo", [*PLAIN, *small])
    assert isinstance(protocol, SegmentationProtocol)
    runners = {}
    for name in (OURS, STOCK, AGAIN):
        cell = _cell(protocol, backbone, data, folder / f"pspnet {name}")
        train, test = (choose_images(data, split, None)[1] for split in ("train", "test"))
        config = resolved_config(cell, protocol, train, test)
        if name == OURS:
            hook = cell_hook(cell, protocol.settings.iterations, len(test), load_and_prove)
            runners[name] = build_runner(config, build_metric(), hook)
        else:
            runners[name] = _stock_runner(runner_class, config, name)
    yield {name: _paused(runner) for name, runner in runners.items()}
    for runner in runners.values():
        close_log(runner)


def _stock_runner(runner_class: Callable[[Path], Any], config: dict[str, Any], name: str) -> Any:
    """``Runner.from_cfg`` with mmengine's own hooks; it logs to a file, and not to the terminal."""
    import uuid
    import warnings

    from mmengine.config import Config

    stock = {key: value for key, value in config.items() if key != "default_hooks"}
    stock |= {"test_evaluator": {"type": "IoUMetric", "iou_metrics": ["mIoU"], "prefix": "segmentation"}}
    stock |= {"experiment_name": f"{name} {uuid.uuid4().hex}"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="For binary segmentation, we suggest")
        return runner_class(Path(config["work_dir"]) / "log.txt").from_cfg(Config(stock))


def _paused(runner: Any) -> Step:
    """Begin training, and return what does one iteration of mmengine's loop."""
    from mmengine.runner import IterBasedTrainLoop

    class PausedLoop(IterBasedTrainLoop):  # type: ignore[misc]
        def run(self) -> None:
            self.runner.call_hook("before_train")
            self.runner.call_hook("before_train_epoch")

        def step(self) -> None:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()

    runner._train_loop = {**runner._train_loop, "type": PausedLoop}
    runner.train()
    step: Step = runner.train_loop.step
    return step


@contextlib.contextmanager
def mask_rcnn(
    data: DatasetFolder, backbone: Path, folder: Path, small: Sequence[str] = ()
) -> Iterator[dict[str, Step]]:
    """A step of each of Detectron2's trainers."""
    from benchmarks.detection.data import registered
    from benchmarks.detection.detectron2_run import build_trainer, resolved_config, toolbox_log
    from benchmarks.detection.evaluators import build_evaluator
    from transfer.exporters.silenced_logs import quiet_detectron2

    quiet_detectron2()
    from detectron2.engine import DefaultTrainer

    from transfer.exporters.detectron2.build import load_and_prove

    protocol = load_protocol("mask_rcnn_fpn_demo", [*PLAIN, "settings.clip_norm=0", *small])
    assert isinstance(protocol, DetectionProtocol)
    cell = _cell(protocol, backbone, data, folder / "mask_rcnn")
    (cell.out / "toolbox").mkdir()  # where the trainers write
    names = category_names(data, merge=True)
    with (
        toolbox_log(folder / "mask_rcnn" / "log.txt"),
        registered(data, "train", None, cell.out, merge=True) as train,
        registered(data, "test", None, cell.out, merge=True) as test,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        cfg = resolved_config(cell, protocol, train, test, with_masks=True)
        evaluator = build_evaluator("coco", test, names, ("bbox", "segm"), protocol.id)
        trainers = {
            OURS: build_trainer(cfg, protocol, evaluator),
            STOCK: DefaultTrainer(cfg),
            AGAIN: DefaultTrainer(cfg),
        }
        for trainer in trainers.values():
            load_and_prove(trainer.model, backbone, cfg)
        yield {name: _begun(trainer) for name, trainer in trainers.items()}


def _begun(trainer: Any) -> Step:
    """Begin training, and return what does one iteration of Detectron2's loop."""
    import warnings

    from detectron2.utils.events import EventStorage

    with EventStorage(0) as trainer.storage:
        trainer.iter = trainer.start_iter
        trainer.before_train()

    def step() -> None:
        with trainer.storage, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            trainer.before_step()
            trainer.run_step()
            trainer.after_step()
        trainer.iter += 1

    return step
