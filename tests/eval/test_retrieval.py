"""Retrieval figures against a naive ranking of the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.errors import InputError
from eval.retrieval import five_fold, score_embeddings, score_retrieval


def naive(similarity: np.ndarray, owner: np.ndarray) -> tuple[list[int], list[int]]:
    """Ranks with every tie broken against the right item."""
    images, texts = similarity.shape
    first, second = [], []
    for image in range(images):
        best = max(similarity[image, t] for t in range(texts) if owner[t] == image)
        wrong = [t for t in range(texts) if owner[t] != image]
        first.append(1 + sum(similarity[image, t] >= best for t in wrong))
    for text in range(texts):
        right = similarity[owner[text], text]
        wrong = [i for i in range(images) if i != owner[text]]
        second.append(1 + sum(similarity[i, text] >= right for i in wrong))
    return first, second


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.integers(1, 3), st.integers(0, 1000), st.booleans())
def test_ranks_equal_the_naive_ranking(images: int, each: int, seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    similarity = rng.normal(size=(images, images * each))
    similarity = np.round(similarity) if ties else similarity
    owner = rng.permutation(np.repeat(np.arange(images), each))
    scores = score_retrieval(similarity, owner)
    for ranks, ours in zip(
        naive(similarity, owner), (scores.image_to_text, scores.text_to_image), strict=True
    ):
        rank = np.array(ranks)
        assert ours.r1 == pytest.approx((rank <= 1).mean() * 100)
        assert ours.r5 == pytest.approx((rank <= 5).mean() * 100)
        assert ours.r10 == pytest.approx((rank <= 10).mean() * 100)
        assert ours.median_rank == np.floor(np.median(rank - 1)) + 1
        assert ours.mean_rank == pytest.approx(rank.mean())


def test_a_constant_matrix_finds_nothing() -> None:
    scores = score_retrieval(np.zeros((20, 20)), np.arange(20))
    assert scores.rsum == 0
    assert scores.image_to_text.median_rank == 20


def test_a_perfect_matrix_finds_everything() -> None:
    owner = np.repeat(np.arange(10), 5)
    scores = score_retrieval((np.arange(10)[:, None] == owner).astype(float), owner)
    assert (scores.rsum, scores.mean_recall) == (600, 100)


def test_five_fold_is_the_mean_of_the_folds() -> None:
    rng = np.random.default_rng(0)
    similarity, owner = rng.normal(size=(50, 250)), np.repeat(np.arange(50), 5)
    parts = [
        score_retrieval(similarity[k : k + 10, 5 * k : 5 * k + 50], np.repeat(np.arange(10), 5))
        for k in range(0, 50, 10)
    ]
    scores = five_fold(similarity, owner)
    assert scores.image_to_text.r1 == pytest.approx(np.mean([p.image_to_text.r1 for p in parts]))
    assert scores.text_to_image.r5 == pytest.approx(np.mean([p.text_to_image.r5 for p in parts]))
    assert "5 folds of 10 images" in scores.protocol
    with pytest.raises(InputError, match="do not split"):
        five_fold(similarity[:49], np.minimum(owner, 48))


def test_embeddings_are_compared_by_cosine() -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8, 4))
    texts = images * rng.uniform(1, 9, size=(8, 1))
    assert score_embeddings(images, texts, np.arange(8)).rsum == 600
    with pytest.raises(InputError, match="zero"):
        score_embeddings(images * 0, texts, np.arange(8))


@pytest.mark.parametrize(
    ("similarity", "owner", "what"),
    [
        ([[1.0, np.nan]], [0, 0], "NaN"),
        ([[1.0, 2.0]], [0], "does not fit"),
        ([[1.0, 2.0]], [0, 1], "expected numbers from 0 to 0"),
        ([[1.0], [2.0]], [0], "image 1 has no caption"),
        ([[1.0]], [0.0], "whole numbers"),
    ],
)
def test_bad_input_is_one_clear_line(similarity: list, owner: list, what: str) -> None:
    with pytest.raises(InputError, match=what):
        score_retrieval(np.array(similarity), np.array(owner))
