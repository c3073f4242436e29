"""Semantic segmentation with the backbone under test: MMSegmentation's models and metric, mmengine's runner."""

from __future__ import annotations

import dataclasses
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmarks.datasets.folder import BACKGROUND_NAME, IGNORED, DatasetFolder
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.evaluation.inputs import (
    category_names,
    choose_images,
    data_notes,
    read_image,
    require_decodable,
)
from benchmarks.evaluation.mmengine_runner import cell_hook, close_log, runner_class
from benchmarks.evaluation.official import OfficialFolder
from benchmarks.evaluation.picture_sheet import (
    Panel,
    describe_semantic,
    draw_semantic,
    save_sheet,
)
from benchmarks.protocols.protocol import SegmentationProtocol
from benchmarks.segmentation.config import build_config
from benchmarks.segmentation.layout import SemanticLayout, require_labels, semantic_layout, write_list
from benchmarks.segmentation.metrics import segmentation_metrics
from benchmarks.segmentation.one_class import one_class_measured, pixels_by_class
from benchmarks.segmentation.transforms import merge_labels, register_transforms
from scenebench.errors import UserError
from transfer.exporters.mmseg.build import load_and_prove
from transfer.exporters.silenced_logs import quiet_mmseg

if TYPE_CHECKING:
    from mmengine.hooks import Hook
    from mmseg.evaluation import IoUMetric

SHOWN_IMAGES = 8


def run(cell: Cell) -> Outcome:
    """Fine-tune and test one model.

    Leaves ``predictions.png``, ``transfer.json`` (what was loaded, and the proof) and ``toolbox/`` (the resolved
    configuration and the log) in the cell's folder.

    Raises:
        UserError: bad data, or the training diverged.
        TransferError: the backbone does not arrive in the model unchanged.
    """
    protocol = cell.protocol
    assert isinstance(protocol, SegmentationProtocol)
    if cell.info is None:
        return _run_one_class(cell, protocol)
    limits = protocol.data
    train, train_paths = choose_images(cell.data, limits.train_split, limits.max_train_images)
    test, test_paths = choose_images(cell.data, limits.test_split, limits.max_test_images)
    for split, paths, indices in ((limits.train_split, train_paths, train), (limits.test_split, test_paths, test)):
        is_official = isinstance(cell.data, OfficialFolder)
        if not is_official:  # 'data check' has decoded an official layout, and remembers
            require_decodable(paths, split)
        classes = cell.data.semantic_classes
        with_background = classes[0] == BACKGROUND_NAME
        require_labels(_maps(cell, split, indices), len(classes), split, is_official and with_background)
    config = resolved_config(cell, protocol, train_paths, test_paths)
    measured, predictions = _train_and_test(cell, protocol, config, len(test))
    _draw(cell, test_paths, _maps(cell, limits.test_split, test), predictions)
    classes = class_names(cell.data, limits.merge_categories)
    metrics, per_class = segmentation_metrics(*measured, classes)
    return Outcome(metrics, len(train), len(test), per_class, data_notes(cell.data, limits))


def _run_one_class(cell: Cell, protocol: SegmentationProtocol) -> Outcome:
    """The most frequent class of the training maps, everywhere."""
    limits = protocol.data
    classes = class_names(cell.data, limits.merge_categories)
    read_as = merge_labels if limits.merge_categories else np.asarray
    counts, images = [], []
    for split, most in ((limits.train_split, limits.max_train_images), (limits.test_split, limits.max_test_images)):
        indices, _ = choose_images(cell.data, split, most)
        counts.append(pixels_by_class(_maps(cell, split, indices), len(classes), read_as))
        images.append(len(indices))
    metrics, per_class = segmentation_metrics(*one_class_measured(*counts), classes)
    notes = [*data_notes(cell.data, limits), f"'{classes[int(counts[0].argmax())]}' everywhere; looks at no picture"]
    train_images, test_images = images
    return Outcome(metrics, train_images, test_images, per_class, notes)


def resolved_config(
    cell: Cell, protocol: SegmentationProtocol, train: Sequence[Path], test: Sequence[Path]
) -> dict[str, Any]:
    """What the runner is built from but for its evaluator and hooks; the lists of images are written for it."""
    assert cell.info is not None
    quiet_mmseg()
    folder, limits = cell.out / "toolbox", protocol.data
    folder.mkdir(parents=True, exist_ok=True)
    classes = class_names(cell.data, limits.merge_categories)
    layouts = [_write_layout(cell, *split) for split in ((limits.train_split, train), (limits.test_split, test))]
    return build_config(protocol, cell.info, classes, layouts[0], layouts[1], cell.seed, folder)


def class_names(data: DatasetFolder, merge: bool) -> list[str]:
    """Names by label: the data set's own, or background and objects where categories are merged.

    Raises:
        UserError: merging is asked for where there is no background to tell objects from.
    """
    if not merge:
        return data.semantic_classes
    if data.semantic_classes[0] != BACKGROUND_NAME:
        raise UserError(f"data.merge_categories: {data.name} has no background; merged, nothing is told apart")
    return [BACKGROUND_NAME, *category_names(data, merge)]


def _write_layout(cell: Cell, split: str, images: Sequence[Path]) -> SemanticLayout:
    root, listed = cell.data.root, cell.out / "toolbox" / f"{split}.txt"
    layout = semantic_layout(cell.protocol.data.dataset, root, split, listed.resolve())
    write_list(layout, images)
    return dataclasses.replace(layout, folder=layout.folder.resolve(), map_folder=layout.map_folder.resolve())


def _maps(cell: Cell, split: str, indices: Sequence[int]) -> list[Path]:
    paths = cell.data.semantic(split)
    return [paths[index] for index in indices]


def _train_and_test(
    cell: Cell, protocol: SegmentationProtocol, config: dict[str, Any], test_images: int
) -> tuple[tuple[float, Any, Any], dict[int, Any]]:
    """(overall accuracy, IoU and accuracy by class) as fractions, and by position the predicted maps to be drawn."""
    metric = build_metric()
    predictions: dict[int, Any] = {}
    runner = build_runner(config, metric, _build_hook(cell, protocol, test_images, predictions))
    try:
        runner.train()
        runner.test()
    except FloatingPointError as error:
        raise UserError(f"{protocol.id}: {error}; lower settings.learning_rate") from error
    finally:
        close_log(runner)
    return metric.measured, predictions


def build_runner(config: dict[str, Any], metric: Any, hook: Hook) -> Any:
    """mmengine's runner; its configuration is written to the working folder."""
    from mmengine.config import Config
    from mmengine.evaluator import Evaluator
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    register_transforms()
    work = Path(config["work_dir"])
    experiment = uuid.uuid4().hex  # mmengine keeps one logger, visualiser and message hub a name
    Config(config).dump(work / "config.py")
    with warnings.catch_warnings():
        # Two classes under a softmax are meant: one head for any number of categories.
        warnings.filterwarnings("ignore", message="For binary segmentation, we suggest")
        return runner_class(work / "log.txt")(
            **Config(config), test_evaluator=Evaluator(metric), custom_hooks=[hook], experiment_name=experiment
        )


def build_metric() -> Any:
    """MMSegmentation's IoU metric; when done, ``measured`` is (overall accuracy, IoU, accuracy by class), unrounded."""
    from mmseg.evaluation import IoUMetric

    class UnroundedIoUMetric(IoUMetric):
        """IoUMetric that also keeps its values by class; the toolbox rounds what it returns to two digits."""

        def compute_metrics(self, results: list[Any]) -> dict[str, float]:
            totals = [sum(areas) for areas in zip(*results, strict=True)]
            values = self.total_area_to_metrics(*totals, self.metrics)
            self.measured = (float(values["aAcc"]), np.asarray(values["IoU"]), np.asarray(values["Acc"]))
            returned: dict[str, float] = super().compute_metrics(results)
            return returned

    metric: IoUMetric = UnroundedIoUMetric(iou_metrics=["mIoU"], ignore_index=IGNORED, prefix="segmentation")
    return metric


def _build_hook(cell: Cell, protocol: SegmentationProtocol, test_images: int, predictions: dict[int, Any]) -> Hook:
    """Also keeps a few predictions."""
    shown = set(np.linspace(0, test_images - 1, min(SHOWN_IMAGES, test_images)).round().astype(int).tolist())

    def keep(number: int, outputs: Any) -> None:
        if number in shown:
            predictions[number] = outputs[0].pred_sem_seg.data.squeeze(0).cpu().numpy()

    return cell_hook(cell, protocol.settings.iterations, test_images, load_and_prove, keep)


def _draw(cell: Cell, images: Sequence[Path], maps: Sequence[Path], predictions: dict[int, Any]) -> None:
    pairs = []
    for position, predicted in sorted(predictions.items()):
        image = read_image(images[position])
        with Image.open(maps[position]) as truth:
            labels = np.asarray(truth)
        if cell.protocol.data.merge_categories:
            labels = merge_labels(labels)
        names = category_names(cell.data, cell.protocol.data.merge_categories)
        if cell.data.semantic_classes[0] != BACKGROUND_NAME:  # the pictures count from 1, 0 stays untinted
            labels, predicted = (np.where(values == IGNORED, IGNORED, values + 1) for values in (labels, predicted))
        pairs.append(
            (
                Panel(f"truth: {describe_semantic(labels, names)}", draw_semantic(image, labels)),
                Panel(f"predicted: {describe_semantic(predicted, names)}", draw_semantic(image, predicted)),
            )
        )
    save_sheet(cell.out / "predictions.png", pairs)
