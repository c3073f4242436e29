"""Mask R-CNN on the backbone under test: Detectron2's trainer, Detectron2's COCO evaluation."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.detection.coco_evaluation import evaluator_note
from benchmarks.detection.data import (
    Split,
    have_masks,
    mask_notes,
    registered,
    require_mask_format,
    require_objects,
)
from benchmarks.detection.detectron2_config import build_config
from benchmarks.detection.evaluators import Measured, build_evaluator
from benchmarks.detection.optimiser import build_optimiser
from benchmarks.detection.precise_bn import show_progress
from benchmarks.detection.prediction_sheet import draw_predictions
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.evaluation.inputs import category_names, data_notes
from benchmarks.evaluation.picture_sheet import Instance
from benchmarks.protocols.protocol import DetectionProtocol
from scenebench.errors import UserError
from scenebench.files import write_text
from scenebench.progress import Progress
from transfer.exporters.silenced_logs import quiet_detectron2

if TYPE_CHECKING:
    from detectron2.config import CfgNode
    from detectron2.engine import DefaultTrainer

_LOGGERS = ("detectron2", "fvcore")


def run(cell: Cell) -> Outcome:
    """Fine-tune and test one model.

    Leaves ``predictions.png``, ``transfer.json`` (what was loaded, and the proof) and ``toolbox/`` (the resolved
    configuration, the log, COCO-style predictions) in the cell's folder.

    Raises:
        UserError: bad data, bad configuration, or the training diverged.
        TransferError: the backbone does not arrive in the model unchanged.
    """
    protocol = cell.protocol
    assert isinstance(protocol, DetectionProtocol)
    assert cell.info is not None
    quiet_detectron2()
    folder = cell.out / "toolbox"
    folder.mkdir(parents=True, exist_ok=True)
    limits = protocol.data
    with (
        toolbox_log(folder / "log.txt"),
        registered(cell.data, limits.train_split, limits.max_train_images, folder, limits.merge_categories) as train,
        registered(cell.data, limits.test_split, limits.max_test_images, folder, limits.merge_categories) as test,
    ):
        require_objects(train, f"{cell.data.root}: split '{limits.train_split}'")
        with_masks = protocol.settings.predicts_masks and have_masks(train, test)
        if with_masks:
            require_mask_format(train, protocol.settings.mask_format)
        names = category_names(cell.data, limits.merge_categories)
        (metrics, per_class), shown = _train_and_test(cell, protocol, train, test, names, with_masks)
        draw_predictions(cell.out / "predictions.png", test, names, shown)
    masks_wanted = protocol.settings.predicts_masks
    notes = [*data_notes(cell.data, limits), *(mask_notes(train, test) if masks_wanted else [])]
    notes += evaluator_note(protocol.settings.evaluator)
    return Outcome(metrics, train.images, test.images, per_class, notes, sum(test.objects))


def _train_and_test(
    cell: Cell, protocol: DetectionProtocol, train: Split, test: Split, names: Sequence[str], with_masks: bool
) -> tuple[Measured, dict[int, list[Instance]]]:
    """Metrics and metrics by class, and what was predicted in the images to be shown by image id."""
    from detectron2.utils.env import seed_all_rng

    from transfer.exporters.detectron2.build import load_and_prove

    cfg = resolved_config(cell, protocol, train, test, with_masks)
    write_text(cell.out / "toolbox" / "config.yaml", cfg.dump())
    seed_all_rng(cell.seed)
    tasks = ("bbox", "segm") if cfg.MODEL.MASK_ON else ("bbox",)
    settings = protocol.settings
    evaluator = build_evaluator(settings.metric, test, names, tasks, protocol.id, settings.evaluator)
    trainer = build_trainer(cfg, protocol, evaluator)
    report = load_and_prove(trainer.model, cell.backbone_file, cfg)
    report.write(cell.out / "transfer.json")
    try:
        # pycocotools prints its own tables; masks from run lengths may be read-only arrays, which the toolbox stacks.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            trainer.train()
    except FloatingPointError as error:
        raise UserError(f"{protocol.id}: {error}; lower settings.learning_rate") from error
    return evaluator.measured, evaluator.shown


def resolved_config(cell: Cell, protocol: DetectionProtocol, train: Split, test: Split, with_masks: bool) -> CfgNode:
    """Everything that the trainer is built from, frozen."""
    assert cell.info is not None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cfg = build_config(protocol, cell.info, len(test.objects), with_masks, cell.seed, device)
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = (train.name,), (test.name,)
    cfg.OUTPUT_DIR = str(cell.out / "toolbox")
    cfg.freeze()
    return cfg


def build_trainer(cfg: CfgNode, protocol: DetectionProtocol, evaluator: Any) -> DefaultTrainer:
    """Detectron2's DefaultTrainer with the protocol's optimiser, progress lines, and no checkpoints.

    (A cell of the demo is shorter than the time it would take to write and restore its checkpoints.)
    """
    from detectron2.engine import DefaultTrainer, HookBase, hooks
    from detectron2.utils.events import CommonMetricPrinter, EventWriter, JSONWriter

    class ProgressLines(HookBase):
        def before_train(self) -> None:
            self.progress = Progress(self.trainer.max_iter, f"{protocol.id}: training step")

        def after_step(self) -> None:
            self.progress.advance(note=f"loss {self.trainer.storage.history('total_loss').latest():.3f}")

    class Trainer(DefaultTrainer):
        def build_hooks(self) -> list[HookBase]:
            kept = [hook for hook in super().build_hooks() if not isinstance(hook, hooks.PeriodicCheckpointer)]
            for hook in kept:
                if isinstance(hook, hooks.PreciseBN):
                    show_progress(hook, f"{protocol.id}: PreciseBN batch")
            return [*kept, ProgressLines()]

        def build_writers(self) -> list[EventWriter]:
            return [CommonMetricPrinter(self.max_iter), JSONWriter(str(Path(cfg.OUTPUT_DIR) / "metrics.json"))]

        @classmethod
        def build_optimizer(cls, cfg: CfgNode, model: torch.nn.Module) -> torch.optim.Optimizer:
            return build_optimiser(cfg, model, protocol.settings)

        @classmethod
        def build_evaluator(cls, cfg: CfgNode, dataset_name: str) -> Any:
            return evaluator

    return Trainer(cfg)


@contextlib.contextmanager
def toolbox_log(path: Path) -> Iterator[None]:
    """What the toolbox logs goes to ``path`` and not to the terminal."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)  # also keeps DefaultTrainer from adding a handler of its own
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
        handler.close()
