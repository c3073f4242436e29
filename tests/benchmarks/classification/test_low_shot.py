"""Probes with few labels: which images are drawn, that they are the same for all, and what is fitted on them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from benchmarks.classification.low_shot import draw_images, low_shot_scores, low_shot_values
from benchmarks.classification.run import run
from benchmarks.datasets.folder import DatasetFolder
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.protocols.classification import LowShotSettings
from benchmarks.protocols.protocol import load_protocol
from scenebench.errors import UserError
from transfer.backbone_file import read_info

PROTOCOLS = ["multilabel_low_shot", "multilabel_1pct", "multilabel_10pct"]


def labels(images: int = 200, categories: int = 6) -> np.ndarray:
    return (np.random.default_rng(0).random((images, categories)) < 0.2).astype(np.uint8)


def judge(backbone: Path | str, data: DatasetFolder, protocol: str, seed: int = 0, *overrides: str) -> Outcome:
    info = None if isinstance(backbone, str) else read_info(backbone)
    chosen = load_protocol(protocol, ["settings.image_size=64", "settings.low_shot.draws=2", *overrides])
    return run(Cell(backbone, info, chosen, data, seed, Path()))


def test_every_category_has_its_images_and_draws_differ() -> None:
    present = labels()
    settings = LowShotSettings(per_category=4)
    draws = [draw_images(present, settings, draw) for draw in range(3)]
    for chosen in draws:
        assert (present[chosen].sum(axis=0) >= 4).all()
        assert len(chosen) <= 4 * present.shape[1]
        assert (np.diff(chosen) > 0).all(), "no image twice"
        assert present[chosen].any(axis=1).all(), "each was drawn for a category"
    assert not np.array_equal(draws[0], draws[1])
    assert np.array_equal(draws[2], draw_images(present, settings, 2))


def test_a_rare_category_gives_all_it_has() -> None:
    present = labels()
    present[:, 2] = 0
    present[7, 2] = 1
    assert 7 in draw_images(present, LowShotSettings(per_category=5), 0)


@pytest.mark.parametrize(("share", "expected"), [(0.01, 2), (0.1, 20), (0.001, 1), (1.0, 200)])
def test_a_share_of_the_images(share: float, expected: int) -> None:
    assert len(set(draw_images(labels(), LowShotSettings(share=share), 0).tolist())) == expected


def test_the_fit_is_scikit_learns_on_the_drawn_images_alone() -> None:
    rng = np.random.default_rng(1)
    present, train, test = labels(), rng.normal(size=(200, 5)), rng.normal(size=(30, 5))
    chosen = draw_images(present, LowShotSettings(per_category=6), 0)
    l2 = 0.3
    scores = low_shot_scores(torch.from_numpy(train), present, torch.from_numpy(test), chosen, l2)
    mean, std = train.mean(axis=0), train.std(axis=0)
    for column in range(present.shape[1]):
        oracle = LogisticRegression(C=1 / (len(chosen) * l2), tol=1e-10, max_iter=1000)
        oracle.fit((train[chosen] - mean) / std, present[chosen, column])
        assert scores[:, column] == pytest.approx(oracle.decision_function((test - mean) / std), abs=1e-4)
    unseen = present.copy()
    unseen[np.setdiff1d(np.arange(200), chosen)] = 0  # labels that were not drawn are not read
    again = low_shot_scores(torch.from_numpy(train), unseen, torch.from_numpy(test), chosen, l2)
    assert np.array_equal(scores, again)


def test_what_no_drawn_image_or_every_one_holds_scores_0() -> None:
    present = labels()
    present[:, 0], present[:, 1] = 0, 1
    features = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    scores = low_shot_scores(features, present, features[:9], np.arange(50), 1.0)
    assert (scores[:, :2] == 0).all()
    assert np.isfinite(scores).all()
    assert (scores[:, 2:] != 0).any()


def test_more_labels_tell_more() -> None:
    """Features that hold the labels under noise: ten times the labels give a better probe."""
    rng = np.random.default_rng(2)
    present = (rng.random((600, 4)) < 0.3).astype(np.uint8)
    features = torch.from_numpy(present @ rng.normal(size=(4, 16)) + rng.normal(size=(600, 16)))
    test_labels = present[400:].astype(np.int8)
    few, many = (
        low_shot_values(features[:400], present[:400], features[400:], test_labels, LowShotSettings(share=share))[0]
        for share in (0.02, 0.2)
    )
    assert np.mean(many) > np.mean(few) + 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scenes_and_photographs(
    protocol: str, tiny_backbone: Path, tiny_scenes: DatasetFolder, tiny_photos: DatasetFolder
) -> None:
    outcome = judge(tiny_backbone, tiny_scenes, protocol)
    assert 0 < (outcome.metrics["mAP"] or 0) < 100
    assert outcome == replace(judge(tiny_backbone, tiny_scenes, protocol, seed=5)), "paired over seeds"
    assert any("2 draws of labelled images" in note for note in outcome.notes)
    photographs = judge(tiny_backbone, tiny_photos, protocol)
    assert photographs.metrics["mAP"] is not None
    shortened = any("fewer than 8: all are taken" in note for note in photographs.notes)
    assert shortened == (protocol == "multilabel_low_shot")


def test_references(tiny_scenes: DatasetFolder) -> None:
    for reference in ("reference:scene_type_oracle", "reference:colour_histogram"):
        assert judge(reference, tiny_scenes, "multilabel_low_shot").metrics["mAP"] is not None


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["settings.low_shot.share=0.5"], "either a number of images a category or a share"),
        (["settings.low_shot.per_category=0"], "either a number of images a category or a share"),
        (["settings.low_shot.draws=0"], "settings.draws: 0 is not positive"),
        (["settings.low_shot=null"], "the probe 'low_shot' needs this section"),
    ],
)
def test_settings_that_do_not_fit(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_protocol("multilabel_low_shot", overrides)
