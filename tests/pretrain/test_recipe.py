"""The recipe tree: defaults, overrides, and one-line errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pretrain.recipes.recipe import Recipe, load_recipe, recipe_names
from scenebench.config import load_config
from scenebench.errors import UserError


def recipe_with(*overrides: str, method: str = "mls") -> Recipe:
    from scenebench.config import parse_overrides

    return load_config(Recipe, {"method": method}, parse_overrides(overrides))


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_suite_loads_and_survives_a_round_trip(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    written = yaml.safe_load(yaml.safe_dump(recipe.to_plain()))
    assert load_config(Recipe, written) == recipe


def test_the_defaults_are_the_papers():
    recipe = recipe_with()
    assert (recipe.mls.k, recipe.mls.dictionary_size, recipe.mls.loss_weight) == (20, 4096, 0.5)
    assert (recipe.mls.temperature, recipe.mls.momentum) == (0.2, 0.995)
    assert (recipe.moco.queue_size, recipe.moco.temperature, recipe.moco.momentum) == (65536, 0.2, 0.999)
    assert (recipe.optimiser.lr, recipe.optimiser.weight_decay, recipe.schedule.batch_size) == (0.3, 1e-4, 256)
    assert (recipe.views.crop_size, recipe.views.scale, recipe.views.blur_p) == (224, (0.2, 1.0), 0.5)
    assert (recipe.saliency.gamma, recipe.saliency.pairs, recipe.saliency.beta) == (2.0, 2, 1.0)


def test_a_file_is_named_by_its_stem_and_overrides_win(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("method: moco\noptimiser: {lr: 1e-2}\nviews: {scale: [0.5, 1]}\n")
    recipe = load_recipe(path, ["optimiser.lr=0.5", "seed=3", "data.images_per_epoch=512"])
    assert (recipe.name, recipe.method, recipe.seed, recipe.optimiser.lr) == ("mine", "moco", 3, 0.5)
    assert recipe.views.scale == (0.5, 1.0)
    assert load_recipe(str(path)).optimiser.lr == 0.01
    assert load_recipe(path, ["name=other"]).name == "other"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["optimiser.learning_rate=1"], "unknown key 'optimiser.learning_rate'"),
        (["mls.temprature=1"], "did you mean 'temperature'?"),
        (["viws.crop_size=64"], "did you mean 'views'?"),
        (["optimiser.lr=fast"], "optimiser.lr"),
        (["schedule.epochs=2.5"], "schedule.epochs"),
        (["optimiser.lr"], "expected key=value"),
    ],
)
def test_unknown_keys_and_wrong_types_name_the_key(tmp_path: Path, overrides, expected):
    path = tmp_path / "mine.yaml"
    path.write_text("method: mls\n")
    with pytest.raises(UserError) as caught:
        load_recipe(path, overrides)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_and_missing_recipes(tmp_path: Path):
    known = recipe_names()
    if known:
        with pytest.raises(UserError, match=f"did you mean '{known[0]}'"):
            load_recipe(known[0] + "x")
    with pytest.raises(UserError, match="unknown recipe 'qqqqqq'"):
        load_recipe("qqqqqq")
    with pytest.raises(UserError, match="no such file"):
        load_recipe(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["mls.k=5000"], "mls.k"),
        (["mls.k=0"], "mls.k"),
        (["mls.dictionary_size=4000"], "mls.dictionary_size"),
        (["mls.loss=mse"], "mls.loss"),
        (["mls.dictionaries=both"], "mls.dictionaries"),
        (["mls.order=befor"], "did you mean 'before'?"),
        (["mls.own_view=yes_please"], "mls.own_view"),
        (["mls.temperature=0"], "mls.temperature"),
        (["mls.momentum=1.5"], "mls.momentum"),
        (["saliency.pairs=1"], "saliency.beta=0"),
        (["saliency.source=activatoin"], "did you mean 'activation'?"),
        (["saliency.area=[0.5, 0.1]"], "saliency.area"),
        (["saliency.area=[0.5, 1.1]"], "saliency.area"),
        (["views.crop_size=16"], "views.crop_size"),
        (["saliency.crop_size=8"], "saliency.crop_size"),
        (["views.scale=[0, 1]"], "views.scale"),
        (["views.scale=[0.5]"], "views.scale"),
        (["views.blur_p=1.1"], "views.blur_p"),
        (["views.blur_kernel=10"], "views.blur_kernel"),
        (["views.hue=0.6"], "views.hue"),
        (["views.view2.solarise_p=-0.1"], "views.view2.solarise_p"),
        (["views.augment=fast"], "views.augment"),
        (["schedule.batch_size=1"], "schedule.batch_size"),
        (["schedule.epochs=0"], "schedule.epochs"),
        (["schedule.warmup_epochs=500"], "schedule.warmup_epochs"),
        (["optimiser.name=adam"], "optimiser.name"),
        (["optimiser.lr=-1"], "optimiser.lr"),
        (["optimiser.lr=.nan"], "optimiser.lr"),
        (["run.device=gpu"], "run.device"),
        (["run.precision=fp16"], "run.precision"),
        (["data.images_per_epoch=100"], "data.images_per_epoch"),
        (["data.max_bad_share=1"], "data.max_bad_share"),
        (["data.workers=-1"], "data.workers"),
        (["data.cache=disk"], "data.cache"),
        (["network.depth=20"], "network.depth"),
        (["method=mlss"], "did you mean 'mls'?"),
        (["seed=-1"], "seed"),
    ],
)
def test_bad_values_are_one_line_that_names_the_key(overrides, key):
    with pytest.raises(UserError) as caught:
        recipe_with(*overrides)
    assert key in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_queue_must_be_a_multiple_of_the_batch_only_where_it_is_used():
    with pytest.raises(UserError, match=r"moco.queue_size: 65536 is not a multiple.*use 65500"):
        recipe_with("schedule.batch_size=100", method="moco")
    with pytest.raises(UserError, match="moco.queue_size"):
        recipe_with("schedule.batch_size=100", "saliency.base=moco", method="saliency")
    assert recipe_with("schedule.batch_size=128", "moco.queue_size=100").method == "mls"


def test_one_pair_is_allowed_without_weights():
    assert recipe_with("saliency.pairs=1", "saliency.beta=0").saliency.pairs == 1


def test_identity_ignores_only_what_changes_nothing():
    recipe = recipe_with()
    same = recipe_with("data.workers=1", "data.cache=ram", "run.log_every=7", "run.threads=2")
    assert same.identity() == recipe.identity()
    for override in ("seed=1", "mls.k=5", "views.augment=reference", "run.precision=float32", "data.max_bad_share=0"):
        assert recipe_with(override).identity() != recipe.identity()
    for place in ("data.root=elsewhere", "data.images=elsewhere", "data.annotations=elsewhere.json"):
        assert recipe_with(place).identity() == recipe.identity()  # what is found there is compared
