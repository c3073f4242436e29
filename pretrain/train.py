"""The training loop. One loop for every method; exact resume; a clean stop.

``pretrain(recipe, out)`` called again on the same folder returns at once where the run is finished and otherwise goes
on from the newest checkpoint. On the CPU the result is bit-equal to that of an uninterrupted run: the state of the
method (weights, momentum copy, dictionaries, saliency cache), of the optimiser and of torch's generator is
checkpointed, the learning rate is a function of the step, and what a sample looks like is a function of seed, epoch and
its position in the epoch.
"""

from __future__ import annotations

import signal
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from pretrain.checkpoint import load_checkpoint, restore, save_checkpoint
from pretrain.computer import check_device, check_processes, set_up_fabric
from pretrain.data.loading import PretrainDataset, build_loader
from pretrain.data.sources import ImageFile, search_images
from pretrain.data.sources.checks import check_images
from pretrain.data.sources.description import describe_source
from pretrain.diagnostics.during_training import Diagnostics
from pretrain.distributed import (
    AnyProcess,
    GroupedStatistics,
    barrier,
    is_main,
    mean_over_processes,
    only_main,
    synchronise_batch_norm,
    world_size,
)
from pretrain.figures import draw_figures
from pretrain.methods.base import PREPROCESSING, Method, build_method
from pretrain.networks import groups_here
from pretrain.optimiser import build_optimiser, learning_rate, peak_rate
from pretrain.probe import KnnProbe
from pretrain.recipes.recipe import Recipe
from pretrain.run_data import RunData, require_data_of_finished, require_same_data
from pretrain.run_folder import BACKBONE, CHECKPOINTS, changed_places, check_owner, claimed
from pretrain.start import Start, resolve_start, take_over
from pretrain.step import FirstNotFinite, TrainingStep
from pretrain.stopping import Stopped, StopRequest
from pretrain.training_log import TrainingLog
from scenebench.errors import UserError
from scenebench.locking import only_process
from transfer.backbone_file import BackboneInfo, save_backbone


def pretrain(recipe: Recipe, out: Path | str) -> Path:
    """Learn a backbone, or go on learning it.

    Args:
        out: the run's folder: recipe.yaml (resolved), log.jsonl, tensorboard/, checkpoints/, figures/ and, last,
            backbone.safetensors.

    Returns:
        The backbone file.

    Raises:
        UserError: no usable images, a folder of another run, a device that does not exist, weights to start from that
            are missing or do not fit, a loss that is not finite.
        Stopped: (a SystemExit) after SIGTERM or Ctrl-C, once the step is finished and saved.
    """
    out = Path(out)
    recipe, start = resolve_start(recipe, out)
    is_finished = check_owner(out, recipe)
    if is_finished and not changed_places(out, recipe):
        return _say_finished(out)
    check_device(recipe)
    check_processes(recipe)
    found = search_images(recipe.data.root, recipe.data.images, out)  # before anything is written
    images = found.images
    if is_finished:
        require_data_of_finished(out, recipe, images)
        return _say_finished(out)
    if recipe.about.trains:
        check_images(recipe, images)
    fabric = set_up_fabric(recipe)
    if is_main():
        print(f"{recipe.name}: {found.line}", flush=True)
    any_process = AnyProcess()
    with only_process(out, partial(print, flush=True)) if is_main() else nullcontext():
        # Another command may have finished it meanwhile.
        if any_process.any(is_main() and check_owner(out, recipe)):
            if is_main() and changed_places(out, recipe):
                require_data_of_finished(out, recipe, images)
            return _say_finished(out)
        run = _Run(recipe, images, out, fabric, any_process, start)
        with claimed(out, recipe) if is_main() else nullcontext():
            run.train()
    return out / BACKBONE


class _Run:
    """One process's part of a run."""

    def __init__(
        self,
        recipe: Recipe,
        images: list[ImageFile],
        out: Path,
        fabric: Fabric,
        any_process: AnyProcess,
        start: Start | None,
    ) -> None:
        if recipe.run.threads is not None:
            torch.set_num_threads(recipe.run.threads)
        self.recipe = recipe
        self.out = out
        self.images = images
        self.source = describe_source(images)
        self.fabric = fabric
        self.any_process = any_process
        self.probe = KnnProbe(recipe, images)
        self.diagnostics = Diagnostics(recipe, images, out)
        self.method: Method = build_method(recipe, images)
        self.grouped_statistics: GroupedStatistics | None = None
        if recipe.network.bn_groups == 1:
            synchronise_batch_norm(self.method, fabric.device)
        elif world_size() > 1:
            self.grouped_statistics = GroupedStatistics(self.method, groups_here(recipe))
        self.first_not_finite = FirstNotFinite(fabric.device)
        self.step = 0
        self.total_steps = 0
        self.data = RunData.found(recipe, images, self.source)
        # Read before the recipe of the folder is replaced: the run may have been another's.
        self.saved = load_checkpoint(out / CHECKPOINTS) if self.method.trains else None
        self.places_before = changed_places(out, recipe)
        if self.saved is not None:
            require_same_data(RunData.kept(self.saved), self.data, recipe, out)
        elif recipe.init_from:
            self._say(take_over(self.method, recipe, start, self.data))

    def train(self) -> None:
        """All steps that are left, then the figures and the backbone."""
        if self.method.trains:
            self._train_steps()
        else:
            self.method.to(self.fabric.device)
        self.method.finish()
        with only_main() as is_mine:
            if not is_mine:
                return
            figures = self.out / "figures"
            figures.mkdir(exist_ok=True)
            draw_figures(self.method, figures, self.recipe.schedule.epochs if self.method.trains else 0)
            self.diagnostics.draw(figures)
            info = self._backbone_info()
            save_backbone(self.out / BACKBONE, self.method.backbone.state_dict(), info)
            print(f"{self.recipe.name}: finished; the backbone is {self.out / BACKBONE}", flush=True)

    def _train_steps(self) -> None:
        recipe = self.recipe
        dataset = PretrainDataset(recipe, self.images, self.method.local_box_sampler())
        steps_per_epoch = dataset.steps_per_epoch
        self.total_steps = recipe.schedule.epochs * steps_per_epoch
        optimiser = build_optimiser(recipe.optimiser, self.method.parameters())
        if recipe.run.compile:
            for module in self.method.modules():
                if hasattr(module, "architecture"):  # a backbone, of either kind
                    module.compile()
        step_module, optimiser = self.fabric.setup(self.method, optimiser)
        self._resume(optimiser)
        training_step = TrainingStep(
            recipe, self.method, optimiser, step_module, self.fabric.backward, self.grouped_statistics
        )
        peak = peak_rate(recipe.optimiser, recipe.schedule)
        with StopRequest() as stop:
            training_log = TrainingLog(self.out, recipe, self.step, steps_per_epoch, quiet=not is_main())
            try:
                while self.step < self.total_steps:
                    epoch, position = divmod(self.step, steps_per_epoch)
                    self._look(training_log)
                    self.method.on_epoch_start(epoch)
                    batches = iter(build_loader(recipe, dataset, epoch, position))
                    for _ in range(position, steps_per_epoch):
                        asked = time.monotonic()
                        batch = next(batches)
                        training_log.waited(time.monotonic() - asked)
                        lr = learning_rate(peak, recipe.schedule, self.step, steps_per_epoch)
                        report_due = (self.step + 1) % recipe.run.log_every == 0 or self.step + 1 == self.total_steps
                        loss, log = training_step(batch, lr, report_due)
                        self.first_not_finite.note(loss, self.step)
                        self.step += 1
                        if self.fabric.device.type == "cpu" or report_due:  # asking a GPU means waiting for it
                            self._require_finite_losses(dataset)
                        if report_due:
                            training_log.report(self.step, _means(loss, lr, log))
                        if self.any_process.any(stop.signal_number is not None):
                            self._save(optimiser, dataset)
                            self._say(
                                f"stopped and saved at step {self.step} of {self.total_steps}; "
                                "the same command goes on from there"
                            )
                            barrier()  # torchrun ends the others as soon as one of them has left
                            raise Stopped(stop.signal_number or signal.SIGTERM)
                        if self._checkpoint_due(steps_per_epoch):
                            self._save(optimiser, dataset)
                self._look(training_log)
            finally:
                training_log.close()

    def _look(self, training_log: TrainingLog) -> None:
        """What is measured between two epochs, by one process; it changes nothing."""
        with only_main() as is_mine:
            if is_mine:
                self.probe.at_epoch_boundary(self.method, self.step, training_log)
                training_log.paused(
                    self.diagnostics.at_epoch_boundary(self.method, self.step, training_log.steps_per_epoch)
                )

    def _checkpoint_due(self, steps_per_epoch: int) -> bool:
        run = self.recipe.run
        by_epoch = self.step % (steps_per_epoch * run.checkpoint_every_epochs) == 0
        by_step = run.checkpoint_every_steps is not None and self.step % run.checkpoint_every_steps == 0
        return by_epoch or by_step or self.step == self.total_steps

    def _save(self, optimiser: Any, dataset: PretrainDataset) -> None:
        self._require_finite_losses(dataset)
        broken = [name for name, value in self.method.named_parameters() if not bool(torch.isfinite(value).all())]
        if broken:
            self._stop_not_finite(f"parameter {broken[0]}", self.step)
        if not is_main():
            return
        state = {
            "step": self.step,
            **self.data.to_keep(),
            "method": self.method.state_dict(),
            "optimiser": optimiser.state_dict(),
            "torch_rng": torch.get_rng_state(),  # no device's: whatever is drawn is drawn on the CPU
        }
        save_checkpoint(self.out / CHECKPOINTS, self.step, state)

    def _resume(self, optimiser: Any) -> None:
        """Take the state of the checkpoint. The number of processes may be another: N of them equal one."""
        state, self.saved = self.saved, None
        if state is None:
            return
        restore(self.method, state["method"], self.out)
        optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["torch_rng"])
        self.step = int(state["step"])
        changes = [f"{key} is {now} now, {before} before" for key, (before, now) in self.places_before.items()]
        self._say("; ".join([f"going on from step {self.step} of {self.total_steps}", *changes]))

    def _say(self, text: str) -> None:
        if is_main():
            print(f"{self.recipe.name}: {text}", flush=True)

    def _require_finite_losses(self, dataset: PretrainDataset) -> None:
        """Waits for the device, so it is asked where a step is reported or saved, not at each."""
        step = self.first_not_finite.step()
        if step is not None:
            names = [self.images[index].name for index in dataset.images_of(*divmod(step, dataset.steps_per_epoch))]
            self._stop_not_finite("loss", step, f" on the batch {', '.join(names)}")

    def _stop_not_finite(self, what: str, step: int, files: str = "") -> None:
        raise UserError(
            f"{self.out}: the {what} is not finite at step {step}{files}; lower optimiser.lr or use "
            "run.precision=float32; the last good checkpoint is kept"
        )

    def _backbone_info(self) -> BackboneInfo:
        recipe = self.recipe
        return BackboneInfo(
            architecture=self.method.backbone.architecture,
            preprocessing=PREPROCESSING,
            method=recipe.method,
            branch=self.method.branch,
            dataset=self.source.name,
            dataset_fingerprint=self.source.fingerprint,
            epochs=recipe.schedule.epochs if self.method.trains else 0,
            images_seen=self.step * recipe.schedule.batch_size,
            seed=recipe.seed,
            recipe_name=recipe.name,
            recipe=recipe.to_plain(),
        )


def _means(loss: Tensor, lr: float, log: dict[str, Tensor]) -> dict[str, float]:
    """What a line of the log says of a step, over all processes."""
    means = {key: float(mean_over_processes(value.detach())) for key, value in {"loss": loss, **log}.items()}
    return {"loss": means.pop("loss"), "lr": lr, **means}


def _say_finished(out: Path) -> Path:
    print(f"{out}: finished before; nothing to do", flush=True)
    return out / BACKBONE
