"""The trainer: schedules, views, groups of weights, what is trained and what is not."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.classification.heads import Classifier, GridCell, build_optimiser
from benchmarks.classification.images import LabelledImages
from benchmarks.classification.schedule import rate_factor
from benchmarks.classification.top_k import top_k_accuracy
from benchmarks.classification.training import Task, grid_of, losses_of, train_grid, training_targets
from benchmarks.classification.views import Views, batches, in_order, shuffled, train_view
from benchmarks.classification.views import test_view as central_view
from benchmarks.protocols.classification import TrainSettings, ViewSettings
from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing, load_network
from transfer.networks.network import Backbone

SMALL = ViewSettings(size=32, resize=36)


@pytest.fixture
def coloured(tmp_path: Path) -> LabelledImages:
    """Twelve images of two colours, noisy: what a linear head tells apart."""
    rng = np.random.default_rng(0)
    paths = []
    for index in range(12):
        base = np.array([[200, 30, 30], [30, 30, 200]][index % 2])
        pixels = np.clip(base + rng.integers(-25, 25, (40, 48, 3)), 0, 255).astype(np.uint8)
        paths.append(tmp_path / f"{index:02d}.png")
        Image.fromarray(pixels).save(paths[-1])
    return LabelledImages(paths, np.arange(12) % 2, "coloured")


def make_task(backbone: Path, images: LabelledImages, settings: TrainSettings, views: ViewSettings = SMALL) -> Task:
    _, network = load_network(backbone)
    return Task(
        load=lambda: copy.deepcopy(network), preprocessing=Preprocessing(), train=images, val=images, test=images,
        classes=2, settings=settings, views=views, difficult="ignored",
        measure=lambda scores, own: top_k_accuracy(scores, torch.from_numpy(own.labels), 1),
    )  # fmt: skip


def test_steps_and_cosine_and_warmup() -> None:
    steps = TrainSettings(epochs=100, decay="step", steps=[60, 80], step_factor=0.1)
    factors = [rate_factor(steps, epoch * 5, 5) for epoch in (0, 59, 60, 79, 80, 99)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert rate_factor(steps, 299, 5) == 1.0
    cosine = TrainSettings(epochs=4, decay="cosine")
    assert [rate_factor(cosine, step, 2) for step in (0, 4, 8)] == pytest.approx([1.0, 0.5, 0.0])
    warm = TrainSettings(epochs=30, decay="step", warmup_epochs=2.0)
    assert [rate_factor(warm, step, 3) for step in (0, 2, 5, 6)] == pytest.approx([1 / 6, 0.5, 1, 1])


def test_a_view_depends_on_seed_epoch_and_position_only(coloured: LabelledImages) -> None:
    settings = ViewSettings(size=32, resize=36, jitter=0.4, lighting=0.1)
    views = Views(coloured.paths, settings, seed=1, epoch=0)
    first = [views[index] for index in range(4)]
    torch.manual_seed(99)
    state = torch.get_rng_state()
    again = [views[index] for index in reversed(range(4))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(views[0], Views(coloured.paths, settings, seed=2)[0])
    assert not torch.equal(views[0], Views(coloured.paths, settings, seed=1, epoch=1)[0])
    (stacked,) = batches(views, [[2, 0]])
    assert torch.equal(stacked, torch.stack([first[2], first[0]]))


def test_processes_that_load_change_nothing(coloured: LabelledImages, monkeypatch: pytest.MonkeyPatch) -> None:
    views, order = Views(coloured.paths, SMALL, seed=1), [[3, 1], [0, 2]]
    alone = list(batches(views, order))
    monkeypatch.setattr("benchmarks.classification.views._workers", lambda: 2)
    assert all(torch.equal(a, b) for a, b in zip(alone, batches(views, order), strict=True))
    coloured.paths[2].write_bytes(b"no image")
    with pytest.raises(UserError, match=r"^[^\n]*02\.png: cannot be decoded[^\n]*$"):
        list(batches(views, order))


def test_views_have_the_size_asked_for(coloured: LabelledImages) -> None:
    image = Image.open(coloured.paths[0])
    for train in ("random_resized_crop", "random_crop", "test"):
        for resize in (0, 36):
            view = ViewSettings(size=32, resize=resize, train=train)
            assert train_view(image, view).size == central_view(image, view).size == (32, 32)
    pixels = np.zeros((30, 60, 3), np.uint8)
    pixels[:, 15:45] = 255  # the central square
    centre = central_view(Image.fromarray(pixels), ViewSettings(size=30, resize=30))
    assert np.asarray(centre).min() == 255
    squeezed = central_view(Image.fromarray(pixels), ViewSettings(size=30, resize=0))
    assert np.asarray(squeezed)[:, 0].max() == 0


def test_batches_hold_every_position_once() -> None:
    order = shuffled(11, 4, seed=0, epoch=0)
    assert [len(batch) for batch in order] == [4, 4, 3]
    assert sorted(index for batch in order for index in batch) == list(range(11))
    assert order != shuffled(11, 4, seed=0, epoch=1) != shuffled(11, 4, seed=1, epoch=1)
    assert [len(batch) for batch in shuffled(9, 4, 0, 0, smallest=2)] == [4, 5]
    assert [len(batch) for batch in shuffled(1, 4, 0, 0, smallest=2)] == [1]
    assert in_order(5, 2) == [[0, 1], [2, 3], [4]]


def build(backbone: Path, settings: TrainSettings) -> tuple[Classifier, Backbone]:
    _, network = load_network(backbone)
    return Classifier(network, grid_of(settings)[0], 3, settings, 0, 64), network


def test_groups_have_their_rates_and_decays(tiny_backbone: Path) -> None:
    settings = TrainSettings(learning_rates=[0.2], head_lr_factors=[10.0], weight_decay=0.01, norm_weight_decay=0.0)
    classifier, network = build(tiny_backbone, settings)
    groups = build_optimiser(classifier).param_groups
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(0.2, 0.01), (0.2, 0.0), (2.0, 0.01)]
    assert sum(len(group["params"]) for group in groups) == len(list(classifier.parameters()))
    assert all(parameter.ndim == 1 for parameter in groups[1]["params"])
    assert len(groups[0]["params"]) + len(groups[1]["params"]) == len(list(network.parameters()))


def test_a_frozen_backbone_stays_as_it_is(tiny_backbone: Path, coloured: LabelledImages) -> None:
    loaded: list[Backbone] = []
    settings = TrainSettings(frozen=True, learning_rates=[0.1, 1.0], stages=["layer2", "layer4"], cells=2, epochs=2)
    task = make_task(tiny_backbone, coloured, settings)

    def load() -> Backbone:
        loaded.append(load_network(tiny_backbone)[1])
        return loaded[-1]

    best, results = train_grid(Task(**{**vars(task), "load": load}), seed=0)
    assert len(loaded) == 1  # one pass for the whole grid
    before = load_network(tiny_backbone)[1].state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in loaded[0].state_dict().items())
    assert [result.cell for result in results] == [
        GridCell(stage, rate, 1.0) for stage in ("layer2", "layer4") for rate in (0.1, 1.0)
    ]
    assert best.chosen_by == max(result.chosen_by or 0 for result in results)


def test_heads_of_a_grid_do_not_touch_each_other(tiny_backbone: Path, coloured: LabelledImages) -> None:
    """Trained side by side, each equals itself trained alone."""
    both = TrainSettings(frozen=True, learning_rates=[0.1, 1.0], epochs=2, batch_size=5)
    _, together = train_grid(make_task(tiny_backbone, coloured, both), seed=4)
    for result in together:
        alone = TrainSettings(frozen=True, learning_rates=[result.cell.learning_rate], epochs=2, batch_size=5)
        torch.testing.assert_close(
            train_grid(make_task(tiny_backbone, coloured, alone), seed=4)[0].scores, result.scores
        )


@pytest.mark.parametrize("frozen_norms", [False, True])
def test_fine_tuning_learns_and_norms_follow_the_setting(
    frozen_norms: bool, tiny_backbone: Path, coloured: LabelledImages
) -> None:
    # A small rate: at larger ones twelve images learn by chance, on one processor and not on the other.
    settings = TrainSettings(
        learning_rates=[0.003], epochs=12, batch_size=6, frozen_norms=frozen_norms, evaluate_every=4
    )
    task = make_task(tiny_backbone, coloured, settings, ViewSettings(size=32, resize=36, train="random_crop"))
    loaded: list[Backbone] = []

    def load() -> Backbone:
        loaded.append(load_network(tiny_backbone)[1])
        return loaded[-1]

    best, _ = train_grid(Task(**{**vars(task), "load": load}), seed=0)
    assert list(best.by_epoch) == [4, 8, 12]
    assert max(value or 0.0 for value in best.by_epoch.values()) == 100.0
    before = load_network(tiny_backbone)[1].state_dict()
    after = loaded[0].state_dict()
    assert not torch.equal(after["conv1.weight"], before["conv1.weight"])
    assert not torch.equal(after["bn1.weight"], before["bn1.weight"])
    assert torch.equal(after["bn1.running_mean"], before["bn1.running_mean"]) is frozen_norms


def test_a_diverged_cell_is_not_chosen(tiny_backbone: Path, coloured: LabelledImages) -> None:
    settings = TrainSettings(learning_rates=[1e30, 0.01], epochs=2, batch_size=6)
    best, results = train_grid(make_task(tiny_backbone, coloured, settings), seed=0)
    assert results[0].chosen_by is None
    assert best is results[1]
    alone = TrainSettings(learning_rates=[1e30], epochs=2, batch_size=6)
    with pytest.raises(UserError, match=r"diverged at every learning rate .*settings.train.learning_rates"):
        train_grid(make_task(tiny_backbone, coloured, alone), seed=0)


def test_the_validation_split_chooses_where_it_is_asked_to(tiny_backbone: Path, coloured: LabelledImages) -> None:
    settings = TrainSettings(frozen=True, learning_rates=[1e-6, 3.0], epochs=4, batch_size=6, choose_on="val")
    task = make_task(tiny_backbone, coloured, settings)
    flipped = LabelledImages(coloured.paths, 1 - coloured.labels, "flipped")
    best, results = train_grid(Task(**{**vars(task), "val": flipped}), seed=0)
    on_test = [result.by_epoch[4] for result in results]
    assert on_test[1] == 100.0
    assert results[1].chosen_by == 0.0
    assert best is results[0]


def test_difficult_objects_in_training() -> None:
    images = LabelledImages([Path("a")], np.array([[1, 0, -1]], np.int8), "x")
    assert training_targets(images, "positive").tolist() == [[1, 0, 1]]
    assert training_targets(images, "negative").tolist() == [[1, 0, 0]]
    assert training_targets(images, "ignored").isnan().tolist() == [[False, False, True]]


def test_pooled_cells_of_the_multi_stage_probe() -> None:
    """ResNet-50 at 224 pixels: 9,216 or 8,192 numbers a stage, as the published benchmark has them."""
    from transfer.networks.resnet import Architecture, build_resnet

    settings = TrainSettings(frozen=True, stages=["stem", "layer1", "layer2", "layer3", "layer4"], cells=2)
    classifier = Classifier(build_resnet(Architecture()), grid_of(settings)[0], 2, settings, 0, 224)
    assert [head.in_features for head in classifier.heads] == [9216, 9216, 8192, 9216, 8192]
    assert all(not norm.affine for norm in classifier.norms.values())  # type: ignore[union-attr]


def test_entries_that_do_not_count_have_no_gradient() -> None:
    """Multi-label: the mean over the entries that count; every head has its own."""
    logits = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0, torch.nan], [0.0, torch.nan, 1.0]])
    first, second = losses_of([logits, 2 * logits.detach()], targets)
    counted = [(1.0, 1), (-2.0, 0), (0.5, 0), (-1.0, 1)]
    expected = np.mean([np.log1p(np.exp(-value if wanted else value)) for value, wanted in counted])
    assert first.item() == pytest.approx(expected)
    assert second.item() != pytest.approx(expected)
    first.backward()
    assert logits.grad is not None
    assert (logits.grad == 0).tolist() == [[False, False, True], [False, True, False]]
    (plain,) = losses_of([logits.detach()], torch.tensor([2, 0]))
    assert plain.item() == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits.detach(), torch.tensor([2, 0])))
    )
