"""Where saliency maps come from: ContraCAM against slow oracles, object masks, and that no source leaves a trace."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pretrain import saliency
from pretrain.data.whole_images import whole_image_batches
from pretrain.methods.saliency import sources as saliency_sources
from pretrain.methods.saliency.keys import SALIENCY_BASES, SALIENCY_SOURCES
from pretrain.methods.saliency.method import Saliency
from pretrain.methods.saliency.sources import SOURCES
from pretrain.recipes.recipe import load_recipe
from scenebench.errors import UserError

COUNT = 7
RECIPES = {"moco": "saliency_demo", "byol": "saliency_byol_demo"}
SMALL = [
    "network.stem_width=8", "network.projector.hidden_dim=16", "network.projector.output_dim=8",
    "byol.predictor_hidden_dim=12", "moco.queue_size=16", "schedule.batch_size=4", "schedule.epochs=10",
    "views.crop_size=32", "saliency.crop_size=32", "saliency.map_input_size=128",
]  # fmt: skip
both_bases = pytest.mark.parametrize("base", SALIENCY_BASES)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{index}.png" for index in range(COUNT)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        coarse.resize((48, 40), Image.Resampling.BILINEAR).save(path)
    return paths


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    """One image with an object over its left half, one with two objects; the others hold none."""
    boxes = [(0, [0, 0, 24, 40]), (2, [0, 0, 12, 10]), (2, [36, 30, 12, 10])]
    entries = [
        {"id": number, "image_id": image, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for number, (image, box) in enumerate(boxes)
    ]
    listed = [{"id": index, "file_name": f"{index}.png", "width": 48, "height": 40} for index in range(COUNT)]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"images": listed, "annotations": entries, "categories": [{"id": 1, "name": "a"}]}))
    return path


def build(base: str, images: list[Path], *overrides: str) -> Saliency:
    torch.manual_seed(3)
    method = Saliency(load_recipe(RECIPES[base], [*SMALL, *overrides]), images)
    method.train()
    with torch.no_grad():  # running statistics that are not those of the start
        for layer in method.base.follower.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 1.5)
    return method


def test_every_source_of_the_recipes_exists() -> None:
    assert tuple(SOURCES) == SALIENCY_SOURCES


# --- the mathematics of ContraCAM ---------------------------------------------------------------------------------


def unit(rows: int, seed: int) -> Tensor:
    vectors = torch.randn(rows, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return vectors / vectors.norm(dim=1, keepdim=True)


def test_contrastive_scores_are_the_formula() -> None:
    z, negatives = unit(3, 1), unit(4, 2)
    excluded = torch.zeros(3, 4, dtype=torch.bool)
    excluded[0, 2] = True
    excluded[2] = True
    found = saliency.contrastive_scores(z, negatives, 0.2, excluded)
    for n in range(3):
        kept = [j for j in range(4) if not excluded[n, j]]
        total = sum(math.exp(float(z[n] @ negatives[j]) / 0.2) for j in kept)
        assert float(found[n]) == pytest.approx(1 / 0.2 - (math.log(total) if kept else 0.0), abs=1e-12)


def test_the_positive_term_of_the_score_has_no_gradient() -> None:
    """So it may be a constant: by finite differences against a fixed own embedding, and by autograd."""
    raw = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    own = raw / raw.norm()
    for d in range(5):
        step = torch.zeros(5, dtype=torch.float64)
        step[d] = 1e-6
        slope = ((raw + step) / (raw + step).norm() - (raw - step) / (raw - step).norm()) @ own / 2e-6
        assert float(slope) == pytest.approx(0, abs=1e-8)
    for excluded, has_gradient in ((torch.ones(1, 4, dtype=torch.bool), False), (torch.zeros(1, 4).bool(), True)):
        raw.requires_grad_()
        z = torch.nn.functional.normalize(raw[None], dim=1)
        (gradient,) = torch.autograd.grad(saliency.contrastive_scores(z, unit(4, 2), 0.2, excluded).sum(), raw)
        assert bool((gradient != 0).any()) == has_gradient


def test_contracam_is_grad_cam_by_finite_differences() -> None:
    """d s / d F by central differences, cell by cell; then the formula in loops."""
    generator = torch.Generator().manual_seed(4)
    features = torch.rand(2, 3, 2, 4, dtype=torch.float64, generator=generator)
    mixing = torch.randn(3 * 8, dtype=torch.float64, generator=generator).reshape(3, 2, 4)

    def scores(maps: Tensor) -> Tensor:
        return torch.sin((maps * mixing).sum(dim=(1, 2, 3))) + (maps.square() * mixing).sum(dim=(1, 2, 3))

    found = saliency.contracam_maps(features, scores)
    assert found.dtype == torch.float32
    for n in range(2):
        weights = []
        for c in range(3):
            slopes = []
            for y in range(2):
                for x in range(4):
                    step = torch.zeros_like(features)
                    step[n, c, y, x] = 1e-5
                    slopes.append(float((scores(features + step) - scores(features - step))[n]) / 2e-5)
            weights.append(sum(slopes) / 8)
        cam = [
            [max(0.0, sum(weights[c] * float(features[n, c, y, x]) for c in range(3))) for x in range(4)]
            for y in range(2)
        ]
        top = max(map(max, cam))
        assert top > 0
        low = min(map(min, cam)) / top
        expected = [[(value / top - low) / (1 - low + 1e-6) for value in row] for row in cam]
        assert torch.allclose(found[n], torch.tensor(expected), atol=1e-5)


def test_a_small_gradient_flattens_no_map() -> None:
    features = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(5))

    def scores(maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3)) @ torch.tensor([1.0, -0.5, 0.25])

    maps = saliency.contracam_maps(features, scores)
    tiny = saliency.contracam_maps(features, lambda maps: 1e-9 * scores(maps))
    assert torch.allclose(tiny, maps, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 2.5, float("nan"), float("inf")])
def test_constant_and_broken_features_give_a_uniform_map_and_spoil_no_other(value: float) -> None:
    features = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(6))

    def scores(maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3)).sum(dim=1)

    alone = saliency.contracam_maps(features[:1], scores)
    features[1] = value
    maps = saliency.contracam_maps(features, scores)
    assert torch.equal(maps[1], torch.ones(4, 4))
    assert torch.equal(maps[:1], alone)
    assert float(alone.min()) == 0
    assert float(alone.max()) == pytest.approx(1, abs=1e-5)


def test_nothing_that_speaks_for_any_place_gives_a_uniform_map() -> None:
    features = torch.rand(1, 3, 4, 4)
    maps = saliency.contracam_maps(features, lambda maps: -maps.mean(dim=(1, 2, 3)))  # the ReLU cuts all off
    assert torch.equal(maps, torch.ones(1, 4, 4))


# --- ContraCAM of a method ----------------------------------------------------------------------------------------


@both_bases
def test_maps_are_contracam_of_the_momentum_encoder_on_whole_images(base: str, images: list[Path]) -> None:
    """Written out for one image at a time, with torch's gradient of the score by the last feature map."""
    method = build(base, images, "saliency.source=contracam", "saliency.cam_temperature=0.3")
    found = method.compute_maps(2)
    assert found.dtype == torch.uint8
    assert found.shape == (COUNT, 4, 4)
    encoder = method.base.follower.eval()
    [(_, pixels)] = whole_image_batches(images, 128, COUNT)
    inputs = method.normalised(pixels)
    z = torch.nn.functional.normalize(encoder(inputs)[1], dim=1).detach()
    for n in range(COUNT):
        features = encoder.backbone.feature_map(inputs[n : n + 1]).detach().requires_grad_()
        own = torch.nn.functional.normalize(encoder.projector(features.mean(dim=(2, 3))), dim=1)[0]
        others = torch.stack([torch.exp(own @ z[j] / 0.3) for j in range(COUNT) if j != n]).sum()
        score = own @ own.detach() / 0.3 - torch.log(others)
        (gradient,) = torch.autograd.grad(score, features)
        cam = (gradient[0].mean(dim=(1, 2))[:, None, None] * features.detach()[0]).sum(dim=0).clamp(min=0)
        expected = torch.ones(4, 4) if cam.max() == cam.min() else (cam - cam.min()) / (cam.max() - cam.min())
        assert float((found[n] / 255 - expected).abs().max()) < 0.02, n
    assert len({tuple(row) for row in found.flatten(1).tolist()}) > 1


@both_bases
@pytest.mark.parametrize("source", [source for source in SALIENCY_SOURCES if source not in ("mask", "attention")])
def test_no_source_leaves_a_trace(base: str, source: str, images: list[Path]) -> None:
    method = build(base, images, f"saliency.source={source}")
    gradients = {}
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            gradients[name] = parameter.grad = torch.randn_like(parameter)
    gradients = {name: gradient.clone() for name, gradient in gradients.items()}
    state = {name: torch.as_tensor(value).clone() for name, value in method.base.state_dict().items()}
    modes = [part.training for part in method.modules()]
    generator = torch.get_rng_state()
    maps = method.compute_maps(2)
    assert torch.equal(maps, method.compute_maps(2))
    assert torch.equal(torch.get_rng_state(), generator)
    assert [part.training for part in method.modules()] == modes
    assert torch.is_grad_enabled()
    for name, value in method.base.state_dict().items():
        assert torch.equal(torch.as_tensor(value), state[name]), name
    for name, parameter in method.named_parameters():
        if name in gradients:
            assert parameter.grad is not None
            assert torch.equal(parameter.grad, gradients[name])
        else:
            assert parameter.grad is None
            assert not parameter.requires_grad


@both_bases
def test_contracam_does_not_depend_on_how_images_are_batched(
    base: str, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = build(base, images, "saliency.source=contracam")
    together = method.compute_maps(2).int()
    monkeypatch.setattr(saliency_sources, "MAP_BATCH", 2)
    assert (method.compute_maps(2).int() - together).abs().max() <= 1
    some = method.maps_of([images[5], images[1]], np.random.default_rng(0)).int()
    assert (some - together[[5, 1]]).abs().max() <= 1


def test_negatives_are_spread_over_the_folder(images: list[Path]) -> None:
    assert saliency_sources._spread(images, 3) == [images[0], images[2], images[4]]
    assert saliency_sources._spread(images, 100) == images
    few = build("moco", images, "saliency.source=contracam", "saliency.cam_negatives=2").compute_maps(2)
    all_of_them = build("moco", images, "saliency.source=contracam").compute_maps(2)
    assert not torch.equal(few, all_of_them)


def test_images_that_cannot_be_decoded_and_images_without_negatives_have_a_uniform_map(images: list[Path]) -> None:
    method = build("byol", images, "saliency.source=contracam")
    for path in images[1:]:
        path.write_bytes(b"no image")
    assert bool((method.compute_maps(2) == 255).all())
    images[0].write_bytes(b"no image")
    assert bool((method.compute_maps(2) == 255).all())


# --- the oracle ---------------------------------------------------------------------------------------------------


@both_bases
def test_masks_are_the_objects_of_the_annotations(base: str, images: list[Path], annotations: Path) -> None:
    method = build(base, images, "saliency.source=mask", f"data.annotations={annotations}")
    maps = method.compute_maps(2)
    assert maps.shape == (COUNT, 4, 4)
    assert (maps[0] == torch.tensor([255, 255, 0, 0])).all()
    corners = torch.zeros(4, 4)
    corners[0, 0] = corners[3, 3] = 255
    assert torch.equal(maps[2].float(), corners)
    assert bool((maps[[1, 3, 4, 5, 6]] == 255).all())  # no object says nothing of where to look
    assert torch.equal(method.maps_of([images[2]], np.random.default_rng(0))[0], maps[2])


def test_masks_need_annotations() -> None:
    with pytest.raises(UserError, match=r"saliency.source: mask needs .*data.annotations="):
        load_recipe("saliency_demo", ["saliency.source=mask"])


def test_boxes_add_up_where_there_are_no_masks_and_count_once_where_they_overlap(images: list[Path]) -> None:
    boxes = [[0, 0, 12, 20], [6, 0, 15, 20], [36, 30, 40, 40]]  # the last reaches out of the picture of 48 x 40
    path = images[0].parent / "boxes.json"
    content = {
        "images": [{"id": index, "file_name": f"{index}.png", "width": 48, "height": 40} for index in range(COUNT)],
        "annotations": [
            {"id": number, "image_id": 4, "category_id": 1, "bbox": box, "iscrowd": 0}
            for number, box in enumerate(boxes)
        ],
        "categories": [{"id": 1, "name": "a"}],
    }
    path.write_text(json.dumps(content))
    maps = build("moco", images, "saliency.source=mask", f"data.annotations={path}").compute_maps(0)
    expected = torch.zeros(4, 4)
    expected[:2, 0], expected[:2, 1], expected[3, 3] = 255, 191, 255
    assert torch.equal(maps[4].float(), expected)


@pytest.mark.parametrize("source", ["uniform", "random", "shuffled", "mask"])
def test_beside_a_control_the_network_is_asked_for_its_own_maps(
    source: str, images: list[Path], annotations: Path
) -> None:
    own = build("moco", images).compute_maps(0)
    method = build("moco", images, f"saliency.source={source}", f"data.annotations={annotations}")
    assert torch.equal(method.model_maps_of(images), own)
    assert not torch.equal(method.compute_maps(0), own)
    cam = build("moco", images, "saliency.source=contracam")
    assert torch.equal(cam.model_maps_of(images), cam.compute_maps(0))


def test_uniform_maps_are_no_guidance(images: list[Path]) -> None:
    """What the source uniform crops and weighs is what random crops of equal weight are."""
    uniform = build("moco", images, "saliency.source=uniform")
    uniform.maps.refresh(uniform.compute_maps(0), 0)
    random = build("moco", images, "saliency.crops=random", "saliency.beta=0")
    for index in range(COUNT):
        pairs = [method.local_box_sampler()(index, np.random.default_rng([5, index])) for method in (uniform, random)]
        np.testing.assert_allclose(pairs[0], pairs[1], atol=1e-12)
        boxes = torch.from_numpy(pairs[0])[None]
        scores = saliency.pair_scores(saliency.to_float(uniform.maps.of(torch.tensor([index]))), boxes)
        weights = saliency.loss_weights(scores, uniform.local.beta, "image", 1e-6)
        torch.testing.assert_close(weights, torch.ones_like(weights), atol=1e-6, rtol=0)
