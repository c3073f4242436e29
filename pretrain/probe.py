"""A multi-label kNN probe of the backbone while it is learnt, where ``data.annotations`` gives labels.

It looks and touches nothing: the backbone is in eval mode meanwhile, no random number is drawn, and a run with the
probe is equal to the bit to one without.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from pretrain.data.annotations import KEY, multilabels
from pretrain.data.sources import ImageFiles
from pretrain.data.whole_images import loading_threads, whole_image_batches
from pretrain.methods.base import Method
from pretrain.recipes.recipe import Recipe
from pretrain.training_log import TrainingLog
from scenebench.errors import UserError
from scenebench.evaluation_mode import evaluation_mode
from scenebench.knn import multilabel_scores

BATCH = 64  # images at a time
TESTED = 5  # every fifth image is evaluated, the others are the bank


class KnnProbe:
    """Evaluates the kept backbone every ``probe.every_epochs`` epochs by weighted kNN, as the benchmarks do.

    The images are the same at every probe and for every seed of the recipe: ``probe.images`` of those with labels,
    drawn once and for all. They are pretraining images (their labels play no part in self-supervision), so the number
    tells how a run goes; it is no result.

    Raises:
        UserError: ``probe.every_epochs`` without ``data.annotations``, too few labelled images, or no category among
            those to be tested.
    """

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        self.recipe = recipe
        if recipe.probe.every_epochs is None:
            return
        if not recipe.data.annotations:
            raise UserError(
                f"probe.every_epochs: {recipe.probe.every_epochs} needs labels; add {KEY}=FILE, a COCO instances JSON, "
                "or set probe.every_epochs=null"
            )
        labels, labelled = multilabels(recipe.data.annotations, images)
        candidates = labelled.nonzero().flatten().numpy()
        chosen = np.random.default_rng(0).permutation(candidates)[: recipe.probe.images]
        bank = len(chosen) - len(chosen[::TESTED])
        if bank < recipe.probe.k:
            raise UserError(
                f"probe.k: {recipe.probe.k} neighbours, but the bank holds only {bank} labelled images; lower probe.k, "
                "raise probe.images or give more annotations"
            )
        self.images = [images[index] for index in chosen]
        self.labels = labels[torch.from_numpy(chosen)]
        if not self.labels[::TESTED].any():
            raise UserError(
                f"{KEY}: none of the {len(chosen[::TESTED])} images that the probe evaluates holds an object"
            )

    def at_epoch_boundary(self, method: Method, step: int, training_log: TrainingLog) -> None:
        """Evaluate and report, if a probe is due after ``step`` finished steps and not yet in the log.

        To be called wherever an epoch has just ended or a run goes on, in one process.
        """
        every = self.recipe.probe.every_epochs
        if every is None or step == 0 or step % (every * training_log.steps_per_epoch):
            return
        if step in training_log.probed_steps:
            return
        started = time.monotonic()
        value = self.measure(method)
        if value is not None:
            training_log.report_probe(step, value, time.monotonic() - started)

    def measure(self, method: Method) -> float | None:
        """mAP of the tested images, in percent, by their neighbours in the bank; None where too few can be decoded."""
        from scenebench.mean_average_precision import mean_average_precision  # scikit-learn: only where it is needed

        probe = self.recipe.probe
        read, features = self._features(method)
        tested = torch.tensor([index % TESTED == 0 for index in read], dtype=torch.bool)
        if not tested.any() or tested.all():
            return None
        labels = self.labels[read]
        k = min(probe.k, int((~tested).sum()))
        scores = multilabel_scores(features[~tested], labels[~tested], features[tested], k, probe.temperature)
        return mean_average_precision(labels[tested].numpy(), scores.numpy())[0]

    def _features(self, method: Method) -> tuple[list[int], Tensor]:
        """Which images could be decoded, and their pooled features, on the CPU."""
        read: list[int] = []
        features: list[Tensor] = []
        with evaluation_mode(method.backbone), torch.no_grad():
            threads = loading_threads(self.recipe.data)
            for indices, pixels in whole_image_batches(self.images, self.recipe.probe.resolution, BATCH, threads):
                read += indices
                features.append(method.backbone(method.normalised(pixels)).float().cpu())
        return read, torch.cat(features) if features else torch.empty(0, 0)
