"""Mask R-CNN on the backbone under test: Detectron2's trainer, Detectron2's COCO evaluation."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.cell import Cell, Outcome
from benchmarks.detection.config import build_config
from benchmarks.detection.data import Split, registered
from benchmarks.detection.evaluators import Measured, build_evaluator
from benchmarks.detection.optimiser import build_optimiser
from benchmarks.drawing import Instance, Panel, draw_instances, save_sheet
from benchmarks.inputs import category_names, data_notes, read_image
from benchmarks.progress import Progress
from benchmarks.protocol import DetectionProtocol
from scenebench.errors import UserError
from scenebench.files import write_text
from transfer.toolbox_noise import quiet_detectron2

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
        _toolbox_log(folder / "log.txt"),
        registered(cell.data, limits.train_split, limits.max_train_images, folder, limits.merge_categories) as train,
        registered(cell.data, limits.test_split, limits.max_test_images, folder, limits.merge_categories) as test,
    ):
        with_masks = train.without_mask == 0 and test.without_mask == 0
        if sum(train.objects) == 0:
            raise UserError(f"{cell.data.root}: split '{limits.train_split}' holds no object to train a detector on")
        (metrics, per_class), shown = _train_and_test(cell, protocol, train, test, with_masks)
        _draw(cell, test, shown)
    notes = data_notes(cell.data, limits)
    if protocol.settings.predicts_masks and not with_masks:
        notes.append(f"{train.without_mask + test.without_mask} objects have no mask: boxes only")
    return Outcome(metrics, train.images, test.images, per_class, notes)


def _train_and_test(
    cell: Cell, protocol: DetectionProtocol, train: Split, test: Split, with_masks: bool
) -> tuple[Measured, dict[int, Any]]:
    """Metrics and metrics by class, and the predicted ``Instances`` of the images to be shown by image id."""
    from detectron2.utils.env import seed_all_rng

    from transfer.to_detectron2 import load_and_prove

    assert cell.info is not None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cfg = build_config(protocol, cell.info, len(test.objects), with_masks, cell.seed, device)
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = (train.name,), (test.name,)
    cfg.OUTPUT_DIR = str(cell.out / "toolbox")
    cfg.freeze()
    write_text(cell.out / "toolbox" / "config.yaml", cfg.dump())
    seed_all_rng(cell.seed)
    names = category_names(cell.data, protocol.data.merge_categories)
    tasks = ("bbox", "segm") if cfg.MODEL.MASK_ON else ("bbox",)
    evaluator = build_evaluator(protocol.settings.metric, test, names, tasks, protocol.id)
    trainer = _build_trainer(cfg, protocol, evaluator)
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


def _build_trainer(cfg: CfgNode, protocol: DetectionProtocol, evaluator: Any) -> DefaultTrainer:
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


def _draw(cell: Cell, test: Split, shown: Mapping[int, Any]) -> None:
    from detectron2.data import DatasetCatalog
    from detectron2.data.detection_utils import annotations_to_instances
    from detectron2.structures import BoxMode

    names = category_names(cell.data, cell.protocol.data.merge_categories)
    pairs = []
    for entry in DatasetCatalog.get(test.name):
        if entry["image_id"] not in shown:
            continue
        image = read_image(Path(entry["file_name"]))
        annotations = [a for a in entry["annotations"] if not a.get("iscrowd", 0)]
        truth = annotations_to_instances(annotations, (entry["height"], entry["width"]), mask_format="bitmask")
        masks = truth.gt_masks.tensor.numpy().astype(bool) if truth.has("gt_masks") else None
        real = [
            Instance(
                a["category_id"],
                tuple(BoxMode.convert(a["bbox"], a["bbox_mode"], BoxMode.XYXY_ABS)),
                None if masks is None else masks[i],
            )
            for i, a in enumerate(annotations)
        ]
        found = shown[entry["image_id"]]
        # As many as there are objects: a score has no scale that all models share.
        found = found[found.scores.argsort(descending=True, stable=True)[: max(len(real), 1)]]
        predicted = [
            Instance(
                int(found.pred_classes[i]),
                tuple(found.pred_boxes.tensor[i].tolist()),
                found.pred_masks[i].numpy() if found.has("pred_masks") else None,
                float(found.scores[i]),
            )
            for i in range(len(found))
        ]
        pairs.append(
            (
                Panel("truth", draw_instances(image, real, names)),
                Panel(f"predicted, the {len(found)} surest", draw_instances(image, predicted, names)),
            )
        )
    save_sheet(cell.out / "predictions.png", pairs)


@contextlib.contextmanager
def _toolbox_log(path: Path) -> Iterator[None]:
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
