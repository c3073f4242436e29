"""Random and oracle pseudo-labels: against slow oracles, with every option they meet, and through a stop."""

from __future__ import annotations

import json
import os
import signal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from method_batches import BATCH, batch_of
from PIL import Image
from several_processes import train_in
from torch import Tensor

from pretrain.checkpoint import load_checkpoint
from pretrain.dictionary import NO_IMAGE, PairedDictionary
from pretrain.methods.mls import Mls
from pretrain.pseudo_labels import labels_of_slots, oracle_labels, random_labels, rarity
from pretrain.recipes.recipe import Recipe, load_recipe
from pretrain.stopping import Stopped
from pretrain.train import pretrain
from scenebench.errors import UserError

B, D, C, COUNT, K = 6, 40, 5, 22, 3
SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", "schedule.batch_size=4", "schedule.epochs=3",
    "views.crop_size=32", "run.log_every=1", "run.tensorboard=false", "mls.dictionary_size=16", f"mls.k={K}",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of images and their annotations; the last image holds nothing."""
    folder = tmp_path_factory.mktemp("data") / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(COUNT):
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((48, 40)).save(
            folder / f"{index:02d}.png"
        )
    labels = rng.random((COUNT - 1, C)) < np.array([0.7, 0.4, 0.3, 0.2, 0.1])
    content = {
        "images": [{"id": i, "file_name": f"{i:02d}.png", "width": 48, "height": 40} for i in range(COUNT)],
        "categories": [{"id": column, "name": str(column)} for column in range(C)],
        "annotations": [
            {"id": 100 * i + c, "image_id": i, "category_id": c, "bbox": [4 * c, 2 * c, 20, 18]}
            for i, c in np.argwhere(labels).tolist()
        ],
    }
    (folder.parent / "instances.json").write_text(json.dumps(content))
    return folder, folder.parent / "instances.json"


@pytest.fixture(autouse=True)
def _without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pretrain.train.draw_figures", lambda *_: [])


def recipe_of(data: tuple[Path, Path], *overrides: str) -> Recipe:
    return load_recipe("mls_demo", [*SMALL, f"data.root={data[0]}", f"data.annotations={data[1]}", *overrides])


def build(data: tuple[Path, Path], *overrides: str) -> Mls:
    torch.manual_seed(0)
    return Mls(recipe_of(data, *overrides), sorted(data[0].iterdir())).train()


def fill(method: Mls, steps: int = 4) -> None:
    for step in range(steps):
        method.training_step(batch_of(seed=100 + step, images=COUNT))
        method.after_step()


# --- the functions ---------------------------------------------------------------------------------------------------


def test_rarity_is_the_inverse_frequency() -> None:
    labels = torch.zeros(12, 4, dtype=torch.bool)
    labels[:, 0], labels[:3, 1], labels[:5, 2] = True, True, True
    assert rarity(labels).tolist() == [1024, 4 * 1024, round(12 / 5 * 1024), 0]


def slow_oracle(
    queries: Tensor, slots: Tensor, ages: list[int], weights: list[int], excluded: Tensor, k: int
) -> Tensor:
    """Sorted by exact fractions of whole numbers, one slot after the other."""
    labels = torch.zeros(len(queries), len(slots), dtype=torch.bool)
    for b in range(len(queries)):
        ranked = []
        for d in range(len(slots)):
            common = sum(Fraction(weights[c], 1024) for c in range(C) if queries[b, c] and slots[d, c])
            if common > 0 and not excluded[b, d]:
                ranked.append((-common, ages[d], d))
        for _, _, d in sorted(ranked)[:k]:
            labels[b, d] = True
    return labels


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 4, 40])
def test_oracle_labels_are_those_of_a_slow_sort(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.random((60, C)) < np.array([0.8, 0.5, 0.3, 0.1, 0.02]))
    queries = torch.from_numpy(rng.random((B, C)) < 0.4)
    queries[0] = False  # an image without a category has no positive
    ids = torch.from_numpy(rng.integers(0, 60, D))
    ids[3:9] = NO_IMAGE
    slots = labels_of_slots(images, ids)
    assert not slots[3:9].any()
    excluded = torch.from_numpy(rng.random((B, D)) < 0.2)
    ages = torch.from_numpy(rng.permutation(D))
    weights = rarity(images)
    found = oracle_labels(queries, slots, weights, ages, k, excluded)
    assert torch.equal(found, slow_oracle(queries, slots, ages.tolist(), weights.tolist(), excluded, k))
    assert not found[0].any()
    assert not found[:, 3:9].any(), "slots without an image are never positive"
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(oracle_labels(queries, slots, weights, ages, k, excluded), found)


def test_one_rare_category_in_common_is_more_than_a_common_one_and_ties_go_to_the_youngest() -> None:
    images = torch.zeros(100, 2, dtype=torch.bool)
    images[:90, 0], images[88:92, 1] = True, True
    query = torch.tensor([[True, True]])
    slots = images[torch.tensor([0, 91, 1, 89])]  # common, rare, common, both
    found = [
        oracle_labels(query, slots, rarity(images), torch.tensor(ages), k).nonzero()[:, 1].tolist()
        for ages, k in (([0, 1, 2, 3], 1), ([0, 1, 2, 3], 2), ([0, 1, 2, 3], 3), ([2, 1, 0, 3], 3))
    ]
    assert found == [[3], [1, 3], [0, 1, 3], [1, 2, 3]]


def test_ages_count_from_the_newest_key() -> None:
    dictionary = PairedDictionary(6, 3)
    keys = torch.randn(2, 3)
    for _ in range(4):  # the fourth batch takes the first two slots again
        dictionary.enqueue(keys, keys, torch.tensor([1, 2]), torch.zeros(2, 4))
    assert dictionary.ages().tolist() == [1, 0, 5, 4, 3, 2]


def test_random_labels_are_k_allowed_slots_each_equally_often() -> None:
    torch.manual_seed(0)
    excluded = torch.zeros(4000, 10, dtype=torch.bool)
    excluded[:, 2] = True
    excluded[0, 1:] = True
    labels = random_labels(4000, 10, 3, excluded)
    assert labels[0].tolist() == [True] + [False] * 9
    assert labels[1:].sum(dim=1).unique().tolist() == [3]
    shares = labels[1:].double().mean(dim=0)
    assert shares[2] == 0
    others = torch.cat([shares[:2], shares[3:]])
    assert torch.allclose(others, torch.full_like(others, 3 / 9), atol=0.03)
    torch.manual_seed(0)
    assert torch.equal(random_labels(4000, 10, 3, excluded), labels), "the generator's state is all there is to it"


# --- within the method -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["before", "after", "slot_shifted"])
@pytest.mark.parametrize("dictionaries", ["paired", "g_only", "z_only"])
@pytest.mark.parametrize("own_view", ["out", "in"])
def test_oracle_labels_with_every_order_and_dictionary(
    data: tuple[Path, Path], order: str, dictionaries: str, own_view: str
) -> None:
    keys_of = [f"mls.order={order}", f"mls.dictionaries={dictionaries}", f"mls.own_view={own_view}"]
    method = build(data, "mls.labels=oracle", *keys_of)
    fill(method, 3)  # a quarter of the slots still holds no image
    batch = batch_of(seed=5, images=COUNT)
    features, embeddings, keys = method.encode(batch)
    scores, labels, excluded = method.scores_and_labels(features, embeddings, keys)
    topk = build(data, *keys_of)
    topk.load_state_dict(method.state_dict())
    expected, _, same_excluded = topk.scores_and_labels(features, embeddings, keys)
    assert torch.equal(scores, expected), "labels change the labels alone"
    now = method.dictionary
    ids, position = now.image_ids.clone(), now.position
    if order != "before":
        ids[position : position + BATCH], position = batch.indices, (position + BATCH) % now.size
    if excluded is not None:
        assert same_excluded is not None
        assert torch.equal(excluded, same_excluded)
    allowed = torch.zeros_like(labels) if excluded is None else excluded
    annotated = method.image_labels
    ages = [(position - 1 - d) % now.size for d in range(now.size)]
    slots = torch.stack([annotated[i] if i >= 0 else torch.zeros(C, dtype=torch.bool) for i in ids.tolist()])
    weights = rarity(annotated).tolist()
    assert torch.equal(labels, slow_oracle(annotated[batch.indices], slots, ages, weights, allowed, K))
    assert labels.any()
    if order == "before":
        assert not labels[:, 12:].any(), "slots without an image"
    method.training_step(batch)[0].backward()


def test_the_truth_is_that_of_the_annotations(data: tuple[Path, Path]) -> None:
    method = build(data, "mls.labels=oracle")
    annotations = json.loads(data[1].read_text())["annotations"]
    held = {(a["image_id"], a["category_id"]) for a in annotations}
    assert {tuple(pair) for pair in method.image_labels.nonzero().tolist()} == held
    assert build(data).image_labels.shape == (COUNT, 0)
    assert method.state_dict().keys() == build(data).state_dict().keys()


def test_what_oracle_labels_need(data: tuple[Path, Path], tmp_path: Path) -> None:
    images = sorted(data[0].iterdir())
    with pytest.raises(UserError, match="data.annotations: mls.labels=oracle needs labels; add data.annotations=FILE"):
        Mls(recipe_of(data, "mls.labels=oracle", "data.annotations="), images)
    fewer = json.loads(data[1].read_text())
    fewer["images"] = [one for one in fewer["images"] if one["id"] != 4]
    fewer["annotations"] = [one for one in fewer["annotations"] if one["image_id"] != 4]
    (tmp_path / "fewer.json").write_text(json.dumps(fewer))
    with pytest.raises(UserError, match=r"does not list 1 of the 22 images .*04.png\), but mls.labels=oracle needs"):
        Mls(recipe_of(data, "mls.labels=oracle", f"data.annotations={tmp_path / 'fewer.json'}"), images)
    for labels in ("random", "oracle"):
        with pytest.raises(UserError, match=f"mls.labels: {labels} has no effect with mls.loss=infonce"):
            recipe_of(data, f"mls.labels={labels}", "mls.loss=infonce")
    with pytest.raises(UserError, match="mls.labels: unknown value 'orakel'"):
        recipe_of(data, "mls.labels=orakel")


def test_only_the_oracle_reads_labels_and_annotations_are_part_of_what_it_learns_from(data: tuple[Path, Path]) -> None:
    assert not recipe_of(data).reads_labels()
    assert not recipe_of(data, "mls.labels=random").reads_labels()
    assert recipe_of(data, "mls.labels=oracle").places()["annotations"] == str(data[1])
    identities = [recipe_of(data, f"mls.labels={labels}").identity() for labels in ("topk", "random", "oracle")]
    assert identities[0] == recipe_of(data).identity()
    assert [one["mls"].get("labels") for one in identities] == [None, "random", "oracle"]


def weights_of(run: Path) -> dict[str, Tensor]:
    state = load_checkpoint(run / "checkpoints")
    assert state is not None
    return {name: value for name, value in state["method"].items() if isinstance(value, Tensor)}


@pytest.mark.parametrize("labels", ["random", "oracle"])
def test_a_stopped_run_ends_equal_to_the_bit(
    labels: str, data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(data, f"mls.labels={labels}", "mls.reduction=balanced", "diagnostics.every_epochs=1")
    pretrain(recipe, tmp_path / "whole")
    steps, original = [], Mls.training_step

    def stopping(self: Mls, batch: object) -> object:
        steps.append(1)
        if len(steps) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Mls, "training_step", stopping)
    with pytest.raises(Stopped):
        pretrain(recipe, tmp_path / "parts")
    pretrain(recipe, tmp_path / "parts")
    whole, parts = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    for table in ("pseudo_labels.csv", "by_category.csv"):
        files = [tmp_path / run / "diagnostics" / table for run in ("whole", "parts")]
        assert files[0].read_bytes() == files[1].read_bytes()
    pretrain(recipe_of(data, f"mls.labels={labels}", "mls.reduction=balanced"), tmp_path / "unwatched")
    assert all(torch.equal(value, whole[name]) for name, value in weights_of(tmp_path / "unwatched").items())


def test_two_processes_equal_one(data: tuple[Path, Path], tmp_path: Path) -> None:
    common = [
        *SMALL, f"data.root={data[0]}", f"data.annotations={data[1]}", "schedule.epochs=1", "schedule.batch_size=8",
        "run.precision=float64", "views.jitter_p=0", "optimiser.name=sgd", "optimiser.lr=0.05",
    ]  # fmt: skip
    variants = {
        "random": ["mls.labels=random", "mls.reduction=sum"],
        "oracle": ["mls.labels=oracle", "mls.reduction=balanced", "mls.order=slot_shifted"],
    }
    jobs = [(tmp_path / "two" / name, "mls_demo", [*common, *keys]) for name, keys in variants.items()]
    (tmp_path / "two").mkdir()
    done = train_in(2, tmp_path, jobs)
    assert done.returncode == 0, done.stderr[-3000:]
    for name, keys in variants.items():
        pretrain(load_recipe("mls_demo", [*common, *keys]), tmp_path / "one" / name)
        one, two = weights_of(tmp_path / "one" / name), weights_of(tmp_path / "two" / name)
        assert all(torch.allclose(value.double(), two[key].double(), atol=1e-9) for key, value in one.items()), name
        logs = [
            [json.loads(line) for line in (tmp_path / where / name / "log.jsonl").read_text().splitlines()]
            for where in ("one", "two")
        ]
        for first, second in zip(*logs, strict=True):
            assert first.keys() == second.keys()
            told = [key for key in first if key not in ("images_per_second", "data_wait_share")]
            assert {"infonce_top1", "gradient_share", "gradient_share_positives", "bce_over_ln2"} <= set(told)
            assert [first[key] for key in told] == pytest.approx([second[key] for key in told], abs=1e-8)
