"""scenes, version 1: drawn on request to the byte as ever, its folders are read, and its suites keep their identity."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.readers import read_official
from benchmarks.datasets.scene_layout_v1 import FREE, category_probabilities, draw_scene
from benchmarks.datasets.scene_parts import BACKGROUNDS, CATEGORIES, TEXTURES, Scene
from benchmarks.datasets.scenes import ScenesSpec, generate_scenes, render_scene
from benchmarks.suites.source import scenes_source
from benchmarks.suites.suite import scenes_spec
from scenebench.cli import main
from scenebench.errors import UserError


def layout(index: int, cooccurrence: float = 0.2) -> Scene:
    return draw_scene(np.random.Generator(np.random.PCG64([0, index])), cooccurrence, 2, 4)


def test_pixels_are_pinned() -> None:
    digest = hashlib.sha256()
    for index in range(40):
        scene = render_scene(ScenesSpec(seed=3, version=1), index)
        digest.update(scene.image.tobytes())
        digest.update(scene.instances.tobytes())
    assert digest.hexdigest()[:16] == "dd3e280e62eb2bcf"


def test_pixels_of_the_hard_variant_are_pinned() -> None:
    digest = hashlib.sha256()
    for index in range(10):
        digest.update(render_scene(ScenesSpec(seed=3, size=64, variant="hard", version=1), index).image.tobytes())
    assert digest.hexdigest()[:16] == "e272eb0fc17a490f"


def test_a_folder_of_version_1_is_drawn_on_request_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its description is what it was when there was no other version."""
    out = tmp_path / "old"
    command = ["data", "scenes", "--images", "12", "--size", "32", "--seed", "5"]
    assert main([*command, "--version", "1", str(out)]) == 0
    folder = DatasetFolder.open(out)
    assert (folder.name, folder.version, folder.fingerprint) == ("scenes", "1", "dd2dc21338d1ed64")
    assert folder.source == {
        "images": 12,
        "size": 32,
        "seed": 5,
        "cooccurrence": 0.2,
        "objects_min": 2,
        "objects_max": 4,
        "val_share": 0.1,
        "test_share": 0.2,
    }
    assert len(read_official("scenes", out).split("test")) == 2
    assert main(["data", "show", str(out)]) == 0
    assert "scenes (version 1)" in capsys.readouterr().out
    assert main([*command, str(out)]) == 2
    assert "holds data set 'scenes' version 1, not 'scenes' version 2" in capsys.readouterr().err
    with pytest.raises(UserError, match="version 2, not 'scenes' version 1"):
        generate_scenes(generate_scenes(tmp_path / "new", ScenesSpec(images=3, size=16)).root, ScenesSpec(version=1))


def test_what_the_data_of_the_demo_is_called_has_not_changed() -> None:
    """Paths, fingerprints and records of version 1; what a suite of it says stays the same in its records."""
    spec = scenes_spec({"images": 2400, "size": 128, "seed": 7, "version": 1}, "here")
    assert not {"variant", "version", "texture", "scale_min"} & spec.identity.keys()
    assert "variant" in spec.resolved
    assert not {"version", "texture", "scale_min"} & spec.resolved.keys()
    assert scenes_source(spec).identity.startswith("13af6aca")
    hard = ScenesSpec(images=2400, size=128, seed=7, variant="hard", version=1)
    assert scenes_source(hard).identity.startswith("a8353f16")
    new = scenes_spec({"images": 2400, "size": 128, "seed": 7}, "here")
    assert (new.version, new.resolved["version"]) == (2, 2)
    assert scenes_source(new).identity != scenes_source(spec).identity


# --- what is tied --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.0, 0.2, 0.6, 1.0])
def test_cooccurrence_has_the_stated_strength(strength: float) -> None:
    scenes = [layout(index, strength) for index in range(1000)]
    own = [item.category % len(BACKGROUNDS) == scene.scene_type for scene in scenes for item in scene.objects]
    expected = strength + (1 - strength) / len(BACKGROUNDS)
    assert np.mean(own) == pytest.approx(expected, abs=0.03)
    for scene_type in range(len(BACKGROUNDS)):
        assert sum(category_probabilities(scene_type, strength)) == pytest.approx(1.0)


def test_categories_of_one_type_share_images_more_often_than_chance() -> None:
    present = np.zeros((2000, len(CATEGORIES)))
    for index in range(len(present)):
        present[index, [item.category for item in layout(index, cooccurrence=0.5).objects]] = 1
    correlation = np.corrcoef(present.T)
    group = np.arange(len(CATEGORIES)) % len(BACKGROUNDS)
    same = group[:, None] == group[None, :]
    np.fill_diagonal(correlation, np.nan)
    assert np.nanmean(correlation[same]) > np.nanmean(correlation[~same]) + 0.02


def test_category_is_independent_of_hue_texture_size_and_place() -> None:
    objects = [item for index in range(2500) for item in layout(index, cooccurrence=0.0).objects]
    categories = np.array([item.category for item in objects])
    colours = np.array([item.look.first for item in objects])
    nuisances = {
        "hue": 3 * colours.argmax(axis=1) + colours.argmin(axis=1),
        "brightness": np.digitize(colours.max(axis=1), [0.4, 0.6, 0.8]),
        "texture": np.array([TEXTURES.index(item.look.pattern) for item in objects]),
        "size": np.digitize([item.radius for item in objects], [0.2, 0.25, 0.3]),
        "place": np.digitize([item.x for item in objects], [0.35, 0.65]),
        "mirror": np.array([np.linalg.det(np.reshape(item.matrix, (2, 2))) > 0 for item in objects]).astype(int),
    }
    for name, values in nuisances.items():
        counts = np.zeros((len(CATEGORIES), values.max() + 1))
        np.add.at(counts, (categories, values), 1)
        counts = counts[:, counts.sum(axis=0) > 0]
        assert chi2_contingency(counts).pvalue > 1e-3, name


def test_no_classifier_tells_the_category_from_the_colours_seen() -> None:
    """Mean and spread of the pixels under each mask, as painted: k-nearest neighbours stay at chance (1 in 18)."""
    features, categories = [], []
    for index in range(350):
        scene = render_scene(ScenesSpec(size=48, cooccurrence=0.0, version=1), index)
        for number, category in enumerate(scene.categories, start=1):
            pixels = scene.image[scene.instances == number]
            features.append([*pixels.mean(axis=0), *pixels.std(axis=0)])
            categories.append(category)
    scaled = np.array(features) / np.std(features, axis=0)
    accuracy = cross_val_score(KNeighborsClassifier(15), scaled, categories, cv=4).mean()
    assert accuracy < 0.10


def test_every_scene_type_has_its_background_in_any_colour() -> None:
    scenes = [layout(index) for index in range(300)]
    assert {scene.scene_type for scene in scenes} == set(range(len(BACKGROUNDS)))
    assert all(scene.background.pattern == BACKGROUNDS[scene.scene_type] for scene in scenes)


def test_colours_of_the_hard_variant_are_free_of_the_background_too() -> None:
    def nearest(scene: Scene) -> float:
        return min(
            max(abs(a - b) for a, b in zip(item.look.first, colour, strict=True))
            for item in scene.objects
            for colour in (scene.background.first, scene.background.second)
        )

    generators = (np.random.Generator(np.random.PCG64([0, index])) for index in range(200))
    free_layouts = [draw_scene(rng, 0.0, 2, 4, FREE) for rng in generators]
    free = [nearest(scene) for scene in free_layouts]
    default = [nearest(layout(index)) for index in range(200)]
    assert np.median(default) > 0.45 > np.median(free) + 0.1
    assert np.mean(np.array(free) < 0.1) > 0.1
