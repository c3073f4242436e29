"""The paired dictionary: first in, first out, and a slot's parts always of one crop."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pretrain.dictionary import NO_IMAGE, PairedDictionary
from pretrain.losses import normalise

FEATURES, EMBEDDING = 6, 4


def keys_of(ids: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Keys that can be recognised: each part is a function of the id."""
    numbers = torch.tensor(ids, dtype=torch.float32)[:, None]
    features = torch.sin(numbers * torch.arange(1, FEATURES + 1)) * 3
    embeddings = torch.cos(numbers * torch.arange(1, EMBEDDING + 1)) * 2
    return features, embeddings, torch.tensor(ids), numbers.expand(-1, 4) / 1e6


def assert_paired(dictionary: PairedDictionary) -> None:
    filled = dictionary.image_ids != NO_IMAGE
    features, embeddings, ids, boxes = keys_of(dictionary.image_ids[filled].tolist())
    assert torch.allclose(dictionary.features[filled], normalise(features), atol=1e-6)
    assert torch.allclose(dictionary.projections[filled], normalise(embeddings), atol=1e-6)
    assert torch.equal(dictionary.image_ids[filled], ids)
    assert torch.allclose(dictionary.boxes[filled], boxes)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 20), st.data())
def test_a_slot_is_always_one_image_and_the_oldest_goes_first(
    batch: int, fold: int, steps: int, data: st.DataObject
) -> None:
    size = batch * fold
    dictionary = PairedDictionary(size, EMBEDDING, FEATURES)
    history: list[int] = []
    for _ in range(steps):
        ids = data.draw(st.lists(st.integers(0, 50), min_size=batch, max_size=batch))
        dictionary.enqueue(*keys_of(ids))
        history += ids
        assert_paired(dictionary)
    kept = history[-size:]
    assert sorted(dictionary.image_ids[dictionary.image_ids != NO_IMAGE].tolist()) == sorted(kept)
    assert dictionary.position == len(history) % size
    from_oldest = torch.roll(dictionary.image_ids, -dictionary.position).tolist()
    assert from_oldest[size - len(kept) :] == kept


def test_it_starts_with_random_unit_vectors_of_no_image() -> None:
    torch.manual_seed(0)
    dictionary = PairedDictionary(512, 128, 64)
    for part, dim in ((dictionary.projections, 128), (dictionary.features, 64)):
        assert torch.allclose(part.norm(dim=1), torch.ones(512))
        assert float(part.std()) == pytest.approx(dim**-0.5, rel=0.02)  # as in figure 3 (a) of the paper
    assert dictionary.image_ids.unique().tolist() == [NO_IMAGE]


def test_rows_are_normalised_also_from_half_precision() -> None:
    dictionary = PairedDictionary(4, EMBEDDING, FEATURES)
    features, embeddings, ids, boxes = keys_of([3, 5, 7, 11])
    dictionary.enqueue(features.bfloat16(), embeddings.bfloat16(), ids, boxes)
    assert torch.allclose(dictionary.features.norm(dim=1), torch.ones(4), atol=1e-6)
    assert torch.allclose(dictionary.projections.norm(dim=1), torch.ones(4), atol=1e-6)


def test_looking_ahead_changes_nothing() -> None:
    dictionary = PairedDictionary(6, EMBEDDING, FEATURES)
    dictionary.enqueue(*keys_of([1, 2, 3]))
    before = copy.deepcopy(dictionary.state_dict())
    later = dictionary.after_enqueue(*keys_of([4, 5, 6]))
    for name, value in dictionary.state_dict().items():
        assert torch.equal(value, before[name]) if isinstance(value, Tensor) else value == before[name]
    dictionary.enqueue(*keys_of([4, 5, 6]))
    assert torch.equal(later.features, dictionary.features)
    assert torch.equal(later.image_ids, dictionary.image_ids)
    assert later.position == dictionary.position == 0


def test_keys_carry_no_gradient_into_it() -> None:
    dictionary = PairedDictionary(3, EMBEDDING, FEATURES)
    features, embeddings, ids, boxes = keys_of([1, 2, 3])
    dictionary.enqueue(features.requires_grad_(), embeddings.requires_grad_(), ids, boxes)
    assert not dictionary.features.requires_grad
    assert not dictionary.projections.requires_grad


def test_it_survives_a_state_dict_through_a_safe_file() -> None:
    dictionary = PairedDictionary(6, EMBEDDING, FEATURES)
    dictionary.enqueue(*keys_of([1, 2, 3]))
    file = io.BytesIO()
    torch.save(dictionary.state_dict(), file)
    file.seek(0)
    other = PairedDictionary(6, EMBEDDING, FEATURES)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.position == 3
    assert torch.equal(other.features, dictionary.features)
    assert torch.equal(other.boxes, dictionary.boxes)


def test_own_image_is_found_wherever_it_lies() -> None:
    dictionary = PairedDictionary(6, EMBEDDING, FEATURES)
    dictionary.enqueue(*keys_of([4, 9, 4]))
    assert dictionary.holds_image(torch.tensor([4, 5])).tolist() == [[True, False, True] + [False] * 3, [False] * 6]


def test_a_moco_queue_keeps_no_features() -> None:
    dictionary = PairedDictionary(6, EMBEDDING)
    dictionary.enqueue(*keys_of([1, 2, 3]))
    assert dictionary.features.shape == (6, 0)
    assert dictionary.image_ids.tolist() == [1, 2, 3, -1, -1, -1]


def test_parts_of_different_lengths_and_broken_batches_are_refused() -> None:
    dictionary = PairedDictionary(6, EMBEDDING, FEATURES)
    features, embeddings, ids, boxes = keys_of([1, 2, 3])
    with pytest.raises(ValueError, match="differ in length"):
        dictionary.enqueue(features, embeddings[:2], ids, boxes)
    with pytest.raises(ValueError, match="whole batches of 4"):
        dictionary.enqueue(*keys_of([1, 2, 3, 4]))
