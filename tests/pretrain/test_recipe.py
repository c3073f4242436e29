"""The recipe tree: defaults, overrides, and one-line errors."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from pretrain.methods.mls import MlsRecipe
from pretrain.recipes import method_registry
from pretrain.recipes import recipe as recipe_module
from pretrain.recipes.method_registry import method_class, register
from pretrain.recipes.recipe import (
    MethodTraits,
    Recipe,
    load_recipe,
    read_saved_recipe,
    resolve_recipe,
)
from pretrain.recipes.recipe_files import recipe_names
from scenebench.config import config_hash, parse_overrides
from scenebench.errors import UserError


def recipe_with(*overrides: str, method: str = "mls") -> Recipe:
    return resolve_recipe({"method": method}, parse_overrides(overrides))


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_suite_loads_and_survives_a_round_trip(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    written = yaml.safe_load(yaml.safe_dump(recipe.to_plain()))
    assert resolve_recipe(written) == recipe


def test_the_defaults_are_the_papers():
    recipe = recipe_with()
    assert (recipe.mls.k, recipe.mls.dictionary_size, recipe.mls.loss_weight) == (20, 4096, 0.5)
    assert (recipe.mls.temperature, recipe.mls.momentum) == (0.2, 0.995)
    moco = recipe_with(method="moco").moco
    assert (moco.queue_size, moco.temperature, moco.momentum) == (65536, 0.2, 0.999)
    assert (recipe.optimiser.lr, recipe.optimiser.weight_decay, recipe.schedule.batch_size) == (0.3, 1e-4, 256)
    assert (recipe.views.crop_size, recipe.views.scale, recipe.views.blur_p) == (224, (0.2, 1.0), 0.5)
    saliency = recipe_with(method="saliency").saliency
    assert (saliency.gamma, saliency.pairs, saliency.beta) == (2.0, 2, 1.0)


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
        recipe_with(*overrides, method="saliency" if overrides[0].startswith("saliency") else "mls")
    assert key in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_queue_must_be_a_multiple_of_the_batch_only_where_it_is_used():
    with pytest.raises(UserError, match=r"moco.queue_size: 65536 is not a multiple.*use 65500"):
        recipe_with("schedule.batch_size=100", method="moco")
    with pytest.raises(UserError, match="moco.queue_size"):
        recipe_with("schedule.batch_size=100", "saliency.base=moco", method="saliency")
    assert (
        recipe_with(
            "schedule.batch_size=64", "moco.queue_size=100", "saliency.base=byol", method="saliency"
        ).moco.queue_size
        == 100
    )


def test_one_pair_is_allowed_without_weights():
    assert recipe_with("saliency.pairs=1", "saliency.beta=0", method="saliency").saliency.pairs == 1


def test_identity_ignores_only_what_changes_nothing():
    recipe = recipe_with()
    same = recipe_with("data.workers=1", "data.cache=ram", "run.log_every=7", "run.threads=2")
    assert same.identity() == recipe.identity()
    for override in ("seed=1", "mls.k=5", "views.augment=reference", "run.precision=float32", "data.max_bad_share=0"):
        assert recipe_with(override).identity() != recipe.identity()
    for place in ("data.root=elsewhere", "data.images=elsewhere", "data.annotations=elsewhere.json"):
        assert recipe_with(place).identity() == recipe.identity()  # what is found there is compared


@pytest.mark.parametrize(
    ("method", "override", "words"),
    [
        ("byol", "mls.k=5", "'mls.k' is a key of mls, not of this method; remove it"),
        ("moco", "mls.temperature=1", "did you mean 'moco.temperature'?"),
        ("mls", "moco.queue_size=64", "'moco.queue_size' is a key of moco and saliency, not of this method"),
        ("supervised", "random_init.images=2", "'random_init.images' is a key of random_init"),
        ("random_init", "saliency=3", "'saliency' is a key of saliency"),
    ],
)
def test_a_key_of_another_method_is_refused(method: str, override: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        recipe_with(override, method=method)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_saved_with_the_sections_of_every_method_is_read() -> None:
    saved = recipe_with("mls.k=5").to_plain() | {"moco": {"queue_size": 1}, "byol": {"momentum": 0.5}}
    assert read_saved_recipe(saved, "recipe.yaml") == recipe_with("mls.k=5")
    with pytest.raises(UserError, match="unknown key 'mocco'"):
        read_saved_recipe(saved | {"mocco": {}}, "recipe.yaml")


def test_identity_holds_what_departs_from_the_defaults_and_what_the_method_uses() -> None:
    assert recipe_with().identity() == {"name": "", "method": "mls"}
    assert recipe_with("mls.k=5", "network.vit.depth=12").identity() == {"name": "", "method": "mls", "mls": {"k": 5}}
    on_byol = recipe_with("saliency.base=byol", "moco.queue_size=512", "byol.momentum=0.9", method="saliency")
    assert on_byol.identity()["saliency"] == {"base": "byol"}
    assert on_byol.identity()["byol"] == {"momentum": 0.9}
    assert "moco" not in on_byol.identity()


PUBLISHED_IDENTITIES = {
    "byol_coco": "bd9d081c357ddae7",
    "densecl_coco": "a01b781332a90a51",
    "mls_coco": "63a1316dbfa76220",
    "mls_vit_coco": "12a2253cff5966af",
    "moco_coco": "49a7710ec4b72466",
    "moco_vit_coco": "b5f7dbdeb4666e6b",
    "saliency_byol_coco": "c7ec9f9abcbbd1d3",
    "saliency_coco": "1961fa6db44ec38f",
    "supervised_coco": "2dca9c24bcb745c6",
}


@pytest.mark.parametrize("name", PUBLISHED_IDENTITIES)
def test_the_recipes_of_the_papers_are_the_runs_that_they_were(name: str) -> None:
    """A key that is added changes no identity; whoever changes a recipe itself changes its line here."""
    assert config_hash(load_recipe(name).identity()) == PUBLISHED_IDENTITIES[name]


def test_keys_of_a_start_and_of_labels_are_no_part_of_an_identity_until_they_are_used() -> None:
    plain = recipe_with()
    spelt = recipe_with("mls.reduction=mean", "mls.labels=topk", "init_from=''", "init_hash=''")
    assert spelt.identity() == plain.identity()
    assert recipe_with("init_from=a/path").identity() == plain.identity()  # the weights there are compared
    for override in ("mls.reduction=sum", "mls.labels=random"):
        assert recipe_with(override).identity() != plain.identity()


def test_a_new_method_and_a_new_key_with_a_default_rerun_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("mls_demo", "saliency_demo", "random_demo")
    before = [load_recipe(name).identity() for name in names]

    @dataclass
    class Wider(MlsRecipe):
        margin: float = 0.25

    register("for_this_test")(type("ForThisTest", (MethodTraits,), {"sections": {"for_this_test": Wider}}))
    monkeypatch.setattr(method_class("mls"), "sections", {"mls": Wider})
    recipe_module._schema.cache_clear()
    recipe_module._defaults.cache_clear()
    try:
        assert load_recipe("mls_demo", ["mls.margin=0.25"]).mls.margin == 0.25
        assert [load_recipe(name).identity() for name in names] == before
        assert load_recipe("mls_demo", ["mls.margin=0.5"]).identity() != before[0]
    finally:
        recipe_module._schema.cache_clear()
        recipe_module._defaults.cache_clear()
        del method_registry._METHODS["for_this_test"]


def test_a_recipe_survives_pickling(tmp_path: Path) -> None:
    recipe = recipe_with("mls.k=5", "views.scale=[0.5, 1]")
    assert pickle.loads(pickle.dumps(recipe)) == recipe  # noqa: S301 - its own


def test_a_name_is_registered_once() -> None:
    with pytest.raises(UserError, match=r"method 'mls' is registered twice, by pretrain.methods.mls and"):
        register("mls")(type("Another", (MethodTraits,), {}))
    assert method_class("mls").__module__ == "pretrain.methods.mls"
