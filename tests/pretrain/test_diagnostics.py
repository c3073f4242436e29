"""Diagnostics: measures against slow oracles, what is written and when, and that training does not notice them."""

from __future__ import annotations

import copy
import json
import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from method_batches import own_keys
from miniatures import build_salient_objects
from PIL import Image
from safetensors.torch import load_file

from pretrain.data.images import decode_image
from pretrain.data.loading import PretrainDataset
from pretrain.data.views import resize
from pretrain.diagnostics.during_training import Diagnostics
from pretrain.diagnostics.figure import draw_pseudo_labels
from pretrain.diagnostics.files import read_rows, replace_rows
from pretrain.diagnostics.measures import category_precision, pseudo_label_quality, saliency_quality
from pretrain.diagnostics.mls_causes import pseudo_label_causes
from pretrain.methods.mls import Mls
from pretrain.methods.saliency.method import Saliency
from pretrain.pseudo_labels import oracle_scores, rarity
from pretrain.recipes.method_registry import method_class
from pretrain.recipes.recipe import Recipe, load_recipe
from pretrain.saliency import activation_maps
from pretrain.stopping import Stopped
from pretrain.train import pretrain
from scenebench.errors import UserError
from scenebench.salient_quality import salient_quality

COUNT, CATEGORIES, STEPS = 22, 3, 5
SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", "schedule.batch_size=4", "schedule.epochs=3",
    "views.crop_size=32", "run.log_every=1", "mls.dictionary_size=16", "mls.k=2", "moco.queue_size=16",
    "saliency.map_input_size=64", "diagnostics.images=12", "diagnostics.ks=[1,4,400]",
]  # fmt: skip
ON = "diagnostics.every_epochs=1"
WEIGHTS = torch.tensor([1024, 2000, 5000, 30000])


# --- the measures ----------------------------------------------------------------------------------------------------


def made_up(seed: int) -> tuple[torch.Tensor, ...]:
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.normal(size=(7, 19)).astype(np.float32))
    queries, slots = (torch.from_numpy(rng.random((count, 4)) < 0.3) for count in (7, 19))
    excluded = torch.from_numpy(rng.random((7, 19)) < 0.2)
    queries[0] = False  # a query without a category counts nowhere
    slots[:5] = False  # slots that hold no image
    queries[1], slots[:, 3] = torch.tensor([False, False, False, True]), False  # nothing to find for this one
    return scores, queries, slots, excluded


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 3, 19, 50])
def test_pseudo_labels_are_those_of_a_slow_count(seed: int, k: int) -> None:
    scores, queries, slots, excluded = made_up(seed)
    precision, recall, chance, chance_recall = [], [], [], []
    for b in range(len(queries)):
        if not queries[b].any():
            continue
        left = [d for d in range(len(slots)) if not excluded[b, d]]
        shares = [d for d in left if any(bool(queries[b, c] and slots[d, c]) for c in range(4))]
        picked = sorted(left, key=lambda d: -float(scores[b, d]))[:k]
        hits = sum(d in shares for d in picked)
        precision.append(hits / len(picked))
        chance.append(len(shares) / len(left))
        if shares:
            recall.append(hits / len(shares))
            chance_recall.append(len(picked) / len(left))
    (found,) = pseudo_label_quality(scores, queries, slots, excluded, [k], WEIGHTS)
    expected = [np.mean(values) for values in (precision, recall, chance, chance_recall)]
    assert [found.precision, found.recall, found.chance_precision, found.chance_recall] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 3, 50])
def test_precision_weighed_by_rarity_is_that_of_a_slow_count(seed: int, k: int) -> None:
    scores, queries, slots, excluded = made_up(seed)
    own, chance = [], []
    for b in range(len(queries)):
        if not queries[b].any():
            continue

        def overlap(d: int, b: int = b) -> float:
            common = [float(WEIGHTS[c]) for c in range(4) if queries[b, c] and slots[d, c]]
            return sum(common) / sum(float(WEIGHTS[c]) for c in range(4) if queries[b, c])

        left = [d for d in range(len(slots)) if not excluded[b, d]]
        own.append(np.mean([overlap(d) for d in sorted(left, key=lambda d: -float(scores[b, d]))[:k]]))
        chance.append(np.mean([overlap(d) for d in left]))
    (found,) = pseudo_label_quality(scores, queries, slots, excluded, [k], WEIGHTS)
    assert [found.weighed_precision, found.chance_weighed_precision] == pytest.approx([np.mean(own), np.mean(chance)])


def test_a_common_category_counts_for_less_than_a_rare_one() -> None:
    """A query of a person and a rare thing: a pick with the person alone is right, and weighs little."""
    images = torch.zeros(100, 2, dtype=torch.bool)
    images[:, 0], images[:4, 1] = True, True
    queries, slots, none = images[:1], images[[50, 1]], torch.zeros(1, 2, dtype=torch.bool)
    found = [
        pseudo_label_quality(torch.tensor([scores]), queries, slots, none, [1], rarity(images))[0]
        for scores in ([1.0, 0.0], [0.0, 1.0])
    ]
    assert [one.precision for one in found] == [1.0, 1.0]
    assert [one.weighed_precision for one in found] == pytest.approx([1 / 26, 1.0])
    assert found[0].chance_weighed_precision == pytest.approx((1 / 26 + 1) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_precision_by_category_is_that_of_a_slow_count(seed: int) -> None:
    scores, queries, slots, excluded = made_up(seed)
    shares, chances, holding = category_precision(scores, queries, slots, excluded, 3)
    for c in range(4):
        own, chance = [], []
        for b in range(len(queries)):
            if queries[b, c]:
                left = [d for d in range(len(slots)) if not excluded[b, d]]
                picked = sorted(left, key=lambda d: -float(scores[b, d]))[:3]
                own.append(np.mean([bool(slots[d, c]) for d in picked]))
                chance.append(np.mean([bool(slots[d, c]) for d in left]))
        assert int(holding[c]) == len(own)
        assert float(shares[c]) == pytest.approx(np.mean(own) if own else math.nan, nan_ok=True)
        assert float(chances[c]) == pytest.approx(np.mean(chance) if chance else math.nan, nan_ok=True)


def test_picks_by_the_labels_themselves_are_perfect_and_random_ones_are_chance() -> None:
    rng = np.random.default_rng(0)
    queries, slots = (torch.from_numpy(rng.random((count, 4)) < 0.3) for count in (300, 400))
    excluded = torch.zeros(300, 400, dtype=torch.bool)
    related = (queries.double() @ slots.double().T) > 0
    (perfect,) = pseudo_label_quality(related.double(), queries, slots, excluded, [5], WEIGHTS)
    assert perfect.precision == 1.0
    scores = oracle_scores(queries, slots, WEIGHTS, torch.arange(400))
    (known,) = pseudo_label_quality(scores, queries, slots, excluded, [5], WEIGHTS)
    assert known.precision == 1.0
    assert known.weighed_precision > perfect.weighed_precision
    (blind,) = pseudo_label_quality(torch.from_numpy(rng.random((300, 400))), queries, slots, excluded, [20], WEIGHTS)
    assert blind.weighed_precision == pytest.approx(blind.chance_weighed_precision, abs=0.02)
    assert blind.precision == pytest.approx(blind.chance_precision, abs=0.02)
    assert blind.recall == pytest.approx(blind.chance_recall, abs=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_saliency_is_that_of_a_slow_count(seed: int) -> None:
    """Maps of the masks' own size, so that nothing is enlarged."""
    rng = np.random.default_rng(seed)
    maps, masks = rng.random((3, 6, 5)), rng.random((3, 6, 5)) < 0.4
    maps[2] = 0.7
    iou, pointing, chance, mass = [], [], [], []
    for one, mask in zip(maps, masks, strict=True):
        mean = one.sum() / one.size
        salient = {(y, x) for y in range(6) for x in range(5) if one[y, x] >= mean - 1e-6}
        objects = {(y, x) for y in range(6) for x in range(5) if mask[y, x]}
        iou.append(len(salient & objects) / len(salient | objects))
        best = {(y, x) for y in range(6) for x in range(5) if one[y, x] == one.max()}
        pointing.append(len(best & objects) / len(best))
        mass.append(sum(one[place] for place in objects) / one.sum())
        p, m = len(salient) / 30, len(objects) / 30
        chance.append(p * m / (p + m - p * m))
    found = saliency_quality(torch.from_numpy(maps), torch.from_numpy(masks))
    assert [found.iou, found.pointing, found.chance_iou, found.mass] == pytest.approx(
        [np.mean(iou), np.mean(pointing), np.mean(chance), np.mean(mass)]
    )
    assert found.chance_pointing == found.object_area == pytest.approx(masks.mean())


def test_a_map_of_the_objects_is_right_and_of_the_rest_is_wrong() -> None:
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[0, :32], masks[1, 16:48, 16:48] = True, True
    right = saliency_quality(masks[:, ::16, ::16].float(), masks)
    assert right.pointing == 1.0
    assert right.iou > 0.8 > right.chance_iou
    wrong = saliency_quality(1 - masks[:, ::16, ::16].float(), masks)
    assert wrong.pointing == 0.0
    assert wrong.iou < wrong.chance_iou
    flat = saliency_quality(torch.ones(2, 4, 4), masks)
    assert flat.iou == pytest.approx(flat.chance_iou)
    assert flat.pointing == pytest.approx(flat.chance_pointing)


# --- within a run ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of images and their annotations; the last image is not listed, the one before holds nothing."""
    folder = tmp_path_factory.mktemp("data") / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(COUNT):
        pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 40)).save(folder / f"{index:02d}.png")
    labels = rng.random((COUNT - 2, CATEGORIES)) < 0.5
    content = {
        "images": [{"id": i, "file_name": f"{i:02d}.png", "width": 48, "height": 40} for i in range(COUNT - 1)],
        "categories": [{"id": 10 * column, "name": str(column)} for column in range(CATEGORIES)],
        "annotations": [
            {"id": 100 * i + c, "image_id": i, "category_id": 10 * c, "bbox": [4 * c, 2 * c, 20, 18]}
            for i, c in np.argwhere(labels).tolist()
        ],
    }
    path = folder.parent / "instances.json"
    path.write_text(json.dumps(content))
    return folder, path


@pytest.fixture(autouse=True)
def _without_other_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The methods' own pictures, which take most of such a short run, are tested elsewhere."""
    monkeypatch.setattr("pretrain.train.draw_figures", lambda *_: [])


def recipe_of(data: tuple[Path, Path], method: str, *overrides: str) -> Recipe:
    keys = [*own_keys(method, SMALL), f"data.root={data[0]}", f"data.annotations={data[1]}", *overrides]
    return load_recipe(f"{method}_demo", keys)


@pytest.mark.parametrize(
    ("method", "overrides"),
    [("mls", ["mls.dictionaries=z_only"]), ("saliency", ["saliency.source=random"]), ("saliency", [])],
)
def test_training_is_equal_to_the_bit_with_and_without(
    method: str, overrides: list[str], data: tuple[Path, Path], tmp_path: Path
) -> None:
    short = [*overrides, "schedule.epochs=2", "schedule.batch_size=8"]
    without = load_file(pretrain(recipe_of(data, method, *short), tmp_path / "without"))
    watched = load_file(pretrain(recipe_of(data, method, *short, ON), tmp_path / "watched"))
    assert without.keys() == watched.keys()
    assert all(torch.equal(without[key], watched[key]) for key in without)
    assert not (tmp_path / "without/diagnostics").exists()
    assert recipe_of(data, method, ON).identity() == recipe_of(data, method).identity()


def test_what_is_written_of_mls(data: tuple[Path, Path], tmp_path: Path) -> None:
    pretrain(recipe_of(data, "mls", ON), tmp_path / "run")
    folder = tmp_path / "run/diagnostics"
    rows = read_rows(folder / "pseudo_labels.csv")
    assert [(row["epoch"], row["step"], row["k"]) for row in rows] == [
        (epoch, epoch * STEPS, k) for epoch in (1, 2, 3) for k in (1, 2, 4)
    ], "nothing before training, and no k above the dictionary"
    assert all(0 <= row[key] <= 1 for row in rows for key in ("precision", "recall", "chance_precision"))
    assert all(row["queries"] == 12 for row in rows)
    assert [row["empty_slots"] for row in rows] == [0.0] * 9
    by_category = read_rows(folder / "by_category.csv")
    assert [row["category"] for row in by_category] == [0, 1, 2] * 3
    annotations = json.loads(data[1].read_text())["annotations"]
    held = [len({a["image_id"] for a in annotations if a["category_id"] == 10 * c}) for c in range(3)]
    assert [row["images"] for row in by_category[:3]] == held
    about = json.loads((folder / "about.json").read_text())
    assert (about["recipe"], about["method"], about["seed"], about["settings"]["k"]) == ("mls_demo", "mls", 0, 2)
    assert (tmp_path / "run/figures/diagnostics_pseudo_labels.png").stat().st_size > 5000


@pytest.mark.parametrize("labels", ["topk", "random", "oracle"])
@pytest.mark.parametrize("dictionaries", ["paired", "z_only"])
def test_what_is_measured_of_other_labels_is_what_training_would_pick(
    labels: str, dictionaries: str, data: tuple[Path, Path], tmp_path: Path
) -> None:
    keys = [f"mls.labels={labels}", f"mls.dictionaries={dictionaries}", f"data.annotations={listed(data)}"]
    recipe = recipe_of(data, "mls", ON, *keys)
    images = sorted(data[0].iterdir())
    torch.manual_seed(0)
    method = method_class("mls")(recipe, images).train()
    assert isinstance(method, Mls)
    method.on_epoch_start(0)
    for step in range(3):  # a quarter of the slots holds no image yet
        method.training_step(PretrainDataset(recipe, images).load_batch(0, step))
        method.after_step()
    diagnostics = Diagnostics(recipe, images, tmp_path)
    torch.manual_seed(7)
    diagnostics.at_epoch_boundary(method, STEPS, STEPS)
    rows = {row["k"]: row for row in read_rows(tmp_path / "diagnostics/pseudo_labels.csv")}
    assert rows[2]["empty_slots"] == 0.25
    held = diagnostics.measures.labels
    queries = torch.cat([part for part, _ in diagnostics.measures._queries(method)])
    ids = method.dictionary.image_ids
    best = []
    for index in queries.tolist():
        if held[index].any():
            right = sum(bool((held[index] & held[i]).any()) for i in ids.tolist() if i >= 0 and i != index)
            best.append(min(right, 4) / min(4, sum(i != index for i in ids.tolist())))
    assert rows[4]["oracle_precision"] == pytest.approx(np.mean(best), abs=1e-6)
    for row in rows.values():
        for measure in ("precision", "recall", "weighed_precision"):
            assert row[f"oracle_{measure}"] >= row[measure] - 1e-9
            assert row[f"oracle_{measure}"] >= row[f"nearest_{measure}"] - 1e-9
            if labels in ("topk", "oracle"):
                assert row[measure] == row[f"{'nearest' if labels == 'topk' else 'oracle'}_{measure}"]
    if labels == "random":
        assert rows[2]["precision"] != rows[2]["nearest_precision"]


def listed(data: tuple[Path, Path]) -> Path:
    """The annotations with every image listed, as the oracle needs them."""
    path = data[1].with_name("listed.json")
    if not path.exists():
        content = json.loads(data[1].read_text())
        last = {"id": COUNT - 1, "file_name": f"{COUNT - 1:02d}.png", "width": 48, "height": 40}
        path.write_text(json.dumps({**content, "images": [*content["images"], last]}))
    return path


def test_lines_of_an_earlier_version_stay_beside_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "pseudo_labels.csv"
    path.write_text("epoch,step,k,precision\n1,5,2,0.5\n2,10,2,0.75\n")
    replace_rows(path, 10, [{"epoch": 2, "step": 10, "k": 2, "precision": 0.25, "weighed_precision": 0.125}])
    first, second = read_rows(path)
    assert (first["precision"], second["precision"], second["weighed_precision"]) == (0.5, 0.25, 0.125)
    assert math.isnan(first["weighed_precision"])
    drawn = draw_pseudo_labels(
        [{**row, "recall": 0.5, "chance_recall": 0.5, "chance_precision": 0.5} for row in (first, second)],
        [], [], 2, "top 2", tmp_path / "drawn.png",
    )  # fmt: skip
    assert drawn.stat().st_size > 5000


def test_the_first_measurement_is_that_of_the_slots_and_labels(data: tuple[Path, Path], tmp_path: Path) -> None:
    """A dictionary of known images and scores: half of it empty, the rest all of one image."""
    recipe = recipe_of(data, "mls", ON, "mls.own_view=in")
    images = sorted(data[0].iterdir())
    torch.manual_seed(0)
    method = method_class("mls")(recipe, images)
    assert isinstance(method, Mls)
    diagnostics = Diagnostics(recipe, images, tmp_path)
    assert diagnostics.at_epoch_boundary(method, 0, STEPS) >= 0
    assert not (tmp_path / "diagnostics/pseudo_labels.csv").exists()
    image = int(diagnostics.measures.labels.any(dim=1).nonzero()[0])
    method.dictionary.image_ids[8:] = image
    before = torch.get_rng_state()
    diagnostics.at_epoch_boundary(method, STEPS, STEPS)
    assert torch.equal(torch.get_rng_state(), before)
    row = read_rows(tmp_path / "diagnostics/pseudo_labels.csv")[0]
    assert row["empty_slots"] == 0.5
    queries = [index for part, _ in diagnostics.measures._queries(method) for index in part.tolist()]
    own = [index for index in queries if diagnostics.measures.labels[index].any()]
    sharing = [bool((diagnostics.measures.labels[index] & diagnostics.measures.labels[image]).any()) for index in own]
    assert row["chance_precision"] == pytest.approx(np.mean(sharing) / 2, abs=1e-6)


def test_causes_are_those_of_a_slow_count(data: tuple[Path, Path], tmp_path: Path) -> None:
    """Whole images: every one encoded by both encoders, neighbours counted one by one."""
    recipe = recipe_of(data, "mls", ON, "diagnostics.causes=true", "views.crop_size=32", "schedule.batch_size=8")
    images = sorted(data[0].iterdir())
    torch.manual_seed(0)
    method = method_class("mls")(recipe, images)
    assert isinstance(method, Mls)
    for parameter in method.key_encoder.parameters():
        parameter.add_(torch.randn_like(parameter) / 30)  # the two encoders are not one
    before = {key: value.clone() for key, value in method.state_dict().items() if isinstance(value, torch.Tensor)}
    labels = Diagnostics(recipe, images, tmp_path).measures.labels
    (line,) = pseudo_label_causes(method, labels, queries=12, ks=[3])
    after = method.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())

    dataset = PretrainDataset(recipe, images)
    sides = []
    for epoch, encoder in ((recipe.schedule.epochs, method.query_encoder), (4, method.key_encoder)):
        found = []
        for step in range(2):
            indices = dataset.load_batch(epoch, step).indices.tolist()
            pixels = torch.stack([resize(decode_image(images[index]), 32) for index in indices])
            vectors = copy.deepcopy(encoder).train()(method.normalised(pixels))[0].detach().double()
            found += list(zip(indices, vectors, strict=True))
        sides.append(found)
    shares = []
    for query, vector in sides[0]:
        if not labels[query].any():
            continue
        others = [(key, torch.cosine_similarity(vector, other, dim=0)) for key, other in sides[1] if key != query]
        nearest = sorted(others, key=lambda pair: -float(pair[1]))[:3]
        shares.append(np.mean([bool((labels[query] & labels[key]).any()) for key, _ in nearest]))
    assert line["whole_precision"] == pytest.approx(np.mean(shares))
    assert all(0 <= line[f"{condition}_precision"] <= 1 for condition in ("fresh", "uncoloured"))


def test_causes_are_written_and_drawn_where_they_are_asked_for(data: tuple[Path, Path], tmp_path: Path) -> None:
    short = ["schedule.epochs=2", "schedule.batch_size=8"]
    without = load_file(pretrain(recipe_of(data, "mls", *short), tmp_path / "without"))
    asked = load_file(pretrain(recipe_of(data, "mls", *short, ON, "diagnostics.causes=true"), tmp_path / "asked"))
    assert all(torch.equal(without[key], asked[key]) for key in without), "training does not notice"
    rows = read_rows(tmp_path / "asked/diagnostics/causes.csv")
    assert [(row["epoch"], row["k"]) for row in rows] == [(epoch, k) for epoch in (1, 2) for k in (1, 2, 4)]
    assert (tmp_path / "asked/figures/diagnostics_pseudo_labels.png").stat().st_size > 5000


def test_what_is_written_of_saliency(data: tuple[Path, Path], tmp_path: Path) -> None:
    pretrain(recipe_of(data, "saliency", "diagnostics.every_epochs=2", "schedule.epochs=4"), tmp_path / "run")
    rows = read_rows(tmp_path / "run/diagnostics/saliency.csv")
    assert [row["epoch"] for row in rows] == [0, 2, 4]
    assert all(0 <= row[key] <= 1 for row in rows for key in ("iou", "pointing", "other_iou", "chance_pointing"))
    assert len({row["images"] for row in rows}) == 1
    assert 0 < rows[0]["images"] <= 12
    assert (tmp_path / "run/figures/diagnostics_saliency.png").stat().st_size > 5000
    for row in rows:
        for measure in ("iou", "pointing", "mass"):
            assert row[f"model_{measure}"] == row[measure], "the source asks the network"
            assert row[f"known_{measure}"] > row[f"centre_{measure}"]
            assert row[f"known_{measure}"] > row[f"uniform_{measure}"] == pytest.approx(row["object_area"], abs=1e-6)
    assert len({(row["centre_iou"], row["known_mass"]) for row in rows}) == 1, "controls do not learn"
    logged = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    entropies = [line["map_entropy"] for line in logged if "map_entropy" in line]
    assert entropies[0] == 1, "uniform maps in the warm-up"
    assert 0 < entropies[-1] < 1


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_salient_objects(tmp_path_factory.mktemp("people") / "data", count=9)


def test_maps_are_held_against_people_over_training(data: tuple[Path, Path], people: Path, tmp_path: Path) -> None:
    """The crops go by the oracle, whose maps no other pictures have; what is measured is the network's own."""
    short = ["schedule.epochs=2", "schedule.batch_size=8", "saliency.source=mask"]
    recipe = recipe_of(data, "saliency", *short, ON, f"diagnostics.human_root={people}")
    watched = load_file(pretrain(recipe, tmp_path / "run"))
    without = load_file(pretrain(recipe_of(data, "saliency", *short), tmp_path / "without"))
    assert all(torch.equal(without[key], watched[key]) for key in without), "training does not notice"
    assert recipe.identity() == recipe_of(data, "saliency", *short).identity()
    rows = read_rows(tmp_path / "run/diagnostics/saliency_human.csv")
    assert [(row["epoch"], row["images"]) for row in rows] == [(0, 9), (1, 9), (2, 9)]
    for row in rows:
        assert row["uniform_auc"] == 0.5
        assert row["known_max_f"] > row["centre_max_f"]
        assert row["known_auc"] > row["centre_auc"]
    assert len({row["auc"] for row in rows}) > 1, "the network's own map changes"
    assert len({row["known_mae"] for row in rows}) == 1
    assert (tmp_path / "run/figures/diagnostics_saliency_human.png").stat().st_size > 5000
    objects = read_rows(tmp_path / "run/diagnostics/saliency.csv")
    assert objects[-1]["iou"] > objects[-1]["model_iou"], "the oracle's, and the network's beside them"


def test_a_row_against_people_is_that_of_the_networks_maps(
    data: tuple[Path, Path], people: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(
        "saliency_demo",
        [*own_keys("saliency", SMALL), f"data.root={data[0]}", ON, f"diagnostics.human_root={people}"],
    )
    images = sorted(data[0].iterdir())
    torch.manual_seed(0)
    method = method_class("saliency")(recipe, images)
    assert isinstance(method, Saliency)
    diagnostics = Diagnostics(recipe, images, tmp_path)
    diagnostics.at_epoch_boundary(method, 0, STEPS)
    assert not (tmp_path / "diagnostics/saliency.csv").exists(), "without annotations, people alone"
    (row,) = read_rows(tmp_path / "diagnostics/saliency_human.csv")
    paths = sorted((people / "images").iterdir())
    masks = [torch.from_numpy(np.asarray(Image.open(path)) > 128) for path in sorted((people / "masks").iterdir())]
    pixels = torch.stack([resize(decode_image(path), 64) for path in paths])
    with torch.no_grad():
        maps = activation_maps(method.base.follower.backbone.eval().feature_map(method.base.normalised(pixels)))
    expected = salient_quality([(one * 255).round() for one in maps], masks)
    assert [row["max_f"], row["auc"], row["mae"]] == pytest.approx(
        [expected.max_f, expected.auc, expected.mae], abs=1e-5
    )


def test_a_run_that_an_older_version_began_goes_on(tmp_path: Path) -> None:
    replace_rows(tmp_path / "saliency.csv", 0, [{"step": 0, "iou": 0.5}])
    replace_rows(tmp_path / "saliency.csv", 5, [{"step": 5, "iou": 0.25, "mass": 0.125}])
    first, second = read_rows(tmp_path / "saliency.csv")
    assert math.isnan(first["mass"])
    assert second == {"step": 5, "iou": 0.25, "mass": 0.125}


def test_an_oracles_maps_are_found_to_be_good(data: tuple[Path, Path], tmp_path: Path) -> None:
    pretrain(recipe_of(data, "saliency", ON, "saliency.source=mask", "schedule.epochs=1"), tmp_path / "run")
    row = read_rows(tmp_path / "run/diagnostics/saliency.csv")[-1]
    assert row["pointing"] > 0.8 > row["chance_pointing"] + 0.3
    assert row["iou"] > row["chance_iou"]


def test_a_stopped_run_ends_with_the_same_lines(
    data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(data, "mls", ON)
    pretrain(recipe, tmp_path / "whole")
    steps = []
    original = Mls.training_step

    def stopping(self: Mls, batch: object) -> object:
        steps.append(1)
        if len(steps) == STEPS + 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Mls, "training_step", stopping)
    with pytest.raises(Stopped):
        pretrain(recipe, tmp_path / "parts")
    assert len(read_rows(tmp_path / "parts/diagnostics/pseudo_labels.csv")) == 3
    pretrain(recipe, tmp_path / "parts")
    for name in ("pseudo_labels.csv", "by_category.csv", "about.json"):
        assert (tmp_path / "parts/diagnostics" / name).read_bytes() == (
            tmp_path / "whole/diagnostics" / name
        ).read_bytes()


def test_what_cannot_be_measured(data: tuple[Path, Path], tmp_path: Path) -> None:
    images = sorted(data[0].iterdir())
    with pytest.raises(UserError, match="moco has neither pseudo-labels nor saliency maps"):
        Diagnostics(recipe_of(data, "moco", ON), images, tmp_path)
    with pytest.raises(UserError, match="diagnostics.every_epochs: 1 needs the truth; add data.annotations=FILE"):
        Diagnostics(load_recipe("mls_demo", [*own_keys("mls", SMALL), f"data.root={data[0]}", ON]), images, tmp_path)
    empty = tmp_path / "empty.json"
    content = json.loads(data[1].read_text())
    empty.write_text(json.dumps({**content, "annotations": []}))
    for method in ("mls", "saliency"):
        with pytest.raises(UserError, match="none of the images that the diagnostics read holds an object"):
            Diagnostics(recipe_of((data[0], empty), method, ON), images, tmp_path)
    with pytest.raises(UserError, match="human_root: mls has no saliency maps to hold against /somewhere"):
        Diagnostics(recipe_of(data, "mls", ON, "diagnostics.human_root=/somewhere"), images, tmp_path)
    with pytest.raises(UserError, match="diagnostics.human_root: /somewhere/images: no such folder"):
        Diagnostics(recipe_of(data, "saliency", ON, "diagnostics.human_root=/somewhere"), images, tmp_path)
    with pytest.raises(UserError, match=r"human_root: /somewhere is read by the diagnostics; add diagnostics\.every_"):
        recipe_of(data, "saliency", "diagnostics.human_root=/somewhere")
    bad = build_salient_objects(tmp_path / "bad", count=2)
    Image.new("L", (5, 5)).save(bad / "masks/001.png")
    with pytest.raises(UserError, match=r"diagnostics\.human_root: .*001.png: a mask of 5x5 pixels, its picture has"):
        Diagnostics(recipe_of(data, "saliency", ON, f"diagnostics.human_root={bad}"), images, tmp_path)
    for value in ("diagnostics.every_epochs=0", "diagnostics.images=1", "diagnostics.ks=[0]", "diagnostics.ks=[]"):
        with pytest.raises(UserError, match=r"^diagnostics\."):
            recipe_of(data, "mls", value)
