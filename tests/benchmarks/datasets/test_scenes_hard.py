"""The hard variant of scenes: no shortcut is left."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scene_statistics import layouts
from scipy.stats import chi2_contingency
from sklearn.metrics import mutual_info_score
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.datasets.scene_parts import BACKGROUNDS, CATEGORIES, TEXTURES, Scene
from benchmarks.datasets.scenes import TIES, ScenesSpec, generate_scenes, render_scene
from benchmarks.suites.suite import load_suite
from scenebench.cli import main
from scenebench.errors import UserError

HARD = ScenesSpec(images=12, size=48, seed=7, variant="hard", tail=0.0)


def dependence(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """p value of independence."""
    counts = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(counts, (first, second), 1)
    return float(chi2_contingency(counts[:, counts.sum(axis=0) > 0]).pvalue)


def test_there_is_no_co_occurrence() -> None:
    scenes = layouts(1500, HARD)
    assert all(getattr(HARD, key) == 0.0 for key in TIES)
    types = np.array([scene.scene_type for scene in scenes for _ in scene.objects])
    categories = np.array([item.category for scene in scenes for item in scene.objects])
    assert set(types.tolist()) == set(range(len(BACKGROUNDS)))
    assert dependence(types, categories) > 1e-3
    pairs = np.array([(scene.objects[0].category, scene.objects[1].category) for scene in scenes])
    assert dependence(pairs[:, 0], pairs[:, 1]) > 1e-3
    tied = np.array([(scene.scene_type, scene.objects[0].category) for scene in layouts(1500, ScenesSpec())])
    assert dependence(tied[:, 0], tied[:, 1]) < 1e-10, "the test would see it"


def test_hue_and_texture_say_nothing_of_the_category() -> None:
    """Mutual information, against that of shuffled categories: no larger than the largest of fifty shuffles."""
    objects = [item for scene in layouts(2000, HARD) for item in scene.objects]
    categories = np.array([item.category for item in objects])
    colours = np.array([item.look.first for item in objects])
    looks = {
        "hue": 3 * colours.argmax(axis=1) + colours.argmin(axis=1),
        "texture": np.array([TEXTURES.index(item.look.pattern) for item in objects]),
        "strength of the texture": np.digitize([item.look.amount for item in objects], [0.2, 0.4, 0.6, 0.8]),
    }
    rng = np.random.default_rng(0)
    for name, values in looks.items():
        shuffled = [mutual_info_score(rng.permutation(categories), values) for _ in range(50)]
        assert mutual_info_score(categories, values) <= max(shuffled), name
        assert mutual_info_score(values, values) > math.log(3), "the looks do vary"


def test_colours_are_free_of_the_background_too() -> None:
    def nearest(scene: Scene) -> float:
        return min(
            max(abs(a - b) for a, b in zip(item.look.first, scene.background.first, strict=True))
            for item in scene.objects
        )

    free = [nearest(scene) for scene in layouts(300, HARD)]
    default = [nearest(scene) for scene in layouts(300, ScenesSpec())]
    assert np.median(default) > 0.45 > np.median(free) + 0.1
    assert np.mean(np.array(free) < 0.1) > 0.04 > np.mean(np.array(default) < 0.1)


def test_textures_may_be_as_strong_as_the_shape_or_nothing() -> None:
    amounts = [item.look.amount for scene in layouts(300, HARD) for item in scene.objects]
    assert min(amounts) < 0.05
    assert max(amounts) > 0.95


def test_no_histogram_tells_the_category() -> None:
    """Colours of the pixels under each mask, as painted: neighbours stay at chance (1 in 18)."""
    features, categories = [], []
    for index in range(300):
        scene = render_scene(HARD, index)
        for number, category in enumerate(scene.categories, start=1):
            pixels = scene.image[scene.instances == number]
            histograms = [np.histogram(pixels[:, channel], 8, (0, 256))[0] for channel in range(3)]
            features.append(np.concatenate(histograms) / len(pixels))
            categories.append(category)
    accuracy = cross_val_score(KNeighborsClassifier(15), np.array(features), categories, cv=4).mean()
    assert accuracy < 0.10
    assert len(set(categories)) == len(CATEGORIES)


def test_from_the_command_line_and_in_a_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["data", "scenes", "--images", "12", "--size", "48", "--seed", "7", "--tail", "0"]
    assert main([*arguments, "--variant", "hard", str(tmp_path / "hard")]) == 0
    made = generate_scenes(tmp_path / "hard", HARD)
    assert (made.source["variant"], made.source["cooccurrence"]) == ("hard", 0.0)
    with pytest.raises(UserError, match="made with cooccurrence = 0.0, not 0.45"):
        generate_scenes(tmp_path / "hard", ScenesSpec(images=12, size=48, seed=7))
    capsys.readouterr()
    assert main([*arguments, "--variant", "hadr", str(tmp_path / "other")]) == 2
    assert "did you mean 'hard'" in capsys.readouterr().err
    assert main([*arguments, "--variant", "hard", "--cooccurrence", "0.5", str(tmp_path / "other")]) == 2
    assert "variant hard has none" in capsys.readouterr().err
    suite = tmp_path / "mine.yaml"
    rows = "backbones: [{recipe: random_demo, label: random}]\nprotocols: [{protocol: multilabel_knn}]\n"
    suite.write_text(f"data: {{images: 12, size: 48, seed: 7, variant: hard}}\n{rows}")
    assert load_suite(str(suite)).data == ScenesSpec(images=12, size=48, seed=7, variant="hard")
